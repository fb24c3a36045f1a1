/* network [--small] [--describe] [CASE…]: what the engine costs in processor seconds and peak memory, per
 * case (all when none is named), and against the figures of other simulators on a machine of this kind.
 * --small runs the sizes at which tests/bench/peers runs SimGrid. --describe writes a case for them instead
 * of running it. Each case has a process of its own, so that its peak memory is its own. */
#include "clock.h"
#include "field.h"
#include "hold.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct bench {
    const char *name, *about;
    void (*build)(const struct bench *bench, bool small, struct field *field); /* NULL: the queue */
    enum engine_level level;
    double seconds, memory; /* of the other simulator: processor seconds, million bytes */
    double target;          /* times faster than it */
};

static double uniform(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (double)(*seed >> 11) * 0x1p-53;
}

/* Mean number of transfers on their way at once. */
static double mean_concurrent(const struct engine_result *result)
{
    double sum = 0, end = 0;
    for (uint32_t i = 0; i < result->transfer_count; i++) {
        sum += result->transfers[i].end - result->transfers[i].start;
        end = fmax(end, result->transfers[i].end);
    }
    return sum / end;
}

/* The job through the engine; the clock starts with it. */
static bool measure(const struct bench *bench, struct field *field, bool small)
{
    struct engine_options options = {.level = bench->level};
    struct engine_result result;
    const char *error;
    VECTOR_FREE(&field->messages);
    double given = clock_peak(), begin = clock_cpu();
    if (!engine_run(&field->platform, &field->job, &options, &result, &error)) {
        fprintf(stderr, "%s: %s\n", bench->name, error);
        return false;
    }
    double seconds = clock_cpu() - begin, peak = clock_peak();
    printf("%-14s %.6f s CPU %.1f MB peak  makespan %.12g s, %.1f MB before the engine, %.1f transfers at "
           "once, %llu events",
           bench->name, seconds, peak, result.makespan, given, mean_concurrent(&result),
           (unsigned long long)result.events);
    if (!small)
        printf("; %.1f x of %.4g s (target %.4g x), %.2f of %.0f MB", bench->seconds / seconds,
               bench->seconds, bench->target, peak / bench->memory, bench->memory);
    printf("\n");
    engine_result_fini(&result);
    return true;
}

static void build_ring(const struct bench *bench, bool small, struct field *field)
{
    (void)bench;
    (void)small;
    uint32_t ranks = 1024;
    field_star(field, ranks, 1);
    field_all_reduces(field, ranks, 1, false, ranks * 1048576.0);
}

static void build_chunks(const struct bench *bench, bool small, struct field *field)
{
    (void)small;
    uint32_t ranks = 1024;
    bool apart = strstr(bench->name, "apart");
    field_star(field, ranks, apart ? 4 : 1);
    field_all_reduces(field, ranks, 4, apart, ranks * 262144.0);
}

static void build_all_to_all(const struct bench *bench, bool small, struct field *field)
{
    bool equal = strstr(bench->name, "equal");
    uint32_t leaves = equal ? 16 : 8, per_leaf = equal ? 32 : small ? 8 : 16;
    uint32_t hosts = leaves * per_leaf;
    uint64_t seed = 1234567;
    field_leaf_spine(field, leaves, per_leaf);
    for (uint32_t from = 0; from < hosts; from++) {
        for (uint32_t to = 0; to < hosts; to++) {
            double bytes = equal ? 1048576 : 524288 + floor(uniform(&seed) * 1048576);
            if (from != to)
                VECTOR_PUSH(&field->messages, ((struct field_message){0, bytes, from, to, 1}));
        }
    }
    field_messages(field);
}

/* Exponential gaps and sizes. The load is chosen so that 1,216 flows are on their way on average. */
static void build_poisson(const struct bench *bench, bool small, struct field *field)
{
    (void)bench;
    enum { PODS = 16, LEAVES = 8, PER_LEAF = 8, HOSTS = PODS * LEAVES * PER_LEAF };
    const double load = 0.401, size = 1e6;
    uint32_t count = small ? 5000 : 100000;
    double now = 0, rate = load * HOSTS * field_bandwidth / size;
    uint64_t seed = 7654321;
    field_fat_tree(field, PODS, LEAVES, PER_LEAF);
    for (uint32_t i = 0; i < count; i++) {
        now -= log1p(-uniform(&seed)) / rate;
        uint32_t from = (uint32_t)(uniform(&seed) * HOSTS), to = (uint32_t)(uniform(&seed) * (HOSTS - 1));
        double bytes = 1 + ceil(-log1p(-uniform(&seed)) * size);
        VECTOR_PUSH(&field->messages, ((struct field_message){now, bytes, from, to + (to >= from), 1}));
    }
    field_messages(field);
}

static bool measure_queue(const struct bench *bench, bool small)
{
    static const struct {
        uint32_t pending;
        double target;
    } rows[] = {{1000, 15}, {100000, 5}, {10000000, 0.8}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows - (small ? 1 : 0); i++) {
        double own = hold_queue(rows[i].pending, 5000000), plain = hold_plain(rows[i].pending, 5000000);
        printf("%-14s %8u pending %7.2f million holds a second (target %g), plain binary heap %.2f: %.2f x "
               "(target 1.5 x)\n",
               bench->name, rows[i].pending, own, rows[i].target, plain, own / plain);
    }
    return true;
}

/* SimGrid 3.32; the chunks: ASTRA-sim's analytical back end. */
static const struct bench benches[] = {
    {"ring", "ring all-reduce of 1,024 hosts on one switch, by steps", build_ring, ENGINE_STEPS, 14.8, 44,
     30},
    {"equal", "512 hosts all-to-all, equal sizes, leaf-spine", build_all_to_all, ENGINE_FLUID, 42.8, 639,
     100},
    {"random", "128 hosts all-to-all, random sizes, leaf-spine", build_all_to_all, ENGINE_FLUID, 162, 59, 20},
    {"poisson", "100,000 Poisson flows on a three-level fat-tree", build_poisson, ENGINE_FLUID, 360, 44, 300},
    {"chunks-apart", "ring all-reduce of 1,024 ranks in 4 chunks without contention", build_chunks,
     ENGINE_STEPS, 15.4, 357, 10},
    {"chunks", "the same with contention", build_chunks, ENGINE_STEPS, 25.9, 357, 10},
    {"queue", "the event queue alone, hold model", NULL, ENGINE_FLUID, 0, 0, 0},
};
enum { BENCHES = sizeof benches / sizeof *benches };

static bool run(const struct bench *bench, bool small, bool describe)
{
    if (!bench->build)
        return describe || measure_queue(bench, small);
    struct field field;
    bench->build(bench, small, &field);
    bool done = true;
    if (describe)
        field_describe(&field, stdout);
    else
        done = measure(bench, &field, small);
    field_fini(&field);
    return done;
}

static bool run_apart(const struct bench *bench, bool small, bool describe)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        bool done = run(bench, small, describe);
        fflush(stdout);
        _exit(done ? 0 : 1);
    }
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: network [--small] [--describe] [CASE…]\n");
    for (int i = 0; i < BENCHES; i++)
        fprintf(stderr, "  %-14s %s\n", benches[i].name, benches[i].about);
    return 2;
}

int main(int count, char **arguments)
{
    bool small = false, describe = false, all = true, chosen[BENCHES] = {false}, done = true;
    for (int i = 1; i < count; i++) {
        int b = 0;
        while (b < BENCHES && strcmp(arguments[i], benches[b].name) != 0)
            b++;
        if (b < BENCHES) {
            chosen[b] = true;
            all = false;
        } else if (!strcmp(arguments[i], "--small")) {
            small = true;
        } else if (!strcmp(arguments[i], "--describe")) {
            describe = true;
        } else {
            return usage();
        }
    }
    for (int b = 0; b < BENCHES; b++)
        if (all || chosen[b])
            done = run_apart(&benches[b], small, describe) && done;
    return done ? 0 : 1;
}
