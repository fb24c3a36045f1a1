/* Layout: how a tensor lies on a mesh of devices. On each axis of the mesh it is replicated, split along one
 * of its dimensions, partial (every member holds a summand), or on one member (the first, coordinate 0: the
 * others hold nothing of it). A split is into contiguous shares as equal as can be, or in the proportions of
 * the axis; two axes may split the same dimension, the later axis inside the share of the earlier one.
 *
 * A box is the part of a tensor that one member holds, or reads: an interval per tensor dimension, of which
 * windows that lie apart (stride > kernel) read only a comb. */
#ifndef PARTITA_PLAN_LAYOUT_H
#define PARTITA_PLAN_LAYOUT_H

#include "plan/plan.h"

enum placement { PLACE_REPLICATED, PLACE_SPLIT, PLACE_PARTIAL, PLACE_ONE };

struct layout {
    uint8_t place[PLAN_AXES]; /* enum placement, per axis of the mesh */
    uint8_t dim[PLAN_AXES];   /* tensor dimension, where place is PLACE_SPLIT; else 0 */
    uint8_t late; /* bit set: tensor dimensions of which late axes (plan.h) have shares inside those of
                     all others: the same in all layouts of a tensor */
};

/* The positions p with (p + shift) mod step < run; step 0: all. */
struct comb {
    uint16_t step, run, shift;
};

struct box {
    struct interval dims[TENSOR_DIMS];
    struct comb combs[TENSOR_DIMS];
};

/* Whether a position of a dimension is in a box. */
bool layout_has(const struct box *box, uint32_t dim, uint64_t position);
/* Leaves of an interval of a box what its comb has: empty, or from the first to the last position in it. */
void layout_trim(struct box *box, uint32_t dim);
/* The box without combs: what memory is taken for. */
struct box layout_hull(struct box box);

/* A member's coordinates on its mesh. */
struct coordinates {
    uint32_t at[PLAN_AXES];
};

/* Whether the shares of a tensor dimension along one axis lie inside those along another. */
static inline bool layout_inside(const struct plan_stage *stage, const struct layout *layout, uint32_t inner,
                                 uint32_t outer, uint8_t dim)
{
    bool late = stage->late >> inner & 1, before = stage->late >> outer & 1;
    return layout->late >> dim & 1 && late != before ? late : inner > outer;
}

/* Whether late axes of a stage split dimensions of this name inside the shares of all others. */
static inline bool layout_is_late(const struct plan_stage *stage, uint32_t label)
{
    return stage->late && label && (label == stage->late_labels[0] || label == stage->late_labels[1]);
}

/* Members are numbered along the axes, the last axis fastest. */
struct coordinates layout_coordinates(const struct plan_stage *stage, uint32_t member);
uint32_t layout_member(const struct plan_stage *stage, struct coordinates coordinates);

/* A member's place along some axes (bit set) of its stage, and how many places there are. */
uint32_t layout_place(const struct plan_stage *stage, uint32_t axes, uint32_t member);
uint32_t layout_places(const struct plan_stage *stage, uint32_t axes);

/* Share `index` of an interval along an axis: [low + n·index/ways, low + n·(index+1)/ways) rounded down, or
 * the same with the axis's weights summed up; where it rounds up, the shares before are so many whole
 * elements each, as long as there are any. Empty where an axis has more members than there are elements, or a
 * weight is 0. */
struct interval layout_share(struct interval whole, const struct plan_axis *axis, uint32_t index);

/* What a member holds of a tensor in a layout. Axes in `ignore` (bit set) count as replicated. */
struct box layout_box(const struct plan_stage *stage, const struct tensor *tensor,
                      const struct layout *layout, struct coordinates member, uint32_t ignore);

/* Elements of a box, also those that do not exist. */
double layout_elements(const struct box *box, uint32_t rank);
/* What of a tensor is in a box: its elements, of partly filled dimensions those that exist. */
double layout_volume(const struct tensor *tensor, const struct box *box);
/* Boxes of `rank` dimensions: whether one has all of another, and what both have. */
bool layout_covers(const struct box *outer, const struct box *inner, uint32_t rank);
struct box layout_intersection(const struct box *a, const struct box *b, uint32_t rank);
bool layout_equal(const struct layout *a, const struct layout *b, uint32_t axis_count);

/* Whether members hold summands along any axis. */
bool layout_partial(const struct layout *layout);

/* The layout with partial read as replicated. */
struct layout layout_reduced(struct layout layout);

/* Writes "S(y) R P" with the axes' names: "y:S(rows) tensor:R". For explanations. Returns `buffer`. */
char *layout_describe(const struct plan_stage *stage, const struct tensor *tensor,
                      const struct layout *layout, const struct names *names, char *buffer, size_t size);

#endif
