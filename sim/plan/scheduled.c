#include "plan/scheduled.h"

#include "plan/recompute.h"
#include "plan/work.h"

#include <string.h>

struct schedule_shape scheduled_shape(const struct plan *plan)
{
    if (plan->orders)
        return (struct schedule_shape){
            .devices = plan->orders->devices, .chunks = 1, .micro_batches = plan->micro_batches};
    if (plan->device_of)
        return (struct schedule_shape){.devices = plan->schedule_devices,
                                       .chunks = 1,
                                       .micro_batches = plan->micro_batches,
                                       .limit = plan->in_flight,
                                       .device_of = plan->device_of,
                                       .stages = plan->stages.count};
    bool both = plan->schedule->placement == SCHEDULE_BOTH;
    uint32_t chunks = plan->chunks ? plan->chunks : 1;
    return (struct schedule_shape){.devices = plan->stages.count / (both ? 2 : chunks),
                                   .chunks = chunks,
                                   .micro_batches = plan->micro_batches,
                                   .limit = plan->in_flight};
}

/* Whether no device holds more with one shape than with the other; false where that is not known. */
static bool scheduled_holds(const struct schedule *schedule, const struct schedule_shape *one,
                            const struct schedule_shape *other)
{
    bool same = true;
    for (uint32_t d = 0; d < one->devices; d++)
        same &= schedule->peak(one, d, 1, 0.5) == schedule->peak(other, d, 1, 0.5);
    return same;
}

uint32_t scheduled_fewest(const struct plan *plan)
{
    struct schedule_shape all = scheduled_shape(plan), fewer = all;
    char text[160];
    bool known = plan->training && !plan->orders && !plan->device_of && plan->schedule->peak;
    for (fewer.micro_batches = all.devices + 1; known && fewer.micro_batches < all.micro_batches;
         fewer.micro_batches++)
        if (!schedule_problem(plan->schedule, &fewer, text, sizeof text) &&
            scheduled_holds(plan->schedule, &fewer, &all))
            return fewer.micro_batches;
    return all.micro_batches;
}

struct schedule_times scheduled_times(const struct plan *plan, const struct derivation *derivations,
                                      struct arena *arena)
{
    uint32_t stages = plan->stages.count;
    double *passes[3];
    for (int i = 0; i < 3; i++)
        passes[i] = ARENA_ARRAY(arena, double, stages);
    for (uint32_t s = 0; s < stages; s++) {
        const struct derivation *d = &derivations[s];
        for (uint32_t i = 0; i < d->forward.count; i++)
            if (d->forward.at[i].kind == ACTION_KERNEL)
                passes[0][s] += work_forward(d, d->forward.at[i].layer_op, 0).seconds;
        for (uint32_t i = 0; i < d->backward.count; i++)
            if (d->backward.at[i].kind == ACTION_KERNEL) {
                passes[1][s] += work_input_gradient(d, d->backward.at[i].layer_op, 0).seconds;
                passes[2][s] += work_weight_gradient(d, d->backward.at[i].layer_op, 0).seconds;
            }
        bool *again = ARENA_ARRAY(arena, bool, d->forward.count);
        recompute_actions(d, arena, again);
        for (uint32_t i = 0; i < d->forward.count; i++)
            if (again[i] && d->forward.at[i].kind == ACTION_KERNEL)
                passes[1][s] += work_forward(d, d->forward.at[i].layer_op, 0).seconds;
    }
    return (struct schedule_times){passes[0], passes[1], passes[2], 0};
}

static bool scheduled_same(const struct plan_stage *one, const struct plan_stage *other)
{
    return one->devices.count == other->devices.count &&
           memcmp(one->devices.at, other->devices.at, one->devices.count * sizeof(uint32_t)) == 0;
}

/* `marks`: per device, 1 + the last stage that marked it. */
static bool scheduled_shares(const struct plan_stage *one, const uint32_t *marks, uint32_t mark)
{
    for (uint32_t i = 0; i < one->devices.count; i++)
        if (marks[one->devices.at[i]] == mark)
            return true;
    return false;
}

/* The first stage that shares devices with `stage`, directly or through others. */
static uint32_t scheduled_root(const uint32_t *joined, uint32_t stage)
{
    while (joined[stage] != stage)
        stage = joined[stage];
    return stage;
}

bool scheduled_join(struct plan *plan)
{
    struct arena arena;
    arena_init(&arena);
    uint32_t count = plan->stages.count, *joined = ARENA_ARRAY(&arena, uint32_t, count);
    uint32_t *owner = ARENA_ARRAY(&arena, uint32_t, plan->platform->devices.count); /* 1 + a stage on it */
    VECTOR(uint16_t) device_of = {0};
    uint32_t devices = 0;
    for (uint32_t s = 0; s < count; s++) {
        const struct index_list *list = &plan->stages.at[s].devices;
        joined[s] = s;
        for (uint32_t i = 0; i < list->count; i++) {
            uint32_t *on = &owner[list->at[i]];
            uint32_t here = scheduled_root(joined, s), there = *on ? scheduled_root(joined, *on - 1) : here;
            joined[here > there ? here : there] = here < there ? here : there;
            *on = s + 1;
        }
    }
    for (uint32_t s = 0; s < count; s++) {
        uint32_t root = scheduled_root(joined, s);
        VECTOR_PUSH(&device_of, root == s ? (uint16_t)devices++ : device_of.at[root]);
    }
    arena_fini(&arena);
    plan->device_of = device_of.at;
    plan->schedule_devices = devices;
    return devices < count;
}

void scheduled_warn(const struct plan *plan, struct report *report)
{
    struct arena arena;
    arena_init(&arena);
    uint32_t *marks = ARENA_ARRAY(&arena, uint32_t, plan->platform->devices.count);
    bool warned = false;
    for (uint32_t s = 0; s < plan->stages.count && !warned; s++) {
        const struct plan_stage *here = &plan->stages.at[s];
        for (uint32_t i = 0; i < here->devices.count; i++)
            marks[here->devices.at[i]] = s + 1;
        for (uint32_t t = 0; t < s && !warned; t++) {
            const struct plan_stage *there = &plan->stages.at[t];
            warned = scheduled_shares(there, marks, s + 1) && !scheduled_same(here, there);
            if (warned)
                report_warning(
                    report, here->place,
                    "a device of this stage %u works on stage %u too: there, their passes take turns "
                    "(schedule %s)",
                    s, t, plan->schedule->name);
        }
    }
    arena_fini(&arena);
}

/* Two stages have the same devices if they stand on one device of the schedule, else none in common. */
static bool scheduled_placed(const struct plan *plan, const struct orders *orders, struct arena *arena,
                             struct report *report)
{
    uint32_t *marks = ARENA_ARRAY(arena, uint32_t, plan->platform->devices.count);
    for (uint32_t s = 0; s < plan->stages.count; s++) {
        const struct index_list *devices = &plan->stages.at[s].devices;
        for (uint32_t i = 0; i < devices->count; i++)
            marks[devices->at[i]] = s + 1;
        for (uint32_t t = 0; t < s; t++) {
            const struct plan_stage *here = &plan->stages.at[s], *there = &plan->stages.at[t];
            bool together = orders->device_of[s] == orders->device_of[t];
            if (together ? scheduled_same(here, there) : !scheduled_shares(there, marks, s + 1))
                continue;
            return together ? report_error(
                                  report, here->place,
                                  "schedule %s has stages %u and %u on the same devices; these are others",
                                  plan->schedule->name, t, s)
                            : report_error(
                                  report, here->place,
                                  "a device of this stage %u works on stage %u too, and schedule %s wants "
                                  "them apart: leave the schedule open or say `list`, or plan.chunks with "
                                  "a schedule of several stages per device",
                                  s, t, plan->schedule->name);
        }
    }
    return true;
}

/* Those of a file, as they are. */
static void scheduled_copy(const struct orders *from, struct orders *to)
{
    orders_init(to, from->devices, from->stages);
    to->directions = from->directions;
    to->micro_batches = from->micro_batches;
    for (uint32_t s = 0; s < from->stages; s++)
        to->device_of[s] = from->device_of[s];
    for (uint32_t d = 0; d < from->devices; d++)
        for (uint32_t i = 0; i < from->lists[d].count; i++)
            VECTOR_PUSH(&to->lists[d], from->lists[d].at[i]);
}

/* Whether all stages have the same devices. */
static bool scheduled_together(const struct plan *plan)
{
    for (uint32_t s = 1; s < plan->stages.count; s++)
        if (!scheduled_same(&plan->stages.at[0], &plan->stages.at[s]))
            return false;
    return true;
}

/* Runs each weight gradient with its input gradient: where the same devices do all, nobody waits for the
 * latter alone, and what W reads is let go sooner. */
static void scheduled_whole(struct schedule_list *list)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        struct schedule_item item = list->at[i];
        if (item.pass == PASS_W)
            continue;
        if (item.pass == PASS_I)
            item.pass = PASS_B;
        list->at[kept++] = item;
    }
    list->count = kept;
}

bool scheduled_orders(const struct plan *plan, const struct derivation *derivations, struct orders *orders,
                      struct report *report)
{
    struct schedule_shape shape = scheduled_shape(plan);
    struct arena arena;
    char text[128];
    arena_init(&arena);
    *orders = (struct orders){0};
    struct place place = plan->stages.count ? plan->stages.at[0].place : (struct place){0};
    const char *problem = plan->orders ? NULL : schedule_problem(plan->schedule, &shape, text, sizeof text);
    bool good = !problem || report_error(report, place, "schedule %s %s (%u devices, %u micro-batches)",
                                         plan->schedule->name, problem, shape.devices, shape.micro_batches);
    if (good && plan->orders) {
        scheduled_copy(plan->orders, orders);
    } else if (good) {
        struct schedule_times times = {0};
        if (plan->schedule->timed)
            times = scheduled_times(plan, derivations, &arena);
        shape.times = &times;
        if (plan->schedule->asynchronous)
            shape.micro_batches *= plan->steps;
        orders_make(plan->schedule, &shape, orders);
        if (plan->device_of && scheduled_together(plan))
            scheduled_whole(&orders->lists[0]);
    }
    good = good && (plan->device_of || scheduled_placed(plan, orders, &arena, report));
    arena_fini(&arena);
    return good;
}
