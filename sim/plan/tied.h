/* Tied: parameters that several stages hold (tied embeddings; everything, where a schedule has two
 * directions), each in a layout of its own, and how the sums that the stages have of its gradient are added.
 *
 * What a stage reduces itself leaves each member the sum over the stage of a *region* of the tensor: its
 * share in the layout, of which it may own just an interval (shard.h). Where the stages' regions are the same
 * member by member, members of one number add theirs up (an all-reduce). Elsewhere every member gets, from
 * every other stage, what that has of its own region: from each owner the intersection, from one of those
 * that have the same in turn. So each stage's sum of an element is sent once to each member that keeps it. */
#ifndef PARTITA_PLAN_TIED_H
#define PARTITA_PLAN_TIED_H

#include "plan/derive.h"

/* One of the stages that hold the tensor; stages of the same devices with the same regions count as one. */
struct tied_copy {
    uint32_t stage, parameter; /* the latter: index into the derivation's parameters */
};

struct tied_flow {
    uint32_t source, target; /* stages */
    uint32_t from, to;       /* members of them, on different devices */
    double elements;
};

struct tied_sum {
    uint32_t tensor;
    bool alike;                      /* the copies have the same regions: there are no flows */
    VECTOR(struct tied_copy) copies; /* at least two, in the order of the stages */
    VECTOR(struct tied_flow) flows;  /* by target, source, receiver, sender */
};

/* Derives the sum of a parameter's gradient over the stages that hold it; false, and nothing to release,
 * where one stage, or one set of devices, has it alone. `derivations`: of all stages. */
bool tied_find(const struct derivation *derivations, uint32_t tensor, struct tied_sum *sum);
void tied_fini(struct tied_sum *sum);

/* Elements of the region of member `member` of the copies, where they are alike. */
double tied_elements(const struct derivation *derivations, const struct tied_sum *sum, uint32_t member);

/* The parts, as boxes that do not overlap, of an interval of a box's elements in row-major order. Returns how
 * many there are. */
enum { TIED_PIECES = 2 * TENSOR_DIMS - 1 };
uint32_t tied_pieces(struct box box, uint32_t rank, struct interval flat, struct box pieces[TIED_PIECES]);

#endif
