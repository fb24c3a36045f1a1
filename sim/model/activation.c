#include "model/activation.h"

const char *const activation_names[ACTIVATION_COUNT + 1] = {
    "identity", "relu", "relu6", "leaky-relu", "gelu", "silu", "tanh", "sigmoid", "hard-swish", 0};

const struct activation_cost activation_costs[ACTIVATION_COUNT] = {
    [ACTIVATION_IDENTITY] = {0, false, false},  [ACTIVATION_RELU] = {1, false, true},
    [ACTIVATION_RELU6] = {2, false, true},      [ACTIVATION_LEAKY_RELU] = {2, false, true},
    [ACTIVATION_GELU] = {9, true, false},       [ACTIVATION_SILU] = {6, true, false},
    [ACTIVATION_TANH] = {4, false, true},       [ACTIVATION_SIGMOID] = {6, false, true},
    [ACTIVATION_HARD_SWISH] = {5, true, false},
};
