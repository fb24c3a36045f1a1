/* Onnx_attention: attention as one operator: Attention of the standard, which recognised parts and fused
 * forms of optimisers become too; and products with weights that give or take heads. Queries, keys and values
 * are [batch, heads, positions, size of a head], or without heads. */
#include "model/onnx_expand.h"
#include "model/onnx_operator.h"

#include <string.h>

/* ---- Attention ---- */

static bool onnx_attention_infer(struct onnx_call *call)
{
    const struct onnx_value *q = onnx_call_in(call, 0), *k = onnx_call_in(call, 1),
                            *v = onnx_call_in(call, 2);
    struct onnx_shape shape = q->shape;
    uint32_t rank = shape.rank;
    bool good = (rank == 3 || rank == 4) && k->shape.rank == rank && v->shape.rank == rank;
    good = good && k->shape.dims[rank - 1] == shape.dims[rank - 1] &&
           k->shape.dims[rank - 2] == v->shape.dims[rank - 2];
    good = good && k->shape.dims[0] == shape.dims[0] && v->shape.dims[0] == shape.dims[0];
    if (good && rank == 4)
        good = k->shape.dims[1] > 0 && shape.dims[1] % k->shape.dims[1] == 0 &&
               v->shape.dims[1] == k->shape.dims[1];
    if (!good)
        return onnx_call_fail(call,
                              "has queries of %s, keys of %s and values of %s, which do not fit each other",
                              onnx_call_describe(call->infer->arena, &q->shape),
                              onnx_call_describe(call->infer->arena, &k->shape),
                              onnx_call_describe(call->infer->arena, &v->shape));
    shape.dims[rank - 1] = v->shape.dims[rank - 1];
    return onnx_call_give(call, 0, q->type, &shape);
}

/* A layer that gives heads as groups and heads of a group, or joins these again. */
static const char *onnx_attention_heads(struct onnx_call *call, const char *from,
                                        const struct onnx_value *value, int64_t groups, bool cut,
                                        const char *const *labels)
{
    const int64_t pieces[2] = {groups, value->shape.dims[1] / groups};
    struct value *layer = onnx_write_layer(call, "reshape", cut ? "groups" : "heads");
    onnx_write_text(call, layer, "from", from);
    onnx_write_cut(call, layer, "dims", value, 1, pieces, cut ? 2 : 0, labels);
    return layer->entries[0].value->text;
}

/* Adds what is added to the scores to the layer's inputs. Where heads are in groups (`groups` > 0), so they
 * are here: a layer before it cuts them. */
static void onnx_attention_add(struct onnx_call *call, struct value *layer, struct onnx_value *bias,
                               int64_t groups, int64_t each)
{
    static const char *const labels[] = {"b", "g", "r", "q", "k"};
    uint32_t rank = bias->shape.rank;
    if (!groups || rank < 3) {
        onnx_write_from(call, layer, bias);
        return;
    }
    bool all = bias->shape.dims[rank - 3] == 1;
    const int64_t pieces[2] = {all ? 1 : groups, all ? 1 : each};
    struct value *cut = onnx_write_layer(call, "reshape", "pairs");
    struct onnx_value parts = {.layer = cut->entries[0].value->text};
    onnx_write_from(call, cut, bias);
    onnx_write_cut(call, cut, "dims", bias, rank - 3, pieces, 2, labels + (4 - rank));
    onnx_write_from(call, layer, &parts);
}

static bool onnx_attention_write(struct onnx_call *call)
{
    static const char *const whole[] = {"b", "g", "s", "d"}, *const single[] = {"b", "s", "d"},
                             *const grouped[] = {"b", "g", "r", "s", "d"};
    struct onnx_value *inputs[3] = {onnx_call_in(call, 0), onnx_call_in(call, 1), onnx_call_in(call, 2)};
    const struct onnx_value *out = onnx_call_out(call, 0);
    bool heads = out->shape.rank == 4;
    int64_t groups = heads ? inputs[1]->shape.dims[1] : 1;
    bool shared = heads && groups != out->shape.dims[1];
    const char *const *labels = heads ? whole : single, *names[3];
    for (int i = 0; i < 3; i++) {
        struct onnx_value in = onnx_write_labelled(call, inputs[i], labels,
                                                   i == 0   ? "queries"
                                                   : i == 1 ? "keys"
                                                            : "values");
        names[i] = in.layer;
    }
    if (shared)
        names[0] = onnx_attention_heads(call, names[0], inputs[0], groups, true, grouped);
    struct value *layer = onnx_write_layer(call, "attention", "");
    struct value *list = value_new(call->infer->arena, layer->place, VALUE_LIST);
    for (int i = 0; i < 3; i++)
        value_append(call->infer->arena, list,
                     value_new_scalar(call->infer->arena, layer->place, names[i], false));
    value_put(call->infer->arena, layer, "from", layer->place, list);
    if (call->node->kind == onnx_attention_biased)
        onnx_attention_add(call, layer, onnx_call_in(call, 3), shared ? groups : 0,
                           shared ? out->shape.dims[1] / groups : 0);
    if (onnx_call_int(call, "is_causal", 0) &&
        inputs[0]->shape.dims[heads + 1] == inputs[1]->shape.dims[heads + 1])
        onnx_write_text(call, layer, "mask", "causal");
    if (call->infer->choices.flash)
        onnx_write_text(call, layer, "flash", "yes");
    const char *name = layer->entries[0].value->text;
    if (heads) {
        struct value *turned = onnx_write_layer(call, "transpose", "turned");
        onnx_write_text(call, turned, "from", name);
        onnx_write_text(call, turned, "order", shared ? "b g r s d" : "b g s d");
        layer = turned;
        name = turned->entries[0].value->text;
    }
    if (shared)
        name = onnx_attention_heads(call, name, out, groups, false, whole);
    onnx_write_gives(call, layer, 0, labels);
    onnx_call_out(call, 0)->layer = name;
    return true;
}

/* Positions and heads in the standard's three-dimensional form, a cache, or the new cache as output. */
static bool onnx_attention_is_wide(const struct onnx_call *call)
{
    const struct onnx_value *q = onnx_call_in(call, 0);
    return (q && q->shape.rank == 3 && onnx_file_attribute(call->node, "q_num_heads")) ||
           call->node->outputs.count > 1 || onnx_call_in(call, 4);
}

const char *onnx_attention_split(struct onnx_expand *expand, const char *x, int64_t heads)
{
    static const int64_t order[] = {0, 2, 1, 3};
    if (onnx_expand_shape(expand, x).rank != 3)
        return x;
    const char *target = onnx_expand_list(expand, (const int64_t[]){0, 0, heads, -1}, 4);
    x = onnx_expand_put(expand, "Reshape", x, target, NULL);
    onnx_expand_ints(expand, "perm", order, 4);
    return onnx_expand_put(expand, "Transpose", x, NULL);
}

const char *onnx_attention_append(struct onnx_expand *expand, const char *past, const char *x)
{
    struct onnx_shape shape = onnx_expand_shape(expand, past);
    if (!*past || shape.rank != 4 || shape.dims[2] == 0)
        return x;
    onnx_expand_int(expand, "axis", 2);
    return onnx_expand_put(expand, "Concat", past, x, NULL);
}

const char *onnx_attention_added(const struct onnx_expand *expand, uint32_t input)
{
    const char *name = onnx_expand_in(expand, input);
    return *name ? name : NULL;
}

void onnx_attention_give(struct onnx_expand *expand, const struct onnx_attention_parts *parts)
{
    static const int64_t order[] = {0, 2, 1, 3};
    const char *y;
    onnx_expand_int(expand, "is_causal", parts->causal);
    if (!parts->joined) {
        onnx_expand_give(expand, 0, "Attention", parts->q, parts->k, parts->v, parts->added, NULL);
    } else {
        y = onnx_expand_put(expand, "Attention", parts->q, parts->k, parts->v, parts->added, NULL);
        onnx_expand_ints(expand, "perm", order, 4);
        y = onnx_expand_put(expand, "Transpose", y, NULL);
        onnx_expand_give(expand, 0, "Reshape", y, onnx_expand_list(expand, (const int64_t[]){0, 0, -1}, 3),
                         NULL);
    }
    if (onnx_expand_wants(expand, 1) && parts->present)
        onnx_expand_give(expand, 1, "Identity", parts->k, NULL);
    if (onnx_expand_wants(expand, 2) && parts->present)
        onnx_expand_give(expand, 2, "Identity", parts->v, NULL);
}

static bool onnx_attention_wide(struct onnx_expand *expand)
{
    int64_t heads = onnx_call_int(&expand->call, "q_num_heads", 1),
            groups = onnx_call_int(&expand->call, "kv_num_heads", 1);
    struct onnx_attention_parts parts = {.joined =
                                             onnx_expand_shape(expand, onnx_expand_in(expand, 0)).rank == 3,
                                         .causal = onnx_call_int(&expand->call, "is_causal", 0) != 0,
                                         .present = true,
                                         .added = onnx_attention_added(expand, 3)};
    parts.q = onnx_attention_split(expand, onnx_expand_in(expand, 0), heads);
    parts.k = onnx_attention_split(expand, onnx_expand_in(expand, 1), groups);
    parts.v = onnx_attention_split(expand, onnx_expand_in(expand, 2), groups);
    parts.k = onnx_attention_append(expand, onnx_expand_in(expand, 4), parts.k);
    parts.v = onnx_attention_append(expand, onnx_expand_in(expand, 5), parts.v);
    onnx_attention_give(expand, &parts);
    return !expand->failed;
}

/* ---- products with heads ---- */

const char onnx_attention_projection[] = "Projection";

/* Contracts the last `from` dimensions of x with a weight of two dimensions, and gives those of `out`. */
static bool onnx_attention_infer_projection(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    struct onnx_shape shape = x->shape;
    const int64_t *out;
    uint32_t count = onnx_call_ints(call, "out", &out);
    shape.rank -= (uint32_t)onnx_call_int(call, "from", 1);
    for (uint32_t i = 0; i < count; i++)
        shape.dims[shape.rank++] = out[i];
    return onnx_call_give(call, 0, x->type, &shape);
}

static bool onnx_attention_write_projection(struct onnx_call *call)
{
    struct onnx_value *x = onnx_call_in(call, 0), *bias = onnx_call_in(call, 2);
    struct arena *arena = call->infer->arena;
    const int64_t *out;
    const char *labels[ONNX_RANK], *wanted[2] = {"g", "d"};
    uint32_t count = onnx_call_ints(call, "out", &out),
             kept = x->shape.rank - (uint32_t)onnx_call_int(call, "from", 1);
    struct value *layer = onnx_write_layer(call, "fc", ""), *map = value_new(arena, layer->place, VALUE_MAP),
                 *over = value_new(arena, layer->place, VALUE_LIST);
    int64_t in = 1;
    for (uint32_t i = kept; i < x->shape.rank; i++)
        in *= x->shape.dims[i];
    const char *plain = onnx_write_feature(in, out[0], kept > 1);
    onnx_write_from(call, layer, x);
    for (uint32_t i = 0; i < kept; i++)
        labels[i] = x->labels[i];
    for (uint32_t i = 0; i < count; i++) {
        labels[kept + i] = onnx_write_fresh(call, labels, kept + i, count == 2 ? wanted[i] : plain);
        onnx_write_number(call, map, labels[kept + i], out[i]);
    }
    for (uint32_t i = kept; i < x->shape.rank; i++)
        value_append(arena, over, value_new_scalar(arena, layer->place, x->labels[i], false));
    value_put(arena, layer, "out", layer->place, map);
    value_put(arena, layer, "over", layer->place, over);
    if (!bias)
        onnx_write_text(call, layer, "bias", "no");
    else
        onnx_write_owns(call, bias);
    onnx_write_owns(call, onnx_call_in(call, 1));
    onnx_write_gives(call, layer, 0, labels);
    return true;
}

const struct onnx_operator onnx_attention_operators[] = {
    {.kind = "Attention",
     .needed = 3,
     .infer = onnx_attention_infer,
     .write = onnx_attention_write,
     .settings = 120},
    {.kind = NULL},
};

const char onnx_attention_biased[] = "BiasedAttention";

const struct onnx_operator onnx_attention_made[] = {
    {.kind = onnx_attention_biased,
     .needed = 4,
     .infer = onnx_attention_infer,
     .write = onnx_attention_write},
    {.kind = onnx_attention_projection,
     .needed = 2,
     .infer = onnx_attention_infer_projection,
     .write = onnx_attention_write_projection},
    {.kind = NULL},
};

const struct onnx_expander onnx_attention_expanders[] = {
    {"", "Attention", onnx_attention_wide, onnx_attention_is_wide},
    {.kind = NULL},
};
