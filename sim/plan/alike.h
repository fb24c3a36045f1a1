/* Alike: which members of a stage do the same work. Their shares of even splits have the same sizes wherever
 * they stand, so only some axes of the mesh can tell members apart; what follows is worked out once per place
 * along those. */
#ifndef PARTITA_PLAN_ALIKE_H
#define PARTITA_PLAN_ALIKE_H

#include "plan/derive.h"

/* Numbers; whatever has the same ones is alike. */
struct signature {
    double *at;
    uint32_t count, room;
};

/* Classes by signature. Zero it to start. */
struct alike {
    VECTOR(struct signature) kinds; /* owned */
    uint32_t axes;                  /* bit set: alike_work() */
    struct index_list of;           /* alike_work(): per place along those axes: its class */
};

/* The class of a signature: one of those before, or the next. */
uint32_t alike_find(struct alike *alike, const struct signature *signature);
void alike_fini(struct alike *alike);

/* Bit set: the axes along which members may differ in the sizes of their work, of what they store or of what
 * they communicate. */
uint32_t alike_axes(const struct derivation *derivation);

/* The same for the sizes of its parameters alone. */
uint32_t alike_parameters(const struct derivation *derivation);

/* Classes by the numbers in which members' work, parameters and collectives could differ; `axes`: those of
 * alike_axes(). */
void alike_work(const struct derivation *derivation, uint32_t axes, struct alike *alike);
/* The class of a member, by alike_work(). */
uint32_t alike_class(const struct alike *alike, const struct plan_stage *stage, uint32_t member);

#endif
