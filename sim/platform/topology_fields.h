/* Topology fields: the keys of a topology file, for the manual. */
#ifndef PARTITA_PLATFORM_TOPOLOGY_FIELDS_H
#define PARTITA_PLATFORM_TOPOLOGY_FIELDS_H

#include "input/fields.h"

extern const struct field topology_fields[], topology_part_fields[];
extern const size_t topology_field_count, topology_part_field_count;

#endif
