/* The last part of the executor: gradients of parameters are reduced, those of several stages added, and what
 * was updated is gathered. */
#ifndef PARTITA_TESTS_EXECUTOR_PARAMETERS_H
#define PARTITA_TESTS_EXECUTOR_PARAMETERS_H

#include "executor_run.h"

#include "plan/shard.h"
#include "plan/tied.h"

static inline bool run_in_group(const struct stage_run *s, uint32_t axes, uint32_t one, uint32_t other)
{
    struct coordinates a = run_at(s, one), b = run_at(s, other);
    for (uint32_t i = 0; i < s->d->stage->axis_count; i++)
        if (!(axes >> i & 1) && a.at[i] != b.at[i])
            return false;
    return true;
}

/* Whether element `at` of a parameter is in a member's share of what it computes with. */
static inline bool run_owns(const struct executor *x, const struct stage_run *s,
                            const struct stage_parameter *parameter, uint32_t member, size_t at)
{
    const struct tensor *tensor = run_tensor(x, parameter->tensor);
    struct box box = run_layout_box(s, tensor, &parameter->layout, member);
    struct interval own = shard_own(s->d, parameter, member);
    uint64_t place = 0; /* in the flattened box */
    if (!run_inside(tensor, &box, at))
        return false;
    uint64_t stride = 1;
    for (uint32_t d = tensor->rank; d-- > 0; at /= tensor->dims[d].size) {
        place += (at % tensor->dims[d].size - box.dims[d].low) * stride;
        stride *= box.dims[d].high - box.dims[d].low;
    }
    return place >= own.low && place < own.high;
}

/* The steps by which a parameter's gradient is reduced and its new values get back. */
enum run_step { STEP_SCATTER, STEP_SUM, STEP_GATHER, STEP_COUNT };

static inline bool run_skips(const struct executor *x, const struct stage_run *s, uint32_t p,
                             enum run_step step)
{
    return x->skipped_stage == s->d->stage_index && x->skipped_parameter == p && x->skipped_step == step;
}

/* Adds up a parameter's gradient as shard.h says: first all of it along some axes, of which a share is kept,
 * then that share along the others. What a member does not own is NaN. */
static inline double **run_reduce(struct executor *x, const struct stage_run *s, uint32_t p)
{
    const struct stage_parameter *parameter = &s->d->parameters.at[p];
    struct shard_reduction how = shard_reduction(parameter);
    size_t count = run_elements(x, parameter->tensor);
    double **from = s->parameter_gradient[p];
    const uint32_t axes[] = {how.scatter, how.sum};
    for (int step = STEP_SCATTER; step <= STEP_SUM; step++) {
        double **sums = ARENA_ARRAY(&x->arena, double *, s->d->member_count);
        for (uint32_t m = 0; m < s->d->member_count; m++) {
            bool skips = run_skips(x, s, p, (enum run_step)step);
            sums[m] = skips ? from[m] : run_sum(x, s, parameter->tensor, axes[step], m, from, false);
            for (size_t i = 0; i < count; i++)
                if (!run_owns(x, s, parameter, m, i))
                    sums[m][i] = NAN;
        }
        from = sums;
    }
    return from;
}

/* New values, w - g/2 for the owner, are gathered: then every member has those that it computes with. */
static inline void run_update(struct executor *x, const struct stage_run *s, uint32_t p,
                              double *const *gradient)
{
    const struct stage_parameter *parameter = &s->d->parameters.at[p];
    size_t count = run_elements(x, parameter->tensor);
    double *want = run_array(x, parameter->tensor, 0);
    for (size_t i = 0; i < count; i++)
        want[i] = x->whole[parameter->tensor][i] - x->whole_gradient[parameter->tensor][i] / 2;
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        struct box box = run_layout_box(s, run_tensor(x, parameter->tensor), &parameter->layout, m);
        double *got = run_array(x, parameter->tensor, NAN);
        for (uint32_t o = 0; o < s->d->member_count; o++)
            for (size_t i = 0; i < count; i++)
                if ((o == m || !run_skips(x, s, p, STEP_GATHER)) &&
                    run_in_group(s, parameter->shard_axes, m, o) && run_owns(x, s, parameter, o, i))
                    got[i] = x->whole[parameter->tensor][i] - gradient[o][i] / 2;
        run_compare(x, "the new value", parameter->tensor, m, got, want, &box);
    }
}

/* What kernels compute of a parameter's gradient is right wherever they compute it, not only where a member
 * keeps it. */
static inline void run_check_gradient(struct executor *x, const struct stage_run *s, uint32_t p)
{
    const struct stage_parameter *parameter = &s->d->parameters.at[p];
    double **given = s->parameter_gradient[p];
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        struct box box = run_layout_box(s, run_tensor(x, parameter->tensor), &parameter->layout, m);
        run_compare(x, "the gradient", parameter->tensor, m,
                    run_sum(x, s, parameter->tensor, parameter->partial_axes, m, given, false),
                    x->whole_gradient[parameter->tensor], &box);
    }
}

/* ---- parameters that several stages hold ---- */

/* A stage's copy of a tensor; MODEL_NONE: it has none. */
static inline uint32_t run_copy(const struct stage_run *s, uint32_t tensor)
{
    for (uint32_t p = 0; p < s->d->parameters.count; p++)
        if (s->d->parameters.at[p].tensor == tensor)
            return p;
    return MODEL_NONE;
}

static inline uint32_t run_holders(const struct executor *x, uint32_t tensor)
{
    uint32_t holders = 0;
    for (uint32_t n = 0; n < x->c->plan.stages.count; n++)
        holders += run_copy(&x->stages[n], tensor) != MODEL_NONE;
    return holders;
}

static inline bool run_has(const struct executor *x, uint32_t stage, uint32_t tensor, uint32_t member,
                           size_t at)
{
    const struct stage_run *s = &x->stages[stage];
    return run_owns(x, s, &s->d->parameters.at[run_copy(s, tensor)], member, at);
}

/* The member that a device is of a stage; MODEL_NONE: it is none. */
static inline uint32_t run_on(const struct executor *x, uint32_t stage, uint32_t device)
{
    const struct index_list *devices = &x->stages[stage].d->stage->devices;
    for (uint32_t m = 0; m < devices->count; m++)
        if (devices->at[m] == device)
            return m;
    return MODEL_NONE;
}

/* Whether a stage's copy is one with an earlier copy: what is sent is sent of both together. */
static inline bool run_one_copy(const struct executor *x, uint32_t tensor, uint32_t one, uint32_t other)
{
    const struct index_list *a = &x->stages[one].d->stage->devices, *b = &x->stages[other].d->stage->devices;
    bool same = a->count == b->count;
    for (uint32_t m = 0; same && m < a->count; m++)
        for (size_t i = 0; i < run_elements(x, tensor); i++)
            same &= a->at[m] == b->at[m] && run_has(x, one, tensor, m, i) == run_has(x, other, tensor, m, i);
    return same;
}

/* What a stage's members have of a parameter's gradient before stages meet, with what their devices have in
 * copies that are one with it. */
static inline double **run_joint(struct executor *x, uint32_t stage, uint32_t p)
{
    const struct stage_run *s = &x->stages[stage];
    uint32_t tensor = s->d->parameters.at[p].tensor;
    double **joint = ARENA_ARRAY(&x->arena, double *, s->d->member_count);
    for (uint32_t m = 0; m < s->d->member_count; m++)
        joint[m] = run_array(x, tensor, 0);
    for (uint32_t n = 0; n < x->c->plan.stages.count; n++) {
        uint32_t copy = run_copy(&x->stages[n], tensor);
        if (copy == MODEL_NONE || (n != stage && !run_one_copy(x, tensor, stage, n)))
            continue;
        for (uint32_t m = 0; m < s->d->member_count; m++)
            for (size_t i = 0; i < run_elements(x, tensor); i++)
                joint[m][i] += x->stages[n].reduced[copy][m][i];
    }
    return joint;
}

static inline double run_own_sum(const struct executor *x, uint32_t stage, uint32_t tensor, uint32_t member,
                                 size_t at)
{
    const struct stage_run *s = &x->stages[stage];
    return s->joint[run_copy(s, tensor)][member][at];
}

/* Carries one part of a gradient: what its ends both keep, which is as much as the flow says. */
static inline void run_flow(struct executor *x, const struct tied_sum *sum, uint32_t index, double *into)
{
    const struct tied_flow *flow = &sum->flows.at[index];
    double elements = 0;
    for (size_t i = 0; i < run_elements(x, sum->tensor); i++) {
        if (!run_has(x, flow->source, sum->tensor, flow->from, i) ||
            !run_has(x, flow->target, sum->tensor, flow->to, i))
            continue;
        elements++;
        if (x->skipped_tied != sum->tensor || x->skipped_flow != index)
            into[i] += run_own_sum(x, flow->source, sum->tensor, flow->from, i);
    }
    if (elements != flow->elements)
        run_fault(x, "a flow of %s from member %u to %u has %g elements, but these have %g in common",
                  names_text(x->model->names, run_tensor(x, sum->tensor)->name), flow->from, flow->to,
                  flow->elements, elements);
}

/* Adds what a member gets from another copy: where all are alike, of the member of its number; else from its
 * own device if that is a member there, and by flows. */
static inline void run_gather_copy(struct executor *x, const struct tied_sum *sum, uint32_t source,
                                   uint32_t target, uint32_t member, double *into)
{
    uint32_t self = run_on(x, source, x->stages[target].d->stage->devices.at[member]);
    uint32_t same = sum->alike ? member : self;
    for (size_t i = 0; same != MODEL_NONE && i < run_elements(x, sum->tensor); i++)
        if (run_has(x, source, sum->tensor, same, i))
            into[i] += run_own_sum(x, source, sum->tensor, same, i);
    for (uint32_t f = 0; f < sum->flows.count; f++)
        if (sum->flows.at[f].source == source && sum->flows.at[f].target == target &&
            sum->flows.at[f].to == member)
            run_flow(x, sum, f, into);
}

/* A stage's gradient of a parameter after all stages that hold it have met. */
static inline double **run_meet(struct executor *x, uint32_t stage, uint32_t p)
{
    struct stage_run *s = &x->stages[stage];
    uint32_t tensor = s->d->parameters.at[p].tensor, first = 0;
    struct tied_sum sum = {.tensor = tensor};
    double **met = s->joint[p];
    if (run_holders(x, tensor) == 1 || !tied_find(x->c->derivations, tensor, &sum))
        return met;
    while (first < sum.copies.count && !run_one_copy(x, tensor, sum.copies.at[first].stage, stage))
        first++;
    met = ARENA_ARRAY(&x->arena, double *, s->d->member_count);
    for (uint32_t m = 0; m < s->d->member_count; m++) {
        met[m] = run_array(x, tensor, 0);
        memcpy(met[m], s->joint[p][m], run_elements(x, tensor) * sizeof(double));
        for (uint32_t c = 0; c < sum.copies.count; c++)
            if (c != first)
                run_gather_copy(x, &sum, sum.copies.at[c].stage, sum.copies.at[first].stage, m, met[m]);
    }
    tied_fini(&sum);
    return met;
}

static inline void run_check_parameters(struct executor *x)
{
    for (uint32_t n = 0; n < x->c->plan.stages.count; n++)
        for (uint32_t p = 0; p < x->stages[n].d->parameters.count; p++)
            x->stages[n].reduced[p] = run_reduce(x, &x->stages[n], p);
    for (uint32_t n = 0; n < x->c->plan.stages.count; n++)
        for (uint32_t p = 0; p < x->stages[n].d->parameters.count; p++)
            x->stages[n].joint[p] = run_joint(x, n, p);
    for (uint32_t n = 0; n < x->c->plan.stages.count; n++)
        for (uint32_t p = 0; p < x->stages[n].d->parameters.count; p++) {
            if (run_holders(x, x->stages[n].d->parameters.at[p].tensor) == 1)
                run_check_gradient(x, &x->stages[n], p);
            run_update(x, &x->stages[n], p, run_meet(x, n, p));
        }
}

#endif
