/* Override: the section `overrides:`, which changes single devices and links by name. */
#ifndef PARTITA_PLATFORM_OVERRIDE_H
#define PARTITA_PLATFORM_OVERRIDE_H

#include "platform/draft.h"

/* Reads the section (NULL: none) into the draft, before devices and links are. Reports and returns false on
 * bad input. */
bool override_read(struct draft *draft, const struct value *section);

/* The next override, from index `*next` on, that names this array (as draft_full() gives it) and whose
 * indices fit it; NULL when there is no more. Errors are reported once and the override is skipped from then
 * on. */
struct override *override_next(struct draft *draft, const struct array *array, uint32_t *next);

/* Reports overrides that changed nothing. Once everything is read. */
bool override_check(struct draft *draft);

#endif
