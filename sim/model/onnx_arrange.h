/* Onnx_arrange: weights that a file arranges from others before a layer reads them. Exporters order the gates
 * of a recurrent layer anew (Slice, Concat, Unsqueeze), or join and cut the weights of products. The numbers
 * are known before the network runs, so the result is a weight of the layer like one that stands in the file.
 */
#ifndef PARTITA_MODEL_ONNX_ARRANGE_H
#define PARTITA_MODEL_ONNX_ARRANGE_H

#include "model/onnx_infer.h"

/* Gives each layer that reads arranged weights a weight of the final shape instead, in a graph that
 * onnx_infer_run() has walked; onnx_recognise_all() then takes away the nodes that nobody reads any more.
 *
 * Elements count once: where layers together read more elements of a weight than it has, they share some of
 * it, and it stays as the file says. The same holds where something else reads it too. */
void onnx_arrange_weights(struct onnx_infer *infer);

#endif
