#include "plan/emitter.h"

#include "plan/memory.h"

void emitter_collect(const struct part *part, bool backward, uint32_t index, struct index_list *out)
{
    const struct action *action = emitter_action(part, backward, index);
    uint32_t first = backward ? part->backward_op[index] : part->forward_op[index];
    uint32_t count = backward ? part->backward_count[index] : part->forward_count[index];
    for (uint32_t i = 0; i < count; i++)
        VECTOR_PUSH(out, first + i);
    if (action->kind == ACTION_EXCHANGE || action->kind == ACTION_RECEIVE || action->streamed)
        for (uint32_t i = 0; i < action->dependency_count; i++)
            emitter_collect(part, backward, part->d->dependencies.at[action->first_dependency + i], out);
}

void emitter_after(const struct part *part, bool backward, const struct action *action,
                   struct index_list *out)
{
    out->count = 0;
    for (uint32_t i = 0; i < action->dependency_count; i++)
        emitter_collect(part, backward, part->d->dependencies.at[action->first_dependency + i], out);
    if (action->carried && action->loop != MODEL_NONE) /* what was noted last is of the step before */
        emitter_collect(part, backward, emitter_loop(part, backward, action->loop)->carry, out);
}

bool emitter_holds_elsewhere(const struct emitter *e, uint32_t part, uint32_t index)
{
    const struct part *mine = &e->parts[part];
    double elements = memory_parameter(mine->d, index, mine->role.member);
    for (uint32_t p = 0; p < e->part_count; p++)
        for (uint32_t i = 0; p != part && i < e->parts[p].d->parameters.count; i++) {
            if (e->parts[p].d->parameters.at[i].tensor != mine->d->parameters.at[index].tensor)
                continue;
            double others = memory_parameter(e->parts[p].d, i, e->parts[p].role.member);
            if (others > elements || (p < part && others >= elements))
                return true;
        }
    return false;
}
