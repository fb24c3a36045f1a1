#include "plan/parameters.h"

#include "plan/memory.h"
#include "plan/state.h"

void parameters_init(struct parameters *p, const struct derivation *d, struct role role,
                     struct builder *builder, struct index_list *waits, struct arena *arena)
{
    *p = (struct parameters){.d = d, .builder = builder, .role = role, .waits = waits};
    p->unreduced = names_add(builder->names, "unreduced gradients");
    p->gathered = ARENA_ARRAY(arena, uint32_t, d->parameters.count + 1);
    p->whole = ARENA_ARRAY(arena, bool, d->parameters.count + 1);
    p->left = ARENA_ARRAY(arena, bool, d->parameters.count + 1);
    for (uint32_t i = 0; i < d->parameters.count; i++) {
        p->gathered[i] = PROGRAM_NONE;
        p->whole[i] = d->plan->zero < 3 || !d->parameters.at[i].shard_axes;
    }
}

void parameters_fini(struct parameters *p)
{
    VECTOR_FREE(&p->buckets);
}

/* A collective of parameters along some axes of the mesh, outside the pass that is being built. */
static uint32_t parameters_communicate(struct parameters *p, int collective, uint32_t axes, double bytes,
                                       uint32_t label, uint32_t after)
{
    struct builder *b = p->builder;
    struct index_list wait = {0};
    if (after != PROGRAM_NONE)
        VECTOR_PUSH(&wait, after);
    uint8_t pass = b->pass;
    builder_close(b);
    b->pass = PASS_S;
    uint32_t group = registry_axes(b->cast->registry, p->d->stage, p->role.stage, axes, p->role.member);
    uint32_t op = builder_communicate(b, OP_COLLECTIVE, collective, group, MODEL_NONE, bytes, label, &wait);
    b->pass = pass;
    VECTOR_FREE(&wait);
    return op;
}

/* What a member holds of a parameter more while it has all of it than when it has its share, in bytes. */
static double parameters_extra(const struct parameters *p, uint32_t i)
{
    double ways = shard_ways(p->d, &p->d->parameters.at[i]);
    return memory_parameter(p->d, i, p->role.member) * (1 - 1 / ways) *
           precision_bytes(p->d->plan->weight_precision);
}

static uint32_t parameters_name(const struct parameters *p, uint32_t i)
{
    return state_tensor(p->d, p->d->parameters.at[i].tensor)->name;
}

/* The unit at which a pass first, and last, needs a parameter. */
static uint32_t parameters_first(const struct parameters *p, uint32_t i, bool backward)
{
    return backward ? p->d->parameters.at[i].last_unit : p->d->parameters.at[i].unit;
}

static uint32_t parameters_last(const struct parameters *p, uint32_t i, bool backward)
{
    return parameters_first(p, i, !backward);
}

/* One all-gather for all parameters of a unit that are shared out along the same axes and not here. */
static void parameters_gather(struct parameters *p, uint32_t unit, bool backward, uint32_t after)
{
    const struct derivation *d = p->d;
    for (uint32_t i = 0; i < d->parameters.count; i++) {
        uint32_t axes = d->parameters.at[i].shard_axes;
        if (parameters_first(p, i, backward) != unit || p->whole[i])
            continue;
        double elements = 0;
        uint32_t op = p->builder->ops.count;
        for (uint32_t k = i; k < d->parameters.count; k++) {
            if (parameters_first(p, k, backward) != unit || p->whole[k] ||
                d->parameters.at[k].shard_axes != axes)
                continue;
            elements += memory_parameter(d, k, p->role.member);
            if (d->plan->zero >= 3)
                builder_change(p->builder, op, MEMORY_GATHERED, parameters_name(p, k),
                               parameters_extra(p, k));
            p->whole[k] = true;
            p->gathered[k] = op;
        }
        op =
            parameters_communicate(p, ALL_GATHER, axes, elements * precision_bytes(d->plan->weight_precision),
                                   d->plan->model->units.at[unit].name, after);
    }
}

void parameters_enter(struct parameters *p, uint32_t unit, bool backward)
{
    const struct plan *plan = p->d->plan;
    const struct plan_stage *stage = p->d->stage;
    for (uint32_t k = 0; plan->zero >= 3 && k <= plan->zero_prefetch; k++) {
        bool there =
            backward ? unit - stage->first_unit >= k : unit + k < stage->first_unit + stage->unit_count;
        if (there)
            parameters_gather(p, backward ? unit - k : unit + k, backward, p->builder->last_compute);
    }
    for (uint32_t i = 0; i < p->d->parameters.count; i++)
        if (parameters_first(p, i, backward) == unit && p->gathered[i] != PROGRAM_NONE)
            VECTOR_PUSH(&p->builder->gate, p->gathered[i]);
}

void parameters_expect(struct parameters *p, uint32_t unit)
{
    double bytes = 0;
    for (uint32_t i = 0; i < p->d->parameters.count && p->d->plan->zero >= 2; i++)
        if (p->d->parameters.at[i].last_unit == unit)
            bytes += memory_parameter(p->d, i, p->role.member) *
                     (1 - 1 / (double)shard_ways(p->d, &p->d->parameters.at[i]));
    builder_take(p->builder, MEMORY_COMMUNICATION, p->unreduced,
                 bytes * precision_bytes(p->d->plan->gradient_precision));
}

void parameters_leave(struct parameters *p, uint32_t unit, bool backward, bool last)
{
    const struct plan *plan = p->d->plan;
    bool drops = plan->zero_keep == KEEP_PASS || (backward && (plan->zero_keep == KEEP_MICRO_BATCH || last));
    for (uint32_t i = 0; i < p->d->parameters.count && plan->zero >= 3 && drops; i++)
        if (parameters_last(p, i, backward) == unit && p->whole[i] && p->gathered[i] != PROGRAM_NONE) {
            builder_change(p->builder, PROGRAM_NONE, MEMORY_GATHERED, parameters_name(p, i),
                           -parameters_extra(p, i));
            p->whole[i] = false;
            p->gathered[i] = PROGRAM_NONE;
        }
}

/* Gradients that are synchronised in another precision than they are kept in are first copied. */
static void parameters_copy(struct parameters *p, uint32_t op, double bytes, uint32_t label)
{
    const struct plan *plan = p->d->plan;
    enum precision kept =
        plan->zero < 2 && plan->micro_batches > 1 ? plan->accumulation_precision : plan->gradient_precision;
    if (kept == plan->communication_precision)
        return;
    builder_change(p->builder, op, MEMORY_COMMUNICATION, label, bytes);
    builder_change(p->builder, op, MEMORY_COMMUNICATION, label, -bytes);
}

/* Sends a bucket off: a reduce-scatter in each micro-batch from level 2 on, all else in the last one only. */
static void parameters_flush(struct parameters *p, struct parameter_bucket *bucket, bool last)
{
    const struct plan *plan = p->d->plan;
    double ways = layout_places(p->d->stage, bucket->shard_axes);
    double bytes = bucket->elements * precision_bytes(plan->communication_precision);
    uint32_t op = PROGRAM_NONE;
    if (bucket->how.scatter && bucket->elements > 0 && (last || plan->zero >= 2)) {
        op = parameters_communicate(p, REDUCE_SCATTER, bucket->how.scatter, bytes, bucket->label,
                                    p->builder->last_compute);
        parameters_copy(p, op, bytes, bucket->label);
    }
    if (plan->zero >= 2 && bucket->elements > 0) {
        double gone = bucket->elements * (1 - 1 / ways) * precision_bytes(plan->gradient_precision);
        uint32_t frees = op == PROGRAM_NONE ? p->builder->last_compute : op;
        builder_change(p->builder, frees, MEMORY_COMMUNICATION, p->unreduced, -gone);
    }
    if (bucket->how.sum && bucket->elements > 0 && last) {
        op = parameters_communicate(p, ALL_REDUCE, bucket->how.sum, bytes / ways, bucket->label,
                                    op == PROGRAM_NONE ? p->builder->last_compute : op);
        parameters_copy(p, op, bytes / ways, bucket->label);
    }
    if (op != PROGRAM_NONE)
        VECTOR_PUSH(p->waits, op);
    bucket->elements = 0;
}

/* The bucket that a parameter's gradient goes into. */
static struct parameter_bucket *parameters_bucket(struct parameters *p, uint32_t i)
{
    const struct stage_parameter *parameter = &p->d->parameters.at[i];
    struct shard_reduction how = shard_reduction(parameter);
    uint32_t b = 0;
    while (b < p->buckets.count &&
           (p->buckets.at[b].how.scatter != how.scatter || p->buckets.at[b].how.sum != how.sum ||
            p->buckets.at[b].shard_axes != parameter->shard_axes))
        b++;
    if (b == p->buckets.count)
        VECTOR_PUSH(&p->buckets,
                    ((struct parameter_bucket){.how = how, .shard_axes = parameter->shard_axes}));
    p->buckets.at[b].label = p->d->plan->model->units.at[parameter->unit].name;
    return &p->buckets.at[b];
}

/* Whether the gradient of a parameter is reduced with this stage's passes. From level 2 on no gradient stays
 * whole until the passes of another stage. */
static bool parameters_reduces(const struct parameters *p, uint32_t i)
{
    return !p->left[i] || p->d->plan->zero >= 2;
}

void parameters_ready(struct parameters *p, uint32_t index, bool last)
{
    const struct plan *plan = p->d->plan;
    double most = plan->bucket / precision_bytes(plan->communication_precision);
    for (uint32_t i = 0; i < p->d->parameters.count && plan->bucket > 0; i++) {
        if (p->d->parameters.at[i].operator!= index || !parameters_reduces(p, i))
            continue;
        struct parameter_bucket *bucket = parameters_bucket(p, i);
        bucket->elements += memory_parameter(p->d, i, p->role.member);
        if (bucket->elements >= most && !plan->no_overlap)
            parameters_flush(p, bucket, last);
    }
}

void parameters_reduce(struct parameters *p, uint32_t unit, bool last)
{
    const struct plan *plan = p->d->plan;
    bool end = unit == p->d->stage->first_unit;
    for (uint32_t i = 0; i < p->d->parameters.count && plan->bucket <= 0; i++)
        if (p->d->parameters.at[i].unit == unit && parameters_reduces(p, i))
            parameters_bucket(p, i)->elements += memory_parameter(p->d, i, p->role.member);
    for (uint32_t b = 0; b < p->buckets.count && (end || (plan->bucket <= 0 && !plan->no_overlap)); b++)
        parameters_flush(p, &p->buckets.at[b], last);
}

void parameters_publish(struct parameters *p, uint32_t update)
{
    const struct plan_stage *stage = p->d->stage;
    if (p->d->plan->zero < 1 || p->d->plan->zero > 2)
        return;
    for (uint32_t i = 0; i < p->d->parameters.count; i++)
        p->whole[i] = !p->d->parameters.at[i].shard_axes || p->left[i];
    for (uint32_t u = stage->first_unit; u < stage->first_unit + stage->unit_count; u++)
        parameters_gather(p, u, false, update);
    for (uint32_t i = 0; i < p->d->parameters.count && p->d->plan->no_overlap; i++)
        if (p->gathered[i] != PROGRAM_NONE)
            VECTOR_PUSH(&p->builder->gate, p->gathered[i]);
}

void parameters_axes(const struct derivation *d, struct index_list *out)
{
    for (uint32_t i = 0; i < d->parameters.count; i++) {
        const struct stage_parameter *parameter = &d->parameters.at[i];
        struct shard_reduction how = shard_reduction(parameter);
        uint32_t axes[] = {how.scatter, how.sum, parameter->shard_axes};
        for (uint32_t k = 0; k < 3; k++) {
            uint32_t j = 0;
            while (j < out->count && out->at[j] != axes[k])
                j++;
            if (axes[k] && j == out->count)
                VECTOR_PUSH(out, axes[k]);
        }
    }
}
