/* Activation: the point-wise functions, by the names that `act:` takes. */
#ifndef PARTITA_MODEL_ACTIVATION_H
#define PARTITA_MODEL_ACTIVATION_H

#include <stdbool.h>

enum activation {
    ACTIVATION_IDENTITY,
    ACTIVATION_RELU,
    ACTIVATION_RELU6,
    ACTIVATION_LEAKY_RELU,
    ACTIVATION_GELU,
    ACTIVATION_SILU,
    ACTIVATION_TANH,
    ACTIVATION_SIGMOID,
    ACTIVATION_HARD_SWISH,
    ACTIVATION_COUNT
};

struct activation_cost {
    double flops;      /* per element, forward; exp and tanh counted as 4 */
    bool input_saved;  /* the derivative needs the input … */
    bool output_saved; /* … or can be had from the output */
};

extern const char *const activation_names[ACTIVATION_COUNT + 1]; /* NULL-terminated */
extern const struct activation_cost activation_costs[ACTIVATION_COUNT];

#endif
