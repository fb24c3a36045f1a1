/* Picture: writes the placed nodes and cables as data for the template. Cables that would lie on others go
 * around as arcs. */
#include "figure/picture.h"

#include "base/unit.h"
#include "figure/gnuplot.h"
#include "figure/palette.h"

#include <math.h>
#include <string.h>

enum {
    PICTURE_WIDTH = 1600,
    PICTURE_HEIGHT = 1000,
    PICTURE_MARGIN_X = 500, /* pixels for the legend and names */
    PICTURE_MARGIN_Y = 240, /* … for the heading and names */
    PICTURE_LETTER = 8,     /* width of one in a name */
    PICTURE_NAMED = 64,
    PICTURE_KINDS = 12
};

/* Units of x and y per pixel, and the room that the nodes and arcs take. */
struct picture_frame {
    double low_x, high_x, low_y, high_y;
    double per_x, per_y;
};

/* How far a cable bows out, as a share of its length: those that wrap around in a grid, and in layers those
 * between nodes of one level. */
static double picture_bow(const struct picture *p, const struct picture_cable *cable)
{
    const struct picture_node *a = &p->nodes[cable->from], *b = &p->nodes[cable->to];
    if (p->layout == PICTURE_LAYERS && a->y == b->y)
        return (a->y > 0 ? 0.12 : -0.12) * (a->x < b->x ? 1 : -1);
    if (p->layout != PICTURE_GRID)
        return 0;
    for (uint32_t d = 0; d < a->rank && d < b->rank; d++)
        if (a->index[d] > b->index[d] + 1 || b->index[d] > a->index[d] + 1)
            return 0.12;
    return 0;
}

static struct picture_frame picture_frame(const struct picture *p)
{
    struct picture_frame f = {INFINITY, -INFINITY, INFINITY, -INFINITY, 0, 0};
    for (uint32_t n = 0; n < p->node_count; n++) {
        f.low_x = fmin(f.low_x, p->nodes[n].x);
        f.high_x = fmax(f.high_x, p->nodes[n].x);
        f.low_y = fmin(f.low_y, p->nodes[n].y);
        f.high_y = fmax(f.high_y, p->nodes[n].y);
    }
    for (uint32_t c = 0; c < p->cable_count; c++) {
        const struct picture_node *a = &p->nodes[p->cables[c].from], *b = &p->nodes[p->cables[c].to];
        double bow = picture_bow(p, &p->cables[c]), x = (a->x + b->x) / 2 - bow * (b->y - a->y),
               y = (a->y + b->y) / 2 + bow * (b->x - a->x);
        f.low_x = fmin(f.low_x, x);
        f.high_x = fmax(f.high_x, x);
        f.low_y = fmin(f.low_y, y);
        f.high_y = fmax(f.high_y, y);
    }
    double width = f.high_x - f.low_x, height = f.high_y - f.low_y;
    width = width > 0 ? width : 1;
    f.per_x = width / (PICTURE_WIDTH - PICTURE_MARGIN_X);
    f.per_y = height / (PICTURE_HEIGHT - PICTURE_MARGIN_Y);
    if (p->layout != PICTURE_LAYERS)
        f.per_x = f.per_y = fmax(f.per_x, f.per_y);
    if (height <= 0)
        f.per_y = f.per_x;
    return f;
}

static void picture_write_cable(const struct picture *p, const struct picture_cable *cable, FILE *data)
{
    enum { PIECES = 24 };
    const struct picture_node *a = &p->nodes[cable->from], *b = &p->nodes[cable->to];
    double dx = b->x - a->x, dy = b->y - a->y, bow = picture_bow(p, cable);
    int pieces = bow != 0 ? PIECES : 1;
    for (int i = 0; i <= pieces; i++) {
        double t = (double)i / pieces, rise = 4 * t * (1 - t) * bow;
        fprintf(data, "%.6g %.6g\n", a->x + t * dx - rise * dy, a->y + t * dy + rise * dx);
    }
    fprintf(data, "\n");
}

/* One block of data per kind. */
static void picture_write_cables(const struct picture *p, struct gnuplot *plot)
{
    FILE *data = gnuplot_data(plot, "cables");
    for (uint32_t k = 0; data && k < p->kind_count; k++) {
        for (uint32_t c = 0; c < p->cable_count; c++)
            if (p->cables[c].kind == k)
                picture_write_cable(p, &p->cables[c], data);
        fprintf(data, "\n");
    }
}

/* Where the middle of a node's name goes: outwards of a circle, above switches, below devices and what hangs
 * below them. */
static void picture_write_name(const struct picture *p, const struct picture_frame *f,
                               const struct picture_node *node, FILE *data)
{
    bool low = node->shape == PICTURE_DEVICE || (p->layout == PICTURE_LAYERS && node->y < 0);
    double x = 0, y = low ? -20 : 20;
    double far = hypot(node->x, node->y);
    if (p->layout == PICTURE_CIRCLE && far > 0) {
        double half = 0.5 * PICTURE_LETTER * (double)strlen(node->name);
        double out = node->shape == PICTURE_DEVICE ? 1 : -1; /* a switch has its devices outside */
        x = out * node->x / far * (16 + half);
        y = out * node->y / far * 22;
    }
    fprintf(data, " %.6g %.6g\n", node->x + x * f->per_x, node->y + y * f->per_y);
}

static void picture_write_nodes(const struct picture *p, const struct picture_frame *f, struct gnuplot *plot)
{
    static const struct {
        const char *name, *count;
    } shapes[PICTURE_SHAPES] = {[PICTURE_DEVICE] = {"devices", "device_count"},
                                [PICTURE_SWITCH] = {"switches", "switch_count"},
                                [PICTURE_MEDIUM] = {"media", "medium_count"},
                                [PICTURE_STORE] = {"stores", "store_count"}};
    for (int shape = 0; shape < PICTURE_SHAPES; shape++) {
        FILE *data = gnuplot_data(plot, shapes[shape].name);
        uint32_t count = 0;
        for (uint32_t n = 0; data && n < p->node_count; n++) {
            if ((int)p->nodes[n].shape != shape)
                continue;
            fprintf(data, "%.6g %.6g ", p->nodes[n].x, p->nodes[n].y);
            gnuplot_field(data, p->node_count <= PICTURE_NAMED ? p->nodes[n].name : "");
            picture_write_name(p, f, &p->nodes[n], data);
            count++;
        }
        gnuplot_number(plot, shapes[shape].count, count);
    }
}

static const char *picture_kind_label(const struct picture_kind *kind, struct arena *arena)
{
    char there[32], back[32];
    unit_format(kind->bandwidth, UNIT_BYTES_PER_SECOND, there, sizeof there);
    unit_format(kind->reverse, UNIT_BYTES_PER_SECOND, back, sizeof back);
    if (kind->shared)
        return arena_format(arena, "%s: %s shared", kind->name, there);
    if (kind->reverse != kind->bandwidth)
        return arena_format(arena, "%s: %s, back %s", kind->name, there, back);
    return arena_format(arena, "%s: %s", kind->name, there);
}

/* Wider where faster: from 1 to 5 pixels by the logarithm over the range of the picture. */
static void picture_write_kinds(const struct picture *p, struct gnuplot *plot)
{
    double least = INFINITY, most = 0;
    const char **labels = ARENA_ARRAY(plot->arena, const char *, p->kind_count + 1);
    for (uint32_t k = 0; k < p->kind_count; k++) {
        least = fmin(least, p->kinds[k].bandwidth);
        most = fmax(most, p->kinds[k].bandwidth);
        labels[k] = k < PICTURE_KINDS ? picture_kind_label(&p->kinds[k], plot->arena) : "";
    }
    double thick = p->cable_count > 2000 ? 0.3 : p->cable_count > 300 ? 0.55 : 1;
    gnuplot_command(plot, "array widths[%u]\narray colours[%u]\narray dashes[%u]", p->kind_count + 1,
                    p->kind_count + 1, p->kind_count + 1);
    for (uint32_t k = 0; k < p->kind_count; k++) {
        double share = most > least ? log(p->kinds[k].bandwidth / least) / log(most / least) : 0.35;
        gnuplot_command(plot, "widths[%u] = %.4g\ncolours[%u] = %u\ndashes[%u] = %d", k + 1,
                        thick * (1.2 + 3.8 * share), k + 1, palette_line(k, p->kind_count), k + 1,
                        p->kinds[k].shared ? 2 : 1);
    }
    gnuplot_texts(plot, "labels", labels, p->kind_count);
    gnuplot_number(plot, "kind_count", p->kind_count);
}

static void picture_write_frame(const struct picture *p, const struct picture_frame *f, struct gnuplot *plot)
{
    size_t longest = 0, row = 0;
    for (uint32_t n = 0; n < p->node_count; n++) {
        size_t length = strlen(p->nodes[n].name);
        longest = length > longest ? length : longest;
        row += p->layout == PICTURE_LAYERS && p->nodes[n].shape == PICTURE_DEVICE;
    }
    double names = p->node_count <= PICTURE_NAMED ? PICTURE_LETTER * (double)longest : 0;
    bool turned = (double)row * names > PICTURE_WIDTH - PICTURE_MARGIN_X;
    double side = 30 + (p->layout == PICTURE_CIRCLE ? names : turned ? 0 : names / 2);
    gnuplot_number(plot, "low_x", f->low_x - side * f->per_x);
    gnuplot_number(plot, "high_x", f->high_x + side * f->per_x);
    gnuplot_number(plot, "low_y", f->low_y - (turned ? 30 + names : 40) * f->per_y);
    gnuplot_number(plot, "high_y", f->high_y + 40 * f->per_y);
    gnuplot_number(plot, "proportional", p->layout != PICTURE_LAYERS);
    double crowd = p->node_count <= 40 ? 2.4 : p->node_count <= 150 ? 1.5 : p->node_count <= 700 ? 0.9 : 0.4;
    gnuplot_number(plot, "symbol", crowd);
    gnuplot_number(plot, "turned", turned);
}

bool picture_draw(struct picture *picture, const char *output, const char *plot_folder, struct arena *arena,
                  const char **error)
{
    struct gnuplot plot;
    picture_place(picture, arena);
    if (!gnuplot_open(&plot, output, PICTURE_WIDTH, PICTURE_HEIGHT, arena, error))
        return false;
    gnuplot_text(&plot, "heading", picture->title);
    struct picture_frame frame = picture_frame(picture);
    picture_write_frame(picture, &frame, &plot);
    picture_write_cables(picture, &plot);
    picture_write_nodes(picture, &frame, &plot);
    picture_write_kinds(picture, &plot);
    return gnuplot_run(&plot, arena_format(arena, "%s/topology.gp", plot_folder), error);
}
