#include "figure/gantt.h"

#include "figure/gnuplot.h"
#include "figure/palette.h"

#include <string.h>

enum { GANTT_WIDTH = 1800, GANTT_ROW = 30, GANTT_HEAD = 42, GANTT_TOP = 84, GANTT_BOTTOM = 70 }; /* pixels */

static uint32_t gantt_colour(const struct gantt_box *box)
{
    const struct palette_pass *pass = palette_passes;
    while (pass[1].pass && strcmp(pass->pass, box->pass) != 0)
        pass++;
    uint32_t colour = 0;
    double pale = box->shade == 0 ? 0 : 0.25 + 0.3 * (box->shade - 1) / box->shade;
    for (int shift = 0; shift <= 16; shift += 8) {
        double part = (pass->colour >> shift) & 0xff;
        colour |= (uint32_t)(part + (255 - part) * 2 * pale * 0.8) << shift;
    }
    return colour;
}

/* Blocks of a data file are known by their index, so none is empty. */
static void gantt_boxes(const struct gantt *gantt, struct gnuplot *plot, const char *name, bool bubbles)
{
    FILE *data = gnuplot_data(plot, name);
    for (uint32_t p = 0; data && p < gantt->panel_count; p++) {
        fprintf(data, "-9 -9 -9.1 -8.9 -9.1 -8.9 0\n");
        for (uint32_t i = 0; i < gantt->panels[p].box_count; i++) {
            const struct gantt_box *box = &gantt->panels[p].boxes[i];
            if ((box->pass == NULL) != bubbles || box->end <= box->start)
                continue;
            double low = box->row + 0.06 + 0.88 * box->low, high = box->row + 0.06 + 0.88 * box->high;
            fprintf(data, "%.9g %.9g %.9g %.9g %.9g %.9g %u\n", (box->start + box->end) / 2, (low + high) / 2,
                    box->start, box->end, low, high, bubbles ? 0 : gantt_colour(box));
        }
        fprintf(data, "\n\n");
    }
}

static void gantt_texts(const struct gantt *gantt, struct gnuplot *plot)
{
    FILE *data = gnuplot_data(plot, "texts");
    for (uint32_t p = 0; data && p < gantt->panel_count; p++) {
        fprintf(data, "-9 -9 \"\" 0\n");
        for (uint32_t i = 0; i < gantt->panels[p].box_count; i++) {
            const struct gantt_box *box = &gantt->panels[p].boxes[i];
            if (box->pass)
                fprintf(data, "%.9g %.9g \"%u\" %u\n", (box->start + box->end) / 2,
                        box->row + 0.06 + 0.44 * (box->low + box->high), box->micro_batch,
                        palette_ink(gantt_colour(box)));
        }
        fprintf(data, "\n\n");
    }
}

/* One block per panel and row. */
static void gantt_memory(const struct gantt *gantt, struct gnuplot *plot)
{
    FILE *data = gnuplot_data(plot, "memory");
    for (uint32_t p = 0; data && p < gantt->panel_count; p++)
        for (uint32_t r = 0; r < gantt->panels[p].rows; r++) {
            fprintf(data, "0 0\n");
            for (uint32_t i = 0; i < gantt->panels[p].memory_count[r]; i++)
                fprintf(data, "%.9g %.9g\n", gantt->panels[p].memory[r][i].time,
                        gantt->panels[p].memory[r][i].amount);
            fprintf(data, "\n\n");
        }
}

static void gantt_legend(const struct gantt *gantt, struct gnuplot *plot)
{
    static const char *const passes[] = {"F", "B", "I", "W"};
    uint32_t count = 0;
    gnuplot_command(plot, "array legend_colours[%u]", 8u);
    const char *texts[4];
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        struct gantt_box box = {.pass = passes[i]};
        bool used = false;
        for (uint32_t p = 0; p < gantt->panel_count && !used; p++)
            for (uint32_t b = 0; b < gantt->panels[p].box_count && !used; b++)
                used = gantt->panels[p].boxes[b].pass && !strcmp(gantt->panels[p].boxes[b].pass, passes[i]);
        const struct palette_pass *pass = palette_passes;
        while (pass[1].pass && strcmp(pass->pass, passes[i]) != 0)
            pass++;
        if (!used)
            continue;
        texts[count++] = pass->about;
        gnuplot_command(plot, "legend_colours[%u] = %u", count, gantt_colour(&box));
    }
    gnuplot_texts(plot, "legend_texts", texts, count);
    gnuplot_number(plot, "legend_count", count);
}

bool gantt_draw(const struct gantt *gantt, const char *output, const char *plot_folder, struct arena *arena,
                const char **error)
{
    struct gnuplot plot;
    uint32_t rows = gantt->panel_count ? gantt->panels[0].rows : 1;
    int panel = (int)rows * GANTT_ROW + GANTT_HEAD;
    int height = GANTT_TOP + GANTT_BOTTOM + (int)gantt->panel_count * panel;
    if (!gnuplot_open(&plot, output, GANTT_WIDTH, height, arena, error))
        return false;
    const char **titles = ARENA_ARRAY(arena, const char *, gantt->panel_count + 1);
    const char **notes = ARENA_ARRAY(arena, const char *, gantt->panel_count + 1);
    for (uint32_t p = 0; p < gantt->panel_count; p++) {
        titles[p] = gantt->panels[p].title;
        notes[p] = gantt->panels[p].note;
    }
    gnuplot_text(&plot, "heading", gantt->title);
    gnuplot_text(&plot, "time_unit", gantt->time_unit);
    gnuplot_text(&plot, "memory_unit", gantt->memory_unit);
    gnuplot_texts(&plot, "titles", titles, gantt->panel_count);
    gnuplot_texts(&plot, "notes", notes, gantt->panel_count);
    gnuplot_number(&plot, "panels", gantt->panel_count);
    gnuplot_number(&plot, "rows", rows);
    gnuplot_number(&plot, "height", height);
    gnuplot_number(&plot, "panel_height", panel);
    gnuplot_number(&plot, "head", GANTT_HEAD);
    gnuplot_number(&plot, "top", GANTT_TOP);
    gnuplot_number(&plot, "last", gantt->last);
    gnuplot_number(&plot, "most", gantt->most);
    gnuplot_command(&plot, "array line_colours[%u]", rows);
    for (uint32_t r = 0; r < rows; r++)
        gnuplot_command(&plot, "line_colours[%u] = %u", r + 1, palette_line(r, rows));
    gantt_legend(gantt, &plot);
    gantt_boxes(gantt, &plot, "boxes", false);
    gantt_boxes(gantt, &plot, "bubbles", true);
    gantt_texts(gantt, &plot);
    gantt_memory(gantt, &plot);
    return gnuplot_run(&plot, arena_format(arena, "%s/schedules.gp", plot_folder), error);
}
