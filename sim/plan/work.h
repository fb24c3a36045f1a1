/* Work: FLOPs, bytes and seconds of one operator for one member, forward and backward. */
#ifndef PARTITA_PLAN_WORK_H
#define PARTITA_PLAN_WORK_H

#include "plan/derive.h"

struct work {
    double flops;        /* all floating-point operations */
    double model_flops;  /* those of einsums: what MFU counts */
    double weight_flops; /* backward: the part of flops that makes parameter gradients (pass W) */
    double bytes;        /* moved to and from memory */
    double launches;
    double seconds; /* by cost_seconds(), on the member's device */
};

/* Of one operator of a derivation, all its kernels together. */
struct work work_forward(const struct derivation *d, uint32_t layer_op, uint32_t member);
struct work work_backward(const struct derivation *d, uint32_t layer_op, uint32_t member);

/* The two halves of a backward pass where they are passes of their own: everything but the einsums that make
 * parameter gradients (I), and those (W). */
struct work work_input_gradient(const struct derivation *d, uint32_t layer_op, uint32_t member);
struct work work_weight_gradient(const struct derivation *d, uint32_t layer_op, uint32_t member);

/* The update of `parameters` elements with `states` bytes of optimizer states on a device. */
struct work work_optimizer(const struct plan *plan, uint32_t device, double parameters, double states);

/* Fills in the seconds of work that only moves bytes of a device's memory. */
void work_memory(const struct plan *plan, uint32_t device, struct work *work);

/* Adds another's numbers; multiplies all by a share. */
void work_add(struct work *sum, const struct work *other);

void work_scale(struct work *work, double share);

/* A part of one operator's kernels (`whole`: all of them, forward or backward): so much of its sequence. What
 * has no positions, as weights, is read in every part, and every part is launched. */
struct work work_part(const struct derivation *d, uint32_t layer_op, uint32_t member,
                      const struct work *whole, bool backward, double share);

/* A part of one product (`whole`: all of it, forward or backward): so much of its contracted dimension. What
 * has not that dimension (forward the output, which is added to after the first panel; backward its gradient)
 * is touched in every part, and every part is launched. */
struct work work_panel(const struct derivation *d, uint32_t layer_op, uint32_t member,
                       const struct work *whole, bool backward, double share, bool first);

#endif
