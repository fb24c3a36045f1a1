#include "plan/emit_action.h"

#include "plan/emit_token.h"
#include "plan/emit_transfer.h"
#include "plan/halves.h"
#include "plan/memory.h"
#include "plan/state.h"

#include <string.h>

/* Where the shares of a collective begin in the job's, plus 1; 0: they are equal. Equal lists stand there
 * once. */
static uint32_t emit_action_shares(struct emitter *e, const struct part *part, const struct action *action)
{
    const struct share_list *own = &e->drawn;
    shares_of(part->d, action, part->role.member, &e->drawn);
    if (!own->count)
        return 0;
    for (uint32_t i = 0; i + own->count <= e->shares.count; i++)
        if (memcmp(&e->shares.at[i], own->at, own->count * sizeof *own->at) == 0)
            return i + 1;
    uint32_t first = e->shares.count;
    for (uint32_t i = 0; i < own->count; i++)
        VECTOR_PUSH(&e->shares, own->at[i]);
    return first + 1;
}

bool emit_action_absent(const struct part *part, const struct action *action)
{
    struct coordinates at = layout_coordinates(part->d->stage, part->role.member);
    for (uint32_t a = 0; action->kind == ACTION_COLLECTIVE && a < part->d->stage->axis_count; a++)
        if (!(action->axes >> a & 1) && action->before.place[a] == PLACE_ONE && at.at[a])
            return true;
    return false;
}

static const struct lifetimes *emit_action_lives(const struct emitter *e, const struct part *part,
                                                 bool backward)
{
    return backward                    ? &part->backward_lives
           : e->builder.pass == PASS_R ? &part->again_lives
                                       : &part->forward_lives;
}

/* I leaves for W the gradient of what a product with weights gave: from here on it is not temporary. */
static bool emit_action_leaves(const struct emitter *e, const struct part *part, const struct action *action)
{
    return e->builder.pass == PASS_I && action->kind == ACTION_KERNEL &&
           halves_makes_weights(part->d, state_operator(part->d, action->layer_op));
}

/* What a kernel takes. */
static void emit_action_before(struct emitter *e, struct part *part, bool backward, uint32_t index)
{
    const struct action *action = emitter_action(part, backward, index);
    struct builder *b = &e->builder;
    if (backward && emit_action_leaves(e, part, action) && e->first_step) {
        lifetime_end(&part->backward_lives, index, b, PROGRAM_NONE);
        builder_take(b, MEMORY_ACTIVATIONS, state_tensor(part->d, action->tensor)->name,
                     memory_output(part->d, action->layer_op, part->role.member));
    }
    if (e->first_step)
        lifetime_begin(emit_action_lives(e, part, backward), index, b, PROGRAM_NONE);
    if (backward && b->pass == PASS_B)
        builder_take(b, MEMORY_TEMPORARIES, action->part,
                     e->share * lifetime_weights(part->d, action->layer_op, part->role.member));
}

void emit_action_behind(struct emitter *e, struct part *part, bool backward, uint32_t index, uint32_t first)
{
    const struct action *action = emitter_action(part, backward, index);
    struct builder *b = &e->builder;
    uint32_t op = b->ops.count > first ? b->ops.count - 1 : PROGRAM_NONE;
    if (action->kind == ACTION_KERNEL)
        op = (backward ? part->backward_op : part->forward_op)[index];
    else if (e->first_step)
        lifetime_begin(emit_action_lives(e, part, backward), index, b, op == PROGRAM_NONE ? op : first);
    if (backward && action->kind == ACTION_KERNEL && b->pass == PASS_B)
        builder_change(b, op, MEMORY_TEMPORARIES, action->part,
                       -e->share * lifetime_weights(part->d, action->layer_op, part->role.member));
    if (e->last_step && !(backward && emit_action_leaves(e, part, action)))
        lifetime_end(emit_action_lives(e, part, backward), index, b, op);
}

static struct part_collective emit_action_says(struct emitter *e, struct part *part, bool backward,
                                               uint32_t index)
{
    const struct action *action = emitter_action(part, backward, index);
    struct part_collective *says =
        &(backward ? part->backward_collectives : part->forward_collectives)[index];
    if (!says->known) {
        says->group = registry_axes(e->cast->registry, part->d->stage, part->role.stage, action->axes,
                                    part->role.member);
        says->bytes = derive_payload(part->d, action, layout_coordinates(part->d->stage, part->role.member));
        says->shares = emit_action_shares(e, part, action);
        says->known = true;
    }
    return *says;
}

void emit_action(struct emitter *e, struct part *part, bool backward, uint32_t index)
{
    uint32_t first = e->builder.ops.count;
    const struct action *action = emitter_action(part, backward, index);
    struct index_list *after = &e->after;
    after->count = 0;
    emitter_after(part, backward, action, after);
    if (action->kind == ACTION_KERNEL) {
        uint32_t tile = part->d->operators.at[action->layer_op].tile;
        if (tile != e->tile)
            builder_close(&e->builder);
        e->tile = tile;
        struct work work = !backward                   ? part->forward_work[index]
                           : e->builder.pass == PASS_I ? part->input_work[index]
                                                       : part->backward_work[index];
        const struct step_loop *loop =
            action->loop == MODEL_NONE ? NULL : emitter_loop(part, backward, action->loop);
        if (loop && loop->panels)
            work = work_panel(part->d, action->layer_op, part->role.member, &work, backward, e->share,
                              e->first_step);
        else if (!loop || loop->ring)
            work = work_part(part->d, action->layer_op, part->role.member, &work, backward, e->share);
        else
            work_scale(&work, e->share);
        emit_action_before(e, part, backward, index);
        if (!backward && e->first_step)
            emit_token_keep(e, part, index);
        emitter_note(part, backward, index, builder_kernel(&e->builder, action->part, &work, after), 1);
    } else if (emit_action_absent(part, action)) {
        emitter_note(part, backward, index, PROGRAM_NONE, 0);
    } else if (action->kind == ACTION_COLLECTIVE) {
        struct part_collective says = emit_action_says(e, part, backward, index);
        uint32_t op = builder_communicate(&e->builder, OP_COLLECTIVE, action->collective, says.group,
                                          MODEL_NONE, e->share * says.bytes, action->part, after);
        e->builder.ops.at[op].shares = says.shares;
        emitter_note(part, backward, index, op, 1);
    } else {
        emit_transfer(e, part, backward, index, after);
    }
    emit_action_behind(e, part, backward, index, first);
}
