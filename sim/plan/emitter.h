/* Emitter: what the files emit*.c know together while they write the program of one rank: the rank's roles,
 * where the actions of the pass at hand went, and where that pass is. Internal to them. */
#ifndef PARTITA_PLAN_EMITTER_H
#define PARTITA_PLAN_EMITTER_H

#include "plan/builder.h"
#include "plan/cache.h"
#include "plan/cast.h"
#include "plan/lifetime.h"
#include "plan/orders.h"
#include "plan/parameters.h"
#include "plan/shares.h"
#include "plan/wavefront.h"
#include "plan/work.h"

/* What a collective says each time that it is emitted. */
struct part_collective {
    bool known;
    uint32_t group, shares; /* as in struct op, the former of the registry */
    double bytes;
};

/* What the backward pass of a unit asks each time. */
struct part_unit {
    bool backward;        /* it has any kernel */
    uint32_t first_saved; /* the first of what is saved for it, which stand together; MODEL_NONE */
};

/* Of something that is saved. */
struct part_copy {
    double bytes;
    bool read; /* by W */
};

/* One role of the rank that is being built: its derivation, the work of its kernels, and where its actions
 * went. */
struct part {
    const struct derivation *d;
    struct role role;
    struct work *forward_work, *backward_work; /* per action */
    struct work *input_work, *weight_work;     /* per action: the backward pass as I and W */
    struct lifetimes forward_lives, again_lives, backward_lives;
    uint32_t *forward_op, *backward_op; /* per action of the current pass: operation, or first receive */
    uint32_t *forward_count,
        *backward_count;   /* how many operations: 1, receives of an exchange, 0 not (yet) there */
    struct wavefront wave; /* how it goes about its sequence */
    struct parameters parameters;
    struct part_collective *forward_collectives, *backward_collectives; /* per action */
    struct part_unit *units;                                            /* of the stage */
    struct part_copy *copies;                                           /* per entry of what is saved */
    uint32_t *home; /* per entry of what is saved: the unit after which it leaves the device and for which it
                       comes back; MODEL_NONE: it stays */
    uint32_t *back; /* per unit of the stage, in a backward pass: the operation that brings back what left;
                       PROGRAM_NONE: none yet */
    bool *again;    /* per forward action: the recomputation at hand repeats it */
    struct cache_readers readers; /* of the same units for one token, where there are such (generate.h) */
    uint32_t *made;               /* per tensor of those: the forward action that makes it, by first reader */
    double *kept;                 /* per forward action: bytes that it adds to a cache; NULL: there is none */
};

/* Series of numbers, one per time that something recurs, one series after the other. */
struct emit_series_list {
    VECTOR(char) bytes;
    struct index_list starts;
};
struct emit_series {
    struct emit_series_list costs, sizes; /* struct op_cost; bytes */
};

struct emitter {
    struct plan *plan;
    struct cast *cast;
    const struct orders *orders; /* NULL: stages follow each other, forward only */
    struct builder builder;
    struct part *parts; /* one per role */
    uint32_t part_count;
    struct arena *arena;
    bool halves;                   /* the orders have passes I and W */
    const struct wavefront *waves; /* per stage */
    uint32_t chunk;                /* of the sequence, counted in the order of the pass: backward, the last in
                                      time is 0 */
    double share;                  /* of each action: 1, that of a chunk, or that of one time step */
    bool first_step, last_step;
    uint32_t token;             /* that the pass makes, 0 that of the prompt (generate.h) */
    uint32_t place, places;     /* which of the tokens that are written it is, and of how many */
    struct index_list sections; /* where those of the program begin, if tokens are folded */
    struct emit_series series;
    bool folds;              /* tokens are to be folded; plan->folded: they still can be */
    uint32_t tile;           /* of the kernel before: another tile is another operation */
    struct index_list after; /* emit_action()'s own: what the action waits for */
    struct index_list syncs; /* synchronisation operations of this step: the optimizer waits for them */
    struct offload offload;  /* what this rank leaves elsewhere */
    struct offload_script *scripts;  /* per rank: what it says to its stores */
    struct share_list shares, drawn; /* of all collectives of unequal shares; of the present one */
};

static inline const struct action *emitter_action(const struct part *part, bool backward, uint32_t index)
{
    return backward ? &part->d->backward.at[index] : &part->d->forward.at[index];
}

static inline const struct step_loop *emitter_loop(const struct part *part, bool backward, uint32_t index)
{
    return backward ? &part->d->backward_loops.at[index] : &part->d->forward_loops.at[index];
}

static inline void emitter_note(struct part *part, bool backward, uint32_t index, uint32_t op, uint32_t count)
{
    (backward ? part->backward_op : part->forward_op)[index] = op;
    (backward ? part->backward_count : part->forward_count)[index] = count;
}

/* Adds the operations that stand for an action: its own, and (for receives) what the action itself waits for,
 * or what is received with it. */
void emitter_collect(const struct part *part, bool backward, uint32_t index, struct index_list *out);

/* The operations that an action waits for, instead of what `out` had. */
void emitter_after(const struct part *part, bool backward, const struct action *action,
                   struct index_list *out);

/* Whether another stage of this rank holds the same tensor as parameter `index` of a part, and more of it (or
 * as much, and comes first): then that is the one copy. */
bool emitter_holds_elsewhere(const struct emitter *e, uint32_t part, uint32_t index);

#endif
