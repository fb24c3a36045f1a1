#include "plan/emit_step.h"

#include "plan/emit_pass.h"
#include "plan/emit_token.h"
#include "plan/emit_update.h"
#include "plan/overlap.h"
#include "plan/scheduled.h"

#include <assert.h>

/* NULL: this rank has no part in the stage, though other ranks of the order's device have. */
static struct part *emit_step_part(struct emitter *e, uint32_t stage)
{
    for (uint32_t p = 0; p < e->part_count; p++)
        if (e->parts[p].role.stage == stage)
            return &e->parts[p];
    assert(e->plan->device_of && "an order for a stage of another device");
    return NULL;
}

/* `last`: the gradients of its stage are complete after it. */
static void emit_step_item(struct emitter *e, const struct schedule_item *item, bool last)
{
    struct part *part = emit_step_part(e, item->stage);
    if (!part)
        return;
    uint32_t each = e->plan->micro_batches, micro_batch = item->micro_batch % each;
    if (e->plan->schedule->asynchronous)
        e->builder.step = item->micro_batch / each;
    if (item->pass == PASS_F)
        emit_pass_forward(e, part, micro_batch);
    else if (item->pass == PASS_W)
        emit_pass_weights(e, part, micro_batch, last);
    else
        emit_pass_backward(e, part, item->pass, micro_batch, last);
}

/* Whether no later item of the list adds to the gradients of this one's stage before the next update. */
static bool emit_step_completes(const struct emitter *e, const struct schedule_list *list, uint32_t i,
                                const uint32_t *last)
{
    const struct schedule_item *item = &list->at[i];
    if (item->pass != PASS_B && item->pass != PASS_W)
        return false;
    if (!e->plan->schedule->asynchronous)
        return last[item->stage] == i;
    struct schedule_shape shape = scheduled_shape(e->plan);
    return (item->micro_batch + 1) % e->plan->schedule->update(&shape) == 0;
}

/* Merges an overlapped pair; what is noted of its operations follows them. */
static void emit_step_merge(struct emitter *e, uint32_t first, uint32_t second)
{
    uint32_t count = 1;
    for (uint32_t p = 0; p < e->part_count; p++)
        count += 2 + e->parts[p].parameters.squeezed.count;
    struct overlap_notes *notes = ARENA_ARRAY(e->arena, struct overlap_notes, count), *next = notes;
    for (uint32_t p = 0; p < e->part_count; p++) {
        struct parameters *parameters = &e->parts[p].parameters;
        *next++ = (struct overlap_notes){parameters->gathered, e->parts[p].d->parameters.count};
        *next++ = (struct overlap_notes){parameters->awaited.at, parameters->awaited.count};
        for (uint32_t i = 0; i < parameters->squeezed.count; i++)
            *next++ = (struct overlap_notes){&parameters->squeezed.at[i].op, 1};
    }
    *next = (struct overlap_notes){e->syncs.at, e->syncs.count};
    overlap_merge(&e->builder, first, second, notes, count);
}

/* One step in the order of the schedule; of an asynchronous one all steps, with their updates. */
static void emit_step_scheduled(struct emitter *e)
{
    const struct schedule_list *list = &e->orders->lists[e->orders->device_of[e->parts[0].role.stage]];
    uint32_t *last = ARENA_ARRAY(e->arena, uint32_t, e->orders->stages);
    for (uint32_t i = 0; i < list->count; i++)
        if (list->at[i].pass == PASS_B || list->at[i].pass == PASS_W)
            last[list->at[i].stage] = i;
    for (uint32_t i = 0; i < list->count; i++) {
        bool completes = emit_step_completes(e, list, i, last);
        uint32_t first = e->builder.ops.count;
        emit_step_item(e, &list->at[i], completes);
        if (list->at[i].overlapped) {
            uint32_t second = e->builder.ops.count;
            i++;
            emit_step_item(e, &list->at[i], emit_step_completes(e, list, i, last));
            emit_step_merge(e, first, second);
        } else if (completes && e->plan->schedule->asynchronous) {
            emit_update(e);
        }
    }
}

void emit_step(struct emitter *e)
{
    if (e->plan->token) {
        emit_token_step(e);
        return;
    }
    if (e->orders && e->part_count) {
        emit_step_scheduled(e);
        return;
    }
    for (uint32_t m = 0; m < e->plan->micro_batches; m++)
        for (uint32_t i = 0; i < e->part_count; i++)
            emit_pass_forward(e, &e->parts[i], m);
}
