#include "plan/parameters.h"

#include "plan/memory.h"
#include "plan/state.h"

#include <string.h>

/* Whether a parameter is fetched for its use: from other members that have shares, or from where it is kept.
 */
static bool parameters_brings(const struct parameters *p, uint32_t i)
{
    return p->d->plan->offload.parameters || (p->d->plan->zero >= 3 && p->d->parameters.at[i].shard_axes);
}

void parameters_init(struct parameters *p, const struct derivation *d, struct role role,
                     struct builder *builder, struct index_list *waits, struct offload *offload,
                     struct arena *arena)
{
    uint32_t count = d->parameters.count + 1;
    *p = (struct parameters){.d = d,
                             .builder = builder,
                             .role = role,
                             .waits = waits,
                             .offload = offload,
                             .first_key = offload->keys};
    p->unreduced = names_add(builder->names, "unreduced gradients");
    p->gathered = ARENA_ARRAY(arena, uint32_t, count);
    p->whole = ARENA_ARRAY(arena, bool, count);
    p->deferred = ARENA_ARRAY(arena, bool, count);
    p->uploaded = ARENA_ARRAY(arena, uint32_t, count);
    p->bucket_of = ARENA_ARRAY(arena, uint32_t, count);
    p->key_of = ARENA_ARRAY(arena, uint32_t, count);
    p->copied = ARENA_ARRAY(arena, bool, count);
    p->seen = ARENA_ARRAY(arena, bool, count);
    p->next_key = p->first_key;
    offload->keys += d->parameters.count;
    for (uint32_t i = 0; i < d->parameters.count; i++) {
        p->gathered[i] = p->uploaded[i] = p->key_of[i] = PROGRAM_NONE;
        p->whole[i] = !parameters_brings(p, i);
    }
}

void parameters_fini(struct parameters *p)
{
    VECTOR_FREE(&p->buckets);
    VECTOR_FREE(&p->awaited);
    VECTOR_FREE(&p->left);
    VECTOR_FREE(&p->squeezed);
}

/* A collective of parameters along some axes of the mesh, outside the pass that is being built. */
static uint32_t parameters_collective(struct parameters *p, int collective, uint32_t axes, double bytes,
                                      uint32_t label, const struct index_list *after)
{
    struct builder *b = p->builder;
    uint8_t pass = b->pass;
    builder_close(b);
    b->pass = PASS_S;
    uint32_t group = registry_axes(b->cast->registry, p->d->stage, p->role.stage, axes, p->role.member);
    uint32_t op = builder_communicate(b, OP_COLLECTIVE, collective, group, MODEL_NONE, bytes, label, after);
    b->pass = pass;
    return op;
}

/* The same after one operation, or none. */
static uint32_t parameters_communicate(struct parameters *p, int collective, uint32_t axes, double bytes,
                                       uint32_t label, uint32_t after)
{
    struct index_list wait = {0};
    if (after != PROGRAM_NONE)
        VECTOR_PUSH(&wait, after);
    for (uint32_t i = 0; i < p->awaited.count; i++)
        VECTOR_PUSH(&wait, p->awaited.at[i]);
    uint32_t op = parameters_collective(p, collective, axes, bytes, label, &wait);
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

/* Bytes of the share of a parameter that is kept. */
static double parameters_share(const struct parameters *p, uint32_t i)
{
    double ways = p->d->plan->zero >= 3 ? shard_ways(p->d, &p->d->parameters.at[i]) : 1;
    return memory_parameter(p->d, i, p->role.member) / ways * precision_bytes(p->d->plan->weight_precision);
}

/* Fetches what is kept elsewhere of a unit's parameters; PROGRAM_NONE: nothing is. */
static uint32_t parameters_fetch(struct parameters *p, uint32_t unit, bool backward, uint32_t after)
{
    const struct derivation *d = p->d;
    struct builder *b = p->builder;
    struct index_list wait = {0};
    double bytes = 0;
    uint32_t op = b->ops.count;
    builder_close(b);
    for (uint32_t i = 0; i < d->parameters.count && d->plan->offload.parameters; i++) {
        if (parameters_first(p, i, backward) != unit || p->whole[i])
            continue;
        bytes += parameters_share(p, i);
        builder_change(b, op, MEMORY_GATHERED, parameters_name(p, i), parameters_share(p, i));
        p->gathered[i] = op;
        p->whole[i] = d->plan->zero < 3 || !d->parameters.at[i].shard_axes;
    }
    if (bytes <= 0)
        return PROGRAM_NONE;
    if (after != PROGRAM_NONE)
        VECTOR_PUSH(&wait, after);
    uint8_t pass = b->pass;
    b->pass = PASS_S;
    struct offload_note note = {.what = OFFLOAD_PARAMETER, .store = d->plan->offload.parameters, .key = unit};
    op = offload_receive(p->offload, &note, bytes, d->plan->model->units.at[unit].name, &wait);
    b->pass = pass;
    VECTOR_FREE(&wait);
    return op;
}

/* One all-gather for all parameters of a unit that are shared out along the same axes and not here. */
static void parameters_gather(struct parameters *p, uint32_t unit, bool backward, uint32_t after)
{
    const struct derivation *d = p->d;
    uint32_t fetched = parameters_fetch(p, unit, backward, after);
    struct index_list wait = {0};
    for (uint32_t i = 0; i < d->parameters.count; i++) {
        uint32_t axes = d->parameters.at[i].shard_axes;
        if (parameters_first(p, i, backward) != unit || p->whole[i])
            continue;
        double elements = 0;
        uint32_t op = p->builder->ops.count;
        wait.count = 0;
        if (after != PROGRAM_NONE)
            VECTOR_PUSH(&wait, after);
        if (fetched != PROGRAM_NONE)
            VECTOR_PUSH(&wait, fetched);
        for (uint32_t k = i; k < d->parameters.count; k++) {
            if (parameters_first(p, k, backward) != unit || p->whole[k] ||
                d->parameters.at[k].shard_axes != axes)
                continue;
            elements += memory_parameter(d, k, p->role.member);
            if (d->plan->zero >= 3)
                builder_change(p->builder, op, MEMORY_GATHERED, parameters_name(p, k),
                               parameters_extra(p, k));
            if (p->uploaded[k] != PROGRAM_NONE)
                VECTOR_PUSH(&wait, p->uploaded[k]);
            p->uploaded[k] = PROGRAM_NONE;
            p->whole[k] = true;
            p->gathered[k] = op;
        }
        op = parameters_collective(p, ALL_GATHER, axes, elements * precision_bytes(d->plan->weight_precision),
                                   d->plan->model->units.at[unit].name, &wait);
    }
    VECTOR_FREE(&wait);
}

void parameters_enter(struct parameters *p, uint32_t unit, bool backward)
{
    const struct plan *plan = p->d->plan;
    const struct plan_stage *stage = p->d->stage;
    uint32_t ahead = plan->offload.parameters ? plan->offload.prefetch : plan->zero_prefetch;
    for (uint32_t k = 0; (plan->zero >= 3 || plan->offload.parameters) && k <= ahead; k++) {
        bool there =
            backward ? unit - stage->first_unit >= k : unit + k < stage->first_unit + stage->unit_count;
        if (there)
            parameters_gather(p, backward ? unit - k : unit + k, backward, p->builder->last_compute);
    }
    for (uint32_t i = 0; i < p->d->parameters.count; i++) {
        if (parameters_first(p, i, backward) != unit)
            continue;
        if (p->gathered[i] != PROGRAM_NONE)
            VECTOR_PUSH(&p->builder->gate, p->gathered[i]);
        if (p->uploaded[i] != PROGRAM_NONE)
            VECTOR_PUSH(&p->builder->gate, p->uploaded[i]);
        p->uploaded[i] = PROGRAM_NONE;
    }
}

/* Whether other stages hold a parameter too: its gradient is complete when they have met, after all passes.
 */
static bool parameters_late(const struct parameters *p, uint32_t i)
{
    return p->builder->cast->holders[p->d->parameters.at[i].tensor] > 1;
}

void parameters_expect(struct parameters *p, uint32_t unit)
{
    double bytes = 0;
    const struct plan *plan = p->d->plan;
    bool away = plan->offload.gradients != PLAN_DEVICE;
    for (uint32_t i = 0; i < p->d->parameters.count && (plan->zero >= 2 || away); i++) {
        if (p->d->parameters.at[i].last_unit != unit)
            continue;
        bool leaves = away && !parameters_late(p, i);
        double kept = leaves            ? 0
                      : plan->zero >= 2 ? 1 / (double)shard_ways(p->d, &p->d->parameters.at[i])
                                        : 1;
        bytes += memory_parameter(p->d, i, p->role.member) * (1 - kept);
    }
    builder_take(p->builder, MEMORY_COMMUNICATION, p->unreduced,
                 bytes * precision_bytes(p->d->plan->gradient_precision));
}

void parameters_leave(struct parameters *p, uint32_t unit, bool backward, bool last)
{
    const struct plan *plan = p->d->plan;
    bool drops = plan->zero_keep == KEEP_PASS || (backward && (plan->zero_keep == KEEP_MICRO_BATCH || last));
    for (uint32_t i = 0; i < p->d->parameters.count && drops; i++)
        if (parameters_brings(p, i) && parameters_last(p, i, backward) == unit && p->whole[i] &&
            p->gathered[i] != PROGRAM_NONE) {
            double share = plan->offload.parameters ? parameters_share(p, i) : 0;
            double extra = plan->zero >= 3 ? parameters_extra(p, i) : 0;
            builder_change(p->builder, PROGRAM_NONE, MEMORY_GATHERED, parameters_name(p, i), -share - extra);
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

void parameters_depart(struct parameters *p, const struct offload_share *share, double elements, bool last,
                       const struct index_list *after)
{
    const struct plan *plan = p->d->plan;
    struct builder *b = p->builder;
    bool away = plan->offload.gradients != PLAN_DEVICE;
    struct offload_note note = {.what = OFFLOAD_GRADIENT, .store = PLAN_HOST, .key = share->key};
    if (!away && !(last && plan->offload.host_step))
        return;
    note.add = p->seen[share->key - p->first_key];
    p->seen[share->key - p->first_key] = true;
    if (last && plan->offload.host_step && !plan->barrier) {
        note.first_update = p->offload->updates.count;
        note.update_count = 1;
        VECTOR_PUSH(&p->offload->updates, *share);
    }
    double each = away ? precision_bytes(plan->gradient_precision) : memory_gradient_bytes(plan);
    uint8_t pass = b->pass;
    b->pass = PASS_S;
    offload_send(p->offload, &note, elements * each, share->label, after);
    b->pass = pass;
}

/* The gradients of a bucket leave: those of the parameters that wait in it, after operation `after`. */
static void parameters_leave_bucket(struct parameters *p, uint32_t b, bool last, uint32_t after)
{
    const struct derivation *d = p->d;
    const struct parameter_bucket *bucket = &p->buckets.at[b];
    double ways = layout_places(d->stage, bucket->shard_axes),
           each = precision_bytes(d->plan->gradient_precision);
    struct parameters_left left = {.share = {.key = p->next_key++, .label = bucket->label},
                                   .late = bucket->late};
    for (uint32_t i = 0; i < d->parameters.count; i++) {
        if (p->bucket_of[i] != b + 1)
            continue;
        p->key_of[i] = left.share.key;
        p->bucket_of[i] = 0;
        if (p->copied[i])
            continue;
        left.share.elements += memory_parameter(d, i, p->role.member) / ways;
        left.share.states += memory_state(d, i, p->role.member);
    }
    struct index_list wait = {0};
    if (after != PROGRAM_NONE)
        VECTOR_PUSH(&wait, after);
    for (uint32_t i = 0; i < p->awaited.count; i++)
        VECTOR_PUSH(&wait, p->awaited.at[i]);
    if (last)
        VECTOR_PUSH(&p->left, left);
    if (!bucket->late)
        parameters_depart(p, &left.share, bucket->elements / ways, last, &wait);
    if (!bucket->late && d->plan->offload.gradients != PLAN_DEVICE)
        builder_change(p->builder, p->builder->ops.count - 1, MEMORY_COMMUNICATION, p->unreduced,
                       -bucket->elements / ways * each);
    VECTOR_FREE(&wait);
}

/* The next phase of a compressed sum; false when it was the last. */
static bool parameters_squeeze(struct parameters *p, struct parameters_squeezed *s)
{
    const struct plan *plan = p->d->plan;
    struct builder *b = p->builder;
    struct compression_phase phases[COMPRESSION_PHASES + 1];
    struct index_list after = {0};
    compression_phases(plan, &s->sizes, layout_places(p->d->stage, s->axes), phases);
    const struct compression_phase *phase = &phases[s->phase++];
    struct work work = compression_work(plan, b->cast->ranks.at[b->rank].device, phase);
    uint8_t pass = b->pass;
    if (s->op != PROGRAM_NONE)
        VECTOR_PUSH(&after, s->op);
    for (uint32_t i = 0; i < p->awaited.count; i++)
        VECTOR_PUSH(&after, p->awaited.at[i]);
    builder_close(b);
    b->pass = PASS_S;
    s->op = builder_kernel(b, names_add(b->names, "compression"), &work, &after);
    builder_close(b);
    b->pass = pass;
    VECTOR_FREE(&after);
    if (phase->collective == COLLECTIVE_KIND_COUNT) {
        builder_change(b, s->op, MEMORY_COMMUNICATION, s->label, -s->held);
        return false;
    }
    s->op = parameters_communicate(p, phase->collective, s->axes, phase->bytes, s->label, s->op);
    builder_change(b, s->op, MEMORY_COMMUNICATION, s->label, phase->bytes);
    s->held += phase->bytes;
    return true;
}

/* One more phase of each sum that is not done. */
static void parameters_go_on(struct parameters *p)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < p->squeezed.count; i++)
        if (parameters_squeeze(p, &p->squeezed.at[i]))
            p->squeezed.at[left++] = p->squeezed.at[i];
    p->squeezed.count = left;
}

void parameters_settle(struct parameters *p)
{
    while (p->squeezed.count)
        parameters_go_on(p);
}

/* Begins the compressed sum of a bucket, after operation `after`. */
static void parameters_compress(struct parameters *p, struct parameter_bucket *bucket, uint32_t after)
{
    struct parameters_squeezed begun = {
        .sizes = bucket->sizes, .axes = bucket->how.sum, .label = bucket->label, .op = after};
    parameters_go_on(p);
    if (parameters_squeeze(p, &begun))
        VECTOR_PUSH(&p->squeezed, begun);
}

/* Sends a bucket off: a reduce-scatter in each micro-batch from level 2 on, all else in the last one only;
 * where gradients are kept elsewhere, all of it in each micro-batch. */
static void parameters_flush(struct parameters *p, uint32_t b, bool last)
{
    const struct plan *plan = p->d->plan;
    struct parameter_bucket *bucket = &p->buckets.at[b];
    bool away = plan->offload.gradients != PLAN_DEVICE && !bucket->late;
    double ways = layout_places(p->d->stage, bucket->shard_axes);
    double bytes = bucket->elements * precision_bytes(plan->communication_precision);
    uint32_t op = PROGRAM_NONE;
    if (bucket->elements <= 0)
        return;
    if (bucket->how.scatter && (last || plan->zero >= 2 || away)) {
        op = parameters_communicate(p, REDUCE_SCATTER, bucket->how.scatter, bytes, bucket->label,
                                    p->builder->last_compute);
        parameters_copy(p, op, bytes, bucket->label);
    }
    if (plan->zero >= 2 || away) {
        double gone = bucket->elements * (1 - 1 / ways) * precision_bytes(plan->gradient_precision);
        uint32_t frees = op == PROGRAM_NONE ? p->builder->last_compute : op;
        builder_change(p->builder, frees, MEMORY_COMMUNICATION, p->unreduced, -gone);
    }
    if (bucket->how.sum && last && plan->compression.kind) {
        parameters_compress(p, bucket, p->builder->last_compute);
    } else if (bucket->how.sum && (last || away)) {
        op = parameters_communicate(p, ALL_REDUCE, bucket->how.sum, bytes / ways, bucket->label,
                                    op == PROGRAM_NONE ? p->builder->last_compute : op);
        parameters_copy(p, op, bytes / ways, bucket->label);
    }
    if (op != PROGRAM_NONE)
        VECTOR_PUSH(p->waits, op);
    if (offload_shares(plan))
        parameters_leave_bucket(p, b, last, op == PROGRAM_NONE ? p->builder->last_compute : op);
    bucket->elements = 0;
    bucket->sizes = (struct compression_sizes){0};
}

/* Adds a parameter's gradient to the bucket that it goes into, and says which. */
static uint32_t parameters_bucket(struct parameters *p, uint32_t i)
{
    const struct stage_parameter *parameter = &p->d->parameters.at[i];
    struct shard_reduction how = shard_reduction(parameter);
    bool late = offload_shares(p->d->plan) && parameters_late(p, i);
    uint32_t b = 0;
    while (b < p->buckets.count &&
           (p->buckets.at[b].how.scatter != how.scatter || p->buckets.at[b].how.sum != how.sum ||
            p->buckets.at[b].shard_axes != parameter->shard_axes || p->buckets.at[b].late != late))
        b++;
    if (b == p->buckets.count)
        VECTOR_PUSH(&p->buckets, ((struct parameter_bucket){
                                     .how = how, .shard_axes = parameter->shard_axes, .late = late}));
    p->buckets.at[b].label = p->d->plan->model->units.at[parameter->unit].name;
    p->buckets.at[b].elements += memory_parameter(p->d, i, p->role.member);
    if (p->d->plan->compression.kind)
        compression_add(p->d, i, p->role.member, &p->buckets.at[b].sizes);
    p->bucket_of[i] = b + 1;
    return b;
}

/* Whether the gradient of a parameter is reduced with this stage's passes. From level 2 on no gradient stays
 * whole until the passes of another stage. */
static bool parameters_reduces(const struct parameters *p, uint32_t i)
{
    return !p->deferred[i] || p->d->plan->zero >= 2;
}

void parameters_await(struct parameters *p, uint32_t op)
{
    struct index_list *lists[] = {&p->awaited, p->waits};
    for (uint32_t l = 0; l < 2; l++) {
        uint32_t i = 0; /* streams are in order: the last one stands for those before it */
        while (i < lists[l]->count &&
               p->builder->ops.at[lists[l]->at[i]].stream != p->builder->ops.at[op].stream)
            i++;
        if (i == lists[l]->count)
            VECTOR_PUSH(lists[l], op);
        else
            lists[l]->at[i] = op;
    }
}

void parameters_ready(struct parameters *p, uint32_t index, bool last)
{
    const struct plan *plan = p->d->plan;
    double most = plan->bucket / precision_bytes(plan->communication_precision);
    for (uint32_t i = 0; i < p->d->parameters.count && plan->bucket > 0; i++) {
        if (p->d->parameters.at[i].layer_op != index || !parameters_reduces(p, i))
            continue;
        uint32_t b = parameters_bucket(p, i);
        if (p->buckets.at[b].elements >= most && !plan->no_overlap)
            parameters_flush(p, b, last);
    }
}

void parameters_reduce(struct parameters *p, uint32_t unit, bool last)
{
    const struct plan *plan = p->d->plan;
    bool end = unit == p->d->stage->first_unit;
    for (uint32_t i = 0; i < p->d->parameters.count && plan->bucket <= 0; i++)
        if (p->d->parameters.at[i].unit == unit && parameters_reduces(p, i))
            parameters_bucket(p, i);
    for (uint32_t b = 0; b < p->buckets.count && (end || (plan->bucket <= 0 && !plan->no_overlap)); b++)
        parameters_flush(p, b, last);
    if (end) /* of the micro-batch: the next one has the same buckets */
        p->next_key = p->first_key;
}

void parameters_arrive(struct parameters *p, uint32_t key, uint32_t op)
{
    for (uint32_t i = 0; i < p->d->parameters.count; i++)
        if (p->key_of[i] == key)
            p->uploaded[i] = op;
}

void parameters_publish(struct parameters *p, uint32_t update)
{
    const struct plan_stage *stage = p->d->stage;
    p->left.count = 0;
    memset(p->seen, 0, p->d->parameters.count * sizeof *p->seen);
    if (p->d->plan->zero < 1 || p->d->plan->zero > 2)
        return;
    for (uint32_t i = 0; i < p->d->parameters.count; i++)
        p->whole[i] = !p->d->parameters.at[i].shard_axes || p->deferred[i];
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
