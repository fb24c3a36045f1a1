/* Routing: the sections `routing:` (which paths messages take) and `routes:` (explicit ones). */
#ifndef PARTITA_PLATFORM_ROUTING_H
#define PARTITA_PLATFORM_ROUTING_H

#include "input/fields.h"
#include "platform/draft.h"

/* The keys of `routing:` when it is a map, and of an item of `routes:`, for the manual. */
extern const struct field routing_fields[], routing_route_fields[];
extern const size_t routing_field_count, routing_route_field_count;

/* The words that `routing:` may be instead of a map; NULL-terminated. */
extern const char *const routing_words[];

/* Reads both sections, either may be NULL, once the graph is closed. Reports combinations that cannot be. */
bool routing_read(struct draft *draft, const struct value *routing, const struct value *routes);

/* Dimension-order routing: appends the arcs from a device to another of its array, one index after the other.
 * False when they are not in one array, or when both ways around lack a link. */
bool routing_dimension_order(const struct platform *platform, uint32_t from, uint32_t to,
                             struct index_list *arcs);

/* The arcs of an explicit route; NULL when this pair has none. */
const uint32_t *routing_fixed_arcs(const struct platform *platform, uint32_t from, uint32_t to,
                                   uint32_t *count);

#endif
