/* Owners: which device of an axis has which experts of a mixture, or which tables.
 *
 *     plan: {expert: 2, experts: [[0, 3..5], [1, 2, 6, 7]]}     by number, as many on each as one likes
 *     split: {table: {indices: [[0, 7], [1..6]]}}               the same where a dimension is split by name
 *
 * Experts are alike but for how many tokens each gets, tables but for their rows. So the positions of such a
 * dimension are renumbered: those of the first device first. What each holds is then one interval again, and
 * everything else follows as for other shares of unequal sizes. */
#ifndef PARTITA_PLAN_OWNERS_H
#define PARTITA_PLAN_OWNERS_H

#include "input/fields.h"
#include "plan/plan.h"

/* Of one dimension, made for the axes of one stage. */
struct owners {
    uint32_t axes;                   /* bit set over the stage's axes: together they divide it */
    uint32_t shares;                 /* the product of their sizes */
    const uint64_t *edge;            /* shares + 1: share i has the positions [edge[i], edge[i + 1]) */
    const uint32_t *order;           /* position → number as the user counts */
    const struct owners_list *given; /* not owned */
};

/* As the user wrote it: before it is known how many there are. */
struct owners_list {
    struct owners_range {
        uint32_t low, high, share; /* numbers low to high, both included, belong to this share */
        struct place place;
    } * ranges;
    uint32_t range_count, shares;
    const char *key; /* "plan.experts" or "indices", for messages */
    struct place place;
};

/* Reads a list with one entry per share: a list of numbers and ranges FIRST..LAST, or one of these. NULL
 * after reporting. */
struct owners_list *owners_read(struct input *input, const struct value *list, const char *key);

/* Renumbers the experts and tables of all layers that an axis with such a list splits. Reports what nobody
 * owns, what is owned twice and what does not exist. May be called again after stages are added. */
bool owners_apply(struct input *input, struct plan *plan);

/* Share `index` along an axis of what `whole` is of a dimension. `owners` may be NULL, and need not speak of
 * this axis: then layout_share(). */
struct interval owners_share(const struct owners *owners, const struct plan_stage *stage, uint32_t axis,
                             struct interval whole, uint32_t index);

/* Elements of the largest share along an axis of `size` positions. */
uint64_t owners_largest(const struct owners *owners, const struct plan_stage *stage, uint32_t axis,
                        uint64_t size);

/* Positions as the user counts them: "0, 3..5", or "none". Returns `buffer`. */
char *owners_describe(const struct owners *owners, struct interval positions, char *buffer, size_t size);

#endif
