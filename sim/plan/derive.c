#include "plan/derive.h"

#include "plan/backward.h"
#include "plan/boundary.h"
#include "plan/forms.h"
#include "plan/fuse.h"
#include "plan/generate.h"
#include "plan/lazy.h"
#include "plan/loop.h"
#include "plan/saved.h"
#include "plan/search.h"
#include "plan/shard.h"
#include "plan/state.h"
#include "plan/streamed.h"
#include "plan/summa.h"
#include "plan/wavefront.h"

const char *const derive_reasons[REASON_COUNT] = {
    "",
    "is contracted and split: partial sums are added",
    "is split, but the next operator needs it whole",
    "is split, but the next operator splits another dimension",
    "is read through windows, or in shares, that reach into what other members own",
    "is wanted by other members, to whom a coordinator passes it on",
    "is read through windows, or in shares, that reach into what other members own: a coordinator has it",
    "is split, but one device does the next operator alone",
    "is not split: one device made it alone, the others need it too",
    "is normalised over and split: its statistics are combined",
    "crosses to another stage",
    "is split in the copy that was kept, but the backward pass reads it whole",
};

double derive_element_bytes(const struct plan *plan, const struct tensor *tensor)
{
    if (tensor->discrete)
        return 4;
    return precision_bytes(tensor->role == TENSOR_PARAMETER ? plan->weight_precision
                           : tensor->past                   ? plan->cache_precision
                                                            : plan->precision);
}

struct box derive_box(const struct derivation *d, uint32_t tensor, uint32_t form, uint32_t member)
{
    const struct form *f = &d->forms.at[form];
    if (f->boxes)
        return layout_hull(f->boxes[member]);
    return layout_box(d->stage, state_tensor(d, tensor), &f->layout, layout_coordinates(d->stage, member), 0);
}

double derive_payload(const struct derivation *d, const struct action *action, struct coordinates member)
{
    const struct tensor *tensor = state_tensor(d, action->tensor);
    if (action->elements >
        0) { /* statistics: so many values per point of the dimensions that are not normalised */
        const struct layer_op *layer_op = state_operator(d, action->layer_op);
        double elements = action->elements;
        for (uint32_t i = 0; i < layer_op->dim_count; i++)
            if (!(layer_op->normalised >> i & 1)) {
                struct interval share = assign_share(
                    d->stage, layer_op, &d->operators.at[action->layer_op].assignment, i, member);
                elements *= (double)(share.high - share.low);
            }
        return elements * action->element_bytes;
    }
    const struct layout *layout = action->collective == ALL_GATHER ? &action->after : &action->before;
    struct box box = layout_box(d->stage, tensor, layout, member, action->axes);
    double elements = layout_volume(tensor, &box);
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        if (action->collective == ALL_TO_ALL && action->axes >> a & 1)
            elements /= d->stage->axes[a].size; /* shares may be uneven, but members speak of one number */
    return elements * action->element_bytes;
}

/* A parameter's layout where one operator uses it: split as the operator splits it, as long as every member
 * then stores what it reads. Where shares of the operator are not shares of the parameter (a table longer
 * than the sequence, channels in groups that do not divide), every member of the axis stores all of it. */
static struct layout derive_parameter_layout(const struct derivation *d, const struct stage_operator *so,
                                             const struct operand *operand)
{
    const struct model *model = d->plan->model;
    const struct layer_op *layer_op = &model->operators.at[so->layer_op];
    const struct tensor *tensor = &model->tensors.at[operand->tensor];
    struct layout layout = assign_layout(d->stage, model, layer_op, &so->assignment, operand, false);
    if (assign_aligned(d->stage, model, layer_op, &so->assignment, operand))
        return layout;
    for (uint32_t m = 0; m < d->member_count; m++) {
        struct coordinates at = layout_coordinates(d->stage, m);
        struct box read = assign_box(d->stage, model, layer_op, &so->assignment, operand, at);
        struct box stored = layout_box(d->stage, tensor, &layout, at, 0);
        for (uint32_t a = 0; a < d->stage->axis_count; a++) {
            struct interval needed = read.dims[layout.dim[a]], held = stored.dims[layout.dim[a]];
            if (layout.place[a] == PLACE_SPLIT && needed.low < needed.high &&
                (needed.low < held.low || needed.high > held.high)) {
                layout.place[a] = PLACE_REPLICATED;
                layout.dim[a] = 0;
            }
        }
    }
    return layout;
}

/* The dimensions of a parameter that its operator's output lacks. */
static uint32_t derive_rows(const struct derivation *d, const struct stage_operator *so,
                            const struct operand *operand)
{
    const struct model *model = d->plan->model;
    const struct operand *output = &model->operators.at[so->layer_op].output;
    uint32_t rows = 0;
    for (uint32_t p = 0; p < model->tensors.at[operand->tensor].rank; p++) {
        bool column = false;
        for (uint32_t o = 0; o < model->tensors.at[output->tensor].rank; o++)
            column |= operand->dims[p].dim >= 0 && (output->dims[o].dim == operand->dims[p].dim ||
                                                    output->dims[o].inner == operand->dims[p].dim);
        rows |= column ? 0 : 1u << p;
    }
    return rows;
}

/* A parameter that several operators of the stage use (tied) has one copy and one gradient: split only where
 * all of them split it alike. */
static void derive_parameter(struct derivation *d, uint32_t operator_index, const struct operand *operand)
{
    const struct stage_operator *so = &d->operators.at[operator_index];
    uint32_t i = 0;
    while (i < d->parameters.count && d->parameters.at[i].tensor != operand->tensor)
        i++;
    struct layout layout = summa_stored(d, operator_index, operand, derive_parameter_layout(d, so, operand));
    if (i == d->parameters.count)
        VECTOR_PUSH(&d->parameters, ((struct stage_parameter){.tensor = operand->tensor,
                                                              .unit = so->unit,
                                                              .layout = layout,
                                                              .layer_op = operator_index,
                                                              .rows = derive_rows(d, so, operand)}));
    struct stage_parameter *parameter = &d->parameters.at[i];
    uint32_t differ =
        0; /* dimensions that an axis so far splits for one of them only: inner shares differ too */
    for (uint32_t a = 0; a < d->stage->axis_count; a++) {
        uint8_t place = parameter->layout.place[a], dim = parameter->layout.dim[a];
        bool alike = place == layout.place[a] && dim == layout.dim[a];
        if (!alike)
            differ |= (place == PLACE_SPLIT ? 1u << dim : 0) |
                      (layout.place[a] == PLACE_SPLIT ? 1u << layout.dim[a] : 0);
        bool inside = place == PLACE_SPLIT && differ >> dim & 1;
        if (place != PLACE_REPLICATED && (!alike || inside)) {
            parameter->layout.place[a] = PLACE_REPLICATED;
            parameter->layout.dim[a] = 0;
            parameter->partial_axes |= 1u << a;
        }
        bool factor = lazy_axes(so) >> a & 1 && !d->plan->model->operators.at[so->layer_op].additive;
        if ((so->assignment.split[a] != ASSIGN_ALL || factor) &&
            parameter->layout.place[a] == PLACE_REPLICATED)
            parameter->partial_axes |= 1u << a;
    }
    parameter->last_unit = so->unit;
    uint32_t first = d->operators.at[parameter->layer_op].layer_op;
    parameter->shard_axes = 0;
    if (d->plan->training && d->plan->zero)
        parameter->shard_axes = shard_axes(d->stage, first, &parameter->layout);
}

/* All-reduces of the statistics of an operator that normalises over a split dimension, one per axis. */
static uint32_t derive_statistics(struct derivation *d, uint32_t operator_index, uint32_t part,
                                  uint32_t after)
{
    const struct layer_op *layer_op = state_operator(d, operator_index);
    const struct stage_operator *so = &d->operators.at[operator_index];
    if (layer_op->statistics_local && !(d->plan->training && d->plan->synchronise_statistics))
        return after;
    uint32_t done = 0;
    for (uint32_t a = 0; a < d->stage->axis_count; a++) {
        int split = so->assignment.split[a];
        if (split < 0 || !(layer_op->normalised >> split & 1) || layer_op->statistics_forward <= 0 ||
            done >> a & 1)
            continue;
        struct action action = {.kind = ACTION_COLLECTIVE,
                                .collective = ALL_REDUCE,
                                .axis = (uint8_t)a,
                                .axes = state_together(d, &so->assignment, a),
                                .layer_op = operator_index,
                                .tensor = layer_op->output.tensor,
                                .unit = so->unit,
                                .part = part,
                                .elements = layer_op->statistics_forward,
                                .element_bytes = 4,
                                .reason = REASON_STATISTICS,
                                .because = layer_op->dims[split].names[0]};
        done |= action.axes;
        after = state_action(d, false, action, &after, 1);
    }
    return after;
}

/* What an operator wants of an operand. What is added to a partial sum may itself be one: the reduction of
 * both is one. Where it is not, one member adds it. */
static struct form_want derive_want(struct derivation *d, uint32_t operator_index, uint32_t part,
                                    const struct operand *operand)
{
    const struct stage_operator *so = &d->operators.at[operator_index];
    const struct layer_op *layer_op = &d->plan->model->operators.at[so->layer_op];
    struct form_want want = {
        .tensor = d->same_as[operand->tensor],
        .layer_op = operator_index,
        .operand = operand,
        .unit = so->unit,
        .part = part,
        .layout = assign_layout(d->stage, d->plan->model, layer_op, &so->assignment, operand, false),
        .boxes = state_boxes(d, layer_op, &so->assignment, operand),
        .tile = fuse_mark(d, so, d->same_as[operand->tensor])};
    uint32_t first = d->first_form[want.tensor];
    for (uint32_t a = 0; a < d->stage->axis_count && first != MODEL_NONE; a++) {
        uint8_t place = d->forms.at[first].layout.place[a];
        if (want.layout.place[a] == PLACE_PARTIAL && place != PLACE_PARTIAL)
            want.layout.place[a] = place == PLACE_ONE ? PLACE_ONE : PLACE_REPLICATED;
        if (so->lazy[operand - layer_op->operands] >> a & 1)
            want.layout.place[a] = PLACE_PARTIAL;
    }
    return want;
}

/* Whether an operator feeds what another makes back to itself, one step later. */
static const struct operand *derive_feedback(const struct layer_op *layer_op, uint32_t tensor)
{
    for (uint32_t i = 0; i < layer_op->operand_count; i++)
        if (layer_op->operands[i].feedback && layer_op->operands[i].tensor == tensor)
            return &layer_op->operands[i];
    return NULL;
}

static bool derive_feeds_back(const struct layer_op *layer_op)
{
    for (uint32_t i = 0; i < layer_op->operand_count; i++)
        if (layer_op->operands[i].feedback)
            return true;
    return false;
}

/* After the operator that gives a fed-back tensor: brings it to where the next step reads it. */
static void derive_close(struct derivation *d, uint32_t closing, uint32_t part)
{
    const struct layer_op *last = state_operator(d, closing);
    for (uint32_t i = closing; i-- > 0 && state_operator(d, i)->layer == last->layer;) {
        const struct operand *operand = derive_feedback(state_operator(d, i), last->output.tensor);
        if (!operand)
            continue;
        struct form_want want = derive_want(d, i, part, operand);
        uint32_t form = forms_obtain(d, &want), first = 0, carry = d->forms.at[form].action;
        saved_operand(d, i, operand, form);
        while (d->forward.at[first].kind != ACTION_KERNEL || d->forward.at[first].layer_op != i)
            first++;
        d->forward.at[first].carried = true;
        loop_add(d, false, first, carry);
    }
}

static void derive_operator(struct derivation *d, struct stage_operator so)
{
    const struct model *model = d->plan->model;
    const struct layer_op *layer_op = &model->operators.at[so.layer_op];
    const struct assignment assignment = so.assignment;
    uint32_t part = model->layers.at[layer_op->layer].part, me = d->operators.count, count = 0,
             unit = so.unit;
    uint32_t dependencies[OPERATOR_OPERANDS + 1];
    lazy_mark(d, &so);
    VECTOR_PUSH(&d->operators, so);
    summa_prepare(d, me);
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        const struct operand *operand = &layer_op->operands[i];
        if (model->tensors.at[operand->tensor].role == TENSOR_PARAMETER) {
            derive_parameter(d, me, operand);
            dependencies[count++] = summa_weight(d, me, operand);
            continue;
        }
        if (operand->feedback)
            continue; /* what comes later gives it, one step before: derive_close() */
        struct form_want want = derive_want(d, me, part, operand);
        uint32_t form = forms_obtain(d, &want);
        streamed_mark(d, me, i, form);
        summa_mark(d, me, i, form);
        dependencies[count++] = d->forms.at[form].action;
        saved_operand(d, me, operand, form);
    }
    uint32_t ready = derive_statistics(d, me, part, count ? dependencies[0] : MODEL_NONE);
    dependencies[count++] = ready;
    struct action kernel = {
        .kind = ACTION_KERNEL, .layer_op = me, .tensor = layer_op->output.tensor, .unit = unit, .part = part};
    struct form made = {.layout =
                            assign_layout(d->stage, model, layer_op, &assignment, &layer_op->output, true),
                        .boxes = state_boxes(d, layer_op, &assignment, &layer_op->output),
                        .tile = fuse_mark(d, &so, layer_op->output.tensor)};
    for (uint32_t a = 0; a < PLAN_AXES; a++)
        if (lazy_axes(&so) >> a & 1)
            made.layout.place[a] = PLACE_PARTIAL;
    made.action = state_action(d, false, kernel, dependencies, count);
    uint32_t form = state_form(d, layer_op->output.tensor, made);
    summa_close(d, false, me);
    derive_close(d, me, part);
    saved_output(d, me, form);
    if (layer_op->attends && layer_op->output.tensor == model->layers.at[layer_op->layer].output)
        streamed_close(d, false, me);
}

/* Brings a member's tile of what a fused block reads, in one piece for all operators that read it. */
static void derive_entries(struct derivation *d, const struct fuse_block *block, uint32_t round,
                           uint32_t unit)
{
    const struct model *model = d->plan->model;
    struct stage_operator reader = {.fused = block, .tile = d->tiles};
    for (uint32_t e = 0; e < block->entry_count; e++) {
        struct form_want want = {.tensor = block->entries[e],
                                 .layer_op = d->operators.count, /* the block's first: it comes next */
                                 .unit = unit,
                                 .part =
                                     model->layers.at[model->operators.at[block->operators[0]].layer].part,
                                 .layout = block->entry_layouts[e],
                                 .boxes = block->entry_boxes[round * block->entry_count + e],
                                 .tile = fuse_mark(d, &reader, block->entries[e])};
        forms_obtain(d, &want);
    }
}

/* The tiles of a fused block, one round after the other. Where there are several, the block is one unit, as
 * it begins and ends once per tile. */
static void derive_fused(struct derivation *d, const struct fuse_block *block)
{
    const struct model *model = d->plan->model;
    for (uint32_t r = 0; r < block->rounds; r++) {
        d->tiles++;
        derive_entries(d, block, r, block->first_unit);
        for (uint32_t i = 0; i < block->count; i++) {
            uint32_t layer = model->operators.at[block->operators[i]].layer;
            struct stage_operator so = {.layer_op = block->operators[i],
                                        .unit = fuse_unit(d, model->layers.at[layer].unit),
                                        .assignment = block->assignments[r * block->count + i],
                                        .fused = block,
                                        .tile = d->tiles};
            derive_operator(d, so);
        }
    }
}

static void derive_forward(struct derivation *d)
{
    const struct model *model = d->plan->model;
    for (uint32_t u = d->stage->first_unit; u < d->stage->first_unit + d->stage->unit_count; u++) {
        const struct fuse_block *block = fuse_at(d, u);
        if (block) {
            derive_fused(d, block);
            u += block->unit_count - 1;
            continue;
        }
        const struct model_unit *unit = &model->units.at[u];
        for (uint32_t l = unit->first_layer; l < unit->first_layer + unit->layer_count; l++) {
            const struct layer *layer = &model->layers.at[l];
            for (uint32_t o = layer->first_operator; o < layer->first_operator + layer->operator_count; o++)
                if (d->plan->training || !model->operators.at[o].training_only)
                    derive_operator(
                        d, (struct stage_operator){
                               .layer_op = o,
                               .unit = u,
                               .assignment = assign_operator(d->stage, model, &model->operators.at[o])});
        }
    }
}

/* Time steps follow one another: no axis splits them. */
static void derive_possible(const struct derivation *d, struct report *report)
{
    const struct model *model = d->plan->model;
    for (uint32_t o = 0; o < model->operators.count; o++) {
        const struct layer_op *layer_op = &model->operators.at[o];
        uint32_t unit = model->layers.at[layer_op->layer].unit;
        if (unit < d->stage->first_unit || unit - d->stage->first_unit >= d->stage->unit_count)
            continue;
        struct assignment assignment = assign_operator(d->stage, model, layer_op);
        for (uint32_t a = 0; a < d->stage->axis_count; a++) {
            uint32_t label = assign_sequential(d->stage, model, layer_op, a);
            if (label && assignment.split[a] < 0 && derive_feeds_back(layer_op))
                report_error(report, d->stage->place,
                             "recurrent layer '%s' cannot be split along '%s': its time steps follow one "
                             "another; split b, o (hidden units), g (gates) or i (inputs), or give layers to "
                             "stages and set plan.time-chunks",
                             names_text(model->names, model->layers.at[layer_op->layer].name),
                             names_text(model->names, label));
        }
    }
}

/* Says where an axis has more members than the dimension that it splits has elements: some of them idle, and
 * nobody asked for that. Once per axis of a stage, at the shortest dimension. */
static void derive_warn(const struct derivation *d, struct report *report)
{
    const struct model *model = d->plan->model;
    for (uint32_t a = 0; a < d->stage->axis_count; a++) {
        const struct layer_op *worst = NULL;
        int least = 0;
        for (uint32_t o = 0; o < d->operators.count; o++) {
            const struct layer_op *layer_op = state_operator(d, o);
            int split = d->operators.at[o].assignment.split[a];
            if (split >= 0 && !layer_op->dims[split].owners &&
                layer_op->dims[split].size < d->stage->axes[a].size &&
                (!worst || layer_op->dims[split].size < worst->dims[least].size)) {
                worst = layer_op;
                least = split;
            }
        }
        if (worst)
            report_warning(report, d->stage->place,
                           "'%s' has %u members, but '%s' of '%s' has only %llu elements: some members have "
                           "nothing to do there",
                           names_text(model->names, d->stage->axes[a].name), d->stage->axes[a].size,
                           names_text(model->names, worst->dims[least].names[0]),
                           names_text(model->names, model->layers.at[worst->layer].name),
                           (unsigned long long)worst->dims[least].size);
    }
}

static void derive_init(struct derivation *d, const struct plan *plan, uint32_t index, const bool *needs,
                        const uint32_t *same_as, struct arena *arena)
{
    uint32_t tensors = plan->model->tensors.count;
    *d = (struct derivation){.plan = plan,
                             .stage = &plan->stages.at[index],
                             .stage_index = index,
                             .arena = arena,
                             .member_count = plan->stages.at[index].devices.count,
                             .needs_gradient = needs,
                             .same_as = same_as};
    d->search = search_new(plan, d->stage, arena);
    d->first_form = ARENA_ARRAY(arena, uint32_t, tensors);
    d->first_contribution = ARENA_ARRAY(arena, uint32_t, tensors);
    for (uint32_t t = 0; t < tensors; t++)
        d->first_form[t] = d->first_contribution[t] = MODEL_NONE;
}

/* Stages [first, end), which belong to one plan. */
static void derive_begin(const struct plan *plan, struct derivation *derivations, uint32_t first,
                         uint32_t end, struct arena *arena)
{
    bool *needs = ARENA_ARRAY(arena, bool, plan->model->tensors.count);
    uint32_t *same_as = ARENA_ARRAY(arena, uint32_t, plan->model->tensors.count);
    state_needs_gradient(plan->model, needs);
    state_same_as(plan, same_as);
    for (uint32_t s = first; s < end; s++)
        derive_init(&derivations[s], plan, s, needs, same_as, arena);
}

bool derive_plan(const struct plan *plan, struct derivation *derivations, struct arena *arena,
                 struct report *report)
{
    uint32_t errors = report->errors;
    uint32_t prompts = plan->token ? generate_prompt_stages(plan) : plan->stages.count;
    derive_begin(plan, derivations, 0, prompts, arena);
    if (plan->token)
        derive_begin(plan->token, derivations, prompts, plan->stages.count, arena);
    for (uint32_t s = 0; s < plan->stages.count; s++) {
        derive_possible(&derivations[s], report);
        fuse_prepare(&derivations[s], report);
    }
    if (report->errors != errors)
        return false;
    for (uint32_t s = 0; s < plan->stages.count; s++) {
        derive_forward(&derivations[s]);
        derive_warn(&derivations[s], report);
        streamed_warn(&derivations[s], report);
        summa_warn(&derivations[s], report);
    }
    if (!wavefront_check(plan, derivations, report) || !generate_feed(plan, derivations, report))
        return false;
    for (uint32_t s = 0; s < plan->stages.count; s++)
        loop_transients(&derivations[s]);
    for (uint32_t s = plan->stages.count; plan->training && s-- > 0;)
        backward_derive(derivations, s);
    return report->errors == errors;
}

void derive_fini(struct derivation *d)
{
    VECTOR_FREE(&d->operators);
    VECTOR_FREE(&d->forward);
    VECTOR_FREE(&d->backward);
    VECTOR_FREE(&d->messages);
    VECTOR_FREE(&d->dependencies);
    VECTOR_FREE(&d->forms);
    VECTOR_FREE(&d->parameters);
    VECTOR_FREE(&d->saved);
    VECTOR_FREE(&d->regathers);
    VECTOR_FREE(&d->imports);
    VECTOR_FREE(&d->contributions);
    VECTOR_FREE(&d->forward_loops);
    VECTOR_FREE(&d->backward_loops);
}
