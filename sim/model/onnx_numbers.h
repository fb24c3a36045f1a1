/* Onnx_numbers: the elements of tensors as numbers. */
#ifndef PARTITA_MODEL_ONNX_NUMBERS_H
#define PARTITA_MODEL_ONNX_NUMBERS_H

#include "model/onnx_file.h"

/* A small tensor's numbers, in the arena; NULL when it has more than ONNX_KNOWN elements, is no plain number
 * type, or the file does not hold them all. */
const double *onnx_numbers(struct arena *arena, const struct onnx_tensor *tensor);

/* Numbers that are seen one after the other: whether they are squares, each with one number on and below its
 * diagonal and another one above, as a causal mask has. */
struct onnx_numbers_squares {
    int64_t side, at;    /* at: how many were seen */
    double below, above; /* the diagonal */
};

/* Whether a shape can be that of such squares, at most 2^24 numbers; prepares them. */
bool onnx_numbers_square(struct onnx_numbers_squares *squares, const struct onnx_shape *shape);
/* Takes the next number; false: it does not fit. */
bool onnx_numbers_fits(void *squares, double number);
/* Whether a tensor of the file is such; it is looked through until something does not fit. */
bool onnx_numbers_triangle(struct arena *arena, const struct onnx_tensor *tensor);

/* Bytes of one element in raw data; 0: not whole bytes, or unknown. */
size_t onnx_numbers_size(int64_t type);

/* The number whose 32 bits these are (IEEE 754 binary32). */
double onnx_numbers_float(uint64_t bits);

#endif
