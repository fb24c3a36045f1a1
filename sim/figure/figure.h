/* Figure: results → gnuplot → SVG, PNG or PDF by the file's extension. Reads only the database. */
#ifndef PARTITA_FIGURE_FIGURE_H
#define PARTITA_FIGURE_FIGURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

struct figure_request {
    const char *database;
    int64_t run;             /* <= 0: the latest finished run */
    const char *output;      /* .svg, .png or .pdf */
    const char *plot_folder; /* where the gnuplot templates are (plot/) */
    double from, to;         /* seconds of the step to show; to <= from: all */
    const char *ranks;       /* "0,8,16" or NULL: one rank per stage (all ranks when there are at most 16) */
};

struct figure_kind {
    const char *name; /* "timeline", "memory" */
    const char *about;
    bool (*draw)(const struct figure_request *request, struct arena *arena, const char **error);
};
extern const struct figure_kind *const figure_kinds[]; /* NULL-terminated */

#endif
