/* Draw topology: reads a topology alone, without a workload, and draws it. */
#ifndef PARTITA_STUDY_DRAW_TOPOLOGY_H
#define PARTITA_STUDY_DRAW_TOPOLOGY_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct draw_topology_options {
    const char *topology; /* file or shipped name */
    const char *const *sets;
    uint32_t set_count;
    const char *data_root;
    const char *output; /* .svg, .png or .pdf */
};

/* Messages about wrong input go to `err` and *wrong is true; other failures are told by *error. */
bool draw_topology(const struct draw_topology_options *options, struct arena *arena, FILE *err, bool *wrong,
                   const char **error);

#endif
