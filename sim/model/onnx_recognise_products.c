/* Products as exporters write them, brought into the one form that other patterns look for: a bias is added
 * before rows become a tensor again, slices that are all of a value together are a Split. */
#include "model/onnx_recognise.h"

#include <string.h>

enum { PRODUCTS_PIECES = 16 };

/* Add of a bias to a Reshape of a product's rows: the Reshape of the sum. */
static void products_bias(struct onnx_recognise *recognise, uint32_t add)
{
    const char *a = onnx_recognise_in(recognise, add, 0), *b = onnx_recognise_in(recognise, add, 1);
    const struct onnx_value *y = onnx_recognise_value(recognise, onnx_recognise_out(recognise, add));
    int64_t size = y->shape.rank ? y->shape.dims[y->shape.rank - 1] : 0;
    bool first = onnx_recognise_is_vector(recognise, a, size);
    const char *bias = first ? a : b, *wide = first ? b : a;
    uint32_t reshape = onnx_recognise_from(recognise, wide);
    if (!onnx_recognise_is_vector(recognise, bias, size) ||
        !onnx_recognise_is(recognise, reshape, "Reshape") || onnx_recognise_to(recognise, wide) != add)
        return;
    const char *rows = onnx_recognise_in(recognise, reshape, 0);
    const struct onnx_value *product = onnx_recognise_value(recognise, rows);
    uint32_t rank = product->shape.rank;
    if (!onnx_recognise_is(recognise, onnx_recognise_from(recognise, rows), "MatMul") || !rank ||
        product->shape.dims[rank - 1] != size || onnx_recognise_to(recognise, rows) != reshape)
        return;
    const char *sum = arena_format(recognise->infer->arena, "%s/rows", onnx_recognise_out(recognise, add));
    onnx_recognise_insert(recognise, add, "Add", sum, rows, bias, NULL);
    onnx_recognise_replace(recognise, add, "Reshape", sum, onnx_recognise_in(recognise, reshape, 1), NULL);
}

struct products_piece {
    uint32_t node;
    int64_t start, size;
    const char *name;
};

/* The one number of a Slice: an attribute, or an input; `otherwise` when there is none. False: it is not
 * known, or there are several. */
static bool products_number(const struct onnx_call *call, const char *attribute, uint32_t input,
                            int64_t otherwise, int64_t *number)
{
    const struct onnx_value *value = onnx_call_in(call, input);
    const int64_t *list;
    uint32_t count = onnx_call_ints(call, attribute, &list);
    *number = count ? list[0] : value && value->known ? onnx_call_whole(value->known[0]) : otherwise;
    return value ? value->known && onnx_file_elements(&value->shape) == 1 : count <= 1;
}

/* Which part of the last dimension of x a node takes. */
static bool products_piece(const struct onnx_recognise *recognise, uint32_t node, const struct onnx_value *x,
                           struct products_piece *piece)
{
    struct onnx_call call = {.infer = recognise->infer, .node = onnx_recognise_node(recognise, node)};
    int64_t rank = x->shape.rank, size = x->shape.dims[rank - 1], axis, step, start;
    if (!onnx_recognise_is(recognise, node, "Slice") || !products_number(&call, "starts", 1, 0, &start) ||
        !products_number(&call, "axes", 3, 0, &axis) || !products_number(&call, "steps", 4, 1, &step) ||
        (axis != -1 && axis != rank - 1) || step != 1)
        return false;
    const struct onnx_value *out = onnx_recognise_value(recognise, onnx_recognise_out(recognise, node));
    *piece =
        (struct products_piece){node, start < 0 ? start + size : start, out->shape.dims[rank - 1], out->name};
    return piece->start >= 0;
}

/* All pieces of a value, in its order; 0: something else reads it too, or something of it is left over. */
static uint32_t products_pieces(const struct onnx_recognise *recognise, uint32_t first,
                                const struct onnx_value *x, struct products_piece *pieces)
{
    uint32_t count = 0, last = onnx_recognise_last(recognise, x->name);
    int64_t next = 0;
    for (uint32_t n = first; n <= last && last != RECOGNISE_NONE; n++) {
        struct products_piece piece;
        if (onnx_recognise_node(recognise, n)->silent ||
            strcmp(onnx_recognise_in(recognise, n, 0), x->name) != 0)
            continue;
        if (count == PRODUCTS_PIECES || !products_piece(recognise, n, x, &piece))
            return 0;
        uint32_t at = count++;
        for (; at > 0 && pieces[at - 1].start > piece.start; at--)
            pieces[at] = pieces[at - 1];
        pieces[at] = piece;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (pieces[i].start != next)
            return 0;
        next += pieces[i].size;
    }
    return count == x->readers && next == x->shape.dims[x->shape.rank - 1] ? count : 0;
}

/* The first of several slices becomes a Split, which gives what the others gave. */
static void products_slices(struct onnx_recognise *recognise, uint32_t first)
{
    const char *name = onnx_recognise_in(recognise, first, 0);
    const struct onnx_value *x = *name ? onnx_recognise_value(recognise, name) : NULL;
    struct products_piece pieces[PRODUCTS_PIECES];
    int64_t sizes[PRODUCTS_PIECES];
    uint32_t count = x && x->shape.rank && x->readers > 1 ? products_pieces(recognise, first, x, pieces) : 0;
    if (count < 2)
        return;
    struct onnx_node *split = onnx_recognise_replace(recognise, first, "Split", name, NULL);
    split->outputs.count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct onnx_node *slice = onnx_recognise_node(recognise, pieces[i].node);
        if (slice != split)
            slice->inputs.count = slice->outputs.count = 0; /* nobody needs it any more */
        VECTOR_PUSH(&split->outputs, pieces[i].name);
        sizes[i] = pieces[i].size;
    }
    onnx_recognise_int(split, "axis", -1);
    onnx_recognise_ints(recognise, split, "split", sizes, count);
}

const struct onnx_pattern onnx_recognise_products[] = {
    {"Add", products_bias}, {"Slice", products_slices}, {NULL, NULL}};
