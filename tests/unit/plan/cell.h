/* Cell: the gates of one unit of a recurrent layer over its time steps, forward and backward, as published
 * (LSTM: Hochreiter and Schmidhuber 1997 with forget gates; GRU: Cho et al. 2014 in cuDNN's form, where the
 * reset gate scales the recurrent product). States are recomputed from the first step on, so nothing is kept
 * between calls. */
#ifndef PARTITA_TESTS_CELL_H
#define PARTITA_TESTS_CELL_H

#include <math.h>
#include <stdint.h>

enum { CELL_GATES = 4, CELL_STEPS = 16 };
enum cell_kind { CELL_RNN = 1, CELL_GRU = 3, CELL_LSTM = 4 }; /* the number of gates */

struct cell {
    enum cell_kind kind;
    double x[CELL_STEPS][CELL_GATES]; /* sums from the input (LSTM, RNN: from both) */
    double h[CELL_STEPS][CELL_GATES]; /* GRU: sums from the hidden state */
    double state[CELL_STEPS + 1];     /* LSTM: c; GRU: h; before each step */
    double out[CELL_STEPS];
};

static inline double cell_sigmoid(double z)
{
    return 1 / (1 + exp(-z));
}

static inline void cell_step(struct cell *cell, uint32_t t)
{
    const double *x = cell->x[t], *h = cell->h[t], before = cell->state[t];
    if (cell->kind == CELL_LSTM) {
        cell->state[t + 1] = cell_sigmoid(x[1]) * before + cell_sigmoid(x[0]) * tanh(x[2]);
        cell->out[t] = cell_sigmoid(x[3]) * tanh(cell->state[t + 1]);
    } else if (cell->kind == CELL_GRU) {
        double u = cell_sigmoid(x[1] + h[1]), n = tanh(x[2] + cell_sigmoid(x[0] + h[0]) * h[2]);
        cell->state[t + 1] = cell->out[t] = (1 - u) * n + u * before;
    } else {
        cell->out[t] = tanh(x[0]);
    }
}

/* The gradients dx and dh of the sums of step t, and of the state before it. `dy`: of its output; `ds`: of
 * the state after it. */
static inline double cell_back(const struct cell *cell, uint32_t t, double dy, double ds, double *dx,
                               double *dh)
{
    const double *x = cell->x[t], *h = cell->h[t], before = cell->state[t];
    if (cell->kind == CELL_LSTM) {
        double i = cell_sigmoid(x[0]), f = cell_sigmoid(x[1]), g = tanh(x[2]), o = cell_sigmoid(x[3]);
        double c = tanh(cell->state[t + 1]), dc = ds + dy * o * (1 - c * c);
        dx[0] = dc * g * i * (1 - i);
        dx[1] = dc * before * f * (1 - f);
        dx[2] = dc * i * (1 - g * g);
        dx[3] = dy * c * o * (1 - o);
        return dc * f;
    }
    if (cell->kind == CELL_GRU) {
        double r = cell_sigmoid(x[0] + h[0]), u = cell_sigmoid(x[1] + h[1]), n = tanh(x[2] + r * h[2]);
        double d = ds + dy;
        dx[2] = d * (1 - u) * (1 - n * n);
        dh[2] = dx[2] * r;
        dx[0] = dh[0] = dx[2] * h[2] * r * (1 - r);
        dx[1] = dh[1] = d * (before - n) * u * (1 - u);
        return d * u;
    }
    dx[0] = dy * (1 - cell->out[t] * cell->out[t]);
    return 0;
}

#endif
