/* Layer and RMS normalisation, GELU and SiLU that an exporter wrote as their steps. */
#include "model/onnx_recognise.h"

#include <string.h>

/* Whether a node reduces the last dimension of its input alone. */
static bool steps_last_axis(const struct onnx_recognise *recognise, uint32_t node)
{
    struct onnx_call call = {.infer = recognise->infer, .node = onnx_recognise_node(recognise, node)};
    const struct onnx_value *x = onnx_call_in(&call, 0), *axes = onnx_call_in(&call, 1);
    const int64_t *list;
    uint32_t count = onnx_call_ints(&call, "axes", &list);
    int64_t axis = count == 1 ? list[0] : 0, rank = x ? x->shape.rank : 0;
    if (axes && axes->known && onnx_file_elements(&axes->shape) == 1) {
        axis = onnx_call_whole(axes->known[0]);
        count = 1;
    }
    return rank && count == 1 && (axis == -1 || axis == rank - 1) && onnx_call_int(&call, "keepdims", 1);
}

/* What is squared by Pow(x, 2) or Mul(x, x); "". */
static const char *steps_squared(const struct onnx_recognise *recognise, const char *square)
{
    uint32_t node = onnx_recognise_from(recognise, square);
    if (onnx_recognise_is(recognise, node, "Pow") &&
        onnx_recognise_is_number(recognise, onnx_recognise_in(recognise, node, 1)))
        return onnx_recognise_in(recognise, node, 0);
    const char *first = node == RECOGNISE_NONE ? "" : onnx_recognise_in(recognise, node, 0);
    return onnx_recognise_is(recognise, node, "Mul") &&
                   strcmp(first, onnx_recognise_in(recognise, node, 1)) == 0
               ? first
               : "";
}

/* x of x − mean(x) over its last dimension; "". */
static const char *steps_centred(const struct onnx_recognise *recognise, const char *centred)
{
    uint32_t node = onnx_recognise_from(recognise, centred);
    if (!onnx_recognise_is(recognise, node, "Sub"))
        return "";
    const char *x = onnx_recognise_in(recognise, node, 0);
    uint32_t mean = onnx_recognise_from(recognise, onnx_recognise_in(recognise, node, 1));
    bool good = onnx_recognise_is(recognise, mean, "ReduceMean") && steps_last_axis(recognise, mean) &&
                strcmp(onnx_recognise_in(recognise, mean, 0), x) == 0;
    return good ? x : "";
}

/* The node that divides `x` by a root: at once, or by way of its reciprocal. */
static uint32_t steps_divided(const struct onnx_recognise *recognise, const char *x, const char *root)
{
    uint32_t node = onnx_recognise_to(recognise, root);
    if (onnx_recognise_is(recognise, node, "Div") &&
        strcmp(onnx_recognise_in(recognise, node, 1), root) == 0 &&
        strcmp(onnx_recognise_in(recognise, node, 0), x) == 0)
        return node;
    bool turned = onnx_recognise_is(recognise, node, "Reciprocal") ||
                  (onnx_recognise_is(recognise, node, "Div") &&
                   strcmp(onnx_recognise_in(recognise, node, 1), root) == 0 &&
                   onnx_recognise_is_number(recognise, onnx_recognise_in(recognise, node, 0)));
    if (!turned)
        return RECOGNISE_NONE;
    const char *reciprocal = onnx_recognise_out(recognise, node);
    node = onnx_recognise_to(recognise, reciprocal);
    bool good = onnx_recognise_is(recognise, node, "Mul") &&
                strcmp(onnx_recognise_other(recognise, node, reciprocal), x) == 0;
    return good ? node : RECOGNISE_NONE;
}

/* From the square root on: of the mean of squares of x, or of x less its mean. */
static void steps_norm(struct onnx_recognise *recognise, uint32_t root)
{
    uint32_t sum = onnx_recognise_from(recognise, onnx_recognise_in(recognise, root, 0));
    if (!onnx_recognise_is(recognise, sum, "Add"))
        return;
    const char *a = onnx_recognise_in(recognise, sum, 0), *b = onnx_recognise_in(recognise, sum, 1);
    uint32_t mean = onnx_recognise_from(recognise, onnx_recognise_is_number(recognise, b) ? a : b);
    if (!onnx_recognise_is(recognise, mean, "ReduceMean") || !steps_last_axis(recognise, mean))
        return;
    const char *numerator = steps_squared(recognise, onnx_recognise_in(recognise, mean, 0));
    const char *x = *numerator ? steps_centred(recognise, numerator) : "";
    bool rms = !*x;
    uint32_t last = *numerator ? steps_divided(recognise, numerator, onnx_recognise_out(recognise, root))
                               : RECOGNISE_NONE;
    x = rms ? numerator : x;
    if (last == RECOGNISE_NONE)
        return;
    const struct onnx_value *value = onnx_recognise_value(recognise, x);
    int64_t size = value->shape.dims[value->shape.rank - 1];
    const char *normal = onnx_recognise_out(recognise, last);
    uint32_t scaled = onnx_recognise_to(recognise, normal);
    const char *scale =
        onnx_recognise_is(recognise, scaled, "Mul") ? onnx_recognise_other(recognise, scaled, normal) : "";
    if (!onnx_recognise_is_vector(recognise, scale, size))
        return;
    const char *product = onnx_recognise_out(recognise, scaled);
    uint32_t shifted = onnx_recognise_to(recognise, product);
    const char *shift =
        onnx_recognise_is(recognise, shifted, "Add") ? onnx_recognise_other(recognise, shifted, product) : "";
    bool has_shift = !rms && onnx_recognise_is_vector(recognise, shift, size);
    struct onnx_node *node = onnx_recognise_replace(recognise, has_shift ? shifted : scaled,
                                                    rms ? "RMSNormalization" : "LayerNormalization", x, scale,
                                                    has_shift ? shift : NULL, NULL);
    onnx_recognise_int(node, "axis", -1);
}

/* Whether a value is computed from another one in a few steps. */
static bool steps_depends(const struct onnx_recognise *recognise, const char *name, const char *on, int depth)
{
    uint32_t node = onnx_recognise_from(recognise, name);
    if (strcmp(name, on) == 0)
        return true;
    for (uint32_t i = 0;
         depth && node != RECOGNISE_NONE && i < onnx_recognise_node(recognise, node)->inputs.count; i++)
        if (steps_depends(recognise, onnx_recognise_in(recognise, node, i), on, depth - 1))
            return true;
    return false;
}

/* x of x times or divided by a number; "". */
static const char *steps_scaled(const struct onnx_recognise *recognise, const char *name)
{
    uint32_t node = onnx_recognise_from(recognise, name);
    if (!onnx_recognise_is(recognise, node, "Mul") && !onnx_recognise_is(recognise, node, "Div"))
        return "";
    const char *a = onnx_recognise_in(recognise, node, 0), *b = onnx_recognise_in(recognise, node, 1);
    if (onnx_recognise_is_number(recognise, b))
        return a;
    return onnx_recognise_is_number(recognise, a) ? b : "";
}

/* From Erf or Tanh on: x / 2 · (1 + f(x)), with the factors in any order. */
static void steps_gelu(struct onnx_recognise *recognise, uint32_t function)
{
    const char *f = onnx_recognise_out(recognise, function);
    uint32_t one = onnx_recognise_to(recognise, f);
    if (!onnx_recognise_is(recognise, one, "Add") ||
        !onnx_recognise_is_number(recognise, onnx_recognise_other(recognise, one, f)))
        return;
    uint32_t product = onnx_recognise_to(recognise, onnx_recognise_out(recognise, one)), last = product;
    const char *other = onnx_recognise_is(recognise, product, "Mul")
                            ? onnx_recognise_other(recognise, product, onnx_recognise_out(recognise, one))
                            : "";
    const char *x = *other ? steps_scaled(recognise, other) : "";
    if (*other && !*x) { /* the half comes last, or stands at 1 + f */
        last = onnx_recognise_to(recognise, onnx_recognise_out(recognise, product));
        if (last == RECOGNISE_NONE)
            return;
        x = onnx_recognise_is_number(recognise, other)
                ? onnx_recognise_other(recognise, last, onnx_recognise_out(recognise, product))
                : other;
        if (!onnx_recognise_is(recognise, last, "Mul") && !onnx_recognise_is(recognise, last, "Div"))
            return;
        if (x == other &&
            !onnx_recognise_is_number(
                recognise, onnx_recognise_other(recognise, last, onnx_recognise_out(recognise, product))))
            return;
    }
    if (*x && !onnx_recognise_is_number(recognise, x) &&
        steps_depends(recognise, onnx_recognise_in(recognise, function, 0), x, 6))
        onnx_recognise_replace(recognise, last, "Gelu", x, NULL);
}

/* x · sigmoid(x). */
static void steps_silu(struct onnx_recognise *recognise, uint32_t sigmoid)
{
    const char *gate = onnx_recognise_out(recognise, sigmoid), *x = onnx_recognise_in(recognise, sigmoid, 0);
    uint32_t product = onnx_recognise_to(recognise, gate);
    if (onnx_recognise_is(recognise, product, "Mul") && *x &&
        strcmp(onnx_recognise_other(recognise, product, gate), x) == 0)
        onnx_recognise_replace(recognise, product, "Swish", x, NULL);
}

const struct onnx_pattern onnx_recognise_steps[] = {
    {"Sqrt", steps_norm}, {"Erf", steps_gelu}, {"Tanh", steps_gelu}, {"Sigmoid", steps_silu}, {NULL, NULL},
};
