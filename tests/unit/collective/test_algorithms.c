/* Every algorithm: moving symbolic chunks by its steps proves that each collective computes what it says, for
 * every number of members; on a star its activity takes what its closed form says and never less than its
 * bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collective/collective.h"

#include "../star.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 128, WORDS = MOST / 64 };

/* A set of members: whose contributions a copy of a chunk holds. All-to-all: word 0 is the sender + 1, word 1
 * the receiver. */
struct set {
    uint64_t words[WORDS];
};

struct machine {
    const struct shape *shape;
    const struct transfer_list *list;
    uint32_t places; /* members, and the switch of in-network reduction */
    struct set *now, *before;
};

static struct set *at(struct set *sets, const struct machine *machine, uint32_t member, uint32_t chunk)
{
    assert_true(member < machine->places && chunk < machine->list->chunks);
    return &sets[(size_t)member * machine->list->chunks + chunk];
}

static void put(struct set *set, uint32_t member)
{
    set->words[member / 64] |= (uint64_t)1 << member % 64;
}

static bool overlap(const struct set *a, const struct set *b)
{
    return (a->words[0] & b->words[0]) || (a->words[1] & b->words[1]);
}

static void move(struct machine *machine, const struct transfer_step *step, uint32_t chunk)
{
    const struct set *from = at(machine->before, machine, step->from, chunk);
    struct set *to = at(machine->now, machine, step->to, chunk);
    if (!step->reduce) {
        *to = *from;
        return;
    }
    if (machine->list->kind != BARRIER && overlap(from, to)) /* nothing is added twice */
        fail_msg("%s of %u by %s adds chunk %u twice in round %u, %u to %u",
                 communication_names[machine->list->kind], machine->shape->members,
                 machine->shape->algorithm->name, chunk, step->round, step->from, step->to);
    for (uint32_t w = 0; w < WORDS; w++)
        to->words[w] |= from->words[w];
}

static bool has_at_start(const struct machine *machine, uint32_t member, uint32_t chunk)
{
    switch (machine->list->kind) {
    case BROADCAST:
    case SCATTER:
        return member == 0;
    case ALL_GATHER:
    case GATHER:
    case HALO_EXCHANGE:
        return transfer_home(machine->list, machine->shape, chunk) == member;
    default:
        return true;
    }
}

/* What a chunk holds once it is complete. */
static struct set whole(const struct machine *machine, uint32_t chunk)
{
    struct set set = {{0}};
    int kind = machine->list->kind;
    if (kind == BROADCAST || kind == SCATTER)
        put(&set, 0);
    else if (kind == ALL_GATHER || kind == GATHER || kind == HALO_EXCHANGE)
        put(&set, transfer_home(machine->list, machine->shape, chunk));
    else
        for (uint32_t m = 0; m < machine->shape->members; m++)
            put(&set, m);
    return set;
}

static bool wanted_at_end(const struct machine *machine, uint32_t member, uint32_t chunk)
{
    int kind = machine->list->kind;
    if (kind == REDUCE || kind == GATHER)
        return member == 0;
    if (kind == REDUCE_SCATTER || kind == SCATTER)
        return transfer_home(machine->list, machine->shape, chunk) == member;
    if (kind ==
        HALO_EXCHANGE) /* what the one before has for the next, and the one after for the one before */
        return chunk == 2 * (member - 1) || chunk == 2 * (member + 1) + 1;
    return true;
}

static void begin(struct machine *machine)
{
    for (uint32_t m = 0; m < machine->shape->members; m++) {
        for (uint32_t c = 0; c < machine->list->chunks; c++) {
            struct set *set = at(machine->now, machine, m, c);
            if (machine->list->kind == ALL_TO_ALL)
                *set = (struct set){{m + 1, transfer_beyond(machine->shape, m, c)}};
            else if (has_at_start(machine, m, c))
                put(set, m);
        }
    }
}

static void check_end(struct machine *machine)
{
    for (uint32_t m = 0; m < machine->shape->members; m++) {
        for (uint32_t c = 0; c < machine->list->chunks; c++) {
            struct set set = *at(machine->now, machine, m, c), expected = whole(machine, c);
            if (machine->list->kind == ALL_TO_ALL)
                expected = (struct set){{transfer_before(machine->shape, m, c) + 1, m}};
            if (wanted_at_end(machine, m, c))
                assert_memory_equal(&set, &expected, sizeof set);
        }
    }
}

static void run_rounds(struct machine *machine)
{
    const struct transfer_list *list = machine->list;
    size_t bytes = (size_t)machine->places * list->chunks * sizeof(struct set);
    for (uint32_t i = 0; i < list->count;) {
        uint32_t round = list->at[i].round;
        memcpy(machine->before, machine->now, bytes);
        for (; i < list->count && list->at[i].round == round; i++) {
            const struct transfer_step *step = &list->at[i];
            assert_int_not_equal(step->from, step->to);
            for (uint32_t c = 0; c < step->run * step->repeats; c++)
                move(machine, step, transfer_chunk(step, c));
            double whole_payload = list->kind == HALO_EXCHANGE ? 2 : list->chunks;
            double fraction = list->kind == BARRIER ? 0 : (double)step->run * step->repeats / whole_payload;
            assert_true(fabs(step->fraction - fraction) <= 1e-12);
        }
        assert_true(i == list->count || list->at[i].round > round); /* rounds ascend */
    }
}

/* Proves one collective. */
static void prove(const struct algorithm *algorithm, int kind, const struct shape *shape)
{
    struct transfer_list list = {0};
    struct shape named = *shape;
    named.algorithm = algorithm;
    shape = &named;
    collective_steps(algorithm, kind, shape, false, &list);
    struct machine machine = {
        .shape = shape, .list = &list, .places = shape->members + (algorithm->loads != NULL)};
    if (list.count) {
        machine.now = calloc((size_t)machine.places * list.chunks, sizeof *machine.now);
        machine.before = calloc((size_t)machine.places * list.chunks, sizeof *machine.before);
        begin(&machine);
        run_rounds(&machine);
        check_end(&machine);
        free(machine.now);
        free(machine.before);
    } else {
        assert_int_equal(shape->members, 1);
    }
    transfer_fini(&list);
}

static const uint32_t member_counts[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
                                         13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
                                         25, 26, 27, 28, 29, 30, 31, 32, 33, 64, 100};
enum { COUNTS = sizeof member_counts / sizeof member_counts[0] };

static void every_collective_computes_what_it_says(void **state)
{
    (void)state;
    for (const struct algorithm *const *each = collective_algorithms; *each; each++)
        for (uint32_t i = 0; i < COUNTS; i++)
            for (int kind = 0; kind < COLLECTIVE_KIND_COUNT; kind++) {
                struct shape shape = transfer_flat(member_counts[i]);
                if ((*each)->kinds >> kind & 1)
                    prove(*each, kind, &shape);
            }
}

static struct shape levels(uint32_t a, uint32_t b, uint32_t c)
{
    return (struct shape){.members = a * b * c, .depth = 3, .sizes = {a, b, c}};
}

/* All three-level shapes of up to 64 members, with every algorithm that can serve a level on each of them. */
static void levels_compute_what_they_say_whatever_runs_inside(void **state)
{
    (void)state;
    for (const struct algorithm *const *inner = collective_algorithms; *inner; inner++)
        for (uint32_t a = 1; a <= 5 && !(*inner)->form && !(*inner)->loads; a++)
            for (uint32_t b = 1; b <= 4; b++)
                for (uint32_t c = 1; c <= 3; c++)
                    for (int kind = 0; kind < COLLECTIVE_KIND_COUNT; kind++) {
                        struct shape shape = levels(a, b, c);
                        for (uint32_t i = 0; i < 3; i++)
                            shape.inner[i] = i == a % 3 ? NULL : *inner;
                        if (hierarchical_algorithm.kinds >> kind & 1)
                            prove(&hierarchical_algorithm, kind, &shape);
                    }
}

static const double sizes[] = {0, 1, 1e3, 3e6, 1e9};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static void check_seconds(struct platform *platform, const struct algorithm *algorithm, int kind, uint32_t n)
{
    uint32_t devices[MOST];
    for (uint32_t i = 0; i < n; i++)
        devices[i] = n - 1 - i;
    const struct collective_request asked = {algorithm, kind, platform, devices, n, NULL, UINT32_MAX};
    struct activity activity;
    const char *problem;
    bool good = collective_activity(&asked, &activity, &platform->arena, &problem);
    for (uint32_t s = 0; s < SIZES && good; s++) {
        double latency, cap, seconds = collective_pieces(&activity, sizes[s], 1, &latency, &cap);
        double expected = n < 2 ? 0 : algorithm->seconds(kind, activity.shape, sizes[s], 1e-5, 1e10);
        if (!(fabs(seconds - expected) <= 1e-12 * expected))
            fail_msg("%s of %u by %s, %g bytes: %.17g is not %.17g", communication_names[kind], n,
                     algorithm->name, sizes[s], seconds, expected);
        assert_true(seconds >= collective_bound(algorithm, kind, n, sizes[s], 1e-5, 1e10) * (1 - 1e-12));
    }
    if (!good && problem)
        fail_msg("%s", problem);
    collective_activity_fini(&activity);
}

static void activities_match_the_closed_forms_on_a_star(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < COUNTS; i++) {
        struct names names;
        struct platform platform;
        names_init(&names);
        platform_init(&platform, &names);
        star_build(&platform, member_counts[i], 1e10, 5e-6);
        for (const struct algorithm *const *each = collective_algorithms; *each; each++)
            for (int kind = 0; kind < COLLECTIVE_KIND_COUNT; kind++)
                if ((*each)->kinds >> kind & 1)
                    check_seconds(&platform, *each, kind, member_counts[i]);
        platform_fini(&platform);
        names_fini(&names);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_collective_computes_what_it_says),
        cmocka_unit_test(levels_compute_what_they_say_whatever_runs_inside),
        cmocka_unit_test(activities_match_the_closed_forms_on_a_star),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
