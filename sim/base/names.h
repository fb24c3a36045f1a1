/* Names: every distinct text is stored once and known by a 32-bit identity. Identity 0 is the empty text.
 * Identities are given in order of first use, so the same input gives the same identities. */
#ifndef PARTITA_BASE_NAMES_H
#define PARTITA_BASE_NAMES_H

#include "base/arena.h"
#include "base/vector.h"

#include <stdint.h>

struct names_slot {
    uint32_t hash; /* of the text */
    uint32_t id;   /* identity + 1; 0: empty */
};

struct names {
    struct arena texts;        /* owns every text */
    VECTOR(const char *) list; /* identity -> text */
    struct names_slot *slots;  /* open-addressing hash table */
    uint32_t slot_count;       /* a power of two */
};

void names_init(struct names *names);
void names_fini(struct names *names);

/* The identity of a text, added if it is new. */
uint32_t names_add(struct names *names, const char *text);
/* The identity of a text, or UINT32_MAX if it was never added. */
uint32_t names_find(const struct names *names, const char *text);
const char *names_text(const struct names *names, uint32_t id);

#endif
