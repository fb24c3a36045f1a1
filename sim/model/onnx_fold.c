#include "model/onnx_fold.h"

double *onnx_fold_numbers(struct onnx_call *call, const struct onnx_value *out)
{
    return ARENA_ARRAY(call->infer->arena, double, (size_t)onnx_file_elements(&out->shape) + 1);
}

void onnx_fold_strides(const struct onnx_shape *shape, int64_t strides[ONNX_RANK])
{
    int64_t stride = 1;
    for (uint32_t i = shape->rank; i-- > 0;) {
        strides[i] = stride;
        stride *= shape->dims[i];
    }
}

void onnx_fold_same(struct onnx_call *call)
{
    onnx_call_know(call, 0, onnx_call_in(call, 0)->known);
}

void onnx_fold_steps(struct onnx_call *call, int64_t start, const int64_t *step)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *out = onnx_call_out(call, 0);
    double *numbers = onnx_fold_numbers(call, out);
    int64_t count = onnx_file_elements(&out->shape);
    for (int64_t k = 0; k < count; k++) {
        int64_t at = start, rest = k;
        for (uint32_t i = out->shape.rank; i-- > 0; rest /= out->shape.dims[i])
            at += rest % out->shape.dims[i] * step[i];
        numbers[k] = x->known[at];
    }
    onnx_call_know(call, 0, numbers);
}
