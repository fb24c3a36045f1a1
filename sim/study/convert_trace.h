/* Convert_trace: a trace of any form as YAML that people read and write, or as Chakra files. */
#ifndef PARTITA_STUDY_CONVERT_TRACE_H
#define PARTITA_STUDY_CONVERT_TRACE_H

#include "input/document.h"
#include "trace/trace.h"

#include <stdio.h>

/* The workload that replays what `name` says, with the changes applied: files of a trace, or a workload that
 * has a `trace`. NULL, with nothing reported unless *wrong, when it is neither. */
struct value *convert_trace_find(struct input *input, const char *name, const char *const *sets,
                                 uint32_t count, bool *wrong);

/* Reads its trace. False after reporting. */
bool convert_trace_read(struct input *input, const struct value *workload, struct trace *trace);

/* Writes a workload with the trace written out. */
void convert_trace_write(struct input *input, const struct value *workload, const struct trace *trace,
                         FILE *out);

#endif
