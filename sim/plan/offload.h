/* Offload: what a rank sends to its host or drive and gets back from there while its program is built, after
 * ZeRO-Offload (Ren et al. 2021), ZeRO-Infinity (Rajbhandari et al. 2021) and FSDP's CPU offload. Each
 * message is an operation of the rank's program and a note of what it means; stores.h makes the other side's
 * programs from the notes. Messages meet (rendezvous): what comes back starts when the device asks for it and
 * the store has it. A rank has one stream to and one from each of its stores, so that its messages do not
 * overtake each other. */
#ifndef PARTITA_PLAN_OFFLOAD_H
#define PARTITA_PLAN_OFFLOAD_H

#include "plan/builder.h"

enum offload_what {
    OFFLOAD_GRADIENT, /* down: a part of the gradients; up: what is kept of it, for an update on the device */
    OFFLOAD_READY,    /* down: the norm of all gradients, after which the host may update */
    OFFLOAD_WEIGHT,   /* of an update: up from a host that made it, down from a device that made it */
    OFFLOAD_PARAMETER,  /* up: parameters for their use */
    OFFLOAD_ACTIVATION, /* down after the forward pass, up for the backward pass */
    OFFLOAD_STATE,      /* the optimizer's, up for an update on the device and down after it */
};

/* Parameters whose gradients go together, and are updated together. */
struct offload_share {
    uint32_t key, label; /* key: its number among the rank's; label: interned */
    double elements;     /* of this rank's share */
    double states;       /* bytes of optimizer states */
};

struct offload_note {
    uint8_t what;  /* enum offload_what */
    uint8_t store; /* enum plan_place: whose other side it is */
    bool down;
    bool add;       /* gradients: there are some of this step already */
    uint32_t key;   /* of a share, or a unit of the model */
    uint32_t after; /* OFFLOAD_ACTIVATION up: the match of the message that brought it there */
    uint32_t first_update, update_count; /* in `updates`: what the host may update once it has this */
    uint32_t step, micro_batch;
};

struct offload_notes {
    struct offload_note *at;
    uint32_t count, room;
};

struct offload {
    const struct plan *plan;          /* not owned */
    struct builder *builder;          /* not owned */
    struct offload_notes notes[2][2]; /* per store (host, drive), [0] up, [1] down: by match */
    uint32_t groups[2][2];            /* the same: groups of the registry */
    uint32_t stores[2];               /* ranks; MODEL_NONE: not needed */
    VECTOR(struct offload_share) updates;
    struct index_list leaving; /* operations that take gradients and activations away */
    struct index_list left;    /* how many of them there were when a pass left a unit, unit by unit */
    uint32_t awaited;          /* of `leaving`: so many have been waited for */
    uint32_t keys;             /* given so far */
    double held[2][MEMORY_CATEGORY_COUNT]; /* bytes that each store holds throughout, by category */
};

/* What a rank says to its stores, in the order of its program. */
struct offload_event {
    struct offload_note note;
    struct op op;
    uint32_t match;
};
struct offload_script {
    struct offload_event *events;
    uint32_t count;
    const struct offload_share *updates;
    uint32_t keys;
    double held[2][MEMORY_CATEGORY_COUNT];
};

void offload_init(struct offload *offload, const struct plan *plan, struct builder *builder);
void offload_fini(struct offload *offload);

/* Whether anything is kept elsewhere. */
bool offload_any(const struct plan *plan);

/* Whether updates are made share by share: what they need, or give, is kept elsewhere. */
bool offload_shares(const struct plan *plan);

/* Whether a rank has anything to say to a store (enum plan_place). */
bool offload_needs(const struct plan *plan, int place);

/* The device (of the platform) that keeps what `device` leaves in a place: its nearest host or drive by
 * latency that works for no stage; MODEL_NONE: there is none, or nothing is left there. */
uint32_t offload_store(const struct plan *plan, uint32_t device, int place);

/* One message with its note; `after`: operations that it waits for, or NULL. Returns its operation. */
uint32_t offload_send(struct offload *offload, const struct offload_note *note, double bytes, uint32_t label,
                      const struct index_list *after);
uint32_t offload_receive(struct offload *offload, const struct offload_note *note, double bytes,
                         uint32_t label, const struct index_list *after);

/* A pass has left a unit. What leaves may be under way for so many units as things come back ahead, and one
 * more: the next kernel waits for what left before. So a device never holds more of it than that, however
 * slow the way is. */
void offload_pause(struct offload *offload);

/* The match of the message that brought something of the step and micro-batch at hand to a store. */
uint32_t offload_brought(const struct offload *offload, uint8_t store, uint8_t what, uint32_t key);

/* What the rank of a finished program says, in `arena`. */
void offload_script(const struct offload *offload, const struct program *program, struct arena *arena,
                    struct offload_script *script);

#endif
