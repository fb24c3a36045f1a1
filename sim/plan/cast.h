/* Cast: which rank plays which parts (members of stages, source of the input, sink of the output), and which
 * ranks are alike. */
#ifndef PARTITA_PLAN_CAST_H
#define PARTITA_PLAN_CAST_H

#include "plan/registry.h"
#include "plan/tied.h"

struct role {
    uint32_t stage, member;
};

struct cast_rank {
    uint32_t device;
    VECTOR(struct role) roles; /* in the order of the stages */
    bool input;                /* it sends the samples to the stages */
    uint32_t stores[2];        /* ranks of its host and its drive; MODEL_NONE: it needs none */
    struct index_list served;  /* of a host or a drive: the ranks that leave something there */
    struct index_list groups;  /* its communications: slot g of its group table is groups.at[g] */
    uint32_t like;             /* the first rank that does the same; itself if none */
};

struct cast {
    struct plan *plan;
    struct derivation *derivations;
    struct registry *registry;
    VECTOR(struct cast_rank) ranks;
    struct index_list *sent_or_received; /* per stage: messages of member m at [first[m], first[m + 1]) */
    struct index_list *first;
    uint32_t *holders;            /* per tensor: stages that have it as a parameter */
    VECTOR(struct tied_sum) tied; /* of those, while training, in the order of the tensors */
    uint32_t barrier;             /* the group of that name; MODEL_NONE: not made yet */
    uint32_t input_rank;          /* MODEL_NONE: none */
    uint32_t first_store;         /* from this rank on, hosts and drives that keep something for others */
};

/* Casts all ranks; allocates stage->ranks in `arena`. */
void cast_init(struct cast *cast, struct plan *plan, struct derivation *derivations,
               struct registry *registry, struct arena *arena);
void cast_fini(struct cast *cast);

/* The messages of an action in which a member takes part: consecutive entries of the returned array, *count
 * of them. */
const uint32_t *cast_messages(const struct cast *cast, uint32_t stage, uint32_t member,
                              const struct action *action, uint32_t *count);

/* The group in which a message of an action travels. */
uint32_t cast_channel(const struct cast *cast, uint32_t stage, const struct action *action,
                      const struct message_part *message);

/* The group in which a streamed action passes blocks from one member of a stage to the next around its axis.
 * Keys and values have others than gradients. */
uint32_t cast_ring(const struct cast *cast, uint32_t stage, const struct action *action, uint32_t from,
                   uint32_t to);

/* The group that adds up a tied gradient of which all copies are alike (tied.h): the ranks that are member
 * `member` of one of its stages; MODEL_NONE when that is one. */
uint32_t cast_tied(const struct cast *cast, const struct tied_sum *sum, uint32_t member);

/* The group in which one copy's member sends another's its part of such a gradient. */
uint32_t cast_flow(const struct cast *cast, const struct tied_flow *flow);

/* The group in which one rank sends another what is kept elsewhere, or gets it back. */
uint32_t cast_offload(const struct cast *cast, uint32_t from, uint32_t to);

/* The group of all ranks that train, which meet before the optimizer. */
uint32_t cast_barrier(struct cast *cast);

/* Transfers between two stages per micro-batch and direction: matches of a channel are (instance · this +
 * slot). */
uint32_t cast_transfers(const struct cast *cast, uint32_t importer, uint32_t source);

#endif
