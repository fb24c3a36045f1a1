/* Protocol table: `protocols:` of a link type or of an entry of `links:`. */
#ifndef PARTITA_PLATFORM_PROTOCOL_TABLE_H
#define PARTITA_PLATFORM_PROTOCOL_TABLE_H

#include "input/fields.h"
#include "platform/draft.h"

/* The keys of one protocol, for the manual. */
extern const struct field protocol_table_fields[];
extern const size_t protocol_table_field_count;

struct protocol_table {
    uint32_t first, count; /* in the platform's `protocols` */
};

/* Reads a table into the platform, once for all links that have it. NULL and `none`: no protocols. False when
 * anything was reported, now or when it was read before. */
bool protocol_table_read(struct draft *draft, const struct value *value, struct protocol_table *out);

#endif
