/* Onnx_pointwise: operators that make each element of their output from the elements at its place, stretched
 * where an input has size 1. FLOPs per element count an addition, product or comparison as 1 and a
 * transcendental function as its usual polynomial's 4 or so, like sim/model/activation.c. */
#include "model/onnx_operator.h"

#include <math.h>
#include <string.h>

static bool onnx_pointwise_infer_as(struct onnx_call *call, int64_t type)
{
    struct onnx_shape shape = {0};
    for (uint32_t i = 0; i < call->node->inputs.count; i++) {
        const struct onnx_value *value = onnx_call_in(call, i);
        if (value && !onnx_call_broadcast(call, &shape, &value->shape))
            return false;
    }
    return onnx_call_give(call, 0, type, &shape);
}

static bool onnx_pointwise_infer(struct onnx_call *call)
{
    return onnx_pointwise_infer_as(call, onnx_call_in(call, 0)->type);
}

static bool onnx_pointwise_infer_truth(struct onnx_call *call)
{
    return onnx_pointwise_infer_as(call, ONNX_BOOL);
}

static bool onnx_pointwise_infer_where(struct onnx_call *call)
{
    return onnx_pointwise_infer_as(call, onnx_call_in(call, 1)->type);
}

static bool onnx_pointwise_infer_cast(struct onnx_call *call)
{
    return onnx_call_give(call, 0, onnx_call_int(call, "to", ONNX_FLOAT), &onnx_call_in(call, 0)->shape);
}

static bool onnx_pointwise_infer_alike(struct onnx_call *call)
{
    return onnx_call_give(call, 0, onnx_call_in(call, call->node->inputs.count > 1)->type,
                          &onnx_call_in(call, 0)->shape);
}

/* Dropout, batch of a random mask: the second output is the mask. */
static bool onnx_pointwise_infer_dropout(struct onnx_call *call)
{
    return onnx_call_give_alike(call, 0) && onnx_call_give(call, 1, ONNX_BOOL, &onnx_call_in(call, 0)->shape);
}

/* The slope may also be one number per channel, the second dimension. */
static bool onnx_pointwise_infer_prelu(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *slope = onnx_call_in(call, 1);
    struct onnx_shape shape = x->shape;
    bool channels = slope->shape.rank == 1 && shape.rank > 2 && slope->shape.dims[0] == shape.dims[1];
    return (channels || onnx_call_broadcast(call, &shape, &slope->shape)) &&
           onnx_call_give(call, 0, x->type, &x->shape);
}

static bool onnx_pointwise_infer_unary(struct onnx_call *call)
{
    return onnx_call_give_alike(call, 0);
}

static bool onnx_pointwise_infer_quantize(struct onnx_call *call)
{
    const struct onnx_value *zero = onnx_call_in(call, 2);
    return onnx_call_give(call, 0, zero ? zero->type : ONNX_UINT8, &onnx_call_in(call, 0)->shape);
}

static bool onnx_pointwise_infer_dequantize(struct onnx_call *call)
{
    return onnx_call_give(call, 0, onnx_call_in(call, 1)->type, &onnx_call_in(call, 0)->shape);
}

static bool onnx_pointwise_infer_dynamic(struct onnx_call *call)
{
    struct onnx_shape scalar = {0};
    return onnx_call_give(call, 0, ONNX_UINT8, &onnx_call_in(call, 0)->shape) &&
           onnx_call_give(call, 1, ONNX_FLOAT, &scalar) && onnx_call_give(call, 2, ONNX_UINT8, &scalar);
}

/* ---- numbers that are known ---- */

static double onnx_pointwise_same(double a, double b)
{
    (void)b;
    return a;
}
static double onnx_pointwise_add(double a, double b)
{
    return a + b;
}
static double onnx_pointwise_sub(double a, double b)
{
    return a - b;
}
static double onnx_pointwise_mul(double a, double b)
{
    return a * b;
}
static double onnx_pointwise_div(double a, double b)
{
    return a / b;
}
static double onnx_pointwise_neg(double a, double b)
{
    (void)b;
    return -a;
}
static double onnx_pointwise_abs(double a, double b)
{
    (void)b;
    return fabs(a);
}
static double onnx_pointwise_floor(double a, double b)
{
    (void)b;
    return floor(a);
}
static double onnx_pointwise_ceil(double a, double b)
{
    (void)b;
    return ceil(a);
}
static double onnx_pointwise_sqrt(double a, double b)
{
    (void)b;
    return sqrt(a);
}
static double onnx_pointwise_relu(double a, double b)
{
    (void)b;
    return a > 0 ? a : 0;
}
static double onnx_pointwise_round(double a, double b)
{
    (void)b;
    return rint(a);
}
static double onnx_pointwise_not(double a, double b)
{
    (void)b;
    return a == 0;
}
static double onnx_pointwise_min(double a, double b)
{
    return a < b ? a : b;
}
static double onnx_pointwise_max(double a, double b)
{
    return a > b ? a : b;
}
static double onnx_pointwise_equal(double a, double b)
{
    return a == b;
}
static double onnx_pointwise_less(double a, double b)
{
    return a < b;
}
static double onnx_pointwise_greater(double a, double b)
{
    return a > b;
}
static double onnx_pointwise_at_most(double a, double b)
{
    return a <= b;
}
static double onnx_pointwise_at_least(double a, double b)
{
    return a >= b;
}
static double onnx_pointwise_and(double a, double b)
{
    return a != 0 && b != 0;
}
static double onnx_pointwise_or(double a, double b)
{
    return a != 0 || b != 0;
}
static double onnx_pointwise_xor(double a, double b)
{
    return (a != 0) != (b != 0);
}
static double onnx_pointwise_pow(double a, double b)
{
    return pow(a, b);
}
static double onnx_pointwise_mod(double a, double b)
{
    return b == 0 ? 0 : a - b * floor(a / b);
}

/* The element of an input at the place of an element of the output. */
static double onnx_pointwise_at(const struct onnx_value *value, const struct onnx_shape *shape, int64_t at)
{
    int64_t index = 0, stride = 1;
    for (uint32_t i = 1; i <= shape->rank; i++) {
        int64_t place = at % shape->dims[shape->rank - i];
        at /= shape->dims[shape->rank - i];
        if (i > value->shape.rank)
            continue;
        int64_t size = value->shape.dims[value->shape.rank - i];
        index += size == 1 ? 0 : place * stride;
        stride *= size;
    }
    return value->known[index];
}

static bool onnx_pointwise_is_whole(int64_t type)
{
    return type != ONNX_FLOAT && type != ONNX_DOUBLE && type != ONNX_FLOAT16 && type != ONNX_BFLOAT16;
}

static void onnx_pointwise_fold(struct onnx_call *call)
{
    struct onnx_value *out = onnx_call_out(call, 0);
    int64_t count = onnx_file_elements(&out->shape);
    double *numbers = ARENA_ARRAY(call->infer->arena, double, (size_t)count + 1);
    if (!call->rules->apply)
        return;
    for (int64_t k = 0; k < count; k++) {
        double number = onnx_pointwise_at(onnx_call_in(call, 0), &out->shape, k);
        if (call->node->inputs.count == 1)
            number = call->rules->apply(number, 0);
        for (uint32_t i = 1; i < call->node->inputs.count; i++)
            number = call->rules->apply(number, onnx_pointwise_at(onnx_call_in(call, i), &out->shape, k));
        numbers[k] = onnx_pointwise_is_whole(out->type) ? trunc(number) : number;
    }
    onnx_call_know(call, 0, numbers);
}

static void onnx_pointwise_fold_where(struct onnx_call *call)
{
    struct onnx_value *out = onnx_call_out(call, 0);
    int64_t count = onnx_file_elements(&out->shape);
    double *numbers = ARENA_ARRAY(call->infer->arena, double, (size_t)count + 1);
    for (int64_t k = 0; k < count; k++) {
        bool first = onnx_pointwise_at(onnx_call_in(call, 0), &out->shape, k) != 0;
        numbers[k] = onnx_pointwise_at(onnx_call_in(call, first ? 1 : 2), &out->shape, k);
    }
    onnx_call_know(call, 0, numbers);
}

/* ---- layers ---- */

/* Whether an input takes part as data: constants of one element cost nothing. */
static bool onnx_pointwise_is_data(const struct onnx_call *call, uint32_t index)
{
    const struct onnx_value *value = onnx_call_in(call, index);
    if (!value || (index < 64 && call->rules->settings >> index & 1))
        return false;
    return value->layer || onnx_file_elements(&value->shape) > 1;
}

static bool onnx_pointwise_same_labels(const struct onnx_value *a, const struct onnx_value *b)
{
    bool same = a->layer && b->layer && a->shape.rank == b->shape.rank;
    for (uint32_t i = 0; same && i < a->shape.rank; i++)
        same = a->shape.dims[i] == b->shape.dims[i] && strcmp(a->labels[i], b->labels[i]) == 0;
    return same;
}

/* The kind of the notation that says the same: `add` of two alike, `act` with a function's name. */
static const char *onnx_pointwise_kind(const struct onnx_call *call, uint32_t data)
{
    const struct onnx_value *a = onnx_call_in(call, 0), *b = onnx_call_in(call, 1);
    if (data == 1 && call->rules->act && a->layer)
        return "act";
    if (data != 2 || call->node->inputs.count != 2 || !onnx_pointwise_same_labels(a, b) || a == b)
        return "elementwise";
    if (strcmp(call->node->kind, "Add") == 0)
        return "add";
    return strcmp(call->node->kind, "Mul") == 0 ? "multiply" : "elementwise";
}

static bool onnx_pointwise_write(struct onnx_call *call)
{
    const char *labels[ONNX_RANK];
    const struct onnx_value *out = onnx_call_out(call, 0), *first = NULL;
    uint32_t data = 0;
    for (uint32_t i = 0; i < call->node->inputs.count; i++)
        data += onnx_pointwise_is_data(call, i);
    onnx_write_stretched(call, 0, labels);
    const char *kind = onnx_pointwise_kind(call, data);
    struct value *layer = onnx_write_layer(call, kind, "");
    for (uint32_t i = 0; i < call->node->inputs.count; i++) {
        if (!onnx_pointwise_is_data(call, i))
            continue;
        onnx_write_from(call, layer, onnx_call_in(call, i));
        first = first ? first : onnx_call_in(call, i);
    }
    if (strcmp(kind, "act") == 0)
        onnx_write_text(call, layer, "function", call->rules->act);
    if (strcmp(kind, "elementwise") == 0) {
        bool alike = first && first->layer && first->shape.rank == out->shape.rank;
        for (uint32_t i = 0; alike && i < out->shape.rank; i++)
            alike = first->shape.dims[i] == out->shape.dims[i] && strcmp(first->labels[i], labels[i]) == 0;
        if (!alike)
            onnx_write_dims(call, layer, "dims", out, labels);
        if (call->rules->flops != 1)
            onnx_write_number(call, layer, "flops", (int64_t)call->rules->flops);
    }
    onnx_write_gives(call, layer, 0, labels);
    return true;
}

/* A dynamic quantisation: extremes of all elements, from which the scale and the zero point follow, then each
 * element by these. So devices which divide the tensor exchange numbers, not elements. */
static bool onnx_pointwise_write_dynamic(struct onnx_call *call)
{
    struct onnx_value *x = onnx_call_in(call, 0);
    const char *over = "", *none[ONNX_RANK];
    struct value *scale = onnx_write_layer(call, "reduce", "scale");
    onnx_write_from(call, scale, x);
    for (uint32_t i = 0; i < x->shape.rank; i++)
        over = arena_format(call->infer->arena, "%s%s%s", over, i ? " " : "", x->labels[i]);
    onnx_write_text(call, scale, "over", over);
    onnx_write_text(call, scale, "op", "max");
    onnx_write_number(call, scale, "flops", 2);
    struct onnx_value number = {.layer = scale->entries[0].value->text};
    for (uint32_t i = 1; i < 3; i++)
        onnx_write_gives(call, scale, i, none);
    struct value *layer = onnx_write_layer(call, "elementwise", "");
    onnx_write_from(call, layer, x);
    onnx_write_from(call, layer, &number);
    onnx_write_number(call, layer, "flops", (int64_t)call->rules->flops);
    onnx_write_gives(call, layer, 0, x->labels);
    return true;
}

#define UNARY(name, number, function)                                                                        \
    {                                                                                                        \
        .kind = name, .needed = 1, .infer = onnx_pointwise_infer_unary, .write = onnx_pointwise_write,       \
        .fold = onnx_pointwise_fold, .apply = function, .flops = number                                      \
    }
#define ACT(name, number, text)                                                                              \
    {                                                                                                        \
        .kind = name, .needed = 1, .infer = onnx_pointwise_infer_unary, .write = onnx_pointwise_write,       \
        .flops = number, .act = text                                                                         \
    }
#define BINARY(name, needs, function)                                                                        \
    {                                                                                                        \
        .kind = name, .needed = needs, .infer = onnx_pointwise_infer, .write = onnx_pointwise_write,         \
        .fold = onnx_pointwise_fold, .apply = function, .flops = 1                                           \
    }
#define TRUTH(name, function)                                                                                \
    {                                                                                                        \
        .kind = name, .needed = 2, .infer = onnx_pointwise_infer_truth, .write = onnx_pointwise_write,       \
        .fold = onnx_pointwise_fold, .apply = function, .flops = 1                                           \
    }

/* Old files say a slope per channel, which would not stretch. */
static bool onnx_pointwise_write_prelu(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *slope = onnx_call_in(call, 1);
    bool channels = slope->shape.rank == 1 && x->shape.rank > 2 && slope->shape.dims[0] > 1 &&
                    slope->shape.dims[0] != x->shape.dims[x->shape.rank - 1];
    return channels ? onnx_write_rearranged(call) : onnx_pointwise_write(call);
}

const struct onnx_operator onnx_pointwise_operators[] = {
    UNARY("Abs", 1, onnx_pointwise_abs),
    UNARY("Acos", 6, NULL),
    UNARY("Acosh", 8, NULL),
    UNARY("Asin", 6, NULL),
    UNARY("Asinh", 8, NULL),
    UNARY("Atan", 6, NULL),
    UNARY("Atanh", 8, NULL),
    UNARY("Ceil", 1, onnx_pointwise_ceil),
    UNARY("Celu", 5, NULL),
    UNARY("Cos", 4, NULL),
    UNARY("Cosh", 6, NULL),
    UNARY("Elu", 5, NULL),
    UNARY("Erf", 6, NULL),
    UNARY("Exp", 4, NULL),
    UNARY("Floor", 1, onnx_pointwise_floor),
    ACT("Gelu", 9, "gelu"),
    UNARY("HardSigmoid", 4, NULL),
    UNARY("HardSwish", 5, NULL),
    UNARY("LeakyRelu", 2, NULL),
    UNARY("Log", 4, NULL),
    UNARY("Mish", 10, NULL),
    UNARY("Neg", 1, onnx_pointwise_neg),
    UNARY("Reciprocal", 1, NULL),
    {.kind = "Relu",
     .needed = 1,
     .infer = onnx_pointwise_infer_unary,
     .write = onnx_pointwise_write,
     .fold = onnx_pointwise_fold,
     .apply = onnx_pointwise_relu,
     .flops = 1,
     .act = "relu"},
    UNARY("Round", 1, onnx_pointwise_round),
    UNARY("Selu", 6, NULL),
    UNARY("Shrink", 3, NULL),
    ACT("Sigmoid", 4, "sigmoid"),
    UNARY("Sign", 1, NULL),
    UNARY("Sin", 4, NULL),
    UNARY("Sinh", 6, NULL),
    UNARY("Softplus", 6, NULL),
    UNARY("Softsign", 3, NULL),
    UNARY("Sqrt", 1, onnx_pointwise_sqrt),
    UNARY("Tan", 6, NULL),
    ACT("Swish", 6, "silu"),
    ACT("Tanh", 4, "tanh"),
    UNARY("ThresholdedRelu", 1, NULL),
    BINARY("Add", 2, onnx_pointwise_add),
    BINARY("Sub", 2, onnx_pointwise_sub),
    BINARY("Mul", 2, onnx_pointwise_mul),
    BINARY("Div", 2, onnx_pointwise_div),
    BINARY("Max", 1, onnx_pointwise_max),
    BINARY("Min", 1, onnx_pointwise_min),
    BINARY("Sum", 1, onnx_pointwise_add),
    BINARY("Pow", 2, onnx_pointwise_pow),
    {.kind = "Mod",
     .needed = 2,
     .infer = onnx_pointwise_infer,
     .write = onnx_pointwise_write,
     .fold = onnx_pointwise_fold,
     .apply = onnx_pointwise_mod,
     .flops = 2},
    {.kind = "Mean", .needed = 1, .infer = onnx_pointwise_infer, .write = onnx_pointwise_write, .flops = 2},
    {.kind = "PRelu",
     .needed = 2,
     .infer = onnx_pointwise_infer_prelu,
     .write = onnx_pointwise_write_prelu,
     .flops = 2},
    {.kind = "BitShift",
     .needed = 2,
     .infer = onnx_pointwise_infer,
     .write = onnx_pointwise_write,
     .flops = 1},
    BINARY("BitwiseAnd", 2, NULL),
    BINARY("BitwiseOr", 2, NULL),
    BINARY("BitwiseXor", 2, NULL),
    UNARY("BitwiseNot", 1, NULL),
    TRUTH("And", onnx_pointwise_and),
    TRUTH("Or", onnx_pointwise_or),
    TRUTH("Xor", onnx_pointwise_xor),
    TRUTH("Equal", onnx_pointwise_equal),
    TRUTH("Greater", onnx_pointwise_greater),
    TRUTH("GreaterOrEqual", onnx_pointwise_at_least),
    TRUTH("Less", onnx_pointwise_less),
    TRUTH("LessOrEqual", onnx_pointwise_at_most),
    {.kind = "Not",
     .needed = 1,
     .infer = onnx_pointwise_infer_truth,
     .write = onnx_pointwise_write,
     .fold = onnx_pointwise_fold,
     .apply = onnx_pointwise_not,
     .flops = 1},
    {.kind = "IsNaN",
     .needed = 1,
     .infer = onnx_pointwise_infer_truth,
     .write = onnx_pointwise_write,
     .flops = 1},
    {.kind = "IsInf",
     .needed = 1,
     .infer = onnx_pointwise_infer_truth,
     .write = onnx_pointwise_write,
     .flops = 1},
    {.kind = "Where",
     .needed = 3,
     .infer = onnx_pointwise_infer_where,
     .write = onnx_pointwise_write,
     .fold = onnx_pointwise_fold_where,
     .flops = 1},
    {.kind = "Cast",
     .needed = 1,
     .infer = onnx_pointwise_infer_cast,
     .write = onnx_pointwise_write,
     .fold = onnx_pointwise_fold,
     .apply = onnx_pointwise_same,
     .flops = 1,
     .rearranges = true},
    {.kind = "CastLike",
     .needed = 2,
     .infer = onnx_pointwise_infer_alike,
     .write = onnx_pointwise_write,
     .flops = 1,
     .settings = 2,
     .rearranges = true},
    {.kind = "Clip",
     .needed = 1,
     .infer = onnx_pointwise_infer_unary,
     .write = onnx_pointwise_write,
     .flops = 2,
     .settings = 6},
    {.kind = "Dropout",
     .needed = 1,
     .infer = onnx_pointwise_infer_dropout,
     .settings = 6,
     .rearranges = true},
    {.kind = "Bernoulli",
     .needed = 1,
     .infer = onnx_pointwise_infer_alike,
     .write = onnx_pointwise_write,
     .flops = 4},
    {.kind = "QuantizeLinear",
     .needed = 2,
     .infer = onnx_pointwise_infer_quantize,
     .write = onnx_pointwise_write,
     .flops = 3,
     .settings = 6,
     .rearranges = true},
    {.kind = "DequantizeLinear",
     .needed = 2,
     .infer = onnx_pointwise_infer_dequantize,
     .write = onnx_pointwise_write,
     .flops = 2,
     .settings = 6,
     .rearranges = true},
    {.kind = "DynamicQuantizeLinear",
     .needed = 1,
     .infer = onnx_pointwise_infer_dynamic,
     .write = onnx_pointwise_write_dynamic,
     .flops = 3},
    {.kind = NULL},
};
