/* Executor: runs a derived plan on numbers. Every member computes its share of every operator on what it
 * really holds; only the derivation's actions, in their order and with only their own dependencies, move
 * anything. What a member lacks is NaN. The whole model without a partition is the oracle. */
#ifndef PARTITA_TESTS_EXECUTOR_H
#define PARTITA_TESTS_EXECUTOR_H

#include "interpreter.h"
#include "plan_case.h"

#include "plan/assign.h"
#include "plan/convert.h"
#include "plan/fuse.h"
#include "plan/state.h"

/* What each member holds of one tensor after one action; NULL: nothing. Arrays have the tensor's size. */
struct holding {
    double **member;
};

struct stage_run {
    const struct derivation *d;
    struct holding *forward, *backward; /* per action */
    struct holding *kept;  /* per forward action: what was kept since the forward pass, or recomputed */
    struct holding *given; /* per contribution */
    uint32_t *forward_statistics, *backward_statistics; /* per operator: axes along which they are summed */
    double ***parameter_gradient;                       /* per parameter and member */
    double ***reduced,
        ***joint;       /* the same after the stage's own reductions, and with copies of its devices */
    double ****streams; /* per operator and operand: in each step of a ring (streamed.h) what each member
                           gives to the gradient of the block that it works on; NULL: not streamed */
};

struct executor {
    struct plan_case *c;
    const struct model *model;
    struct arena arena;
    double **whole, **whole_gradient; /* per tensor: the oracle */
    bool *seeded;                     /* per tensor: its gradient is given, not computed */
    double **seed_gradient;           /* what is given */
    double **nothing;                 /* per tensor: NaN everywhere */
    struct stage_run *stages;
    uint32_t removed_stage, removed_action; /* this communication does not happen; MODEL_NONE: all do */
    bool removed_backward;
    uint32_t skipped_stage, skipped_parameter; /* a step of this parameter's reduction or gather does not
                                                  happen; MODEL_NONE: all do */
    unsigned skipped_step;
    uint32_t skipped_tied, skipped_flow; /* this part of a tied parameter's gradient is not sent; skipped_tied
                                            0 (never a parameter): all are */
    uint32_t step;           /* time step of the recurrent layer that is running; MODEL_NONE: all at once */
    uint32_t wrong, checked; /* elements that differ from the oracle, and all that were compared */
    const char *first_wrong;
};

static inline const struct tensor *run_tensor(const struct executor *x, uint32_t tensor)
{
    return &x->model->tensors.at[tensor];
}

static inline size_t run_elements(const struct executor *x, uint32_t tensor)
{
    return evaluation_elements(run_tensor(x, tensor));
}

static inline double *run_array(struct executor *x, uint32_t tensor, double value)
{
    size_t count = run_elements(x, tensor);
    double *array = ARENA_ARRAY(&x->arena, double, count + 1);
    for (size_t i = 0; i < count; i++)
        array[i] = value;
    return array;
}

static inline bool run_inside(const struct tensor *tensor, const struct box *box, size_t at)
{
    for (uint32_t d = tensor->rank; d-- > 0; at /= tensor->dims[d].size) {
        uint64_t i = at % tensor->dims[d].size;
        const struct filling *filling = tensor->dims[d].filling;
        if (!layout_has(box, d, i) || (filling && filling->before[i + 1] == filling->before[i]))
            return false;
    }
    return true;
}

static inline void run_fill(const struct executor *x, uint32_t tensor, double *array, const struct box *box,
                            double value)
{
    size_t count = run_elements(x, tensor);
    for (size_t i = 0; i < count; i++)
        if (run_inside(run_tensor(x, tensor), box, i))
            array[i] = value;
}

/* ---- time steps ---- */

static inline bool run_steps(const struct layer_op *op)
{
    for (uint32_t d = 0; d < op->dim_count; d++)
        if (op->dims[d].sequential)
            return true;
    return false;
}

/* Steps of the operator's sequential dimension. */
static inline uint32_t run_step_count(const struct layer_op *op)
{
    for (uint32_t d = 0; d < op->dim_count; d++)
        if (op->dims[d].sequential)
            return (uint32_t)op->dims[d].size;
    return 0;
}

/* A share of an iteration dimension, in the step that is running. */
static inline struct interval run_step(const struct executor *x, const struct layer_op *op, uint32_t dim,
                                       struct interval share)
{
    if (x->step != MODEL_NONE && op->dims[dim].sequential && share.low < share.high)
        return (struct interval){x->step, x->step + 1};
    return share;
}

/* The dimension of an operand's tensor that the operator steps through; MODEL_NONE: none. */
static inline uint32_t run_step_dim(const struct executor *x, const struct layer_op *op,
                                    const struct operand *operand)
{
    for (uint32_t k = 0; k < run_tensor(x, operand->tensor)->rank; k++)
        if (operand->dims[k].dim >= 0 && op->dims[operand->dims[k].dim].sequential)
            return k;
    return MODEL_NONE;
}

/* The part of an operand's box that the step which is running touches. */
static inline struct box run_step_box(const struct executor *x, const struct layer_op *op,
                                      const struct operand *operand, struct box box)
{
    uint32_t dim = run_step_dim(x, op, operand);
    if (x->step != MODEL_NONE && dim != MODEL_NONE && box.dims[dim].low < box.dims[dim].high)
        box.dims[dim] = (struct interval){x->step, x->step + 1};
    return box;
}

/* Where an element of an array stands along a dimension. */
static inline uint64_t run_index(const struct tensor *tensor, size_t at, uint32_t dim)
{
    for (uint32_t d = tensor->rank; d-- > dim + 1;)
        at /= tensor->dims[d].size;
    return at % tensor->dims[dim].size;
}

/* Elements between neighbours along a dimension. */
static inline size_t run_stride(const struct tensor *tensor, uint32_t dim)
{
    size_t stride = 1;
    for (uint32_t d = dim + 1; d < tensor->rank; d++)
        stride *= tensor->dims[d].size;
    return stride;
}

/* A fed-back tensor as its operator reads it: that of the step before, nothing (0) before the first. */
static inline double *run_delayed(struct executor *x, const struct layer_op *op,
                                  const struct operand *operand, const double *array)
{
    const struct tensor *tensor = run_tensor(x, operand->tensor);
    uint32_t dim = run_step_dim(x, op, operand);
    double *delayed = run_array(x, operand->tensor, 0);
    for (size_t i = 0; i < run_elements(x, operand->tensor); i++)
        if (run_index(tensor, i, dim))
            delayed[i] = array[i - run_stride(tensor, dim)];
    return delayed;
}

/* The other way: what steps give to the state that they started from. */
static inline double *run_advanced(struct executor *x, const struct layer_op *op,
                                   const struct operand *operand, const double *array, double last)
{
    const struct tensor *tensor = run_tensor(x, operand->tensor);
    uint32_t dim = run_step_dim(x, op, operand);
    double *advanced = run_array(x, operand->tensor, last);
    for (size_t i = 0; i < run_elements(x, operand->tensor); i++)
        if (run_index(tensor, i, dim))
            advanced[i - run_stride(tensor, dim)] = array[i];
    return advanced;
}

/* ---- the oracle ---- */

static inline struct evaluation run_evaluation(const struct executor *x, uint32_t layer_op)
{
    struct evaluation e = {.model = x->model,
                           .op = &x->model->operators.at[layer_op],
                           .training = x->c->plan.training,
                           .balanced = x->c->plan.stages.at[0].balanced};
    for (uint32_t d = 0; d < e.op->dim_count; d++)
        e.share[d] = run_step(x, e.op, d, (struct interval){0, e.op->dims[d].size});
    e.adds = true;
    evaluation_prepare(&e);
    return e;
}

static inline double run_zero(const struct evaluation *e)
{
    return e->flavour == FLAVOUR_MAX ? -INFINITY : 0;
}

/* Random inputs and parameters; tokens are whole numbers below the table's rows. */
static inline void run_oracle_inputs(struct executor *x, uint64_t seed)
{
    for (uint32_t t = 0; t < x->model->tensors.count; t++) {
        x->whole[t] = run_array(x, t, 0);
        x->whole_gradient[t] = run_array(x, t, 0);
        x->nothing[t] = run_array(x, t, NAN);
        for (size_t i = 0; i < run_elements(x, t); i++)
            x->whole[t][i] = run_tensor(x, t)->discrete ? (double)(case_random(&seed) % 5)
                                                        : (double)(case_random(&seed) % 2001) / 1000 - 1;
    }
}

static inline bool run_runs(const struct executor *x, uint32_t layer_op)
{
    return x->c->plan.training || !x->model->operators.at[layer_op].training_only;
}

/* The last operator of a recurrent layer that goes with this one step by step; itself when it does not. */
static inline uint32_t run_last_step(const struct executor *x, uint32_t layer_op)
{
    const struct layer_op *op = x->model->operators.at;
    uint32_t last = layer_op;
    while (run_steps(&op[layer_op]) && last + 1 < x->model->operators.count &&
           op[last + 1].layer == op[layer_op].layer && run_steps(&op[last + 1]))
        last++;
    return last;
}

static inline uint32_t run_first_step(const struct executor *x, uint32_t layer_op)
{
    const struct layer_op *op = x->model->operators.at;
    uint32_t first = layer_op;
    while (run_steps(&op[layer_op]) && first > 0 && op[first - 1].layer == op[layer_op].layer &&
           run_steps(&op[first - 1]))
        first--;
    return first;
}

/* An operator's operands, whole. */
static inline void run_oracle_operands(struct executor *x, struct evaluation *e, const uint32_t *same_as)
{
    for (uint32_t i = 0; i < e->op->operand_count; i++) {
        const struct operand *operand = &e->op->operands[i];
        uint32_t t = same_as[operand->tensor];
        e->in[i] = e->statistics[i] =
            operand->feedback ? run_delayed(x, e->op, operand, x->whole[t]) : x->whole[t];
    }
}

static inline void run_oracle_forward(struct executor *x, uint32_t layer_op, const uint32_t *same_as)
{
    struct evaluation e = run_evaluation(x, layer_op);
    run_oracle_operands(x, &e, same_as);
    e.out = x->whole[e.op->output.tensor];
    evaluation_forward(&e);
}

/* A gradient that is given is drawn once, before the first step. */
static inline void run_oracle_seed(struct executor *x, const struct layer_op *op, uint64_t *seed)
{
    uint32_t output = op->output.tensor, steps = run_step_count(op);
    bool starts = x->step == MODEL_NONE || x->step + 1 == steps;
    for (size_t i = 0; x->seeded[output] && starts && i < run_elements(x, output); i++)
        x->whole_gradient[output][i] = (double)(case_random(seed) % 2001) / 1000 - 1;
    if (x->seeded[output] && starts) {
        x->seed_gradient[output] = run_array(x, output, 0);
        memcpy(x->seed_gradient[output], x->whole_gradient[output], run_elements(x, output) * sizeof(double));
    }
}

static inline void run_oracle_backward(struct executor *x, uint32_t layer_op, uint64_t *seed,
                                       const bool *needs)
{
    struct evaluation e = run_evaluation(x, layer_op);
    uint32_t output = e.op->output.tensor;
    if (!needs[output])
        return;
    run_oracle_seed(x, e.op, seed);
    for (uint32_t i = 0; i < e.op->operand_count; i++) {
        const struct operand *operand = &e.op->operands[i];
        e.in[i] = e.statistics[i] = operand->feedback
                                        ? run_delayed(x, e.op, operand, x->whole[operand->tensor])
                                        : x->whole[operand->tensor];
        if (operand->gradient)
            e.gradient[i] =
                operand->feedback ? run_array(x, operand->tensor, 0) : x->whole_gradient[operand->tensor];
    }
    e.out = x->whole[output];
    e.dy = e.dy_statistics = x->whole_gradient[output];
    evaluation_backward(&e);
    for (uint32_t i = 0; i < e.op->operand_count; i++) {
        const struct operand *operand = &e.op->operands[i];
        if (!operand->feedback)
            continue;
        double *given = run_advanced(x, e.op, operand, e.gradient[i], 0);
        for (size_t k = 0; k < run_elements(x, operand->tensor); k++)
            x->whole_gradient[operand->tensor][k] += given[k];
    }
}

/* One operator, or those of a recurrent layer step by step; returns the one after. */
static inline uint32_t run_oracle_operators(struct executor *x, uint32_t o, const uint32_t *same_as)
{
    uint32_t last = run_last_step(x, o), steps = run_step_count(&x->model->operators.at[o]);
    if (!run_runs(x, o))
        return o + 1;
    for (uint32_t i = o; i <= last; i++) {
        struct evaluation e = run_evaluation(x, i);
        x->whole[e.op->output.tensor] = run_array(x, e.op->output.tensor, run_zero(&e));
    }
    for (x->step = 0; steps && x->step < steps; x->step++)
        for (uint32_t i = o; i <= last; i++)
            run_oracle_forward(x, i, same_as);
    x->step = MODEL_NONE;
    if (!steps)
        run_oracle_forward(x, o, same_as);
    return last + 1;
}

static inline void run_oracle(struct executor *x, uint64_t seed, const uint32_t *same_as, const bool *needs)
{
    run_oracle_inputs(x, seed);
    for (uint32_t l = 0; l < x->model->layers.count; l++) {
        const struct layer *layer = &x->model->layers.at[l];
        for (uint32_t o = layer->first_operator; o < layer->first_operator + layer->operator_count;)
            o = run_oracle_operators(x, o, same_as);
    }
    if (!x->c->plan.training)
        return;
    for (uint32_t t = 0; t < x->model->tensors.count; t++)
        x->seeded[t] = true;
    for (uint32_t o = 0; o < x->model->operators.count; o++)
        for (uint32_t i = 0; i < x->model->operators.at[o].operand_count; i++)
            if (x->model->operators.at[o].operands[i].gradient &&
                !x->model->operators.at[o].operands[i].feedback)
                x->seeded[x->model->operators.at[o].operands[i].tensor] = false;
    for (uint32_t o = x->model->operators.count; o-- > 0;) {
        uint32_t first = run_first_step(x, o), steps = run_step_count(&x->model->operators.at[o]);
        for (x->step = steps; steps && x->step-- > 0;)
            for (uint32_t i = o + 1; i-- > first;)
                run_oracle_backward(x, i, &seed, needs);
        x->step = MODEL_NONE;
        if (!steps)
            run_oracle_backward(x, o, &seed, needs);
        o = first;
    }
}

/* ---- comparing ---- */

/* Notes that something is wrong; the first time, what. */
static inline void __attribute__((format(printf, 2, 3)))
run_fault(struct executor *x, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (!x->wrong++)
        x->first_wrong = arena_vformat(&x->arena, format, arguments);
    va_end(arguments);
}

static inline void run_compare(struct executor *x, const char *what, uint32_t tensor, uint32_t member,
                               const double *got, const double *want, const struct box *box)
{
    size_t count = run_elements(x, tensor);
    for (size_t i = 0; i < count; i++) {
        if (!run_inside(run_tensor(x, tensor), box, i))
            continue;
        double value = got ? got[i] : NAN;
        x->checked++;
        if (fabs(value - want[i]) <= 1e-9 * (1 + fabs(want[i])))
            continue;
        run_fault(x, "%s of %s[%zu] on member %u is %g, not %g", what,
                  names_text(x->model->names, run_tensor(x, tensor)->name), i, member, value, want[i]);
    }
}

/* ---- moving ---- */

static inline struct coordinates run_at(const struct stage_run *s, uint32_t member)
{
    return layout_coordinates(s->d->stage, member);
}

static inline struct holding run_holding(struct executor *x, const struct stage_run *s)
{
    return (struct holding){ARENA_ARRAY(&x->arena, double *, s->d->member_count)};
}

static inline double run_value(const struct holding *holding, uint32_t member, size_t at)
{
    return holding->member && holding->member[member] ? holding->member[member][at] : NAN;
}

static inline bool run_removed(const struct executor *x, const struct stage_run *s, bool backward,
                               uint32_t action)
{
    return x->removed_stage == s->d->stage_index && x->removed_backward == backward &&
           x->removed_action == action;
}

static inline struct box run_layout_box(const struct stage_run *s, const struct tensor *tensor,
                                        const struct layout *layout, uint32_t member)
{
    return layout_box(s->d->stage, tensor, layout, run_at(s, member), 0);
}

/* What members put into a collective: their shares in the layout, if all have those (of the time step that is
 * running); else whatever they have. */
static inline bool run_has_share(const struct executor *x, const struct stage_run *s, uint32_t tensor,
                                 const struct holding *in, const struct layout *layout, uint32_t member)
{
    struct box box = run_layout_box(s, run_tensor(x, tensor), layout, member);
    if (x->step != MODEL_NONE && run_tensor(x, tensor)->producer != MODEL_NONE) {
        const struct layer_op *maker = &x->model->operators.at[run_tensor(x, tensor)->producer];
        box = run_step_box(x, maker, &maker->output, box);
    }
    for (size_t i = 0; i < run_elements(x, tensor); i++)
        if (run_inside(run_tensor(x, tensor), &box, i) && isnan(run_value(in, member, i)))
            return false;
    return true;
}

/* What is left of a collective that does not happen: each member's own part of what it would have. */
static inline void run_own(struct executor *x, const struct stage_run *s, const struct action *a,
                           struct holding *held)
{
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        struct box after = run_layout_box(s, run_tensor(x, a->tensor), &a->after, m);
        for (size_t i = 0; held->member[m] && i < run_elements(x, a->tensor); i++)
            if (!run_inside(run_tensor(x, a->tensor), &after, i))
                held->member[m][i] = NAN;
    }
}

/* Whether an action waits for the communication that does not happen: it must not repair that. */
static inline bool run_deprived(const struct executor *x, const struct stage_run *s, const struct action *a)
{
    for (uint32_t k = 0; k < a->dependency_count; k++)
        if (run_removed(x, s, a->backward, s->d->dependencies.at[a->first_dependency + k]))
            return true;
    return false;
}

/* Whether a member is not the first along some axes. */
static inline bool run_is_other(const struct stage_run *s, uint32_t axes, uint32_t member)
{
    struct coordinates at = run_at(s, member);
    for (uint32_t a = 0; a < s->d->stage->axis_count; a++)
        if (axes >> a & 1 && at.at[a])
            return true;
    return false;
}

static inline struct holding run_collective(struct executor *x, const struct stage_run *s,
                                            const struct action *a, const struct holding *in, bool maximum)
{
    struct holding out = run_holding(x, s);
    const struct tensor *tensor = run_tensor(x, a->tensor);
    size_t count = run_elements(x, a->tensor);
    bool sums = a->before.place[a->axis] == PLACE_PARTIAL, shares = true;
    for (uint32_t m = 0; m < s->d->member_count && shares && !run_deprived(x, s, a); m++)
        shares = run_has_share(x, s, a->tensor, in, &a->before, m);
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        struct box after = run_layout_box(s, tensor, &a->after, m);
        out.member[m] = run_array(x, a->tensor, sums ? (maximum ? -INFINITY : 0) : NAN);
        for (uint32_t other = 0; other < s->d->member_count; other++) {
            struct coordinates at = run_at(s, m), there = run_at(s, other);
            bool group = true;
            for (uint32_t i = 0; i < s->d->stage->axis_count; i++)
                group &= (a->axes >> i & 1) || at.at[i] == there.at[i];
            if (!group)
                continue;
            struct box before = run_layout_box(s, tensor, &a->before, other);
            for (size_t i = 0; i < count; i++) {
                double value = run_value(in, other, i);
                if (maximum && sums)
                    out.member[m][i] = isnan(value) || value > out.member[m][i] ? value : out.member[m][i];
                else if (sums)
                    out.member[m][i] += value;
                else if (!isnan(value) && (!shares || run_inside(tensor, &before, i)))
                    out.member[m][i] = value;
            }
        }
        for (size_t i = 0; i < count; i++) /* what is whole along the axis is all that was there */
            if ((shares || a->after.place[a->axis] == PLACE_SPLIT)
                    ? !run_inside(tensor, &after, i)
                    : a->after.place[a->axis] == PLACE_ONE && run_is_other(s, a->axes, m))
                out.member[m][i] = NAN;
    }
    return out;
}

/* Carries one message: the part of the tensor in both boxes, which must have as many elements as the message
 * says. */
static inline void run_message(struct executor *x, uint32_t tensor, const struct message_part *message,
                               const struct holding *in, const struct box *held, const struct box *wanted,
                               double *out, bool add)
{
    struct box both = layout_intersection(held, wanted, run_tensor(x, tensor)->rank);
    if (layout_volume(run_tensor(x, tensor), &both) != message->elements)
        run_fault(x, "a message of %s from %u to %u has %g elements, but the boxes meet in %g",
                  names_text(x->model->names, run_tensor(x, tensor)->name), message->from, message->to,
                  message->elements, layout_volume(run_tensor(x, tensor), &both));
    for (size_t i = 0; i < run_elements(x, tensor); i++) {
        if (!run_inside(run_tensor(x, tensor), &both, i))
            continue;
        double value = run_value(in, message->from, i);
        if (!add && !isnan(out[i]))
            run_fault(x, "%s[%zu] arrives twice at member %u",
                      names_text(x->model->names, run_tensor(x, tensor)->name), i, message->to);
        out[i] = add ? out[i] + value : value;
    }
}

/* The dependencies of an action that carry a tensor, as one holding (the union of what they made). */
static inline struct holding run_union(struct executor *x, const struct stage_run *s, const struct action *a,
                                       uint32_t tensor)
{
    struct holding out = run_holding(x, s);
    for (uint32_t k = 0; k < a->dependency_count; k++) {
        uint32_t dependency = s->d->dependencies.at[a->first_dependency + k];
        const struct action *made = &s->d->forward.at[dependency];
        if (made->tensor != tensor || made->kind == ACTION_SEND || made->elements > 0)
            continue;
        for (uint32_t m = 0; m < s->d->member_count; m++) {
            if (!s->forward[dependency].member || !s->forward[dependency].member[m])
                continue;
            if (!out.member[m])
                out.member[m] = run_array(x, tensor, NAN);
            for (size_t i = 0; i < run_elements(x, tensor); i++)
                if (!isnan(s->forward[dependency].member[m][i]))
                    out.member[m][i] = s->forward[dependency].member[m][i];
        }
    }
    return out;
}

#endif
