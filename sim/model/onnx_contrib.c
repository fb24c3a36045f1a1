/* Onnx_contrib: operators of the domain com.microsoft, which the optimiser and the quantiser of ONNX Runtime
 * write (github.com/microsoft/onnxruntime, docs/ContribOperators.md), as the standard ones that they stand
 * for. */
#include "model/onnx_expand.h"

#include <string.h>

#define MS "com.microsoft"

static const char *contrib_in(struct onnx_expand *expand, uint32_t input)
{
    return onnx_expand_in(expand, input);
}

static const char *contrib_add(struct onnx_expand *expand, const char *x, const char *more)
{
    return *more ? onnx_expand_put(expand, "Add", x, more, NULL) : x;
}

/* ---- point-wise work ---- */

static bool contrib_gelu(struct onnx_expand *expand) /* FastGelu, BiasGelu: a bias that may be left out */
{
    onnx_expand_give(expand, 0, "Gelu", contrib_add(expand, contrib_in(expand, 0), contrib_in(expand, 1)),
                     NULL);
    return !expand->failed;
}

static bool contrib_quick_gelu(struct onnx_expand *expand)
{
    onnx_expand_give(expand, 0, "Swish", contrib_in(expand, 0), NULL);
    return !expand->failed;
}

static bool contrib_bias_softmax(struct onnx_expand *expand)
{
    const char *sum = contrib_add(expand, contrib_in(expand, 0), contrib_in(expand, 1));
    onnx_expand_copy(expand, "axis");
    onnx_expand_give(expand, 0, "Softmax", sum, NULL);
    return !expand->failed;
}

static bool contrib_bias_add(struct onnx_expand *expand)
{
    const char *sum = contrib_add(expand, contrib_in(expand, 0), contrib_in(expand, 1));
    onnx_expand_give(expand, 0, "Add", sum, contrib_in(expand, 2), NULL);
    return !expand->failed;
}

static bool contrib_bias_split_gelu(struct onnx_expand *expand)
{
    const char *sum = contrib_add(expand, contrib_in(expand, 0), contrib_in(expand, 1)),
               *halves[2] = {NULL, NULL};
    if (expand->failed)
        return false;
    onnx_expand_int(expand, "axis", -1);
    onnx_expand_many(expand, "Split", &sum, 1, halves, 2);
    if (!expand->failed)
        onnx_expand_give(expand, 0, "Mul", halves[0], onnx_expand_put(expand, "Gelu", halves[1], NULL), NULL);
    return !expand->failed;
}

/* ---- normalisation ---- */

static bool contrib_norm(struct onnx_expand *expand, const char *x, const char *scale, const char *shift)
{
    onnx_expand_int(expand, "axis", -1);
    if (*shift)
        onnx_expand_give(expand, 0, "LayerNormalization", x, scale, shift, NULL);
    else
        onnx_expand_give(expand, 0, "LayerNormalization", x, scale, NULL);
    return !expand->failed;
}

static bool
contrib_skip_norm(struct onnx_expand *expand) /* input, skip, scale, shift, bias; sum as output 3 */
{
    const char *sum = contrib_add(expand, contrib_in(expand, 0), contrib_in(expand, 1));
    sum = contrib_add(expand, sum, contrib_in(expand, 4));
    if (onnx_expand_wants(expand, 3))
        sum = onnx_expand_give(expand, 3, "Identity", sum, NULL);
    return contrib_norm(expand, sum, contrib_in(expand, 2), contrib_in(expand, 3));
}

static bool contrib_skip_simple_norm(struct onnx_expand *expand) /* input, skip, scale, bias */
{
    const char *sum = contrib_add(expand, contrib_in(expand, 0), contrib_in(expand, 1));
    sum = contrib_add(expand, sum, contrib_in(expand, 3));
    if (onnx_expand_wants(expand, 3))
        sum = onnx_expand_give(expand, 3, "Identity", sum, NULL);
    onnx_expand_give(expand, 0, "RMSNormalization", sum, contrib_in(expand, 2), NULL);
    return !expand->failed;
}

/* tokens, types, tables of words, positions and types, scale, shift, mask, positions */
static bool contrib_embed(struct onnx_expand *expand)
{
    const char *tokens = contrib_in(expand, 0), *places = contrib_in(expand, 8);
    const char *x = onnx_expand_put(expand, "Gather", contrib_in(expand, 2), tokens, NULL);
    if (!*places) {
        const char *one = onnx_expand_whole(expand, 1);
        const char *length =
            onnx_expand_put(expand, "Gather", onnx_expand_put(expand, "Shape", tokens, NULL), one, NULL);
        places = onnx_expand_put(expand, "Range", onnx_expand_whole(expand, 0), length, one, NULL);
    }
    x = contrib_add(expand, x, onnx_expand_put(expand, "Gather", contrib_in(expand, 3), places, NULL));
    if (*contrib_in(expand, 1) && *contrib_in(expand, 4))
        x = contrib_add(
            expand, x, onnx_expand_put(expand, "Gather", contrib_in(expand, 4), contrib_in(expand, 1), NULL));
    if (onnx_expand_wants(expand, 2))
        x = onnx_expand_give(expand, 2, "Identity", x, NULL);
    if (onnx_expand_wants(expand, 1)) {
        onnx_expand_ints(expand, "axes", (const int64_t[]){1}, 1);
        onnx_expand_int(expand, "keepdims", 0);
        onnx_expand_give(expand, 1, "ReduceMax", *contrib_in(expand, 7) ? contrib_in(expand, 7) : tokens,
                         NULL);
    }
    return contrib_norm(expand, x, contrib_in(expand, 5), contrib_in(expand, 6));
}

/* ---- products ---- */

/* The last two dimensions exchanged. */
static const char *contrib_turned(struct onnx_expand *expand, const char *x)
{
    struct onnx_shape shape = onnx_expand_shape(expand, x);
    int64_t order[ONNX_RANK];
    for (uint32_t i = 0; i < shape.rank; i++)
        order[i] = shape.rank > 1 && i + 2 >= shape.rank ? 2 * (int64_t)shape.rank - 3 - i : i;
    onnx_expand_ints(expand, "perm", order, shape.rank);
    return onnx_expand_put(expand, "Transpose", x, NULL);
}

static bool contrib_fused_matmul(struct onnx_expand *expand)
{
    const char *a = contrib_in(expand, 0), *b = contrib_in(expand, 1);
    if (onnx_call_int(&expand->call, "transBatchA", 0) || onnx_call_int(&expand->call, "transBatchB", 0))
        return onnx_call_fail(&expand->call, "exchanges the batch with rows, which is not supported");
    a = onnx_call_int(&expand->call, "transA", 0) ? contrib_turned(expand, a) : a;
    b = onnx_call_int(&expand->call, "transB", 0) ? contrib_turned(expand, b) : b;
    onnx_expand_give(expand, 0, "MatMul", a, b, NULL);
    return !expand->failed;
}

/* A function of the result, when the attribute `activation` names one. */
static bool contrib_activated(struct onnx_expand *expand, const char *y, const char *sum)
{
    const char *kind = onnx_call_text(&expand->call, "activation", "");
    y = contrib_add(expand, y, sum);
    onnx_expand_give(expand, 0, *kind ? kind : "Identity", y, NULL);
    return !expand->failed;
}

static bool contrib_fused_gemm(struct onnx_expand *expand)
{
    onnx_expand_copy(expand, "transA");
    onnx_expand_copy(expand, "transB");
    return contrib_activated(expand,
                             onnx_expand_put(expand, "Gemm", contrib_in(expand, 0), contrib_in(expand, 1),
                                             contrib_in(expand, 2), NULL),
                             "");
}

static bool contrib_fused_conv(struct onnx_expand *expand)
{
    static const char *const keys[] = {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        onnx_expand_copy(expand, keys[i]);
    const char *y = onnx_expand_put(expand, "Conv", contrib_in(expand, 0), contrib_in(expand, 1),
                                    contrib_in(expand, 2), NULL);
    return contrib_activated(expand, y, contrib_in(expand, 3));
}

/* A B, where B was quantised; its scales and zero points are no work of their own. The bias is input `bias`.
 */
static bool contrib_dense(struct onnx_expand *expand, uint32_t bias)
{
    const char *y = onnx_expand_put(expand, "MatMul", contrib_in(expand, 0), contrib_in(expand, 1), NULL);
    if (*contrib_in(expand, bias))
        onnx_expand_give(expand, 0, "Add", y, contrib_in(expand, bias), NULL);
    else
        onnx_expand_give(expand, 0, "Identity", y, NULL);
    return !expand->failed;
}

static bool contrib_dynamic_matmul(struct onnx_expand *expand)
{
    return contrib_dense(expand, 4);
}

static bool contrib_integer_matmul(struct onnx_expand *expand)
{
    return contrib_dense(expand, 6);
}

static bool contrib_quantised_matmul(struct onnx_expand *expand)
{
    onnx_expand_give(expand, 0, "MatMul", contrib_in(expand, 0), contrib_in(expand, 3), NULL);
    return !expand->failed;
}

static bool contrib_gemm(struct onnx_expand *expand) /* QGemm: A, B, C between their scales and zero points */
{
    onnx_expand_copy(expand, "transA");
    onnx_expand_copy(expand, "transB");
    onnx_expand_give(expand, 0, "Gemm", contrib_in(expand, 0), contrib_in(expand, 3), contrib_in(expand, 6),
                     NULL);
    return !expand->failed;
}

/* A weight whose numbers are packed into bytes, as the table that it stands for. */
static const char *contrib_unpacked(struct onnx_expand *expand, const char *packed, int64_t rows,
                                    int64_t columns)
{
    enum { UINT4 = 21 };
    struct onnx_infer *infer = expand->call.infer;
    const struct onnx_value *value = *packed ? onnx_infer_value(infer, packed) : NULL;
    struct onnx_tensor tensor = {.type = UINT4, .shape = {2, {rows, columns}}};
    if (!value || !value->weight)
        return NULL;
    const char *name = arena_format(infer->arena, "%s.unpacked", packed);
    onnx_infer_constant(infer, name, &tensor);
    onnx_infer_value(infer, name)->unpacked = true;
    return name;
}

static bool contrib_few_bits(struct onnx_expand *expand) /* MatMulNBits, MatMulBnb4 */
{
    int64_t k = onnx_call_int(&expand->call, "K", 0), n = onnx_call_int(&expand->call, "N", 0);
    if (k < 1 || n < 1 || k > INT64_C(1) << 30 || n > INT64_C(1) << 30)
        return onnx_call_fail(&expand->call, "says no sizes K and N of its weight");
    const char *weight = contrib_unpacked(expand, contrib_in(expand, 1), k, n), *bias = contrib_in(expand, 5),
               *y;
    if (!weight)
        return onnx_call_fail(&expand->call, "has a weight that is computed, which is not supported");
    y = onnx_expand_put(expand, "MatMul", contrib_in(expand, 0), weight, NULL);
    onnx_expand_give(expand, 0, *bias ? "Add" : "Identity", y, *bias ? bias : NULL, NULL);
    return !expand->failed;
}

static bool
contrib_rows(struct onnx_expand *expand) /* GatherBlockQuantized: rows of 4-bit or 8-bit numbers */
{
    const char *table = contrib_in(expand, 0);
    struct onnx_shape shape = onnx_expand_shape(expand, table);
    const struct onnx_value *value = *table ? onnx_infer_value(expand->call.infer, table) : NULL;
    int64_t bits = onnx_call_int(&expand->call, "bits", 4);
    if (shape.rank == 2 && value->type == ONNX_UINT8 && bits == 4)
        table = contrib_unpacked(expand, table, shape.dims[0], 2 * shape.dims[1]);
    if (!table)
        return onnx_call_fail(&expand->call, "has a weight that is computed, which is not supported");
    onnx_expand_int(expand, "axis", onnx_call_int(&expand->call, "gather_axis", 0));
    onnx_expand_give(expand, 0, "Gather", table, contrib_in(expand, 1), NULL);
    return !expand->failed;
}

/* ---- quantised forms: the same as the standard operator between scales and zero points ---- */

static bool contrib_quantised(struct onnx_expand *expand, const char *kind, const char *second)
{
    static const char *const keys[] = {"axis",     "axes",      "keepdims",          "alpha",
                                       "auto_pad", "ceil_mode", "count_include_pad", "kernel_shape",
                                       "pads",     "strides"};
    if (onnx_call_int(&expand->call, "channels_last", 0))
        return onnx_call_fail(&expand->call, "has its channels last, which is not supported");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        onnx_expand_copy(expand, keys[i]);
    onnx_expand_give(expand, 0, kind, contrib_in(expand, 0), second, NULL);
    return !expand->failed;
}

static bool contrib_quantised_binary(struct onnx_expand *expand)
{
    return contrib_quantised(expand, expand->call.node->kind + strlen("QLinear"), contrib_in(expand, 3));
}

static bool contrib_quantised_unary(struct onnx_expand *expand)
{
    return contrib_quantised(expand, expand->call.node->kind + strlen("QLinear"), NULL);
}

static bool contrib_quantised_concat(struct onnx_expand *expand)
{
    enum { MOST = 64 };
    const char *list[MOST], *out = expand->call.node->outputs.count ? expand->call.node->outputs.at[0] : NULL;
    uint32_t count = 0;
    for (uint32_t i = 2; i < expand->call.node->inputs.count && count < MOST; i += 3)
        list[count++] = contrib_in(expand, i);
    onnx_expand_copy(expand, "axis");
    onnx_expand_many(expand, "Concat", list, count, &out, 1);
    return !expand->failed;
}

static bool contrib_quantised_where(struct onnx_expand *expand)
{
    onnx_expand_give(expand, 0, "Where", contrib_in(expand, 0), contrib_in(expand, 1), contrib_in(expand, 4),
                     NULL);
    return !expand->failed;
}

/* Its weights stand the other way round: [directions, inputs, gates]. */
static bool contrib_dynamic_lstm(struct onnx_expand *expand)
{
    static const char *const keys[] = {"direction", "hidden_size", "layout"};
    const char *list[8], *outputs[3] = {NULL, NULL, NULL};
    for (uint32_t i = 0; i < 8; i++)
        list[i] = i == 1 || i == 2 ? contrib_turned(expand, contrib_in(expand, i)) : contrib_in(expand, i);
    if (expand->failed)
        return false;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        onnx_expand_copy(expand, keys[i]);
    for (uint32_t i = 0; i < 3; i++)
        outputs[i] = onnx_expand_wants(expand, i) ? expand->call.node->outputs.at[i] : NULL;
    onnx_expand_many(expand, "LSTM", list, 8, outputs, 3);
    return !expand->failed;
}

/* ---- attention ---- */

/* One product gives queries, keys and values side by side. The inputs with what is added to it, what was kept
 * of earlier positions, and what is added to the scores (0: none). */
static bool contrib_attention_of(struct onnx_expand *expand, uint32_t bias, uint32_t past, uint32_t added)
{
    const int64_t *sizes;
    uint32_t size_count = onnx_call_ints(&expand->call, "qkv_hidden_sizes", &sizes);
    int64_t heads = onnx_call_int(&expand->call, "num_heads", 1);
    const char *sum = onnx_expand_put(expand, "MatMul", contrib_in(expand, 0), contrib_in(expand, 1), NULL);
    const char *parts[3] = {NULL, NULL, NULL}, *kept = contrib_in(expand, past), *both[2] = {"", ""};
    sum = contrib_add(expand, sum, contrib_in(expand, bias));
    if (expand->failed)
        return false;
    const char *split[2] = {sum, size_count == 3 ? onnx_expand_list(expand, sizes, 3) : ""};
    onnx_expand_int(expand, "axis", -1);
    onnx_expand_many(expand, "Split", split, 2, parts, 3);
    for (int i = 0; i < 3 && !expand->failed; i++)
        parts[i] = onnx_attention_split(expand, parts[i], heads);
    for (int i = 0; i < 2 && *kept && !expand->failed;
         i++) { /* [keys or values, batch, heads, positions, size] */
        onnx_expand_int(expand, "axis", 0);
        both[i] = onnx_expand_put(expand, "Gather", kept, onnx_expand_whole(expand, i), NULL);
        parts[1 + i] = onnx_attention_append(expand, both[i], parts[1 + i]);
    }
    if (expand->failed)
        return false;
    struct onnx_attention_parts attention = {.q = parts[0],
                                             .k = parts[1],
                                             .v = parts[2],
                                             .joined = true,
                                             .causal = onnx_call_int(&expand->call, "unidirectional", 0) != 0,
                                             .added = added ? onnx_attention_added(expand, added) : NULL};
    onnx_attention_give(expand, &attention);
    for (int i = 0; i < 2 && onnx_expand_wants(expand, 1); i++) {
        onnx_expand_ints(expand, "axes", (const int64_t[]){0}, 1);
        both[i] = onnx_expand_put(expand, "Unsqueeze", parts[1 + i], NULL);
    }
    if (onnx_expand_wants(expand, 1)) {
        onnx_expand_int(expand, "axis", 0);
        onnx_expand_give(expand, 1, "Concat", both[0], both[1], NULL);
    }
    return !expand->failed;
}

static bool contrib_attention(struct onnx_expand *expand)
{
    return contrib_attention_of(expand, 2, 4, 5);
}

static bool contrib_quantised_attention(struct onnx_expand *expand)
{
    return contrib_attention_of(expand, 2, 8, 0);
}

/* query, key, value, bias of all three, masks, past keys, past values */
static bool contrib_multi_head(struct onnx_expand *expand)
{
    int64_t heads = onnx_call_int(&expand->call, "num_heads", 1);
    const char *list[3] = {contrib_in(expand, 0), contrib_in(expand, 1), contrib_in(expand, 2)},
               *biases[3] = {NULL, NULL, NULL}, *bias = contrib_in(expand, 3);
    if (!*list[1] || !*list[2])
        return onnx_call_fail(&expand->call,
                              "has queries, keys and values in one tensor, which is not supported");
    if (*bias) {
        int64_t sizes[3];
        for (int i = 0; i < 3; i++) {
            struct onnx_shape shape = onnx_expand_shape(expand, list[i]);
            sizes[i] = shape.rank == 4 ? shape.dims[1] * shape.dims[3]
                       : shape.rank    ? shape.dims[shape.rank - 1]
                                       : 0;
        }
        const char *split[2] = {bias, onnx_expand_list(expand, sizes, 3)};
        onnx_expand_int(expand, "axis", 0);
        onnx_expand_many(expand, "Split", split, 2, biases, 3);
    }
    for (int i = 0; i < 3 && !expand->failed; i++) {
        bool flat = onnx_expand_shape(expand, list[i]).rank == 3;
        list[i] = flat && biases[i] ? contrib_add(expand, list[i], biases[i]) : list[i];
        list[i] = onnx_attention_split(expand, list[i], heads);
    }
    if (expand->failed)
        return false;
    struct onnx_attention_parts parts = {.q = list[0],
                                         .joined = true,
                                         .present = true,
                                         .added = onnx_attention_added(expand, 5),
                                         .causal = onnx_call_int(&expand->call, "unidirectional", 0) != 0};
    parts.k = onnx_attention_append(expand, contrib_in(expand, 6), list[1]);
    parts.v = onnx_attention_append(expand, contrib_in(expand, 7), list[2]);
    onnx_attention_give(expand, &parts);
    return !expand->failed;
}

/* query, key, value (or all in the first), past keys, past values, lengths, tables of the rotation */
static bool contrib_grouped(struct onnx_expand *expand)
{
    int64_t heads = onnx_call_int(&expand->call, "num_heads", 1),
            groups = onnx_call_int(&expand->call, "kv_num_heads", 1);
    const char *list[3] = {contrib_in(expand, 0), contrib_in(expand, 1), contrib_in(expand, 2)};
    if (!*list[1]) {
        struct onnx_shape shape = onnx_expand_shape(expand, list[0]);
        if (shape.rank != 3 || heads < 1 || groups < 1 || shape.dims[2] % (heads + 2 * groups))
            return onnx_call_fail(&expand->call,
                                  "has an input that is no queries, keys and values of its heads");
        int64_t size = shape.dims[2] / (heads + 2 * groups);
        const char *split[2] = {
            list[0],
            onnx_expand_list(expand, (const int64_t[]){heads * size, groups * size, groups * size}, 3)};
        list[0] = NULL, list[1] = NULL, list[2] = NULL;
        onnx_expand_int(expand, "axis", -1);
        onnx_expand_many(expand, "Split", split, 2, list, 3);
    }
    for (int i = 0; i < 3 && !expand->failed; i++) {
        list[i] = onnx_attention_split(expand, list[i], i ? groups : heads);
        if (i < 2 && onnx_call_int(&expand->call, "do_rotary", 0))
            list[i] = onnx_expand_put(expand, "RotaryEmbedding", list[i], contrib_in(expand, 7),
                                      contrib_in(expand, 8), NULL);
    }
    if (expand->failed)
        return false;
    struct onnx_attention_parts parts = {.q = list[0], .joined = true, .causal = true, .present = true};
    parts.k = onnx_attention_append(expand, contrib_in(expand, 3), list[1]);
    parts.v = onnx_attention_append(expand, contrib_in(expand, 4), list[2]);
    onnx_attention_give(expand, &parts);
    return !expand->failed;
}

/* x, positions, tables: the order of the standard is x, tables, positions. */
static bool contrib_rotary(struct onnx_expand *expand)
{
    onnx_expand_give(expand, 0, "RotaryEmbedding", contrib_in(expand, 0), contrib_in(expand, 2),
                     contrib_in(expand, 3), contrib_in(expand, 1), NULL);
    return !expand->failed;
}

const struct onnx_expander onnx_contrib_expanders[] = {
    {MS, "FastGelu", contrib_gelu, NULL},
    {MS, "BiasGelu", contrib_gelu, NULL},
    {MS, "QuickGelu", contrib_quick_gelu, NULL},
    {MS, "BiasSoftmax", contrib_bias_softmax, NULL},
    {MS, "BiasAdd", contrib_bias_add, NULL},
    {MS, "BiasSplitGelu", contrib_bias_split_gelu, NULL},
    {MS, "SkipLayerNormalization", contrib_skip_norm, NULL},
    {MS, "SkipSimplifiedLayerNormalization", contrib_skip_simple_norm, NULL},
    {MS, "EmbedLayerNormalization", contrib_embed, NULL},
    {MS, "FusedMatMul", contrib_fused_matmul, NULL},
    {MS, "TransposeMatMul", contrib_fused_matmul, NULL},
    {MS, "FusedGemm", contrib_fused_gemm, NULL},
    {MS, "FusedConv", contrib_fused_conv, NULL},
    {MS, "DynamicQuantizeMatMul", contrib_dynamic_matmul, NULL},
    {MS, "MatMulIntegerToFloat", contrib_integer_matmul, NULL},
    {"", "QLinearMatMul", contrib_quantised_matmul, NULL},
    {MS, "QGemm", contrib_gemm, NULL},
    {MS, "MatMulNBits", contrib_few_bits, NULL},
    {MS, "MatMulBnb4", contrib_few_bits, NULL},
    {MS, "GatherBlockQuantized", contrib_rows, NULL},
    {MS, "QLinearAdd", contrib_quantised_binary, NULL},
    {MS, "QLinearMul", contrib_quantised_binary, NULL},
    {MS, "QLinearSigmoid", contrib_quantised_unary, NULL},
    {MS, "QLinearLeakyRelu", contrib_quantised_unary, NULL},
    {MS, "QLinearSoftmax", contrib_quantised_unary, NULL},
    {MS, "QLinearGlobalAveragePool", contrib_quantised_unary, NULL},
    {MS, "QLinearAveragePool", contrib_quantised_unary, NULL},
    {MS, "QLinearReduceMean", contrib_quantised_unary, NULL},
    {MS, "QLinearConcat", contrib_quantised_concat, NULL},
    {MS, "QLinearWhere", contrib_quantised_where, NULL},
    {MS, "DynamicQuantizeLSTM", contrib_dynamic_lstm, NULL},
    {MS, "Attention", contrib_attention, NULL},
    {MS, "QAttention", contrib_quantised_attention, NULL},
    {MS, "MultiHeadAttention", contrib_multi_head, NULL},
    {MS, "DecoderMaskedMultiHeadAttention", contrib_multi_head, NULL},
    {MS, "GroupQueryAttention", contrib_grouped, NULL},
    {MS, "RotaryEmbedding", contrib_rotary, NULL},
    {.kind = NULL},
};
