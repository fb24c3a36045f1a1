/* Scenario_trace: a scenario whose workload is a trace instead of a model with a plan. */
#ifndef PARTITA_STUDY_SCENARIO_TRACE_H
#define PARTITA_STUDY_SCENARIO_TRACE_H

#include "study/scenario.h"
#include "trace/trace.h"

/* The document of a workload that replays the trace which `text` names; NULL: it names none. */
struct value *scenario_trace_document(struct input *input, const char *text);

/* What else stands under `trace`. */
struct scenario_trace_said {
    enum replay_compute compute;
    const struct value *system; /* the name of a file of ASTRA-sim's; NULL: none */
};

/* Reads the trace that stands under `trace` into an empty one, and what else is said there. Files are looked
 * for beside that of `trace`, else as they are named. `devices` bounds copies as in trace_load.h. False after
 * reporting. */
bool scenario_trace_read(struct input *input, const struct value *trace, uint32_t devices, struct trace *read,
                         struct scenario_trace_said *said);

/* Reads the trace of scenario->workload and makes job and plan of it. False after reporting. */
bool scenario_trace_load(struct scenario *scenario);

#endif
