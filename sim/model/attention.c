/* The attention core: S[b,g,r,q,k] = Q[b,q,g,r,d] K[b,k,g,d], softmax over k, O[b,q,g,r,e] = S V[b,k,g,e].
 * Heads are g groups times r per group; K and V have no r, and multi-head attention has none at all. The
 * projections around it are fc layers. With `flash`, scores and softmax live inside one kernel.
 *
 * One more input, values for pairs of positions in the order b, g, r, q, k, is added to the scores.
 *
 * Multi-head latent attention (DeepSeek-AI 2024, arXiv 2405.04434) adds a second product to the scores, of
 * queries and keys of rotary positions, S += Q'[b,q,g,p] K'[b,k,p], where all heads share one key. */
#include "model/builder.h"
#include "model/frame.h"

#include <stddef.h>
#include <string.h>

enum attention_mask { ATTENTION_MASK_NONE, ATTENTION_MASK_CAUSAL };
enum attention_score { ATTENTION_SCORE_DOT, ATTENTION_SCORE_ADDITIVE };
static const char *const attention_masks[] = {"none", "causal", NULL};
static const char *const attention_scores[] = {"dot", "additive", NULL};

struct attention_keys {
    int mask, score;
    bool dropout, flash, per_head;
    int64_t buckets, window;
    const struct value *cache;
};

/* What the operators share: the sizes by role (0: there is no such dimension). */
struct attention_shape {
    struct tensor q, k, v, q_position, k_position;
    uint32_t bias; /* tensor that is added to the scores; MODEL_NONE: none */
    uint64_t b, g, r, queries, keys, d, e;
    uint32_t value_label;
    double fraction;
    uint64_t window;
    bool flash, per_head, masked, causal;
};

static uint64_t attention_size(const struct builder *builder, const struct tensor *tensor, const char *label)
{
    int at = builder_find(builder, tensor, label);
    return at < 0 ? 0 : tensor->dims[at].size;
}

/* Sizes by label; whatever does not belong, or differs between q, k and v, is an error. */
static bool attention_read(struct builder *builder, struct attention_shape *shape)
{
    shape->q = builder_input(builder, 0);
    shape->k = builder_input(builder, 1);
    shape->v = builder_input(builder, 2);
    shape->bias = builder->input_count % 2 == 0 ? builder->inputs[builder->input_count - 1] : MODEL_NONE;
    if (builder->input_count >= 5) {
        shape->q_position = builder_input(builder, 3);
        shape->k_position = builder_input(builder, 4);
    }
    shape->b = attention_size(builder, &shape->q, "b");
    shape->g = attention_size(builder, &shape->q, "g");
    shape->r = attention_size(builder, &shape->q, "r");
    shape->queries = attention_size(builder, &shape->q, "s");
    shape->keys = attention_size(builder, &shape->k, "s");
    shape->d = attention_size(builder, &shape->q, "d");
    shape->value_label = shape->v.rank ? shape->v.dims[shape->v.rank - 1].label : 0;
    shape->e = shape->v.rank ? shape->v.dims[shape->v.rank - 1].size : 0;
    uint32_t rank = 3u + (shape->g > 0) + (shape->r > 0);
    bool good = shape->b && shape->queries && shape->d && shape->q.rank == rank && shape->keys;
    good = good && shape->k.rank == rank - (shape->r > 0) && shape->v.rank == shape->k.rank;
    good = good && attention_size(builder, &shape->k, "d") == shape->d;
    good = good && attention_size(builder, &shape->k, "g") == shape->g;
    good = good && attention_size(builder, &shape->v, "g") == shape->g;
    good = good && attention_size(builder, &shape->v, "s") == shape->keys;
    good = good && attention_size(builder, &shape->k, "b") == shape->b;
    return good ||
           builder_error(
               builder,
               "needs q with b, s, [g, [r]], d and k, v with b, s, [g], d of the same sizes; got q %s; "
               "k %s; v %s",
               builder_describe(builder, &shape->q), builder_describe(builder, &shape->k),
               builder_describe(builder, &shape->v));
}

/* The further queries and keys: q' as q but for its last dimension, k' with or without the heads. */
static bool attention_read_positions(struct builder *builder, const struct attention_shape *shape)
{
    const struct tensor *q = &shape->q_position, *k = &shape->k_position;
    bool good = q->rank == shape->q.rank && q->rank && k->rank >= 3 && k->rank <= shape->k.rank;
    for (uint32_t i = 0; good && i + 1 < q->rank; i++)
        good = q->dims[i].label == shape->q.dims[i].label && q->dims[i].size == shape->q.dims[i].size;
    good = good && k->dims[k->rank - 1].size == q->dims[q->rank - 1].size;
    good = good && attention_size(builder, k, "b") == shape->b;
    good = good && attention_size(builder, k, "s") == shape->keys;
    good = good && (k->rank == 3 || attention_size(builder, k, "g") == shape->g);
    return good ||
           builder_error(builder,
                         "needs further queries of the shape of q and keys (b, s, [g]) of the same last "
                         "dimension; got %s and %s",
                         builder_describe(builder, q), builder_describe(builder, k));
}

/* Iteration dimensions of a product; -1: none. */
struct attention_dims {
    int8_t b, g, r, q, k, d;
};

static int8_t attention_dim(struct builder *builder, struct layer_op *op, uint64_t size, const char *name)
{
    return size ? builder_dim(builder, op, size, builder_name(builder, name), 0, 0) : (int8_t)-1;
}

static struct attention_dims attention_iterate(struct builder *builder, struct layer_op *op,
                                               const struct attention_shape *shape, uint64_t d,
                                               const char *d_name)
{
    struct attention_dims dims;
    dims.b = attention_dim(builder, op, shape->b, "b");
    dims.g = attention_dim(builder, op, shape->g, "g");
    dims.r = attention_dim(builder, op, shape->r, "r");
    dims.q = attention_dim(builder, op, shape->queries, "q");
    dims.k = attention_dim(builder, op, shape->keys, "k");
    dims.d = attention_dim(builder, op, d, d_name);
    op->rereads = shape->per_head && dims.r >= 0 ? (uint8_t)(dims.r + 1) : 0;
    return dims;
}

/* Both sequences answer to s as well: who splits s splits the queries. */
static void attention_mark(struct builder *builder, struct layer_op *op, const struct attention_shape *shape,
                           int8_t query, int8_t key)
{
    op->attends = true;
    op->masked = shape->masked;
    op->causal = shape->causal;
    op->window = shape->window;
    op->query = query;
    op->key = key;
    op->fraction = shape->fraction;
    op->dims[query].names[1] = op->dims[key].names[1] = builder_name(builder, "s");
}

/* Indexes an operand by its labels; its sequence by `sequence`, its last dimension by `last`. */
static void attention_index(const struct builder *builder, struct operand *operand,
                            const struct tensor *tensor, const struct attention_dims *dims, int8_t sequence,
                            int8_t last)
{
    const struct {
        const char *label;
        int8_t dim;
    } map[] = {{"b", dims->b}, {"g", dims->g}, {"r", dims->r}, {"s", sequence}};
    for (uint32_t i = 0; i < tensor->rank; i++)
        operand->dims[i].dim = last;
    for (size_t m = 0; m < sizeof map / sizeof map[0]; m++) {
        int at = builder_find(builder, tensor, map[m].label);
        if (at >= 0)
            operand->dims[at].dim = map[m].dim;
    }
}

/* Appends the output's dimensions that exist, in this order. */
static void attention_output(struct builder *builder, struct layer_op *op, const char *const labels[],
                             const int8_t dims[], int count)
{
    struct operand *output = builder_output(builder, op);
    for (int i = 0; i < count; i++)
        if (dims[i] >= 0)
            builder_extend(builder, op, output, builder_name(builder, labels[i]), dims[i]);
}

static void attention_hide(const struct builder *builder, const struct attention_shape *shape,
                           uint32_t tensor)
{
    builder->model->tensors.at[tensor].internal = shape->flash;
}

/* Scores: a product of q and k, or (Bahdanau) a learned sum of tanh(q + k) over d. */
static uint32_t attention_score(struct builder *builder, const struct attention_shape *shape, int score,
                                bool positions)
{
    const struct tensor *tensors[2] = {positions ? &shape->q_position : &shape->q,
                                       positions ? &shape->k_position : &shape->k};
    const struct tensor_dim *last = &tensors[0]->dims[tensors[0]->rank - 1];
    struct layer_op *op = builder_operator(builder, OPERATOR_EINSUM, KERNEL_ATTENTION,
                                           positions ? "scores.positions" : "scores");
    op->recomputed = !shape->flash;
    struct attention_dims dims =
        attention_iterate(builder, op, shape, last->size, names_text(builder->model->names, last->label));
    attention_mark(builder, op, shape, dims.q, dims.k);
    for (int i = 0; i < 2; i++) {
        struct operand *operand = builder_operand(builder, op, builder->inputs[positions ? 3 + i : i]);
        attention_index(builder, operand, tensors[i], &dims, i ? dims.k : dims.q, dims.d);
        operand->saved = true;
    }
    if (score == ATTENTION_SCORE_ADDITIVE) {
        op->linear = false;
        op->flops_per_point = 2 + 1 + activation_costs[ACTIVATION_TANH].flops;
        builder_extend(builder, op, builder_parameter(builder, op, "weight"), builder_name(builder, "d"),
                       dims.d);
    }
    attention_output(builder, op, (const char *const[]){"b", "g", "r", "q", "k"},
                     (const int8_t[]){dims.b, dims.g, dims.r, dims.q, dims.k}, 5);
    uint32_t tensor = builder_newest(builder);
    attention_hide(builder, shape, tensor);
    return tensor;
}

/* Learned values per bucket of distances and head, added to the scores (T5). */
static void attention_buckets(struct builder *builder, struct layer_op *op, uint64_t buckets)
{
    struct tensor scores = builder->model->tensors.at[op->operands[0].tensor];
    int g = builder_find(builder, &scores, "g");
    struct operand *table = builder_parameter(builder, op, "buckets");
    builder_extend_whole(builder, table, builder_name(builder, "bucket"), buckets);
    if (g >= 0)
        builder_extend(builder, op, table, scores.dims[g].label, op->operands[0].dims[g].dim);
}

/* Values for pairs of positions (distances, a mask that is learned). Their dimensions are those of the
 * scores, matched from the last; one of size 1 is stretched. */
static bool attention_bias(struct builder *builder, struct layer_op *op, uint32_t tensor)
{
    struct tensor bias = builder->model->tensors.at[tensor],
                  scores = builder->model->tensors.at[op->operands[0].tensor];
    struct operand *operand = builder_operand(builder, op, tensor);
    bool good = bias.rank <= scores.rank;
    op->flops_per_point++;
    for (uint32_t i = 0; good && i < bias.rank; i++) {
        uint32_t at = scores.rank - bias.rank + i;
        good = bias.dims[i].size == 1 || bias.dims[i].size == scores.dims[at].size;
        operand->dims[i].dim = bias.dims[i].size == 1 ? -1 : op->operands[0].dims[at].dim;
    }
    return good || builder_error(builder, "adds %s to its scores, which are %s",
                                 builder_describe(builder, &bias), builder_describe(builder, &scores));
}

/* The weights; MODEL_NONE after reporting. */
static uint32_t attention_softmax(struct builder *builder, const struct attention_shape *shape,
                                  uint32_t scores, uint32_t positions, int64_t buckets)
{
    struct layer_op *op = builder_pointwise(builder, scores, "softmax", 6);
    op->recomputed = !shape->flash;
    uint32_t last = op->dim_count - 1; /* k */
    op->normalised = 1u << last;
    op->statistics_forward = 2; /* maximum and sum */
    op->statistics_backward = 1;
    attention_mark(builder, op, shape, (int8_t)(last - 1), (int8_t)last);
    op->fused = shape->flash;
    op->output_saved = !shape->flash;
    if (positions != MODEL_NONE) {
        builder_operand_alike(builder, op, positions);
        op->flops_per_point++;
    }
    if (buckets)
        attention_buckets(builder, op, (uint64_t)buckets);
    if (shape->bias != MODEL_NONE && !attention_bias(builder, op, shape->bias))
        return MODEL_NONE;
    attention_hide(builder, shape, builder_newest(builder));
    return builder_newest(builder);
}

static uint32_t attention_dropout(struct builder *builder, const struct attention_shape *shape,
                                  uint32_t scores)
{
    struct layer_op *op = builder_pointwise(builder, scores, "dropout", 2);
    op->recomputed = !shape->flash;
    op->linear = true;
    op->training_only = true;
    op->saved_per_output = shape->flash ? 0 : 1; /* flash attention draws the mask again */
    attention_mark(builder, op, shape, (int8_t)(op->dim_count - 2), (int8_t)(op->dim_count - 1));
    op->fused = shape->flash;
    attention_hide(builder, shape, builder_newest(builder));
    return builder_newest(builder);
}

static void attention_context(struct builder *builder, const struct attention_shape *shape, uint32_t scores)
{
    struct tensor weights = builder->model->tensors.at[scores];
    struct layer_op *op = builder_operator(builder, OPERATOR_EINSUM, KERNEL_ATTENTION, "context");
    op->recomputed = !shape->flash;
    const char *e_name = names_text(builder->model->names, shape->value_label);
    struct attention_dims dims = attention_iterate(builder, op, shape, shape->e, e_name);
    attention_mark(builder, op, shape, dims.q, dims.k);
    struct operand *left = builder_operand(builder, op, scores);
    attention_index(builder, left, &weights, &dims, -1, dims.k);
    left->dims[builder_find(builder, &weights, "q")].dim = dims.q;
    left->saved = !shape->flash;
    struct operand *right = builder_operand(builder, op, builder->inputs[2]);
    attention_index(builder, right, &shape->v, &dims, dims.k, dims.d);
    right->saved = true;
    attention_output(builder, op, (const char *const[]){"b", "s", "g", "r", e_name},
                     (const int8_t[]){dims.b, dims.q, dims.g, dims.r, dims.d}, 5);
    op->output_saved = shape->flash; /* its backward pass starts from the output … */
    op->saved_per_output = shape->flash ? 4.0 / (double)shape->e : 0; /* … and one fp32 log-sum-exp per row */
}

/* Marks what is kept for the tokens that follow: k and v, or the layers that `cache` names, from which they
 * can be made again. */
static bool attention_cache(struct builder *builder, const struct value *cache)
{
    struct tensor *tensors = builder->model->tensors.at;
    if (!cache) {
        tensors[builder->inputs[1]].cached = tensors[builder->inputs[2]].cached = true;
        return true;
    }
    if (!fields_want_list(builder->input, cache, cache->place, "`cache`"))
        return !(builder->failed = true);
    for (uint32_t i = 0; i < cache->count; i++) {
        const struct value *name = cache->entries[i].value;
        struct named found =
            name->text ? frame_find(builder, name->text) : (struct named){.tensor = MODEL_NONE};
        if (found.tensor == MODEL_NONE)
            return frame_unknown(builder, name->place, "cache", name->text ? name->text : "");
        tensors[found.tensor].cached = true;
    }
    return true;
}

static bool attention_inputs(struct builder *builder, struct attention_shape *shape)
{
    if (builder->input_count < 3 || builder->input_count > 6)
        return builder_error(
            builder,
            "needs q, k and v, then perhaps a further q and k, then perhaps what is added to "
            "the scores; `from` gives %u inputs",
            builder->input_count);
    return attention_read(builder, shape) &&
           (builder->input_count < 5 || attention_read_positions(builder, shape));
}

/* The part of the points that counts: of a causal triangle, without what is before the window; counted full,
 * a window for each query. */
static double attention_fraction(const struct attention_shape *shape)
{
    double length = (double)shape->keys, window = (double)shape->window;
    bool whole = !shape->window || shape->window >= shape->keys;
    if (!shape->causal)
        return whole ? 1 : window / length;
    if (whole)
        return (length + 1) / (2 * length);
    return (window * (window + 1) / 2 + (length - window) * window) / (length * length);
}

static bool attention_build(struct builder *builder, const void *values)
{
    const struct attention_keys *keys = values;
    struct attention_shape shape = {.fraction = 1,
                                    .flash = keys->flash,
                                    .per_head = keys->per_head,
                                    .masked = keys->mask == ATTENTION_MASK_CAUSAL};
    if (!attention_inputs(builder, &shape))
        return false;
    if (keys->mask == ATTENTION_MASK_CAUSAL && shape.queries != shape.keys)
        return builder_error(builder, "has a causal mask, but %llu queries and %llu keys",
                             (unsigned long long)shape.queries, (unsigned long long)shape.keys);
    if (keys->window && !shape.masked)
        return builder_error(builder, "has a window, but no causal mask");
    shape.window = (uint64_t)keys->window;
    shape.causal = shape.masked && builder->model->causal && shape.keys > 1;
    shape.fraction = attention_fraction(&shape);
    if (!attention_cache(builder, keys->cache))
        return false;
    uint32_t scores = attention_score(builder, &shape, keys->score, false), positions = MODEL_NONE;
    if (builder->input_count >= 5)
        positions = attention_score(builder, &shape, ATTENTION_SCORE_DOT, true);
    uint32_t weights = attention_softmax(builder, &shape, scores, positions, keys->buckets);
    if (weights == MODEL_NONE)
        return false;
    if (keys->dropout)
        weights = attention_dropout(builder, &shape, weights);
    attention_context(builder, &shape, weights);
    return true;
}

static const struct field attention_fields[] = {
    {"mask", FIELD_CHOICE, offsetof(struct attention_keys, mask), .choices = attention_masks,
     .about = "causal: a position attends to itself and those before; counted half when the model's "
              "`attention` is "
              "causal; default none"},
    {"score", FIELD_CHOICE, offsetof(struct attention_keys, score), .choices = attention_scores,
     .about = "dot, or additive (Bahdanau) with a learned vector; default dot"},
    {"dropout", FIELD_FLAG, offsetof(struct attention_keys, dropout),
     .about = "dropout on the weights; default no"},
    {"buckets", FIELD_INTEGER, offsetof(struct attention_keys, buckets), .low = 0, .high = 1e9,
     .about = "rows of a table of learned relative positions, one column per head (T5: 32); default none"},
    {"window", FIELD_INTEGER, offsetof(struct attention_keys, window), .low = 0, .high = 1e9,
     .about = "under a causal mask, positions that a query sees, its own among them; default all"},
    {"flash", FIELD_FLAG, offsetof(struct attention_keys, flash),
     .about = "one kernel that never stores scores or weights; default no"},
    {"per-head", FIELD_FLAG, offsetof(struct attention_keys, per_head),
     .about =
         "a kernel's work on one query head reads keys and values by itself, also where a group of heads has "
         "the same; default no: a group reads them once"},
    {"cache", FIELD_VALUE, offsetof(struct attention_keys, cache),
     .about =
         "layers whose outputs are kept for the tokens that follow, in place of k and v (latent attention)"},
};

const struct layer_kind attention_layer = {
    .name = "attention",
    .about =
        "scores, softmax and context of [q, k, v], or [q, k, v, q', k'] with a second product in the scores; "
        "one more input is added to the scores",
    .fields = attention_fields,
    .field_count = FIELDS_COUNT(attention_fields),
    .build = attention_build,
    .keys_size = sizeof(struct attention_keys),
};
