/* Onnx_infer: the shapes of all values of a graph, node by node in the file's order, with the numbers of
 * small ones where shapes are computed from them. */
#ifndef PARTITA_MODEL_ONNX_INFER_H
#define PARTITA_MODEL_ONNX_INFER_H

#include "model/onnx_operator.h"

/* `choices` NULL: none. */
void onnx_infer_init(struct onnx_infer *infer, struct report *report, struct arena *arena,
                     const struct onnx_file *file, const char *path, const struct onnx_choices *choices);
/* A further pass over the flat list of one that has run, at another batch. */
void onnx_infer_again(struct onnx_infer *infer, struct report *report, const struct onnx_infer *once);
void onnx_infer_fini(struct onnx_infer *infer);

/* Gives a graph's input a shape, and numbers when it is small: of a stored input. Before onnx_infer_run(). */
bool onnx_infer_bind(struct onnx_infer *infer, const char *name, const struct onnx_tensor *tensor);

/* Runs over the graph with `scale` times the batch. Returns false after reporting. */
bool onnx_infer_run(struct onnx_infer *infer, int64_t scale);

/* The value of a name; NULL when the graph has none. */
struct onnx_value *onnx_infer_value(struct onnx_infer *infer, const char *name);

/* ---- for onnx_expand ---- */

/* A value of a name; its identity is its place in `values`, which may move them. */
struct onnx_value *onnx_infer_add(struct onnx_infer *infer, const char *name);
/* Gives a value a weight, or a constant. */
void onnx_infer_constant(struct onnx_infer *infer, const char *name, const struct onnx_tensor *tensor);
/* Appends a node to the flat list, which takes it over. */
void onnx_infer_append(struct onnx_infer *infer, const struct onnx_node *node);
/* Finds the shapes that a node of the flat list gives. */
bool onnx_infer_node(struct onnx_infer *infer, uint32_t n);

#endif
