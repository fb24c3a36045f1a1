#include "study/explain_stage.h"

#include "plan/memory.h"
#include "plan/state.h"

#include <math.h>

enum { EXPLAIN_MEMBERS = 64 };

/* Sorts the communications of a list by who asked for them, in their order. */
static void explain_stage_sort(struct explain_stage *stage, bool backward)
{
    const struct derivation *d = stage->d;
    uint32_t count = backward ? d->backward.count : d->forward.count, nobody = d->operators.count;
    const struct action *actions = backward ? d->backward.at : d->forward.at;
    struct explain_asked *asked = &stage->asked[backward];
    asked->first = ARENA_ARRAY(&stage->arena, uint32_t, nobody + 3);
    asked->actions = ARENA_ARRAY(&stage->arena, uint32_t, count + 1);
    uint32_t *next = asked->first + 1;
    for (uint32_t i = 0; i < count; i++)
        if (actions[i].kind != ACTION_KERNEL)
            next[(actions[i].layer_op == MODEL_NONE ? nobody : actions[i].layer_op) + 1]++;
    for (uint32_t o = 0; o <= nobody; o++)
        next[o + 1] += next[o];
    for (uint32_t i = 0; i < count; i++)
        if (actions[i].kind != ACTION_KERNEL)
            asked->actions[next[actions[i].layer_op == MODEL_NONE ? nobody : actions[i].layer_op]++] = i;
}

void explain_stage_init(struct explain_stage *stage, const struct derivation *d)
{
    const struct model *model = d->plan->model;
    *stage = (struct explain_stage){.d = d};
    arena_init(&stage->arena);
    stage->prices = price_new(d->plan, d->stage, &stage->arena);
    stage->first_operator = ARENA_ARRAY(&stage->arena, uint32_t, model->layers.count);
    stage->parameter = ARENA_ARRAY(&stage->arena, uint32_t, model->tensors.count);
    stage->next_round = ARENA_ARRAY(&stage->arena, uint32_t, d->operators.count + 1);
    uint32_t *newest = ARENA_ARRAY(&stage->arena, uint32_t, model->operators.count);
    for (uint32_t l = 0; l < model->layers.count; l++)
        stage->first_operator[l] = MODEL_NONE;
    for (uint32_t t = 0; t < model->tensors.count; t++)
        stage->parameter[t] = MODEL_NONE;
    for (uint32_t p = 0; p < d->parameters.count; p++)
        stage->parameter[d->parameters.at[p].tensor] = p;
    for (uint32_t i = 0; i < d->operators.count; i++) {
        uint32_t *layer = &stage->first_operator[state_operator(d, i)->layer];
        uint32_t *before = &newest[d->operators.at[i].layer_op];
        *layer = *layer == MODEL_NONE ? i : *layer;
        stage->next_round[i] = MODEL_NONE;
        if (*before)
            stage->next_round[*before - 1] = i;
        *before = i + 1;
    }
    explain_stage_sort(stage, false);
    explain_stage_sort(stage, true);
    cache_find(d, &stage->readers);
}

double explain_stage_kept(const struct explain_stage *stage, uint32_t layer)
{
    const struct cache_readers *readers = &stage->readers;
    double bytes = 0;
    for (uint32_t r = 0; stage->d->plan->past && r < readers->at.count; r = cache_next(readers, r))
        if (state_tensor(stage->d, readers->at.at[r].tensor)->layer == layer)
            bytes += cache_bytes(stage->d, readers, r, 0);
    return bytes;
}

void explain_stage_fini(struct explain_stage *stage)
{
    cache_fini(&stage->readers);
    arena_fini(&stage->arena);
}

uint32_t explain_stage_operators(const struct explain_stage *stage, uint32_t layer, uint32_t *first)
{
    const struct derivation *d = stage->d;
    uint32_t end = *first = stage->first_operator[layer];
    while (end < d->operators.count && state_operator(d, end)->layer == layer &&
           d->operators.at[end].tile == d->operators.at[*first].tile)
        end++;
    return end;
}

uint32_t explain_stage_rounds(const struct explain_stage *stage, uint32_t layer_op)
{
    uint32_t rounds = 0;
    for (uint32_t i = layer_op; i != MODEL_NONE; i = stage->next_round[i])
        rounds++;
    return rounds;
}

double explain_stage_bytes(const struct derivation *d, const struct action *action)
{
    double elements = 0;
    for (uint32_t k = 0; k < action->message_count; k++)
        elements += d->messages.at[action->first_message + k].elements;
    return elements * action->element_bytes;
}

static double explain_stage_operand(const struct derivation *d, uint32_t index, const struct operand *operand,
                                    uint32_t member)
{
    const struct tensor *tensor = state_tensor(d, operand->tensor);
    struct box box =
        assign_box(d->stage, d->plan->model, state_operator(d, index), &d->operators.at[index].assignment,
                   operand, layout_coordinates(d->stage, member));
    return layout_volume(tensor, &box) * derive_element_bytes(d->plan, tensor);
}

struct explain_share explain_stage_share(const struct explain_stage *stage, uint32_t index, uint32_t member)
{
    const struct derivation *d = stage->d;
    const struct layer_op *layer_op = state_operator(d, index);
    struct explain_share share = {0};
    bool backward = d->plan->training && d->needs_gradient[layer_op->output.tensor];
    for (uint32_t i = index; i != MODEL_NONE; i = stage->next_round[i]) {
        share.forward += work_forward(d, i, member).flops;
        struct work work = backward ? work_backward(d, i, member) : (struct work){0};
        share.input += work.flops - work.weight_flops;
        share.weight += work.weight_flops;
        for (uint32_t k = 0; k < layer_op->operand_count; k++)
            if (state_tensor(d, layer_op->operands[k].tensor)->role != TENSOR_PARAMETER)
                share.inputs += explain_stage_operand(d, i, &layer_op->operands[k], member);
        share.output += explain_stage_operand(d, i, &layer_op->output, member);
    }
    for (uint32_t k = 0; k < layer_op->operand_count; k++) {
        uint32_t parameter = stage->parameter[layer_op->operands[k].tensor];
        if (parameter != MODEL_NONE)
            share.weights +=
                memory_parameter(d, parameter, member) * precision_bytes(d->plan->weight_precision);
    }
    return share;
}

/* Whether every device has as much as the first. */
static bool explain_stage_even(const struct derivation *d, uint32_t index)
{
    const struct layer_op *layer_op = state_operator(d, index);
    const struct assignment *assignment = &d->operators.at[index].assignment;
    uint64_t size[OPERATOR_DIMS];
    for (uint32_t i = 0; i < layer_op->dim_count; i++)
        size[i] = layer_op->dims[i].size;
    for (uint32_t a = 0; a < d->stage->axis_count; a++) {
        const struct plan_axis *axis = &d->stage->axes[a];
        int split = assignment->split[a];
        if (split == ASSIGN_ONE || (split >= 0 && (axis->weights || size[split] % axis->size)))
            return false;
        if (split >= 0 && (layer_op->dims[split].filling || layer_op->dims[split].owners))
            return false;
        if (split >= 0)
            size[split] /= axis->size;
    }
    return !assignment->shares && (!assign_causal(d->stage, layer_op, assignment) || d->stage->balanced);
}

static void explain_stage_least(double *least, double *most, double value)
{
    *least = fmin(*least, value);
    *most = fmax(*most, value);
}

struct explain_shares explain_stage_shares(const struct explain_stage *stage, uint32_t index)
{
    const struct derivation *d = stage->d;
    struct explain_share first = explain_stage_share(stage, index, 0);
    struct explain_shares shares = {first, first, true};
    if (explain_stage_even(d, index))
        return shares;
    shares.all = d->member_count <= EXPLAIN_MEMBERS;
    for (uint32_t m = 1; m < d->member_count && shares.all; m++) {
        struct explain_share share = explain_stage_share(stage, index, m);
        explain_stage_least(&shares.least.forward, &shares.most.forward, share.forward);
        explain_stage_least(&shares.least.input, &shares.most.input, share.input);
        explain_stage_least(&shares.least.weight, &shares.most.weight, share.weight);
        explain_stage_least(&shares.least.weights, &shares.most.weights, share.weights);
        explain_stage_least(&shares.least.inputs, &shares.most.inputs, share.inputs);
        explain_stage_least(&shares.least.output, &shares.most.output, share.output);
    }
    return shares;
}
