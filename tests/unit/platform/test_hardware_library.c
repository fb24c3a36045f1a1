#include "platform_fixture.h"

#include "platform/device_type.h"
#include "platform/link_type.h"
#include "platform/links.h"
#include "platform/nodes.h"
#include "platform/protocol_table.h"
#include "platform/routing.h"
#include "platform/topology_fields.h"

static void every_device_file_loads(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t count, devices = 0;
    fixture_init(&f);
    const char *const *files = document_list(&f.input, "topologies/devices", &count);
    for (uint32_t i = 0; i < count; i++) {
        struct device_type type;
        bool base = strncmp(files[i], "base-", 5) == 0;
        device_type_init(&f.names, files[i], &type);
        bool well = device_type_load(&f.input, &f.names, files[i], (struct place){0}, &type);
        if (well && !base)
            well = device_type_check(&f.input, &f.names, &type, false, (struct place){.file = files[i]});
        report_print(&f.input.report, stderr);
        assert_true(well && f.input.report.list.count == 0);
        assert_true(type.kind != 0 && type.launch > 0);
        for (int k = 0; k < KERNEL_COUNT; k++)
            assert_true(type.efficiency[k] > 0 && type.efficiency[k] <= 1);
        devices += !base;
    }
    assert_true(devices >= 68 + 2);
    fixture_fini(&f);
}

static void every_link_file_loads(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t count;
    fixture_init(&f);
    const char *const *files = document_list(&f.input, "topologies/links", &count);
    for (uint32_t i = 0; i < count; i++) {
        struct link_type type, reverse;
        link_type_init(&type);
        bool well = link_type_load(&f.input, files[i], (struct place){0}, &type) &&
                    link_type_reverse(&f.input, &type, NULL, &reverse) &&
                    link_type_check(&f.input, &type, files[i], (struct place){0}) &&
                    link_type_check(&f.input, &reverse, files[i], (struct place){0});
        report_print(&f.input.report, stderr);
        assert_true(well && f.input.report.list.count == 0);
        assert_true(type.latency > 0);
    }
    assert_true(count >= 46);
    fixture_fini(&f);
}

static void load_topology(struct fixture *f, const char *name, const char *parameter, const char *value)
{
    fixture_init(f);
    const char *path = document_find(&f->input, "topologies", name, (struct place){0});
    struct value *document = document_load(&f->input, path);
    bool well = document && (!parameter || document_set(&f->input, document, parameter, value)) &&
                topology_read(&f->input, document, NULL, &f->platform);
    report_print(&f->input.report, stderr);
    assert_true(well && f->input.report.list.count == 0);
}

static void every_topology_loads_and_is_connected(void **state)
{
    (void)state;
    struct fixture list;
    uint32_t count;
    fixture_init(&list);
    const char *const *files = document_list(&list.input, "topologies", &count);
    assert_true(count >= 9);
    for (uint32_t i = 0; i < count; i++) {
        struct fixture f;
        load_topology(&f, files[i], NULL, NULL);
        for (uint32_t from = 0; from < f.platform.devices.count; from++)
            for (uint32_t to = 0; to < f.platform.devices.count; to++) {
                uint32_t hops;
                route_links(&f.platform, from, to, &hops);
                assert_true(hops != UINT32_MAX && (hops > 0) == (from != to));
            }
        fixture_fini(&f);
    }
    fixture_fini(&list);
}

static void an_a100_has_its_published_numbers(void **state)
{
    (void)state;
    struct fixture f;
    load_topology(&f, "single-device", NULL, NULL);
    const struct device_type *type = fixture_type(&f, "device");
    assert_string_equal(names_text(&f.names, type->name), "A100-SXM4-80GB");
    assert_string_equal(names_text(&f.names, type->kind), "gpu");
    assert_near(type->peak[BF16], 312e12, 0);
    assert_near(type->peak[FP64], 9.7e12, 0);
    assert_near(type->peak[FP8], 0, 0);
    assert_near(type->memory, 80e9, 0);
    assert_near(type->memory_bandwidth, 2039e9, 0);
    assert_near(type->efficiency[KERNEL_MATMUL], 271.2 / 312, 0.001);
    assert_near(type->launch, 5e-6, 0);
    assert_near(type->power_busy, 400, 0);
    assert_near(type->power_idle, 0, 0);
    fixture_fini(&f);
}

static void a_dgx_uses_nvlink_inside_and_its_own_card_outside(void **state)
{
    (void)state;
    static const char *const names[] = {"dgx-a100", "dgx-h100"};
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        load_topology(&f, names[i], NULL, NULL);
        assert_string_equal(fixture_route(&f, "gpu[2,1]", "gpu[2,7]"), "nvlink[2,1]> nvlink[2,7]<");
        assert_string_equal(fixture_route(&f, "gpu[2,1]", "gpu[3,6]"), "infiniband[2,1]> infiniband[3,6]<");
        fixture_fini(&f);
    }
}

static void each_v100_of_a_dgx_1_has_six_nvlinks(void **state)
{
    (void)state;
    struct fixture f;
    load_topology(&f, "dgx-1-v100", NULL, NULL);
    for (uint32_t d = 0; d < 8; d++) {
        double sent = 0;
        uint32_t node = f.platform.devices.at[d].node;
        for (uint32_t a = f.platform.first_arc[node]; a < f.platform.first_arc[node + 1]; a++) {
            const struct link *link = &f.platform.links.at[f.platform.arcs.at[a].link];
            if (strncmp(names_text(&f.names, link->group), "nvlink", 6) == 0)
                sent += link->bandwidth;
        }
        assert_near(sent, 6 * 25e9 * 0.82, 1);
    }
    assert_string_equal(fixture_route(&f, "gpu[0,0]", "gpu[0,4]"), "nvlink-wide[0,0]>");
    assert_string_equal(fixture_route(&f, "gpu[0,0]", "gpu[0,1]"), "nvlink-0-1[0,0]>");
    fixture_fini(&f);
}

static void deepthings_boards_have_its_measured_speed_and_network(void **state)
{
    (void)state;
    struct fixture f;
    load_topology(&f, "raspberry-pi-wifi", "parameters.device", "raspberry-pi-3b-1core");
    const struct device_type *type = fixture_type(&f, "pi[3]");
    assert_near(type->peak[FP32] * type->efficiency[KERNEL_CONV], 2 * 1.13e9, 0.01e9);
    assert_near(type->memory, 1e9, 0);
    assert_string_equal(fixture_route(&f, "pi[0]", "gateway"), "wifi");
    assert_near(fixture_link(&f, "wifi")->bandwidth, 38e6 / 8, 0);
    fixture_fini(&f);
}

/* The route between two GPUs of a DGX cluster: out of the one and into the other, by NVLink inside a node. */
static void expect_neighbours(struct fixture *f, uint32_t from, uint32_t to)
{
    uint32_t count;
    const uint32_t *links = route_links(&f->platform, from, to, &count);
    const char *cable = from / 8 == to / 8 ? "nvlink" : "infiniband";
    const char *const wanted[] = {
        arena_format(&f->input.arena, "%s[%u,%u]>", cable, from / 8, from % 8),
        arena_format(&f->input.arena, "%s[%u,%u]<", cable, to / 8, to % 8),
    };
    assert_int_equal(count, 2);
    for (uint32_t i = 0; i < 2; i++)
        assert_string_equal(names_text(&f->names, f->platform.links.at[links[i]].name), wanted[i]);
}

static void sixteen_thousand_gpus_load(void **state)
{
    (void)state;
    struct fixture f;
    load_topology(&f, "dgx-a100", "parameters.nodes", "2048");
    assert_int_equal(platform_workers(&f.platform), 16384);
    assert_int_equal(f.platform.devices.count, 16384 + 2 * 2048);
    /* of each node: 8 GPUs on NVLink, InfiniBand and PCIe, 4 PCIe switches, a drive, the host's own card */
    assert_int_equal(f.platform.links.count, 2 * 2048 * (3 * 8 + 4 + 1 + 1));
    assert_string_equal(fixture_route(&f, "gpu[0,0]", "gpu[2047,7]"), "infiniband[0,0]> infiniband[2047,7]<");
    for (uint32_t d = 0; d < 16384;
         d += 61) /* links of a ring; 61 is odd, so each place of a node has its turn */
        expect_neighbours(&f, d, (d + 1) % 16384);
    fixture_fini(&f);
}

static char *read_manual(struct arena *arena)
{
    enum { ROOM = 1 << 18 };
    FILE *file = fopen(PARTITA_SOURCE "/docs/topologies.md", "r");
    assert_non_null(file);
    char *manual = arena_alloc(arena, ROOM);
    assert_true(fread(manual, 1, ROOM - 1, file) > 0);
    fclose(file);
    return manual;
}

static void expect_in_manual(const char *manual, const struct field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char line[256];
        snprintf(line, sizeof line, "| `%s` | %s |", fields[i].key, fields[i].about);
        if (!strstr(manual, line))
            fail_msg("docs/topologies.md lacks this row:\n%s", line);
    }
}

static void the_manual_lists_every_key(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    const char *manual = read_manual(&arena);
    expect_in_manual(manual, topology_fields, topology_field_count);
    expect_in_manual(manual, topology_part_fields, topology_part_field_count);
    expect_in_manual(manual, routing_fields, routing_field_count);
    expect_in_manual(manual, routing_route_fields, routing_route_field_count);
    expect_in_manual(manual, nodes_device_fields, nodes_device_field_count);
    expect_in_manual(manual, nodes_switch_fields, nodes_switch_field_count);
    expect_in_manual(manual, links_fields, links_field_count);
    expect_in_manual(manual, link_type_fields, link_type_field_count);
    expect_in_manual(manual, protocol_table_fields, protocol_table_field_count);
    expect_in_manual(manual, device_type_fields, device_type_field_count);
    expect_in_manual(manual, device_type_peak, device_type_peak_count);
    expect_in_manual(manual, device_type_efficiency, device_type_efficiency_count);
    expect_in_manual(manual, device_type_power, device_type_power_count);
    arena_fini(&arena);
}

/* Each block of YAML in the manual is a topology, or a device file. */
static void every_example_of_the_manual_loads(void **state)
{
    (void)state;
    struct arena arena;
    uint32_t examples = 0;
    arena_init(&arena);
    char *at = read_manual(&arena);
    while ((at = strstr(at, "```yaml\n"))) {
        struct fixture f;
        struct device_type type;
        char *end = strstr(at += 8, "```");
        assert_non_null(end);
        *end = '\0';
        fixture_init(&f);
        struct value *document = fixture_parse(&f, "docs/topologies.md", at);
        if (value_get(document, "peak"))
            device_type_init(&f.names, "example", &type);
        bool well = value_get(document, "peak")
                        ? device_type_change(&f.input, &f.names, document, NULL, &type) &&
                              device_type_check(&f.input, &f.names, &type, false, document->place)
                        : topology_read(&f.input, document, NULL, &f.platform);
        report_print(&f.input.report, stderr);
        assert_true(well && f.input.report.list.count == 0);
        fixture_fini(&f);
        at = end + 3;
        examples++;
    }
    assert_true(examples >= 7);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_device_file_loads),
        cmocka_unit_test(every_link_file_loads),
        cmocka_unit_test(every_topology_loads_and_is_connected),
        cmocka_unit_test(an_a100_has_its_published_numbers),
        cmocka_unit_test(a_dgx_uses_nvlink_inside_and_its_own_card_outside),
        cmocka_unit_test(each_v100_of_a_dgx_1_has_six_nvlinks),
        cmocka_unit_test(deepthings_boards_have_its_measured_speed_and_network),
        cmocka_unit_test(sixteen_thousand_gpus_load),
        cmocka_unit_test(the_manual_lists_every_key),
        cmocka_unit_test(every_example_of_the_manual_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
