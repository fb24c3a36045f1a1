/* Compression: gradients that are summed in fewer bytes. What a kind sends, and works for it, is a closed
 * form of the sizes of what it compresses; what it does to the training is not simulated. A kind is one entry
 * of the table. */
#ifndef PARTITA_PLAN_COMPRESSION_H
#define PARTITA_PLAN_COMPRESSION_H

#include "plan/work.h"

enum { COMPRESSION_PHASES = 2 };

/* Gradients that are compressed together, of one member. */
struct compression_sizes {
    double elements;
    double matrices; /* of those, in matrices that are larger than their factors of the plan's rank … */
    double rows, columns; /* … of which there are so many together; the other elements go as they are */
};

/* A computation and then a collective. */
struct compression_phase {
    double flops, moved; /* floating-point operations; bytes of the device's memory */
    int collective;      /* enum collective_kind; COLLECTIVE_KIND_COUNT: none, the sums are there */
    double bytes;        /* as in struct op */
};

struct compression {
    const char *name, *about; /* its key under plan.compress */
    /* The phases over `ways` members, the last without a collective; returns how many. */
    uint32_t (*phases)(const struct plan *plan, const struct compression_sizes *sizes, double ways,
                       struct compression_phase phases[COMPRESSION_PHASES + 1]);
};

/* By plan->compression.kind - 1; NULL-terminated. */
extern const struct compression *const compression_table[];

/* Adds a parameter of a stage. */
void compression_add(const struct derivation *derivation, uint32_t index, uint32_t member,
                     struct compression_sizes *sizes);

/* The phases of the plan's kind, as in the table. */
uint32_t compression_phases(const struct plan *plan, const struct compression_sizes *sizes, double ways,
                            struct compression_phase phases[COMPRESSION_PHASES + 1]);

/* The computation of a phase on a device. */
struct work compression_work(const struct plan *plan, uint32_t device, const struct compression_phase *phase);

/* Bytes per element of what was left out, which is added to the next gradient (error feedback); 0 without
 * compression. */
double compression_residual(const struct plan *plan);

#endif
