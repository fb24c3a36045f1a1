#include "figure/draw.h"

#include "base/unit.h"

#include <stdlib.h>

enum { DRAW_ALL = 16 }; /* ranks that are shown without being asked for */

static bool draw_add(struct draw *draw, int64_t rank, const char **error)
{
    struct reader_rows rows = reader_query(
        draw->reader,
        "SELECT d.name, coalesce(r.stage, -1) FROM rank r JOIN device d ON d.run = r.run AND d.id = r.device"
        " WHERE r.run = ?1 AND r.id = ?2",
        draw->run, rank);
    bool found = reader_next(&rows);
    if (found)
        VECTOR_PUSH(&draw->ranks, ((struct draw_rank){(uint32_t)rank, reader_int(&rows, 1),
                                                      arena_text(draw->arena, reader_text(&rows, 0))}));
    if (!reader_done(&rows, error))
        return false;
    if (!found)
        *error =
            arena_format(draw->arena, "run %lld has no rank %lld", (long long)draw->run, (long long)rank);
    return found;
}

/* "0,8,16-19" */
static bool draw_listed(struct draw *draw, const char *text, const char **error)
{
    const char *at = text;
    bool ok = true;
    while (ok) {
        char *end;
        long long first = strtoll(at, &end, 10), last = first;
        bool number = end != at && first >= 0;
        if (number && *end == '-') {
            at = end + 1;
            last = strtoll(at, &end, 10);
            number = end != at && last >= first;
        }
        if (!number || (*end && *end != ',')) {
            *error = arena_format(draw->arena, "'%s': expected ranks such as 0,8,16-19", text);
            return false;
        }
        for (; ok && first <= last; first++)
            ok = draw_add(draw, first, error);
        if (!*end)
            return ok;
        at = end + 1;
    }
    return false;
}

/* All ranks of a small run, else the first of each stage. */
static bool draw_usual(struct draw *draw, const char **error)
{
    bool all =
        reader_value(draw->reader, "SELECT count(*) FROM rank WHERE run = ?1", draw->run, 0) <= DRAW_ALL;
    struct reader_rows rows =
        reader_query(draw->reader,
                     all ? "SELECT id FROM rank WHERE run = ?1 ORDER BY id"
                         : "SELECT min(id) FROM rank WHERE run = ?1 GROUP BY stage ORDER BY min(id)",
                     draw->run, 0);
    bool ok = true;
    while (ok && reader_next(&rows))
        ok = draw_add(draw, reader_int(&rows, 0), error);
    return reader_done(&rows, error) && ok;
}

/* The shown part of the step, and a unit in which its length is at least two. */
static void draw_time(struct draw *draw)
{
    static const struct {
        const char *unit;
        double scale;
    } units[] = {{"s", 1}, {"ms", 1e3}, {"µs", 1e6}, {"ns", 1e9}};
    const struct figure_request *request = draw->request;
    draw->from = request->to > request->from ? request->from : 0;
    draw->to = request->to > request->from ? request->to : draw->window;
    if (draw->to <= draw->from) /* a step that takes no time */
        draw->to = draw->from + 1e-9;
    size_t i = 0;
    while (i + 1 < sizeof units / sizeof units[0] && (draw->to - draw->from) * units[i].scale < 2)
        i++;
    draw->unit = units[i].unit;
    draw->scale = units[i].scale;
}

static bool draw_run(struct draw *draw, const char **error)
{
    draw->run = reader_run(draw->reader, draw->request->run, error);
    if (!draw->run)
        return false;
    draw->name = reader_string(draw->reader, "SELECT name FROM run WHERE id = ?1", draw->run, "");
    draw->window = reader_value(draw->reader, "SELECT window FROM run WHERE id = ?1", draw->run, 0);
    draw->step = reader_value(draw->reader,
                              "SELECT value FROM metric WHERE run = ?1 AND name = 'step_time' AND scope = ''",
                              draw->run, 0);
    draw->stages =
        (int64_t)reader_value(draw->reader, "SELECT count(*) FROM stage WHERE run = ?1", draw->run, 0);
    draw_time(draw);
    return draw->request->ranks ? draw_listed(draw, draw->request->ranks, error) : draw_usual(draw, error);
}

bool draw_open(struct draw *draw, const struct figure_request *request, struct arena *arena,
               const char **error)
{
    *draw = (struct draw){.request = request, .arena = arena};
    draw->reader = reader_open(request->database, arena, error);
    if (draw->reader && draw_run(draw, error))
        return true;
    draw_close(draw);
    return false;
}

void draw_close(struct draw *draw)
{
    reader_close(draw->reader);
    draw->reader = NULL;
    VECTOR_FREE(&draw->ranks);
}

const char *draw_label(const struct draw *draw, const struct draw_rank *rank)
{
    if (draw->stages < 2 || rank->stage < 0)
        return rank->device;
    return arena_format(draw->arena, "stage %lld: %s", (long long)rank->stage, rank->device);
}

const char *draw_template(const struct draw *draw, const char *file)
{
    return arena_format(draw->arena, "%s/%s", draw->request->plot_folder, file);
}
