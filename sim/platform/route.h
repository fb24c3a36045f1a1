/* Route: how a message gets from one device to another, by the platform's routing: the shortest path (by
 * latency or hops, then fewer hops, then the lowest node index, so that it is the same everywhere), one
 * chosen among all equally short ones by a hash of the pair, an even split over them, dimension-ordered on
 * tori, up*down* on trees, or an explicit route. Trees of shortest paths are made per source device, on
 * demand, and kept for the life of the platform. */
#ifndef PARTITA_PLATFORM_ROUTE_H
#define PARTITA_PLATFORM_ROUTE_H

#include "platform/platform.h"

/* A link of a route and the share of the message's bytes that crosses it. One path has shares of 1, in order,
 * and a medium that it crosses twice stands twice in it. */
struct route_share {
    uint32_t link;
    double share;
};

struct route {
    const struct route_share *links;
    uint32_t count;
    double latency; /* seconds, of the longest of its paths */
};

/* The route from one device to another; empty when source = destination. False when there is none. The links
 * are valid until the next call with another source: copy them to keep them. */
bool route_find(struct platform *platform, uint32_t from_device, uint32_t to_device, struct route *route);

/* The links of one path, in order; of an even split, those of its first path. *count = UINT32_MAX when there
 * is no path, 0 when source = destination. Valid as long as those of route_find(). */
const uint32_t *route_links(struct platform *platform, uint32_t from_device, uint32_t to_device,
                            uint32_t *count);

void route_fini(struct platform *platform);

#endif
