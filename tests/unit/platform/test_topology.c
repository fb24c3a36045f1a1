#include "platform_fixture.h"

#define DEVICES(n) "devices: {d: {count: " n ", " TINY "}}\n"

static void parameters_are_set_by_the_workload(void **state)
{
    (void)state;
    static const char *const text = "parameters: {nodes: 2, all: nodes * 3, device: t4}\n"
                                    "devices: {d: {type: device, count: [nodes, all]}}\n"
                                    "links: {c: {type: nvlink3, from: \"d[i,j]\", to: \"d[i,(j+1)%all]\"}}\n";
    struct fixture f;
    fixture_load(&f, text, NULL);
    assert_int_equal(f.platform.devices.count, 12);
    assert_string_equal(names_text(&f.names, fixture_type(&f, "d[1,5]")->name), "T4");
    fixture_fini(&f);
    fixture_load(&f, text, "{nodes: 1, device: v100-sxm2-16gb}");
    assert_int_equal(f.platform.devices.count, 3);
    assert_string_equal(names_text(&f.names, fixture_type(&f, "d[0,2]")->name), "V100-SXM2-16GB");
    fixture_fini(&f);
}

static void a_changed_document_is_a_changed_platform(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    const char *path = document_find(&f.input, "topologies", "raspberry-pi-wifi", (struct place){0});
    struct value *document = document_load(&f.input, path);
    assert_true(document_set(&f.input, document, "parameters.devices", "6"));
    assert_true(document_set(&f.input, document, "links.wifi.bandwidth", "54 Mbps"));
    assert_true(topology_read(&f.input, document, NULL, &f.platform));
    assert_int_equal(f.platform.devices.count, 7);
    assert_near(fixture_link(&f, "wifi")->bandwidth, 54e6 / 8, 0);
    fixture_fini(&f);
}

static void an_index_variable_runs_over_the_array(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(
        &f,
        "devices: {d: {count: [2, 3], " TINY "}}\nswitches: {s: {count: 2}}\n"
        "links: {c: {bandwidth: 10 GB/s, efficiency: 50%, count: 3, latency: 2 us, from: \"d[n,g]\", to: "
        "\"s[n]\"}}\n",
        NULL);
    assert_int_equal(f.platform.links.count, 12);
    assert_int_equal(f.platform.arcs.count, 12);
    assert_string_equal(names_text(&f.names, f.platform.links.at[10].name), "c[1,2]>");
    assert_string_equal(names_text(&f.names, f.platform.links.at[11].name), "c[1,2]<");
    assert_string_equal(names_text(&f.names, f.platform.links.at[11].group), "c");
    assert_near(f.platform.links.at[10].bandwidth, 15e9, 0);
    assert_near(f.platform.links.at[10].latency, 2e-6, 0);
    assert_string_equal(fixture_route(&f, "d[1,0]", "d[1,2]"), "c[1,0]> c[1,2]<");
    assert_string_equal(fixture_route(&f, "d[0,0]", "d[1,0]"), "none");
    fixture_fini(&f);
}

static void a_variable_of_to_alone_runs_over_its_array(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(
        &f,
        DEVICES("5") "links: {mesh: {bandwidth: 1 GB/s, from: \"d[i]\", to: \"d[j]\", where: \"i < j\"}}\n",
        NULL);
    assert_int_equal(f.platform.links.count, 5 * 4);
    assert_string_equal(fixture_route(&f, "d[1]", "d[3]"), "mesh[1,3]>");
    assert_string_equal(fixture_route(&f, "d[3]", "d[1]"), "mesh[1,3]<");
    fixture_fini(&f);
}

static void a_torus_is_two_patterns(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(&f,
                 "parameters: {w: 4, h: 3}\ndevices: {d: {count: [w, h], " TINY "}}\n"
                 "links:\n"
                 "  x: {bandwidth: 1 GB/s, from: \"d[i,j]\", to: \"d[(i+1)%w,j]\"}\n"
                 "  y: {bandwidth: 1 GB/s, from: \"d[i,j]\", to: \"d[i,(j+1)%h]\"}\n",
                 NULL);
    assert_int_equal(f.platform.links.count, 2 * 2 * 12);
    assert_string_equal(fixture_route(&f, "d[0,0]", "d[3,2]"), "y[0,2]< x[3,2]<");
    fixture_fini(&f);
}

static void a_ring_of_one_has_no_link(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(&f, DEVICES("1") "links: {r: {bandwidth: 1 GB/s, from: \"d[i]\", to: \"d[(i+1)%1]\"}}\n",
                 NULL);
    assert_int_equal(f.platform.links.count, 0);
    fixture_fini(&f);
}

static void what_a_link_says_lies_over_its_type(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(&f,
                 DEVICES("3") "links:\n"
                              "  plain: {type: ethernet-1g, from: \"d[0]\", to: \"d[1]\"}\n"
                              "  fast: {type: ethernet-1g, bandwidth: 2 Gbps, from: \"d[1]\", to: \"d[2]\"}\n"
                              "  phone: {type: lte-cat4-downlink, from: \"d[0]\", to: \"d[2]\"}\n",
                 NULL);
    assert_near(fixture_link(&f, "plain>")->bandwidth, 117e6, 1);
    assert_near(fixture_link(&f, "plain<")->latency, 50e-6, 0);
    assert_near(fixture_link(&f, "fast>")->bandwidth, 234e6, 1);
    assert_near(fixture_link(&f, "phone>")->bandwidth, 150e6 / 8 * 0.24, 1);
    assert_near(fixture_link(&f, "phone<")->bandwidth, 50e6 / 8 * 0.23, 1);
    fixture_fini(&f);
}

static void overrides_change_single_devices_and_links(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(&f,
                 "devices: {gpu: {type: t4, count: [2, 3]}}\nswitches: {s: }\n"
                 "links:\n"
                 "  c: {bandwidth: 10 GB/s, from: \"gpu[n,g]\", to: s}\n"
                 "  air: {bandwidth: 1 Mbps, mode: shared, stations: gpu}\n"
                 "overrides:\n"
                 "  \"gpu[1,2]\": {speed: 0.5}\n"
                 "  \"gpu[0,*]\": {type: l4, with: {memory: 12 GB}}\n"
                 "  \"c[0,1]\": {bandwidth: 1 GB/s}\n"
                 "  \"c[1,0..1]\": {reverse: {bandwidth: 3 GB/s}}\n"
                 "  air: {latency: 1 ms}\n",
                 NULL);
    assert_near(f.platform.devices.at[fixture_device(&f, "gpu[1,2]")].speed, 0.5, 0);
    assert_near(f.platform.devices.at[fixture_device(&f, "gpu[1,1]")].speed, 1, 0);
    assert_string_equal(names_text(&f.names, fixture_type(&f, "gpu[0,1]")->name), "L4 (changed)");
    assert_near(fixture_type(&f, "gpu[0,1]")->memory, 12e9, 0);
    assert_string_equal(names_text(&f.names, fixture_type(&f, "gpu[1,1]")->name), "T4");
    assert_int_equal(f.platform.device_types.count, 2);
    assert_near(fixture_link(&f, "c[0,1]>")->bandwidth, 1e9, 0);
    assert_near(fixture_link(&f, "c[0,1]<")->bandwidth, 1e9, 0);
    assert_near(fixture_link(&f, "c[1,1]>")->bandwidth, 10e9, 0);
    assert_near(fixture_link(&f, "c[1,1]<")->bandwidth, 3e9, 0);
    assert_near(fixture_link(&f, "c[1,2]<")->bandwidth, 10e9, 0);
    assert_near(fixture_link(&f, "air")->latency, 1e-3, 0);
    fixture_fini(&f);
}

static void a_device_may_be_described_in_place(void **state)
{
    (void)state;
    struct fixture f;
    fixture_load(&f,
                 "devices: {toy: {" TINY "}, other: {type: t4, with: {efficiency: {conv: 0.9}}}}\n"
                 "links: {c: {bandwidth: 1 GB/s, from: toy, to: other}}\n",
                 NULL);
    assert_string_equal(names_text(&f.names, fixture_type(&f, "toy")->name), "toy");
    assert_near(fixture_type(&f, "toy")->peak[FP32], 1e12, 0);
    assert_near(fixture_type(&f, "toy")->efficiency[KERNEL_MATMUL], 1, 0);
    assert_near(fixture_type(&f, "other")->efficiency[KERNEL_CONV], 0.9, 0);
    assert_near(fixture_type(&f, "other")->peak[FP16], 65e12, 0);
    fixture_fini(&f);
}

static void wrong_devices_are_reported(void **state)
{
    (void)state;
    fixture_expect("devices: {}\n", NULL, "t.yaml:1:10: the topology has no devices");
    fixture_expect("name: x\n", NULL, "t.yaml:1:1: the topology has no devices");
    fixture_expect("devices: {d: {count: 0, type: t4}}\n", NULL, "t.yaml:1:10: the topology has no devices");
    fixture_expect(
        "devices:\n  d: {type: a100-sxm4-80g}\n", NULL,
        "t.yaml:2:13: there is no 'a100-sxm4-80g' beside this file, in the working directory or in "
        "topologies/devices; did you mean 'a100-sxm4-80gb'?");
    fixture_expect(
        "devices:\n  d: {}\n", NULL,
        "t.yaml:2:3: the device 'd' has no type: it needs a 'type' (a file of topologies/devices) or a "
        "'with' that says everything");
    fixture_expect(
        "devices:\n  d: {with: {memory: 1 GB}}\n", NULL,
        "t.yaml:2:3: 'd' has no peak rate: it needs one data type under 'peak', such as peak: {fp32: 10 "
        "TFLOP/s}");
    fixture_expect("devices:\n  d: {with: {peak: {fp32: 1 TFLOP/s}, memory: 1 GB}}\n", NULL,
                   "t.yaml:2:3: 'd' has no 'memory-bandwidth', such as memory-bandwidth: 100 GB/s");
    fixture_expect("devices:\n  d: {type: t4, sped: 0.5}\n", NULL,
                   "t.yaml:2:17: unknown key 'sped' in the device entry 'd'; did you mean 'speed'?");
    fixture_expect("devices:\n  d: {type: t4, speed: 0}\n", NULL,
                   "t.yaml:2:24: expected a speed of more than 0; got '0'");
    fixture_expect("devices:\n  d: {type: t4, with: {efficiency: {conv: 0}}}\n", NULL,
                   "t.yaml:2:13: the efficiency of 'T4 (changed)' for conv must be more than 0");
    fixture_expect("devices:\n  d: {type: t4}\nswitches:\n  d:\n", NULL,
                   "t.yaml:4:3: the name 'd' is taken: line 2 uses it; devices, switches and links "
                   "need different names");
    fixture_expect(
        "devices:\n  \"d[0]\": {type: t4}\n", NULL,
        "t.yaml:2:3: expected the name of a device: a letter, then letters, digits, '_' or '-'; got "
        "'d[0]'");
    fixture_expect("devices:\n  d: {type: t4, count: [2, 1.5]}\n", NULL,
                   "t.yaml:2:28: expected a whole number; got 1.5");
}

static void wrong_parameters_are_reported(void **state)
{
    (void)state;
    static const char *const text = "parameters: {nodes: 2, device: t4}\n"
                                    "devices: {d: {type: device, count: nodes}}\n";
    fixture_expect(text, "nods: 3",
                   "set.yaml:1:1: there is no parameter of the topology 'nods'; did you mean 'nodes'?");
    fixture_expect(text, "nodes: t4",
                   "set.yaml:1:8: parameter 'nodes' is a number, by default '2'; got 't4'");
    fixture_expect(text, "device: 3", "set.yaml:1:9: parameter 'device' is a text, by default 't4'; got '3'");
    fixture_expect(text, "nodes: [1]", "set.yaml:1:8: expected a number or a text for 'nodes'; got a list");
    fixture_expect("devices: {d: {type: t4, count: 1}}\n", "nodes: 3",
                   "set.yaml:1:1: there is no parameter of the topology 'nodes'");
}

static void wrong_links_are_reported(void **state)
{
    (void)state;
#define LINK(text) DEVICES("3") "switches: {s: {count: 2}}\nlinks:\n  c: {" text "}\n"
    fixture_expect(LINK("type: nvlnk3, from: \"d[i]\", to: \"s[0]\""), NULL,
                   "t.yaml:4:13: there is no 'nvlnk3' beside this file, in the working directory or in "
                   "topologies/links; did you mean 'nvlink3'?");
    fixture_expect(
        LINK("from: \"d[i]\", to: \"s[0]\""), NULL,
        "t.yaml:4:3: link 'c' has no bandwidth: it needs a 'type' or a 'bandwidth', such as 10 GB/s");
    fixture_expect(LINK("bandwidth: 0 GB/s, from: \"d[i]\", to: \"s[0]\""), NULL,
                   "t.yaml:4:18: the bandwidth of link 'c' must be more than 0; got 0 B/s");
    fixture_expect(LINK("bandwidth: -1 GB/s, from: \"d[i]\", to: \"s[0]\""), NULL,
                   "t.yaml:4:18: the bandwidth of link 'c' must be more than 0; got -1e+09 B/s");
    fixture_expect(LINK("bandwidth: 1 GB/s, from: \"d[i]\", to: \"sw[0]\""), NULL,
                   "t.yaml:4:45: there is no device or switch 'sw'; did you mean 's'?");
    fixture_expect(LINK("bandwidth: 1 GB/s, from: \"d[i]\", to: s"), NULL,
                   "t.yaml:4:44: 's' has one index; got 's'");
    fixture_expect(LINK("bandwidth: 1 GB/s, from: \"d[i,j]\", to: \"s[0]\""), NULL,
                   "t.yaml:4:33: 'd' has one index; got 'd[i,j]'");
    fixture_expect(LINK("bandwidth: 1 GB/s, from: \"d[i]\", to: \"s[i]\""), NULL,
                   "t.yaml:4:47: there is no 's[i]', needed by link 'c[2]' (i = 2): it goes from 0 to 1");
    fixture_expect(
        LINK("bandwidth: 1 GB/s, from: \"d[i]\", to: \"s[i-1]\""), NULL,
        "t.yaml:4:47: there is no 's[i-1]', needed by link 'c[0]' (i-1 = -1): it goes from 0 to 1");
    fixture_expect(LINK("bandwidth: 1 GB/s, from: \"d[i]\", to: \"s[i/2]\""), NULL,
                   "t.yaml:4:47: expected a whole number as an index; 'i/2' is 0.5 for link 'c[1]'");
    fixture_expect(LINK("bandwidth: 1 GB/s, from: \"d[i\", to: \"s[0]\""), NULL,
                   "t.yaml:4:33: expected NAME or NAME[INDEX, …]; got 'd[i'");
    fixture_expect(LINK("bandwidth: 1 GB/s, from: \"d[i]\", to: \"s[0]\", where: \"k < 2\""), NULL,
                   "t.yaml:4:60: unknown name 'k'");
    fixture_expect(LINK("bandwidth: 1 GB/s, from: \"d[i]\""), NULL,
                   "t.yaml:4:3: link 'c' needs 'from' and 'to', or 'stations'");
    fixture_expect(
        LINK("type: wifi-5, from: \"d[i]\", to: \"s[0]\""), NULL,
        "t.yaml:4:3: link 'c' is a shared medium: it needs 'stations' instead of 'from' and 'to' (a cable "
        "that both directions share is mode: half-duplex)");
    fixture_expect(LINK("bandwidth: 1 GB/s, stations: d"), NULL,
                   "t.yaml:4:3: link 'c' has 'stations', which need mode: shared; its mode is full-duplex");
    fixture_expect(
        LINK("type: wifi-5, stations: d, from: s"), NULL,
        "t.yaml:4:3: link 'c' has 'stations' (one shared medium) and 'from' or 'to' (cables); it can be "
        "only one of them");
    fixture_expect(LINK("type: wifi-5, stations: [\"d[*]\", \"d[1]\"]"), NULL,
                   "t.yaml:4:41: the station 'd[1]' is named twice");
    fixture_expect(LINK("type: wifi-5, stations: \"d[0..3]\""), NULL,
                   "t.yaml:4:34: there is no 'd[0..3]': it goes from 0 to 2");
    fixture_expect(LINK("type: wifi-5, stations: d, access-point: s"), NULL,
                   "t.yaml:4:48: expected one access point; 's' names 2");
    fixture_expect(LINK("type: wifi-5, stations: d, access-point: \"d[0]\""), NULL,
                   "t.yaml:4:48: the access point 'd[0]' is one of the stations too");
    fixture_expect(LINK("type: wifi-5, stations: d, reverse: {bandwidth: 1 Mbps}"), NULL,
                   "t.yaml:4:43: 'reverse' needs mode: full-duplex; a shared link has one capacity for every "
                   "direction");
}

static void wrong_overrides_are_reported(void **state)
{
    (void)state;
#define OVER(text)                                                                                           \
    DEVICES("3")                                                                                             \
    "switches: {s: }\nlinks: {c: {bandwidth: 1 GB/s, from: \"d[i]\", to: s, where: \"i < 2\"}}\n"            \
    "overrides:\n  " text "\n"
    fixture_expect(OVER("\"e[0]\": {speed: 2}"), NULL,
                   "t.yaml:5:3: there is no device or link 'e'; expected one of d, s, c");
    fixture_expect(OVER("\"d[3]\": {speed: 2}"), NULL, "t.yaml:5:5: there is no 'd[3]': it goes from 0 to 2");
    fixture_expect(OVER("\"c[2]\": {count: 2}"), NULL, "t.yaml:5:3: there is no link 'c[2]' to override");
    fixture_expect(OVER("\"c[0,1]\": {count: 2}"), NULL, "t.yaml:5:3: 'c' has one index; got 'c[0,1]'");
    fixture_expect(OVER("\"c[0]\": {bandwidth: 0 B/s}"), NULL,
                   "t.yaml:5:3: the bandwidth of link 'c[0]' must be more than 0; got 0 B/s");
    fixture_expect(OVER("\"c[0]\": {speed: 2}"), NULL,
                   "t.yaml:5:12: unknown key 'speed' in the override of 'c[0]'");
    fixture_expect(OVER("\"d[0]\": {count: 2}"), NULL,
                   "t.yaml:5:12: unknown key 'count' in the override of 'd[0]'; expected one of type, speed, "
                   "forward, role, with");
}

static void a_device_without_a_link_is_a_warning(void **state)
{
    (void)state;
    fixture_expect("devices: {a: {count: 4, " TINY "}, b: {" TINY "}}\n"
                   "links: {c: {bandwidth: 1 GB/s, from: \"a[0]\", to: \"a[1]\"}}\n",
                   NULL,
                   "t.yaml:1:11: warning: the device 'a[2]' has no link, nor have 1 more of 'a'\n"
                   "t.yaml:1:101: warning: the device 'b' has no link");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_set_by_the_workload),
        cmocka_unit_test(a_changed_document_is_a_changed_platform),
        cmocka_unit_test(an_index_variable_runs_over_the_array),
        cmocka_unit_test(a_variable_of_to_alone_runs_over_its_array),
        cmocka_unit_test(a_torus_is_two_patterns),
        cmocka_unit_test(a_ring_of_one_has_no_link),
        cmocka_unit_test(what_a_link_says_lies_over_its_type),
        cmocka_unit_test(overrides_change_single_devices_and_links),
        cmocka_unit_test(a_device_may_be_described_in_place),
        cmocka_unit_test(wrong_devices_are_reported),
        cmocka_unit_test(wrong_parameters_are_reported),
        cmocka_unit_test(wrong_links_are_reported),
        cmocka_unit_test(wrong_overrides_are_reported),
        cmocka_unit_test(a_device_without_a_link_is_a_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
