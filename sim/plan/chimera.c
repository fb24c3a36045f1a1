/* Chimera (Li and Hoefler 2021): two copies of the model run 1F1B in opposite directions with p/2
 * micro-batches each, and interlock without conflict: with slots as long as a pass, the k-th micro-batch of a
 * direction is at its stage s in slot s + 2k forward and 2p-1-s + 2k backward, so that on a device with an
 * even p one direction has the even slots and the other the odd ones. More micro-batches follow in units of p
 * ("direct concatenation"), 2p slots later. */
#include "plan/schedule.h"

#include <math.h>
#include <stdlib.h>

struct chimera_slot {
    uint32_t slot;
    struct schedule_item item;
};

static int chimera_earlier(const void *left, const void *right)
{
    const struct chimera_slot *a = left, *b = right;
    return a->slot < b->slot ? -1 : a->slot > b->slot;
}

static const char *chimera_problem(const struct schedule_shape *shape)
{
    if (shape->devices % 2)
        return "runs in both directions and needs an even number of devices";
    return shape->micro_batches % shape->devices
               ? "needs a number of micro-batches that is a multiple of the number of devices"
               : NULL;
}

static void chimera_order(const struct schedule_shape *shape, struct schedule_list *lists)
{
    uint32_t p = shape->devices;
    for (uint32_t d = 0; d < p; d++) {
        VECTOR(struct chimera_slot) slots = {0};
        for (uint32_t m = 0; m < shape->micro_batches; m++) {
            uint32_t up = m % 2, begin = m / p * 2 * p + m % p / 2 * 2, s = up ? p - 1 - d : d;
            struct schedule_item item = {.micro_batch = m, .stage = (uint16_t)(up * p + s), .pass = PASS_F};
            VECTOR_PUSH(&slots, ((struct chimera_slot){begin + s, item}));
            item.pass = PASS_B;
            VECTOR_PUSH(&slots, ((struct chimera_slot){begin + 2 * p - 1 - s, item}));
        }
        qsort(slots.at, slots.count, sizeof *slots.at, chimera_earlier);
        for (uint32_t i = 0; i < slots.count; i++)
            VECTOR_PUSH(&lists[d], slots.at[i].item);
        VECTOR_FREE(&slots);
    }
}

static double chimera_makespan(const struct schedule_shape *shape, const struct schedule_times *times)
{
    double f, i, w, m = shape->micro_batches, p = shape->devices;
    if (!schedule_equal(&chimera_schedule, shape, times, &f, &i, &w) || i + w < f)
        return NAN;
    return m * (f + i + w) + (p - 2) * (i + w + (m / p - 1) * (i + w - f));
}

/* p/2 of one direction and one of the other; nearer the middle, more of the other. */
static double chimera_peak(const struct schedule_shape *shape, uint32_t device, double whole, double weight)
{
    (void)weight;
    uint32_t p = shape->devices, near = device < p - 1 - device ? device : p - 1 - device;
    return (p / 2 + 1 + near) * whole;
}

const struct schedule chimera_schedule = {
    .name = "chimera",
    .about = "two copies of the model run 1f1b in opposite directions, each in the other's bubbles",
    .source = "Li and Hoefler 2021, Chimera",
    .placement = SCHEDULE_BOTH,
    .training = true,
    .problem = chimera_problem,
    .order = chimera_order,
    .makespan = chimera_makespan,
    .peak = chimera_peak,
};
