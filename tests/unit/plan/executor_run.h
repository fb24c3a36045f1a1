/* The second half of the executor: forward and backward passes of all stages, and the comparison with the
 * oracle. */
#ifndef PARTITA_TESTS_EXECUTOR_RUN_H
#define PARTITA_TESTS_EXECUTOR_RUN_H

#include "executor_exchange.h"
#include "executor_panels.h"

#include "plan/lazy.h"
#include "plan/recompute.h"
#include "plan/streamed.h"

/* ---- forward ---- */

/* The form that an action made first. */
static inline const struct form *run_form(const struct stage_run *s, uint32_t tensor, uint32_t action)
{
    for (uint32_t f = s->d->first_form[tensor]; f != MODEL_NONE; f = s->d->forms.at[f].next)
        if (s->d->forms.at[f].action == action)
            return &s->d->forms.at[f];
    return NULL;
}

static inline struct box run_form_box(const struct stage_run *s, uint32_t tensor, const struct form *form,
                                      uint32_t member)
{
    if (form->boxes)
        return form->boxes[member];
    return run_layout_box(s, state_tensor(s->d, tensor), &form->layout, member);
}

/* What a member may send of a form: its share when every member has its share, else its box. */
static inline struct box run_source_box(const struct stage_run *s, uint32_t tensor, const struct form *form,
                                        uint32_t member)
{
    if (form->boxes && (form->tile || !state_owns_shares(s->d, form, tensor)))
        return form->boxes[member];
    return run_layout_box(s, state_tensor(s->d, tensor), &form->layout, member);
}

/* What members may send in an exchange: their boxes in the form that it starts from, or their shares in the
 * layout that collectives left; and what they want for the form that it makes. */
static inline struct run_sides run_exchange_sides(struct executor *x, const struct stage_run *s,
                                                  const struct action *a, const struct form *made)
{
    struct run_sides sides = run_sides(x, s);
    const struct form *held = NULL;
    sides.layout = made->layout;
    for (uint32_t k = 0; k < a->dependency_count && !held; k++) {
        uint32_t dependency = s->d->dependencies.at[a->first_dependency + k];
        const struct action *before = &s->d->forward.at[dependency];
        held = run_form(s, a->tensor, dependency); /* also one that collectives and slices made */
        if (held || (before->kind == ACTION_COLLECTIVE && before->tensor == a->tensor))
            sides.layout = held ? held->layout : before->after;
    }
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        sides.own[m] = held ? run_source_box(s, a->tensor, held, m)
                            : run_layout_box(s, run_tensor(x, a->tensor), &sides.layout, m);
        sides.wanted[m] = run_form_box(s, a->tensor, made, m);
    }
    return sides;
}

static inline struct holding run_exchange(struct executor *x, const struct stage_run *s, uint32_t index)
{
    const struct action *a = &s->d->forward.at[index];
    struct holding in = run_union(x, s, a, a->tensor);
    const struct form *made = run_form(s, a->tensor, index + (a->leg == EXCHANGE_TO_ROOT));
    if (!made) {
        run_fault(x, "an exchange that makes no form");
        return in;
    }
    struct run_sides sides = run_exchange_sides(x, s, a - (a->leg == EXCHANGE_FROM_ROOT), made);
    struct holding out = run_parts(x, s, a, &sides, &in);
    for (uint32_t m = 0; m < s->d->member_count; m++)
        for (size_t i = 0; i < run_elements(x, a->tensor); i++)
            if (isnan(out.member[m][i]))
                out.member[m][i] = run_value(&in, m, i);
    return out;
}

/* The SEND that a RECEIVE waits for. */
static inline uint32_t run_send(struct executor *x, const struct stage_run *source, bool backward,
                                const struct action *receive, uint32_t here)
{
    uint32_t count = backward ? source->d->backward.count : source->d->forward.count;
    for (uint32_t i = 0; i < count; i++) {
        const struct action *a = backward ? &source->d->backward.at[i] : &source->d->forward.at[i];
        if (a->kind == ACTION_SEND && a->peer == here && a->slot == receive->slot &&
            a->tensor == receive->tensor)
            return i;
    }
    run_fault(x, "a receive without its send");
    return 0;
}

static inline struct holding run_receive(struct executor *x, const struct stage_run *s, uint32_t index)
{
    const struct action *a = &s->d->forward.at[index];
    struct holding out = run_holding(x, s), before = run_union(x, s, a, a->tensor);
    const struct form *made = run_form(s, a->tensor, index);
    const struct tensor *tensor = run_tensor(x, a->tensor);
    for (uint32_t m = 0; m < s->d->member_count; m++) { /* earlier pieces of the same */
        out.member[m] = run_array(x, a->tensor, NAN);
        for (size_t i = 0; before.member[m] && i < run_elements(x, a->tensor); i++)
            out.member[m][i] = before.member[m][i];
    }
    if (a->peer == MODEL_NONE) {
        struct holding in = {&x->whole[a->tensor]};
        struct box all = {0};
        for (uint32_t d = 0; d < tensor->rank; d++)
            all.dims[d].high = tensor->dims[d].size;
        for (uint32_t k = 0; k < a->message_count; k++) {
            const struct message_part *message = &s->d->messages.at[a->first_message + k];
            struct box wanted = run_form_box(s, a->tensor, made, message->to);
            run_message(x, a->tensor, message, &in, &all, &wanted, out.member[message->to], false);
        }
        for (uint32_t m = 0; m < s->d->member_count; m++)
            if (s->d->stage->devices.at[m] == x->c->plan.input_device)
                out.member[m] = x->whole[a->tensor];
        return out;
    }
    const struct stage_run *source = &x->stages[a->peer];
    const struct stage_import *import = NULL;
    for (uint32_t i = 0; i < s->d->imports.count; i++)
        if (s->d->imports.at[i].source == a->peer && s->d->imports.at[i].slot == a->slot)
            import = &s->d->imports.at[i];
    if (!import || import->tensor != a->tensor) {
        run_fault(x, "a receive that is no import");
        return out;
    }
    made = &s->d->forms.at[import->form];
    const struct form *from = &source->d->forms.at[import->source_form];
    struct holding in = run_union(
        x, source, &source->d->forward.at[run_send(x, source, false, a, s->d->stage_index)], a->tensor);
    bool adds = false; /* summands */
    for (uint32_t axis = 0; axis < source->d->stage->axis_count; axis++)
        adds |= from->layout.place[axis] == PLACE_PARTIAL;
    for (uint32_t m = 0; m < s->d->member_count && adds; m++)
        out.member[m] = run_array(x, a->tensor, 0);
    for (uint32_t m = 0; m < s->d->member_count; m++) /* a device of both stages keeps what it has */
        for (uint32_t o = 0; o < source->d->member_count; o++) {
            struct box own = run_source_box(source, a->tensor, from, o);
            for (size_t i = 0; i < run_elements(x, a->tensor); i++)
                if (s->d->stage->devices.at[m] == source->d->stage->devices.at[o] &&
                    run_inside(tensor, &own, i))
                    out.member[m][i] = run_value(&in, o, i) + (adds ? out.member[m][i] : 0);
        }
    for (uint32_t k = 0; k < a->message_count; k++) {
        const struct message_part *message = &s->d->messages.at[a->first_message + k];
        struct box held = run_source_box(source, a->tensor, from, message->from);
        struct box wanted = run_form_box(s, a->tensor, made, message->to);
        run_message(x, a->tensor, message, &in, &held, &wanted, out.member[message->to], adds);
    }
    return out;
}

/* The forward action that gives what an operator reads of the step before: the loop's carry, or the kernel
 * that makes it. */
static inline uint32_t run_carry(const struct stage_run *s, const struct action *kernel, uint32_t tensor)
{
    uint32_t i = 0;
    if (kernel->loop != MODEL_NONE)
        return s->d->forward_loops.at[kernel->loop].carry;
    while (s->d->forward.at[i].kind != ACTION_KERNEL || s->d->forward.at[i].tensor != tensor)
        i++;
    return i;
}

/* The arrays that an operand's data is read from; x->nothing where it is not there. */
static inline const double *run_operand(struct executor *x, const struct stage_run *s, const struct action *a,
                                        const struct operand *operand, uint32_t member, struct holding *held)
{
    uint32_t t = s->d->same_as[operand->tensor];
    const struct tensor *tensor = run_tensor(x, t);
    if (operand->feedback) {
        const struct holding *carried = &s->forward[run_carry(s, a, t)];
        const struct layer_op *op = &x->model->operators.at[s->d->operators.at[a->layer_op].layer_op];
        bool there = carried->member && carried->member[member];
        return run_delayed(x, op, operand, there ? carried->member[member] : x->nothing[t]);
    }
    if (tensor->role == TENSOR_PARAMETER) {
        double *array = run_array(x, t, NAN);
        for (uint32_t p = 0; p < s->d->parameters.count; p++)
            if (s->d->parameters.at[p].tensor == t) {
                struct box box = run_layout_box(s, tensor, &s->d->parameters.at[p].layout, member);
                for (size_t i = 0; i < run_elements(x, t); i++)
                    if (run_inside(tensor, &box, i))
                        array[i] = x->whole[t][i];
            }
        return array;
    }
    if (tensor->producer == MODEL_NONE && x->c->plan.input_device == MODEL_NONE)
        return x->whole[t];
    *held = run_union(x, s, a, t);
    return held->member[member] ? held->member[member] : x->nothing[t];
}

/* Own data and that of all members along `axes`: what statistics are computed from after they are combined.
 */
static inline const double *run_joined(struct executor *x, const struct stage_run *s, uint32_t tensor,
                                       uint32_t axes, uint32_t member, const double *const *of_member)
{
    double *joined = run_array(x, tensor, NAN);
    struct coordinates at = run_at(s, member);
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        struct coordinates other = run_at(s, m);
        bool group = true;
        for (uint32_t a = 0; a < s->d->stage->axis_count; a++)
            group &= (axes >> a & 1) || other.at[a] == at.at[a];
        for (size_t i = 0; group && i < run_elements(x, tensor); i++)
            if (!isnan(of_member[m][i]))
                joined[i] = of_member[m][i];
    }
    return joined;
}

static inline struct box run_box(const struct stage_run *s, const struct stage_operator *so,
                                 const struct operand *operand, uint32_t member)
{
    return assign_box(s->d->stage, s->d->plan->model, &s->d->plan->model->operators.at[so->layer_op],
                      &so->assignment, operand, run_at(s, member));
}

/* The part of an operand that a member's share of the work reads. */
static inline const double *run_share(struct executor *x, const struct stage_run *s,
                                      const struct stage_operator *so, const struct operand *operand,
                                      uint32_t tensor, uint32_t member, const double *held)
{
    double *share = run_array(x, tensor, NAN);
    struct box box = run_box(s, so, operand, member);
    for (size_t i = 0; i < run_elements(x, tensor); i++)
        if (run_inside(run_tensor(x, tensor), &box, i))
            share[i] = held[i];
    return share;
}

/* Whether a member adds what an operator's product is added to: all do when it is a partial sum as the output
 * is; of copies, only the first. */
static inline bool run_adds(const struct stage_run *s, const struct stage_operator *so,
                            const struct layer_op *op, uint32_t member)
{
    bool adds = true;
    for (uint32_t i = 0; i < op->operand_count; i++) {
        if (!op->operands[i].added)
            continue;
        struct layout layout =
            assign_layout(s->d->stage, s->d->plan->model, op, &so->assignment, &op->output, true);
        const struct layout *held = &s->d->forms.at[s->d->first_form[op->operands[i].tensor]].layout;
        for (uint32_t a = 0; a < s->d->stage->axis_count; a++)
            adds &= layout.place[a] != PLACE_PARTIAL || held->place[a] == PLACE_PARTIAL ||
                    run_at(s, member).at[a] == 0;
    }
    return adds;
}

/* What the backward pass reads of an operand: what was kept or recomputed, or what was gathered again. */
static inline const double *run_saved(struct executor *x, const struct stage_run *s, const struct action *a,
                                      const struct operand *operand, uint32_t member, struct holding *held)
{
    struct stage_run kept = *s;
    kept.forward = s->kept;
    for (uint32_t r = 0; r < s->d->regathers.count; r++) {
        const struct stage_regather *regather = &s->d->regathers.at[r];
        if (regather->layer_op != a->layer_op || regather->tensor != s->d->same_as[operand->tensor])
            continue;
        const struct holding *again = &s->backward[regather->action];
        const double *held_again =
            again->member && again->member[member] ? again->member[member] : x->nothing[operand->tensor];
        const struct layer_op *op = &x->model->operators.at[s->d->operators.at[a->layer_op].layer_op];
        return operand->feedback ? run_delayed(x, op, operand, held_again) : held_again;
    }
    return run_operand(x, &kept, a, operand, member, held);
}

/* Whether a member leaves an operand of a sum to the first one: the result is a partial sum, the operand is
 * none. */
static inline bool run_leaves(const struct stage_run *s, const struct stage_operator *so, uint32_t operand,
                              uint32_t member)
{
    bool additive = s->d->plan->model->operators.at[so->layer_op].additive;
    for (uint32_t a = 0; a < s->d->stage->axis_count && additive; a++)
        if (lazy_axes(so) >> a & 1 && !(so->lazy[operand] >> a & 1) && run_at(s, member).at[a])
            return true;
    return false;
}

/* Everything about one operator on all members: its operands as the members hold them. `forward`: the
 * operator's forward kernel, whose dependencies say where they come from. */
static inline struct evaluation *run_evaluations(struct executor *x, const struct stage_run *s,
                                                 const struct action *forward, bool backward)
{
    struct evaluation *all = ARENA_ARRAY(&x->arena, struct evaluation, s->d->member_count);
    const struct stage_operator *so = &s->d->operators.at[forward->layer_op];
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        all[m] = run_evaluation(x, so->layer_op);
        for (uint32_t d = 0; d < all[m].op->dim_count; d++)
            all[m].share[d] = run_step(
                x, all[m].op, d, assign_share(s->d->stage, all[m].op, &so->assignment, d, run_at(s, m)));
        all[m].adds = run_adds(s, so, all[m].op, m);
    }
    const struct layer_op *op = all[0].op;
    for (uint32_t i = 0; i < op->operand_count; i++) {
        const double **own = ARENA_ARRAY(&x->arena, const double *, s->d->member_count);
        struct holding held = {0};
        uint32_t t = s->d->same_as[op->operands[i].tensor];
        for (uint32_t m = 0; m < s->d->member_count; m++) {
            if (backward && op->operands[i].saved)
                own[m] = run_saved(x, s, forward, &op->operands[i], m, &held);
            else
                own[m] = run_operand(x, s, forward, &op->operands[i], m, &held);
            if (run_leaves(s, so, i, m))
                own[m] = run_array(x, t, 0);
            if (op->normalised) /* its statistics are those of its share, also where it holds more */
                own[m] = run_share(x, s, so, &op->operands[i], t, m, own[m]);
        }
        for (uint32_t m = 0; m < s->d->member_count; m++) {
            all[m].in[i] = own[m];
            all[m].statistics[i] = op->normalised
                                       ? run_joined(x, s, t, s->forward_statistics[forward->layer_op], m, own)
                                       : own[m];
        }
    }
    return all;
}

/* ---- rings: a member has one block at a time, from the one before it ---- */

/* What an operand's buffers hold in a step, given those of the step before (in the first one: the operand's
 * shares): a member that gets nothing from the one before it keeps what it has. */
static inline double **run_pass(struct executor *x, const struct stage_run *s,
                                const struct stage_operator *so, uint32_t step, bool removed,
                                double **buffers)
{
    double **moved = ARENA_ARRAY(&x->arena, double *, s->d->member_count);
    uint32_t ways = layout_places(s->d->stage, so->ring_axes);
    for (uint32_t m = 0; m < s->d->member_count; m++)
        moved[m] = buffers[step && !removed ? streamed_member(s->d->stage, m, so->ring_axes, ways - 1) : m];
    return moved;
}

/* The keys that a member works on in a step. */
static inline struct interval run_block(const struct stage_run *s, const struct layer_op *op, uint32_t axes,
                                        uint32_t member, uint32_t step)
{
    uint32_t ways = layout_places(s->d->stage, axes);
    struct coordinates owner = run_at(s, streamed_member(s->d->stage, member, axes, ways - step));
    struct interval block = {0, op->dims[op->key].size};
    for (uint32_t a = 0; a < s->d->stage->axis_count; a++)
        if (axes >> a & 1)
            block = layout_share(block, &s->d->stage->axes[a], owner.at[a]);
    return block;
}

/* A streamed operand of an operator: the first of them; MODEL_NONE: none is. */
static inline uint32_t run_streamed(const struct stage_operator *so)
{
    for (uint32_t i = 0; i < OPERATOR_OPERANDS; i++)
        if (so->streamed >> i & 1)
            return i;
    return MODEL_NONE;
}

/* Whether the all-gather behind a streamed operand does not happen. */
static inline bool run_stands(const struct executor *x, const struct stage_run *s, bool backward,
                              uint32_t layer_op, uint32_t tensor)
{
    uint32_t count = backward ? s->d->backward.count : s->d->forward.count;
    for (uint32_t i = 0; i < count; i++) {
        const struct action *a = backward ? &s->d->backward.at[i] : &s->d->forward.at[i];
        if (a->streamed && a->collective == ALL_GATHER && a->layer_op == layer_op && a->tensor == tensor &&
            run_removed(x, s, backward, i))
            return true;
    }
    return false;
}

/* Computes an operator block by block: `all` has the shares of the streamed operand. `gradients`: per step
 * and member what it gives to it, or NULL in the forward pass. */
static inline void run_ring(struct executor *x, const struct stage_run *s, const struct stage_operator *so,
                            uint32_t index, struct evaluation *all, bool backward, double ***gradients)
{
    uint32_t operand = run_streamed(so), members = s->d->member_count;
    const struct layer_op *op = all[0].op;
    uint32_t tensor = s->d->same_as[op->operands[operand].tensor];
    bool removed = run_stands(x, s, backward, index, tensor);
    double **buffers = ARENA_ARRAY(&x->arena, double *, members);
    for (uint32_t m = 0; m < members; m++)
        buffers[m] = (double *)(uintptr_t)all[m].in[operand];
    for (uint32_t step = 0; step < layout_places(s->d->stage, so->ring_axes); step++) {
        buffers = run_pass(x, s, so, step, removed, buffers);
        for (uint32_t m = 0; m < members; m++) {
            all[m].share[op->key] = run_block(s, op, so->ring_axes, m, step);
            all[m].in[operand] = buffers[m];
            if (backward && gradients)
                all[m].gradient[operand] = gradients[step][m] = run_array(x, tensor, 0);
            if (backward)
                evaluation_backward(&all[m]);
            else
                evaluation_forward(&all[m]);
        }
    }
}

static inline bool run_is_partial(const struct stage_run *s, const struct layout *layout, uint32_t *axes)
{
    *axes = 0;
    for (uint32_t a = 0; a < s->d->stage->axis_count; a++)
        if (layout->place[a] == PLACE_PARTIAL)
            *axes |= 1u << a;
    return *axes;
}

/* Sum (or maximum) over the members along `axes` of what each holds; what a member does not hold counts as
 * `zero`. */
static inline double *run_sum(struct executor *x, const struct stage_run *s, uint32_t tensor, uint32_t axes,
                              uint32_t member, double *const *of_member, bool maximum)
{
    double *sum = run_array(x, tensor, maximum ? -INFINITY : 0);
    struct coordinates at = run_at(s, member);
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        struct coordinates other = run_at(s, m);
        bool group = of_member[m] != NULL;
        for (uint32_t a = 0; a < s->d->stage->axis_count; a++)
            group &= (axes >> a & 1) || other.at[a] == at.at[a];
        for (size_t i = 0; group && i < run_elements(x, tensor); i++)
            sum[i] = maximum ? fmax(sum[i], of_member[m][i]) : sum[i] + of_member[m][i];
    }
    return sum;
}

/* What earlier steps made stays. */
static inline void run_before(const struct executor *x, double *const *of_member, uint32_t tensor,
                              uint32_t member, double *out)
{
    if (x->step != MODEL_NONE && of_member && of_member[member])
        memcpy(out, of_member[member], run_elements(x, tensor) * sizeof(double));
}

static inline struct holding run_kernel(struct executor *x, const struct stage_run *s, uint32_t index)
{
    const struct action *a = &s->d->forward.at[index];
    const struct stage_operator *so = &s->d->operators.at[a->layer_op];
    struct evaluation *all = run_evaluations(x, s, a, false);
    const struct operand *output = &all[0].op->output;
    struct holding out = run_holding(x, s);
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        struct box box = run_step_box(x, all[0].op, output, run_box(s, so, output, m));
        out.member[m] = all[m].out = run_array(x, output->tensor, NAN);
        run_before(x, s->forward[index].member, output->tensor, m, out.member[m]);
        run_fill(x, output->tensor, all[m].out, &box, run_zero(&all[m]));
        if (!so->streamed && !so->panels)
            evaluation_forward(&all[m]);
    }
    if (so->streamed)
        run_ring(x, s, so, a->layer_op, all, false, NULL);
    if (so->panels)
        run_panels(x, s, a->layer_op, all, false);
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        double points = assign_points(s->d->stage, all[m].op, &so->assignment, run_at(s, m));
        if (all[m].op->causal && all[m].op->kind == OPERATOR_EINSUM && fabs(points - all[m].visited) > 1e-6)
            run_fault(x, "member %u computes %g points, not %g", m, all[m].visited, points);
    }
    struct layout layout = assign_layout(s->d->stage, x->model, all[0].op, &so->assignment, output, true);
    uint32_t axes;
    bool partial = run_is_partial(s, &layout, &axes) || lazy_axes(so);
    axes |= lazy_axes(so);
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        struct box box = run_step_box(x, all[0].op, output, run_box(s, so, output, m));
        const double *got = out.member[m];
        if (partial)
            got = run_sum(x, s, output->tensor, axes, m, out.member, all[0].flavour == FLAVOUR_MAX);
        run_compare(x, "the output", output->tensor, m, got, x->whole[output->tensor], &box);
    }
    return out;
}

/* Leaves of a holding each member's share in a layout. */
static inline void run_shares(struct executor *x, const struct stage_run *s, const struct action *a,
                              const struct layout *layout, struct holding *held)
{
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        struct box share = run_layout_box(s, run_tensor(x, a->tensor), layout, m);
        for (size_t i = 0; held->member[m] && i < run_elements(x, a->tensor); i++)
            if (!run_inside(run_tensor(x, a->tensor), &share, i))
                held->member[m][i] = NAN;
    }
}

static inline void run_forward_action(struct executor *x, struct stage_run *s, uint32_t i)
{
    const struct action *a = &s->d->forward.at[i];
    bool removed = run_removed(x, s, false, i);
    uint32_t producer = run_tensor(x, a->tensor)->producer;
    if (a->kind == ACTION_KERNEL) {
        s->forward[i] = run_kernel(x, s, i);
    } else if (a->elements > 0) {
        if (!removed)
            s->forward_statistics[a->layer_op] |= a->axes;
    } else if (a->streamed && run_tensor(x, a->tensor)->role == TENSOR_PARAMETER) {
        return;               /* who reads them passes weights on */
    } else if (a->streamed) { /* the same */
        s->forward[i] = run_union(x, s, a, a->tensor);
        run_shares(x, s, a, &a->before, &s->forward[i]);
    } else if (removed) {
        s->forward[i] = run_union(x, s, a, a->tensor);
        if (a->kind == ACTION_COLLECTIVE)
            run_own(x, s, a, &s->forward[i]);
    } else if (a->kind == ACTION_COLLECTIVE) {
        struct holding in = run_union(x, s, a, a->tensor);
        bool maximum = producer != MODEL_NONE && run_evaluation(x, producer).flavour == FLAVOUR_MAX;
        s->forward[i] = run_collective(x, s, a, &in, maximum);
    } else if (a->kind == ACTION_EXCHANGE) {
        s->forward[i] = run_exchange(x, s, i);
    } else if (a->kind == ACTION_RECEIVE) {
        s->forward[i] = run_receive(x, s, i);
    }
}

static inline const struct layer_op *run_kernel_operator(const struct executor *x, const struct stage_run *s,
                                                         const struct action *a)
{
    return a->kind == ACTION_KERNEL ? &x->model->operators.at[s->d->operators.at[a->layer_op].layer_op]
                                    : NULL;
}

/* The time steps of one layer: the actions that stand in its loop, or, where it does not communicate, its
 * kernels. Returns the action after the last of them; no steps: the action itself is not of this kind. */
static inline uint32_t run_range(const struct executor *x, const struct stage_run *s, bool backward,
                                 uint32_t first, uint32_t *steps)
{
    const struct action *actions = backward ? s->d->backward.at : s->d->forward.at;
    uint32_t count = backward ? s->d->backward.count : s->d->forward.count, end = first + 1;
    uint32_t loop_count = backward ? s->d->backward_loops.count : s->d->forward_loops.count;
    const struct step_loop *loops = backward ? s->d->backward_loops.at : s->d->forward_loops.at;
    for (uint32_t l = 0; l < loop_count; l++)
        if (loops[l].first == first && !loops[l].ring) {
            *steps = loops[l].steps;
            return loops[l].end;
        }
    const struct layer_op *op = run_kernel_operator(x, s, &actions[first]);
    *steps = op ? run_step_count(op) : 0;
    for (uint32_t i = first; i < count && *steps; i++) {
        const struct layer_op *other = run_kernel_operator(x, s, &actions[i]);
        if (other && other->layer == op->layer && run_steps(other))
            end = i + 1;
    }
    return end;
}

static inline bool run_in_steps(const struct executor *x, const struct stage_run *s, const struct action *a)
{
    const struct layer_op *op = run_kernel_operator(x, s, a);
    bool ring = a->loop != MODEL_NONE &&
                (a->backward ? &s->d->backward_loops.at[a->loop] : &s->d->forward_loops.at[a->loop])->ring;
    return (a->loop != MODEL_NONE && !ring) || (op && run_steps(op));
}

/* All actions, or those that run again. */
static inline void run_forward_actions(struct executor *x, struct stage_run *s, const bool *again)
{
    for (uint32_t first = 0; first < s->d->forward.count;) {
        uint32_t steps, end = run_range(x, s, false, first, &steps);
        bool any = !again;
        for (uint32_t i = first; i < end; i++) {
            bool once = !steps || !run_in_steps(x, s, &s->d->forward.at[i]);
            any |= !once && again && again[i];
            if (once && (!again || again[i]))
                run_forward_action(x, s, i);
        }
        for (x->step = 0; any && x->step < steps; x->step++)
            for (uint32_t i = first; i < end; i++) {
                bool idle = s->d->forward.at[i].transient && x->step + 1 == steps;
                if (run_in_steps(x, s, &s->d->forward.at[i]) && !idle)
                    run_forward_action(x, s, i);
            }
        x->step = MODEL_NONE;
        first = end;
    }
}

static inline void run_forward(struct executor *x, struct stage_run *s)
{
    run_forward_actions(x, s, NULL);
}

/* Of all that the forward pass made only what is kept is left; the rest is recomputed from that. */
static inline void run_keep(struct executor *x, struct stage_run *s)
{
    const struct derivation *d = s->d;
    struct holding *all = s->forward;
    bool *again = ARENA_ARRAY(&x->arena, bool, d->forward.count + 1);
    s->kept = ARENA_ARRAY(&x->arena, struct holding, d->forward.count + 1);
    for (uint32_t i = 0; i < d->saved.count; i++) {
        const struct stage_saved *saved = &d->saved.at[i];
        uint32_t action = d->forms.at[saved->form].action;
        if (!saved->kept || saved->extra > 0 || action == MODEL_NONE)
            continue;
        if (!s->kept[action].member)
            s->kept[action] = run_holding(x, s);
        for (uint32_t m = 0; m < d->member_count; m++) {
            struct box box = derive_box(d, saved->tensor, saved->form, m);
            if (!s->kept[action].member[m])
                s->kept[action].member[m] = run_array(x, saved->tensor, NAN);
            for (size_t k = 0; k < run_elements(x, saved->tensor); k++)
                if (run_inside(run_tensor(x, saved->tensor), &box, k))
                    s->kept[action].member[m][k] = run_value(&all[action], m, k);
        }
    }
    recompute_actions(d, &x->arena, again);
    s->forward = s->kept;
    run_forward_actions(x, s, again);
    s->forward = all;
}

#endif
