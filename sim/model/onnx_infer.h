/* Onnx_infer: the shapes of all values of a graph, node by node in the file's order, with the numbers of
 * small ones where shapes are computed from them. */
#ifndef PARTITA_MODEL_ONNX_INFER_H
#define PARTITA_MODEL_ONNX_INFER_H

#include "model/onnx_operator.h"

/* Registers all names, with the weights' shapes. `dims`: sizes of symbolic dimensions by their names in the
 * file, or NULL. */
void onnx_infer_init(struct onnx_infer *infer, struct report *report, struct arena *arena,
                     const struct onnx_file *file, const char *path, const struct value *dims);
void onnx_infer_fini(struct onnx_infer *infer);

/* Gives a graph's input a shape, and numbers when it is small: of a stored input. Before onnx_infer_run(). */
bool onnx_infer_bind(struct onnx_infer *infer, const char *name, const struct onnx_tensor *tensor);

/* Runs over the graph with `scale` times the batch. Returns false after reporting. */
bool onnx_infer_run(struct onnx_infer *infer, int64_t scale);

/* The value of a name; NULL when the graph has none. */
struct onnx_value *onnx_infer_value(struct onnx_infer *infer, const char *name);
/* Whether the first dimension of an input is the batch. */
bool onnx_infer_is_input(const struct onnx_infer *infer, const char *name);

#endif
