/* Protocol: how communication software sends over a link. */
#ifndef PARTITA_PLATFORM_PROTOCOL_H
#define PARTITA_PLATFORM_PROTOCOL_H

#include "platform/platform.h"

enum { PROTOCOL_NONE = UINT32_MAX }; /* instead of an interned name: the bare wire */

/* The protocol of a link by its name; NULL when the link has none of it. */
const struct protocol *protocol_find(const struct platform *platform, const struct link *link, uint32_t name);

/* That of the switches at a link's ends, if it has one. */
const struct protocol *protocol_in_switch(const struct platform *platform, const struct link *link);

#endif
