/* Assign: which iteration dimension of an operator each axis of the mesh splits, and what follows for one
 * member: its share of the iteration space and the box of each operand that it needs or produces. */
#ifndef PARTITA_PLAN_ASSIGN_H
#define PARTITA_PLAN_ASSIGN_H

#include "plan/layout.h"

/* Per axis: the iteration dimension that it splits, or ASSIGN_ALL: every member of the axis does the same
 * work, or ASSIGN_ONE: its first member does all of it, the others nothing. */
enum { ASSIGN_ALL = -1, ASSIGN_ONE = -2 };

struct assignment {
    int8_t split[PLAN_AXES];
    struct interval *shares; /* [member · OPERATOR_DIMS + dimension] in a fused block, where shares overlap;
                                NULL: as the axes split them. Not owned. */
    double useful;           /* the part of the points that no other tile computes as well; 1 where nothing is
                                fused */
};

/* For each axis of the operator's mesh (the stage's own axes, where all operators have one mesh): the first
 * of its labels that names a dimension of the operator which is not opaque, not taken by an earlier axis and
 * at least as large as the axis; failing that, the first that is merely there (some shares are then empty).
 */
struct assignment assign_operator(const struct plan_stage *stage, const struct model *model,
                                  const struct layer_op *layer_op);

/* The mesh of an operator; NULL where the stage's own axes are those of all. */
const struct plan_mesh *assign_mesh(const struct plan_stage *stage, const struct model *model,
                                    const struct layer_op *layer_op);

/* The first label of an axis, or of the axis of the operator's mesh that it is a piece of, that names a
 * sequential dimension of the operator; 0: none does. */
uint32_t assign_sequential(const struct plan_stage *stage, const struct model *model,
                           const struct layer_op *layer_op, uint32_t axis);

/* A member's share of one iteration dimension. */
struct interval assign_share(const struct plan_stage *stage, const struct layer_op *layer_op,
                             const struct assignment *assignment, uint32_t dim, struct coordinates member);

/* Whether what members compute depends on which positions of a causal mask they have. */
bool assign_causal(const struct plan_stage *stage, const struct layer_op *layer_op,
                   const struct assignment *assignment);

/* Points of the iteration space that a member computes: under a causal mask those that it leaves of the
 * member's queries and keys. */
double assign_points(const struct plan_stage *stage, const struct layer_op *layer_op,
                     const struct assignment *assignment, struct coordinates member);

/* The layout that the operator needs an operand in (partial only where it is added to an output that is), or
 * leaves its output in (partial on the
 * axes that split a contracted dimension). `output`: which of the two. */
struct layout assign_layout(const struct plan_stage *stage, const struct model *model,
                            const struct layer_op *layer_op, const struct assignment *assignment,
                            const struct operand *operand, bool output);

/* The box of an operand (or of the output) that a member touches: windows included, clipped to the tensor. */
struct box assign_box(const struct plan_stage *stage, const struct model *model,
                      const struct layer_op *layer_op, const struct assignment *assignment,
                      const struct operand *operand, struct coordinates member);

/* The same without the positions between windows that lie apart. */
struct box assign_read(const struct plan_stage *stage, const struct model *model,
                       const struct layer_op *layer_op, const struct assignment *assignment,
                       const struct operand *operand, struct coordinates member);

/* Bit set: axes that split a window, an offset or a merged dimension of an operand, where assign_box() is not
 * layout_box(). */
uint32_t assign_misaligned(const struct plan_stage *stage, const struct model *model,
                           const struct layer_op *layer_op, const struct assignment *assignment,
                           const struct operand *operand);

/* True when every member's assign_box() is its layout_box(): no window, offset or merged dimension is split.
 */
bool assign_aligned(const struct plan_stage *stage, const struct model *model,
                    const struct layer_op *layer_op, const struct assignment *assignment,
                    const struct operand *operand);

#endif
