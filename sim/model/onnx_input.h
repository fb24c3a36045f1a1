/* Onnx_input: shapes of the inputs of a graph. A dimension may be a symbol ("batch", "sequence_length"), a
 * sum of symbols ("past_sequence_length + 1"), or unknown. Whoever uses the model says its size; for what
 * nobody says there is a size by its name, which is reported. */
#ifndef PARTITA_MODEL_ONNX_INPUT_H
#define PARTITA_MODEL_ONNX_INPUT_H

#include "model/onnx_call.h"

/* Gives all inputs of the graph their shapes. Returns false after reporting. */
bool onnx_input_shapes(struct onnx_infer *infer);

/* The size of a symbolic dimension, or what stands for it. */
int64_t onnx_input_size(struct onnx_infer *infer, const struct onnx_dim *dim);

#endif
