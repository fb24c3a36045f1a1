/* Reach: whether one device can send to another, for most pairs without looking for the route. */
#ifndef PARTITA_PLATFORM_REACH_H
#define PARTITA_PLATFORM_REACH_H

#include "platform/platform.h"

struct reach {
    struct platform *platform; /* not owned */
    bool *to_hub, *from_hub;   /* per node. In the arena. */
};

/* O(nodes + arcs). */
void reach_init(struct reach *reach, struct platform *platform, struct arena *arena);

/* Whether route_links() finds a route. */
bool reach_device(struct reach *reach, uint32_t from_device, uint32_t to_device);

#endif
