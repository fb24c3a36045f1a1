#include "platform/graph.h"

#include <assert.h>
#include <string.h>

/* Types are compared as bytes: they are zeroed before they are read and have no padding. */
static_assert(sizeof(struct device_type) ==
                  2 * sizeof(uint32_t) + (PRECISION_COUNT + KERNEL_COUNT + 5) * sizeof(double),
              "struct device_type must have no padding");

uint32_t graph_add_type(struct platform *platform, const struct device_type *type)
{
    for (uint32_t i = 0; i < platform->device_types.count; i++)
        if (memcmp(&platform->device_types.at[i], type, sizeof *type) == 0)
            return i;
    VECTOR_PUSH(&platform->device_types, *type);
    return platform->device_types.count - 1;
}

static uint32_t graph_add_node(struct platform *platform, struct node node)
{
    VECTOR_PUSH(&platform->nodes, node);
    return platform->nodes.count - 1;
}

uint32_t graph_add_device(struct platform *platform, struct device device, bool terminal)
{
    struct node node = {.name = device.name, .device = platform->devices.count, .terminal = terminal};
    device.node = graph_add_node(platform, node);
    VECTOR_PUSH(&platform->devices, device);
    return platform->devices.count - 1;
}

uint32_t graph_add_switch(struct platform *platform, uint32_t name)
{
    return graph_add_node(platform, (struct node){.name = name, .device = UINT32_MAX});
}

uint32_t graph_add_link(struct platform *platform, struct link link)
{
    VECTOR_PUSH(&platform->links, link);
    return platform->links.count - 1;
}

void graph_add_arc(struct platform *platform, uint32_t from, uint32_t to, uint32_t link)
{
    assert(from < platform->nodes.count && to < platform->nodes.count);
    assert(link == UINT32_MAX || link < platform->links.count);
    VECTOR_PUSH(&platform->arcs, ((struct arc){from, to, link}));
}

/* A counting sort. */
void graph_close(struct platform *platform)
{
    uint32_t nodes = platform->nodes.count, arcs = platform->arcs.count;
    uint32_t *first = ARENA_ARRAY(&platform->arena, uint32_t, (size_t)nodes + 1);
    for (uint32_t a = 0; a < arcs; a++)
        first[platform->arcs.at[a].from + 1]++;
    for (uint32_t n = 0; n < nodes; n++)
        first[n + 1] += first[n];
    struct arena scratch;
    arena_init(&scratch);
    uint32_t *next = arena_copy(&scratch, first, nodes * sizeof *next);
    struct arc *unsorted = arena_copy(&scratch, platform->arcs.at, arcs * sizeof *unsorted);
    for (uint32_t a = 0; a < arcs; a++)
        platform->arcs.at[next[unsorted[a].from]++] = unsorted[a];
    arena_fini(&scratch);
    platform->first_arc = first;
}
