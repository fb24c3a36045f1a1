/* Optimizer: what each one keeps per parameter. An optimizer is one entry of the table. */
#ifndef PARTITA_PLAN_OPTIMIZER_H
#define PARTITA_PLAN_OPTIMIZER_H

#include "plan/layout.h"

struct optimizer {
    const char *name;
    double moments; /* values kept per parameter */
    bool factored;  /* besides, a second moment kept as one value per row and one per column of a matrix, or
                       per element of a vector */
};

extern const struct optimizer optimizer_table[OPTIMIZER_COUNT];
extern const char *const optimizer_names[OPTIMIZER_COUNT + 1]; /* NULL-terminated */

/* Whether the optimizer keeps a copy of the weights besides those that kernels read: where it works in a
 * wider precision than they are stored in (Micikevicius et al. 2018). */
bool optimizer_master(const struct plan *plan);

/* Bytes per parameter of the states that are as many as the parameters: moments and master copy
 * (Rajbhandari et al. 2020: 12 bytes for Adam in mixed precision). */
double optimizer_bytes(const struct plan *plan);

/* Bytes of all states for the part of a parameter in `box`. `rows`: the dimensions (bit set) that stand for
 * the rows when the parameter is read as a matrix (Shazeer and Stern 2018). */
double optimizer_states(const struct plan *plan, const struct tensor *tensor, const struct box *box,
                        uint32_t rows);

#endif
