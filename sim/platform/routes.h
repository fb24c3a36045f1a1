/* Routes: the section `routes:` as a map, which says the way from one device to another as the names of
 * links. As a list, by nodes, routing.c reads it. */
#ifndef PARTITA_PLATFORM_ROUTES_H
#define PARTITA_PLATFORM_ROUTES_H

#include "platform/draft.h"

/* Reads the section, a map, into the route table. Links must have been read. */
bool routes_read(struct draft *draft, const struct value *section);

#endif
