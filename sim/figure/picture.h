/* Picture: the nodes and cables of a network. It is drawn before anything was simulated, so it reads no
 * database: whoever knows the platform fills in a plain description, without positions, and this file places
 * and draws it. */
#ifndef PARTITA_FIGURE_PICTURE_H
#define PARTITA_FIGURE_PICTURE_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

enum { PICTURE_RANK = 8 };
enum picture_shape {
    PICTURE_DEVICE,
    PICTURE_SWITCH,
    PICTURE_MEDIUM, /* what all stations of a shared medium are joined to */
    PICTURE_STORE,  /* a host or a drive: it keeps things for devices */
    PICTURE_SHAPES
};
enum picture_layout { PICTURE_AUTO, PICTURE_LAYERS, PICTURE_CIRCLE, PICTURE_GRID };

struct picture_node {
    const char *name;
    enum picture_shape shape;
    uint32_t rank, index[PICTURE_RANK]; /* in its array */
    double x, y;                        /* filled in when drawn */
    uint32_t level;                     /* of layers: steps from the nearest device; filled in */
};

struct picture_cable {
    uint32_t from, to;
    uint32_t kind; /* index into kinds */
};

/* Cables that look alike: of one entry, equally fast. */
struct picture_kind {
    const char *name;
    double bandwidth, reverse; /* bytes per second, there and back */
    bool shared;               /* one capacity for both directions or all stations */
};

struct picture {
    const char *title;
    enum picture_layout layout;
    struct picture_node *nodes;
    struct picture_cable *cables;
    struct picture_kind *kinds;
    uint32_t node_count, cable_count, kind_count;
};

/* Places the nodes: x and y in any unit, y upwards. O(nodes log nodes + cables). */
void picture_place(struct picture *picture, struct arena *arena);

/* Places and draws it into a .svg, .png or .pdf file with the template of a folder. */
bool picture_draw(struct picture *picture, const char *output, const char *plot_folder, struct arena *arena,
                  const char **error);

#endif
