/* Timeline: a Gantt chart. One band per rank; in it one lane per stream, the compute stream's tall, the
 * others thin below it. Operations of one stream, pass and micro-batch that touch become one box, so that
 * thousands of operations give a few hundred boxes. Boxes go to gnuplot as rows of a data file, in two files:
 * those wide enough for a white border between neighbours, and hairlines without. */
#include "figure/draw.h"
#include "figure/gnuplot.h"
#include "figure/palette.h"

#include "base/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    TIMELINE_WIDTH = 1600, /* pixels */
    TIMELINE_LEFT_LEAST = 90,
    TIMELINE_RIGHT = 40,
    TIMELINE_TOP = 64, /* the title; and per row of the legend: */
    TIMELINE_LEGEND_ROW = 22,
    TIMELINE_BOTTOM = 78,
    TIMELINE_LABELLED = 400, /* operations up to which layers are told apart */
    TIMELINE_LEGEND = 24
};

/* Of a band of height 1: the compute lanes' share, the others', and a gap. */
static const double timeline_compute = 0.60, timeline_others = 0.28;
static const double timeline_touch = 1e-3; /* of the time shown: a smaller gap does not part two boxes */
static const double timeline_digit = 0.62; /* width of a character in font heights */

struct timeline_lane {
    const char *stream;
    bool compute;
    double top, height; /* in the band, 0 is its top */
};

struct timeline_box {
    double start, end; /* seconds */
    uint32_t band, lane, colour;
    int64_t micro_batch;
    const char *text; /* what to write into it if it fits, or NULL */
    const char *pass, *kind, *label;
};

/* When the flow of a message ended: a receive that was posted late ends after it. */
struct timeline_flow {
    int64_t group, match;
    double end;
};

struct timeline_entry {
    const char *text;
    uint32_t colour;
    uint32_t row;
    double x; /* pixels */
};

struct timeline {
    struct draw draw;
    VECTOR(struct timeline_lane) lanes;
    VECTOR(struct timeline_box) boxes;
    VECTOR(struct timeline_flow) flows; /* by group, match */
    VECTOR(const char *) groups;        /* of communication, by first appearance */
    struct timeline_entry legend[TIMELINE_LEGEND];
    uint32_t legend_count, legend_rows;
    bool training;         /* the run has backward passes */
    bool labelled;         /* layers are told apart and named */
    bool numbered;         /* there is more than one micro-batch */
    int height, left, top; /* pixels */
    double band;           /* height of a band in pixels */
    double font;           /* pixels, of the texts in boxes; 0: none has room */
    double number;         /* characters that a number needs */
};

/* Streams that the shown ranks use, compute streams first. */
static bool timeline_lanes(struct timeline *timeline, const char **error)
{
    for (int compute = 1; compute >= 0; compute--)
        for (uint32_t band = 0; band < timeline->draw.ranks.count; band++) {
            struct reader_rows rows = reader_query(
                timeline->draw.reader,
                compute ? "SELECT name FROM stream WHERE run = ?1 AND rank = ?2 AND compute = 1 ORDER BY id"
                        : "SELECT name FROM stream s WHERE run = ?1 AND rank = ?2 AND compute = 0 AND EXISTS "
                          "(SELECT"
                          " 1 FROM operation o WHERE o.run = s.run AND o.rank = s.rank AND o.stream = s.id)"
                          " ORDER BY id",
                timeline->draw.run, timeline->draw.ranks.at[band].rank);
            while (reader_next(&rows)) {
                uint32_t i = 0;
                while (i < timeline->lanes.count &&
                       strcmp(timeline->lanes.at[i].stream, reader_text(&rows, 0)) != 0)
                    i++;
                if (i == timeline->lanes.count)
                    VECTOR_PUSH(&timeline->lanes,
                                ((struct timeline_lane){
                                    .stream = arena_text(timeline->draw.arena, reader_text(&rows, 0)),
                                    .compute = compute}));
            }
            if (!reader_done(&rows, error))
                return false;
        }
    return true;
}

/* Divides a band between its lanes. Without communication the compute lane takes its room too. */
static void timeline_place_lanes(struct timeline *timeline)
{
    uint32_t compute = 0;
    for (uint32_t i = 0; i < timeline->lanes.count; i++)
        compute += timeline->lanes.at[i].compute;
    uint32_t others = timeline->lanes.count - compute;
    double upper = others ? timeline_compute : timeline_compute + timeline_others, top = 0.06;
    for (uint32_t i = 0; i < timeline->lanes.count; i++) {
        struct timeline_lane *lane = &timeline->lanes.at[i];
        lane->height = lane->compute ? upper / compute : timeline_others / others;
        lane->top = top;
        top += lane->height;
        if (!lane->compute) { /* a hair of white above each thin lane */
            lane->top += 0.14 * lane->height;
            lane->height *= 0.86;
        }
    }
}

static uint32_t timeline_lane_of(const struct timeline *timeline, const char *stream)
{
    uint32_t i = 0;
    while (i + 1 < timeline->lanes.count && strcmp(timeline->lanes.at[i].stream, stream) != 0)
        i++;
    return i;
}

static void timeline_legend_add(struct timeline *timeline, const char *text, uint32_t colour)
{
    for (uint32_t i = 0; i < timeline->legend_count; i++)
        if (strcmp(timeline->legend[i].text, text) == 0)
            return;
    if (timeline->legend_count < TIMELINE_LEGEND)
        timeline->legend[timeline->legend_count++] = (struct timeline_entry){.text = text, .colour = colour};
}

static const struct palette_pass *timeline_pass(const char *pass)
{
    const struct palette_pass *entry = palette_passes;
    while (entry[1].pass && strcmp(entry->pass, pass) != 0)
        entry++;
    return entry;
}

static uint32_t timeline_group_colour(struct timeline *timeline, const char *name)
{
    uint32_t i = 0;
    while (i < timeline->groups.count && strcmp(timeline->groups.at[i], name) != 0)
        i++;
    if (i == timeline->groups.count)
        VECTOR_PUSH(&timeline->groups, arena_text(timeline->draw.arena, name));
    return palette_group(name, i);
}

/* Whether `next` continues `box`: same lane, pass, micro-batch and kind, and no visible gap. */
static bool timeline_continues(const struct timeline *timeline, const struct timeline_box *box,
                               const struct timeline_box *next)
{
    double touch = timeline_touch * (timeline->draw.to - timeline->draw.from);
    return box->band == next->band && box->lane == next->lane && box->colour == next->colour &&
           box->micro_batch == next->micro_batch && next->start - box->end < touch &&
           strcmp(box->pass, next->pass) == 0 && strcmp(box->kind, next->kind) == 0 &&
           (!timeline->labelled || strcmp(box->label, next->label) == 0);
}

/* Texts that repeat from row to row are kept once. */
static const char *timeline_keep(struct timeline *timeline, const char *before, const char *text)
{
    return before && strcmp(before, text) == 0 ? before : arena_text(timeline->draw.arena, text);
}

static int timeline_flow_order(const void *left, const void *right)
{
    const struct timeline_flow *a = left, *b = right;
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    return a->match < b->match ? -1 : a->match > b->match;
}

static bool timeline_flows(struct timeline *timeline, const char **error)
{
    struct reader_rows rows = reader_query(timeline->draw.reader,
                                           "SELECT group_id, match, end FROM transfer WHERE run = ?1 AND "
                                           "kind = 'message' ORDER BY group_id, match",
                                           timeline->draw.run, 0);
    while (reader_next(&rows))
        VECTOR_PUSH(&timeline->flows, ((struct timeline_flow){reader_int(&rows, 0), reader_int(&rows, 1),
                                                              reader_real(&rows, 2)}));
    return reader_done(&rows, error);
}

enum {
    ROW_STREAM,
    ROW_KIND,
    ROW_PASS,
    ROW_MICRO_BATCH,
    ROW_START,
    ROW_END,
    ROW_LABEL,
    ROW_GROUP,
    ROW_GROUP_ID,
    ROW_MATCH
};

/* When the communication of a row was over: of a receive, its flow. */
static double timeline_end(const struct timeline *timeline, const struct reader_rows *rows)
{
    double end = reader_real(rows, ROW_END);
    struct timeline_flow wanted = {.group = reader_int(rows, ROW_GROUP_ID),
                                   .match = reader_int(rows, ROW_MATCH)};
    if (!timeline->flows.count || strcmp(reader_text(rows, ROW_KIND), "receive") != 0)
        return end;
    const struct timeline_flow *flow = bsearch(&wanted, timeline->flows.at, timeline->flows.count,
                                               sizeof *timeline->flows.at, timeline_flow_order);
    return flow ? fmin(end, flow->end) : end;
}

static void timeline_add(struct timeline *timeline, uint32_t band, const struct reader_rows *rows)
{
    const struct timeline_box *last =
        timeline->boxes.count ? &timeline->boxes.at[timeline->boxes.count - 1] : NULL;
    struct timeline_box box = {.start = reader_real(rows, ROW_START),
                               .end = timeline_end(timeline, rows),
                               .band = band,
                               .lane = timeline_lane_of(timeline, reader_text(rows, ROW_STREAM)),
                               .micro_batch = reader_int(rows, ROW_MICRO_BATCH)};
    if (box.end <= timeline->draw.from || box.start >= timeline->draw.to || box.end <= box.start)
        return;
    box.start = fmax(box.start, timeline->draw.from);
    box.end = fmin(box.end, timeline->draw.to);
    box.pass = timeline_keep(timeline, last ? last->pass : NULL, reader_text(rows, ROW_PASS));
    box.kind = timeline_keep(timeline, last ? last->kind : NULL, reader_text(rows, ROW_KIND));
    box.label = timeline->labelled
                    ? timeline_keep(timeline, last ? last->label : NULL, reader_text(rows, ROW_LABEL))
                    : "";
    if (reader_type(rows, ROW_GROUP) != READER_NULL) {
        box.colour = timeline_group_colour(timeline, reader_text(rows, ROW_GROUP));
    } else {
        const struct palette_pass *pass = timeline_pass(box.pass);
        box.colour = pass->colour;
        bool numbered = timeline->numbered && strchr("FBIWR", pass->pass[0]);
        if (timeline->labelled)
            box.text = box.label;
        else if (numbered)
            box.text = arena_format(timeline->draw.arena, "%lld", (long long)box.micro_batch);
    }
    if (last && timeline_continues(timeline, last, &box))
        timeline->boxes.at[timeline->boxes.count - 1].end = fmax(last->end, box.end);
    else
        VECTOR_PUSH(&timeline->boxes, box);
}

static bool timeline_boxes(struct timeline *timeline, const char **error)
{
    for (uint32_t band = 0; band < timeline->draw.ranks.count; band++) {
        struct reader_rows rows =
            reader_query(timeline->draw.reader,
                         "SELECT s.name, k.name, p.name, o.micro_batch, o.start, o.end, t.text, g.name, "
                         "o.group_id, o.match FROM operation o"
                         " CROSS JOIN stream s ON s.run = o.run AND s.rank = o.rank AND s.id = o.stream"
                         " CROSS JOIN kind k ON k.id = o.kind CROSS JOIN pass p ON p.id = o.pass"
                         " CROSS JOIN text t ON t.id = o.label"
                         " LEFT JOIN communication_group g ON g.run = o.run AND g.id = o.group_id"
                         " WHERE o.run = ?1 AND o.rank = ?2 ORDER BY o.stream, o.start, o.slot",
                         timeline->draw.run, timeline->draw.ranks.at[band].rank);
        while (reader_next(&rows))
            timeline_add(timeline, band, &rows);
        if (!reader_done(&rows, error))
            return false;
    }
    return true;
}

/* Passes in the palette's order, then groups. */
static void timeline_legend(struct timeline *timeline)
{
    for (const struct palette_pass *pass = palette_passes; pass->pass; pass++)
        for (uint32_t i = 0; i < timeline->boxes.count; i++)
            if (timeline->boxes.at[i].kind[0] == 'c' && strcmp(timeline->boxes.at[i].kind, "compute") == 0 &&
                strcmp(timeline->boxes.at[i].pass, pass->pass) == 0) {
                timeline_legend_add(timeline, pass->about, pass->colour);
                break;
            }
    for (uint32_t i = 0; i < timeline->groups.count; i++)
        timeline_legend_add(timeline,
                            arena_format(timeline->draw.arena, "%s communication", timeline->groups.at[i]),
                            palette_group(timeline->groups.at[i], i));
}

static double timeline_pixels(const struct timeline *timeline, const struct timeline_box *box)
{
    double plot = TIMELINE_WIDTH - timeline->left - TIMELINE_RIGHT;
    return (box->end - box->start) / (timeline->draw.to - timeline->draw.from) * plot;
}

static double timeline_entry_width(const struct timeline_entry *entry)
{
    return ((double)strlen(entry->text) + 5) * GNUPLOT_FONT * timeline_digit;
}

/* Puts the legend's entries from `first` on into one centred row; returns the first entry of the next row. */
static uint32_t timeline_legend_row(struct timeline *timeline, uint32_t first)
{
    double width = 0;
    uint32_t end = first;
    while (end < timeline->legend_count &&
           (end == first || width + timeline_entry_width(&timeline->legend[end]) < TIMELINE_WIDTH - 80))
        width += timeline_entry_width(&timeline->legend[end++]);
    double x = (timeline->left + TIMELINE_WIDTH - TIMELINE_RIGHT - width) / 2;
    for (uint32_t i = first; i < end; i++) {
        timeline->legend[i].x = x > 0 ? x : 0;
        timeline->legend[i].row = timeline->legend_rows;
        x += timeline_entry_width(&timeline->legend[i]);
    }
    timeline->legend_rows++;
    return end;
}

/* The largest font, from 9 pixels on, with which the longest number fits into the widest box that has one: so
 * either numbers of all lengths are shown or none. Layers' names are shown wherever they fit. */
static void timeline_fit_font(struct timeline *timeline)
{
    double widest = 0, lane = timeline->lanes.count ? timeline->lanes.at[0].height * timeline->band : 0;
    size_t longest = 1;
    for (uint32_t i = 0; i < timeline->boxes.count; i++) {
        const struct timeline_box *box = &timeline->boxes.at[i];
        if (!box->text)
            continue;
        longest = strlen(box->text) > longest ? strlen(box->text) : longest;
        widest = fmax(widest, timeline_pixels(timeline, box));
    }
    timeline->number = (double)longest + 0.4;
    timeline->font = fmin(timeline->labelled ? 12 : GNUPLOT_FONT, 0.62 * lane);
    if (!timeline->labelled)
        timeline->font = fmin(timeline->font, widest / (timeline->number * timeline_digit));
    if (timeline->font < 9)
        timeline->font = 0;
}

/* Room for the bands' names on the left and the legend above, and a height that suits the number of bands. */
static void timeline_layout(struct timeline *timeline)
{
    uint32_t bands = timeline->draw.ranks.count;
    size_t longest = 0;
    for (uint32_t i = 0; i < bands; i++) {
        size_t length = strlen(draw_label(&timeline->draw, &timeline->draw.ranks.at[i]));
        longest = length > longest ? length : longest;
    }
    timeline->left = (int)((double)longest * GNUPLOT_FONT * timeline_digit) + 35;
    if (timeline->left < TIMELINE_LEFT_LEAST)
        timeline->left = TIMELINE_LEFT_LEAST;
    for (uint32_t first = 0; first < timeline->legend_count;)
        first = timeline_legend_row(timeline, first);
    timeline->band = bands <= 4 ? 140 : bands <= 8 ? timeline->labelled ? 125 : 100 : bands <= 16 ? 50 : 40;
    timeline->top = TIMELINE_TOP + (int)timeline->legend_rows * TIMELINE_LEGEND_ROW;
    timeline->height = timeline->top + TIMELINE_BOTTOM + (int)(timeline->band * bands);
    timeline_fit_font(timeline);
}

static void timeline_write_boxes(struct timeline *timeline, struct gnuplot *plot)
{
    FILE *wide = gnuplot_data(plot, "wide"), *narrow = gnuplot_data(plot, "narrow");
    uint32_t counts[2] = {0};
    for (uint32_t i = 0; wide && narrow && i < timeline->boxes.count; i++) {
        const struct timeline_box *box = &timeline->boxes.at[i];
        const struct timeline_lane *lane = &timeline->lanes.at[box->lane];
        bool fits = lane->compute && timeline_pixels(timeline, box) >= 4;
        double scale = timeline->draw.scale, top = box->band + lane->top;
        counts[fits]++;
        fprintf(fits ? wide : narrow, "%.9g %.6g %.9g %.9g %.6g %.6g %u\n", box->start * scale, top,
                box->start * scale, box->end * scale, top, top + lane->height, box->colour);
    }
    gnuplot_number(plot, "wide_boxes", counts[1]);
    gnuplot_number(plot, "narrow_boxes", counts[0]);
}

/* Texts in the boxes that have the room; layers' names also upright, where only the height suffices. */
static void timeline_write_texts(struct timeline *timeline, struct gnuplot *plot)
{
    FILE *files[2] = {gnuplot_data(plot, "texts"), gnuplot_data(plot, "uprights")};
    uint32_t counts[2] = {0};
    for (uint32_t i = 0; files[0] && files[1] && timeline->font > 0 && i < timeline->boxes.count; i++) {
        const struct timeline_box *box = &timeline->boxes.at[i];
        const struct timeline_lane *lane = &timeline->lanes.at[box->lane];
        if (!lane->compute || !box->text)
            continue;
        double length = timeline->labelled ? (double)strlen(box->text) + 0.6 : timeline->number;
        double needed = length * timeline_digit * timeline->font, width = timeline_pixels(timeline, box);
        bool upright = width < needed;
        if (upright &&
            (!timeline->labelled || width < 1.25 * timeline->font || needed > lane->height * timeline->band))
            continue;
        fprintf(files[upright], "%.9g %.6g ", (box->start + box->end) / 2 * timeline->draw.scale,
                box->band + lane->top + lane->height / 2);
        gnuplot_field(files[upright], box->text);
        fprintf(files[upright], " %u\n", palette_ink(box->colour));
        counts[upright]++;
    }
    gnuplot_number(plot, "text_count", counts[0]);
    gnuplot_number(plot, "upright_count", counts[1]);
    gnuplot_number(plot, "text_font", timeline->font);
}

/* Drawn as objects: gnuplot's own key gives every entry the width of the longest. */
static void timeline_write_legend(const struct timeline *timeline, struct gnuplot *plot)
{
    for (uint32_t i = 0; i < timeline->legend_count; i++) {
        const struct timeline_entry *entry = &timeline->legend[i];
        double x = entry->x / TIMELINE_WIDTH, height = timeline->height;
        double y = 1 - (54 + (double)entry->row * TIMELINE_LEGEND_ROW) / height;
        gnuplot_command(plot,
                        "set object %u rectangle from screen %.6f, screen %.6f to screen %.6f, screen %.6f"
                        " fillcolor rgb %u fillstyle solid 1.0 noborder",
                        i + 1, x, y - 5 / height, x + 20.0 / TIMELINE_WIDTH, y + 5 / height, entry->colour);
        gnuplot_text(plot, "name", entry->text);
        gnuplot_command(plot, "set label name at screen %.6f, screen %.6f left", x + 27.0 / TIMELINE_WIDTH,
                        y);
    }
}

static void timeline_write_axes(struct timeline *timeline, struct gnuplot *plot)
{
    const struct draw *draw = &timeline->draw;
    char step[64];
    gnuplot_number(plot, "left", (double)timeline->left / TIMELINE_WIDTH);
    gnuplot_number(plot, "right", 1 - (double)TIMELINE_RIGHT / TIMELINE_WIDTH);
    gnuplot_number(plot, "top", 1 - (double)timeline->top / timeline->height);
    gnuplot_number(plot, "bottom", (double)TIMELINE_BOTTOM / timeline->height);
    gnuplot_number(plot, "height", timeline->height);
    gnuplot_number(plot, "from", draw->from * draw->scale);
    gnuplot_number(plot, "to", draw->to * draw->scale);
    gnuplot_number(plot, "bands", draw->ranks.count);
    gnuplot_text(plot, "unit", draw->unit);
    gnuplot_text(plot, "heading",
                 arena_format(draw->arena, "%s: %s %s", draw->name,
                              timeline->training ? "step time" : "latency",
                              unit_format(draw->step, UNIT_SECONDS, step, sizeof step)));
    gnuplot_command(plot, "set ytics ()");
    for (uint32_t i = 0; i < draw->ranks.count; i++) {
        gnuplot_text(plot, "name", draw_label(draw, &draw->ranks.at[i]));
        gnuplot_command(plot, "set ytics add (name %g)", i + 0.06 + timeline_compute / 2);
    }
    timeline_write_legend(timeline, plot);
}

static bool timeline_write(struct timeline *timeline, const char **error)
{
    struct gnuplot plot;
    timeline_legend(timeline);
    timeline_layout(timeline);
    if (!gnuplot_open(&plot, timeline->draw.request->output, TIMELINE_WIDTH, timeline->height,
                      timeline->draw.arena, error))
        return false;
    timeline_write_axes(timeline, &plot);
    timeline_write_boxes(timeline, &plot);
    timeline_write_texts(timeline, &plot);
    return gnuplot_run(&plot, draw_template(&timeline->draw, "timeline.gp"), error);
}

/* Few operations without backward passes: an inference, where layers say more than micro-batches. */
static void timeline_style(struct timeline *timeline)
{
    struct draw *draw = &timeline->draw;
    double operations = reader_value(draw->reader,
                                     "SELECT count(*) FROM operation WHERE run = ?1 AND kind = (SELECT id "
                                     "FROM kind WHERE name = 'compute')",
                                     draw->run, 0);
    double training =
        reader_value(draw->reader, "SELECT phase = 'training' FROM run WHERE id = ?1", draw->run, 1);
    timeline->numbered =
        reader_value(draw->reader, "SELECT micro_batches FROM run WHERE id = ?1", draw->run, 1) > 1;
    timeline->training = training != 0;
    timeline->labelled = training == 0 && operations <= TIMELINE_LABELLED;
}

static bool timeline_draw(const struct figure_request *request, struct arena *arena, const char **error)
{
    struct timeline timeline = {0};
    if (!draw_open(&timeline.draw, request, arena, error))
        return false;
    timeline_style(&timeline);
    bool ok = timeline_lanes(&timeline, error);
    timeline_place_lanes(&timeline);
    ok = ok && timeline_flows(&timeline, error) && timeline_boxes(&timeline, error) &&
         timeline_write(&timeline, error);
    VECTOR_FREE(&timeline.lanes);
    VECTOR_FREE(&timeline.boxes);
    VECTOR_FREE(&timeline.flows);
    VECTOR_FREE(&timeline.groups);
    draw_close(&timeline.draw);
    return ok;
}

const struct figure_kind timeline_figure = {
    .name = "timeline",
    .about = "what each device does when: a band per rank, a lane per stream",
    .draw = timeline_draw,
};
