/* Overlap: two passes of one device at the same time. The operations of both are dealt out in turn, so that
 * the compute stream works on one while communications of the other are on their way (DeepSeek-AI 2024,
 * DeepSeek-V3 Technical Report, section 3.2.1). */
#ifndef PARTITA_PLAN_OVERLAP_H
#define PARTITA_PLAN_OVERLAP_H

#include "plan/builder.h"

/* Slots that are kept elsewhere and follow their operations; PROGRAM_NONE stays. */
struct overlap_notes {
    uint32_t *at;
    uint32_t count;
};

/* Merges the operations from `second` on, which are one pass, into those of [first, second), another one, by
 * their marks: the share of their pass that is done, so that it is the same on all members of a group. What
 * the second pass issues after the first one's last kernel is issued when the pair begins. */
void overlap_merge(struct builder *builder, uint32_t first, uint32_t second, struct overlap_notes *notes,
                   uint32_t note_count);

#endif
