/* Draw: what the kinds of figures share: the run in question, the ranks to show, a fitting unit of time. */
#ifndef PARTITA_FIGURE_DRAW_H
#define PARTITA_FIGURE_DRAW_H

#include "base/vector.h"
#include "figure/figure.h"
#include "record/reader.h"

struct draw_rank {
    uint32_t rank;
    int64_t stage;      /* -1: none */
    const char *device; /* its name */
};

struct draw {
    const struct figure_request *request;
    struct arena *arena;
    struct reader *reader; /* owned */
    int64_t run;
    const char *name;               /* of the run */
    double window, step;            /* seconds */
    double from, to;                /* seconds to show */
    double scale;                   /* of the axis: multiplies seconds */
    const char *unit;               /* "ms" */
    int64_t stages;                 /* of the run */
    VECTOR(struct draw_rank) ranks; /* to show, in order; owned */
};

/* Opens the database, finds the run and the ranks. False with *error; then nothing is left to close. */
bool draw_open(struct draw *draw, const struct figure_request *request, struct arena *arena,
               const char **error);
void draw_close(struct draw *draw);

/* "stage 2: gpu[5]", or the device alone where there is one stage. */
const char *draw_label(const struct draw *draw, const struct draw_rank *rank);
/* The template's path. */
const char *draw_template(const struct draw *draw, const char *file);

extern const struct figure_kind timeline_figure, memory_figure;

#endif
