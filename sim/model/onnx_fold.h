/* Onnx_fold: numbers of outputs from numbers of inputs that are known, for operators that only place them. */
#ifndef PARTITA_MODEL_ONNX_FOLD_H
#define PARTITA_MODEL_ONNX_FOLD_H

#include "model/onnx_call.h"

/* Room for the numbers of an output, in the arena. */
double *onnx_fold_numbers(struct onnx_call *call, const struct onnx_value *out);

/* The strides of a shape's dimensions, in elements. */
void onnx_fold_strides(const struct onnx_shape *shape, int64_t strides[ONNX_RANK]);

/* The same numbers in the same order. */
void onnx_fold_same(struct onnx_call *call);

/* Output element at place p is the input element at the sum of p[i]·step[i], from `start`. */
void onnx_fold_steps(struct onnx_call *call, int64_t start, const int64_t *step);

#endif
