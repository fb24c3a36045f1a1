/* A network that tests of several rooms use: devices on one switch, each with its own cable. */
#ifndef PARTITA_TESTS_STAR_H
#define PARTITA_TESTS_STAR_H

#include "platform/graph.h"

/* Devices device[0] … on a switch that reduces; the cable of device i is link 2i upwards and 2i + 1 down. */
static inline void star_build(struct platform *platform, uint32_t devices, double bandwidth, double latency)
{
    for (uint32_t d = 0; d < devices; d++) {
        uint32_t name = names_add(platform->names, arena_format(&platform->arena, "device[%u]", d));
        graph_add_device(platform, (struct device){.speed = 1, .name = name}, false);
    }
    uint32_t hub = graph_add_switch(platform, 0);
    platform->nodes.at[hub].reduces = true;
    for (uint32_t d = 0; d < devices; d++) {
        struct link link = {.bandwidth = bandwidth, .latency = latency};
        graph_add_arc(platform, d, hub, graph_add_link(platform, link));
        graph_add_arc(platform, hub, d, graph_add_link(platform, link));
    }
    graph_close(platform);
}

#endif
