/* Trace_yaml: a trace that people read and write: what stands in a workload under `trace:` as `ranks` and
 * `groups`, instead of the `path` of files (docs/traces.md).
 *
 *     trace:
 *       groups: {pair: [0, 1]}
 *       ranks:
 *         - of: [0, 1]
 *           nodes:
 *             - {id: 0, compute: forward, takes: 2 ms}
 *             - {id: 1, all-reduce: gradients, bytes: 64 MB, group: pair, after: [0]}
 *
 * Every number is written so that it reads back to the same bits, and a trace that is written and read again
 * replays with the same timeline. */
#ifndef PARTITA_TRACE_TRACE_YAML_H
#define PARTITA_TRACE_TRACE_YAML_H

#include "input/document.h"
#include "trace/trace.h"

/* What a node does, as its key says. */
struct trace_yaml_word {
    const char *word;
    enum trace_type type;
    int64_t kind; /* of a collective, as Chakra numbers it; else -1 */
    bool host, fixed;
    const char *about;
};
enum { TRACE_YAML_WORDS = 17 };
extern const struct trace_yaml_word trace_yaml_words[TRACE_YAML_WORDS];

/* Reads the list under `ranks`. False after reporting. */
bool trace_yaml_read(struct input *input, const struct value *ranks, struct trace *trace);

/* Reads the map under `groups`: {name: [ranks], …}. False after reporting. */
bool trace_yaml_groups(struct input *input, const struct value *groups, struct trace *trace);

/* Writes `groups:` and `ranks:` at the indentation of keys under `trace:`. Ranks that do the same are written
 * once. `scratch` is used for texts. */
void trace_yaml_write(const struct trace *trace, struct input *scratch, FILE *out);

#endif
