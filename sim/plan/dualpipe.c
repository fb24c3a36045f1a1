/* DualPipe (DeepSeek-AI 2024, DeepSeek-V3 Technical Report; order as in their published code): two copies of
 * the model run in opposite directions, and a forward pass of one is overlapped with a backward pass of the
 * other. DualPipeV is its half: two stages per device, there and back again, and one copy.
 *
 * Both follow one order in which phase 0 is the stage whose micro-batches reach the device first. A device
 * counts by its distance from the turning point (V) or from the middle. */
#include "plan/trim.h"

#include <math.h>

struct dualpipe {
    struct schedule_list *out;
    uint32_t stage[2];                /* of the phases */
    uint32_t first[2], step;          /* micro-batches of a phase: first, first + step, ... */
    uint32_t forward[2], backward[2]; /* so far */
    struct schedule_item *waiting;    /* weight gradients put off, oldest first; owned */
    uint32_t waiting_count, waiting_room, waiting_next;
};

static uint32_t dualpipe_number(const struct dualpipe *d, int phase, uint32_t n)
{
    return d->first[phase] + n * d->step;
}

static void dualpipe_forward(struct dualpipe *d, int phase)
{
    schedule_add(d->out, PASS_F, d->stage[phase], dualpipe_number(d, phase, d->forward[phase]++));
}

/* The whole backward pass, or just the input gradient while the weight gradient waits. */
static void dualpipe_backward(struct dualpipe *d, int phase, bool split)
{
    uint32_t micro_batch = dualpipe_number(d, phase, d->backward[phase]++);
    schedule_add(d->out, split ? PASS_I : PASS_B, d->stage[phase], micro_batch);
    if (!split)
        return;
    if (d->waiting_count == d->waiting_room)
        d->waiting = vector_grow(d->waiting, &d->waiting_room, sizeof *d->waiting);
    d->waiting[d->waiting_count++] = (struct schedule_item){
        .pass = PASS_W, .stage = (uint16_t)d->stage[phase], .micro_batch = micro_batch};
}

static void dualpipe_weight(struct dualpipe *d)
{
    if (d->waiting_next == d->waiting_count)
        return;
    const struct schedule_item *item = &d->waiting[d->waiting_next++];
    schedule_add(d->out, PASS_W, item->stage, item->micro_batch);
}

/* F of one phase with B of the other. */
static void dualpipe_pair(struct dualpipe *d, int forward, int backward)
{
    struct schedule_item f = {.pass = PASS_F,
                              .stage = (uint16_t)d->stage[forward],
                              .micro_batch = dualpipe_number(d, forward, d->forward[forward]++)};
    struct schedule_item b = {.pass = PASS_B,
                              .stage = (uint16_t)d->stage[backward],
                              .micro_batch = dualpipe_number(d, backward, d->backward[backward]++)};
    schedule_add_pair(d->out, f, b);
}

/* The last backward passes: the second half of them without their weight gradients. */
static bool dualpipe_drain(struct dualpipe *d, uint32_t near)
{
    uint32_t rounds = near + 1;
    bool split = false;
    for (uint32_t i = 0; i < rounds; i++) {
        split |= i == rounds / 2 && near % 2 == 1;
        dualpipe_backward(d, 1, split);
        split |= i == rounds / 2 && near % 2 == 0;
        dualpipe_backward(d, 0, split);
    }
    return split;
}

/* `each`: micro-batches per phase; `ranks`: devices on the way to the turning point; `near`: how close to it
 * this one is, 0 the farthest. */
static void dualpipe_write(struct dualpipe *d, uint32_t each, uint32_t ranks, uint32_t near)
{
    uint32_t far = ranks - near - 1;
    for (uint32_t i = 0; i < 2 * far; i++)
        dualpipe_forward(d, 0);
    for (uint32_t i = 0; i <= near; i++) {
        dualpipe_forward(d, 0);
        dualpipe_forward(d, 1);
    }
    for (uint32_t i = 0; i < far; i++) {
        dualpipe_backward(d, 1, true);
        dualpipe_weight(d);
        dualpipe_forward(d, 1);
    }
    for (uint32_t i = 0; i < each - 2 * ranks + near + 1; i++) {
        if (i == 0 && far == 0) { /* apart, which lets the neighbour start sooner */
            dualpipe_forward(d, 0);
            dualpipe_backward(d, 1, false);
        } else {
            dualpipe_pair(d, 0, 1);
        }
        dualpipe_pair(d, 1, 0);
    }
    for (uint32_t i = 0; i < far; i++) {
        dualpipe_backward(d, 1, false);
        dualpipe_pair(d, 1, 0);
    }
    bool split = dualpipe_drain(d, near);
    for (uint32_t i = 0; i < far; i++) {
        dualpipe_weight(d);
        dualpipe_backward(d, 0, split);
    }
    for (uint32_t i = 0; i <= near; i++)
        dualpipe_weight(d);
    vector_release(d->waiting);
}

static const char *dualpipe_problem(const struct schedule_shape *shape)
{
    if (shape->devices % 2)
        return "runs in both directions and needs an even number of devices";
    return shape->micro_batches % 2 ? "runs in both directions and needs an even number of micro-batches"
                                    : NULL;
}

/* Written for at least 2p micro-batches, of which the first m are kept. Even ones go down, odd ones up. */
static void dualpipe_order(const struct schedule_shape *shape, struct schedule_list *lists)
{
    uint32_t p = shape->devices, m = shape->micro_batches, all = m > 2 * p ? m : 2 * p;
    for (uint32_t rank = 0; rank < p; rank++) {
        uint32_t second = rank >= p / 2, near = second ? p - 1 - rank : rank;
        uint32_t stages[] = {rank, 2 * p - 1 - rank};
        struct dualpipe d = {.out = &lists[rank],
                             .stage = {stages[second], stages[1 - second]},
                             .first = {second, 1 - second},
                             .step = 2};
        dualpipe_write(&d, all / 2, p / 2, near);
        trim_list(&lists[rank], m);
    }
}

static void dualpipe_v_order(const struct schedule_shape *shape, struct schedule_list *lists)
{
    uint32_t p = shape->devices, m = shape->micro_batches, all = m > 2 * p ? m : 2 * p;
    for (uint32_t rank = 0; rank < p; rank++) {
        struct dualpipe d = {.out = &lists[rank], .stage = {rank, 2 * p - 1 - rank}, .step = 1};
        dualpipe_write(&d, all, p, rank);
        trim_list(&lists[rank], m);
    }
}

/* An overlapped pair as long as both of its passes, F = I and W no longer. */
static bool dualpipe_exact(const struct schedule *schedule, const struct schedule_shape *shape,
                           const struct schedule_times *times, double *f, double *i, double *w)
{
    return schedule_equal(schedule, shape, times, f, i, w) && *f == *i && *w <= *f &&
           (times->pair == 0 || times->pair * shape->chunks == *f + *i + *w) &&
           shape->micro_batches >= 2 * shape->devices;
}

static double dualpipe_makespan(const struct schedule_shape *shape, const struct schedule_times *times)
{
    double f, i, w;
    if (!dualpipe_exact(&dualpipe_schedule, shape, times, &f, &i, &w))
        return NAN;
    return shape->micro_batches * (f + i + w) + (shape->devices / 2.0 - 1) * (f + 2 * i - w);
}

static double dualpipe_peak(const struct schedule_shape *shape, uint32_t device, double whole, double weight)
{
    (void)device, (void)weight;
    return shape->micro_batches >= 2 * shape->devices ? (shape->devices + 1) * whole : NAN;
}

static double dualpipe_v_makespan(const struct schedule_shape *shape, const struct schedule_times *times)
{
    double f, i, w;
    if (!dualpipe_exact(&dualpipe_v_schedule, shape, times, &f, &i, &w))
        return NAN;
    return shape->micro_batches * (f + i + w) + (shape->devices - 1) * (f + 2 * i - w) / 2;
}

static double dualpipe_v_peak(const struct schedule_shape *shape, uint32_t device, double whole,
                              double weight)
{
    (void)device, (void)weight;
    return shape->micro_batches >= 2 * shape->devices ? (2 * shape->devices + 1) * whole / 2 : NAN;
}

const struct schedule dualpipe_schedule = {
    .name = "dualpipe",
    .about = "two copies of the model in opposite directions, forward and backward passes overlapped",
    .source = "DeepSeek-AI 2024, DeepSeek-V3 Technical Report",
    .placement = SCHEDULE_BOTH,
    .training = true,
    .problem = dualpipe_problem,
    .order = dualpipe_order,
    .makespan = dualpipe_makespan,
    .peak = dualpipe_peak,
};

const struct schedule dualpipe_v_schedule = {
    .name = "dualpipev",
    .about = "one half of dualpipe: two stages per device, there and back, and one copy of the model",
    .source = "DeepSeek-AI 2025, DualPipe (published code); Qi et al. 2025, cut-in-half",
    .placement = SCHEDULE_V,
    .fewest_chunks = 2,
    .most_chunks = 2,
    .training = true,
    .order = dualpipe_v_order,
    .makespan = dualpipe_v_makespan,
    .peak = dualpipe_v_peak,
};
