/* Topology set: `--set KEY=VALUE` on a topology document. */
#ifndef PARTITA_PLATFORM_TOPOLOGY_SET_H
#define PARTITA_PLATFORM_TOPOLOGY_SET_H

#include "input/document.h"

/* Applies `path` = `text` to a topology document, as document_set() does, where `path` starts with a key of a
 * topology. A path into an entry must name one that is there, since a mistyped name would be a new one. A
 * path to single elements ("links.nvlink[0,1].bandwidth", "devices.box[2].gpu[0].speed"), and a percentage of
 * what a link has ("links.uplink.bandwidth" = "50%"), becomes an override. Reports at "--set path". */
bool topology_set(struct input *input, struct value *document, const char *path, const char *text);

#endif
