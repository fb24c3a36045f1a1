/* Trace_format: the forms in which traces come. Each is one file and one entry of a table. */
#ifndef PARTITA_TRACE_TRACE_FORMAT_H
#define PARTITA_TRACE_TRACE_FORMAT_H

#include "trace/trace_load.h"

struct trace_format {
    const char *name, *about;
    /* What a user's text names: the name that messages and loading go by, in the arena; NULL: nothing. */
    const char *(*find)(const char *path, struct arena *arena);
    /* Fills ranks (in any order) and groups of an empty trace; `found` is what find() said. False after
     * reporting. */
    bool (*load)(struct input *input, const struct trace_load_options *options, const char *found,
                 struct trace *trace);
    /* What a file of rank %u would be called, for a message; uses the arena. */
    const char *(*file)(const struct trace *trace, const char *found, uint32_t rank, struct arena *arena);
    const char *expected; /* continues "there is no trace 'X': expected …" */
};

extern const struct trace_format chakra_load_format, kineto_load_format;
extern const struct trace_format *const trace_load_formats[]; /* NULL-terminated */

#endif
