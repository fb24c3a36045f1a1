/* The third part of the executor: gradients. */
#ifndef PARTITA_TESTS_EXECUTOR_BACKWARD_H
#define PARTITA_TESTS_EXECUTOR_BACKWARD_H

#include "executor_parameters.h"

#include "plan/boundary.h"

static inline uint32_t run_forward_kernel(const struct stage_run *s, uint32_t layer_op)
{
    for (uint32_t i = 0; i < s->d->forward.count; i++)
        if (s->d->forward.at[i].kind == ACTION_KERNEL && s->d->forward.at[i].layer_op == layer_op)
            return i;
    abort();
}

/* Adds one contribution as it enters a sum that is partial along some axes: where the contribution is a copy
 * on every member, one member gives it. */
static inline void run_add(struct executor *x, const struct stage_run *s, uint32_t tensor,
                           struct holding *sum, const struct holding *given, const struct layout *layout,
                           const struct layout *before)
{
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        bool counts = true;
        for (uint32_t a = 0; a < s->d->stage->axis_count; a++)
            if (before && before->place[a] == PLACE_PARTIAL &&
                (layout->place[a] == PLACE_REPLICATED || layout->place[a] == PLACE_ONE))
                counts &= run_at(s, m).at[a] == 0;
        if (!sum->member[m])
            sum->member[m] = run_array(x, tensor, 0);
        for (size_t i = 0; counts && i < run_elements(x, tensor); i++)
            sum->member[m][i] += run_value(given, m, i);
    }
}

/* Whether a contribution has something to give to what others own: then an exchange of it follows. */
static inline bool run_reaches_out(struct executor *x, const struct stage_run *s, uint32_t tensor,
                                   const struct contribution *given)
{
    for (uint32_t m = 0; given->boxes && m < s->d->member_count; m++) {
        struct box share = run_layout_box(s, run_tensor(x, tensor), &given->layout, m);
        if (!layout_covers(&share, &given->boxes[m], run_tensor(x, tensor)->rank))
            return true;
    }
    return false;
}

/* The contribution that an exchange adds up, whose boxes overlap; MODEL_NONE: it spreads the sum of all to
 * where the producer needs it. The exchanges of a tensor's contributions stand in the order of those. */
static inline uint32_t run_exchanged(struct executor *x, const struct stage_run *s, uint32_t index)
{
    const struct action *all = s->d->backward.at;
    uint32_t before = 0, first = index - (all[index].leg == EXCHANGE_FROM_ROOT);
    for (uint32_t i = 0; i < first; i++)
        before += all[i].kind == ACTION_EXCHANGE && all[i].leg != EXCHANGE_FROM_ROOT &&
                  all[i].tensor == all[index].tensor;
    for (uint32_t c = s->d->first_contribution[all[index].tensor]; c != MODEL_NONE;
         c = s->d->contributions.at[c].next)
        if (run_reaches_out(x, s, all[index].tensor, &s->d->contributions.at[c]) && before-- == 0)
            return c;
    return MODEL_NONE;
}

/* Whether conversions bring a kernel what the step before gave; else it takes it as it is. */
static inline bool run_converts_feedback(const struct stage_run *s, const struct action *kernel)
{
    for (uint32_t i = 0; i < s->d->backward.count; i++) {
        const struct action *a = &s->d->backward.at[i];
        if (a->kind != ACTION_KERNEL && a->carried && a->tensor == kernel->tensor)
            return true;
    }
    return false;
}

/* What the time step before (a later one) gave to the gradient of the state that it started from. */
static inline void run_add_feedback(struct executor *x, const struct stage_run *s, const struct action *a,
                                    uint32_t tensor, struct holding *sum, const struct layout *before)
{
    for (uint32_t c = s->d->first_contribution[tensor]; c != MODEL_NONE; c = s->d->contributions.at[c].next) {
        struct holding given = s->given[c];
        if (!s->d->contributions.at[c].feedback)
            continue;
        if (!given.member) { /* the last step: there is none after it */
            given = run_holding(x, s);
            for (uint32_t m = 0; m < s->d->member_count; m++)
                given.member[m] = run_array(x, tensor, 0);
        }
        run_add(x, s, tensor, sum, &given, &s->d->contributions.at[c].layout, before);
    }
    (void)a;
}

/* The sum of what the dependencies of an action contribute to a tensor's gradient. `before`: the layout in
 * which they are added (a collective), or NULL. */
static inline struct holding run_contributions(struct executor *x, const struct stage_run *s,
                                               const struct action *a, uint32_t tensor,
                                               const struct layout *before)
{
    struct holding sum = run_holding(x, s);
    if (a->carried && (before || !run_converts_feedback(s, a)))
        run_add_feedback(x, s, a, tensor, &sum, before);
    for (uint32_t k = 0; k < a->dependency_count; k++) {
        uint32_t dependency = s->d->dependencies.at[a->first_dependency + k];
        const struct action *made = &s->d->backward.at[dependency];
        bool seen = made->elements > 0;
        for (uint32_t j = 0; j < k; j++)
            seen |= s->d->dependencies.at[a->first_dependency + j] == dependency;
        bool idle = made->transient && !s->backward[dependency].member; /* no step before this one */
        if (seen || idle || made->kind == ACTION_SEND)
            continue;
        if (made->kind == ACTION_COLLECTIVE && made->tensor == tensor) {
            run_add(x, s, tensor, &sum, &s->backward[dependency], NULL, NULL);
            continue;
        }
        if (made->kind == ACTION_EXCHANGE) {
            uint32_t c = made->tensor == tensor ? run_exchanged(x, s, dependency) : MODEL_NONE;
            const struct contribution *given = c == MODEL_NONE ? NULL : &s->d->contributions.at[c];
            if (made->tensor == tensor)
                run_add(x, s, tensor, &sum, &s->backward[dependency], given ? &given->layout : NULL,
                        given ? before : NULL);
            continue;
        }
        for (uint32_t c = s->d->first_contribution[tensor]; c != MODEL_NONE;
             c = s->d->contributions.at[c].next) {
            const struct contribution *given = &s->d->contributions.at[c];
            bool exchanged = !given->tile && run_reaches_out(x, s, tensor, given);
            if (given->action == dependency && !given->feedback && !exchanged)
                run_add(x, s, tensor, &sum, &s->given[c], &given->layout, before);
        }
    }
    return sum;
}

/* A contribution, before any exchange: 0 where a member's own share has no window. */
static inline void run_give(struct executor *x, const struct stage_run *s, uint32_t tensor, uint32_t c,
                            uint32_t member, double *array, const struct box *touched)
{
    const struct contribution *given = &s->d->contributions.at[c];
    if (!s->given[c].member)
        s->given[c] = run_holding(x, s);
    s->given[c].member[member] = array;
    struct box share = run_layout_box(s, run_tensor(x, tensor), &given->layout, member);
    for (size_t i = 0; i < run_elements(x, tensor); i++)
        if ((given->tile || run_inside(run_tensor(x, tensor), &share, i)) && touched &&
            !run_inside(run_tensor(x, tensor), touched, i))
            array[i] = 0; /* (a tile's gradient begins as 0 wherever the tile reaches) */
}

/* A step's contribution to the state that it started from, which the step before it (the next to run) adds.
 * That of the last step to nothing. */
static inline void run_give_back(struct executor *x, const struct stage_run *s, const struct layer_op *op,
                                 const struct operand *operand, uint32_t member, const double *array)
{
    uint32_t c = s->d->first_contribution[operand->tensor];
    while (!s->d->contributions.at[c].feedback)
        c = s->d->contributions.at[c].next;
    const struct layout *layout = &s->d->contributions.at[c].layout;
    struct box share = run_layout_box(s, run_tensor(x, operand->tensor), layout, member);
    const struct tensor *tensor = run_tensor(x, operand->tensor);
    double *given = run_advanced(x, op, operand, array, NAN);
    uint32_t dim = run_step_dim(x, op, operand);
    for (size_t i = 0; i < run_elements(x, operand->tensor); i++)
        if (run_index(tensor, i, dim) + 1 == tensor->dims[dim].size && run_inside(tensor, &share, i))
            given[i] = 0;
    if (!s->given[c].member)
        s->given[c] = run_holding(x, s);
    for (size_t i = 0; i < run_elements(x, operand->tensor) && s->given[c].member[member]; i++)
        if (isnan(given[i]))
            given[i] = s->given[c].member[member][i];
    s->given[c].member[member] = given;
}

/* Adds up one contribution: a member's share of it, and what others have for that share. */
static inline struct holding run_backward_add(struct executor *x, const struct stage_run *s,
                                              const struct action *a, uint32_t c)
{
    const struct contribution *given = &s->d->contributions.at[c];
    struct run_sides sides = run_sides(x, s);
    sides.layout = given->layout;
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        sides.own[m] = given->boxes[m];
        sides.wanted[m] = run_layout_box(s, run_tensor(x, a->tensor), &given->layout, m);
    }
    bool passed = a->leg == EXCHANGE_FROM_ROOT;
    return run_summands(x, s, a, &sides, &s->given[c],
                        passed ? &s->backward[s->d->dependencies.at[a->first_dependency]] : NULL);
}

/* Brings the sum of all contributions from the shares in which it is to where the producer needs it. */
static inline struct holding run_backward_spread(struct executor *x, const struct stage_run *s,
                                                 const struct action *a)
{
    const struct stage_operator *so = &s->d->operators.at[a->layer_op];
    const struct layer_op *op = &x->model->operators.at[so->layer_op];
    struct run_sides sides = run_sides(x, s);
    if (op->output.tensor != a->tensor)
        run_fault(x, "an exchange of no contribution");
    sides.layout =
        layout_reduced(assign_layout(s->d->stage, x->model, op, &so->assignment, &op->output, true));
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        sides.own[m] = run_layout_box(s, run_tensor(x, a->tensor), &sides.layout, m);
        sides.wanted[m] = run_box(s, so, &op->output, m);
    }
    struct holding in = run_contributions(x, s, a, a->tensor, NULL);
    return run_parts(x, s, a, &sides, &in);
}

static inline struct holding run_backward_exchange(struct executor *x, const struct stage_run *s,
                                                   uint32_t index, bool removed)
{
    uint32_t c = run_exchanged(x, s, index);
    struct action without = s->d->backward.at[index];
    without.message_count = 0;
    const struct action *a = removed ? &without : &s->d->backward.at[index];
    return c == MODEL_NONE ? run_backward_spread(x, s, a) : run_backward_add(x, s, a, c);
}

/* A gradient that comes back from a later stage. */
static inline void run_backward_receive(struct executor *x, const struct stage_run *s, uint32_t index,
                                        bool removed)
{
    const struct action *a = &s->d->backward.at[index];
    const struct stage_run *source = &x->stages[a->peer];
    const struct action *send = &source->d->backward.at[run_send(x, source, true, a, s->d->stage_index)];
    struct holding in = run_contributions(x, source, send, a->tensor, NULL), out = run_holding(x, s);
    const struct stage_import *import = NULL;
    for (uint32_t i = 0; i < source->d->imports.count; i++)
        if (source->d->imports.at[i].source == s->d->stage_index && source->d->imports.at[i].slot == a->slot)
            import = &source->d->imports.at[i];
    struct layout from = import->returned;
    for (uint32_t c = s->d->first_contribution[a->tensor]; c != MODEL_NONE;
         c = s->d->contributions.at[c].next) {
        const struct contribution *given = &s->d->contributions.at[c];
        if (given->action != index)
            continue;
        const struct form *read = &source->d->forms.at[import->form];
        for (uint32_t m = 0; m < s->d->member_count; m++)
            out.member[m] = run_array(x, a->tensor, import->tile ? 0 : NAN);
        for (uint32_t k = 0; k < a->message_count && !removed; k++) {
            const struct message_part *message = &s->d->messages.at[a->first_message + k];
            struct box held = import->tile && read->boxes
                                  ? read->boxes[message->from]
                                  : run_layout_box(source, run_tensor(x, a->tensor), &from, message->from);
            struct box wanted =
                given->boxes ? given->boxes[message->to]
                             : run_layout_box(s, run_tensor(x, a->tensor), &given->layout, message->to);
            run_message(x, a->tensor, message, &in, &held, &wanted, out.member[message->to], import->tile);
        }
        for (uint32_t m = 0; m < s->d->member_count; m++)
            run_give(x, s, a->tensor, c, m, out.member[m], NULL);
    }
}

static inline bool run_in_sum(const struct stage_run *s, const struct stage_operator *so, uint32_t axes,
                              uint32_t member)
{
    for (uint32_t a = 0; a < s->d->stage->axis_count; a++)
        if (axes >> a & 1 && so->assignment.split[a] < 0 && run_at(s, member).at[a])
            return false; /* all members did the same: one gives it */
    return true;
}

static inline void run_parameter_gradient(struct executor *x, const struct stage_run *s,
                                          const struct stage_operator *so, const struct operand *operand,
                                          uint32_t member, const double *gradient)
{
    struct box box = run_box(s, so, operand, member);
    for (uint32_t p = 0; p < s->d->parameters.count; p++) {
        const struct stage_parameter *parameter = &s->d->parameters.at[p];
        if (parameter->tensor != operand->tensor || !run_in_sum(s, so, parameter->partial_axes, member))
            continue;
        double *sum = s->parameter_gradient[p][member];
        for (size_t i = 0; i < run_elements(x, operand->tensor); i++)
            if (run_inside(run_tensor(x, operand->tensor), &box, i))
                sum[i] += gradient[i];
    }
}

/* dY as the members have it: summed contributions, or given at the end of the model. */
static inline struct holding run_output_gradient(struct executor *x, const struct stage_run *s,
                                                 const struct action *a)
{
    if (!x->seeded[a->tensor])
        return run_contributions(x, s, a, a->tensor, NULL);
    struct holding out = run_holding(x, s), fed = run_contributions(x, s, a, a->tensor, NULL);
    const struct stage_operator *so = &s->d->operators.at[a->layer_op];
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        struct box box = run_box(s, so, &x->model->operators.at[so->layer_op].output, m);
        out.member[m] = run_array(x, a->tensor, NAN);
        for (size_t i = 0; i < run_elements(x, a->tensor); i++)
            if (run_inside(run_tensor(x, a->tensor), &box, i))
                out.member[m][i] =
                    x->seed_gradient[a->tensor][i] + (fed.member[m] ? run_value(&fed, m, i) : 0);
    }
    return out;
}

/* The reduction of what a kernel gives to a streamed operand, which stands behind it; MODEL_NONE: none. */
static inline uint32_t run_scattered(const struct stage_run *s, uint32_t layer_op, uint32_t tensor)
{
    for (uint32_t i = 0; i < s->d->backward.count && layer_op != MODEL_NONE; i++) {
        const struct action *a = &s->d->backward.at[i];
        if (a->kind == ACTION_COLLECTIVE && a->collective == REDUCE_SCATTER && a->layer_op == layer_op &&
            a->tensor == tensor && s->d->operators.at[layer_op].streamed)
            return i;
    }
    return MODEL_NONE;
}

/* Gradients of blocks go round behind them: a member gets the sum for the block that it works on next from
 * the one before it, and the last of them is that of its own. */
static inline struct holding run_scatter(struct executor *x, const struct stage_run *s,
                                         const struct action *a, bool removed)
{
    const struct stage_operator *so = &s->d->operators.at[a->layer_op];
    double ***gradients = s->streams[a->layer_op * OPERATOR_OPERANDS + run_streamed(so)];
    uint32_t ways = layout_places(s->d->stage, a->axes);
    struct holding sums = run_holding(x, s);
    if (!a->streamed) { /* not in a ring after all */
        sums.member = gradients[0];
        if (removed)
            run_own(x, s, a, &sums);
        return removed ? sums : run_collective(x, s, a, &sums, false);
    }
    for (uint32_t step = 1; step <= ways; step++) {
        struct holding next = run_holding(x, s);
        for (uint32_t m = 0; m < s->d->member_count; m++) {
            uint32_t from = streamed_member(s->d->stage, m, a->axes, ways - 1);
            next.member[m] = run_array(x, a->tensor, 0);
            for (size_t i = 0; i < run_elements(x, a->tensor); i++)
                next.member[m][i] =
                    gradients[step % ways][m][i] + (step > 1 && !removed ? sums.member[from][i] : 0);
        }
        sums = next;
    }
    run_shares(x, s, a, &a->after, &sums);
    return sums;
}

/* Notes what a kernel gives to its streamed operand; in a ring, after computing it block by block. */
static inline void run_backward_ring(struct executor *x, const struct stage_run *s,
                                     const struct stage_operator *so, uint32_t index, struct evaluation *all,
                                     bool rings)
{
    uint32_t operand = run_streamed(so), ways = layout_places(s->d->stage, so->ring_axes);
    double ***gradients = ARENA_ARRAY(&x->arena, double **, ways);
    for (uint32_t step = 0; step < ways; step++)
        gradients[step] = ARENA_ARRAY(&x->arena, double *, s->d->member_count);
    for (uint32_t m = 0; m < s->d->member_count && !rings; m++)
        gradients[0][m] = all[m].gradient[operand];
    if (rings)
        run_ring(x, s, so, index, all, true, gradients);
    s->streams[index * OPERATOR_OPERANDS + operand] = gradients;
}

static inline void run_backward_kernel(struct executor *x, const struct stage_run *s, uint32_t index)
{
    const struct action *a = &s->d->backward.at[index];
    const struct stage_operator *so = &s->d->operators.at[a->layer_op];
    uint32_t kernel = run_forward_kernel(s, a->layer_op);
    struct evaluation *all = run_evaluations(x, s, &s->d->forward.at[kernel], true);
    const struct layer_op *op = all[0].op;
    struct holding dy = run_output_gradient(x, s, a);
    const double **own = ARENA_ARRAY(&x->arena, const double *, s->d->member_count);
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        own[m] = dy.member[m] ? dy.member[m] : x->nothing[op->output.tensor];
        if (op->normalised)
            own[m] = run_share(x, s, so, &op->output, op->output.tensor, m, own[m]);
    }
    uint32_t contribution[OPERATOR_OPERANDS], next = MODEL_NONE;
    bool rings = so->streamed && a->loop != MODEL_NONE && s->d->backward_loops.at[a->loop].ring;
    for (uint32_t c = 0; c < s->d->contributions.count && next == MODEL_NONE; c++)
        if (s->d->contributions.at[c].action == index && !s->d->contributions.at[c].feedback)
            next = c; /* those of one kernel stand together, in the order of its operands */
    for (uint32_t i = 0; i < op->operand_count; i++) {
        const struct operand *operand = &op->operands[i];
        bool wanted = operand->gradient && !operand->feedback && s->d->needs_gradient[operand->tensor] &&
                      run_tensor(x, operand->tensor)->role != TENSOR_PARAMETER;
        wanted =
            wanted && (i != run_streamed(so) || run_scattered(s, a->layer_op, operand->tensor) == MODEL_NONE);
        wanted = wanted && !run_panel_sums(s, a->layer_op, i);
        contribution[i] = wanted ? next++ : MODEL_NONE;
    }
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        struct box box = run_step_box(x, op, &op->output, run_box(s, so, &op->output, m));
        if (!so->fused || op->output.tensor == so->fused->output) /* inside, a tile has its part of the sum */
            run_compare(x, "the gradient", op->output.tensor, m, own[m], x->whole_gradient[op->output.tensor],
                        &box);
        all[m].dy = own[m];
        all[m].dy_statistics =
            op->normalised ? run_joined(x, s, op->output.tensor, s->backward_statistics[a->layer_op], m, own)
                           : own[m];
        const struct holding *made = op->output_saved ? &s->kept[kernel] : &s->forward[kernel];
        all[m].out = made->member && made->member[m] ? made->member[m] : x->nothing[op->output.tensor];
        for (uint32_t i = 0; i < op->operand_count; i++)
            if (op->operands[i].gradient) {
                struct box touched =
                    run_step_box(x, op, &op->operands[i], run_box(s, so, &op->operands[i], m));
                all[m].gradient[i] = run_array(x, op->operands[i].tensor, NAN);
                if (contribution[i] != MODEL_NONE)
                    run_before(x, s->given[contribution[i]].member, op->operands[i].tensor, m,
                               all[m].gradient[i]);
                run_fill(x, op->operands[i].tensor, all[m].gradient[i], &touched, 0);
            }
        if (!rings && !so->panels)
            evaluation_backward(&all[m]);
    }
    if (so->panels) {
        run_panels(x, s, a->layer_op, all, true);
        run_panel_keep(x, s, a->layer_op, all);
    }
    if (so->streamed)
        run_backward_ring(x, s, so, a->layer_op, all, rings);
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        for (uint32_t i = 0; i < op->operand_count; i++)
            if (contribution[i] != MODEL_NONE) {
                struct box touched = run_box(s, so, &op->operands[i], m);
                run_give(x, s, op->operands[i].tensor, contribution[i], m, all[m].gradient[i], &touched);
            } else if (op->operands[i].feedback) {
                run_give_back(x, s, op, &op->operands[i], m, all[m].gradient[i]);
            } else if (run_tensor(x, op->operands[i].tensor)->role == TENSOR_PARAMETER &&
                       !run_panel_sums(s, a->layer_op, i)) {
                run_parameter_gradient(x, s, so, &op->operands[i], m, all[m].gradient[i]);
            }
    }
}

/* What an all-gather of the backward pass starts from: the one before it, or what was kept in shares. */
static inline struct holding run_regathered(struct executor *x, const struct stage_run *s,
                                            const struct action *a)
{
    if (a->dependency_count)
        return s->backward[s->d->dependencies.at[a->first_dependency]];
    struct holding in = run_holding(x, s);
    for (uint32_t f = s->d->first_form[a->tensor]; f != MODEL_NONE; f = s->d->forms.at[f].next) {
        const struct form *form = &s->d->forms.at[f];
        if (!layout_equal(&form->layout, &a->before, s->d->stage->axis_count) || form->boxes)
            continue;
        for (uint32_t m = 0; m < s->d->member_count; m++) {
            struct box box = run_layout_box(s, run_tensor(x, a->tensor), &a->before, m);
            in.member[m] = run_array(x, a->tensor, NAN);
            for (size_t i = 0; i < run_elements(x, a->tensor); i++)
                if (run_inside(run_tensor(x, a->tensor), &box, i))
                    in.member[m][i] = form->action == MODEL_NONE ? x->whole[a->tensor][i]
                                                                 : run_value(&s->kept[form->action], m, i);
        }
    }
    return in;
}

static inline void run_backward_action(struct executor *x, struct stage_run *s, uint32_t i)
{
    const struct action *a = &s->d->backward.at[i];
    bool removed = run_removed(x, s, true, i);
    if (a->kind == ACTION_KERNEL) {
        run_backward_kernel(x, s, i);
    } else if (a->kind == ACTION_RECEIVE) {
        run_backward_receive(x, s, i, removed);
    } else if (a->kind == ACTION_EXCHANGE) {
        s->backward[i] = run_backward_exchange(x, s, i, removed);
    } else if (a->elements > 0) {
        if (!removed)
            s->backward_statistics[a->layer_op] |= a->axes;
    } else if (a->streamed && s->d->operators.at[a->layer_op].panels && a->collective == REDUCE_SCATTER) {
        s->backward[i] = run_panel_scatter(x, s, a, removed);
    } else if (a->streamed && run_tensor(x, a->tensor)->role == TENSOR_PARAMETER) {
        return; /* who reads them passes weights on */
    } else if (a->kind == ACTION_COLLECTIVE && run_scattered(s, a->layer_op, a->tensor) == i) {
        s->backward[i] = run_scatter(x, s, a, removed);
    } else if (a->kind == ACTION_COLLECTIVE && a->reason == REASON_SAVED && a->streamed) {
        s->backward[i] = run_regathered(x, s, a); /* who reads it passes it on */
    } else if (a->kind == ACTION_COLLECTIVE && a->reason == REASON_SAVED) {
        struct holding in = run_regathered(x, s, a);
        s->backward[i] = removed ? in : run_collective(x, s, a, &in, false);
    } else if (a->kind == ACTION_COLLECTIVE) {
        struct holding in = run_contributions(x, s, a, a->tensor, &a->before);
        if (removed)
            run_own(x, s, a, &in);
        s->backward[i] = removed ? in : run_collective(x, s, a, &in, false);
    }
}

static inline void run_backward(struct executor *x, struct stage_run *s)
{
    run_keep(x, s);
    for (uint32_t first = 0; first < s->d->backward.count;) {
        uint32_t steps, end = run_range(x, s, true, first, &steps);
        for (uint32_t i = first; i < end; i++)
            if (!steps || !run_in_steps(x, s, &s->d->backward.at[i]))
                run_backward_action(x, s, i);
        for (x->step = steps; x->step-- > 0;)
            for (uint32_t i = first; i < end; i++) {
                bool idle = s->d->backward.at[i].transient && x->step + 1 == steps;
                if (run_in_steps(x, s, &s->d->backward.at[i]) && !idle)
                    run_backward_action(x, s, i);
            }
        x->step = MODEL_NONE;
        first = end;
    }
}

static inline void run_stage_init(struct executor *x, uint32_t n)
{
    struct stage_run *s = &x->stages[n];
    const struct derivation *d = &x->c->derivations[n];
    *s = (struct stage_run){.d = d};
    s->forward = ARENA_ARRAY(&x->arena, struct holding, d->forward.count + 1);
    s->backward = ARENA_ARRAY(&x->arena, struct holding, d->backward.count + 1);
    s->given = ARENA_ARRAY(&x->arena, struct holding, d->contributions.count + 1);
    s->forward_statistics = ARENA_ARRAY(&x->arena, uint32_t, d->operators.count + 1);
    s->backward_statistics = ARENA_ARRAY(&x->arena, uint32_t, d->operators.count + 1);
    s->streams = ARENA_ARRAY(&x->arena, double ***, (d->operators.count + 1) * OPERATOR_OPERANDS);
    s->parameter_gradient = ARENA_ARRAY(&x->arena, double **, d->parameters.count + 1);
    s->reduced = ARENA_ARRAY(&x->arena, double **, d->parameters.count + 1);
    s->joint = ARENA_ARRAY(&x->arena, double **, d->parameters.count + 1);
    for (uint32_t p = 0; p < d->parameters.count; p++) {
        s->parameter_gradient[p] = ARENA_ARRAY(&x->arena, double *, d->member_count);
        for (uint32_t m = 0; m < d->member_count; m++)
            s->parameter_gradient[p][m] = run_array(x, d->parameters.at[p].tensor, 0);
    }
}

/* Runs a derived case; x->wrong counts what differs from the oracle. What is left out, see struct executor,
 * is set before. */
static inline void executor_start(struct executor *x, struct plan_case *c, uint64_t seed)
{
    x->c = c;
    x->model = &c->model;
    x->step = MODEL_NONE;
    arena_init(&x->arena);
    uint32_t tensors = c->model.tensors.count;
    x->whole = ARENA_ARRAY(&x->arena, double *, tensors);
    x->whole_gradient = ARENA_ARRAY(&x->arena, double *, tensors);
    x->nothing = ARENA_ARRAY(&x->arena, double *, tensors);
    x->seeded = ARENA_ARRAY(&x->arena, bool, tensors);
    x->seed_gradient = ARENA_ARRAY(&x->arena, double *, tensors);
    x->stages = ARENA_ARRAY(&x->arena, struct stage_run, c->plan.stages.count);
    run_oracle(x, seed, c->derivations[0].same_as, c->derivations[0].needs_gradient);
    for (uint32_t n = 0; n < c->plan.stages.count; n++) {
        run_stage_init(x, n);
        run_forward(x, &x->stages[n]);
    }
    for (uint32_t n = c->plan.stages.count; c->plan.training && n-- > 0;)
        run_backward(x, &x->stages[n]);
    if (c->plan.training)
        run_check_parameters(x);
}

/* `removed`: see struct executor. */
static inline void executor_run(struct executor *x, struct plan_case *c, uint64_t seed,
                                uint32_t removed_stage, bool removed_backward, uint32_t removed_action)
{
    *x = (struct executor){.removed_stage = removed_stage,
                           .removed_backward = removed_backward,
                           .removed_action = removed_action,
                           .skipped_stage = MODEL_NONE};
    executor_start(x, c, seed);
}

static inline void executor_fini(struct executor *x)
{
    arena_fini(&x->arena);
}

#endif
