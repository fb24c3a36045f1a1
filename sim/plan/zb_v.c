/* ZB-V (Qi et al. 2024): two stages per device, placed there and back again, so that the first device also
 * has the last stage and every device holds as much as under 1F1B. With equal passes no device waits. The
 * order is the published one for equal passes: forward passes until the first micro-batch has returned, F I W
 * of both chunks in turn, then the input gradients with the weight gradients in their gaps. */
#include "plan/trim.h"

#include <math.h>

struct zb_v {
    struct schedule_list *out;
    uint32_t stage[2];                        /* of the device's chunks */
    uint32_t forward[2], input[2], weight[2]; /* micro-batches so far */
};

static void zb_v_forward(struct zb_v *v, int chunk)
{
    schedule_add(v->out, PASS_F, v->stage[chunk], v->forward[chunk]++);
}

static void zb_v_input(struct zb_v *v, int chunk)
{
    schedule_add(v->out, PASS_I, v->stage[chunk], v->input[chunk]++);
}

static void zb_v_weight(struct zb_v *v, int chunk)
{
    schedule_add(v->out, PASS_W, v->stage[chunk], v->weight[chunk]++);
}

static void zb_v_warm_up(struct zb_v *v, uint32_t device, uint32_t devices)
{
    for (uint32_t i = 0; i < 2 * (devices - device) - 1; i++)
        zb_v_forward(v, 0);
    for (uint32_t i = 0; i < device; i++) {
        zb_v_forward(v, 1);
        zb_v_forward(v, 0);
    }
    for (uint32_t i = 0; i < devices - device; i++) {
        zb_v_forward(v, 1);
        zb_v_input(v, 1);
        zb_v_weight(v, 1);
    }
}

static void zb_v_drain(struct zb_v *v, uint32_t device, uint32_t devices)
{
    for (uint32_t i = 0; i < device; i++) {
        zb_v_input(v, 0);
        zb_v_input(v, 1);
    }
    for (uint32_t i = 0; i < devices - device; i++) {
        zb_v_input(v, 0);
        zb_v_weight(v, 0);
    }
    for (int chunk = 1; chunk >= 0; chunk--)
        while (v->weight[chunk] < v->input[chunk])
            zb_v_weight(v, chunk);
}

/* Written for at least 2p-1 micro-batches, of which the first m are kept. */
static void zb_v_order(const struct schedule_shape *shape, struct schedule_list *lists)
{
    uint32_t p = shape->devices, m = shape->micro_batches;
    uint32_t all = m > 2 * p - 1 ? m : 2 * p - 1;
    for (uint32_t d = 0; d < p; d++) {
        struct zb_v v = {.out = &lists[d], .stage = {d, 2 * p - 1 - d}};
        zb_v_warm_up(&v, d, p);
        while (v.forward[1] < v.forward[0] || v.forward[0] < all)
            for (int chunk = 0; chunk < 2; chunk++) {
                if (v.forward[chunk] < all)
                    zb_v_forward(&v, chunk);
                zb_v_input(&v, chunk);
                zb_v_weight(&v, chunk);
            }
        zb_v_drain(&v, d, p);
        trim_list(&lists[d], m);
    }
}

static bool zb_v_exact(const struct schedule_shape *shape, const struct schedule_times *times, double *each)
{
    double f, i, w;
    bool equal = schedule_equal(&zb_v_schedule, shape, times, &f, &i, &w) && f == i && f == w;
    *each = f;
    return equal && shape->micro_batches >= 2 * shape->devices - 1;
}

static double zb_v_makespan(const struct schedule_shape *shape, const struct schedule_times *times)
{
    double each;
    return zb_v_exact(shape, times, &each) ? shape->micro_batches * 3 * each + (shape->devices - 1) * each / 2
                                           : NAN;
}

static double zb_v_span(const struct schedule_shape *shape, const struct schedule_times *times)
{
    double each;
    return zb_v_exact(shape, times, &each) ? shape->micro_batches * 3 * each : NAN;
}

static double zb_v_peak(const struct schedule_shape *shape, uint32_t device, double whole, double weight)
{
    (void)device, (void)weight;
    return shape->micro_batches >= 2 * shape->devices - 1 ? shape->devices * whole : NAN;
}

const struct schedule zb_v_schedule = {
    .name = "zb-v",
    .about = "zero bubble with two stages per device, there and back: memory of 1f1b on every device",
    .source = "Qi et al. 2024, Zero Bubble Pipeline Parallelism (arXiv 2401.10241), section 6",
    .placement = SCHEDULE_V,
    .fewest_chunks = 2,
    .most_chunks = 2,
    .training = true,
    .order = zb_v_order,
    .makespan = zb_v_makespan,
    .span = zb_v_span,
    .peak = zb_v_peak,
};
