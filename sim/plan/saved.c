#include "plan/saved.h"

#include "plan/fuse.h"
#include "plan/recompute.h"
#include "plan/state.h"

/* Whether a tensor was made outside the run of units that is recomputed together with `unit`. */
static bool saved_from_outside(const struct derivation *d, uint32_t tensor, uint32_t unit)
{
    const struct tensor *t = state_tensor(d, tensor);
    uint32_t made =
        t->producer == MODEL_NONE ? MODEL_NONE : fuse_unit(d, d->plan->model->layers.at[t->layer].unit);
    struct recompute_chunk chunk = recompute_chunk(d->plan, d->stage, unit);
    return made == MODEL_NONE || made < chunk.first || made >= chunk.end;
}

/* Whether it is kept: not when it is made again. `inside`: only recomputed operators make and read it. */
static bool saved_kept(const struct derivation *d, uint32_t tensor, uint32_t unit, double extra, bool inside)
{
    switch (recompute_unit(d->plan, d->stage, unit)) {
    case RECOMPUTE_FULL:
        return extra == 0 && saved_from_outside(d, tensor, unit);
    case RECOMPUTE_SELECTIVE:
        return !inside;
    default:
        return true;
    }
}

static void saved_keep(struct derivation *d, struct stage_saved *saved)
{
    struct form *form = &d->forms.at[saved->form];
    saved->kept = true;
    saved->first_kept = saved->extra > 0 || !form->saved_kept;
    form->saved_kept |= saved->extra == 0;
}

/* Once per tensor, form and unit. */
static void saved_note(struct derivation *d, uint32_t tensor, uint32_t form, uint32_t unit, double extra,
                       bool inside)
{
    bool kept = saved_kept(d, tensor, unit, extra, inside);
    for (uint32_t i = d->saved.count; i-- > 0 && extra == 0;) {
        struct stage_saved *saved = &d->saved.at[i];
        if (saved->unit != unit)
            break; /* units come in order */
        if (saved->tensor != tensor || saved->form != form || saved->extra > 0)
            continue;
        if (kept && !saved->kept)
            saved_keep(d, saved);
        return;
    }
    struct form *of = &d->forms.at[form];
    uint32_t chunk = recompute_chunk(d->plan, d->stage, unit).first + 1;
    struct stage_saved saved = {.tensor = tensor,
                                .unit = unit,
                                .form = form,
                                .extra = extra,
                                .first = extra > 0 || !of->saved,
                                .first_of_chunk = extra > 0 || of->saved_chunk != chunk};
    if (extra == 0) {
        of->saved = true;
        of->saved_chunk = chunk;
    }
    if (kept)
        saved_keep(d, &saved);
    VECTOR_PUSH(&d->saved, saved);
}

uint32_t saved_source(const struct derivation *d, uint32_t tensor, uint32_t form)
{
    uint32_t action = d->forms.at[form].action, first = MODEL_NONE;
    while (action != MODEL_NONE && d->forward.at[action].kind == ACTION_COLLECTIVE &&
           d->forward.at[action].collective == ALL_GATHER && d->forward.at[action].tensor == tensor) {
        first = action;
        const struct action *gather = &d->forward.at[action];
        action = gather->dependency_count ? d->dependencies.at[gather->first_dependency] : MODEL_NONE;
    }
    for (uint32_t f = d->first_form[tensor]; f != MODEL_NONE && first != MODEL_NONE; f = d->forms.at[f].next)
        if (d->forms.at[f].action == action && !d->forms.at[f].boxes &&
            layout_equal(&d->forms.at[f].layout, &d->forward.at[first].before, d->stage->axis_count))
            return f;
    return form;
}

/* Whether an operator's backward pass, and thus its forward pass, has anything to keep. */
static bool saved_wanted(const struct derivation *d, const struct layer_op *layer_op)
{
    return d->plan->training && d->needs_gradient[layer_op->output.tensor];
}

static bool saved_inside(const struct derivation *d, uint32_t tensor, const struct layer_op *reader)
{
    uint32_t producer = state_tensor(d, tensor)->producer;
    return reader->recomputed && producer != MODEL_NONE &&
           d->plan->model->operators.at[producer].recomputed &&
           !saved_from_outside(d, tensor, fuse_unit(d, d->plan->model->layers.at[reader->layer].unit));
}

void saved_operand(struct derivation *d, uint32_t index, const struct operand *operand, uint32_t form)
{
    const struct layer_op *layer_op = state_operator(d, index);
    uint32_t unit = d->operators.at[index].unit, tensor = d->same_as[operand->tensor], kept = form;
    enum plan_recompute mode = recompute_unit(d->plan, d->stage, unit);
    bool read_again = mode == RECOMPUTE_FULL || (mode == RECOMPUTE_SELECTIVE && layer_op->recomputed);
    bool given = read_again && saved_from_outside(d, tensor, unit);
    if (!saved_wanted(d, layer_op) || !(operand->saved || given))
        return;
    uint32_t made = d->forms.at[form].action; /* a run of units repeats only its own conversions */
    if (d->forms.at[form].streamed)
        kept = saved_source(d, tensor, form);
    else if (d->plan->save_produced && (!given || (made != MODEL_NONE && d->forward.at[made].unit == unit)))
        kept = saved_source(d, tensor, form);
    saved_note(d, tensor, kept, unit, 0, saved_inside(d, tensor, layer_op));
    if (kept != form && operand->saved)
        VECTOR_PUSH(&d->regathers, ((struct stage_regather){index, tensor, form, kept, MODEL_NONE}));
}

void saved_output(struct derivation *d, uint32_t index, uint32_t form)
{
    const struct layer_op *layer_op = state_operator(d, index);
    uint32_t unit = d->operators.at[index].unit, tensor = layer_op->output.tensor;
    if (!saved_wanted(d, layer_op))
        return;
    if (layer_op->output_saved)
        saved_note(d, tensor, form, unit, 0, layer_op->recomputed);
    if (layer_op->saved_per_output > 0)
        saved_note(d, tensor, form, unit, layer_op->saved_per_output, layer_op->recomputed);
}

/* The all-gathers that made `used` of `kept`, once more. */
static uint32_t saved_repeat(struct derivation *d, const struct stage_regather *regather, struct action base)
{
    uint32_t steps[CONVERT_STEPS], count = 0, last = MODEL_NONE;
    uint32_t action = d->forms.at[regather->used].action, until = d->forms.at[regather->kept].action;
    while (action != until && count < CONVERT_STEPS) {
        const struct action *gather = &d->forward.at[action];
        steps[count++] = action;
        action = gather->dependency_count ? d->dependencies.at[gather->first_dependency] : MODEL_NONE;
    }
    while (count-- > 0) {
        struct action again = d->forward.at[steps[count]];
        again.layer_op = base.layer_op;
        again.unit = base.unit;
        again.part = base.part;
        again.reason = REASON_SAVED;
        last = state_action(d, true, again, &last, 1);
    }
    return last;
}

void saved_regather(struct derivation *d, uint32_t index, struct action base, struct index_list *ready)
{
    for (uint32_t i = 0; i < d->regathers.count; i++) {
        struct stage_regather *mine = &d->regathers.at[i];
        if (mine->layer_op != index)
            continue;
        for (uint32_t k = d->regathers.count; k-- > 0 && mine->action == MODEL_NONE;) {
            const struct stage_regather *other = &d->regathers.at[k];
            if (other->used == mine->used && d->operators.at[other->layer_op].unit == base.unit)
                mine->action = other->action;
        }
        if (mine->action == MODEL_NONE)
            mine->action = saved_repeat(d, mine, base);
        VECTOR_PUSH(ready, mine->action);
    }
}
