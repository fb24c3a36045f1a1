/* ASTRA-sim's analytical network. */
#include "import_fixture.h"

static void a_ring_and_a_switch_per_place(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "astra-ring-switch.yml", NULL);
    assert_int_equal(f.platform.devices.count, 8);
    /* 4 cables in each of 2 rings, 8 to switches, two directions each */
    assert_int_equal(f.platform.links.count, 2 * (8 + 8));
    assert_near(import_latency(&f, "npu[0,0]", "npu[0,1]"), 500e-9, 1e-20);
    assert_near(import_latency(&f, "npu[0,0]", "npu[0,3]"), 500e-9, 1e-20);
    assert_near(import_latency(&f, "npu[1,0]", "npu[1,2]"), 2 * 500e-9, 1e-20);
    assert_near(import_latency(&f, "npu[0,2]", "npu[1,2]"), 2 * 700e-9, 1e-20);
    assert_near(import_latency(&f, "npu[0,2]", "npu[1,3]"), 500e-9 + 2 * 700e-9, 1e-20);
    uint32_t count;
    const uint32_t *links = route_links(&f.platform, 0, 1, &count);
    assert_near(f.platform.links.at[links[0]].bandwidth, 50e9, 1e-5);
    links = route_links(&f.platform, 0, 4, &count);
    assert_int_equal(count, 2);
    assert_near(f.platform.links.at[links[0]].bandwidth, 25e9, 1e-5);
    fixture_fini(&f);
}

static void a_full_mesh_and_a_ring_of_two(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "astra-full.yml", NULL);
    assert_int_equal(f.platform.devices.count, 6);
    /* 3 cables in each of 2 meshes; a ring of two is one cable for each of 3 places */
    assert_int_equal(f.platform.links.count, 2 * (6 + 3));
    for (uint32_t d = 0; d < 6; d++)
        for (uint32_t e = 0; e < 6; e++) {
            uint32_t count;
            route_links(&f.platform, d, e, &count);
            assert_int_equal(count, (d / 3 != e / 3) + (d % 3 != e % 3));
        }
    fixture_fini(&f);
}

static void a_gigabyte_may_be_that_of_astra_sim(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "astra-full.yml", "gigabyte: 1 GiB");
    assert_near(f.platform.links.at[0].bandwidth, 100 * 1073741824.0, 1e-4);
    fixture_fini(&f);
}

static void every_small_network_is_connected(void **state)
{
    (void)state;
    static const char *const kinds[] = {"Ring", "FullyConnected", "Switch"};
    for (uint32_t a = 0; a < 3; a++)
        for (uint32_t b = 0; b < 3; b++)
            for (uint32_t n = 1; n <= 5; n++) {
                struct fixture f;
                char text[256];
                snprintf(
                    text, sizeof text,
                    "topology: [%s, %s]\nnpus_count: [%u, %u]\nbandwidth: [10, 20]\nlatency: [100, 200]\n",
                    kinds[a], kinds[b], n, 6 - n);
                assert_true(import_read_text(&f, &import_astra, "n.yml", text, strlen(text), NULL));
                for (uint32_t d = 0; d < f.platform.devices.count; d++)
                    for (uint32_t e = 0; e < f.platform.devices.count; e++) {
                        uint32_t count;
                        route_links(&f.platform, d, e, &count);
                        assert_int_not_equal(count, UINT32_MAX);
                    }
                fixture_fini(&f);
            }
}

static void what_is_not_said_or_not_used_is_said(void **state)
{
    (void)state;
    struct fixture f;
    const char *text = "topology: [Ring]\nnpus_count: [4]\nbandwidth: [10]\nlatency: [1]\nlink_count: [2]\n";
    assert_true(import_read_text(&f, &import_astra, "n.yml", text, strlen(text), NULL));
    assert_string_equal(fixture_messages(&f),
                        "n.yml:5:1: warning: 'link_count' of the ASTRA-sim network is not used\n"
                        "n.yml:1:1: warning: an ASTRA-sim network does not say what computes: the NPUs are "
                        "a100-sxm4-80gb unless the parameter 'device' says otherwise");
    fixture_fini(&f);
}

static void wrong_networks_are_reported(void **state)
{
    (void)state;
    static const struct {
        const char *text, *messages;
    } cases[] = {
        {"npus_count: [4]\n", "n.yml:1:1: 'topology' is missing in the ASTRA-sim network"},
        {"topology: [Ring]\nbandwidth: [1]\nlatency: [1]\n",
         "n.yml:1:1: 'npus_count' is missing in the ASTRA-sim network"},
        {"topology: [Ring, Switch]\nnpus_count: [4]\nbandwidth: [1, 1]\nlatency: [1, 1]\n",
         "n.yml:2:13: expected 2 values in 'npus_count', one for each dimension of 'topology'; got 1"},
        {"topology: [Ring]\nnpus_count: [4]\nbandwidth: [1, 1]\nlatency: [1]\n",
         "n.yml:3:12: expected 1 values in 'bandwidth', one for each dimension of 'topology'; got 2"},
        {"topology: [Rng]\nnpus_count: [4]\nbandwidth: [1]\nlatency: [1]\n",
         "n.yml:1:12: there is no ASTRA-sim topology 'Rng'; did you mean 'Ring'?"},
        {"topology: [Ring]\nnpus_count: [0]\nbandwidth: [1]\nlatency: [1]\n",
         "n.yml:2:14: expected a whole number of NPUs, at least 1; got the text '0'"},
        {"topology: [Ring]\nnpus_count: [2.5]\nbandwidth: [1]\nlatency: [1]\n",
         "n.yml:2:14: expected a whole number of NPUs, at most 1048576 in all; got '2.5'"},
        {"topology: [Ring, Ring]\nnpus_count: [4096, 4096]\nbandwidth: [1, 1]\nlatency: [1, 1]\n",
         "n.yml:2:20: expected a whole number of NPUs, at most 1048576 in all; got '4096'"},
        {"topology: [Ring]\nnpus_count: [4]\nbandwidth: [0]\nlatency: [-1]\n",
         "n.yml:3:13: expected a bandwidth in GB/s, more than 0; got the text '0'\n"
         "n.yml:4:11: expected a latency in nanoseconds, at least 0; got the text '-1'"},
        {"topology: [Ring]\nnpus_count: [4]\nbandwidth: [50 GB/s]\nlatency: [1]\n",
         "n.yml:3:13: expected a bandwidth in GB/s, more than 0; got the text '50 GB/s'"},
        {"topology: []\nnpus_count: []\nbandwidth: []\nlatency: []\n",
         "n.yml:1:11: expected 1 to 8 dimensions; got 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        import_expect(&import_astra, "n.yml", cases[i].text, cases[i].messages);
}

static void a_converted_network_is_the_same(void **state)
{
    (void)state;
    import_expect_round_trip("astra-ring-switch.yml");
    import_expect_round_trip("astra-full.yml");
}

static void mutated_networks_never_crash(void **state)
{
    (void)state;
    struct fixture f;
    static const char text[] = "topology: [ Ring, Switch ]\nnpus_count: [ 4, 2 ]\nbandwidth: [ 50.0, 25 ]\n"
                               "latency: [ 500.0, 700 ]\n";
    /* A mutation may make it another kind of file: then it is no network, which is no error either. */
    for (uint32_t seed = 0; seed < 200; seed++) {
        char bytes[sizeof text];
        memcpy(bytes, text, sizeof text);
        uint32_t state_of = seed * 2654435761u;
        for (uint32_t m = 0; m <= seed % 3; m++) {
            state_of = state_of * 1664525u + 1013904223u;
            bytes[(state_of >> 8) % (sizeof text - 1)] = " []{},:-0e9\nR%"[(state_of >> 4) % 14];
        }
        import_read_text(&f, &import_astra, "n.yml", bytes, strlen(bytes), NULL);
        fixture_fini(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_and_a_switch_per_place),
        cmocka_unit_test(a_full_mesh_and_a_ring_of_two),
        cmocka_unit_test(a_gigabyte_may_be_that_of_astra_sim),
        cmocka_unit_test(every_small_network_is_connected),
        cmocka_unit_test(what_is_not_said_or_not_used_is_said),
        cmocka_unit_test(wrong_networks_are_reported),
        cmocka_unit_test(a_converted_network_is_the_same),
        cmocka_unit_test(mutated_networks_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
