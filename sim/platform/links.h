/* Links: the section `links:`. An entry is a pattern of cables (`from`, `to`: cable.c) or one shared medium
 * (`stations`: medium.c). */
#ifndef PARTITA_PLATFORM_LINKS_H
#define PARTITA_PLATFORM_LINKS_H

#include "platform/draft.h"
#include "platform/link_type.h"
#include "platform/override.h"

struct links_entry {
    struct link_type link; /* the type's properties, then the entry's own, then those of an override */
    int64_t count;         /* parallel cables: multiplies the bandwidth */
    bool failed;           /* carries nothing: it is left out */
    const char *type;
    const struct value *from, *to, *loop, *where, *channel, *stations, *access_point;
};

/* The keys of an entry, for the manual. An override of a link has those up to `failed`. */
extern const struct field links_fields[];
extern const size_t links_field_count;

/* Reads the section (NULL: none) into the platform. Reports and returns false on bad input. */
bool links_read(struct draft *draft, const struct value *section);

/* The usable capacity of one direction. */
struct link links_capacity(struct draft *draft, const struct links_entry *entry,
                           const struct link_type *direction, uint32_t name, uint32_t group);

/* Lays one override over an entry. */
bool links_override(struct draft *draft, struct override *override, struct links_entry *entry);

/* Reads the pattern of cables (the shared medium) that an entry describes into the platform. */
bool cable_read(struct draft *draft, const struct entry *entry, const struct links_entry *read);
bool medium_read(struct draft *draft, const struct entry *entry, const struct links_entry *read);
/* A cable without ends: only the routes that name it use it. */
bool loose_read(struct draft *draft, const struct entry *entry, const struct links_entry *read);

#endif
