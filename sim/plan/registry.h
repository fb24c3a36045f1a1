/* Registry: the groups in which ranks communicate, each made when it is first asked for. */
#ifndef PARTITA_PLAN_REGISTRY_H
#define PARTITA_PLAN_REGISTRY_H

#include "plan/derive.h"

/* What a point-to-point group is for; part of its identity, so forward and backward transfers of one pair are
 * told apart. */
enum channel {
    CHANNEL_FORWARD,
    CHANNEL_BACKWARD,
    CHANNEL_EXCHANGE,
    CHANNEL_INPUT,
    CHANNEL_RING,
    CHANNEL_PANELS,
    CHANNEL_OFFLOAD,
    CHANNEL_TIED,
    CHANNEL_COUNT
};

struct registry {
    struct names *names; /* not owned */
    bool blocking;       /* transfers between stages occupy the compute stream */
    VECTOR(struct group) groups;
    VECTOR(uint32_t) members;
    VECTOR(uint64_t) keys; /* two words per group: what it is, to find it again */
    uint32_t *slots;       /* open-addressing hash of group + 1 */
    uint32_t slot_count;
};

void registry_init(struct registry *registry, struct names *names);
void registry_fini(struct registry *registry);

/* The group of two ranks [from, to]. `pair` < 2^48 tells transfers between different pairs of stages apart:
 * two devices may each work on several stages. */
uint32_t registry_channel(struct registry *registry, uint32_t from, uint32_t to, enum channel channel,
                          uint64_t pair, bool rendezvous);

/* The group of a member with all members of its stage that differ from it only on the axes in `mask`, in mesh
 * order. */
uint32_t registry_axes(struct registry *registry, const struct plan_stage *stage, uint32_t stage_index,
                       uint32_t mask, uint32_t member);

/* A group of any ranks, known by a name and a number ("barrier" 0, "tied" …). */
uint32_t registry_named(struct registry *registry, const char *name, uint64_t number, const uint32_t *ranks,
                        uint32_t count);

/* Whether the communications of a group occupy the compute stream. */
bool registry_blocks(const struct registry *registry, uint32_t group);

/* Notes that `match` is used in a group. */
void registry_use(struct registry *registry, uint32_t group, uint32_t match);

extern const char *const registry_channel_names[CHANNEL_COUNT];

#endif
