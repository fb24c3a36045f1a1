/* Nearest: the valid name that a mistyped one was probably meant to be. */
#ifndef PARTITA_BASE_NEAREST_H
#define PARTITA_BASE_NEAREST_H

#include <stddef.h>
#include <stdio.h>

/* Edit distance with adjacent transpositions (optimal string alignment), ignoring case. O(|a|·|b|). */
unsigned nearest_distance(const char *a, const char *b);

/* The entry of `names` (count entries; NULL entries are skipped) nearest to `text`, or NULL when none is near
 * enough (distance above a third of the longer length, rounded up). Ties go to the earlier entry. */
const char *nearest_name(const char *text, const char *const *names, size_t count);

/* Prints "error: there is no WHAT 'NAME'" with the nearest of the known names, or with all of them if none is
 * near. */
void nearest_unknown(const char *what, const char *name, const char *const *known, size_t count, FILE *to);

#endif
