/* Route table: routes that the topology says outright, from one device to another, as lists of links. They
 * come before those that route.c finds in the graph. Each direction is an entry of its own.
 *
 * Entries are added in any order, then sorted once by (from, to): a look-up is a binary search. */
#ifndef PARTITA_PLATFORM_ROUTE_TABLE_H
#define PARTITA_PLATFORM_ROUTE_TABLE_H

#include "platform/platform.h"

/* Adds a route; `links` is copied. */
void route_table_add(struct platform *platform, uint32_t from_device, uint32_t to_device,
                     const uint32_t *links, uint32_t count);

/* Sorts the table; call once, after the last route. When a pair has two routes: false, with that pair. */
bool route_table_close(struct platform *platform, uint32_t *from_device, uint32_t *to_device);

/* The links of a route; NULL when the table has none for this pair. Valid for the life of the platform. */
const uint32_t *route_table_links(const struct platform *platform, uint32_t from_device, uint32_t to_device,
                                  uint32_t *count);

/* Whether any route of the closed table starts or ends at the device. */
bool route_table_reaches(const struct platform *platform, uint32_t device);

void route_table_fini(struct platform *platform);

#endif
