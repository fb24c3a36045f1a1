/* Onnx_write: the layers of a graph whose shapes are known. What operators use of it stands in
 * onnx_operator.h. */
#ifndef PARTITA_MODEL_ONNX_WRITE_H
#define PARTITA_MODEL_ONNX_WRITE_H

#include "model/onnx_infer.h"

struct onnx_writer {
    struct onnx_infer *infer;
    const struct onnx_infer *twice; /* with twice the batch; NULL: the file is fixed to its batch */
    struct value *layers;
    struct place place;
    struct names used;  /* names of layers */
    struct names owned; /* of weights that are parameters of a layer */
    const char *
        *owners; /* by value: the layer that has it among its weights, for others like that; or NULL */
    double parameters, statistics; /* elements */
};

/* Appends the layers of all nodes to `writer->layers`. Returns false after reporting. */
bool onnx_write_graph(struct onnx_writer *writer);

#endif
