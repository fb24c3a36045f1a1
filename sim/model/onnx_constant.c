/* Onnx_constant: operators that make numbers (constants, sizes, ranges); shape computations start there. */
#include "model/onnx_numbers.h"
#include "model/onnx_operator.h"

#include <math.h>

static bool onnx_constant_value(struct onnx_call *call)
{
    const struct onnx_attribute *value = onnx_file_attribute(call->node, "value");
    struct onnx_shape shape = {0};
    double *number = ARENA_NEW(call->infer->arena, double);
    if (value && value->t) {
        onnx_call_know(call, 0, onnx_numbers(call->infer->arena, value->t));
        return onnx_call_give(call, 0, value->t->type, &value->t->shape);
    }
    const struct onnx_attribute *one = onnx_file_attribute(call->node, "value_int"),
                                *real = onnx_file_attribute(call->node, "value_float");
    if (one || real) {
        *number = one ? (double)one->i : real->f;
        onnx_call_know(call, 0, number);
        return onnx_call_give(call, 0, one ? ONNX_INT64 : ONNX_FLOAT, &shape);
    }
    const struct onnx_attribute *ints = onnx_file_attribute(call->node, "value_ints"),
                                *reals = onnx_file_attribute(call->node, "value_floats");
    shape.rank = 1;
    if (ints || reals) {
        shape.dims[0] = ints ? ints->ints.count : reals->floats.count;
        number = ARENA_ARRAY(call->infer->arena, double, (size_t)shape.dims[0] + 1);
        for (int64_t i = 0; i < shape.dims[0]; i++)
            number[i] = ints ? (double)ints->ints.at[i] : reals->floats.at[i];
        onnx_call_know(call, 0, number);
        return onnx_call_give(call, 0, ints ? ONNX_INT64 : ONNX_FLOAT, &shape);
    }
    if (onnx_file_attribute(call->node, "value_string"))
        return onnx_call_give(call, 0, ONNX_STRING, &(struct onnx_shape){0});
    const struct onnx_attribute *strings = onnx_file_attribute(call->node, "value_strings");
    if (strings) {
        shape.dims[0] = strings->string_count;
        return onnx_call_give(call, 0, ONNX_STRING, &shape);
    }
    return onnx_call_fail(call, "has no value of a kind that is known");
}

static bool onnx_constant_shape(struct onnx_call *call)
{
    const struct onnx_shape *x = &onnx_call_in(call, 0)->shape;
    int64_t rank = x->rank, start = onnx_call_int(call, "start", 0), end = onnx_call_int(call, "end", rank);
    start = start < 0 ? start + rank : start;
    end = end < 0 ? end + rank : end;
    start = start < 0 ? 0 : start > rank ? rank : start;
    end = end < start ? start : end > rank ? rank : end;
    double *numbers = ARENA_ARRAY(call->infer->arena, double, ONNX_RANK);
    for (int64_t i = start; i < end; i++)
        numbers[i - start] = (double)x->dims[i];
    onnx_call_know(call, 0, numbers);
    return onnx_call_give(call, 0, ONNX_INT64, &(struct onnx_shape){1, {end - start}});
}

static bool onnx_constant_size(struct onnx_call *call)
{
    double *number = ARENA_NEW(call->infer->arena, double);
    *number = (double)onnx_file_elements(&onnx_call_in(call, 0)->shape);
    onnx_call_know(call, 0, number);
    return onnx_call_give(call, 0, ONNX_INT64, &(struct onnx_shape){0});
}

static bool onnx_constant_repeated(struct onnx_call *call)
{
    const struct onnx_attribute *value = onnx_file_attribute(call->node, "value");
    struct onnx_shape shape;
    if (!onnx_call_shape(call, 0, &shape) ||
        !onnx_call_give(call, 0, value && value->t ? value->t->type : ONNX_FLOAT, &shape))
        return false;
    int64_t count = onnx_file_elements(&shape);
    const double *number = value && value->t ? onnx_numbers(call->infer->arena, value->t) : NULL;
    if (count > ONNX_KNOWN || (value && !number) || (number && onnx_file_elements(&value->t->shape) < 1))
        return true;
    double *numbers = ARENA_ARRAY(call->infer->arena, double, (size_t)count + 1);
    for (int64_t i = 0; i < count; i++)
        numbers[i] = number ? *number : 0;
    onnx_call_know(call, 0, numbers);
    return true;
}

static bool onnx_constant_range(struct onnx_call *call)
{
    const struct onnx_value *start = onnx_call_in(call, 0), *limit = onnx_call_in(call, 1),
                            *delta = onnx_call_in(call, 2);
    if (!start->known || !limit->known || !delta->known || *delta->known == 0 ||
        onnx_file_elements(&start->shape) != 1 || onnx_file_elements(&limit->shape) != 1)
        return onnx_call_fail(call,
                              "gives a shape that depends on numbers which are not known before it runs");
    double steps = ceil((*limit->known - *start->known) / *delta->known);
    int64_t count = steps > 0 ? onnx_call_whole(steps) : 0;
    if (!onnx_call_give(call, 0, start->type, &(struct onnx_shape){1, {count}}))
        return false;
    if (count > ONNX_KNOWN)
        return true;
    double *numbers = ARENA_ARRAY(call->infer->arena, double, (size_t)count + 1);
    for (int64_t i = 0; i < count; i++)
        numbers[i] = *start->known + (double)i * *delta->known;
    onnx_call_know(call, 0, numbers);
    return true;
}

const struct onnx_operator onnx_constant_operators[] = {
    {.kind = "Constant", .needed = 0, .infer = onnx_constant_value, .write = onnx_write_rearranged},
    {.kind = "Shape", .needed = 1, .infer = onnx_constant_shape, .write = onnx_write_rearranged},
    {.kind = "Size", .needed = 1, .infer = onnx_constant_size, .write = onnx_write_rearranged},
    {.kind = "ConstantOfShape",
     .needed = 1,
     .infer = onnx_constant_repeated,
     .write = onnx_write_rearranged,
     .settings = 1},
    {.kind = "Range",
     .needed = 3,
     .infer = onnx_constant_range,
     .write = onnx_write_rearranged,
     .settings = 7},
    {.kind = NULL},
};
