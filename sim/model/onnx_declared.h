/* Onnx_declared: what a graph says of an input or output (ValueInfoProto): its name, type and dimensions,
 * each of which is a size, a symbol or unknown. */
#ifndef PARTITA_MODEL_ONNX_DECLARED_H
#define PARTITA_MODEL_ONNX_DECLARED_H

#include "model/onnx_file.h"

struct onnx_declared onnx_declared_read(struct onnx_reader *reader, struct onnx_wire wire);

#endif
