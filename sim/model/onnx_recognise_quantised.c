/* Quantised networks. Numbers that stand in few bits between operators are how a file says a number format:
 * kernels convert as they read and write, so quantising and dequantising an activation is free, and what is
 * recognised around it is that of the network itself. A product of whole numbers with the scale that follows
 * is a product. */
#include "model/onnx_recognise.h"

#include <string.h>

/* The value that an activation was before its format changed. */
static const char *quantised_source(const struct onnx_recognise *recognise, const char *name)
{
    for (;;) {
        uint32_t node = onnx_recognise_from(recognise, name);
        if (!onnx_recognise_is(recognise, node, "QuantizeLinear") &&
            !onnx_recognise_is(recognise, node, "DequantizeLinear"))
            return name;
        const char *source = onnx_recognise_in(recognise, node, 0);
        const struct onnx_value *value = onnx_recognise_value(recognise, source);
        if (value->weight || value->known)
            return name;
        name = source;
    }
}

/* Every reader of an activation in another format reads the activation. */
static void quantised_formats(struct onnx_recognise *recognise, uint32_t node)
{
    const char *out = onnx_recognise_out(recognise, node), *source = quantised_source(recognise, out);
    if (strcmp(source, out) != 0)
        onnx_recognise_redirect(recognise, node + 1, out, source);
}

/* MatMulInteger, Cast, Mul by a scale. */
static void quantised_product(struct onnx_recognise *recognise, uint32_t product)
{
    uint32_t cast = onnx_recognise_to(recognise, onnx_recognise_out(recognise, product));
    if (!onnx_recognise_is(recognise, cast, "Cast"))
        return;
    const char *whole = onnx_recognise_out(recognise, cast);
    uint32_t scaled = onnx_recognise_to(recognise, whole);
    if (!onnx_recognise_is(recognise, scaled, "Mul"))
        return;
    const struct onnx_value *y = onnx_recognise_value(recognise, whole),
                            *scale = onnx_recognise_value(recognise,
                                                          onnx_recognise_other(recognise, scaled, whole));
    int64_t count = scale->given ? onnx_file_elements(&scale->shape) : 0;
    if (count == 1 || (y->shape.rank && count == y->shape.dims[y->shape.rank - 1]))
        onnx_recognise_replace(recognise, scaled, "MatMul", onnx_recognise_in(recognise, product, 0),
                               onnx_recognise_in(recognise, product, 1), NULL);
}

const struct onnx_pattern onnx_recognise_quantised[] = {{"QuantizeLinear", quantised_formats},
                                                        {"DequantizeLinear", quantised_formats},
                                                        {"MatMulInteger", quantised_product},
                                                        {NULL, NULL}};
