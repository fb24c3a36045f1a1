/* Parts, degraded and failed links, percentages, and the link model. */
#include "platform_fixture.h"

/* A folder of its own with the part's file beside the topology's. */
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/partita-parts-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static bool read_folder(struct fixture *f, const char *text)
{
    char path[128];
    write_file("box.yaml", "parameters: {gpus: 2, rate: 10 GB/s}\n"
                           "devices: {gpu: {count: gpus, forward: no, " TINY "}, host: {" TINY "}}\n"
                           "switches: {port: }\n"
                           "links:\n"
                           "  bus: {bandwidth: rate, latency: 1 us, from: \"gpu[i]\", to: port}\n"
                           "  cpu: {bandwidth: rate, latency: 1 us, from: host, to: port}\n"
                           "overrides: {\"bus[0]\": {bandwidth: 50%}, \"gpu[1]\": {speed: 0.5}}\n");
    write_file("pod.yaml",
               "parameters: {boxes: 2}\n"
               "parts: {box: {topology: box, count: boxes, set: {gpus: boxes + 1}}}\n"
               "switches: {leaf: }\n"
               "links: {up: {bandwidth: 5 GB/s, latency: 2 us, from: \"box[b].port\", to: leaf}}\n");
    write_file("self.yaml", "parts: {me: {topology: again}}\n");
    write_file("again.yaml", "parts: {other: {topology: self}}\n");
    write_file("top.yaml", text);
    snprintf(path, sizeof path, "%s/top.yaml", folder);
    fixture_init(f);
    struct value *document = document_load(&f->input, path);
    return document && topology_read(&f->input, document, NULL, &f->platform);
}

static void read_well(struct fixture *f, const char *text)
{
    bool well = read_folder(f, text);
    if (!well || f->input.report.errors)
        fail_msg("%s", fixture_messages(f));
}

static void expect(const char *text, const char *messages)
{
    struct fixture f;
    read_folder(&f, text);
    assert_string_equal(fixture_messages(&f), messages);
    fixture_fini(&f);
}

static void a_part_is_there_as_often_as_it_says(void **state)
{
    (void)state;
    struct fixture f;
    read_well(&f, "parts: {box: {topology: box, count: 3}}\nswitches: {hub: }\n"
                  "links: {net: {bandwidth: 1 GB/s, latency: 3 us, from: \"box[b].port\", to: hub}}\n");
    assert_int_equal(f.platform.devices.count, 9);
    assert_int_equal(f.platform.nodes.count, 9 + 3 + 1);
    assert_int_equal(f.platform.links.count, 2 * (9 + 3));
    assert_string_equal(fixture_route(&f, "box[0].gpu[1]", "box[2].host"),
                        "box[0].bus[1]> net[0]> net[2]< box[2].cpu<");
    assert_string_equal(fixture_route(&f, "box[1].gpu[0]", "box[1].gpu[1]"), "box[1].bus[0]> box[1].bus[1]<");
    /* The part's own overrides hold in each instance. */
    assert_near(fixture_link(&f, "box[2].bus[0]>")->bandwidth, 5e9, 0);
    assert_near(fixture_link(&f, "box[2].bus[1]>")->bandwidth, 10e9, 0);
    assert_near(f.platform.devices.at[fixture_device(&f, "box[1].gpu[1]")].speed, 0.5, 0);
    fixture_fini(&f);
}

static void parts_nest_and_compute_with_parameters(void **state)
{
    (void)state;
    struct fixture f;
    read_well(&f, "parameters: {pods: 2}\n"
                  "parts: {pod: {topology: pod, count: pods, set: {boxes: pods + 1}}}\nswitches: {core: }\n"
                  "links: {wan: {bandwidth: 1 GB/s, latency: 9 us, from: \"pod[p].leaf\", to: core}}\n"
                  "overrides:\n"
                  "  \"pod[1].box[2].gpu[3]\": {speed: 0.25}\n"
                  "  \"pod[0].box[*].bus\": {bandwidth: 10%}\n"
                  "  \"pod[1].box[0].bus[0]\": {failed: yes}\n"
                  "  \"pod[1].leaf\": {failed: no}\n");
    assert_int_equal(f.platform.devices.count, 2 * 3 * (4 + 1));
    assert_string_equal(fixture_messages(&f),
                        "box.yaml:2:11: warning: the device 'pod[1].box[0].gpu[0]' has no link");
    assert_string_equal(
        fixture_route(&f, "pod[0].box[1].gpu[3]", "pod[1].box[2].gpu[0]"),
        "pod[0].box[1].bus[3]> pod[0].up[1]> wan[0]> wan[1]< pod[1].up[2]< pod[1].box[2].bus[0]<");
    assert_near(f.platform.devices.at[fixture_device(&f, "pod[1].box[2].gpu[3]")].speed, 0.25, 0);
    assert_near(f.platform.devices.at[fixture_device(&f, "pod[1].box[2].gpu[2]")].speed, 1, 0);
    assert_near(fixture_link(&f, "pod[0].box[2].bus[1]<")->bandwidth, 1e9, 1e-3);
    assert_near(fixture_link(&f, "pod[0].box[2].bus[0]<")->bandwidth, 0.5e9, 1e-3); /* the box's own first */
    fixture_fini(&f);
}

static uint32_t selected(struct fixture *f, const char *pattern)
{
    struct index_list list = {0};
    char text[128];
    snprintf(text, sizeof text, "devices: %s\n", pattern);
    struct value *document = fixture_parse(f, "plan.yaml", text);
    uint32_t count =
        topology_select(&f->input, &f->platform, value_get(document, "devices"), &list) ? list.count : 0;
    VECTOR_FREE(&list);
    return count;
}

static void plans_name_devices_in_parts(void **state)
{
    (void)state;
    struct fixture f;
    read_well(&f, "parts: {pod: {topology: pod, count: 2}}\nswitches: {core: }\n"
                  "links: {wan: {bandwidth: 1 GB/s, from: \"pod[p].leaf\", to: core}}\n");
    assert_int_equal(selected(&f, "\"*\""), 16);
    assert_int_equal(selected(&f, "\"pod[1].box[0].gpu[2]\""), 1);
    assert_int_equal(selected(&f, "\"pod[*].box[0].gpu[0..1]\""), 4);
    assert_int_equal(selected(&f, "pod.box.gpu"), 12);
    assert_int_equal(selected(&f, "\"pod.box[1].host\""), 2);
    assert_int_equal(selected(&f, "\"pod[0]\""), 8);
    assert_int_equal(selected(&f, "\"pod[0].box[1]\""), 4);
    assert_int_equal(selected(&f, "\"pod[2]\""), 0);
    assert_string_equal(fixture_messages(&f),
                        "plan.yaml:1:15: there is no 'pod[2]': index 1 goes from 0 to 1");
    fixture_fini(&f);
}

static void each_instance_has_its_own_medium(void **state)
{
    (void)state;
    struct fixture f;
    write_file("cell.yaml", "devices: {pi: {count: 2, " TINY "}}\nswitches: {ap: }\n"
                            "links:\n"
                            "  air: {bandwidth: 10 MB/s, mode: shared, stations: pi, access-point: ap}\n"
                            "  hoc: {bandwidth: 1 MB/s, mode: shared, stations: [pi]}\n");
    read_well(&f, "parts: {cell: {topology: cell, count: 2}}\nswitches: {lan: }\n"
                  "links: {wire: {bandwidth: 1 GB/s, from: \"cell[c].ap\", to: lan}}\n"
                  "overrides: {\"cell[1].air\": {bandwidth: 50%}, \"cell[*].hoc\": {failed: yes}}\n");
    assert_string_equal(fixture_route(&f, "cell[0].pi[0]", "cell[1].pi[1]"),
                        "cell[0].air wire[0]> wire[1]< cell[1].air");
    assert_near(fixture_link(&f, "cell[0].air")->bandwidth, 10e6, 0);
    assert_near(fixture_link(&f, "cell[1].air")->bandwidth, 5e6, 0);
    fixture_fini(&f);
}

static void wrong_parts_are_reported_at_their_place(void **state)
{
    (void)state;
    expect("parts:\n  p: {topology: bxo}\n",
           "top.yaml:2:17: there is no 'bxo' beside this file, in the working "
           "directory or in topologies");
    expect("parts:\n  p: {topology: box, count: 0}\n", "top.yaml:1:1: the topology has no devices");
    expect("parts:\n  p: {cuont: 2, topology: box}\n",
           "top.yaml:2:7: unknown key 'cuont' in the part 'p'; did you mean 'count'?");
    expect("parts:\n  p: {topology: box, set: {gups: 2}}\n",
           "top.yaml:2:28: there is no parameter of the topology 'gups'; did you mean 'gpus'?");
    expect("parts:\n  p: {topology: box}\nlinks:\n  l: {bandwidth: 1 GB/s, from: \"p.gpu[0]\", to: "
           "\"p.prot\"}\n",
           "top.yaml:4:49: there is no device or switch 'p.prot'; did you mean 'p.port'?");
    expect(
        "parts:\n  p: {topology: box, count: 2}\nlinks:\n  l: {bandwidth: 1 GB/s, from: \"p[0].port\", to: "
        "\"p[2].port\"}\n",
        "top.yaml:4:52: there is no 'p[2].port', needed by link 'l' (2 = 2): it goes from 0 to 1");
    expect("parts:\n  p: {topology: self}\n",
           "again.yaml:1:27: the topology 'self' would be a part of itself");
    expect("parts:\n  p: {topology: box}\ndevices:\n  p: {" TINY "}\n",
           "top.yaml:2:3: the name 'p' is taken: line 4 uses it; devices, switches and links need "
           "different "
           "names");
}

static void percentages_are_of_what_lies_beneath(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(&f,
                 "parameters: {cut: 4}\n"
                 "devices: {d: {count: 4, " TINY "}}\n"
                 "links: {a: {type: ethernet-10g, bandwidth: 50%, latency: 200%, from: \"d[i]\", to: "
                 "\"d[i+1]\", where: "
                 "\"i < 3\"}}\n"
                 "overrides: {\"a[1]\": {bandwidth: 100% / cut}, \"a[2]\": {bandwidth: 3 GB/s}}\n",
                 NULL);
    double whole = fixture_link(&f, "a[0]>")->bandwidth;
    assert_near(fixture_link(&f, "a[1]>")->bandwidth, whole / 4, 1e-6);
    fixture_fini(&f);
    fixture_load(&f,
                 "devices: {d: {count: 2, " TINY "}}\n"
                 "links: {a: {type: ethernet-10g, from: \"d[0]\", to: \"d[1]\"}}\n",
                 NULL);
    assert_near(fixture_link(&f, "a>")->bandwidth, 2 * whole, 1e-6);
    fixture_fini(&f);
    fixture_expect(
        "devices: {d: {count: 2, " TINY "}}\n"
        "links:\n  a: {bandwidth: 50%, from: \"d[0]\", to: \"d[1]\"}\n",
        NULL,
        "t.yaml:3:18: expected a bandwidth with its unit, such as 25 GB/s or 200 Gbps; '50%' needs a value, "
        "such as the type's, to be a share of");
    fixture_expect("devices: {d: {count: 2, " TINY "}}\n"
                   "links:\n  a: {type: ethernet-10g, bandwidth: 0%, from: \"d[0]\", to: \"d[1]\"}\n",
                   NULL, "t.yaml:3:38: the bandwidth of link 'a' must be more than 0; got 0 B/s");
}

static void a_message_pays_overhead_headers_and_the_small_message_curve(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(
        &f,
        "devices: {d: {count: 2, " TINY "}}\n"
        "links: {a: {bandwidth: 1 GB/s, efficiency: 0.8, count: 2, payload: 900 B, header: 100 B,\n"
        "            latency: 3 us, overhead: 2 us, half-size: 1440 B, from: \"d[0]\", to: \"d[1]\"}}\n",
        NULL);
    const struct link *link = fixture_link(&f, "a>");
    assert_near(link->bandwidth, 1.44e9, 1e-3);
    assert_near(link->latency, 3e-6 + 2e-6 + 1e-6, 1e-18);
    /* At the half size, bytes take as long again as the curve adds: half of the rate. */
    assert_near(1440 / link->bandwidth, link->latency - 5e-6, 1e-15);
    fixture_fini(&f);
    fixture_expect(
        "devices: {d: {count: 2, " TINY "}}\n"
        "links:\n  a: {bandwidth: 1 GB/s, header: 10 B, from: \"d[0]\", to: \"d[1]\"}\n",
        NULL, "t.yaml:3:18: link 'a' has packets with a 'header' but no 'payload', such as payload: 1460 B");
}

static void a_failed_link_carries_nothing(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(&f,
                 "devices: {d: {count: 4, " TINY "}}\n"
                 "links: {r: {bandwidth: 1 GB/s, latency: 1 us, from: \"d[i]\", to: \"d[(i+1)%4]\"}}\n"
                 "overrides: {\"r[0]\": {failed: yes}}\n",
                 NULL);
    assert_int_equal(f.platform.links.count, 6);
    assert_string_equal(fixture_route(&f, "d[0]", "d[1]"), "r[3]< r[2]< r[1]<");
    fixture_fini(&f);
}

static void wrong_variables_and_channels_are_reported(void **state)
{
    (void)state;
#define PAIR                                                                                                 \
    "devices: {d: {count: 2, " TINY "}}\nlinks:\n  a: {bandwidth: 1 GB/s, from: \"d[i]\", to: \"d[1]\", "
    fixture_expect(PAIR "for: {k: 1.5}}\n", NULL, "t.yaml:3:61: expected a whole number; got 1.5");
    fixture_expect(PAIR "for: {9: 2}}\n", NULL,
                   "t.yaml:3:58: expected a new name, of letters, digits and '_', for a variable; got '9'");
    fixture_expect(PAIR "channel: 1}\n", NULL,
                   "t.yaml:3:61: a channel needs mode: shared; the mode of 'a' is full-duplex");
    fixture_expect(PAIR "mode: shared, channel: i / 2 + 0.25}\n", NULL,
                   "t.yaml:3:75: expected a channel, a whole number from 0 on; 'i / 2 + 0.25' is 0.25");
    fixture_expect(PAIR "failed: perhaps}\n", NULL,
                   "t.yaml:3:60: expected yes or no; got the text 'perhaps'");
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    static const char *const files[] = {"box.yaml",   "pod.yaml",  "self.yaml",
                                        "again.yaml", "cell.yaml", "top.yaml"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_is_there_as_often_as_it_says),
        cmocka_unit_test(parts_nest_and_compute_with_parameters),
        cmocka_unit_test(plans_name_devices_in_parts),
        cmocka_unit_test(each_instance_has_its_own_medium),
        cmocka_unit_test(wrong_parts_are_reported_at_their_place),
        cmocka_unit_test(percentages_are_of_what_lies_beneath),
        cmocka_unit_test(a_message_pays_overhead_headers_and_the_small_message_curve),
        cmocka_unit_test(a_failed_link_carries_nothing),
        cmocka_unit_test(wrong_variables_and_channels_are_reported),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
