/* Train: when the packets of a message that is alone on its path are where. Closed forms for
 * store-and-forward over links in a row, each with an output queue of so many packets, so that a message of
 * any length costs no events. Packets count from 1, all but the last are full; times are seconds after the
 * message's start. */
#ifndef PARTITA_ENGINE_TRAIN_H
#define PARTITA_ENGINE_TRAIN_H

#include <stdint.h>

struct train_hop {
    double full, last; /* seconds that a full packet and the last one take on the link */
    double latency;    /* seconds after that until the packet is in the next queue */
    uint32_t slots;    /* packets that its queue has room for, >= 2 and enough to keep it busy (packet.c) */
};

struct train {
    const struct train_hop *hops;
    uint32_t hop_count; /* >= 1 */
    uint64_t packets;   /* >= 1 */
};

/* When a packet enters the first queue, starts on the link of a hop, has left it, and has arrived behind it.
 */
double train_enters(const struct train *train, uint64_t packet);
double train_starts(const struct train *train, uint64_t packet, uint32_t hop);
double train_ends(const struct train *train, uint64_t packet, uint32_t hop);
double train_arrives(const struct train *train, uint64_t packet, uint32_t hop);

/* How many packets had such an event (any of the last three above) by `time`. */
typedef double train_event(const struct train *train, uint64_t packet, uint32_t hop);
uint64_t train_count(const struct train *train, train_event *event, uint32_t hop, double time);

#endif
