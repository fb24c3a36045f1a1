#include "plan/emit_ring.h"

#include "plan/emit_action.h"
#include "plan/streamed.h"

/* Passes the block of a step on, and receives the next step's. Returns the operation that receives it. */
static uint32_t emit_ring_pass(struct emitter *e, const struct part *part, const struct action *action,
                               uint32_t step, const struct index_list *after)
{
    uint32_t stage = part->role.stage, member = part->role.member;
    uint32_t next = streamed_member(part->d->stage, member, action->axes, 1);
    uint32_t before = streamed_member(part->d->stage, member, action->axes,
                                      layout_places(part->d->stage, action->axes) - 1);
    builder_communicate(&e->builder, OP_SEND, 0, cast_ring(e->cast, stage, action, member, next), MODEL_NONE,
                        streamed_elements(part->d, action, member, step) * action->element_bytes,
                        action->part, after);
    return builder_communicate(
        &e->builder, OP_RECEIVE, 0, cast_ring(e->cast, stage, action, before, member), MODEL_NONE,
        streamed_elements(part->d, action, before, step) * action->element_bytes, action->part, NULL);
}

/* Passes what one kind of streamed actions of a loop has in a step: operands wait for the block before to
 * have arrived, gradients also for the kernel that adds to them. `arrived`: per action of the loop. */
static void emit_ring_passes(struct emitter *e, struct part *part, bool backward, uint32_t l, int collective,
                             uint32_t step, uint32_t *arrived)
{
    const struct step_loop *loop = emitter_loop(part, backward, l);
    struct index_list after = {0};
    for (uint32_t i = loop->first; i < loop->end; i++) {
        const struct action *action = emitter_action(part, backward, i);
        if (action->loop != l || !action->streamed || action->collective != collective ||
            emit_action_absent(part, action))
            continue;
        after.count = 0;
        if (step == 0 || collective == REDUCE_SCATTER)
            emitter_after(part, backward, action, &after);
        if ((backward ? part->backward_count : part->forward_count)[i])
            VECTOR_PUSH(&after, (backward ? part->backward_op : part->forward_op)[i]);
        arrived[i - loop->first] = emit_ring_pass(e, part, action, step, &after);
    }
    VECTOR_FREE(&after);
}

static void emit_ring_arrived(struct part *part, bool backward, uint32_t l, int collective,
                              const uint32_t *arrived)
{
    const struct step_loop *loop = emitter_loop(part, backward, l);
    for (uint32_t i = loop->first; i < loop->end; i++) {
        const struct action *action = emitter_action(part, backward, i);
        if (action->loop == l && action->streamed && action->collective == collective &&
            !emit_action_absent(part, action))
            emitter_note(part, backward, i, arrived[i - loop->first], 1);
    }
}

/* The kernels of a loop on the block of a step; those of which a mask leaves nothing do not run. */
static void emit_ring_block(struct emitter *e, struct part *part, bool backward, uint32_t l, uint32_t step)
{
    const struct step_loop *loop = emitter_loop(part, backward, l);
    for (uint32_t i = loop->first; i < loop->end; i++) {
        const struct action *action = emitter_action(part, backward, i);
        if (action->loop != l || action->kind != ACTION_KERNEL)
            continue;
        e->share = streamed_share(part->d, action->layer_op, loop->axes, part->role.member, step);
        if (e->share > 0 || step == 0)
            emit_action(e, part, backward, i);
        else
            emit_action_behind(e, part, backward, i, e->builder.ops.count);
    }
}

void emit_ring(struct emitter *e, struct part *part, bool backward, uint32_t l)
{
    const struct step_loop *loop = emitter_loop(part, backward, l);
    uint32_t *arrived = ARENA_ARRAY(e->arena, uint32_t, loop->end - loop->first);
    double buffer = streamed_buffer(part->d, backward, l, part->role.member);
    uint32_t label = emitter_action(part, backward, loop->first)->part;
    builder_take(&e->builder, MEMORY_COMMUNICATION, label, buffer);
    for (uint32_t step = 0; step < loop->steps; step++) {
        bool passes = step + 1 < loop->steps;
        e->first_step = step == 0;
        e->last_step = !passes;
        if (passes)
            emit_ring_passes(e, part, backward, l, ALL_GATHER, step, arrived);
        emit_ring_block(e, part, backward, l, step);
        if (passes)
            emit_ring_arrived(part, backward, l, ALL_GATHER, arrived);
        if (step > 0) {
            emit_ring_passes(e, part, backward, l, REDUCE_SCATTER, step, arrived);
            emit_ring_arrived(part, backward, l, REDUCE_SCATTER, arrived);
        }
    }
    builder_change(&e->builder, PROGRAM_NONE, MEMORY_COMMUNICATION, label, -buffer);
}
