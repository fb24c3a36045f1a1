/* Trace_load: a trace from its files, of whatever form (trace_format.h), with its process groups. */
#ifndef PARTITA_TRACE_TRACE_LOAD_H
#define PARTITA_TRACE_TRACE_LOAD_H

#include "input/document.h"
#include "trace/trace.h"

struct trace_load_options {
    const char *path;              /* PREFIX, one of its files, or a folder that holds one trace */
    const struct value *ranks;     /* instead of files: see trace_yaml.h; NULL: files */
    const char *groups;            /* JSON file: {"1": [0, 1, …], …}; NULL: PREFIX.json if it is there */
    const struct value *group_map; /* the same as values; NULL: not given */
    bool copy; /* a rank that has no file does what the lowest one does, in the groups of its own place */
    uint32_t devices;   /* copies are made for so many ranks at most; 0: for as many as a file names */
    struct place place; /* of the path, for messages */
};

/* Whether a text names a trace: what it is called (a prefix, a file, a folder), in the arena, or NULL. */
const char *trace_load_find(const char *path, struct arena *arena);

/* Reads all ranks of a trace, groups included, and links it. False after reporting. */
bool trace_load(struct input *input, const struct trace_load_options *options, struct trace *trace);

/* For the forms: process groups from a JSON file. */
bool trace_load_groups(struct input *input, struct trace *trace, const char *path);

#endif
