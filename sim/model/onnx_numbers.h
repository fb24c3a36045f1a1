/* Onnx_numbers: the elements of tensors as numbers. */
#ifndef PARTITA_MODEL_ONNX_NUMBERS_H
#define PARTITA_MODEL_ONNX_NUMBERS_H

#include "model/onnx_file.h"

/* A small tensor's numbers, in the arena; NULL when it has more than ONNX_KNOWN elements, is no plain number
 * type, or the file does not hold them all. */
const double *onnx_numbers(struct arena *arena, const struct onnx_tensor *tensor);

/* Whether each square of the last two dimensions has one number on and below its diagonal and another one
 * above, as a causal mask has. The numbers are `known`, or else those of a tensor of the file (or NULL),
 * which is looked through until something does not fit; up to 2^24 elements. */
bool onnx_numbers_triangle(struct arena *arena, const struct onnx_shape *shape, const double *known,
                           const struct onnx_tensor *tensor);

/* Bytes of one element in raw data; 0: not whole bytes, or unknown. */
size_t onnx_numbers_size(int64_t type);

/* The number whose 32 bits these are (IEEE 754 binary32). */
double onnx_numbers_float(uint64_t bits);

#endif
