/* Memory: bytes held over time by category, one panel of stacked areas per shown program, against its
 * device's capacity. */
#include "figure/draw.h"
#include "figure/gnuplot.h"

#include "base/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_WIDTH = 1600, MEMORY_HEIGHT = 900, MEMORY_PANELS = 12, MEMORY_CATEGORIES = 8 };

/* From the bottom of the stack to its top: what stays first. Columns of the table `memory`. */
static const struct {
    const char *name, *about;
    uint32_t colour;
} memory_categories[MEMORY_CATEGORIES] = {
    {"parameters", "parameters", 0x0072B2},        {"gradients", "gradients", 0x56B4E9},
    {"optimizer", "optimizer states", 0x009E73},   {"cache", "keys and values", 0x999999},
    {"gathered", "gathered parameters", 0xF0E442}, {"activations", "activations", 0xE69F00},
    {"temporaries", "temporaries", 0xD55E00},      {"communication", "communication buffers", 0xCC79A7},
};

struct memory_point {
    double time, of[MEMORY_CATEGORIES]; /* seconds; bytes */
};
struct memory_line {
    const char *label;
    int64_t source;           /* the rank whose memory it is */
    double capacity, largest; /* bytes: of the device; of all points and the capacity */
    VECTOR(struct memory_point) points;
};

struct memory {
    struct draw draw;
    VECTOR(struct memory_line) lines;
    double largest, least; /* bytes: the largest and the least of the lines' `largest` */
    bool used[MEMORY_CATEGORIES];
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
    struct reader_rows rows = reader_query(draw->reader,
                                           "SELECT time, parameters, gradients, optimizer, cache, gathered, "
                                           "activations, temporaries, communication"
                                           " FROM memory WHERE run = ?1 AND rank = ?2 ORDER BY time",
                                           draw->run, line.source);
    while (reader_next(&rows)) {
        struct memory_point point = {.time = reader_real(&rows, 0)};
        double sum = 0;
        for (int c = 0; c < MEMORY_CATEGORIES; c++) {
            sum += point.of[c] = reader_real(&rows, c + 1);
            memory->used[c] |= point.of[c] > 0;
        }
        line.largest = fmax(line.largest, sum);
        VECTOR_PUSH(&line.points, point);
    }
    line.largest = fmax(line.largest, line.capacity);
    memory->largest = fmax(memory->largest, line.largest);
    memory->least = memory->lines.count ? fmin(memory->least, line.largest) : line.largest;
    VECTOR_PUSH(&memory->lines, line);
    return reader_done(&rows, error);
}

/* Time and the sums from the bottom of the stack up to each category. */
static void memory_write_point(FILE *data, double time, const struct memory_point *point, double per_unit)
{
    double sum = 0;
    fprintf(data, "%.9g", time);
    for (int c = 0; c < MEMORY_CATEGORIES; c++)
        fprintf(data, " %.9g", (sum += point->of[c]) / per_unit);
    fputc('\n', data);
}

/* One block of data per panel, which gnuplot knows by its index. A value lasts to the next change, the last
 * one to the end. */
static void memory_write_lines(struct memory *memory, struct gnuplot *plot, double per_unit)
{
    const struct draw *draw = &memory->draw;
    FILE *data = gnuplot_data(plot, "areas");
    for (uint32_t i = 0; data && i < memory->lines.count; i++) {
        const struct memory_line *line = &memory->lines.at[i];
        for (uint32_t j = 0; j < line->points.count; j++) {
            bool last = j + 1 == line->points.count;
            double from = line->points.at[j].time * draw->scale,
                   to = (last ? draw->to : line->points.at[j + 1].time) * draw->scale;
            memory_write_point(data, from, &line->points.at[j], per_unit);
            memory_write_point(data, to > from ? to : from, &line->points.at[j], per_unit);
        }
        fputs("\n\n", data);
    }
}

/* Of many programs some at equal distances, with the first and the last. */
static void memory_thin(struct memory *memory)
{
    uint32_t count = memory->lines.count;
    for (uint32_t i = 0, next = 0; count > MEMORY_PANELS && i < count; i++)
        if (i == next * (count - 1) / (MEMORY_PANELS - 1)) {
            struct memory_line kept = memory->lines.at[i];
            memory->lines.at[i] = memory->lines.at[next];
            memory->lines.at[next++] = kept;
        }
    for (uint32_t i = MEMORY_PANELS; i < count; i++)
        VECTOR_FREE(&memory->lines.at[i].points);
    memory->lines.count = count > MEMORY_PANELS ? MEMORY_PANELS : count;
}

/* Whether panels need scales of their own: a GPU beside its host, which has twenty times its memory. */
static bool memory_apart(const struct memory *memory)
{
    enum { APART = 4 };
    return memory->largest > APART * memory->least;
}

static void memory_write_panels(struct memory *memory, struct gnuplot *plot, double per_unit)
{
    const struct draw *draw = &memory->draw;
    uint32_t used = 0;
    const char **labels = ARENA_ARRAY(draw->arena, const char *, memory->lines.count);
    gnuplot_command(plot, "array capacities[%u]\narray tops[%u]", memory->lines.count, memory->lines.count);
    for (uint32_t i = 0; i < memory->lines.count; i++) {
        labels[i] = memory->lines.at[i].label;
        const struct memory_line *line = &memory->lines.at[i];
        double top = memory_apart(memory) ? line->largest : memory->largest;
        gnuplot_command(plot, "capacities[%u] = %.9g\ntops[%u] = %.9g", i + 1, line->capacity / per_unit,
                        i + 1, top / per_unit);
    }
    gnuplot_texts(plot, "labels", labels, memory->lines.count);
    gnuplot_number(plot, "panel_count", memory->lines.count);
    gnuplot_command(plot, "array columns[%d]\narray colours[%d]\narray categories[%d]", MEMORY_CATEGORIES,
                    MEMORY_CATEGORIES, MEMORY_CATEGORIES);
    for (int c = 0; c < MEMORY_CATEGORIES; c++) {
        if (!memory->used[c])
            continue;
        used++;
        gnuplot_command(plot, "columns[%u] = %d\ncolours[%u] = %u\ncategories[%u] = '%s'", used, c + 2, used,
                        memory_categories[c].colour, used, memory_categories[c].about);
    }
    gnuplot_number(plot, "category_count", used);
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
    while (unit + 1 < sizeof units / sizeof units[0] && memory->least < units[unit].bytes)
        unit++;
    if (!gnuplot_open(&plot, draw->request->output, MEMORY_WIDTH, MEMORY_HEIGHT, draw->arena, error))
        return false;
    gnuplot_text(&plot, "heading", arena_format(draw->arena, "%s: memory over a step", draw->name));
    gnuplot_text(&plot, "time_unit", draw->unit);
    gnuplot_text(&plot, "memory_unit", units[unit].unit);
    gnuplot_number(&plot, "from", draw->from * draw->scale);
    gnuplot_number(&plot, "to", draw->to * draw->scale);
    gnuplot_number(&plot, "apart", memory_apart(memory));
    memory_write_lines(memory, &plot, units[unit].bytes);
    memory_write_panels(memory, &plot, units[unit].bytes);
    return gnuplot_run(&plot, draw_template(draw, "memory.gp"), error);
}

static bool memory_recorded(const struct memory *memory, const char **error)
{
    for (int c = 0; c < MEMORY_CATEGORIES; c++)
        if (memory->used[c])
            return true;
    *error = "the run says nothing of memory over time; disciplines and most traces do not";
    return false;
}

static bool memory_draw(const struct figure_request *request, struct arena *arena, const char **error)
{
    struct memory memory = {0};
    if (!draw_open(&memory.draw, request, arena, error))
        return false;
    bool ok = true;
    for (uint32_t i = 0; ok && i < memory.draw.ranks.count; i++)
        ok = memory_line(&memory, &memory.draw.ranks.at[i], error);
    ok = ok && memory_recorded(&memory, error);
    if (ok)
        memory_thin(&memory);
    ok = ok && memory_write(&memory, error);
    for (uint32_t i = 0; i < memory.lines.count; i++)
        VECTOR_FREE(&memory.lines.at[i].points);
    VECTOR_FREE(&memory.lines);
    draw_close(&memory.draw);
    return ok;
}

const struct figure_kind memory_figure = {
    .name = "memory",
    .about = "bytes that each device holds over a step and what for, against its capacity",
    .draw = memory_draw,
};
