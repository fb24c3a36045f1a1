#include "plan/emit_loop.h"

#include "plan/emit_action.h"
#include "plan/emit_panels.h"
#include "plan/emit_ring.h"

void emit_loop_mark(struct emitter *e, const struct part *part, bool backward, uint32_t index)
{
    uint64_t count = backward ? part->d->backward.count : part->d->forward.count;
    e->builder.mark = (uint32_t)(((e->chunk * count + index) << 32) / (count * part->wave.chunks));
}

/* The time steps of the chunk at hand, counted in the order of the pass. */
static struct interval emit_loop_steps(const struct emitter *e, const struct part *part, bool backward)
{
    const struct wavefront *wave = &part->wave;
    if (!backward)
        return wavefront_chunk(wave, e->chunk);
    struct interval time = wavefront_chunk(wave, wave->chunks - 1 - e->chunk);
    return (struct interval){wave->steps - time.high, wave->steps - time.low};
}

/* The actions of a loop over time steps, in those of the chunk at hand. */
static void emit_loop_repeat(struct emitter *e, struct part *part, bool backward, uint32_t l,
                             struct interval steps)
{
    const struct step_loop *loop = emitter_loop(part, backward, l);
    e->share = 1.0 / loop->steps;
    if (part->wave.chunks == 1)
        steps = (struct interval){0, loop->steps};
    for (uint64_t step = steps.low; step < steps.high; step++) {
        e->first_step = step == 0;
        e->last_step = step + 1 == loop->steps;
        for (uint32_t i = loop->first; i < loop->end; i++) {
            const struct action *action = emitter_action(part, backward, i);
            bool idle = action->transient && (backward ? e->first_step : e->last_step);
            if (action->loop == l && !idle)
                emit_action(e, part, backward, i);
            else if (action->loop == l)
                emit_action_behind(e, part, backward, i, e->builder.ops.count);
        }
    }
}

uint32_t emit_loop_next(struct emitter *e, struct part *part, bool backward, uint32_t index)
{
    const struct step_loop *loops = backward ? part->d->backward_loops.at : part->d->forward_loops.at;
    uint32_t count = backward ? part->d->backward_loops.count : part->d->forward_loops.count, l = 0;
    while (l < count && loops[l].first != index)
        l++;
    struct interval steps = emit_loop_steps(e, part, backward);
    e->share = (double)(steps.high - steps.low) / part->wave.steps;
    e->first_step = e->chunk == 0;
    e->last_step = e->chunk + 1 == part->wave.chunks;
    if (e->builder.pass != PASS_R) /* recomputation belongs to where the backward pass is */
        emit_loop_mark(e, part, backward, index);
    if (l == count) {
        emit_action(e, part, backward, index);
        return index + 1;
    }
    for (uint32_t i = index; i < loops[l].end; i++)
        if (emitter_action(part, backward, i)->loop != l && (e->builder.pass != PASS_R || part->again[i]))
            emit_action(e, part, backward, i);
    if (loops[l].panels)
        emit_panels(e, part, backward, l);
    else if (loops[l].ring)
        emit_ring(e, part, backward, l);
    else
        emit_loop_repeat(e, part, backward, l, steps);
    return loops[l].end;
}
