/* Chakra traces replayed on the engine: the samples of their tools, traces made by hand with known times, and
 * the complaints about what does not fit. */
#define _GNU_SOURCE /* mkdtemp */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "traces.h"

#include <zlib.h>

#define SAMPLES PARTITA_SOURCE "/../shared/traces/chakra"

/* 10 GB/s and 2 us from a device to the switch and as much to the next device. */
static const char *const bare[] = {"links.cable.bandwidth=10 GB/s", "links.cable.efficiency=1",
                                   "links.cable.latency=1 us",      "links.cable.overhead=0 s",
                                   "links.cable.protocols=none",    "trace.compute=recorded"};
enum { BARE = sizeof bare / sizeof bare[0] };
#define LATENCY 2e-6
#define BANDWIDTH 10e9

static void assert_near(double got, double wanted)
{
    if (!(fabs(got - wanted) <= 1e-12 * fabs(wanted)))
        fail_msg("got %.17g, expected %.17g", got, wanted);
}

static void expect_complaint(const char *wanted)
{
    assert_int_equal(replay(NULL, "star", bare, BARE), PARTITA_BAD_INPUT);
    if (!strstr(complaints, wanted))
        fail_msg("got '%s', expected '%s' in it", complaints, wanted);
}

static void need_samples(void)
{
    if (access(SAMPLES "/README.md", R_OK) != 0) {
        print_message("the sample traces are not at %s\n", SAMPLES);
        skip();
    }
}

static void every_sample_trace_replays(void **state)
{
    (void)state;
    static const char *const samples[] = {"microbenchmarks/all_gather/4npus_1MB",
                                          "microbenchmarks/all_reduce/4npus_1MB",
                                          "microbenchmarks/all_reduce/8npus_1MB",
                                          "microbenchmarks/all_to_all/4npus_1MB",
                                          "microbenchmarks/reduce_scatter/4npus_1MB",
                                          "custom_ring_allreduce_8npus_1MB",
                                          "stg_gpt_dp8"};
    static const char *const copy = "trace.missing=copy"; /* the last one has files of 2 ranks of 8 */
    need_samples();
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", SAMPLES, samples[i]);
        if (replay(path, "dgx-h100", &copy, 1) != PARTITA_OK)
            fail_msg("%s: %s", samples[i], complaints);
        assert_true(reported("step_time_s") > 0);
    }
}

/* A collective alone on a star whose cables are the bottleneck: closed forms of the ring. The bytes that
 * Chakra states are one rank's input. */
static void sample_collectives_take_their_closed_forms(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        double rounds, share; /* of the stated bytes, in each round */
    } cases[] = {{"all_gather/4npus_1MB", 3, 1},
                 {"all_reduce/4npus_1MB", 6, 1.0 / 4},
                 {"all_reduce/8npus_1MB", 14, 1.0 / 8},
                 {"reduce_scatter/4npus_1MB", 3, 1.0 / 4}};
    need_samples();
    const char *sets[BARE + 1];
    memcpy(sets, bare, sizeof bare);
    sets[BARE] = "network.algorithm=ring";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/microbenchmarks/%s", SAMPLES, cases[i].path);
        assert_int_equal(replay(path, "star", sets, BARE + 1), PARTITA_OK);
        assert_near(reported("step_time_s"),
                    cases[i].rounds * (LATENCY + cases[i].share * 1048576 / BANDWIDTH));
    }
}

/* The sample spells a ring out in sends and receives; its 7 reductions of 7 us are the only difference. */
static void the_ring_in_messages_equals_our_own_ring_step_by_step(void **state)
{
    (void)state;
    need_samples();
    const char *sets[BARE + 2];
    memcpy(sets, bare, sizeof bare);
    sets[BARE] = "network.algorithm=ring";
    sets[BARE + 1] = "network.collectives=steps";
    assert_int_equal(replay(SAMPLES "/microbenchmarks/all_reduce/8npus_1MB", "star", sets, BARE + 2),
                     PARTITA_OK);
    double own = reported("step_time_s");
    assert_int_equal(replay(SAMPLES "/custom_ring_allreduce_8npus_1MB", "star", sets, BARE + 2), PARTITA_OK);
    double recorded = reported("step_time_s");
    sets[BARE - 1] = "trace.compute=roofline"; /* the reductions state no operations */
    assert_int_equal(replay(SAMPLES "/custom_ring_allreduce_8npus_1MB", "star", sets, BARE + 2), PARTITA_OK);
    assert_near(reported("step_time_s"), own);
    assert_near(recorded, own + 7 * 7e-6);
}

/* 16 layers, gradients synchronised while the backward pass goes on: nobody waits for anything else. */
static void compute_and_exposed_communication_of_the_gpt_trace_add_up(void **state)
{
    (void)state;
    static const char *const sets[] = {"trace.missing=copy", "precision=bf16"};
    need_samples();
    assert_int_equal(replay(SAMPLES "/stg_gpt_dp8", "dgx-h100", sets, 2), PARTITA_OK);
    double compute_s = reported("compute_s"), exposed = reported("exposed_communication_s");
    assert_true(compute_s > 0 && exposed > 0);
    if (fabs(compute_s + exposed - reported("step_time_s")) > 1e-9 * reported("step_time_s"))
        fail_msg("%.17g + %.17g, expected %.17g", compute_s, exposed, reported("step_time_s"));
}

/* Two ranks, each: compute 10 us, then all-reduce, then compute 5 us; identities in no order. */
static void dependencies_of_any_order_are_kept(void **state)
{
    (void)state;
    empty_folder();
    for (uint32_t rank = 0; rank < 2; rank++) {
        begin_rank();
        compute(0, "last", 5);
        waits_for(7);
        collective(7, "sum", 0, 1000000);
        wire_put_bytes(&node_message, CHAKRA_CONTROL_DEPENDENCIES, "\x03", 1); /* packed */
        compute(3, "first", 10);
        end_rank(rank);
    }
    assert_int_equal(replay(NULL, "star", bare, BARE), PARTITA_OK);
    assert_near(reported("step_time_s"), 15e-6 + 2 * (LATENCY + 500000 / BANDWIDTH));
}

/* Every kind of integer that an attribute can have. */
static void sizes_of_every_kind_of_integer_mean_the_same(void **state)
{
    (void)state;
    enum { SIZE = 123456 };
    static const struct {
        uint32_t field;
        enum wire_type type;
        bool zigzag;
    } kinds[] = {{7, WIRE_VARINT, false},  {9, WIRE_VARINT, false}, {11, WIRE_VARINT, false},
                 {13, WIRE_VARINT, false}, {15, WIRE_VARINT, true}, {17, WIRE_VARINT, true},
                 {19, WIRE_32, false},     {21, WIRE_64, false},    {23, WIRE_32, false},
                 {25, WIRE_64, false}};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        empty_folder();
        for (uint32_t rank = 0; rank < 2; rank++) {
            struct wire_buffer value = {0};
            begin_rank();
            begin_node(1, rank ? TRACE_RECEIVE : TRACE_SEND, "message");
            integer(rank ? "comm_src" : "comm_dst", !rank);
            wire_put_varint(&value, kinds[k].field << 3 | kinds[k].type);
            if (kinds[k].type == WIRE_VARINT)
                wire_put_varint(&value, kinds[k].zigzag ? 2 * SIZE : SIZE);
            for (unsigned i = 0; kinds[k].type != WIRE_VARINT && i < (kinds[k].type == WIRE_64 ? 8 : 4); i++)
                VECTOR_PUSH(&value, (uint8_t)((uint64_t)SIZE >> 8 * i));
            put_attribute("comm_size", &value);
            VECTOR_FREE(&value);
            end_rank(rank);
        }
        assert_int_equal(replay(NULL, "star", bare, BARE), PARTITA_OK);
        assert_near(reported("step_time_s"), LATENCY + SIZE / BANDWIDTH);
    }
}

/* Rank 0 could compute `late` first by its number, but `late` waits for an answer to what `early` sends. */
static void in_order_streams_add_no_deadlock(void **state)
{
    (void)state;
    empty_folder();
    begin_rank();
    message(1, "answer", true, 1, 5, 0);
    compute(2, "late", 10);
    waits_for(1);
    compute(3, "early", 20);
    message(4, "question", false, 1, 5, 0);
    waits_for(3);
    end_rank(0);
    begin_rank();
    message(1, "question", true, 0, 5, 0);
    message(2, "answer", false, 0, 5, 0);
    waits_for(1);
    end_rank(1);
    assert_int_equal(replay(NULL, "star", bare, BARE), PARTITA_OK);
    assert_near(reported("step_time_s"), 30e-6 + 2 * LATENCY);
}

/* Pairs of ranks in groups of their own reduce at the same time; the groups' file lies beside the trace. */
static void process_groups_say_who_takes_part(void **state)
{
    (void)state;
    static const char groups[] = "{\"1\": [0, 1], \"2\": [2, 3]}";
    empty_folder();
    write_bytes("t.json", groups, sizeof groups - 1);
    for (uint32_t rank = 0; rank < 4; rank++) {
        begin_rank();
        collective(1, "pair", 0, 1000000);
        text("pg_name", rank < 2 ? "1" : "2");
        collective(2, "all", 0, 4000000);
        waits_for(1);
        end_rank(rank);
    }
    assert_int_equal(replay(NULL, "star", bare, BARE), PARTITA_OK);
    assert_near(reported("step_time_s"),
                2 * (LATENCY + 500000 / BANDWIDTH) + 6 * (LATENCY + 1000000 / BANDWIDTH));
}

/* The same groups in a metadata node, as PyTorch writes them. */
static void process_groups_are_read_from_metadata(void **state)
{
    (void)state;
    static const char list[] =
        "[\"[{\\\"pg_name\\\": \\\"7\\\", \\\"ranks\\\": [0, 1], \\\"group_size\\\": 2}]\"]";
    empty_folder();
    for (uint32_t rank = 0; rank < 3; rank++) {
        struct wire_buffer values = {0};
        begin_rank();
        begin_node(1, TRACE_METADATA, "## process_group:init ##");
        wire_put_bytes(&values, CHAKRA_VALUES, list, sizeof list - 1);
        wire_put_bytes(&node_message, CHAKRA_INPUTS, values.at, values.count);
        VECTOR_FREE(&values);
        if (rank < 2) {
            collective(2, "pair", 0, 1000000);
            waits_for(1);
            text("pg_name", "7");
        } else {
            compute(2, "alone", 1);
        }
        end_rank(rank);
    }
    assert_int_equal(replay(NULL, "star", bare, BARE), PARTITA_OK);
    assert_near(reported("step_time_s"), 2 * (LATENCY + 500000 / BANDWIDTH));
}

/* PyTorch lists no ranks for a group of all of them. */
static void a_group_that_lists_nobody_is_all_ranks(void **state)
{
    (void)state;
    static const char list[] = "[{\"pg_name\": \"world\", \"ranks\": []}]";
    empty_folder();
    for (uint32_t rank = 0; rank < 3; rank++) {
        struct wire_buffer values = {0};
        begin_rank();
        begin_node(1, TRACE_METADATA, "groups");
        wire_put_bytes(&values, CHAKRA_VALUES, list, sizeof list - 1);
        wire_put_bytes(&node_message, CHAKRA_INPUTS, values.at, values.count);
        VECTOR_FREE(&values);
        collective(2, "all", 2, 1000000);
        text("pg_name", "world");
        end_rank(rank);
    }
    assert_int_equal(replay(NULL, "star", bare, BARE), PARTITA_OK);
    assert_near(reported("step_time_s"), 2 * (LATENCY + 1000000 / BANDWIDTH));
}

static void flags(const char *name, const char *values)
{
    struct wire_buffer list = {0}, value = {0};
    for (; *values; values++)
        wire_put_integer(&list, 1, *values == '1');
    wire_put_bytes(&value, CHAKRA_BOOLS, list.at, list.count);
    put_attribute(name, &value);
    VECTOR_FREE(&list);
    VECTOR_FREE(&value);
}

/* Runs an all-reduce of 16 ranks in two boxes of 8: along dimensions, or of groups of so many ranks that lie
 * so far apart. Returns its seconds. */
static double reduce_in_boxes(const char *dimensions, uint32_t members, uint32_t stride)
{
    static const char *const boxes[] = {"topology.nodes=2"};
    enum { RANKS = 16 };
    char groups[1024] = "{";
    empty_folder();
    for (uint32_t rank = 0, at = 1; rank < RANKS; rank++) {
        char name[16];
        begin_rank();
        collective(1, "sum", 0, 64000000);
        if (dimensions)
            flags("involved_dim", dimensions);
        uint32_t group = !members ? 0 : stride > 1 ? rank % stride : rank / members;
        snprintf(name, sizeof name, "%u", 100 + group);
        if (members)
            text("pg_name", name);
        end_rank(rank);
        if (!members || strstr(groups, name))
            continue;
        at += (uint32_t)snprintf(groups + at, sizeof groups - at, "%s\"%s\": [", at > 1 ? ", " : "", name);
        for (uint32_t m = 0; m < members; m++)
            at +=
                (uint32_t)snprintf(groups + at, sizeof groups - at, "%s%u", m ? ", " : "", rank + m * stride);
        at += (uint32_t)snprintf(groups + at, sizeof groups - at, "]");
        snprintf(groups + at, sizeof groups - at, "}");
    }
    if (members)
        write_bytes("t.json", groups, strlen(groups));
    if (replay(NULL, "dgx-h100", boxes, 1) != PARTITA_OK)
        fail_msg("%s", complaints);
    return reported("step_time_s");
}

/* ASTRA-sim numbers NPUs with the innermost dimension running fastest; a group that is named goes before. */
static void collectives_go_along_the_dimensions_that_take_part(void **state)
{
    (void)state;
    double within = reduce_in_boxes(NULL, 8, 1), across = reduce_in_boxes(NULL, 2, 8),
           whole = reduce_in_boxes(NULL, 0, 0);
    assert_true(within < across && across < whole);
    assert_near(reduce_in_boxes("10", 0, 0), within);
    assert_near(reduce_in_boxes("1011", 0, 0), within);
    assert_near(reduce_in_boxes("01", 0, 0), across);
    assert_near(reduce_in_boxes("1111", 0, 0), whole);
    assert_near(reduce_in_boxes("01", 8, 1), within);
    assert_true(reduce_in_boxes("00", 0, 0) == 0);
}

/* Packed by gzip, under either name; a part of such a file is no trace. */
static void compressed_files_are_the_same_trace(void **state)
{
    (void)state;
    for (uint32_t named = 0; named < 2; named++) {
        empty_folder();
        for (uint32_t rank = 0; rank < 2; rank++) {
            char path[512];
            begin_rank();
            collective(1, "sum", 0, 1000000);
            end_node();
            snprintf(path, sizeof path, "%s/t.%u.et%s", folder, rank, named ? ".gz" : "");
            gzFile file = gzopen(path, "wb");
            assert_non_null(file);
            assert_int_equal(gzwrite(file, rank_file.at, rank_file.count), rank_file.count);
            assert_int_equal(gzclose(file), Z_OK);
        }
        assert_int_equal(replay(NULL, "star", bare, BARE), PARTITA_OK);
        assert_near(reported("step_time_s"), 2 * (LATENCY + 500000 / BANDWIDTH));
    }
    char path[512];
    snprintf(path, sizeof path, "%s/t.1.et.gz", folder);
    assert_int_equal(truncate(path, 40), 0);
    expect_complaint("t.1.et.gz': it is cut short");
}

/* Names with quotes, line ends, control characters and what is no UTF-8; identities that fill 64 bits. */
static void odd_names_and_huge_identities_are_read_written_and_read(void **state)
{
    (void)state;
    static const char *const names[] = {"a \"quoted\" \\ name",
                                        "two\nlines\t\x01",
                                        "\xff\xfe\xc2\x85\xe2\x80\xa8",
                                        "%s: [x, {y",
                                        "\xe6\xb1\x89\xef\xbb\xbf\xf0\x9f\x98\x80",
                                        ""};
    enum { NAMES = sizeof names / sizeof names[0] };
    char yaml[512], *written;
    size_t length;
    empty_folder();
    begin_rank();
    for (uint32_t i = 0; i < NAMES; i++) {
        compute(UINT64_MAX - i, names[i], 10);
        if (i)
            waits_for(UINT64_MAX - i + 1);
    }
    end_rank(0);
    assert_int_equal(replay(NULL, "star", bare, BARE), PARTITA_OK);
    assert_near(reported("step_time_s"), NAMES * 10e-6);
    struct partita_options options = {.topology = folder};
    FILE *out = open_memstream(&written, &length);
    assert_int_equal(partita_convert(&options, out, stderr), PARTITA_OK);
    fclose(out);
    write_bytes("t.yaml", written, length);
    free(written);
    snprintf(yaml, sizeof yaml, "%s/t.yaml", folder);
    if (replay(yaml, "star", bare, BARE) != PARTITA_OK)
        fail_msg("%s", complaints);
    assert_near(reported("step_time_s"), NAMES * 10e-6);
}

/* Loads take their bytes at the rate of the device's memory when no time was recorded. */
static void loads_and_host_work_overlap_with_computing(void **state)
{
    (void)state;
    empty_folder();
    begin_rank();
    compute(1, "kernel", 30);
    compute(2, "dispatch", 40);
    integer("is_cpu_op", 1);
    begin_node(3, TRACE_LOAD, "load");
    wire_put_integer(&node_message, CHAKRA_DURATION, 50);
    integer("tensor_size", 1000);
    compute(4, "end", 1);
    waits_for(1);
    waits_for(2);
    waits_for(3);
    end_rank(0);
    assert_int_equal(replay(NULL, "single-device", &bare[BARE - 1], 1), PARTITA_OK);
    assert_near(reported("step_time_s"), 51e-6);
    assert_near(reported("compute_s"), 31e-6);
}

static void what_does_not_fit_is_named_by_rank_node_and_name(void **state)
{
    (void)state;
    empty_folder();
    begin_rank();
    message(3, "lonely", false, 1, 9, 100);
    end_rank(0);
    begin_rank();
    compute(1, "work", 1);
    end_rank(1);
    expect_complaint("rank 0, node 3 'lonely' sends to rank 1 with tag 9, which has no receive for it");
    begin_rank();
    message(4, "deaf", true, 0, 8, 100);
    end_rank(1);
    expect_complaint("rank 1, node 4 'deaf' receives from rank 0 with tag 8, which has no send for it");
    begin_rank();
    message(4, "smaller", true, 0, 9, 99);
    end_rank(1);
    expect_complaint(
        "rank 1, node 4 'smaller' receives 99 bytes, but rank 0, node 3 'lonely' sends 100 bytes");
}

static void a_collective_that_only_some_join_is_named(void **state)
{
    (void)state;
    empty_folder();
    for (uint32_t rank = 0; rank < 3; rank++) {
        begin_rank();
        collective(1, "first", 0, 100);
        if (rank != 2)
            collective(2, "second", 0, 100);
        end_rank(rank);
    }
    expect_complaint(
        "rank 0, node 2 'second': only some ranks join this collective of all ranks: rank 2 has 1 "
        "collectives in that group, rank 0 has 2");
    begin_rank();
    collective(1, "first", 0, 100);
    collective(2, "second", 2, 100);
    end_rank(2);
    expect_complaint(
        "rank 2, node 2 'second' is joined with rank 0, node 2 'second', which is of another kind or "
        "size: all-gather of 100 bytes beside all-reduce of 100 bytes");
}

static void waits_in_a_circle_are_named(void **state)
{
    (void)state;
    empty_folder();
    begin_rank();
    compute(1, "a", 1);
    waits_for(2);
    compute(2, "b", 1);
    waits_for(1);
    end_rank(0);
    expect_complaint(
        "waits go in a circle: rank 0, node 1 'a' waits for node 2 'b', which waits for node 1 'a'");
    for (uint32_t rank = 0; rank < 2; rank++) {
        begin_rank();
        message(1, "hear", true, !rank, 0, 10);
        message(2, "say", false, !rank, 0, 10);
        waits_for(1);
        end_rank(rank);
    }
    expect_complaint(
        "ranks wait for each other in a circle: rank 0, node 1 'hear' waits for rank 1, node 2 'say', "
        "which waits for rank 1, node 1 'hear', which waits for rank 0, node 2 'say', which waits for "
        "rank 0, node 1 'hear'");
}

static void broken_nodes_are_named(void **state)
{
    (void)state;
    empty_folder();
    begin_rank();
    compute(1, "a", 1);
    waits_for(5);
    end_rank(0);
    expect_complaint("t.0.et: error: rank 0, node 1 'a' waits for node 5, which is not there");
    begin_rank();
    compute(1, "a", 1);
    compute(1, "b", 1);
    end_rank(0);
    expect_complaint("rank 0, node 1 'b': there are two nodes with this identity");
    begin_rank();
    collective(1, "c", 0, 10);
    text("pg_name", "12");
    end_rank(0);
    expect_complaint("rank 0, node 1 'c': no file and no metadata lists the ranks of process group '12'");
    begin_rank();
    collective(1, "c", 44, 10);
    end_rank(0);
    expect_complaint("rank 0, node 1 'c': expected 'comm_type' from 0 to 9");
    begin_rank();
    begin_node(1, TRACE_COLLECTIVE, "c");
    end_rank(0);
    expect_complaint("rank 0, node 1 'c': expected 'comm_type' from 0 to 9");
    begin_rank();
    message(1, "far", false, 9, 0, 1);
    end_rank(0);
    expect_complaint("rank 0, node 1 'far': 'comm_dst' is 9, but there are 1 ranks");
    begin_rank();
    compute(1, "whole", 1);
    end_node();
    write_bytes("t.0.et", rank_file.at, rank_file.count - 2);
    expect_complaint("rank 0, message 2: a length goes beyond the end");
    write_bytes("t.0.et", "\x1f\x8b\x08\x00", 4);
    expect_complaint("t.0.et': it is cut short");
    write_bytes("t.0.et", "", 0);
    expect_complaint("rank 0 has no nodes");
}

static void files_of_missing_ranks_are_asked_for(void **state)
{
    (void)state;
    empty_folder();
    begin_rank();
    collective(1, "c", 0, 10);
    end_rank(1);
    expect_complaint(
        "t.0.et', but a file or a process group has rank 0 of 2; with `--set trace.missing=copy` it "
        "does what rank 1 does");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_trace_replays),
        cmocka_unit_test(sample_collectives_take_their_closed_forms),
        cmocka_unit_test(the_ring_in_messages_equals_our_own_ring_step_by_step),
        cmocka_unit_test(compute_and_exposed_communication_of_the_gpt_trace_add_up),
        cmocka_unit_test(dependencies_of_any_order_are_kept),
        cmocka_unit_test(sizes_of_every_kind_of_integer_mean_the_same),
        cmocka_unit_test(in_order_streams_add_no_deadlock),
        cmocka_unit_test(process_groups_say_who_takes_part),
        cmocka_unit_test(process_groups_are_read_from_metadata),
        cmocka_unit_test(a_group_that_lists_nobody_is_all_ranks),
        cmocka_unit_test(collectives_go_along_the_dimensions_that_take_part),
        cmocka_unit_test(compressed_files_are_the_same_trace),
        cmocka_unit_test(odd_names_and_huge_identities_are_read_written_and_read),
        cmocka_unit_test(loads_and_host_work_overlap_with_computing),
        cmocka_unit_test(what_does_not_fit_is_named_by_rank_node_and_name),
        cmocka_unit_test(a_collective_that_only_some_join_is_named),
        cmocka_unit_test(waits_in_a_circle_are_named),
        cmocka_unit_test(broken_nodes_are_named),
        cmocka_unit_test(files_of_missing_ranks_are_asked_for),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
