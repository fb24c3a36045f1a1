/* Graph: builds a platform's nodes, links and arcs one by one. For topology readers and hand-made tests; call
 * graph_close() once at the end, before any route is asked for. */
#ifndef PARTITA_PLATFORM_GRAPH_H
#define PARTITA_PLATFORM_GRAPH_H

#include "platform/platform.h"

/* Index of a device type equal to this one, added if there is none. */
uint32_t graph_add_type(struct platform *platform, const struct device_type *type);

/* Adds a device with its node; returns the device's index. `device->node` is filled in. */
uint32_t graph_add_device(struct platform *platform, struct device device, bool terminal);

/* Adds a switch; returns its node. */
uint32_t graph_add_switch(struct platform *platform, uint32_t name);

/* Adds a link, which no arc uses yet; returns its index. */
uint32_t graph_add_link(struct platform *platform, struct link link);
/* A way from node to node over a link (UINT32_MAX: free). */
void graph_add_arc(struct platform *platform, uint32_t from, uint32_t to, uint32_t link);

/* Sorts the arcs by source (stable) and builds their compressed rows. O(nodes + arcs). */
void graph_close(struct platform *platform);

#endif
