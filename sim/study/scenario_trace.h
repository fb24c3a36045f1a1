/* Scenario_trace: a scenario whose workload is a trace instead of a model with a plan. */
#ifndef PARTITA_STUDY_SCENARIO_TRACE_H
#define PARTITA_STUDY_SCENARIO_TRACE_H

#include "study/scenario.h"
#include "trace/trace.h"

/* The document of a workload that replays the trace which `text` names; NULL: it names none. */
struct value *scenario_trace_document(struct input *input, const char *text);

/* `trace: PREFIX` is short for `trace: {path: PREFIX}`; written out, so that --set trace.KEY has a map to go
 * to. */
void scenario_trace_spell(struct input *input, struct value *document);

/* Reads the trace that stands under `trace` into an empty one, and what its `compute` says. Files are looked
 * for beside that of `trace`, else as they are named. False after reporting. */
bool scenario_trace_read(struct input *input, const struct value *trace, struct trace *read,
                         enum replay_compute *compute);

/* Reads the trace of scenario->workload and makes job and plan of it. False after reporting. */
bool scenario_trace_load(struct scenario *scenario);

#endif
