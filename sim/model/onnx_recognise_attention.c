/* Attention in its parts: scores = Q Kᵀ, scaled, masked, softmax over the keys, times V. What is added to the
 * scores and computed from weights (learned distances) has parameters and gradients: it remains as a value
 * that the attention adds. Weights that do anything else to the scores leave it in its parts. */
#include "model/onnx_numbers.h"
#include "model/onnx_operator.h"
#include "model/onnx_recognise.h"

#include <string.h>

enum { PARTS_STEPS = 8, PARTS_ANCESTORS = 400 };

/* Whether any weight goes into a value; and whether a triangle does, which is a causal mask. */
struct parts_origin {
    uint32_t left; /* nodes that are still looked at */
    bool learned, triangle;
    const char *bias;  /* learned, and added to the scores; "": none */
    const char *after; /* the scores with it */
};

/* The element of a known value at a row and a column of the last two dimensions, to which it is stretched;
 * all others are 1. */
static double parts_element(const struct onnx_value *value, int64_t row, int64_t column)
{
    uint32_t rank = value->shape.rank;
    int64_t width = rank ? value->shape.dims[rank - 1] : 1,
            height = rank > 1 ? value->shape.dims[rank - 2] : 1;
    return value->known[(height > 1 ? row * width : 0) + (width > 1 ? column : 0)];
}

/* Two lists of positions, compared with each other: one square. Its numbers are worked out one by one. */
static bool parts_compared(const struct onnx_recognise *recognise, uint32_t node,
                           const struct onnx_value *value)
{
    struct onnx_call call = {.infer = recognise->infer};
    if (node == RECOGNISE_NONE)
        return false;
    call.node = onnx_recognise_node(recognise, node);
    const struct onnx_operator *entry = onnx_infer_find(call.node);
    struct onnx_numbers_squares squares;
    if (!entry || !entry->apply || call.node->inputs.count != 2 ||
        !onnx_numbers_square(&squares, &value->shape) ||
        onnx_file_elements(&value->shape) != squares.side * squares.side)
        return false;
    const struct onnx_value *a = onnx_call_in(&call, 0), *b = onnx_call_in(&call, 1);
    bool good = a && b && a->known && b->known;
    for (int64_t i = 0; good && i < squares.side * squares.side; i++) {
        int64_t row = i / squares.side, column = i % squares.side;
        good = onnx_numbers_fits(&squares,
                                 entry->apply(parts_element(a, row, column), parts_element(b, row, column)));
    }
    return good;
}

static bool parts_looked_at(const struct onnx_recognise *recognise, const struct onnx_value *value)
{
    struct onnx_numbers_squares squares;
    bool good = value->known && onnx_numbers_square(&squares, &value->shape);
    for (int64_t i = 0; good && i < onnx_file_elements(&value->shape); i++)
        good = onnx_numbers_fits(&squares, value->known[i]);
    if (value->known)
        return good;
    return value->weight && strcmp(value->weight->name, value->name) == 0
               ? onnx_numbers_triangle(recognise->infer->arena, value->weight)
               : parts_compared(recognise, onnx_recognise_from(recognise, value->name), value);
}

/* A mask whose numbers are known: they stand in the file, were worked out, or compare positions. Each value
 * is looked at once, however many layers it masks. */
static bool parts_triangle(const struct onnx_recognise *recognise, struct onnx_value *value)
{
    if (value->mask == ONNX_MASK_UNKNOWN)
        value->mask = parts_looked_at(recognise, value) ? ONNX_MASK_CAUSAL : ONNX_MASK_NONE;
    return value->mask == ONNX_MASK_CAUSAL;
}

static void parts_search(const struct onnx_recognise *recognise, const char *name,
                         struct parts_origin *origin)
{
    struct onnx_value *value = *name ? onnx_recognise_value(recognise, name) : NULL;
    uint32_t node = onnx_recognise_from(recognise, name);
    if (!value || !value->given)
        return;
    if (parts_triangle(recognise, value)) {
        origin->triangle = true;
        return;
    }
    bool real = value->weight && (value->weight->type == ONNX_FLOAT || value->weight->type == ONNX_FLOAT16 ||
                                  value->weight->type == ONNX_BFLOAT16);
    origin->learned = origin->learned || (real && !value->constant && value->shape.rank &&
                                          onnx_file_elements(&value->shape) > 1);
    if (node == RECOGNISE_NONE || !origin->left || value->known)
        return;
    origin->left--;
    origin->triangle = origin->triangle || onnx_recognise_is(recognise, node, "Trilu");
    if (onnx_recognise_is(recognise, node, "Shape"))
        return;
    bool triangle = origin->triangle, picks = onnx_recognise_is(recognise, node, "Gather");
    for (uint32_t i = 0; i < onnx_recognise_node(recognise, node)->inputs.count; i++)
        parts_search(recognise, onnx_recognise_in(recognise, node, i), origin);
    if (picks) /* which element of a table: no mask, though it may tell before from after */
        origin->triangle = triangle;
}

/* What a node does to the scores besides: one learned value may be added to them. */
static void parts_beside(const struct onnx_recognise *recognise, uint32_t node, const char *name,
                         struct parts_origin *origin)
{
    struct parts_origin mine = {.left = origin->left};
    parts_search(recognise, name, &mine);
    origin->left = mine.left;
    origin->triangle = origin->triangle || mine.triangle;
    if (mine.learned && !*origin->bias && onnx_recognise_is(recognise, node, "Add")) {
        origin->bias = name;
        origin->after = onnx_recognise_out(recognise, node);
    } else {
        origin->learned = origin->learned || mine.learned;
    }
}

static bool parts_same_size(const struct onnx_recognise *recognise, const char *a, const char *b)
{
    const struct onnx_value *x = onnx_recognise_value(recognise, a), *y = onnx_recognise_value(recognise, b);
    return x && y && x->given && y->given && onnx_file_elements(&x->shape) == onnx_file_elements(&y->shape);
}

/* Goes back from the softmax's input to the product; RECOGNISE_NONE if it is none of attention. */
static uint32_t parts_scores(const struct onnx_recognise *recognise, const char *name, int steps,
                             struct parts_origin *origin)
{
    static const char *const through[] = {"Mul",      "Div",     "Add",  "Sub", "Where", "Cast",
                                          "Identity", "Reshape", "Tanh", "Max", "Clip",  NULL};
    uint32_t node = onnx_recognise_from(recognise, name), found = RECOGNISE_NONE;
    const struct onnx_value *value = onnx_recognise_value(recognise, name);
    bool passes = false;
    if (node == RECOGNISE_NONE || !steps || !value || value->readers != 1)
        return RECOGNISE_NONE;
    if (onnx_recognise_is(recognise, node, "MatMul"))
        return node;
    for (int i = 0; through[i]; i++)
        passes = passes || onnx_recognise_is(recognise, node, through[i]);
    for (uint32_t i = 0; passes && i < onnx_recognise_node(recognise, node)->inputs.count; i++) {
        const char *in = onnx_recognise_in(recognise, node, i);
        if (found == RECOGNISE_NONE && parts_same_size(recognise, in, name))
            found = parts_scores(recognise, in, steps - 1, origin);
        else
            parts_beside(recognise, node, in, origin);
    }
    return found;
}

/* Goes on from the softmax's output to the product with the values. */
static uint32_t parts_context(const struct onnx_recognise *recognise, const char *name)
{
    static const char *const through[] = {"Cast", "Identity", "Dropout", "Reshape", NULL};
    for (int step = 0; step < PARTS_STEPS; step++) {
        uint32_t node = onnx_recognise_to(recognise, name);
        const struct onnx_value *value = onnx_recognise_value(recognise, name);
        if (value && value->readers == 2) { /* rows that are masked wholly: Where(IsNaN(x), 0, x) */
            node = recognise->reader[value - recognise->infer->values.at];
            uint32_t test = onnx_recognise_is(recognise, node, "Where")
                                ? onnx_recognise_from(recognise, onnx_recognise_in(recognise, node, 0))
                                : RECOGNISE_NONE;
            if (!onnx_recognise_is(recognise, test, "IsNaN"))
                return RECOGNISE_NONE;
            name = onnx_recognise_out(recognise, node);
            continue;
        }
        if (node == RECOGNISE_NONE)
            return node;
        if (onnx_recognise_is(recognise, node, "MatMul"))
            return strcmp(onnx_recognise_in(recognise, node, 0), name) == 0 ? node : RECOGNISE_NONE;
        bool passes = false;
        for (int i = 0; through[i]; i++)
            passes = passes || onnx_recognise_is(recognise, node, through[i]);
        if (!passes)
            return RECOGNISE_NONE;
        name = onnx_recognise_out(recognise, node);
    }
    return RECOGNISE_NONE;
}

/* The keys before they were turned: the input of a Transpose of the last two dimensions, or a Transpose back.
 */
static const char *parts_keys(struct onnx_recognise *recognise, uint32_t before, const char *turned)
{
    struct arena *arena = recognise->infer->arena;
    uint32_t node = onnx_recognise_from(recognise, turned),
             rank = onnx_recognise_value(recognise, turned)->shape.rank;
    int64_t order[ONNX_RANK];
    for (uint32_t i = 0; i < rank; i++)
        order[i] = i + 2 < rank ? i : 2 * (int64_t)rank - 3 - i;
    if (onnx_recognise_is(recognise, node, "Transpose")) {
        struct onnx_call call = {.infer = recognise->infer, .node = onnx_recognise_node(recognise, node)};
        const int64_t *perm;
        if (onnx_call_ints(&call, "perm", &perm) == rank && memcmp(perm, order, rank * sizeof *perm) == 0)
            return onnx_recognise_in(recognise, node, 0);
    }
    const char *name = arena_format(arena, "%s/keys", onnx_recognise_out(recognise, before));
    struct onnx_node *back = onnx_recognise_insert(recognise, before, "Transpose", name, turned, NULL);
    onnx_recognise_ints(recognise, back, "perm", order, rank);
    return name;
}

/* [batch · heads, positions, size] as [batch, heads, positions, size]: what it was made of, or a view of it.
 */
static const char *parts_apart(struct onnx_recognise *recognise, uint32_t before, const char *x,
                               const char *what, int64_t heads, int64_t positions, int64_t size)
{
    struct arena *arena = recognise->infer->arena;
    uint32_t node = onnx_recognise_from(recognise, x);
    const char *source =
        onnx_recognise_is(recognise, node, "Reshape") ? onnx_recognise_in(recognise, node, 0) : "";
    const struct onnx_value *value = *source ? onnx_recognise_value(recognise, source) : NULL;
    if (value && value->shape.rank == 4 && value->shape.dims[1] == heads &&
        value->shape.dims[2] == positions && value->shape.dims[3] == size)
        return source;
    const char *out = onnx_recognise_out(recognise, before), *name = arena_format(arena, "%s/%s", out, what);
    const char *shape = arena_format(arena, "%s/%s/shape", out, what);
    struct onnx_node *list = onnx_recognise_insert(recognise, before, "Constant", shape, NULL);
    onnx_recognise_ints(recognise, list, "value_ints", (const int64_t[]){-1, heads, positions, size}, 4);
    onnx_recognise_insert(recognise, before, "Reshape", name, x, shape, NULL);
    return name;
}

/* How many heads were joined with the batch, from how the result is taken apart again; 0: none. */
static int64_t parts_heads(const struct onnx_recognise *recognise, uint32_t context)
{
    const struct onnx_value *y = onnx_recognise_value(recognise, onnx_recognise_out(recognise, context));
    uint32_t node = onnx_recognise_to(recognise, onnx_recognise_out(recognise, context));
    if (y->shape.rank != 3 || !onnx_recognise_is(recognise, node, "Reshape"))
        return 0;
    const struct onnx_value *apart = onnx_recognise_value(recognise, onnx_recognise_out(recognise, node));
    bool good = apart->shape.rank == 4 && apart->shape.dims[2] == y->shape.dims[1] &&
                apart->shape.dims[3] == y->shape.dims[2];
    return good ? apart->shape.dims[1] : 0;
}

static bool parts_fit(const struct onnx_value *q, const struct onnx_value *k, const struct onnx_value *v,
                      const struct onnx_value *y)
{
    uint32_t rank = q->shape.rank;
    bool good =
        (rank == 3 || rank == 4) && k->shape.rank == rank && v->shape.rank == rank && y->shape.rank == rank;
    good = good && !q->weight && !k->weight && !v->weight;
    good = good && q->shape.dims[rank - 1] == k->shape.dims[rank - 2] &&
           k->shape.dims[rank - 1] == v->shape.dims[rank - 2];
    for (uint32_t i = 0; good && i + 2 < rank; i++)
        good = q->shape.dims[i] == k->shape.dims[i] && q->shape.dims[i] == v->shape.dims[i];
    return good;
}

/* Keys or values of groups before they were repeated for each head: Reshape of Expand of Unsqueeze. */
static const char *parts_shared(const struct onnx_recognise *recognise, const char *name)
{
    uint32_t reshape = onnx_recognise_from(recognise, name);
    uint32_t expand = onnx_recognise_is(recognise, reshape, "Reshape")
                          ? onnx_recognise_from(recognise, onnx_recognise_in(recognise, reshape, 0))
                          : RECOGNISE_NONE;
    uint32_t unsqueeze = onnx_recognise_is(recognise, expand, "Expand")
                             ? onnx_recognise_from(recognise, onnx_recognise_in(recognise, expand, 0))
                             : RECOGNISE_NONE;
    if (!onnx_recognise_is(recognise, unsqueeze, "Unsqueeze"))
        return "";
    const char *source = onnx_recognise_in(recognise, unsqueeze, 0);
    const struct onnx_value *wide = onnx_recognise_value(recognise, onnx_recognise_out(recognise, unsqueeze)),
                            *x = onnx_recognise_value(recognise, source),
                            *y = onnx_recognise_value(recognise, name);
    bool good = x->shape.rank == 4 && y->shape.rank == 4 && wide->shape.rank == 5 && wide->shape.dims[2] == 1;
    good = good && x->shape.dims[0] == y->shape.dims[0] && y->shape.dims[1] % x->shape.dims[1] == 0;
    good = good && x->shape.dims[2] == y->shape.dims[2] && x->shape.dims[3] == y->shape.dims[3];
    return good ? source : "";
}

/* Whether what is added has the dimensions of the scores of heads, of which it may lack the first ones. */
static bool parts_adds(const struct onnx_recognise *recognise, const struct parts_origin *origin,
                       uint32_t rank)
{
    const struct onnx_value *bias = onnx_recognise_value(recognise, origin->bias),
                            *after = onnx_recognise_value(recognise, origin->after);
    return after->shape.rank == rank && bias->shape.rank <= rank;
}

/* Makes a node attention to [queries, keys, values]. */
static void parts_replace(struct onnx_recognise *recognise, uint32_t node, const char *const names[3],
                          const struct parts_origin *origin)
{
    const char *bias = *origin->bias ? origin->bias : NULL;
    struct onnx_node *attention =
        onnx_recognise_replace(recognise, node, bias ? onnx_attention_biased : "Attention", names[0],
                               names[1], names[2], bias, NULL);
    onnx_recognise_int(attention, "is_causal", origin->triangle);
}

static void parts_attention(struct onnx_recognise *recognise, uint32_t softmax)
{
    struct onnx_call call = {.infer = recognise->infer, .node = onnx_recognise_node(recognise, softmax)};
    struct parts_origin origin = {.left = PARTS_ANCESTORS, .bias = ""};
    const struct onnx_value *x = onnx_call_in(&call, 0);
    int64_t otherwise = recognise->infer->file->opset >= 13 ? -1 : 1,
            axis = onnx_call_int(&call, "axis", otherwise);
    if (!x || (axis != -1 && axis != (int64_t)x->shape.rank - 1))
        return;
    uint32_t scores = parts_scores(recognise, onnx_recognise_in(recognise, softmax, 0), PARTS_STEPS, &origin);
    uint32_t context =
        scores == RECOGNISE_NONE ? scores : parts_context(recognise, onnx_recognise_out(recognise, softmax));
    if (context == RECOGNISE_NONE || origin.learned)
        return;
    const char *names[3] = {onnx_recognise_in(recognise, scores, 0), onnx_recognise_in(recognise, scores, 1),
                            onnx_recognise_in(recognise, context, 1)};
    const char *out = onnx_recognise_out(recognise, context);
    struct onnx_shape q = onnx_recognise_value(recognise, names[0])->shape,
                      v = onnx_recognise_value(recognise, names[2])->shape;
    if (!parts_fit(onnx_recognise_value(recognise, names[0]), onnx_recognise_value(recognise, names[1]),
                   onnx_recognise_value(recognise, names[2]), onnx_recognise_value(recognise, out)))
        return;
    int64_t heads = parts_heads(recognise, context);
    if (*origin.bias && !parts_adds(recognise, &origin, heads ? 4 : q.rank))
        return;
    names[1] = parts_keys(recognise, context, names[1]);
    if (!heads) {
        const char *k = parts_shared(recognise, names[1]), *u = parts_shared(recognise, names[2]);
        names[1] = *k && *u ? k : names[1];
        names[2] = *k && *u ? u : names[2];
        parts_replace(recognise, context, names, &origin);
        return;
    }
    names[0] = parts_apart(recognise, context, names[0], "queries", heads, q.dims[1], q.dims[2]);
    names[1] = parts_apart(recognise, context, names[1], "keys4", heads, v.dims[1], q.dims[2]);
    names[2] = parts_apart(recognise, context, names[2], "values", heads, v.dims[1], v.dims[2]);
    /* What gives [batch, heads, positions, size]. */
    parts_replace(recognise, onnx_recognise_to(recognise, out), names, &origin);
}

/* Attention that the file has as one operator, with a mask: learned values stay, others are free. */
static void parts_masked(struct onnx_recognise *recognise, uint32_t node)
{
    struct onnx_call call = {.infer = recognise->infer, .node = onnx_recognise_node(recognise, node)};
    struct parts_origin origin = {.left = PARTS_ANCESTORS, .bias = ""};
    const char *mask = onnx_recognise_in(recognise, node, 3),
               *names[3] = {onnx_recognise_in(recognise, node, 0), onnx_recognise_in(recognise, node, 1),
                            onnx_recognise_in(recognise, node, 2)};
    const struct onnx_value *value = *mask ? onnx_recognise_value(recognise, mask) : NULL;
    if (!value || value->shape.rank > onnx_recognise_value(recognise, names[0])->shape.rank)
        return;
    parts_search(recognise, mask, &origin);
    origin.bias = origin.learned ? mask : "";
    origin.triangle = origin.triangle || onnx_call_int(&call, "is_causal", 0);
    parts_replace(recognise, node, names, &origin);
}

const struct onnx_pattern onnx_recognise_attention[] = {
    {"Softmax", parts_attention}, {"Attention", parts_masked}, {NULL, NULL}};
