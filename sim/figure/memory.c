/* Memory: bytes held over time, one line per shown program, against the devices' capacity. */
#include "figure/draw.h"
#include "figure/gnuplot.h"
#include "figure/palette.h"

#include "base/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_WIDTH = 1600, MEMORY_HEIGHT = 900, MEMORY_LEGEND = 24 };

struct memory_point {
    double time, bytes;
};
struct memory_line {
    const char *label;
    int64_t source; /* the rank whose memory it is */
    double capacity;
    VECTOR(struct memory_point) points;
};

struct memory {
    struct draw draw;
    VECTOR(struct memory_line) lines;
    double largest; /* bytes: of all points and capacities */
};

/* The rank that stands for this one's program in the database, and the device's capacity; -1: none. */
static bool memory_source(struct memory *memory, const struct draw_rank *rank, struct memory_line *line,
                          const char **error)
{
    struct reader_rows rows = reader_query(
        memory->draw.reader,
        "SELECT d.memory, coalesce((SELECT min(m.id) FROM rank m WHERE m.run = r.run AND m.program = "
        "r.program), -1)"
        " FROM rank r JOIN device d ON d.run = r.run AND d.id = r.device WHERE r.run = ?1 AND r.id = ?2",
        memory->draw.run, rank->rank);
    line->source = -1;
    if (reader_next(&rows)) {
        line->capacity = reader_real(&rows, 0);
        line->source = reader_int(&rows, 1);
    }
    return reader_done(&rows, error);
}

/* Adds a rank's line. Ranks of one program have the same: only those asked for are drawn twice. */
static bool memory_line(struct memory *memory, const struct draw_rank *rank, const char **error)
{
    struct draw *draw = &memory->draw;
    struct memory_line line = {.label = draw_label(draw, rank)};
    if (!memory_source(memory, rank, &line, error))
        return false;
    for (uint32_t i = 0; i < memory->lines.count && !draw->request->ranks; i++)
        if (memory->lines.at[i].source == line.source)
            return true;
    struct reader_rows rows = reader_query(
        draw->reader, "SELECT time, bytes FROM memory WHERE run = ?1 AND rank = ?2 ORDER BY time", draw->run,
        line.source);
    while (reader_next(&rows)) {
        struct memory_point point = {reader_real(&rows, 0), reader_real(&rows, 1)};
        memory->largest = fmax(memory->largest, point.bytes);
        VECTOR_PUSH(&line.points, point);
    }
    memory->largest = fmax(memory->largest, line.capacity);
    VECTOR_PUSH(&memory->lines, line);
    return reader_done(&rows, error);
}

/* One block of data per line, which gnuplot knows by its index; the last value lasts to the end. */
static void memory_write_lines(struct memory *memory, struct gnuplot *plot, double per_unit)
{
    const struct draw *draw = &memory->draw;
    FILE *data = gnuplot_data(plot, "lines");
    for (uint32_t i = 0; data && i < memory->lines.count; i++) {
        const struct memory_line *line = &memory->lines.at[i];
        double bytes = 0;
        for (uint32_t j = 0; j < line->points.count; j++) {
            bytes = line->points.at[j].bytes;
            fprintf(data, "%.9g %.9g\n", line->points.at[j].time * draw->scale, bytes / per_unit);
        }
        fprintf(data, "%.9g %.9g\n\n\n", draw->to * draw->scale, bytes / per_unit);
    }
}

/* Each capacity once. */
static uint32_t memory_write_capacities(struct memory *memory, struct gnuplot *plot, double per_unit)
{
    uint32_t count = 0;
    gnuplot_command(plot, "array capacities[%u]", memory->lines.count + 1);
    for (uint32_t i = 0; i < memory->lines.count; i++) {
        bool seen = memory->lines.at[i].capacity <= 0;
        for (uint32_t j = 0; j < i && !seen; j++)
            seen = memory->lines.at[j].capacity == memory->lines.at[i].capacity;
        if (!seen)
            gnuplot_command(plot, "capacities[%u] = %.9g", ++count, memory->lines.at[i].capacity / per_unit);
    }
    return count;
}

static bool memory_write(struct memory *memory, const char **error)
{
    const struct draw *draw = &memory->draw;
    static const struct {
        const char *unit;
        double bytes;
    } units[] = {{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1}};
    struct gnuplot plot;
    size_t unit = 0;
    while (unit + 1 < sizeof units / sizeof units[0] && memory->largest < units[unit].bytes)
        unit++;
    if (!gnuplot_open(&plot, draw->request->output, MEMORY_WIDTH, MEMORY_HEIGHT, draw->arena, error))
        return false;
    gnuplot_text(&plot, "heading", arena_format(draw->arena, "%s: memory over a step", draw->name));
    gnuplot_text(&plot, "time_unit", draw->unit);
    gnuplot_text(&plot, "memory_unit", units[unit].unit);
    gnuplot_number(&plot, "from", draw->from * draw->scale);
    gnuplot_number(&plot, "to", draw->to * draw->scale);
    gnuplot_number(&plot, "largest", memory->largest / units[unit].bytes);
    memory_write_lines(memory, &plot, units[unit].bytes);
    gnuplot_number(&plot, "capacity_count", memory_write_capacities(memory, &plot, units[unit].bytes));
    const char **labels = ARENA_ARRAY(draw->arena, const char *, memory->lines.count);
    gnuplot_command(&plot, "array colours[%u]", memory->lines.count);
    for (uint32_t i = 0; i < memory->lines.count; i++) {
        labels[i] = memory->lines.at[i].label;
        gnuplot_command(&plot, "colours[%u] = %u", i + 1, palette_line(i, memory->lines.count));
    }
    gnuplot_texts(&plot, "labels", labels, memory->lines.count);
    gnuplot_number(&plot, "line_count", memory->lines.count);
    return gnuplot_run(&plot, draw_template(draw, "memory.gp"), error);
}

static bool memory_draw(const struct figure_request *request, struct arena *arena, const char **error)
{
    struct memory memory = {0};
    if (!draw_open(&memory.draw, request, arena, error))
        return false;
    bool ok = true;
    for (uint32_t i = 0; ok && i < memory.draw.ranks.count; i++)
        ok = memory_line(&memory, &memory.draw.ranks.at[i], error);
    ok = ok && memory_write(&memory, error);
    for (uint32_t i = 0; i < memory.lines.count; i++)
        VECTOR_FREE(&memory.lines.at[i].points);
    VECTOR_FREE(&memory.lines);
    draw_close(&memory.draw);
    return ok;
}

const struct figure_kind memory_figure = {
    .name = "memory",
    .about = "bytes that each device holds over a step, against its capacity",
    .draw = memory_draw,
};
