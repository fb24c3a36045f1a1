/* The command `partita collective` as a library call: its numbers against closed forms, its complaints, its
 * picture. */
#define _DEFAULT_SOURCE /* mkstemps */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "partita.h"

#include "collective/collective.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *printed, *complaints;

static enum partita_status call(struct partita_collective_options options)
{
    size_t length[2];
    free(printed);
    free(complaints);
    FILE *out = open_memstream(&printed, &length[0]), *err = open_memstream(&complaints, &length[1]);
    enum partita_status status = partita_collective(&options, out, err);
    fclose(out);
    fclose(err);
    return status;
}

/* The shipped star: 8 cables of infiniband-hdr without its overhead; its own numbers come out of two sizes of
 * one message. */
static void numbers_follow_the_closed_forms_at_both_levels(void **state)
{
    (void)state;
    static const char *const names[] = {
        "ring",    "bidirectional-ring", "halving-doubling",   "recursive-doubling",
        "bruck",   "binomial-tree",      "double-binary-tree", "direct",
        "via-root"};
    static const char *const sets[] = {"links.cable.bandwidth=10 GB/s", "links.cable.efficiency=1",
                                       "links.cable.latency=2 us", "links.cable.overhead=0 s",
                                       "links.cable.protocols=none"};
    for (size_t a = 0; a < sizeof names / sizeof names[0]; a++)
        for (int kind = 0; kind < COLLECTIVE_KIND_COUNT; kind++)
            for (int steps = 0; steps < 2; steps++) {
                const struct algorithm *algorithm = collective_find(names[a]);
                struct partita_collective_options options = {.kind = communication_names[kind],
                                                             .topology = "star",
                                                             .sets = sets,
                                                             .set_count = 5,
                                                             .ranks = 6,
                                                             .size = "1KB..1MB",
                                                             .algorithms = names[a],
                                                             .steps = steps,
                                                             .json = true};
                if (!(algorithm->kinds >> kind & 1)) {
                    assert_int_equal(call(options), PARTITA_BAD_INPUT);
                    continue;
                }
                assert_int_equal(call(options), PARTITA_OK);
                json_t *root = json_loads(printed, 0, NULL), *results = json_object_get(root, "results");
                assert_int_equal(json_array_size(results), 10);
                for (size_t i = 0; i < 10; i++) {
                    const json_t *row = json_array_get(results, i);
                    double size = json_number_value(json_object_get(row, "size_bytes"));
                    double seconds = json_number_value(json_object_get(row, "time_s"));
                    double rate = json_number_value(json_object_get(row, "bus_bytes_per_s"));
                    double expected =
                        algorithm->seconds(kind, &(struct shape){.members = 6}, size, 4e-6, 10e9);
                    assert_true(fabs(seconds - expected) <= 1e-11 * expected);
                    assert_true(fabs(rate * seconds - collective_factor(kind, 6) * size) <= 1e-9 * size);
                    assert_string_equal(json_string_value(json_object_get(row, "algorithm")), names[a]);
                }
                json_decref(root);
            }
}

/* The same star with the protocols of its cables: each takes its start, and its overhead in every round, and
 * its flags on the wire; the fastest is taken, whatever the algorithm, and both levels agree. */
static void the_fastest_protocol_is_taken_and_takes_its_closed_form(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double start, overhead, efficiency;
    } protocols[] = {
        {"LL", 6.6e-6, 1.6e-6, 0.5}, {"LL128", 14e-6, 5.1e-6, 0.92}, {"Simple", 8.4e-6, 10.6e-6, 1}};
    static const char *const sets[] = {"links.cable.bandwidth=10 GB/s", "links.cable.efficiency=1",
                                       "links.cable.latency=2 us", "links.cable.launch=3 us"};
    bool seen[3] = {false};
    for (int a = 0; collective_algorithms[a]; a++)
        for (int kind = 0; kind < COLLECTIVE_KIND_COUNT; kind++)
            for (int steps = 0; steps < 2; steps++) {
                const struct algorithm *algorithm = collective_algorithms[a];
                if (!(algorithm->kinds >> kind & 1) || algorithm->form || algorithm->loads)
                    continue;
                struct partita_collective_options options = {.kind = communication_names[kind],
                                                             .topology = "star",
                                                             .sets = sets,
                                                             .set_count = 4,
                                                             .ranks = 6,
                                                             .size = "1KB..64MB",
                                                             .algorithms = algorithm->name,
                                                             .steps = steps,
                                                             .json = true};
                assert_int_equal(call(options), PARTITA_OK);
                json_t *root = json_loads(printed, 0, NULL), *results = json_object_get(root, "results");
                for (size_t i = 0; i < json_array_size(results); i++) {
                    const json_t *row = json_array_get(results, i);
                    double size = json_number_value(json_object_get(row, "size_bytes"));
                    double seconds = json_number_value(json_object_get(row, "time_s")), least = INFINITY;
                    size_t best = 0;
                    for (size_t p = 0; p < 3; p++) {
                        double expected = (kind == HALO_EXCHANGE ? 0 : 3e-6) + protocols[p].start +
                                          algorithm->seconds(kind, &(struct shape){.members = 6},
                                                             size / protocols[p].efficiency,
                                                             4e-6 + protocols[p].overhead, 10e9);
                        best = expected < least ? p : best;
                        least = fmin(least, expected);
                    }
                    seen[best] = true;
                    assert_true(fabs(seconds - least) <= 1e-11 * least);
                    assert_string_equal(json_string_value(json_object_get(row, "protocol")),
                                        protocols[best].name);
                }
                json_decref(root);
            }
    assert_true(seen[0] && seen[1] && seen[2]);
}

/* NVLS on DGX H100: (1 + 1/n) of the vector on every cable, at 85 % of the ring's rate, and 25 us. On NVL72
 * the 18 switches share it. */
static void nvswitches_that_reduce_have_a_protocol_of_their_own(void **state)
{
    (void)state;
    for (int rack = 0; rack < 2; rack++)
        for (uint32_t n = 2; n <= 8; n++) {
            assert_int_equal(call((struct partita_collective_options){.kind = "all-reduce",
                                                                      .topology = rack ? "nvl72" : "dgx-h100",
                                                                      .ranks = n,
                                                                      .size = "64MB",
                                                                      .algorithms = "in-network",
                                                                      .json = true}),
                             PARTITA_OK);
            json_t *root = json_loads(printed, 0, NULL);
            const json_t *row = json_array_get(json_object_get(root, "results"), 0);
            double rate = rack ? 900e9 * 0.758 * 0.74 : 450e9 * 0.816 * 0.85;
            double expected = 25e-6 + 25e-6 + 0.6e-6 + (1 + 1.0 / n) * 64e6 / rate;
            double seconds = json_number_value(json_object_get(row, "time_s"));
            if (fabs(seconds - expected) > 1e-11 * expected)
                fail_msg("%u: %.15g s, expected %.15g s", n, seconds, expected);
            assert_string_equal(json_string_value(json_object_get(row, "protocol")), "NVLS");
            json_decref(root);
        }
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        struct partita_collective_options options;
        const char *expected;
    } cases[] = {
        {{.kind = "all-reduc", .topology = "star"}, "did you mean 'all-reduce'"},
        {{.kind = "all-reduce"}, "say --topology"},
        {{.kind = "all-reduce", .topology = "sta"}, "star"},
        {{.kind = "all-reduce", .topology = "star", .ranks = 9}, "the topology has 8 devices"},
        {{.kind = "all-reduce", .topology = "star", .size = "5"}, "expected a size with its unit"},
        {{.kind = "all-reduce", .topology = "star", .size = "2MB..1MB"}, "expected a size with its unit"},
        {{.kind = "all-reduce", .topology = "star", .algorithms = "ring,rinf"}, "did you mean 'ring'"},
        {{.kind = "scatter", .topology = "star", .algorithms = "ring"}, "'ring' cannot do scatter"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(call(cases[i].options), PARTITA_BAD_INPUT);
        if (!strstr(complaints, cases[i].expected))
            fail_msg("'%s' lacks '%s'", complaints, cases[i].expected);
        assert_string_equal(printed, "");
    }
}

/* Exchange of halves, then the sum back: a user's own all-reduce of two. */
static void a_file_of_steps_is_an_algorithm(void **state)
{
    (void)state;
    char path[] = "/tmp/partita-steps-XXXXXX.csv";
    int file = mkstemps(path, 4);
    FILE *to = fdopen(file, "w");
    fprintf(to, "round,from,to,fraction,chunk\n# a comment\n0,0,1,0.5,1\n0,1,0,0.5,0\n\n1,0,1,0.5,0,copy\n"
                "1,1,0,0.5,1,copy\n");
    fclose(to);
    struct partita_collective_options options = {.kind = "all-reduce",
                                                 .topology = "star",
                                                 .ranks = 2,
                                                 .size = "1MB",
                                                 .algorithms = path,
                                                 .json = true};
    assert_int_equal(call(options), PARTITA_OK);
    json_t *own = json_loads(printed, 0, NULL);
    options.algorithms = "ring";
    assert_int_equal(call(options), PARTITA_OK);
    json_t *ring = json_loads(printed, 0, NULL);
    double seconds[2];
    for (int i = 0; i < 2; i++)
        seconds[i] = json_number_value(
            json_object_get(json_array_get(json_object_get(i ? ring : own, "results"), 0), "time_s"));
    assert_true(seconds[0] == seconds[1]);
    json_decref(own);
    json_decref(ring);
    options.algorithms = path;
    options.ranks = 3;
    assert_int_equal(call(options), PARTITA_FAILED);
    assert_non_null(strstr(complaints, "its steps are for 2 members, and the group has 3"));
    to = fopen(path, "w");
    fprintf(to, "0,0,0,1\n");
    fclose(to);
    assert_int_equal(call(options), PARTITA_BAD_INPUT);
    assert_non_null(strstr(complaints, ".csv:1: expected round,from,to,fraction"));
    unlink(path);
}

static void auto_says_what_it_took(void **state)
{
    (void)state;
    struct partita_collective_options options = {
        .kind = "all-reduce", .topology = "dgx-a100", .ranks = 32, .size = "1KB..64MB"};
    assert_int_equal(call(options), PARTITA_OK);
    assert_non_null(strstr(printed, "direct  LL\n"));
    assert_non_null(strstr(printed, "hierarchical  LL128\n"));
}

int main(void)
{
    setenv("PARTITA_DATA", PARTITA_SOURCE, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_follow_the_closed_forms_at_both_levels),
        cmocka_unit_test(the_fastest_protocol_is_taken_and_takes_its_closed_form),
        cmocka_unit_test(nvswitches_that_reduce_have_a_protocol_of_their_own),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(a_file_of_steps_is_an_algorithm),
        cmocka_unit_test(auto_says_what_it_took),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(printed);
    free(complaints);
    return failed;
}
