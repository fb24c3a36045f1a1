/* A packet k starts on hop h when packet k - 1 has left it, when it has arrived itself, and when the next
 * queue has room, that is when packet k - slots has left hop h + 1. So its start is the longest path to (k,
 * h) in a graph with the steps (k - 1, h) -> (k, h)           full[h] (k, h - 1) -> (k, h)           full[h -
 * 1] + latency[h - 1] (k - slots[h + 1], h + 1) -> (k, h)   full[h + 1]. The longest path goes forward to
 * some hop i >= h, repeats packets on the slowest hop that it meets, and comes back from i to h by the third
 * step. Going back and forth more often is never longer, because slots[h + 1] repeats of the slower of h and
 * h + 1 take at least as long as one step back and forth: that is what `slots` must be large enough for. So a
 * start is a maximum over i: O(hops). The last packet may be shorter and goes by the definition, hop after
 * hop. */
#include "engine/train.h"

#include <math.h>

static double full_start(const struct train *train, uint64_t packet, uint32_t hop)
{
    const struct train_hop *hops = train->hops;
    double reach = 0, slowest = 0, back = 0;
    uint64_t room = 0;
    for (uint32_t i = 0; i <= hop; i++) {
        slowest = fmax(slowest, hops[i].full);
        reach += i ? hops[i - 1].full + hops[i - 1].latency : 0;
    }
    double start = reach + (double)(packet - 1) * slowest;
    for (uint32_t i = hop + 1; i < train->hop_count; i++) {
        slowest = fmax(slowest, hops[i].full);
        reach += hops[i - 1].full + hops[i - 1].latency;
        back += hops[i].full;
        room += hops[i].slots;
        if (packet - 1 < room)
            break;
        start = fmax(start, reach + back + (double)(packet - 1 - room) * slowest);
    }
    return start;
}

double train_starts(const struct train *train, uint64_t packet, uint32_t hop)
{
    const struct train_hop *hops = train->hops;
    double start = full_start(train, packet, packet == train->packets ? 0 : hop);
    for (uint32_t i = 1; i <= hop && packet == train->packets; i++) {
        start += hops[i - 1].last + hops[i - 1].latency;
        if (packet > 1)
            start = fmax(start, full_start(train, packet - 1, i) + hops[i].full);
        if (i + 1 < train->hop_count && packet > hops[i + 1].slots)
            start = fmax(start, full_start(train, packet - hops[i + 1].slots, i + 1) + hops[i + 1].full);
    }
    return start;
}

double train_enters(const struct train *train, uint64_t packet)
{
    const struct train_hop *first = train->hops;
    double enters = (double)(packet - 1) * first->full;
    if (packet > first->slots)
        enters = fmax(enters, full_start(train, packet - first->slots, 0) + first->full);
    return enters;
}

double train_ends(const struct train *train, uint64_t packet, uint32_t hop)
{
    const struct train_hop *at = &train->hops[hop];
    return train_starts(train, packet, hop) + (packet == train->packets ? at->last : at->full);
}

double train_arrives(const struct train *train, uint64_t packet, uint32_t hop)
{
    return train_ends(train, packet, hop) + train->hops[hop].latency;
}

uint64_t train_count(const struct train *train, train_event *event, uint32_t hop, double time)
{
    uint64_t low = 0, high = train->packets;
    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;
        if (event(train, middle, hop) <= time)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}
