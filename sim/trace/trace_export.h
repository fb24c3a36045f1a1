/* Trace_export: a job as a trace, one graph per rank, so that a plan can be replayed by other tools. What
 * other tools do not know (exact seconds, streams, passes, steps) stands in attributes of Partita's own, with
 * which replay_job() makes a job of the same timeline. */
#ifndef PARTITA_TRACE_TRACE_EXPORT_H
#define PARTITA_TRACE_TRACE_EXPORT_H

#include "platform/platform.h"
#include "program/program.h"
#include "trace/trace.h"

/* Fills an empty trace; false with *problem when Chakra has no word for something in the job. */
bool trace_export(const struct job *job, const struct platform *platform, struct trace *trace,
                  const char **problem);

/* Writes PREFIX.RANK.et of all ranks, and PREFIX.json with the process groups; each file takes its place when
 * it is complete. False with *problem (in the trace's arena). */
bool trace_export_files(struct trace *trace, const char *prefix, const char **problem);

#endif
