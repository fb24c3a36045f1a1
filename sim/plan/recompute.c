#include "plan/recompute.h"

#include "plan/state.h"

#include <string.h>

const char *const recompute_names[RECOMPUTE_COUNT + 1] = {
    [RECOMPUTE_NONE] = "none",
    [RECOMPUTE_FULL] = "full",
    [RECOMPUTE_SELECTIVE] = "selective",
};

enum plan_recompute recompute_unit(const struct plan *plan, const struct plan_stage *stage, uint32_t unit)
{
    if (plan->recompute != RECOMPUTE_FULL || plan->recompute_every < 2)
        return plan->recompute;
    return (unit - stage->first_unit) % plan->recompute_every ? RECOMPUTE_NONE : RECOMPUTE_FULL;
}

struct recompute_chunk recompute_chunk(const struct plan *plan, const struct plan_stage *stage, uint32_t unit)
{
    if (plan->recompute != RECOMPUTE_FULL || plan->recompute_chunk < 2)
        return (struct recompute_chunk){unit, unit + 1};
    uint32_t size = plan->recompute_chunk, end = stage->first_unit + stage->unit_count;
    uint32_t first = stage->first_unit + (unit - stage->first_unit) / size * size;
    return (struct recompute_chunk){first, first + size < end ? first + size : end};
}

static bool recompute_inside(struct recompute_chunk chunk, uint32_t unit)
{
    return unit >= chunk.first && unit < chunk.end;
}

/* What came from another stage is there: it is not sent again. */
static bool recompute_local(const struct action *action)
{
    return action->kind != ACTION_SEND && action->kind != ACTION_RECEIVE;
}

/* Marks an action, unless what it gives is kept, and what it waits for. */
static void recompute_mark(const struct derivation *d, struct recompute_chunk chunk, const bool *kept,
                           uint32_t index, bool *again)
{
    const struct action *action = &d->forward.at[index];
    if (again[index] || kept[index] || !recompute_local(action) || !recompute_inside(chunk, action->unit))
        return;
    again[index] = true;
    for (uint32_t k = 0; k < action->dependency_count; k++)
        recompute_mark(d, chunk, kept, d->dependencies.at[action->first_dependency + k], again);
}

static void recompute_kept(const struct derivation *d, struct recompute_chunk chunk, bool *kept)
{
    memset(kept, 0, d->forward.count * sizeof *kept);
    for (uint32_t i = 0; i < d->saved.count; i++) {
        const struct stage_saved *saved = &d->saved.at[i];
        uint32_t made = d->forms.at[saved->form].action;
        if (saved->kept && saved->extra == 0 && made != MODEL_NONE && recompute_inside(chunk, saved->unit))
            kept[made] = true;
    }
}

/* A marked kernel runs again even when what it hands on is kept: frameworks repeat the whole region. */
static void recompute_root(const struct derivation *d, struct recompute_chunk chunk, const bool *kept,
                           uint32_t index, bool *again)
{
    const struct action *action = &d->forward.at[index];
    again[index] = true;
    for (uint32_t k = 0; k < action->dependency_count; k++)
        recompute_mark(d, chunk, kept, d->dependencies.at[action->first_dependency + k], again);
}

/* Time steps run again together, with what brings each step's result to the next. */
static void recompute_steps(const struct derivation *d, struct recompute_chunk chunk, const bool *kept,
                            bool *again)
{
    for (uint32_t l = 0; l < d->forward_loops.count; l++) {
        const struct step_loop *loop = &d->forward_loops.at[l];
        bool any = false;
        for (uint32_t i = loop->first; i < loop->end; i++)
            any |= d->forward.at[i].loop == l && again[i] && recompute_inside(chunk, d->forward.at[i].unit);
        for (uint32_t i = loop->first; i < loop->end && any; i++)
            if (d->forward.at[i].loop == l && recompute_local(&d->forward.at[i]))
                recompute_root(d, chunk, kept, i, again);
    }
}

void recompute_actions(const struct derivation *d, struct arena *scratch, bool *again)
{
    bool *kept = ARENA_ARRAY(scratch, bool, d->forward.count);
    uint32_t unit = d->stage->first_unit, end = unit + d->stage->unit_count;
    while (unit < end) {
        struct recompute_chunk chunk = recompute_chunk(d->plan, d->stage, unit);
        enum plan_recompute mode = recompute_unit(d->plan, d->stage, unit);
        recompute_kept(d, chunk, kept);
        for (uint32_t i = 0; i < d->forward.count && mode != RECOMPUTE_NONE; i++) {
            const struct action *action = &d->forward.at[i];
            if (action->kind == ACTION_KERNEL && recompute_inside(chunk, action->unit) && !again[i] &&
                (mode == RECOMPUTE_FULL || state_operator(d, action->layer_op)->recomputed))
                recompute_root(d, chunk, kept, i, again);
        }
        recompute_steps(d, chunk, kept, again);
        unit = chunk.end;
    }
}
