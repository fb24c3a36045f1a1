/* Every schedule of the catalogue, executed by the engine, against its closed form: all devices,
 * micro-batches and chunks of a grid that lie in the form's domain, with random passes. With
 * PARTITA_SCHEDULES=all the whole grid of 16 devices, 64 micro-batches and 4 chunks; otherwise a part of it,
 * another one with another seed. */
#include "plan/schedule_csv.h"
#include "study/rehearsal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DEVICES = 16, MICRO_BATCHES = 64, CHUNKS = 4, STAGES = DEVICES * CHUNKS, EVERY = 20 };

static uint64_t test_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint32_t between(uint64_t *state, uint32_t low, uint32_t high)
{
    return low + (uint32_t)(test_random(state) % (high - low + 1));
}

struct trial {
    const struct schedule *schedule;
    struct schedule_shape shape;
    double forward[STAGES], input[STAGES], weight[STAGES];
    double whole[STAGES], kept[STAGES]; /* of one stage */
    double all, part;                   /* of a device: all its chunks */
    struct schedule_times times;
    struct orders orders;
    struct rehearsal result;
    struct arena arena;
};

static const char *describe(struct trial *t)
{
    return arena_format(&t->arena, "%s: %u devices, %u chunks, %u micro-batches, F %.17g I %.17g W %.17g",
                        t->schedule->name, t->shape.devices, t->shape.chunks, t->shape.micro_batches,
                        t->forward[0], t->input[0], t->weight[0]);
}

static void trial_times(struct trial *t, double forward, double input, double weight)
{
    for (uint32_t s = 0; s < STAGES; s++) {
        t->forward[s] = forward;
        t->input[s] = input;
        t->weight[s] = weight;
    }
}

/* Makes, checks and runs the orders. */
static void trial_run(struct trial *t)
{
    struct orders_place place;
    const char *error = NULL;
    uint32_t chunks = t->shape.chunks;
    t->times = (struct schedule_times){t->forward, t->input, t->weight, 0};
    t->shape.times = &t->times;
    t->all = 16 * chunks;
    t->part = 5 * chunks;
    for (uint32_t s = 0; s < STAGES; s++) {
        t->whole[s] = 16;
        t->kept[s] = 5;
    }
    arena_init(&t->arena);
    orders_make(t->schedule, &t->shape, &t->orders);
    error = orders_check(&t->orders, t->schedule->training, &t->arena, &place);
    if (error)
        fail_msg("%s: %s", describe(t), error);
    if (!rehearsal_run(&t->orders, &t->times, t->whole, t->kept, &t->result, &t->arena, &error))
        fail_msg("%s: %s", describe(t), error);
}

static void trial_fini(struct trial *t)
{
    orders_fini(&t->orders);
    arena_fini(&t->arena);
}

/* Bit for bit. NAN: there is no form here. Returns whether there is one. */
static bool trial_equal(struct trial *t, const char *what, double got, double form, double tolerance)
{
    if (isnan(form))
        return false;
    if (!(fabs(got - form) <= tolerance * fabs(form)))
        fail_msg("%s: %s is %.17g, expected %.17g", describe(t), what, got, form);
    return true;
}

static void trial_bounds(struct trial *t)
{
    double bound = orders_bound(&t->orders, &t->times);
    if (t->result.makespan < bound * (1 - 1e-12))
        fail_msg("%s: makespan %.17g is below the bound %.17g", describe(t), t->result.makespan, bound);
    double limit = t->shape.limit ? t->shape.limit : t->shape.devices;
    for (uint32_t d = 0; d < t->shape.devices; d++)
        if (t->schedule == &list_schedule && t->result.devices[d].peak > limit * t->all)
            fail_msg("%s: device %u holds %.17g", describe(t), d, t->result.devices[d].peak);
}

struct tally {
    uint64_t runs, makespans, spans, peaks;
};

static void trial_forms(struct trial *t, double tolerance, struct tally *tally)
{
    const struct schedule *s = t->schedule;
    tally->runs++;
    if (s->makespan)
        tally->makespans +=
            trial_equal(t, "makespan", t->result.makespan, s->makespan(&t->shape, &t->times), tolerance);
    if (s->span)
        tally->spans += trial_equal(t, "span", t->result.span, s->span(&t->shape, &t->times), tolerance);
    for (uint32_t d = 0; d < t->shape.devices && s->peak; d++)
        tally->peaks +=
            trial_equal(t, "peak", t->result.devices[d].peak, s->peak(&t->shape, d, t->all, t->part), 0);
}

static bool grid_all(void)
{
    const char *wanted = getenv("PARTITA_SCHEDULES");
    return wanted && strcmp(wanted, "all") == 0;
}

/* Calls `each` for every shape of the grid that the schedule can be made for. */
static void grid(const struct schedule *schedule, uint64_t *random, struct tally *tally,
                 void (*each)(struct trial *t, uint64_t *random, struct tally *tally))
{
    char text[128];
    for (uint32_t p = 1; p <= DEVICES; p++)
        for (uint32_t m = 1; m <= MICRO_BATCHES; m++)
            for (uint32_t v = 1; v <= CHUNKS; v++) {
                struct trial t = {.schedule = schedule,
                                  .shape = {.devices = p, .chunks = v, .micro_batches = m}};
                bool small = (p <= 4 && m <= 6) || schedule->placement == SCHEDULE_BOTH; /* which has few */
                if (schedule_problem(schedule, &t.shape, text, sizeof text) ||
                    (!grid_all() && !small && between(random, 1, EVERY) > 1))
                    continue;
                each(&t, random, tally);
            }
}

/* Integer seconds, so that sums are exact; of a chunk, so that a device's are multiples of the chunks. Equal
 * passes, F = I >= W, and any; only any where no form has a domain. */
static void integer_times(struct trial *t, uint64_t *random, struct tally *tally)
{
    for (int kind = t->schedule->makespan ? 0 : 2; kind < 3; kind++) {
        double f = 2 * between(random, 1, 50), i = kind < 2 ? f : 2 * between(random, 1, 50);
        double w = kind == 0   ? f
                   : kind == 1 ? 2 * between(random, 1, (uint32_t)f / 2)
                               : 2 * between(random, 1, 50);
        trial_times(t, f, i, w);
        trial_run(t);
        trial_forms(t, 0, tally);
        trial_bounds(t);
        trial_fini(t);
    }
}

static void closed_forms_hold_bit_for_bit_with_integer_times(void **state)
{
    (void)state;
    for (const struct schedule *const *at = schedule_table; *at; at++) {
        uint64_t random = 20240 + (uint64_t)(at - schedule_table);
        struct tally tally = {0};
        grid(*at, &random, &tally, integer_times);
        print_message("%-14s %6llu runs, %6llu makespans, %5llu spans, %6llu peaks\n", (*at)->name,
                      (unsigned long long)tally.runs, (unsigned long long)tally.makespans,
                      (unsigned long long)tally.spans, (unsigned long long)tally.peaks);
        assert_true(tally.makespans > 20 || !(*at)->makespan);
        assert_true(tally.spans > 20 || !(*at)->span);
        assert_true(tally.peaks > 20 || !(*at)->peak);
    }
}

static void real_times(struct trial *t, uint64_t *random, struct tally *tally)
{
    double f = 0.1 + (double)between(random, 1, 1000) / 777, scale = (double)between(random, 1, 1000) / 1000;
    bool equal = between(random, 0, 1);
    trial_times(t, f, f, equal ? f : f * scale);
    trial_run(t);
    trial_forms(t, 1e-12, tally);
    trial_fini(t);
}

static void closed_forms_hold_to_rounding_with_real_times(void **state)
{
    (void)state;
    for (const struct schedule *const *at = schedule_table; *at; at++) {
        uint64_t random = 77 + (uint64_t)(at - schedule_table);
        struct tally tally = {0};
        if (!(*at)->makespan)
            continue;
        grid(*at, &random, &tally, real_times);
        assert_true(tally.makespans > 10);
    }
}

/* Rows of the catalogue that are not a makespan in a table entry. */
static void spans_of_zb_h2_and_idle_times_of_dualpipe_are_as_published(void **state)
{
    (void)state;
    uint64_t random = 3;
    for (uint32_t n = 0; n < 200; n++) {
        struct trial t = {.schedule = &zb_h2_schedule, .shape = {.chunks = 1}};
        double f = between(&random, 1, 30), i = between(&random, 1, 30);
        double w = between(&random, 1, (uint32_t)fmin(f, i));
        uint32_t p = t.shape.devices = between(&random, 1, 10);
        uint32_t m = t.shape.micro_batches = 2 * p - 1 + between(&random, 0, 12);
        trial_times(&t, f, i, w);
        trial_run(&t);
        assert_true(t.result.span <= m * (f + i + w) + (p - 1) * (f + i - 2 * w));
        trial_fini(&t);

        struct trial d = {.schedule = &dualpipe_schedule, .shape = {.chunks = 1}};
        p = d.shape.devices = 2 * between(&random, 1, 6);
        m = d.shape.micro_batches = 2 * p + 2 * between(&random, 0, 10);
        w = between(&random, 1, (uint32_t)f);
        trial_times(&d, f, f, w);
        trial_run(&d);
        double most = 0;
        for (uint32_t k = 0; k < p; k++)
            most = fmax(most, d.result.devices[k].end - d.result.devices[k].start - d.result.devices[k].busy);
        double pair = 2 * f + w, back = f + w; /* X and B */
        if (fabs(most - (p / 2.0 - 1) * (pair + back - 3 * w)) > 0)
            fail_msg("%s: the largest idle time is %.17g", describe(&d), most);
        trial_fini(&d);
    }
}

/* The largest of all devices, when weight gradients hold all that a forward pass left. */
static void v_min_holds_a_third_of_the_activations(void **state)
{
    (void)state;
    for (uint32_t p = 2; p <= DEVICES; p++)
        for (uint32_t m = p + 2; m <= 24; m += 5) {
            struct trial t = {.schedule = &v_min_schedule,
                              .shape = {.devices = p, .chunks = 2, .micro_batches = m}};
            const char *error = NULL;
            double most = 0;
            trial_times(&t, 1, 1, 1);
            trial_run(&t);
            assert_true(rehearsal_run(&t.orders, &t.times, t.whole, t.whole, &t.result, &t.arena, &error));
            for (uint32_t d = 0; d < p; d++)
                most = fmax(most, t.result.devices[d].peak);
            trial_equal(&t, "peak", most, (p + 4) / 3 * t.all, 0);
            trial_fini(&t);
        }
}

/* p - s versions of the weights, and gradients that are p-1-s updates old. A micro-batch takes as long as the
 * slowest stage. */
static void pipedream_takes_the_slowest_stage_per_micro_batch(void **state)
{
    (void)state;
    uint64_t random = 5;
    for (uint32_t n = 0; n < 60; n++) {
        enum { M = 400 };
        struct trial t = {.schedule = &pipedream_schedule, .shape = {.chunks = 1, .micro_batches = M}};
        uint32_t p = t.shape.devices = between(&random, 1, 8);
        double slowest = 0;
        for (uint32_t s = 0; s < p; s++) {
            t.forward[s] = between(&random, 1, 20);
            t.input[s] = between(&random, 1, 20);
            t.weight[s] = between(&random, 1, 20);
            slowest = fmax(slowest, t.forward[s] + t.input[s] + t.weight[s]);
        }
        trial_run(&t);
        const struct rehearsal_device *first = &t.result.devices[0];
        double from = 0, to = 0;
        for (uint32_t i = 0; i < first->box_count; i++) {
            if (first->boxes[i].item.pass == PASS_B && first->boxes[i].item.micro_batch == M / 2)
                from = first->boxes[i].end;
            if (first->boxes[i].item.pass == PASS_B && first->boxes[i].item.micro_batch == M - p)
                to = first->boxes[i].end;
        }
        trial_equal(&t, "period", (to - from) / (M - p - M / 2), slowest, 0.02);
        for (uint32_t d = 0; d < p; d++) { /* updates between a micro-batch's F and its B */
            const struct schedule_list *list = &t.orders.lists[d];
            uint32_t updates = 0, at[M];
            for (uint32_t i = 0; i < list->count; i++)
                if (list->at[i].pass == PASS_F)
                    at[list->at[i].micro_batch] = updates;
                else if (++updates > p)
                    assert_int_equal(updates - 1 - at[list->at[i].micro_batch], p - 1 - d);
            assert_int_equal(pipedream_schedule.versions(&t.shape, d), p - d);
        }
        trial_fini(&t);
    }
}

/* Outside of every domain: each pass once, in an order that can be executed (orders_check), within the memory
 * bound, and no faster than the passes allow. */
static void unequal_stages_are_valid_and_never_below_the_bound(void **state)
{
    (void)state;
    uint32_t count = 0;
    while (schedule_table[count])
        count++;
    uint32_t runs = 0;
    for (uint64_t seed = 1; runs < 3200; seed++) {
        uint64_t random = seed;
        char text[128];
        struct trial t = {.schedule = schedule_table[seed % count]};
        t.shape = (struct schedule_shape){.devices = between(&random, 1, 8),
                                          .chunks = between(&random, 1, 4),
                                          .micro_batches = between(&random, 1, 20),
                                          .limit = between(&random, 0, 6)};
        if (schedule_problem(t.schedule, &t.shape, text, sizeof text))
            continue;
        for (uint32_t s = 0; s < STAGES; s++) {
            t.forward[s] = between(&random, 0, 1000);
            t.input[s] = between(&random, 0, 1000);
            t.weight[s] = between(&random, 0, 1000);
        }
        trial_run(&t);
        trial_bounds(&t);
        struct tally tally = {0};
        if (t.schedule == &gpipe_schedule || t.schedule == &inference_schedule) {
            trial_forms(&t, 0, &tally); /* their forms hold for unequal stages too */
            assert_int_equal(tally.makespans, 1);
        } else if (t.schedule->peak) {
            for (uint32_t d = 0; d < t.shape.devices; d++) /* what is held follows from the order alone */
                trial_equal(&t, "peak", t.result.devices[d].peak,
                            t.schedule->peak(&t.shape, d, t.all, t.part), 0);
        }
        trial_fini(&t);
        runs++;
    }
}

static void the_list_schedule_is_no_worse_than_1f1b_in_its_memory(void **state)
{
    (void)state;
    uint64_t random = 9;
    double better = 0, runs = 300;
    for (uint32_t n = 0; n < runs; n++) {
        struct trial one = {.schedule = &one_f_one_b_schedule, .shape = {.chunks = 1}}, list = one;
        list.schedule = &list_schedule;
        one.shape.devices = list.shape.devices = between(&random, 2, 8);
        one.shape.micro_batches = list.shape.micro_batches = between(&random, 2, 24);
        for (uint32_t s = 0; s < STAGES; s++) {
            one.forward[s] = list.forward[s] = between(&random, 50, 100);
            one.input[s] = list.input[s] = between(&random, 50, 100);
            one.weight[s] = list.weight[s] = between(&random, 50, 100);
        }
        trial_run(&one);
        trial_run(&list);
        better += list.result.makespan <= one.result.makespan;
        trial_fini(&one);
        trial_fini(&list);
    }
    print_message("list is at least as fast as 1f1b in %g of %g cases\n", better, runs);
    assert_true(better > 0.95 * runs);
}

/* Every schedule, written with and without its transfers and read again, is the same. */
static void orders_survive_a_file(void **state)
{
    (void)state;
    for (const struct schedule *const *at = schedule_table; *at; at++)
        for (int transfers = 0; transfers < 2; transfers++) {
            struct trial t = {.schedule = *at, .shape = {.devices = 4, .micro_batches = 8}};
            t.shape.chunks = (*at)->fewest_chunks ? (*at)->fewest_chunks : 1;
            trial_times(&t, 1, 1, 1);
            trial_run(&t);
            char name[] = "/tmp/partita-orders-XXXXXX";
            int file = mkstemp(name);
            assert_true(file >= 0);
            FILE *out = fdopen(file, "w");
            schedule_csv_write(&t.orders, transfers, out);
            fclose(out);
            struct input input;
            struct orders read;
            input_init(&input, NULL);
            if (!schedule_csv_read(&input, name, (*at)->training, (struct place){0}, &read)) {
                report_print(&input.report, stderr);
                fail_msg("%s", (*at)->name);
            }
            assert_int_equal(read.devices, t.orders.devices);
            assert_int_equal(read.stages, t.orders.stages);
            assert_int_equal(read.directions, t.orders.directions);
            for (uint32_t s = 0; s < read.stages; s++)
                assert_int_equal(read.device_of[s], t.orders.device_of[s]);
            for (uint32_t d = 0; d < read.devices; d++) {
                assert_int_equal(read.lists[d].count, t.orders.lists[d].count);
                for (uint32_t i = 0; i < read.lists[d].count; i++) {
                    const struct schedule_item *a = &read.lists[d].at[i], *b = &t.orders.lists[d].at[i];
                    assert_true(a->pass == b->pass && a->stage == b->stage &&
                                a->micro_batch == b->micro_batch && a->overlapped == b->overlapped);
                }
            }
            orders_fini(&read);
            input_fini(&input);
            remove(name);
            trial_fini(&t);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_forms_hold_bit_for_bit_with_integer_times),
        cmocka_unit_test(closed_forms_hold_to_rounding_with_real_times),
        cmocka_unit_test(spans_of_zb_h2_and_idle_times_of_dualpipe_are_as_published),
        cmocka_unit_test(v_min_holds_a_third_of_the_activations),
        cmocka_unit_test(pipedream_takes_the_slowest_stage_per_micro_batch),
        cmocka_unit_test(unequal_stages_are_valid_and_never_below_the_bound),
        cmocka_unit_test(the_list_schedule_is_no_worse_than_1f1b_in_its_memory),
        cmocka_unit_test(orders_survive_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
