/* Actors: a run in which it is decided on the way what happens next (who is drawn for a round, whose gradient
 * a server applies first), instead of being written in programs. Ranks compute one thing after the other and
 * send messages over the same network as programs do; what ends calls the owner back, who starts more. The
 * run is over when nothing is under way any more; whether the owner is content then is for the owner to say.
 *
 * Instants are the engine's: all that ends at one time ends first, in an order by identity, then the calls
 * are made in that order, then the network is solved once. A rank acts on what it knows: calls should start
 * something only on the rank that they are made for, so that each operation has its cause there. */
#ifndef PARTITA_ENGINE_ACTORS_H
#define PARTITA_ENGINE_ACTORS_H

#include "engine/engine.h"

struct actors; /* opaque */

/* Made at the instant at which something ended; a and b are the caller's. */
typedef void actors_call(void *state, uint32_t a, uint32_t b);

struct actors_then {
    actors_call *call; /* NULL: nobody wants to know */
    uint32_t a, b;
};

struct actors_work {
    double seconds; /* as planned; the options' random numbers may change it */
    double flops, memory_bytes;
    uint32_t label; /* interned */
    uint32_t round; /* shown as the micro-batch; >= 0 and not falling on a rank */
    uint8_t pass;   /* enum op_pass */
};

struct actors_message {
    double bytes;
    double cap;     /* bytes per second; 0: none */
    uint32_t group; /* interned name of its purpose: "gradients", "parameters" … */
    uint32_t label; /* interned */
    uint32_t round;
    uint8_t pass;
};

struct actors_collective {
    double bytes; /* struct op's */
    uint32_t label, round;
    uint8_t kind; /* enum collective_kind */
};

/* One rank per device, all different. `state` is handed to every call. The options are copied, what they
 * point to is borrowed; NULL functions of options->random: nothing is random. */
struct actors *actors_open(struct platform *platform, struct names *names, const uint32_t *devices,
                           uint32_t count, const struct engine_options *options, void *state);
void actors_close(struct actors *actors);

/* Put behind what the rank has to compute already. */
void actors_compute(struct actors *actors, uint32_t rank, const struct actors_work *work,
                    struct actors_then then);

/* Gives up what the rank computes and all that waits behind it; none of their calls is made. */
void actors_drop(struct actors *actors, uint32_t rank);

/* Starts a message now; `then` is called on arrival. To itself it costs nothing. Returns its identity, good
 * until it has arrived. */
uint32_t actors_send(struct actors *actors, uint32_t from, uint32_t to, const struct actors_message *message,
                     struct actors_then then);

/* Calls a message back that has not arrived: what it sent so far was sent in vain. False (and the run fails)
 * where the network cannot. */
bool actors_send_recall(struct actors *actors, uint32_t message);

/* A group of ranks, in ring order, that meets for collectives; and a member that is ready for one. It starts
 * when all are; a member joins again only after its `then`. */
uint32_t actors_group(struct actors *actors, const char *name, const uint32_t *ranks, uint32_t count);
void actors_group_join(struct actors *actors, uint32_t group, uint32_t member,
                       const struct actors_collective *collective, struct actors_then then);

/* A call after some time, on behalf of what goes on at present. */
void actors_wait(struct actors *actors, double seconds, struct actors_then then);

/* Seconds since the run's start. */
double actors_now(const struct actors *actors);
struct arena *actors_arena(struct actors *actors); /* lives until actors_close() */

/* Ends the run with a message. The first one counts. */
void actors_fail(struct actors *actors, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Until nothing is under way. False: it failed. */
bool actors_run(struct actors *actors);

/* The run as a job (arena and names set, otherwise empty) and a result, which passes the engine's
 * self-checks; false with *error in the job's arena. After actors_run(). */
bool actors_finish(struct actors *actors, struct job *job, struct engine_result *result, const char **error);

#endif
