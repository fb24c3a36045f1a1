/* Placing: layers for trees of switches, a grid for meshes and tori, a circle for everything else.
 *
 * Layers: a node's level is its number of steps from the nearest device; hosts and drives have levels as
 * switches do. Devices stand in one row, in blocks around the switch that they share, and each level above
 * stands in the order of the middles of what is below it. A switch that joins devices which also reach the
 * network otherwise (an NVSwitch) hangs below them, and one that joins devices of several such blocks, as a
 * network between nodes does, stands above everything inside the nodes.
 *
 * Circle: nodes with one neighbour fan out around it; the others stand on a circle. */
#include "figure/picture.h"

#include <math.h>
#include <stdlib.h>

static const double picture_pi = 3.14159265358979323846;

enum { PICTURE_ROW = 40 }; /* devices that stand in one row */

struct picture_rows { /* neighbours of each node */
    uint32_t *first, *to;
};

struct picture_key {
    double middle;
    uint32_t node;
};

static struct picture_rows picture_rows(const struct picture *p, struct arena *arena)
{
    struct picture_rows rows = {ARENA_ARRAY(arena, uint32_t, p->node_count + 2),
                                ARENA_ARRAY(arena, uint32_t, 2 * (size_t)p->cable_count + 1)};
    for (uint32_t c = 0; c < p->cable_count; c++) {
        rows.first[p->cables[c].from + 2]++;
        rows.first[p->cables[c].to + 2]++;
    }
    for (uint32_t n = 2; n < p->node_count + 2; n++)
        rows.first[n] += rows.first[n - 1];
    for (uint32_t c = 0; c < p->cable_count; c++) {
        rows.to[rows.first[p->cables[c].from + 1]++] = p->cables[c].to;
        rows.to[rows.first[p->cables[c].to + 1]++] = p->cables[c].from;
    }
    return rows;
}

/* Breadth first from all devices. Returns the highest level. */
static uint32_t picture_levels(struct picture *p, const struct picture_rows *rows, struct arena *arena)
{
    uint32_t *queue = ARENA_ARRAY(arena, uint32_t, p->node_count), count = 0, highest = 0;
    for (uint32_t n = 0; n < p->node_count; n++) {
        p->nodes[n].level = p->nodes[n].shape == PICTURE_DEVICE ? 0 : UINT32_MAX;
        if (p->nodes[n].level == 0)
            queue[count++] = n;
    }
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = rows->first[queue[i]]; k < rows->first[queue[i] + 1]; k++) {
            struct picture_node *next = &p->nodes[rows->to[k]];
            if (next->level != UINT32_MAX)
                continue;
            next->level = p->nodes[queue[i]].level + 1;
            highest = next->level > highest ? next->level : highest;
            queue[count++] = rows->to[k];
        }
    for (uint32_t n = 0; n < p->node_count; n++)
        if (p->nodes[n].level == UINT32_MAX)
            p->nodes[n].level = 1;
    return highest;
}

/* Whether a switch joins only devices, each of which has another neighbour too. */
static bool picture_hangs(const struct picture *p, const struct picture_rows *rows, uint32_t n)
{
    if (p->nodes[n].shape == PICTURE_DEVICE || rows->first[n] == rows->first[n + 1])
        return false;
    for (uint32_t k = rows->first[n]; k < rows->first[n + 1]; k++) {
        uint32_t to = rows->to[k];
        bool other = false;
        if (p->nodes[to].shape != PICTURE_DEVICE)
            return false;
        for (uint32_t j = rows->first[to]; j < rows->first[to + 1]; j++) {
            uint32_t beyond = rows->to[j];
            for (uint32_t i = rows->first[beyond]; i < rows->first[beyond + 1] && !other; i++)
                other = beyond != n && p->nodes[rows->to[i]].shape != PICTURE_DEVICE;
        }
        if (!other)
            return false;
    }
    return true;
}

static int picture_compare(const void *a, const void *b)
{
    const struct picture_key *x = a, *y = b;
    if (x->middle != y->middle)
        return x->middle < y->middle ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

/* What keeps a device company: the hanging switch, or else the first switch above. */
static uint32_t picture_company(const struct picture_rows *rows, const bool *hangs, const struct picture *p,
                                uint32_t n)
{
    uint32_t found = UINT32_MAX;
    for (uint32_t k = rows->first[n]; k < rows->first[n + 1]; k++) {
        if (hangs[rows->to[k]])
            return rows->to[k];
        if (p->nodes[rows->to[k]].shape != PICTURE_DEVICE && rows->to[k] < found)
            found = rows->to[k];
    }
    return found;
}

/* Whether a switch of the first level joins several blocks and leads to no switch above it. */
static bool picture_spans(const struct picture *p, const struct picture_rows *rows, const bool *hangs,
                          uint32_t n)
{
    uint32_t block = UINT32_MAX;
    bool several = false;
    if (p->nodes[n].level != 1 || p->nodes[n].shape == PICTURE_STORE || hangs[n])
        return false;
    for (uint32_t k = rows->first[n]; k < rows->first[n + 1]; k++) {
        const struct picture_node *to = &p->nodes[rows->to[k]];
        if (to->level > 1 && to->shape != PICTURE_STORE)
            return false;
        if (to->level != 0)
            continue;
        uint32_t company = picture_company(rows, hangs, p, rows->to[k]);
        several = several || (block != UINT32_MAX && company != block);
        block = company;
    }
    return several;
}

/* Puts what spans blocks above the highest level, where something else is there between. Returns the highest
 * level. */
static uint32_t picture_raise(struct picture *p, const struct picture_rows *rows, const bool *hangs,
                              uint32_t highest, struct arena *arena)
{
    bool *spans = ARENA_ARRAY(arena, bool, p->node_count), any = false;
    for (uint32_t n = 0; n < p->node_count; n++) {
        spans[n] = picture_spans(p, rows, hangs, n);
        any = any || spans[n];
    }
    if (!any || highest < 2)
        return highest;
    for (uint32_t n = 0; n < p->node_count; n++)
        if (spans[n])
            p->nodes[n].level = highest + 1;
    return highest + 1;
}

/* The devices, block after block. Returns the width. */
static double picture_devices(struct picture *p, const struct picture_rows *rows, const bool *hangs,
                              struct arena *arena)
{
    struct picture_key *keys = ARENA_ARRAY(arena, struct picture_key, p->node_count);
    uint32_t count = 0;
    double x = 0;
    for (uint32_t n = 0; n < p->node_count; n++)
        if (p->nodes[n].level == 0)
            keys[count++] = (struct picture_key){(double)picture_company(rows, hangs, p, n), n};
    qsort(keys, count, sizeof *keys, picture_compare);
    for (uint32_t i = 0, end; i < count; i = end) {
        for (end = i; end < count && keys[end].middle == keys[i].middle; end++)
            ;
        uint32_t size = end - i;
        uint32_t columns = count <= PICTURE_ROW ? size : (uint32_t)ceil(sqrt(2.0 * size));
        for (uint32_t k = 0; k < size; k++) {
            struct picture_node *node = &p->nodes[keys[i + k].node];
            node->x = x + k % columns;
            node->y = -(double)(k / columns);
        }
        x += columns + 0.6;
    }
    return x > 1.6 ? x - 1.6 : 0;
}

/* Of what is below a node and joined to it. */
static double picture_middle(const struct picture *p, const struct picture_rows *rows, uint32_t n)
{
    double sum = 0;
    uint32_t count = 0;
    for (uint32_t k = rows->first[n]; k < rows->first[n + 1]; k++)
        if (p->nodes[rows->to[k]].level < p->nodes[n].level) {
            sum += p->nodes[rows->to[k]].x;
            count++;
        }
    return count ? sum / count : 0;
}

/* One level in the order of the middles below it: where they are if there is room, else evenly. */
static void picture_level(struct picture *p, const struct picture_rows *rows, const bool *hangs,
                          uint32_t level, double width, double y, struct arena *arena)
{
    struct picture_key *keys = ARENA_ARRAY(arena, struct picture_key, p->node_count);
    uint32_t count = 0;
    for (uint32_t n = 0; n < p->node_count; n++)
        if (p->nodes[n].level == level && !hangs[n])
            keys[count++] = (struct picture_key){picture_middle(p, rows, n), n};
    qsort(keys, count, sizeof *keys, picture_compare);
    double room = width / (count + 1.0), least = INFINITY;
    for (uint32_t i = 1; i < count; i++)
        least = fmin(least, keys[i].middle - keys[i - 1].middle);
    for (uint32_t i = 0; i < count; i++) {
        p->nodes[keys[i].node].x = least >= 0.7 * room ? keys[i].middle : width * (i + 0.5) / count;
        p->nodes[keys[i].node].y = y;
    }
}

static void picture_layers(struct picture *p, const struct picture_rows *rows, struct arena *arena)
{
    uint32_t highest = picture_levels(p, rows, arena);
    bool *hangs = ARENA_ARRAY(arena, bool, p->node_count);
    for (uint32_t n = 0; n < p->node_count; n++)
        hangs[n] = picture_hangs(p, rows, n);
    highest = picture_raise(p, rows, hangs, highest, arena);
    double width = picture_devices(p, rows, hangs, arena), lowest = 0;
    for (uint32_t n = 0; n < p->node_count; n++)
        lowest = fmin(lowest, p->nodes[n].level == 0 ? p->nodes[n].y : 0);
    /* Rows of devices take a fifth of the height between two levels, however many there are. */
    double step = fmax(width * 0.16, 1 - lowest * 1.5);
    for (uint32_t level = 1; level <= highest; level++)
        picture_level(p, rows, hangs, level, width, step * level, arena);
    for (uint32_t n = 0; n < p->node_count; n++)
        if (hangs[n]) {
            p->nodes[n].x = picture_middle(p, rows, n);
            p->nodes[n].y = lowest - step * 0.6;
        }
}

static void picture_circle(struct picture *p, const struct picture_rows *rows)
{
    uint32_t inner = 0, at = 0;
    for (uint32_t n = 0; n < p->node_count; n++)
        inner += rows->first[n + 1] - rows->first[n] != 1;
    double radius = fmax(1, inner / 6.0);
    bool all = inner < 2; /* a star, whose middle stays at 0, or a pair */
    uint32_t count = !all ? inner : p->node_count - inner;
    for (uint32_t n = 0; n < p->node_count; n++) {
        bool end = rows->first[n + 1] - rows->first[n] == 1;
        if (all != end)
            continue;
        double angle = picture_pi / 2 - 2 * picture_pi * at++ / count;
        p->nodes[n].x = radius * cos(angle);
        p->nodes[n].y = radius * sin(angle);
    }
    for (uint32_t n = 0; n < p->node_count && !all; n++) {
        uint32_t fan = 0, place = 0;
        if (rows->first[n + 1] - rows->first[n] == 1)
            continue;
        for (uint32_t k = rows->first[n]; k < rows->first[n + 1]; k++)
            fan += rows->first[rows->to[k] + 1] - rows->first[rows->to[k]] == 1;
        double out = atan2(p->nodes[n].y, p->nodes[n].x), spread = fmin(picture_pi, 2.4 * picture_pi / inner);
        for (uint32_t k = rows->first[n]; k < rows->first[n + 1]; k++) {
            struct picture_node *leaf = &p->nodes[rows->to[k]];
            if (rows->first[rows->to[k] + 1] - rows->first[rows->to[k]] != 1)
                continue;
            double angle = out + (fan > 1 ? spread * (0.5 - place / (fan - 1.0)) : 0);
            place++;
            leaf->x = p->nodes[n].x + 0.7 * radius * cos(angle);
            leaf->y = p->nodes[n].y + 0.7 * radius * sin(angle);
        }
    }
}

/* First index to the right, second upwards, third into the depth; more indices beside each other. */
static void picture_grid(struct picture *p)
{
    double depth = 1;
    for (uint32_t n = 0; n < p->node_count; n++)
        if (p->nodes[n].rank > 2)
            depth = fmax(depth, p->nodes[n].index[2] + 1.0);
    for (uint32_t n = 0; n < p->node_count; n++) {
        struct picture_node *node = &p->nodes[n];
        double i[3] = {0, 0, 0};
        for (uint32_t d = 0; d < node->rank && d < 3; d++)
            i[d] = node->index[d];
        node->x = (depth > 1 ? 1.6 : 1) * i[0] + 0.62 * i[2] / sqrt(depth / 2);
        node->y = (depth > 1 ? 1.6 : 1) * i[1] + 0.43 * i[2] / sqrt(depth / 2);
    }
}

void picture_place(struct picture *picture, struct arena *arena)
{
    struct picture_rows rows = picture_rows(picture, arena);
    bool switches = false;
    for (uint32_t n = 0; n < picture->node_count; n++)
        switches = switches || picture->nodes[n].shape != PICTURE_DEVICE;
    if (picture->layout == PICTURE_AUTO)
        picture->layout = switches ? PICTURE_LAYERS : PICTURE_CIRCLE;
    if (picture->layout == PICTURE_LAYERS)
        picture_layers(picture, &rows, arena);
    else if (picture->layout == PICTURE_GRID)
        picture_grid(picture);
    else
        picture_circle(picture, &rows);
}
