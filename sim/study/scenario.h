/* Scenario: one workload on one topology, from its files to a job that the engine can run. */
#ifndef PARTITA_STUDY_SCENARIO_H
#define PARTITA_STUDY_SCENARIO_H

#include "base/steady.h"
#include "discipline/discipline.h"
#include "engine/engine.h"
#include "input/document.h"
#include "plan/derive.h"
#include "plan/workload.h"
#include "study/randomness.h"
#include "trace/replay.h"

struct scenario_options {
    const char *workload;    /* path or shipped name */
    const char *topology;    /* path or shipped name; NULL: the workload's */
    const char *const *sets; /* "key=value" */
    uint32_t set_count;
    const char *data_root; /* folder with topologies/ and workloads/ */
    int64_t seed;          /* 0: the workload's */
    const char
        *text; /* the workload itself, as YAML; `workload` is then what messages call it. NULL: a file */
    const char
        *stored;    /* workload and topology as scenario_resolved() wrote them, instead of both; else NULL */
    bool unplanned; /* only the topology and the model (for one sample) are wanted */
    bool glance; /* only memory and work are wanted, not a run: of tokens that are generated the last one */
    bool brief;  /* only the last steps are wanted: the ones before need not be written out */
    bool probe;  /* only whether it may fit is wanted, before scenario_finish() */
    bool nearer; /* of a bare model a plan is wanted only if it fits, or may be over its memory by less … */
    double over; /* … than so many bytes */
};

/* Of a workload that is a trace. */
struct scenario_replay {
    uint32_t ranks, copies, nodes; /* copies: ranks without a file of their own */
    enum replay_compute compute;
    const char *contents; /* what its files hold, in the scenario's arena; NULL: nothing is known */
};

struct scenario {
    struct input input;
    struct names names;
    struct arena arena; /* of the derivations */
    struct workload workload;
    struct value *document, *topology_document;
    const char *workload_path, *topology_path;
    bool stored; /* the topology's document is known already */
    struct platform platform;
    struct model model;
    struct plan plan;
    struct model token_model;       /* of a workload that generates: of one token … */
    struct plan token_plan;         /* … and its plan, which has the same stages */
    struct derivation *derivations; /* one per stage */
    struct job job;
    struct engine_change *changes; /* of links' capacities, in the scenario's arena */
    uint32_t change_count;
    struct randomness randomness;
    struct script script;           /* its discipline NULL: the plan's own steps are simulated */
    struct account account;         /* of the last run of a discipline */
    struct steady steady;           /* as well */
    const struct value *given_plan; /* beside a discipline: the workload's `plan:`, as the user wrote it */
    bool derived;
    bool unfinished; /* of several steps only the first is there: the others may need more memory, not less */
    bool generates;  /* the model could generate tokens */
    struct scenario_replay replay; /* where plan.replayed */
    const char *chosen; /* of a bare model: the settings that were chosen for it, on one line; else NULL */
};

/* Reads, builds, plans and derives. Returns false with the messages in scenario->input.report; fini in either
 * case. */
bool scenario_load(struct scenario *scenario, const struct scenario_options *options);
/* After a probe: writes out all steps, and judges them. */
bool scenario_finish(struct scenario *scenario, const struct scenario_options *options);
void scenario_fini(struct scenario *scenario);

/* How the workload wants its network simulated. Borrows from the scenario. */
struct engine_options scenario_engine(const struct scenario *scenario);

/* Whether two seeds may give two results. */
bool scenario_is_random(const struct scenario *scenario);

/* The resolved input as YAML: the workload and the topology with everything included and every change
 * applied. */
const char *scenario_resolved(struct scenario *scenario);

#endif
