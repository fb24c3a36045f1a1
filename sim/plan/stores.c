#include "plan/stores.h"

#include "plan/memory.h"
#include "plan/optimizer.h"
#include "plan/work.h"

#include <string.h>

/* A rank that is served, with what its stores have of it: operations of their programs, PROGRAM_NONE: not
 * yet. */
struct stores_client {
    uint32_t rank;
    const struct offload_script *script;
    uint32_t next;         /* event */
    uint32_t *brought[2];  /* per store and match of what it receives */
    uint32_t *gradient[2]; /* per store and key: has its gradient, or its sum */
    uint32_t *states[2];   /* per store and key: has its optimizer states after an update */
    uint32_t *updated;     /* per key: the host's update */
    uint32_t weights[2];   /* per store: has the last parameters of an update, … */
    uint32_t settled[2];   /* … of those of earlier steps: in a step, no unit is used after its update */
    uint32_t ready;        /* the host knows that all gradients are complete */
};

struct stores {
    const struct plan *plan;
    struct cast *cast;
    struct builder
        *builders; /* per rank from the first store on; those of stores that are like others are unused */
    VECTOR(struct stores_client) clients;
    uint32_t (
        *behind)[2]; /* per store: of a host, the operations that take its last two updates to a drive */
    struct arena *arena;
    uint32_t optimizer; /* interned */
};

/* The builder of a store; NULL: it is like another one, whose program it runs. */
static struct builder *stores_builder(struct stores *s, uint32_t rank)
{
    return s->cast->ranks.at[rank].like == rank ? &s->builders[rank - s->cast->first_store] : NULL;
}

static void stores_follow(struct builder *b, const struct op *op, uint8_t pass)
{
    b->step = op->step;
    b->micro_batch = op->micro_batch;
    b->pass = pass;
}

/* One side of a message between a store and another rank. `after`: an operation of the store, or
 * PROGRAM_NONE. */
static uint32_t stores_message(struct stores *s, uint32_t store, uint32_t from, uint32_t to,
                               const struct op *op, double bytes, uint32_t after)
{
    struct builder *b = stores_builder(s, store);
    struct index_list wait = {0};
    if (!b)
        return PROGRAM_NONE;
    if (after != PROGRAM_NONE)
        VECTOR_PUSH(&wait, after);
    stores_follow(b, op, op->pass);
    uint32_t made = builder_communicate(b, store == from ? OP_SEND : OP_RECEIVE, 0,
                                        cast_offload(s->cast, from, to), MODEL_NONE, bytes, op->label, &wait);
    VECTOR_FREE(&wait);
    return made;
}

static void stores_hold(struct stores *s, uint32_t store, uint32_t op, uint8_t category, uint32_t label,
                        double bytes)
{
    struct builder *b = stores_builder(s, store);
    if (b && op != PROGRAM_NONE)
        builder_change(b, op, category, label, bytes);
}

/* Work of a host, after some of its operations. */
static uint32_t stores_compute(struct stores *s, uint32_t host, const struct op *op, uint32_t label,
                               const struct work *work, const uint32_t *after, uint32_t count)
{
    struct builder *b = stores_builder(s, host);
    struct index_list wait = {0};
    if (!b)
        return PROGRAM_NONE;
    for (uint32_t i = 0; i < count; i++)
        if (after[i] != PROGRAM_NONE)
            VECTOR_PUSH(&wait, after[i]);
    stores_follow(b, op, PASS_O);
    uint32_t made = builder_kernel(b, label, work, &wait);
    builder_close(b);
    VECTOR_FREE(&wait);
    return made;
}

/* From the host to the drive of a client or back: both sides. Returns the operation of the side that
 * receives. */
static uint32_t stores_pass(struct stores *s, const struct stores_client *c, bool to_drive,
                            const struct op *op, double bytes, uint32_t sends, uint32_t receives,
                            uint32_t *sent)
{
    const uint32_t *stores = s->cast->ranks.at[c->rank].stores;
    uint32_t from = stores[to_drive ? 0 : 1], to = stores[to_drive ? 1 : 0];
    *sent = stores_message(s, from, from, to, op, bytes, sends);
    return stores_message(s, to, from, to, op, bytes, receives);
}

/* Adds a gradient to the sum of this step's: reads both and writes the sum. */
static struct work stores_add(const struct stores *s, uint32_t host, double elements)
{
    double read = precision_bytes(s->plan->gradient_precision), sum = memory_gradient_bytes(s->plan);
    struct work work = {.bytes = elements * (read + 2 * sum), .launches = 1};
    work_memory(s->plan, s->cast->ranks.at[host].device, &work);
    return work;
}

/* The host updates one share: what is on the drive comes first and goes back after. */
static void stores_update(struct stores *s, struct stores_client *c, const struct op *op,
                          const struct offload_share *share)
{
    const struct plan *plan = s->plan;
    uint32_t host = s->cast->ranks.at[c->rank].stores[0], sent, key = share->key;
    uint32_t *behind = s->behind[host - s->cast->first_store];
    uint32_t after[3] = {c->gradient[0][key], c->ready, PROGRAM_NONE};
    double gradients =
        plan->offload.gradients == PLAN_DRIVE ? share->elements * memory_gradient_bytes(plan) : 0;
    double weights = share->elements * precision_bytes(plan->weight_precision);
    double states = plan->offload.optimizer == PLAN_DRIVE ? share->states : 0, moved = states + gradients;
    moved += plan->offload.parameters == PLAN_DRIVE && !optimizer_master(plan) ? weights : 0;
    if (moved > 0) {
        uint32_t kept = gradients > 0 ? c->gradient[1][key] : c->states[1][key];
        after[2] = stores_pass(s, c, false, op, moved, kept, behind[0], &sent);
        stores_hold(s, host, after[2], MEMORY_OPTIMIZER, s->optimizer, moved);
    }
    struct work work = work_optimizer(plan, s->cast->ranks.at[host].device, share->elements, share->states);
    uint32_t update = stores_compute(s, host, op, s->optimizer, &work, after, 3);
    c->updated[key] = c->weights[0] = update;
    double back = states + (plan->offload.parameters == PLAN_DRIVE ? weights : 0);
    sent = PROGRAM_NONE;
    if (back > 0)
        c->states[1][key] = c->weights[1] = stores_pass(s, c, true, op, back, update, PROGRAM_NONE, &sent);
    stores_hold(s, host, sent == PROGRAM_NONE ? update : sent, MEMORY_OPTIMIZER, s->optimizer, -moved);
    if (moved > 0) {
        behind[0] = behind[1];
        behind[1] = sent == PROGRAM_NONE ? update : sent;
    }
}

/* A gradient comes to the host, which adds it to those of earlier micro-batches and, where they are kept on
 * the drive, passes the sum on. */
static void stores_gradient(struct stores *s, struct stores_client *c, const struct offload_event *event,
                            uint32_t received)
{
    const struct plan *plan = s->plan;
    uint32_t host = s->cast->ranks.at[c->rank].stores[0], key = event->note.key, sent;
    double elements = event->op.bytes / precision_bytes(plan->gradient_precision);
    double sum = elements * memory_gradient_bytes(plan);
    bool drive = plan->offload.gradients == PLAN_DRIVE;
    uint32_t after[2] = {received, PROGRAM_NONE};
    if (drive)
        stores_hold(s, host, received, MEMORY_GRADIENTS, event->op.label, event->op.bytes);
    if (event->note.add && drive)
        after[1] = stores_pass(s, c, false, &event->op, sum, c->gradient[1][key], PROGRAM_NONE, &sent);
    uint32_t made = received;
    if (event->note.add) {
        struct work work = stores_add(s, host, elements);
        made = stores_compute(s, host, &event->op, event->op.label, &work, after, 2);
    }
    c->gradient[0][key] = made;
    if (drive) {
        c->gradient[1][key] = stores_pass(s, c, true, &event->op, sum, made, PROGRAM_NONE, &sent);
        stores_hold(s, host, sent, MEMORY_GRADIENTS, event->op.label, -event->op.bytes);
    }
}

/* What a store receives of a client. */
static void stores_take(struct stores *s, struct stores_client *c, const struct offload_event *event,
                        uint32_t store, uint32_t at)
{
    const struct offload_note *note = &event->note;
    uint32_t op = stores_message(s, store, c->rank, store, &event->op, event->op.bytes, PROGRAM_NONE);
    switch (note->what) {
    case OFFLOAD_GRADIENT:
        stores_gradient(s, c, event, op);
        break;
    case OFFLOAD_READY:
        c->ready = op;
        break;
    case OFFLOAD_WEIGHT:
        c->weights[at] = op;
        break;
    case OFFLOAD_STATE:
        c->states[at][note->key] = op;
        break;
    case OFFLOAD_ACTIVATION:
        c->brought[at][event->match] = op;
        stores_hold(s, store, op, MEMORY_ACTIVATIONS, event->op.label, event->op.bytes);
        break;
    }
    for (uint32_t i = 0; i < note->update_count; i++)
        stores_update(s, c, &event->op, &c->script->updates[note->first_update + i]);
}

/* What a store sends to a client, once it has it. */
static void stores_give(struct stores *s, struct stores_client *c, const struct offload_event *event,
                        uint32_t store, uint32_t at)
{
    const struct offload_note *note = &event->note;
    uint32_t after = note->what == OFFLOAD_WEIGHT      ? c->updated[note->key]
                     : note->what == OFFLOAD_PARAMETER ? c->settled[at]
                     : note->what == OFFLOAD_STATE     ? c->states[at][note->key]
                     : note->what == OFFLOAD_GRADIENT  ? c->gradient[at][note->key]
                                                       : c->brought[at][note->after];
    uint32_t op = stores_message(s, store, store, c->rank, &event->op, event->op.bytes, after);
    if (note->what == OFFLOAD_ACTIVATION)
        stores_hold(s, store, op, MEMORY_ACTIVATIONS, event->op.label, -event->op.bytes);
}

static uint32_t *stores_none(struct stores *s, uint32_t count)
{
    uint32_t *list = ARENA_ARRAY(s->arena, uint32_t, count + 1);
    for (uint32_t i = 0; i <= count; i++)
        list[i] = PROGRAM_NONE;
    return list;
}

static void stores_client_add(struct stores *s, uint32_t rank, const struct offload_script *script)
{
    struct stores_client c = {.rank = rank,
                              .script = script,
                              .updated = stores_none(s, script->keys),
                              .weights = {PROGRAM_NONE, PROGRAM_NONE},
                              .ready = PROGRAM_NONE};
    for (uint32_t at = 0; at < 2; at++) {
        c.brought[at] = stores_none(s, script->count);
        c.gradient[at] = stores_none(s, script->keys);
        c.states[at] = stores_none(s, script->keys);
    }
    VECTOR_PUSH(&s->clients, c);
}

/* The operations of one step, of all clients in turn. */
static void stores_step(struct stores *s, uint32_t step)
{
    for (uint32_t i = 0; i < s->clients.count; i++)
        memcpy(s->clients.at[i].settled, s->clients.at[i].weights, sizeof s->clients.at[i].settled);
    for (bool any = true; any;) {
        any = false;
        for (uint32_t i = 0; i < s->clients.count; i++) {
            struct stores_client *c = &s->clients.at[i];
            if (c->next == c->script->count || c->script->events[c->next].op.step != step)
                continue;
            const struct offload_event *event = &c->script->events[c->next++];
            uint32_t at = event->note.store - 1u, store = s->cast->ranks.at[c->rank].stores[at];
            any = true;
            if (event->note.down)
                stores_take(s, c, event, store, at);
            else
                stores_give(s, c, event, store, at);
        }
    }
}

/* What a store holds throughout for those that it serves. */
static void stores_held(struct stores *s, uint32_t store, const struct offload_script *scripts,
                        struct names *names)
{
    static const char *const labels[MEMORY_CATEGORY_COUNT] = {"parameters", "gradients", "optimizer states"};
    const struct cast_rank *rank = &s->cast->ranks.at[store];
    for (uint32_t category = 0; category <= MEMORY_OPTIMIZER; category++) {
        double bytes = 0;
        for (uint32_t i = 0; i < rank->served.count; i++) {
            const struct cast_rank *served = &s->cast->ranks.at[rank->served.at[i]];
            bytes += scripts[served->like].held[served->stores[0] == store ? 0 : 1][category];
        }
        builder_hold(stores_builder(s, store), (uint8_t)category, names_add(names, labels[category]), bytes);
    }
}

void stores_emit(const struct plan *plan, struct cast *cast, const struct offload_script *scripts,
                 struct job *job, const uint32_t *program_of)
{
    uint32_t first = cast->first_store, count = cast->ranks.count - first;
    struct arena arena;
    arena_init(&arena);
    struct stores s = {.plan = plan,
                       .cast = cast,
                       .builders = ARENA_ARRAY(&arena, struct builder, count + 1),
                       .arena = &arena,
                       .optimizer = names_add(job->names, "optimizer")};
    s.behind = (uint32_t(*)[2])stores_none(&s, 2 * count);
    for (uint32_t i = 0; i < count; i++)
        if (stores_builder(&s, first + i))
            builder_init(&s.builders[i], cast, first + i, job->names);
    for (uint32_t r = 0; r < first; r++) {
        const uint32_t *stores = cast->ranks.at[r].stores;
        bool built = false;
        for (uint32_t at = 0; at < 2; at++)
            built |= stores[at] != MODEL_NONE && stores_builder(&s, stores[at]);
        if (built)
            stores_client_add(&s, r, &scripts[cast->ranks.at[r].like]);
    }
    for (uint32_t step = 0; step < plan->steps; step++)
        stores_step(&s, step);
    for (uint32_t i = 0; i < count; i++)
        if (stores_builder(&s, first + i)) {
            stores_held(&s, first + i, scripts, job->names);
            builder_finish(&s.builders[i], &job->arena, &job->programs[program_of[first + i]]);
            builder_fini(&s.builders[i]);
        }
    VECTOR_FREE(&s.clients);
    arena_fini(&arena);
}
