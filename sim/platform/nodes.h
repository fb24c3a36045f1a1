/* Nodes: the sections `devices:` and `switches:`. */
#ifndef PARTITA_PLATFORM_NODES_H
#define PARTITA_PLATFORM_NODES_H

#include "input/fields.h"
#include "platform/draft.h"

/* The keys of an entry of devices and of switches, for the manual. An override has all but `count`. */
extern const struct field nodes_device_fields[], nodes_switch_fields[];
extern const size_t nodes_device_field_count, nodes_switch_field_count;

/* Read the sections (NULL: none) into the platform. Report and return false on bad input. */
bool nodes_read_devices(struct draft *draft, const struct value *section);
bool nodes_read_switches(struct draft *draft, const struct value *section);

/* Reads a `count` (or NULL: a single one) as the sizes of the array of an entry; its nodes come next. */
bool nodes_array(struct draft *draft, const struct entry *entry, const struct value *count,
                 struct array *array);

#endif
