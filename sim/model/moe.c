/* Mixture of experts: each token is sent to k of E inner layers. Written over all tokens and experts, as in
 * GShard (Lepikhin et al. 2021, arXiv 2006.16668): with G[b,s,e] the weight with which a token uses an expert
 * (0 for all but k of them),
 *
 *     D[b,s,e,h] = X[b,s,h] where G ≠ 0,   U[b,s,e,f] = D W[e,f,h],   Y[b,s,h] = sum over e of G O[b,s,e,h].
 *
 * The dimension e of D, U and O is partly filled: of b·s places an expert has as many as tokens are sent to
 * it. So experts are split like any other dimension, and all-to-alls, uneven under skewed loads, follow. */
#include "model/builder.h"

#include <math.h>
#include <stddef.h>

struct moe_keys {
    int64_t experts, chosen, inner, shared;
    double capacity, skew;
    bool gated, padded, correction, shared_gate;
    int act;
};

struct moe_shape {
    struct tensor x;
    uint64_t tokens, per_sample; /* b·s, s */
    const struct filling *filling;
    uint32_t e, f, h; /* labels */
};

/* Tokens per expert, deterministic: the popularity of expert i is (i + 1)^-skew (Zipf), no expert has a token
 * twice, and whole numbers sum up to k·tokens, the largest remainders rounded up. */
static void moe_counts(const struct moe_keys *keys, uint64_t tokens, double *target, uint64_t *count)
{
    uint64_t experts = (uint64_t)keys->experts, left = (uint64_t)keys->chosen * tokens, full = 0;
    for (bool again = true; again;) { /* the most popular fill up first */
        double sum = 0, rest = (double)left - (double)(full * tokens);
        again = false;
        for (uint64_t e = full; e < experts; e++)
            sum += pow((double)e + 1, -keys->skew);
        for (uint64_t e = full; e < experts; e++)
            target[e] = rest * pow((double)e + 1, -keys->skew) / sum;
        while (full < experts && target[full] >= (double)tokens) {
            target[full++] = (double)tokens;
            again = full < experts;
        }
    }
    for (uint64_t e = 0; e < experts; e++) {
        count[e] = (uint64_t)(target[e] + 1e-9);
        left -= count[e];
    }
    for (; left; left--) {
        uint64_t best = experts;
        for (uint64_t e = 0; e < experts; e++)
            if (count[e] < tokens &&
                (best == experts || target[e] - (double)count[e] > target[best] - (double)count[best] + 1e-9))
                best = e;
        count[best]++;
    }
}

/* Places that one sample has at an expert; tokens beyond them are dropped. */
static uint64_t moe_capacity(const struct moe_keys *keys, uint64_t per_sample)
{
    double places =
        ceil(keys->capacity * (double)keys->chosen * (double)per_sample / (double)keys->experts - 1e-9);
    return places < (double)per_sample ? (uint64_t)places : per_sample;
}

static const struct filling *moe_filling(const struct builder *builder, const struct moe_keys *keys,
                                         const struct moe_shape *shape)
{
    uint64_t experts = (uint64_t)keys->experts, *before;
    uint64_t *count = ARENA_ARRAY(&builder->input->arena, uint64_t, experts);
    double *target = ARENA_ARRAY(&builder->input->arena, double, experts);
    struct filling *filling = builder_filling(builder, experts, shape->tokens, &before);
    uint64_t places = moe_capacity(keys, shape->per_sample) * (shape->tokens / shape->per_sample);
    filling->chosen = (uint32_t)keys->chosen;
    moe_counts(keys, shape->tokens, target, count);
    for (uint64_t e = 0; e < experts; e++) {
        uint64_t here = count[e];
        if (keys->capacity > 0 && (keys->padded || here > places))
            here = places;
        before[e + 1] = before[e] + here;
    }
    return builder_filled(builder, filling);
}

/* Appends iteration dimensions for the tokens, in the order of x. */
static void moe_iterate(struct builder *builder, struct layer_op *op, const struct moe_shape *shape)
{
    for (uint32_t i = 0; i + 1 < shape->x.rank; i++)
        builder_dim(builder, op, shape->x.dims[i].size, shape->x.dims[i].label, 0, 0);
}

/* Indexes an operand over the tokens' dimensions and then `more`. */
static struct operand *moe_read(struct builder *builder, struct layer_op *op, const struct moe_shape *shape,
                                uint32_t tensor, const int8_t more[], uint32_t count)
{
    struct operand *operand = builder_operand(builder, op, tensor);
    uint32_t tokens = shape->x.rank - 1;
    for (uint32_t i = 0; i < tokens; i++)
        operand->dims[i].dim = (int8_t)i;
    for (uint32_t i = 0; i < count; i++)
        operand->dims[tokens + i].dim = more[i];
    return operand;
}

static void moe_write(struct builder *builder, struct layer_op *op, const struct moe_shape *shape,
                      const uint32_t labels[], const int8_t more[], uint32_t count)
{
    struct operand *output = builder_output(builder, op);
    for (uint32_t i = 0; i + 1 < shape->x.rank; i++)
        builder_extend(builder, op, output, shape->x.dims[i].label, (int8_t)i);
    for (uint32_t i = 0; i < count; i++)
        builder_extend(builder, op, output, labels[i], more[i]);
}

/* Each device scores all experts: e is not called e here, so that splitting the experts leaves the router
 * whole. */
static uint32_t moe_router(struct builder *builder, const struct moe_keys *keys,
                           const struct moe_shape *shape)
{
    struct layer_op *op = builder_operator(builder, OPERATOR_EINSUM, KERNEL_MATMUL, "router");
    moe_iterate(builder, op, shape);
    int8_t o = builder_dim(builder, op, (uint64_t)keys->experts, builder_name(builder, "o"), 0, 0);
    int8_t i = builder_dim(builder, op, shape->x.dims[shape->x.rank - 1].size, builder_name(builder, "i"),
                           shape->h, 0);
    moe_read(builder, op, shape, builder->inputs[0], &i, 1)->saved = true;
    struct operand *weight = builder_parameter(builder, op, "router.weight");
    builder_extend(builder, op, weight, shape->e, o);
    builder_extend(builder, op, weight, shape->h, i);
    moe_write(builder, op, shape, &shape->e, &o, 1);
    return builder_newest(builder);
}

/* Scores, their k largest, and weights. A token's rank within its expert decides whether it is dropped, so
 * with a capacity the whole sample is looked at together. */
static uint32_t moe_route(struct builder *builder, const struct moe_keys *keys, const struct moe_shape *shape,
                          uint32_t logits)
{
    struct layer_op *op = builder_pointwise(builder, logits, "route", 8);
    uint32_t e = op->dim_count - 1;
    op->dims[e].opaque = true;
    op->normalised = 1u << e;
    for (uint32_t d = 1; d < e && keys->capacity > 0; d++)
        op->dims[d].opaque = true;
    op->output_saved = true;
    if (keys->correction)
        builder_extend(builder, op, builder_parameter(builder, op, "router.correction"), shape->e, (int8_t)e);
    return builder_newest(builder);
}

/* The iteration dimension of the experts, filled with tokens. */
static int8_t moe_experts(struct builder *builder, struct layer_op *op, const struct moe_keys *keys,
                          const struct moe_shape *shape)
{
    int8_t e = builder_dim(builder, op, (uint64_t)keys->experts, shape->e, 0, 0);
    op->dims[e].filling = shape->filling;
    return e;
}

static uint32_t moe_dispatch(struct builder *builder, const struct moe_keys *keys,
                             const struct moe_shape *shape, uint32_t weights)
{
    struct layer_op *op = builder_operator(builder, OPERATOR_POINTWISE, KERNEL_MEMORY, "dispatch");
    moe_iterate(builder, op, shape);
    int8_t e = moe_experts(builder, op, keys, shape);
    int8_t h = builder_dim(builder, op, shape->x.dims[shape->x.rank - 1].size, shape->h, 0, 0);
    op->linear = true;
    moe_read(builder, op, shape, builder->inputs[0], &h, 1);
    moe_read(builder, op, shape, weights, &e, 1)->gradient = false; /* only whether it is 0 */
    moe_write(builder, op, shape, (const uint32_t[]){shape->e, shape->h}, (const int8_t[]){e, h}, 2);
    return builder_newest(builder);
}

/* One product, from `in` to `out` features; of the experts when `x` has a dimension e. */
static uint32_t moe_product(struct builder *builder, const struct moe_keys *keys,
                            const struct moe_shape *shape, uint32_t x, const char *name,
                            struct tensor_dim out, struct tensor_dim in, bool experts)
{
    struct layer_op *op = builder_operator(builder, OPERATOR_EINSUM, KERNEL_MATMUL, name);
    int8_t e = -1;
    moe_iterate(builder, op, shape);
    if (experts)
        e = moe_experts(builder, op, keys, shape);
    op->expert = experts;
    int8_t o = builder_dim(builder, op, out.size, builder_name(builder, "o"), out.label, 0);
    int8_t i = builder_dim(builder, op, in.size, builder_name(builder, "i"), in.label, 0);
    const int8_t read[] = {e, i}, write[] = {e, o};
    const uint32_t labels[] = {shape->e, out.label};
    moe_read(builder, op, shape, x, read + !experts, 1u + experts)->saved = true;
    struct operand *weight =
        builder_parameter(builder, op, arena_format(&builder->input->arena, "%s.weight", name));
    if (experts) {
        builder_extend(builder, op, weight, shape->e, e);
        builder->model->tensors.at[weight->tensor].dims[0].filling = NULL; /* every expert has its weights */
    }
    builder_extend(builder, op, weight, out.label, o);
    builder_extend(builder, op, weight, in.label, i);
    moe_write(builder, op, shape, labels + !experts, write + !experts, 1u + experts);
    return builder_newest(builder);
}

/* An inner layer: gated (function(gate) · up, then down) or plain (up with its activation, then down).
 * `prefix`: of the operators' names, as "experts.up". */
static uint32_t moe_inner(struct builder *builder, const struct moe_keys *keys, const struct moe_shape *shape,
                          uint32_t x, const char *prefix, uint64_t size, bool experts)
{
    struct arena *arena = &builder->input->arena;
    const struct activation_cost *cost = &activation_costs[keys->act];
    struct tensor_dim f = {.label = shape->f, .size = size};
    struct tensor_dim h = {.label = shape->h, .size = shape->x.dims[shape->x.rank - 1].size};
    uint32_t gate = MODEL_NONE;
    if (keys->gated)
        gate = moe_product(builder, keys, shape, x, arena_format(arena, "%s.gate", prefix), f, h, experts);
    uint32_t up = moe_product(builder, keys, shape, x, arena_format(arena, "%s.up", prefix), f, h, experts);
    const char *name = arena_format(arena, keys->gated ? "%s.glu" : "%s.act", prefix);
    struct layer_op *op = builder_pointwise(builder, keys->gated ? gate : up, name, cost->flops);
    op->expert = experts;
    if (keys->gated) {
        builder_operand_alike(builder, op, up)->saved = true;
        op->operands[0].saved = true;
        op->flops_per_point++;
    } else {
        op->fused = true;
        op->operands[0].saved = cost->input_saved;
        op->output_saved = cost->output_saved;
    }
    return moe_product(builder, keys, shape, builder_newest(builder), arena_format(arena, "%s.down", prefix),
                       h, f, experts);
}

static uint32_t moe_combine(struct builder *builder, const struct moe_keys *keys,
                            const struct moe_shape *shape, uint32_t outputs, uint32_t weights)
{
    struct layer_op *op = builder_operator(builder, OPERATOR_POINTWISE, KERNEL_MEMORY, "combine");
    moe_iterate(builder, op, shape);
    int8_t e = moe_experts(builder, op, keys, shape);
    int8_t h = builder_dim(builder, op, shape->x.dims[shape->x.rank - 1].size, shape->h, 0, 0);
    op->linear = true;
    op->flops_per_point = 2;
    moe_read(builder, op, shape, outputs, (const int8_t[]){e, h}, 2)->saved = true;
    moe_read(builder, op, shape, weights, &e, 1)->saved = true;
    moe_write(builder, op, shape, &shape->h, &h, 1);
    return builder_newest(builder);
}

/* Experts that every token uses, as one inner layer of their summed width; perhaps with a gate of their own
 * (Qwen 1.5 and 2): a sigmoid of one product per token. */
static void moe_shared(struct builder *builder, const struct moe_keys *keys, const struct moe_shape *shape,
                       uint32_t routed)
{
    uint32_t y = moe_inner(builder, keys, shape, builder->inputs[0], "shared", (uint64_t)keys->shared, false);
    if (keys->shared_gate) {
        struct layer_op *op = builder_operator(builder, OPERATOR_EINSUM, KERNEL_MATMUL, "shared.gating");
        moe_iterate(builder, op, shape);
        int8_t i = builder_dim(builder, op, shape->x.dims[shape->x.rank - 1].size, builder_name(builder, "i"),
                               shape->h, 0);
        moe_read(builder, op, shape, builder->inputs[0], &i, 1)->saved = true;
        builder_extend(builder, op, builder_parameter(builder, op, "shared.gating.weight"), shape->h, i);
        moe_write(builder, op, shape, NULL, NULL, 0);
        uint32_t gate = builder_newest(builder);
        op = builder_pointwise(builder, y, "shared.gated", activation_costs[ACTIVATION_SIGMOID].flops + 1);
        op->operands[0].saved = true;
        moe_read(builder, op, shape, gate, NULL, 0)->saved = true;
        y = builder_newest(builder);
    }
    struct layer_op *op = builder_pointwise(builder, routed, "sum", 1);
    builder_operand_alike(builder, op, y);
}

static bool moe_check(struct builder *builder, const struct moe_keys *keys, struct moe_shape *shape)
{
    if (!builder_want_inputs(builder, 1, 1))
        return false;
    shape->x = builder_input(builder, 0);
    shape->e = builder_name(builder, "e");
    shape->f = builder_name(builder, "f");
    shape->h = builder_name(builder, "h");
    if (shape->x.rank < 2 || shape->x.rank > TENSOR_DIMS - 1 ||
        shape->x.dims[shape->x.rank - 1].label != shape->h || builder_find(builder, &shape->x, "b") != 0)
        return builder_error(builder,
                             "needs tokens of h features: an input with dimensions b, s, h; it has %s",
                             builder_describe(builder, &shape->x));
    if (keys->chosen > keys->experts)
        return builder_error(builder, "sends each token to %lld of %lld experts", (long long)keys->chosen,
                             (long long)keys->experts);
    if (keys->shared_gate && !keys->shared)
        return builder_error(builder, "has a gate for shared experts, but none of those: say `shared`");
    shape->tokens = 1;
    for (uint32_t i = 0; i + 1 < shape->x.rank; i++)
        shape->tokens *= shape->x.dims[i].size;
    shape->per_sample = shape->tokens / shape->x.dims[0].size;
    return true;
}

static bool moe_build(struct builder *builder, const void *values)
{
    const struct moe_keys *keys = values;
    struct moe_shape shape = {0};
    if (!moe_check(builder, keys, &shape))
        return false;
    shape.filling = moe_filling(builder, keys, &shape);
    uint32_t weights = moe_route(builder, keys, &shape, moe_router(builder, keys, &shape));
    uint32_t sent = moe_dispatch(builder, keys, &shape, weights);
    uint32_t outputs = moe_inner(builder, keys, &shape, sent, "experts", (uint64_t)keys->inner, true);
    uint32_t routed = moe_combine(builder, keys, &shape, outputs, weights);
    if (keys->shared)
        moe_shared(builder, keys, &shape, routed);
    return !builder->failed;
}

#define AT(member) offsetof(struct moe_keys, member)
static const struct field moe_fields[] = {
    {"experts", FIELD_INTEGER, AT(experts), .required = true, .low = 1, .high = 1e5, .about = "how many"},
    {"top-k", FIELD_INTEGER, AT(chosen), .required = true, .low = 1, .high = 1e5,
     .about = "experts that each token is sent to"},
    {"inner", FIELD_INTEGER, AT(inner), .required = true, .low = 1, .high = 1e9,
     .about = "inner features of one expert"},
    {"gated", FIELD_FLAG, AT(gated),
     .about = "gate, up and down (SwiGLU) rather than up and down; default yes"},
    {"act", FIELD_CHOICE, AT(act), .choices = activation_names,
     .about = "function of the gate, or between up and down; default silu"},
    {"capacity", FIELD_NUMBER, AT(capacity), .low = 0, .high = 1e6,
     .about =
         "places that each expert has for a sample's tokens, as a multiple of the even share top-k · s / "
         "experts; tokens beyond are dropped; default 0: none is dropped"},
    {"padded", FIELD_FLAG, AT(padded),
     .about = "with a capacity: unused places are sent and computed too, as with buffers of fixed size; "
              "default yes"},
    {"skew", FIELD_NUMBER, AT(skew), .low = 0, .high = 100,
     .about = "Zipf exponent of the experts' popularity, expert 0 the most popular; default 0: equal loads"},
    {"correction", FIELD_FLAG, AT(correction),
     .about = "a value per expert that is added to the scores (DeepSeek-V3); default no"},
    {"shared", FIELD_INTEGER, AT(shared), .low = 0, .high = 1e9,
     .about = "inner features of the experts that every token uses, all together; default 0: none"},
    {"shared-gate", FIELD_FLAG, AT(shared_gate),
     .about = "the shared experts' sum is weighted by a gate of its own (Qwen 2); default no"},
};
#undef AT
static const struct moe_keys moe_defaults = {.gated = true, .padded = true, .act = ACTIVATION_SILU};

const struct layer_kind moe_layer = {
    .name = "moe",
    .about = "mixture of experts: router, top-k, dispatch, experts, combination, shared experts",
    .fields = moe_fields,
    .field_count = FIELDS_COUNT(moe_fields),
    .build = moe_build,
    .keys_size = sizeof(struct moe_keys),
    .defaults = &moe_defaults,
};
