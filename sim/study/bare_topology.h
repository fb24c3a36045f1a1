/* Bare topology: a topology by itself, without a workload: what `partita collective` and `partita plot
 * topology` work on. */
#ifndef PARTITA_STUDY_BARE_TOPOLOGY_H
#define PARTITA_STUDY_BARE_TOPOLOGY_H

#include "input/document.h"
#include "platform/platform.h"

/* Reads a topology (file or shipped name) with the --set options applied: `topology.KEY`, `parameters.KEY`
 * and the bare name of a parameter set parameters, anything else the topology's own keys. Reports and returns
 * false on bad input. */
bool bare_topology_read(struct input *input, const char *name, const char *const *sets, uint32_t set_count,
                        struct platform *platform);

#endif
