/* Onnx_state: inputs of a graph that are the states with which recurrent layers begin. */
#ifndef PARTITA_MODEL_ONNX_STATE_H
#define PARTITA_MODEL_ONNX_STATE_H

#include "model/onnx_file.h"

/* Whether an input, or a part of it, is the first state (initial_h or initial_c) of an LSTM, GRU or RNN of
 * the graph or of a subgraph: linear in the nodes. */
bool onnx_state_is(const struct onnx_file *file, const char *input);

#endif
