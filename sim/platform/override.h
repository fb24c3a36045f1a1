/* Override: the section `overrides:`, which changes single devices and links by name. */
#ifndef PARTITA_PLATFORM_OVERRIDE_H
#define PARTITA_PLATFORM_OVERRIDE_H

#include "platform/build.h"

bool override_read(struct build *build, const struct value *section);

/* The next override, from index `*next` on, that names this array and whose indices fit it; NULL when there
 * is no more. Errors are reported once and the override is skipped from then on. */
struct override *override_next(struct build *build, const struct array *array, uint32_t *next);

/* Reports overrides that changed nothing. */
bool override_check(struct build *build);

#endif
