#include "study/default_plan.h"

#include <math.h>
#include <stdlib.h>

enum {
    DEFAULT_SAMPLES = 32,  /* of the largest micro-batch that is tried */
    DEFAULT_TOKENS = 8192, /* of it */
    DEFAULT_TENSOR = 8     /* most tensor parallelism that is tried */
};

/* Part of the activations that a plan keeps in any case: a little may be kept in other forms than the
 * model's. */
static const double default_certain = 0.9;

static const enum plan_recompute default_recompute[] = {RECOMPUTE_NONE, RECOMPUTE_SELECTIVE, RECOMPUTE_FULL};

/* Bytes that operator `o` leaves for the backward pass; each tensor counts once. `seen`: per tensor. */
static double kept_by(const struct model *model, const struct layer_op *o, double bytes, bool *seen)
{
    const struct tensor *output = &model->tensors.at[o->output.tensor];
    double kept = o->saved_per_output * model_elements(output);
    for (uint32_t i = 0; i <= o->operand_count; i++) {
        bool operand = i < o->operand_count;
        uint32_t index = operand ? o->operands[i].tensor : o->output.tensor;
        const struct tensor *t = &model->tensors.at[index];
        bool saved = operand ? o->operands[i].saved : o->output_saved;
        if (!saved || t->role != TENSOR_ACTIVATION || t->internal || t->discrete || seen[index])
            continue;
        seen[index] = true;
        kept += bytes * model_elements(t);
    }
    return kept;
}

/* Bytes of the inputs of all units but the first, which is what full recomputation keeps. */
static double kept_inputs(const struct model *model, double bytes)
{
    double kept = 0;
    for (uint32_t u = 0; u + 1 < model->units.count; u++) {
        const struct model_unit *unit = &model->units.at[u];
        const struct layer *last = &model->layers.at[unit->first_layer + unit->layer_count - 1];
        kept += bytes * model_elements(&model->tensors.at[last->output]);
    }
    return kept;
}

/* The tables of weights that operator `o` has of every expert. */
static void add_experts(const struct model *model, const struct layer_op *o, struct default_facts *facts)
{
    for (uint32_t i = 0; o->expert && i < o->operand_count; i++) {
        const struct tensor *t = &model->tensors.at[o->operands[i].tensor];
        if (t->role != TENSOR_PARAMETER)
            continue;
        facts->experts = (uint32_t)t->dims[0].size;
        facts->expert_parameters += model_elements(t);
    }
}

void default_plan_measure(const struct model *model, struct default_facts *facts, struct arena *scratch)
{
    double bytes = precision_bytes(facts->precision), all = 0, cheap = 0;
    bool *seen = ARENA_ARRAY(scratch, bool, model->tensors.count);
    for (uint32_t i = 0; i < model->operators.count; i++) {
        const struct layer_op *o = &model->operators.at[i];
        double kept = kept_by(model, o, bytes, seen);
        all += kept;
        cheap += o->recomputed ? kept : 0;
        add_experts(model, o, facts);
    }
    double samples = (double)model->batch;
    facts->units = model->units.count;
    facts->parameters = (double)model_parameters(model);
    facts->kept[RECOMPUTE_NONE] = all / samples;
    facts->kept[RECOMPUTE_SELECTIVE] = (all - cheap) / samples;
    facts->kept[RECOMPUTE_FULL] = fmin(kept_inputs(model, bytes), all) / samples;
}

/* Bytes of `parameters` parameters with their gradients and Adam's states, on one of `members` devices that
 * have the same ones: 16 bits with sums and states in fp32, or all in fp32. Gradients follow an optimizer
 * that is elsewhere. */
static double states(const struct default_facts *facts, const struct default_given *given, double parameters,
                     uint32_t members, uint32_t zero)
{
    double weights = given->no_parameters ? 0 : precision_bytes(facts->precision);
    double gradients = given->no_optimizer ? 0 : 4;
    double optimizer = given->no_optimizer ? 0 : facts->precision == FP32 ? 8 : 12;
    if (!facts->training)
        return weights * parameters;
    return parameters * (weights / (zero >= 3 ? members : 1) + gradients / (zero >= 2 ? members : 1) +
                         optimizer / (zero >= 1 ? members : 1));
}

double default_plan_bound(const struct default_facts *facts, const struct default_given *given,
                          const struct default_choice *choice)
{
    uint32_t dense = choice->tensor * choice->pipeline;
    uint32_t members = choice->data * choice->context;
    double plain = facts->parameters - facts->expert_parameters;
    double bytes = states(facts, given, plain / dense, members, choice->zero) +
                   states(facts, given, facts->expert_parameters / dense / choice->expert,
                          members / choice->expert, choice->zero);
    if (!facts->training || given->no_activations)
        return bytes;
    /* A stage holds 1/pipeline of the layers, the first one for as many micro-batches as there are stages. */
    return bytes + default_certain * facts->kept[choice->recompute] * choice->micro / choice->tensor /
                       choice->context;
}

/* The enumeration: what is known, and where the choices go. */
struct default_list {
    const struct default_facts *facts;
    const struct default_given *given;
    struct default_choice_list *choices;
    struct default_choice *least;
};

static void offer(struct default_list *list, struct default_choice choice)
{
    double bound = default_plan_bound(list->facts, list->given, &choice);
    if (list->given->global && list->given->global % (choice.data * choice.micro))
        return;
    if (list->given->others || bound <= list->facts->memory)
        VECTOR_PUSH(list->choices, choice);
    if (list->least->tensor == 0 || bound < default_plan_bound(list->facts, list->given, list->least))
        *list->least = choice;
}

uint32_t default_plan_samples(const struct default_facts *facts)
{
    uint32_t most = DEFAULT_SAMPLES;
    if (!facts->training)
        return 1;
    while (most > 1 && most * facts->tokens > DEFAULT_TOKENS)
        most /= 2;
    return most;
}

static uint32_t greatest_common_divisor(uint32_t a, uint32_t b)
{
    return b ? greatest_common_divisor(b, a % b) : a;
}

/* Degrees of a split. `spread`: over how many times as many devices its experts lie as there are in a node.
 */
struct degrees {
    uint32_t tensor, pipeline, expert, spread; /* expert 0: there are none */
};

struct degrees_list {
    struct degrees *at;
    uint32_t count, room;
};

/* Less model parallelism first; then tensor parallelism before stages, but in mixtures stages before it,
 * since experts are better divided whole. */
static int degrees_order(const void *left, const void *right)
{
    const struct degrees *a = left, *b = right;
    uint32_t x = a->tensor * a->pipeline * a->spread, y = b->tensor * b->pipeline * b->spread;
    if (x != y)
        return x < y ? -1 : 1;
    if (a->tensor == b->tensor)
        return a->spread < b->spread ? -1 : a->spread > b->spread;
    return (a->tensor > b->tensor) == (a->expert > 0) ? 1 : -1;
}

/* What `tensor` and `pipeline` leave of the devices for context and data; 0: they do not divide them. */
static uint32_t members(const struct default_list *list, uint32_t tensor, uint32_t pipeline)
{
    const struct default_given *given = list->given;
    uint32_t context = given->context ? given->context : 1, model = tensor * pipeline * context;
    if (pipeline > list->facts->units || (!given->data && list->facts->devices % model))
        return 0;
    return context * (given->data ? given->data : list->facts->devices / model);
}

/* Whether experts lie on other devices than what is around them: those of the members of data parallelism,
 * which an inference of one sample has not. */
static bool divides_experts(const struct default_list *list)
{
    return list->facts->experts && (list->facts->training || list->given->expert);
}

/* The experts of a mixture on the devices of a node, and over as many as there are. */
static void add_degrees(const struct default_list *list, struct degrees_list *all, uint32_t tensor,
                        uint32_t pipeline)
{
    const struct default_facts *facts = list->facts;
    uint32_t given = list->given->expert, rest = members(list, tensor, pipeline);
    struct degrees degrees = {tensor, pipeline, 0, 1};
    if (rest && !divides_experts(list))
        VECTOR_PUSH(all, degrees);
    if (rest == 0 || !divides_experts(list) || (given && rest % given))
        return;
    uint32_t wide = greatest_common_divisor(rest, facts->experts);
    uint32_t room = facts->neighbours / tensor, near = room ? greatest_common_divisor(wide, room) : 1;
    degrees.expert = given ? given : near;
    VECTOR_PUSH(all, degrees);
    degrees.expert = wide;
    degrees.spread = wide / near;
    if (!given && wide > near)
        VECTOR_PUSH(all, degrees);
}

/* Every recomputation and micro-batch of one split. */
static void offer_split(struct default_list *list, const struct degrees *degrees, uint32_t zero)
{
    const struct default_given *given = list->given;
    struct default_choice choice = {.tensor = degrees->tensor, .pipeline = degrees->pipeline};
    choice.context = given->context ? given->context : 1;
    choice.data = members(list, degrees->tensor, degrees->pipeline) / choice.context;
    choice.expert = degrees->expert ? degrees->expert : 1;
    choice.zero = given->zero >= 0 ? (uint32_t)given->zero : choice.data > 1 ? zero : 0;
    if (given->zero < 0 && zero > 1 && choice.data == 1)
        return; /* as with less to share out: there is nobody to share with */
    for (uint32_t r = 0; r < (list->facts->training ? RECOMPUTE_COUNT : 1); r++) {
        choice.recompute = default_recompute[r];
        if (given->recompute >= 0 && choice.recompute != (enum plan_recompute)given->recompute)
            continue;
        for (choice.micro = given->micro ? given->micro : default_plan_samples(list->facts); choice.micro;
             choice.micro = given->micro ? 0 : choice.micro / 2)
            offer(list, choice);
    }
}

/* The next degree of tensor parallelism to try: the one that is given, else powers of two that divide the
 * devices. */
static uint32_t next_tensor(const struct default_list *list, uint32_t at, uint32_t most)
{
    uint32_t next = 2 * at;
    bool even = list->given->data || list->facts->devices % next == 0;
    return list->given->tensor || next > most || !even ? 0 : next;
}

/* The same of stages: all that divide the devices. */
static uint32_t next_pipeline(const struct default_list *list, uint32_t at)
{
    uint32_t next = list->given->data ? 2 * at : at + 1;
    while (!list->given->data && next <= list->facts->units && list->facts->devices % next)
        next++;
    return list->given->pipeline || next > list->facts->units ? 0 : next;
}

static void offer_all(struct default_list *list, uint32_t zero)
{
    const struct default_facts *facts = list->facts;
    const struct default_given *given = list->given;
    uint32_t near = facts->neighbours < DEFAULT_TENSOR ? facts->neighbours : DEFAULT_TENSOR;
    uint32_t most = facts->tokens > 0 ? near : 1;
    struct degrees_list all = {0};
    for (uint32_t t = given->tensor ? given->tensor : 1, next; t; t = next) {
        next = next_tensor(list, t, most);
        for (uint32_t p = given->pipeline ? given->pipeline : 1; p; p = next_pipeline(list, p))
            if (divides_experts(list) || given->tensor || given->pipeline || p == 1 || !next)
                add_degrees(list, &all, t, p);
    }
    if (all.count)
        qsort(all.at, all.count, sizeof *all.at, degrees_order);
    for (uint32_t i = 0; i < all.count; i++)
        offer_split(list, &all.at[i], zero);
    VECTOR_FREE(&all);
}

void default_plan_list(const struct default_facts *facts, const struct default_given *given,
                       struct default_choice_list *choices, struct default_choice *least)
{
    struct default_list list = {facts, given, choices, least};
    *least = (struct default_choice){0};
    offer_all(&list, 1);
    if (facts->training && given->zero < 0)
        offer_all(&list, 3);
}
