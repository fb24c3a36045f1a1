/* The output of `nvidia-smi topo -m`. */
#include "import_fixture.h"

static void gpus_with_more_nvlinks_than_they_have_share_a_switch(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "nvswitch.topo", NULL);
    assert_int_equal(f.platform.devices.count, 4);
    assert_string_equal(fixture_route(&f, "gpu[0]", "gpu[3]"), "nvlink-0> nvlink-3<");
    assert_near(fixture_link(&f, "nvlink-2>")->bandwidth, 12 * 25e9 * 0.783, 1e-3);
    assert_near(import_latency(&f, "gpu[1]", "gpu[2]"), 0.6e-6 + (2e-6 - 0.6e-6), 1e-18);
    fixture_fini(&f);
}

static void the_device_tells_the_generation(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "nvswitch.topo", "device: h100-sxm5-80gb");
    assert_string_equal(names_text(&f.names, fixture_type(&f, "gpu[0]")->name), "H100-SXM5-80GB");
    fixture_fini(&f);
    import_file(&f, "direct.txt", "device: p100-sxm2-16gb");
    double per_link = 20e9, efficiency = fixture_link(&f, "nvlink-1-3>")->bandwidth / per_link;
    assert_true(efficiency > 0.5 && efficiency <= 1);
    assert_near(fixture_link(&f, "nvlink-0-1<")->bandwidth, 2 * per_link * efficiency, 1);
    fixture_fini(&f);
}

static void direct_nvlinks_are_routes_of_one_cable(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "direct.txt", NULL);
    assert_string_equal(fixture_route(&f, "gpu[0]", "gpu[1]"), "nvlink-0-1>");
    assert_string_equal(fixture_route(&f, "gpu[3]", "gpu[1]"), "nvlink-1-3<");
    assert_near(fixture_link(&f, "nvlink-0-1>")->bandwidth, 2 * 25e9 * 0.783, 1e-3);
    fixture_fini(&f);
}

static void the_rest_goes_over_a_tree_of_pcie(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "direct.txt", NULL);
    /* GPU0 is a switch below the host bridge (PIX with the NIC), GPU2 at the bridge, GPU3 at another of the
     * node. */
    assert_string_equal(fixture_route(&f, "gpu[0]", "gpu[2]"),
                        "pcie-switch-0-port-0> host-bridge-0-port-0> host-bridge-0-port-2<");
    assert_string_equal(
        fixture_route(&f, "gpu[0]", "gpu[3]"),
        "pcie-switch-0-port-0> host-bridge-0-port-0> numa-node-0-port-0> numa-node-0-port-3<");
    assert_near(import_latency(&f, "gpu[0]", "gpu[2]"), 1.1e-6 + 0.15e-6 + 5.7e-6, 1e-18);
    assert_near(fixture_link(&f, "host-bridge-0-port-2<")->bandwidth, 31.5e9 * 0.794, 1e-3);
    fixture_fini(&f);
}

static void sockets_are_joined_by_their_interconnect(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "nvswitch.topo", "socket: 20 GB/s");
    assert_near(fixture_link(&f, "sockets-0-port-0>")->bandwidth, 20e9, 0);
    fixture_fini(&f);
}

static void it_is_said_that_rates_are_assumed(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "nvswitch.topo", NULL);
    assert_string_equal(
        fixture_messages(&f),
        "nvswitch.topo:1:2: warning: nvidia-smi tells no rates: they are those of the link types that the "
        "topology's parameters name, and the GPUs are 'a100-sxm4-80gb' unless the parameter 'device' "
        "says otherwise");
    fixture_fini(&f);
}

static void one_gpu_is_a_topology(void **state)
{
    (void)state;
    struct fixture f;
    const char *text = "\tGPU0\tCPU Affinity\nGPU0\t X \t0-7\n";
    assert_true(import_read_text(&f, &import_nvidia, "t.topo", text, strlen(text), NULL));
    assert_int_equal(f.platform.devices.count, 1);
    fixture_fini(&f);
}

static void wrong_matrices_are_reported(void **state)
{
    (void)state;
    static const struct {
        const char *text, *messages;
    } cases[] = {
        {"",
         "t.topo:1:1: expected the output of `nvidia-smi topo -m`: there is no line that starts with GPU0"},
        {"No devices were found\n",
         "t.topo:1:1: expected the output of `nvidia-smi topo -m`: there is no line that starts with GPU0"},
        {"\tGPU0\tGPU1\nGPU0\t X \tNV4\n",
         "t.topo:2:1: the matrix ends after 1 of 2 rows: that of 'GPU1' is missing"},
        {"\tGPU0\tGPU1\nGPU0\t X \tNV4\n\nLegend:\n",
         "t.topo:4:1: the matrix ends after 1 of 2 rows: that of 'GPU1' is missing"},
        {"\tGPU0\tGPU1\nGPU0\t X \tNV4\nGPU1\tNV4\n",
         "t.topo:3:1: the row of 'GPU1' has 1 cells; the matrix has 2 columns"},
        {"\tGPU0\tGPU1\nGPU0\t X \tNV4\nGPU2\tNV4\t X \n",
         "t.topo:3:1: expected the row of 'GPU1'; got 'GPU2'"},
        {"\tGPU0\tGPU2\nGPU0\t X \tNV4\n", "t.topo:1:7: expected the column GPU1; got 'GPU2'"},
        {"\tGPU0\tGPU1\nGPU0\t X \tPXI\nGPU1\tPIX\t X \n",
         "t.topo:2:10: expected X, NV#, PIX, PXB, PHB, NODE or SYS; got 'PXI'; did you mean 'PIX'?"},
        {"\tGPU0\tGPU1\nGPU0\t X \tNV4\nGPU1\tNV2\t X \n",
         "t.topo:3:6: 'GPU1' to 'GPU0' is NV2, but back it is not: the matrix must be symmetric"},
        {"\tGPU0\tGPU1\nGPU0\tPIX\t X \nGPU1\tPIX\t X \n",
         "t.topo:2:6: expected X just where a row meets its own column; got 'PIX'"},
        {"\tGPU0\tNIC0\nGPU0\t X \tNV4\nNIC0\tNV4\t X \n", "t.topo:2:10: NVLinks join GPUs; 'NIC0' is none"},
        {"\tGPU0\tNIC0\tNIC0\n", "t.topo:1:12: two columns are called 'NIC0'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        import_expect(&import_nvidia, "t.topo", cases[i].text, cases[i].messages);
}

static void a_converted_server_is_the_same(void **state)
{
    (void)state;
    import_expect_round_trip("nvswitch.topo");
    import_expect_round_trip("direct.txt");
}

static void mutated_matrices_never_crash(void **state)
{
    (void)state;
    import_mutate_file(&import_nvidia, "nvswitch.topo");
    import_mutate_file(&import_nvidia, "direct.txt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpus_with_more_nvlinks_than_they_have_share_a_switch),
        cmocka_unit_test(the_device_tells_the_generation),
        cmocka_unit_test(direct_nvlinks_are_routes_of_one_cable),
        cmocka_unit_test(the_rest_goes_over_a_tree_of_pcie),
        cmocka_unit_test(sockets_are_joined_by_their_interconnect),
        cmocka_unit_test(it_is_said_that_rates_are_assumed),
        cmocka_unit_test(one_gpu_is_a_topology),
        cmocka_unit_test(wrong_matrices_are_reported),
        cmocka_unit_test(a_converted_server_is_the_same),
        cmocka_unit_test(mutated_matrices_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
