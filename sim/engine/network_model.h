/* Network model: how long messages take. One table entry per level of detail; all speak the protocol of
 * network.h: the owner (the engine, or a test) holds the clock, starts messages, asks for the time of the
 * next event, advances to it, and lets the model settle its rates once per instant. What each level means is
 * in docs/equations.md. */
#ifndef PARTITA_ENGINE_NETWORK_MODEL_H
#define PARTITA_ENGINE_NETWORK_MODEL_H

#include "base/arena.h"
#include "engine/network.h"

/* The links and, for packets, their sizes. The arrays are read by open() only. */
struct network_setting {
    const double *capacities; /* per link: bytes per second, >= 0 */
    const double *latencies;  /* per link: seconds; NULL: none */
    const bool *shared;       /* per link: it serves several directions or stations; NULL: none does */
    uint32_t link_count;
    double mtu;    /* bytes of payload in a full packet; 0: network_model_mtu */
    double header; /* bytes that each packet has on the wire besides */
    double buffer; /* bytes of an output queue, in whole packets of `mtu`; 0: network_model_buffer */
    uint64_t
        packet_limit; /* packets times links that are simulated one by one; 0: network_model_packet_limit */
};
extern const double network_model_mtu, network_model_buffer; /* 4 KB, 256 KB */
extern const uint64_t network_model_packet_limit;            /* 1e8: some ten seconds */

/* A message, or a whole fluid collective (which has no path). The arrays are read by start() only. */
struct network_message {
    const struct network_usage *usage;
    const uint32_t *path; /* the links in the order in which they are crossed */
    uint32_t usage_count, path_length;
    double bytes;
    double latency;  /* seconds without bandwidth; of a message: the sum over its path */
    double cap;      /* bytes per second; INFINITY: none */
    uint8_t traffic; /* class of traffic, see set_traffic */
    uint32_t tag;    /* handed back on completion */
};

struct network_model {
    const char *name, *about;
    bool by_steps; /* knows messages only: collectives are carried as the steps of their algorithm */
    void *(*open)(const struct network_setting *setting);
    void (*close)(void *state); /* NULL is allowed */
    void (*start)(void *state, double now, const struct network_message *message);
    void (*set_capacity)(void *state, double now, uint32_t link, double capacity);
    /* From now on this class of traffic has this weight and this cap, also what is under way of it. At first
     * every class has weight 1 and no cap; class 0 keeps that. NULL: the model knows no classes. */
    void (*set_traffic)(void *state, double now, uint8_t traffic, double weight, double cap);
    /* Takes the message with this tag off the network: it does not complete. Returns the bytes that it had
     * sent. NULL: messages cannot be called back. */
    double (*stop)(void *state, double now, uint32_t tag);
    double (*next)(void *state);
    uint32_t (*advance)(void *state, double now, const uint32_t **tags);
    void (*solve)(void *state, double now);
    double (*carried)(const void *state, uint32_t link); /* bytes of payload so far */
    /* These may be NULL. */
    uint64_t (*events)(const void *state);     /* processed inside, beyond completions */
    const char *(*problem)(const void *state); /* why it cannot go on; NULL: it can */
    /* When nothing happens any more: links, each of which waits for room in the queue of the next one; in a
     * cycle the first one stands at the end again. Writes at most `most` and returns how many. */
    uint32_t (*stall)(const void *state, uint32_t *links, uint32_t most);
};

extern const struct network_model alpha_beta_ideal, alpha_beta_model, fluid_model, packet_model;
extern const struct network_model *const network_model_table[]; /* NULL-terminated, cheapest first */

const struct network_model *network_model_find(const char *name); /* NULL when there is none */

#endif
