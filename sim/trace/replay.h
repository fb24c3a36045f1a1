/* Replay: a trace as a job for the engine. One program per rank, on the device of that number (or the one
 * that the trace names). Nodes become operations: computations on the stream "compute" (on the host: "host",
 * loads and stores: "memory"), collectives on a stream per process group, messages on a stream per peer and
 * direction. Dependencies are the trace's; streams take their operations in one common order (order.h), so
 * that they add no circle of waits. Nodes that do nothing (metadata, messages to oneself) pass their waits
 * on. */
#ifndef PARTITA_TRACE_REPLAY_H
#define PARTITA_TRACE_REPLAY_H

#include "platform/platform.h"
#include "program/program.h"
#include "trace/trace.h"

/* How long computations take: as recorded; by their operations and bytes on the platform's devices; as
 * recorded where the trace has any durations. */
enum replay_compute { REPLAY_RECORDED, REPLAY_ROOFLINE, REPLAY_AUTOMATIC };
extern const char *const replay_compute_names[]; /* "recorded", "roofline", "auto"; NULL-terminated */

struct replay_options {
    enum replay_compute compute;
    enum precision precision; /* of arithmetic, for the roofline */
    struct place place;       /* of the topology, for messages */
};

/* Fills an empty job (its arena and names are set) and *compute with what was used. False after reporting
 * what does not fit: communications without a counterpart, waits in a circle, too few devices. */
bool replay_job(struct trace *trace, const struct platform *platform, const struct replay_options *options,
                struct job *job, enum replay_compute *compute, struct report *report);

#endif
