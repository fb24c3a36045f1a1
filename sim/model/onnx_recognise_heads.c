/* Products with weights around attention: whose result is cut into heads, alone or as queries, keys and
 * values side by side, and those that contract heads. They become products that give and take heads, whose
 * weights can be split by heads. A product that an exporter wrote over rows of a matrix is one over the
 * tensor itself. */
#include "model/onnx_operator.h"
#include "model/onnx_recognise.h"

#include <string.h>

/* A product with a weight, and the bias that is added. */
struct heads_product {
    uint32_t node;             /* whose output is the result */
    const char *x;             /* with all its dimensions */
    const char *weight, *bias; /* bias "": none */
    int64_t out;
    uint32_t rank; /* of x and of the result, before any flattening */
    bool flat;     /* the result still is a matrix: its first reader gives the dimensions back */
};

/* Whether a Reshape only joins or parts the dimensions before the last one. */
static bool heads_rows(const struct onnx_value *a, const struct onnx_value *b)
{
    return a->shape.rank && b->shape.rank &&
           a->shape.dims[a->shape.rank - 1] == b->shape.dims[b->shape.rank - 1];
}

/* The product that gives a value: MatMul, its quantised forms, or Gemm; with an Add of a weight. */
static bool heads_find(const struct onnx_recognise *recognise, const char *name,
                       struct heads_product *product)
{
    uint32_t node = onnx_recognise_from(recognise, name);
    *product = (struct heads_product){.node = node, .bias = ""};
    if (onnx_recognise_is(recognise, node, "Add")) {
        const char *a = onnx_recognise_in(recognise, node, 0), *b = onnx_recognise_in(recognise, node, 1);
        bool first = onnx_recognise_is_own(recognise, a);
        product->bias = first ? a : b;
        if (!onnx_recognise_is_own(recognise, product->bias) ||
            onnx_recognise_value(recognise, product->bias)->shape.rank != 1)
            return false;
        name = first ? b : a;
        node = onnx_recognise_from(recognise, name);
        if (onnx_recognise_to(recognise, name) != product->node)
            return false;
    }
    bool gemm = onnx_recognise_is(recognise, node, "Gemm"), turned = false;
    if (!gemm && !onnx_recognise_is(recognise, node, "MatMul"))
        return false;
    product->x = onnx_recognise_in(recognise, node, 0);
    product->weight = onnx_recognise_in(recognise, node, 1);
    if (gemm) {
        struct onnx_call call = {.infer = recognise->infer, .node = onnx_recognise_node(recognise, node)};
        turned = onnx_call_int(&call, "transB", 0) != 0;
        if (onnx_call_int(&call, "transA", 0) || *product->bias)
            return false;
        product->bias = onnx_recognise_in(recognise, node, 2);
    }
    const struct onnx_value *weight = onnx_recognise_value(recognise, product->weight);
    if (!onnx_recognise_is_own(recognise, product->weight) || weight->shape.rank != 2)
        return false;
    product->out = weight->shape.dims[!turned];
    if (*product->bias && (!onnx_recognise_is_own(recognise, product->bias) ||
                           onnx_recognise_value(recognise, product->bias)->shape.rank != 1 ||
                           onnx_recognise_value(recognise, product->bias)->shape.dims[0] != product->out))
        return false;
    /* A matrix of rows that a Reshape made. */
    const struct onnx_value *x = onnx_recognise_value(recognise, product->x);
    uint32_t rows = onnx_recognise_from(recognise, product->x);
    if (x->shape.rank == 2 && onnx_recognise_is(recognise, rows, "Reshape")) {
        const struct onnx_value *whole =
            onnx_recognise_value(recognise, onnx_recognise_in(recognise, rows, 0));
        if (whole->shape.rank > 2 && !whole->weight && heads_rows(whole, x)) {
            product->x = whole->name;
            product->flat = true;
        }
    }
    product->rank = onnx_recognise_value(recognise, product->x)->shape.rank;
    return product->rank >= 2;
}

/* Whether `shape` is that of x with its last dimension replaced by `count` others. */
static bool heads_leads(const struct onnx_recognise *recognise, const struct heads_product *product,
                        const struct onnx_shape *shape, uint32_t count)
{
    const struct onnx_value *x = onnx_recognise_value(recognise, product->x);
    bool good = shape->rank == product->rank - 1 + count;
    for (uint32_t i = 0; good && i + 1 < product->rank; i++)
        good = shape->dims[i] == x->shape.dims[i];
    return good;
}

static void heads_project(struct onnx_recognise *recognise, struct onnx_node *node, int64_t from,
                          const int64_t *out, uint32_t count)
{
    onnx_recognise_int(node, "from", from);
    onnx_recognise_ints(recognise, node, "out", out, count);
}

/* The part of a weight or bias that gives some of its outputs. */
static const char *heads_part(struct onnx_recognise *recognise, const char *name, uint32_t part, int64_t in,
                              int64_t out)
{
    struct onnx_infer *infer = recognise->infer;
    const struct onnx_value *whole = *name ? onnx_recognise_value(recognise, name) : NULL;
    if (!whole)
        return NULL;
    struct onnx_tensor tensor = *whole->weight;
    tensor.shape = in ? (struct onnx_shape){2, {in, out}} : (struct onnx_shape){1, {out}};
    tensor.external = true;
    const char *piece = arena_format(infer->arena, "%s.part%u", name, part);
    onnx_infer_constant(infer, piece, &tensor);
    onnx_infer_value(infer, piece)->unpacked = true;
    return piece;
}

static int64_t heads_inputs(const struct onnx_recognise *recognise, const struct heads_product *product)
{
    const struct onnx_value *x = onnx_recognise_value(recognise, product->x);
    return x->shape.dims[x->shape.rank - 1];
}

/* What a value's heads were before a Reshape joined them to features; "". */
static const char *heads_apart(const struct onnx_recognise *recognise, const char *joined)
{
    uint32_t reshape = onnx_recognise_from(recognise, joined);
    if (!onnx_recognise_is(recognise, reshape, "Reshape") ||
        onnx_recognise_to(recognise, joined) == RECOGNISE_NONE)
        return "";
    const struct onnx_value *apart =
                                onnx_recognise_value(recognise, onnx_recognise_in(recognise, reshape, 0)),
                            *x = onnx_recognise_value(recognise, joined);
    uint32_t rank = x->shape.rank;
    bool good = rank >= 2 && apart->shape.rank == rank + 1 && !apart->weight &&
                apart->shape.dims[rank - 1] * apart->shape.dims[rank] == x->shape.dims[rank - 1];
    for (uint32_t i = 0; good && i + 1 < rank; i++)
        good = apart->shape.dims[i] == x->shape.dims[i];
    return good ? apart->name : "";
}

/* Reshape: of a product to heads; of rows back to the tensor. */
static void heads_cut(struct onnx_recognise *recognise, uint32_t reshape)
{
    struct heads_product product;
    const char *in = onnx_recognise_in(recognise, reshape, 0), *out = onnx_recognise_out(recognise, reshape);
    const struct onnx_value *y = onnx_recognise_value(recognise, out);
    if (!heads_find(recognise, in, &product) || onnx_recognise_to(recognise, in) != reshape)
        return;
    uint32_t count = heads_leads(recognise, &product, &y->shape, 2)   ? 2
                     : heads_leads(recognise, &product, &y->shape, 1) ? 1
                                                                      : 0,
             next = onnx_recognise_to(recognise, out);
    if (!count || (count == 1 && !product.flat))
        return;
    if (count == 1 && onnx_recognise_is(recognise, next, "Reshape") &&
        heads_leads(recognise, &product,
                    &onnx_recognise_value(recognise, onnx_recognise_out(recognise, next))->shape, 2)) {
        reshape = next; /* which cuts the tensor into heads */
        y = onnx_recognise_value(recognise, onnx_recognise_out(recognise, next));
        count = 2;
    }
    int64_t sizes[2] = {y->shape.dims[y->shape.rank - count], y->shape.dims[y->shape.rank - 1]};
    const char *apart = heads_apart(recognise, product.x);
    struct onnx_node *node =
        onnx_recognise_replace(recognise, reshape, onnx_attention_projection, *apart ? apart : product.x,
                               product.weight, *product.bias ? product.bias : NULL, NULL);
    heads_project(recognise, node, *apart ? 2 : 1, sizes, count);
}

/* A part of a Split of a product as a product with a part of its weight: with heads, where a Reshape cuts the
 * part into such. */
static void heads_piece(struct onnx_recognise *recognise, const struct heads_product *product, uint32_t split,
                        uint32_t part)
{
    const char *out = onnx_recognise_node(recognise, split)->outputs.at[part];
    const struct onnx_value *y = onnx_recognise_value(recognise, out);
    uint32_t cut = onnx_recognise_to(recognise, out);
    bool heads = onnx_recognise_is(recognise, cut, "Reshape") &&
                 heads_leads(recognise, product,
                             &onnx_recognise_value(recognise, onnx_recognise_out(recognise, cut))->shape, 2);
    int64_t size = y->shape.dims[y->shape.rank - 1], sizes[2] = {size, 1};
    const char *weight = heads_part(recognise, product->weight, part, heads_inputs(recognise, product), size);
    const char *bias = heads_part(recognise, product->bias, part, 0, size);
    if (heads) {
        const struct onnx_shape *to =
            &onnx_recognise_value(recognise, onnx_recognise_out(recognise, cut))->shape;
        memcpy(sizes, to->dims + to->rank - 2, sizeof sizes);
        heads_project(
            recognise,
            onnx_recognise_replace(recognise, cut, onnx_attention_projection, product->x, weight, bias, NULL),
            1, sizes, 2);
        return;
    }
    const char *name = arena_format(recognise->infer->arena, "%s/product", out);
    heads_project(recognise,
                  onnx_recognise_insert(recognise, split, onnx_attention_projection, name, product->x, weight,
                                        bias, NULL),
                  1, sizes, 1);
    onnx_recognise_redirect(recognise, split + 1, out, name);
}

/* Split: of one product into queries, keys and values, or gate and up of an MLP. */
static void heads_split(struct onnx_recognise *recognise, uint32_t split)
{
    struct heads_product product;
    const struct onnx_node *node = onnx_recognise_node(recognise, split);
    const char *in = onnx_recognise_in(recognise, split, 0), *from = in;
    const struct onnx_value *x = onnx_recognise_value(recognise, in);
    uint32_t parts = node->outputs.count, rows = onnx_recognise_from(recognise, in);
    struct onnx_call call = {.infer = recognise->infer, .node = node};
    int64_t axis = onnx_call_int(&call, "axis", 0), rank = x ? x->shape.rank : 0;
    if (onnx_recognise_is(recognise, rows, "Reshape") && onnx_recognise_to(recognise, in) == split)
        from = onnx_recognise_in(recognise, rows, 0); /* of rows, back to the tensor */
    if (!rank || (axis != -1 && axis != rank - 1) || !heads_find(recognise, from, &product) ||
        onnx_recognise_to(recognise, in) != split || !heads_leads(recognise, &product, &x->shape, 1))
        return;
    for (uint32_t i = 0; i < parts; i++)
        if (!onnx_recognise_is_inner(recognise, node->outputs.at[i]))
            return;
    for (uint32_t i = 0; i < parts; i++)
        heads_piece(recognise, &product, split, i);
}

/* Transpose of [batch, positions, 3, heads, size] to [3, batch, heads, positions, size], of which each third
 * is picked: queries, keys and values of a product. */
static void heads_stacked(struct onnx_recognise *recognise, uint32_t transpose)
{
    enum { MOST = 4 };
    static const int64_t wanted[] = {2, 0, 3, 1, 4}, order[] = {0, 2, 1, 3};
    struct heads_product product;
    struct onnx_call call = {.infer = recognise->infer, .node = onnx_recognise_node(recognise, transpose)};
    const char *in = onnx_recognise_in(recognise, transpose, 0),
               *out = onnx_recognise_out(recognise, transpose);
    const struct onnx_value *x = onnx_recognise_value(recognise, in),
                            *stack = onnx_recognise_value(recognise, out);
    uint32_t reshape = onnx_recognise_from(recognise, in), picks[MOST], found = 0;
    const int64_t *perm;
    if (!x || x->shape.rank != 5 || onnx_call_ints(&call, "perm", &perm) != 5 ||
        memcmp(perm, wanted, sizeof wanted) != 0 || !onnx_recognise_is(recognise, reshape, "Reshape") ||
        !heads_find(recognise, onnx_recognise_in(recognise, reshape, 0), &product) || product.rank != 3 ||
        !heads_leads(recognise, &product, &x->shape, 3) || stack->shape.dims[0] > MOST ||
        stack->readers != stack->shape.dims[0])
        return;
    for (uint32_t n = transpose + 1; n < recognise->infer->nodes.count && found < stack->readers; n++)
        if (onnx_recognise_is(recognise, n, "Gather") &&
            strcmp(onnx_recognise_in(recognise, n, 0), out) == 0) {
            const struct onnx_value *place =
                onnx_recognise_value(recognise, onnx_recognise_in(recognise, n, 1));
            if (!place || !place->known || place->shape.rank)
                return;
            picks[found++] = n;
        }
    if (found != stack->readers)
        return;
    int64_t sizes[2] = {x->shape.dims[3], x->shape.dims[4]}, inputs = heads_inputs(recognise, &product);
    for (uint32_t i = 0; i < found; i++) {
        const char *name =
            arena_format(recognise->infer->arena, "%s/product", onnx_recognise_out(recognise, picks[i]));
        const char *weight = heads_part(recognise, product.weight, i, inputs, sizes[0] * sizes[1]);
        const char *bias = heads_part(recognise, product.bias, i, 0, sizes[0] * sizes[1]);
        heads_project(recognise,
                      onnx_recognise_insert(recognise, picks[i], onnx_attention_projection, name, product.x,
                                            weight, bias, NULL),
                      1, sizes, 2);
        onnx_recognise_ints(recognise, onnx_recognise_replace(recognise, picks[i], "Transpose", name, NULL),
                            "perm", order, 4);
    }
}

/* A product of heads that a Reshape joined. */
static void heads_joined(struct onnx_recognise *recognise, uint32_t matmul)
{
    struct heads_product product;
    const char *in = onnx_recognise_in(recognise, matmul, 0), *out = onnx_recognise_out(recognise, matmul);
    uint32_t adder = onnx_recognise_to(recognise, out);
    const char *apart = *out ? heads_apart(recognise, in) : "";
    if (!*apart)
        return;
    if (onnx_recognise_is(recognise, adder, "Add") &&
        heads_find(recognise, onnx_recognise_out(recognise, adder), &product))
        matmul = adder;
    else if (!heads_find(recognise, out, &product))
        return;
    if (product.flat)
        return;
    struct onnx_node *node =
        onnx_recognise_replace(recognise, matmul, onnx_attention_projection, apart, product.weight,
                               *product.bias ? product.bias : NULL, NULL);
    heads_project(recognise, node, 2, &product.out, 1);
}

/* What gives several parts comes first: after it, a Reshape of the whole would be taken for a product of its
 * own. */
const struct onnx_pattern onnx_recognise_heads_sides[] = {
    {"Split", heads_split}, {"Transpose", heads_stacked}, {NULL, NULL}};
const struct onnx_pattern onnx_recognise_heads[] = {
    {"Reshape", heads_cut}, {"MatMul", heads_joined}, {NULL, NULL}};
