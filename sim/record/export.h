/* Export: the rows of a finished run in other forms. Reads only the database. */
#ifndef PARTITA_RECORD_EXPORT_H
#define PARTITA_RECORD_EXPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"

struct export_format {
    const char *name; /* "canonical", "chrome", "csv" */
    const char *about;
    bool (*write)(const char *database, int64_t run, FILE *to, struct arena *arena, const char **error);
};
/* canonical: every table in a fixed order, everything but wall-clock times and versions, doubles with 17
 * digits; chrome: a trace for Perfetto / chrome://tracing; csv: the timeline. NULL-terminated. run <= 0: the
 * latest. */
extern const struct export_format *const export_formats[];

#endif
