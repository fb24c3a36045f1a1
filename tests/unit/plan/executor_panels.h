/* Products whose operands come in panels (plan/summa.h): of each panel a member multiplies what it was
 * brought of both operands, from who has that panel; of sums every member ends with what it keeps. */
#ifndef PARTITA_TESTS_EXECUTOR_PANELS_H
#define PARTITA_TESTS_EXECUTOR_PANELS_H

#include "executor.h"

#include "plan/panels.h"

/* The all-gather that brings an operand's panels in one of the two lists; NULL: none does. */
static inline const struct action *run_panel_action(const struct executor *x, const struct stage_run *s,
                                                    bool backward, uint32_t layer_op, uint32_t tensor,
                                                    bool *removed)
{
    uint32_t count = backward ? s->d->backward.count : s->d->forward.count;
    for (uint32_t i = 0; i < count; i++) {
        const struct action *a = backward ? &s->d->backward.at[i] : &s->d->forward.at[i];
        if (a->streamed && a->collective == ALL_GATHER && a->layer_op == layer_op && a->tensor == tensor) {
            *removed = run_removed(x, s, backward, i);
            return a;
        }
    }
    return NULL;
}

/* What a member has of an operand's panel: nothing else. `shares`: per member what it keeps. */
static inline double *run_panel(struct executor *x, const struct stage_run *s, const struct action *gather,
                                bool removed, uint32_t member, uint32_t step, const double *const *shares)
{
    const struct tensor *tensor = run_tensor(x, gather->tensor);
    const struct stage_operator *so = &s->d->operators.at[gather->layer_op];
    struct interval panel = panels_at(s->d, gather->layer_op, step);
    uint32_t axis = gather->axis, owner = member;
    double *array = run_array(x, gather->tensor, NAN);
    for (uint32_t m = 0; m < s->d->member_count; m++) { /* the one of its group that has it */
        bool group = true;
        for (uint32_t a = 0; a < s->d->stage->axis_count; a++)
            group &= (gather->axes >> a & 1) || run_at(s, m).at[a] == run_at(s, member).at[a];
        struct box own = run_layout_box(s, tensor, &gather->before, m);
        if (group && own.dims[gather->before.dim[axis]].low <= panel.low &&
            own.dims[gather->before.dim[axis]].high >= panel.high)
            owner = m;
    }
    if ((owner == member) != (panels_distance(s->d, gather, member, step) == 0))
        run_fault(x, "the panel %u of %s is not where it should be", step,
                  names_text(x->model->names, tensor->name));
    struct box box = run_layout_box(s, tensor, &gather->before, owner);
    box.dims[gather->before.dim[axis]] = panel;
    for (size_t i = 0; i < run_elements(x, gather->tensor) && (owner == member || !removed); i++)
        if (run_inside(tensor, &box, i))
            array[i] = shares[owner][i];
    if (layout_elements(&box, tensor->rank) != panels_elements(s->d, gather, member, step))
        run_fault(x, "a panel of operator %u has another size", so->layer_op);
    return array;
}

/* Computes an operator panel by panel; `all` has the shares of the streamed operands. */
static inline void run_panels(struct executor *x, const struct stage_run *s, uint32_t index,
                              struct evaluation *all, bool backward)
{
    const struct stage_operator *so = &s->d->operators.at[index];
    const double **shares[OPERATOR_OPERANDS] = {0};
    const struct layer_op *op = all[0].op;
    for (uint32_t i = 0; i < op->operand_count; i++) {
        shares[i] = ARENA_ARRAY(&x->arena, const double *, s->d->member_count);
        for (uint32_t m = 0; m < s->d->member_count; m++)
            shares[i][m] = all[m].in[i];
    }
    for (uint32_t step = 0; step < so->panel_count; step++)
        for (uint32_t m = 0; m < s->d->member_count; m++) {
            all[m].share[so->panel_dim] = panels_at(s->d, index, step);
            for (uint32_t i = 0; i < op->operand_count; i++) {
                bool removed = false;
                const struct action *gather =
                    run_panel_action(x, s, backward, index, s->d->same_as[op->operands[i].tensor], &removed);
                if (so->panels >> i & 1 && gather)
                    all[m].in[i] = run_panel(x, s, gather, removed, m, step, shares[i]);
            }
            if (backward)
                evaluation_backward(&all[m]);
            else
                evaluation_forward(&all[m]);
        }
}

/* Whether a contribution to the gradient of an operand is summed panel by panel, behind the product. */
static inline bool run_panel_sums(const struct stage_run *s, uint32_t index, uint32_t operand)
{
    const struct stage_operator *so = &s->d->operators.at[index];
    uint32_t tensor = state_operator(s->d, index)->operands[operand].tensor;
    for (uint32_t i = 0; i < s->d->backward.count && so->panels >> operand & 1; i++) {
        const struct action *a = &s->d->backward.at[i];
        if (a->streamed && a->collective == REDUCE_SCATTER && a->layer_op == index && a->tensor == tensor)
            return true;
    }
    return false;
}

/* Keeps what the members give to such an operand until it is summed. */
static inline void run_panel_keep(struct executor *x, const struct stage_run *s, uint32_t index,
                                  const struct evaluation *all)
{
    for (uint32_t i = 0; i < all[0].op->operand_count; i++) {
        if (!run_panel_sums(s, index, i))
            continue;
        double ***kept = ARENA_ARRAY(&x->arena, double **, 1);
        kept[0] = ARENA_ARRAY(&x->arena, double *, s->d->member_count);
        for (uint32_t m = 0; m < s->d->member_count; m++)
            kept[0][m] = all[m].gradient[i];
        s->streams[index * OPERATOR_OPERANDS + i] = kept;
    }
}

/* The sums: of an activation's gradient a holding, of weights what the members add to theirs. */
static inline struct holding run_panel_scatter(struct executor *x, const struct stage_run *s,
                                               const struct action *a, bool removed)
{
    const struct layer_op *op = state_operator(s->d, a->layer_op);
    uint32_t operand = 0;
    while (op->operands[operand].tensor != a->tensor)
        operand++;
    struct holding in = run_holding(x, s), out;
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        in.member[m] = run_array(x, a->tensor, NAN);
        memcpy(in.member[m], s->streams[a->layer_op * OPERATOR_OPERANDS + operand][0][m],
               run_elements(x, a->tensor) * sizeof(double));
    }
    if (removed)
        run_own(x, s, a, &in);
    out = removed ? in : run_collective(x, s, a, &in, false);
    for (uint32_t p = 0; p < s->d->parameters.count; p++)
        for (uint32_t m = 0; m < s->d->member_count && s->d->parameters.at[p].tensor == a->tensor; m++) {
            struct box box = run_layout_box(s, run_tensor(x, a->tensor), &a->after, m);
            for (size_t i = 0; i < run_elements(x, a->tensor); i++)
                if (run_inside(run_tensor(x, a->tensor), &box, i))
                    s->parameter_gradient[p][m][i] += out.member[m][i];
        }
    return out;
}

#endif
