/* Convert: one tensor from the layout it is in to the layout it is wanted in. */
#ifndef PARTITA_PLAN_CONVERT_H
#define PARTITA_PLAN_CONVERT_H

#include "plan/derive.h"

/* One collective of a conversion, along one axis, or several that are pieces of one (mesh.h). */
struct convert_step {
    uint8_t collective; /* enum collective_kind */
    uint8_t axis;
    uint8_t axes; /* bit set: it runs over all of these together, of which `axis` is one */
    struct layout before, after;
};

enum { CONVERT_STEPS = 4 * PLAN_AXES };

/* The collectives that turn `from` into `to` (which is partial only where `from` is), and how many. Free
 * slices (R → S) come as early as they can and shrink what the others move; then P → S, S → S', P → R, S → R.
 * Shares of one dimension nest, so an axis takes or gives up a dimension only while no later axis splits it,
 * and takes it only when no other axis is still to give it up; where axes block each other, one is gathered.
 * At most two steps an axis. A sequence that always exists and is seldom beaten; search.h finds the cheapest.
 */
uint32_t convert_steps(const struct plan_stage *stage, struct layout from, struct layout to,
                       struct convert_step steps[CONVERT_STEPS]);

/* Makes one collective of equal ones that follow each other along the pieces of one axis of a mesh (mesh.h).
 * Returns how many are left. */
uint32_t convert_join(const struct plan_stage *stage, struct convert_step *steps, uint32_t count);

/* Shares of one dimension nest: a later axis (or a late one, layout.h) splits the share of an earlier one. So
 * an axis may take or give up a dimension only while none splits it inside its shares. */
bool convert_loose(const struct plan_stage *stage, const struct layout *now, uint32_t axis, uint8_t dim);

/* What a source's members hold, and which of them hold the same. */
struct convert_side {
    const struct plan_stage *stage;
    const struct tensor *tensor;
    struct layout layout;    /* members that differ only on axes that are not split hold the same box */
    const struct box *boxes; /* per member, or NULL for the layout's own */
};

/* What a member of a side holds. */
struct box convert_box(const struct convert_side *side, uint32_t member);

struct message_list {
    struct message_part *at;
    uint32_t count, room;
};

/* Appends the messages that give each member of `to` what it wants and lacks: for each distinct box of the
 * source, the part of it that the member wants, from the holder that is the member itself, else the one with
 * the member's own coordinates, else holders in turn. With `add` the source boxes may overlap and are summed
 * (gradients of a halo); otherwise they must not. `same`: both sides are the same stage, so a member's own
 * box costs nothing; otherwise devices are compared. */
void convert_messages(const struct convert_side *from, const struct convert_side *to, bool same,
                      struct message_list *out);

#endif
