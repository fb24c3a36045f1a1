/* Gantt: schedules one below the other, each with a row per device and, beside it, what the devices hold. It
 * is drawn from orders alone, before any run, so it reads no database: whoever executed the orders fills in
 * plain boxes. */
#ifndef PARTITA_FIGURE_GANTT_H
#define PARTITA_FIGURE_GANTT_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

struct gantt_box {
    double start, end; /* in units of time */
    double low, high;  /* of its row, 0..1 */
    uint32_t row;
    uint32_t micro_batch;
    uint32_t shade;   /* 0: the first chunk or direction, others are paler */
    const char *pass; /* as in the palette; NULL: a bubble */
};

struct gantt_point {
    double time, amount;
};

struct gantt_panel {
    const char *title, *note;
    struct gantt_box *boxes;
    struct gantt_point **memory; /* per row: what is held from each time on */
    uint32_t *memory_count;
    uint32_t box_count, rows;
};

struct gantt {
    const char *title, *time_unit, *memory_unit;
    struct gantt_panel *panels;
    uint32_t panel_count;
    double last, most; /* of both axes, the same in all panels */
};

/* Draws it into a .svg, .png or .pdf file with the template of a folder. */
bool gantt_draw(const struct gantt *gantt, const char *output, const char *plot_folder, struct arena *arena,
                const char **error);

#endif
