/* Interleaved 1F1B (Narayanan et al. 2021, Megatron-LM): each device has v stages, and micro-batches go
 * through them in groups of p: p micro-batches through the device's first chunk, the same p through its
 * second, and so on. After 2(p-1-d) + (v-1)p forward passes, one forward and one backward pass alternate. */
#include "plan/schedule.h"

#include <math.h>

static const char *interleaved_problem(const struct schedule_shape *shape)
{
    return shape->micro_batches % shape->devices
               ? "needs a number of micro-batches that is a multiple of the number of devices"
               : NULL;
}

/* The n-th pass of a device: its chunk and micro-batch. Backward, chunks come in reverse. */
static void interleaved_add(const struct schedule_shape *shape, uint32_t device, uint8_t pass, uint32_t n,
                            struct schedule_list *out)
{
    uint32_t p = shape->devices, chunk = n / p % shape->chunks;
    uint32_t micro_batch = n / (p * shape->chunks) * p + n % p;
    if (pass == PASS_B)
        chunk = shape->chunks - 1 - chunk;
    schedule_add(out, pass, chunk * p + device, micro_batch);
}

static uint32_t interleaved_warm_up(const struct schedule_shape *shape, uint32_t device)
{
    return 2 * (shape->devices - 1 - device) + (shape->chunks - 1) * shape->devices;
}

static void interleaved_order(const struct schedule_shape *shape, struct schedule_list *lists)
{
    uint32_t total = shape->micro_batches * shape->chunks;
    for (uint32_t d = 0; d < shape->devices; d++) {
        uint32_t forward = 0;
        while (forward < interleaved_warm_up(shape, d) && forward < total)
            interleaved_add(shape, d, PASS_F, forward++, &lists[d]);
        for (uint32_t backward = 0; backward < total; backward++) {
            if (forward < total)
                interleaved_add(shape, d, PASS_F, forward++, &lists[d]);
            interleaved_add(shape, d, PASS_B, backward, &lists[d]);
        }
    }
}

static double interleaved_makespan(const struct schedule_shape *shape, const struct schedule_times *times)
{
    double forward, input, weight;
    if (!schedule_equal(&interleaved_schedule, shape, times, &forward, &input, &weight))
        return NAN;
    double all = forward + input + weight;
    return shape->micro_batches * all + (shape->devices - 1) * all / shape->chunks;
}

static double interleaved_peak(const struct schedule_shape *shape, uint32_t device, double whole,
                               double weight)
{
    (void)weight;
    double most = shape->micro_batches * shape->chunks, warm = interleaved_warm_up(shape, device) + 1;
    return fmin(most, warm) * whole / shape->chunks;
}

const struct schedule interleaved_schedule = {
    .name = "interleaved",
    .about = "1f1b with several stages per device (chunks): a shorter bubble, more transfers",
    .source = "Narayanan et al. 2021, Efficient Large-Scale Language Model Training on GPU Clusters",
    .fewest_chunks = 2,
    .most_chunks = 1024,
    .training = true,
    .problem = interleaved_problem,
    .order = interleaved_order,
    .makespan = interleaved_makespan,
    .peak = interleaved_peak,
};
