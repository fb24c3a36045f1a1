/* Network: the fluid model. A flow waits out its latency, then shares the capacity of its links with all
 * other flows by max-min fairness until its bytes are sent. Weighted, with rate caps and multiplicities (1
 * unless folded). Only what a change can reach is solved again. The owner (the engine, or a test) holds the
 * clock: it starts flows, asks for the time of the next network event, and advances to it.
 *
 * A flow's usage is a list of {link, coefficient}: at rate r it takes coefficient·r of the link. A message
 * has its route's links with coefficient = occurrences; a fluid collective has one unit on its busiest link.
 */
#ifndef PARTITA_ENGINE_NETWORK_H
#define PARTITA_ENGINE_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

struct network_usage {
    uint32_t link;
    double coefficient; /* > 0 */
};

struct network; /* opaque: network.c */

/* `capacities[link]`: bytes per second, >= 0. */
struct network *network_new(const double *capacities, uint32_t link_count);
void network_free(struct network *network);

/* How rates are solved: by local repair, from scratch, or by what the last instant makes seem cheaper (the
 * default). The results differ by rounding only. For tests. */
enum network_solver { NETWORK_CHEAPER, NETWORK_REPAIR, NETWORK_SCRATCH };
void network_set_solver(struct network *network, enum network_solver solver);

/* A flow as its owner wants it. The usage is read by network_start() only. */
struct network_flow {
    const struct network_usage *usage; /* empty: it is limited by its cap only */
    uint32_t usage_count;
    uint32_t tag;   /* handed back on completion */
    double bytes;   /* 0: it costs its latency only */
    double latency; /* seconds in which it holds no bandwidth yet */
    double weight;  /* > 0 */
    double cap;     /* bytes per second, >= 0; INFINITY: none */
};

/* Starts a flow at `now`. Returns its identity, which may be reused after it completed. */
uint32_t network_start(struct network *network, double now, const struct network_flow *wanted);

/* Changes a link's capacity at `now` (takes part in the next network_solve). */
void network_set_capacity(struct network *network, double now, uint32_t link, double capacity);

/* Changes a flow's weight (> 0) or cap (>= 0; 0 holds it up, INFINITY: none) at `now`, as from the next
 * network_solve on. Also while it waits out its latency; no effect on one that has completed. */
void network_set_weight(struct network *network, double now, uint32_t flow, double weight);
void network_set_cap(struct network *network, double now, uint32_t flow, double cap);

/* Time of the next thing that happens by itself (a latency that expires, a flow that ends); INFINITY if none.
 */
double network_next(struct network *network);

/* Applies everything due at the instant `now` (t <= now·(1 + 4 eps)): completions and latency expiries. The
 * tags of completed flows are written in a stable order; returns how many, in *tags (valid until the next
 * call). Rates are stale until network_solve(). */
uint32_t network_advance(struct network *network, double now, const uint32_t **tags);

/* Computes the rates after this instant's changes: once per instant, after all starts of the instant. Cheap
 * when nothing changed. */
void network_solve(struct network *network, double now);

/* Takes a flow off the network at `now` (takes part in the next network_solve); it does not complete. Returns
 * the bytes that it had sent. */
double network_stop(struct network *network, double now, uint32_t flow);

/* The flow on its way with this tag, UINT32_MAX: none. O(flows). */
uint32_t network_find(const struct network *network, uint32_t tag);

/* Bytes per second of a flow as solved last, and bytes that it has still to send at `now`. */
double network_rate(const struct network *network, uint32_t flow);
double network_remaining(const struct network *network, uint32_t flow, double now);
uint32_t network_active(const struct network *network); /* flows started and not completed */

/* Bytes that crossed a link so far (integral of its use), for the books. */
double network_carried(const struct network *network, uint32_t link);

#endif
