/* Onnx: a model from an .onnx file, as a document in Partita's notation: parse (onnx_file), find all shapes
 * (onnx_infer), write each node as layers (onnx_write; the operators' own files). The graph is walked twice,
 * the second time with twice the batch, which tells the dimensions that grow with it; the document says those
 * in terms of `batch`. */
#ifndef PARTITA_MODEL_ONNX_H
#define PARTITA_MODEL_ONNX_H

#include "input/document.h"

/* `set`: the model's keys of a workload or the command line, or NULL: `dims` (sizes of symbolic dimensions)
 * and `unknown-ops: ignore` are read and taken out of it. NULL after reporting. */
struct value *onnx_read(struct input *input, const char *path, struct value *set);

/* The same of a file in memory (for tests). */
struct value *onnx_read_bytes(struct input *input, const char *name, const unsigned char *bytes, size_t size);

#endif
