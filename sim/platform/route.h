/* Route: what the route table says, else shortest paths by latency, then by hops, then by lowest node index
 * (so that they are the same everywhere). One Dijkstra per source device, on demand, kept for the life of the
 * platform. */
#ifndef PARTITA_PLATFORM_ROUTE_H
#define PARTITA_PLATFORM_ROUTE_H

#include "platform/platform.h"

/* The links from one device to another, in order; *count = UINT32_MAX when there is no path, 0 when source =
 * destination. The array is valid until the next call with another source… copy it to keep it. */
const uint32_t *route_links(struct platform *platform, uint32_t from_device, uint32_t to_device,
                            uint32_t *count);

void route_fini(struct platform *platform);

#endif
