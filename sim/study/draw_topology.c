#include "study/draw_topology.h"

#include "figure/picture.h"
#include "input/fields.h"
#include "platform/array.h"
#include "platform/topology.h"
#include "study/bare_topology.h"

#include <assert.h>
#include <string.h>

static_assert((int)PICTURE_RANK == (int)ARRAY_RANK, "indices are copied");

static enum picture_shape draw_topology_shape(const struct platform *platform, const struct node *node)
{
    if (node->device == UINT32_MAX)
        return PICTURE_MEDIUM;
    return platform->devices.at[node->device].role == DEVICE_WORKER ? PICTURE_DEVICE : PICTURE_STORE;
}

static void draw_topology_nodes(const struct platform *platform, struct picture *picture, struct arena *arena)
{
    picture->node_count = platform->nodes.count;
    picture->nodes = ARENA_ARRAY(arena, struct picture_node, picture->node_count);
    for (uint32_t n = 0; n < picture->node_count; n++) {
        const struct node *node = &platform->nodes.at[n];
        picture->nodes[n].name = names_text(platform->names, node->name);
        picture->nodes[n].shape = draw_topology_shape(platform, node);
    }
    for (uint32_t a = 0; a < platform->arrays.count; a++) {
        const struct array *array = &platform->arrays.at[a];
        for (uint32_t e = 0; e < array->count; e++) {
            struct picture_node *node = &picture->nodes[array->first + e];
            array_indices(array, e, node->index);
            node->rank = array->rank;
            if (node->shape == PICTURE_MEDIUM) /* it has a name of its own: no hidden hub */
                node->shape = PICTURE_SWITCH;
        }
    }
}

/* The kind of a cable with these links, made when it is the first. */
static uint32_t draw_topology_kind(const struct platform *platform, struct picture *picture, uint32_t there,
                                   double back)
{
    const struct link *link = &platform->links.at[there];
    const char *name = names_text(platform->names, link->group);
    const struct picture_kind kind = {name, link->bandwidth, back, link->mode != LINK_FULL_DUPLEX};
    for (uint32_t k = 0; k < picture->kind_count; k++) {
        const struct picture_kind *known = &picture->kinds[k];
        if (strcmp(known->name, name) == 0 && known->bandwidth == kind.bandwidth && known->reverse == back)
            return k;
    }
    picture->kinds[picture->kind_count] = kind;
    return picture->kind_count++;
}

/* A cable has an arc each way; it is drawn for the one that its `>` link belongs to, or for the lower end
 * where both share one. */
static void draw_topology_cables(const struct platform *platform, struct picture *picture,
                                 struct arena *arena)
{
    picture->cables = ARENA_ARRAY(arena, struct picture_cable, platform->arcs.count);
    picture->kinds = ARENA_ARRAY(arena, struct picture_kind, platform->links.count);
    for (uint32_t a = 0; a < platform->arcs.count; a++) {
        const struct arc *arc = &platform->arcs.at[a];
        if (arc->link == UINT32_MAX)
            continue;
        const struct link *link = &platform->links.at[arc->link];
        const char *name = names_text(platform->names, link->name);
        bool duplex = link->mode == LINK_FULL_DUPLEX;
        if (duplex ? name[strlen(name) - 1] == '<' : arc->from > arc->to)
            continue;
        double back = duplex ? platform->links.at[arc->link + 1].bandwidth : link->bandwidth;
        picture->cables[picture->cable_count++] = (struct picture_cable){
            arc->from, arc->to, draw_topology_kind(platform, picture, arc->link, back)};
    }
}

bool draw_topology(const struct draw_topology_options *options, struct arena *arena, FILE *err, bool *wrong,
                   const char **error)
{
    struct input input;
    struct names names;
    struct platform platform;
    input_init(&input, options->data_root);
    names_init(&names);
    platform_init(&platform, &names);
    bool well = bare_topology_read(&input, options->topology, options->sets, options->set_count, &platform);
    *wrong = !well;
    report_print(&input.report, err);
    if (well) {
        struct picture picture = {.layout = (enum picture_layout)platform.layout};
        draw_topology_nodes(&platform, &picture, arena);
        draw_topology_cables(&platform, &picture, arena);
        uint32_t devices = platform_workers(&platform), switches = 0;
        for (uint32_t n = 0; n < picture.node_count; n++)
            switches += picture.nodes[n].shape == PICTURE_SWITCH;
        picture.title = arena_format(
            arena, "%s: %u device%s%s", names_text(&names, platform.name), devices, devices == 1 ? "" : "s",
            switches ? arena_format(arena, ", %u switch%s", switches, switches == 1 ? "" : "es") : "");
        char *folder = arena_format(arena, "%s/plot", options->data_root);
        well = picture_draw(&picture, options->output, folder, arena, error);
    }
    platform_fini(&platform);
    names_fini(&names);
    input_fini(&input);
    return well;
}
