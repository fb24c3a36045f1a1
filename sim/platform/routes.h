/* Routes: the section `routes:`, which says the way from one device to another as a list of links. */
#ifndef PARTITA_PLATFORM_ROUTES_H
#define PARTITA_PLATFORM_ROUTES_H

#include "platform/draft.h"

/* Reads the section into the route table; `section` may be NULL. Links must have been read. */
bool routes_read(struct draft *draft, const struct value *section);

#endif
