/* A panel goes from its owner to the next device, which passes it on, and so on around the axis; sums go on
 * from the device after the owner until they reach it. A device has room for two panels of each: it receives
 * one when the product with the last but one is done and that has been passed on. Transfers meet
 * (rendezvous), so that none comes before there is room; the first ones when the work before the product is
 * done, as its room is taken then, and weights are up to date. */
#include "plan/emit_panels.h"

#include "plan/emit_action.h"
#include "plan/panels.h"
#include "plan/state.h"
#include "plan/streamed.h"

/* What happened last with each of the two buffers of a streamed action; PROGRAM_NONE: nothing. */
struct emit_panels_buffers {
    uint32_t received[2], sent[2];
};

struct emit_panels {
    struct emitter *e;
    struct part *part;
    bool backward;
    uint32_t loop;
    const struct step_loop *of;
    struct emit_panels_buffers *buffers; /* per action of the loop */
    uint32_t start; /* the last operation of the work before the loop; PROGRAM_NONE: there was none */
    struct index_list fetched; /* what brings, from where they are kept, the operands that this device has */
    uint32_t product[2];       /* the operation of the last product with each buffer, at first that one */
};

static void emit_panels_wait(struct index_list *after, uint32_t op)
{
    if (op != PROGRAM_NONE)
        VECTOR_PUSH(after, op);
}

/* One message to the device after this one, or from the one before. */
static uint32_t emit_panels_message(struct emit_panels *p, const struct action *action, uint32_t step,
                                    enum op_kind kind, const struct index_list *after)
{
    const struct part *part = p->part;
    uint32_t stage = part->role.stage, member = part->role.member;
    uint32_t ways = layout_places(part->d->stage, action->axes);
    uint32_t other = streamed_member(part->d->stage, member, action->axes, kind == OP_SEND ? 1 : ways - 1);
    uint32_t group = kind == OP_SEND ? cast_ring(p->e->cast, stage, action, member, other)
                                     : cast_ring(p->e->cast, stage, action, other, member);
    double bytes = panels_elements(part->d, action, member, step) * action->element_bytes;
    return builder_communicate(&p->e->builder, kind, 0, group, MODEL_NONE, bytes, action->part, after);
}

/* An operand's panel of a step: received unless it is the device's own, and passed on. */
static void emit_panels_pass(struct emit_panels *p, uint32_t index, uint32_t step)
{
    const struct action *action = emitter_action(p->part, p->backward, index);
    struct emit_panels_buffers *buffers = &p->buffers[index - p->of->first];
    uint32_t distance = panels_distance(p->part->d, action, p->part->role.member, step);
    uint32_t ways = layout_places(p->part->d->stage, action->axes);
    struct index_list after = {0};
    buffers->received[step % 2] = PROGRAM_NONE;
    if (distance) {
        emit_panels_wait(&after, p->product[step % 2]);
        emit_panels_wait(&after, buffers->sent[step % 2]);
        buffers->received[step % 2] = emit_panels_message(p, action, step, OP_RECEIVE, &after);
    }
    buffers->sent[step % 2] = PROGRAM_NONE;
    if (distance + 1 < ways) {
        after.count = 0;
        if (distance)
            emit_panels_wait(&after, buffers->received[step % 2]);
        else
            emitter_after(p->part, p->backward, action, &after);
        emit_panels_wait(&after, distance ? PROGRAM_NONE : p->start);
        for (uint32_t i = 0; i < p->fetched.count && !distance; i++)
            VECTOR_PUSH(&after, p->fetched.at[i]);
        buffers->sent[step % 2] = emit_panels_message(p, action, step, OP_SEND, &after);
    }
    VECTOR_FREE(&after);
}

/* A panel's sums: those of the devices before are added to the own, and go on to its owner. */
static void emit_panels_sum(struct emit_panels *p, uint32_t index, uint32_t step)
{
    const struct action *action = emitter_action(p->part, p->backward, index);
    struct emit_panels_buffers *buffers = &p->buffers[index - p->of->first];
    uint32_t distance = panels_distance(p->part->d, action, p->part->role.member, step);
    struct index_list after = {0};
    uint32_t received = PROGRAM_NONE;
    emit_panels_wait(&after, p->product[step % 2]);
    if (distance != 1)
        received = emit_panels_message(p, action, step, OP_RECEIVE, &after);
    emit_panels_wait(&after, received);
    buffers->sent[step % 2] = distance ? emit_panels_message(p, action, step, OP_SEND, &after) : PROGRAM_NONE;
    if (!distance) {
        emitter_note(p->part, p->backward, index, received, 1);
        if (state_tensor(p->part->d, action->tensor)->role == TENSOR_PARAMETER)
            parameters_await(&p->part->parameters, received);
    }
    VECTOR_FREE(&after);
}

/* The product with the panels of a step: it waits for them, and until the sums of the last but one left. */
static void emit_panels_product(struct emit_panels *p, uint32_t index, uint32_t step)
{
    for (uint32_t i = p->of->first; i < p->of->end; i++) {
        const struct action *action = emitter_action(p->part, p->backward, i);
        const struct emit_panels_buffers *buffers = &p->buffers[i - p->of->first];
        if (action->loop != p->loop || !action->streamed)
            continue;
        if (action->collective == ALL_GATHER)
            emitter_note(p->part, p->backward, i, buffers->received[step % 2],
                         buffers->received[step % 2] != PROGRAM_NONE);
        else
            emit_panels_wait(&p->e->builder.gate, buffers->sent[step % 2]);
    }
    p->e->share = panels_share(p->part->d, emitter_action(p->part, p->backward, index)->layer_op, step);
    emit_action(p->e, p->part, p->backward, index);
    builder_close(&p->e->builder); /* what waits for this panel does not wait for the next */
    p->product[step % 2] = (p->backward ? p->part->backward_op : p->part->forward_op)[index];
}

/* All actions of a loop of one kind, in a step. */
static void emit_panels_each(struct emit_panels *p, uint32_t step, int collective,
                             void (*what)(struct emit_panels *, uint32_t, uint32_t))
{
    for (uint32_t i = p->of->first; i < p->of->end && step < p->of->steps; i++) {
        const struct action *action = emitter_action(p->part, p->backward, i);
        bool kernel = action->kind == ACTION_KERNEL;
        if (action->loop == p->loop &&
            (collective == COLLECTIVE_KIND_COUNT ? kernel : !kernel && action->collective == collective))
            what(p, i, step);
    }
}

/* What sums become is there from the first panel on. */
static void emit_panels_live(struct emit_panels *p, uint32_t index, uint32_t step)
{
    (void)step;
    if (p->e->first_step || p->e->last_step)
        emit_action_behind(p->e, p->part, p->backward, index, p->e->builder.ops.count);
}

void emit_panels(struct emitter *e, struct part *part, bool backward, uint32_t l)
{
    struct emit_panels p = {.e = e,
                            .part = part,
                            .backward = backward,
                            .loop = l,
                            .of = emitter_loop(part, backward, l),
                            .start = e->builder.last_compute};
    for (uint32_t i = 0; i < e->builder.gate.count; i++)
        VECTOR_PUSH(&p.fetched, e->builder.gate.at[i]);
    p.product[0] = p.product[1] = p.start;
    p.buffers = ARENA_ARRAY(e->arena, struct emit_panels_buffers, p.of->end - p.of->first);
    for (uint32_t i = 0; i < p.of->end - p.of->first; i++)
        p.buffers[i] =
            (struct emit_panels_buffers){{PROGRAM_NONE, PROGRAM_NONE}, {PROGRAM_NONE, PROGRAM_NONE}};
    double room = panels_buffer(part->d, backward, l, part->role.member);
    uint32_t label = emitter_action(part, backward, p.of->first)->part;
    builder_take(&e->builder, MEMORY_COMMUNICATION, label, room);
    emit_panels_each(&p, 0, ALL_GATHER, emit_panels_pass);
    for (uint32_t step = 0; step < p.of->steps; step++) {
        e->first_step = step == 0;
        e->last_step = step + 1 == p.of->steps;
        emit_panels_each(&p, step + 1, ALL_GATHER, emit_panels_pass);
        emit_panels_each(&p, step, COLLECTIVE_KIND_COUNT, emit_panels_product);
        emit_panels_each(&p, step, REDUCE_SCATTER, emit_panels_sum);
        emit_panels_each(&p, step, REDUCE_SCATTER, emit_panels_live);
    }
    builder_change(&e->builder, PROGRAM_NONE, MEMORY_COMMUNICATION, label, -room);
    VECTOR_FREE(&p.fetched);
}
