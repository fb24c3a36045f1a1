/* A plan's job through the engine. */
#ifndef PARTITA_TESTS_JOB_RUN_H
#define PARTITA_TESTS_JOB_RUN_H

#include "../plan/plan_case.h"

#include "engine/engine.h"
#include "plan/emit.h"

struct run {
    struct job job;
    struct engine_result result;
};

/* Of a case that was derived on connected devices. */
static inline void run_job(struct plan_case *c, struct run *run)
{
    const char *error = NULL;
    *run = (struct run){0};
    arena_init(&run->job.arena);
    run->job.names = &c->names;
    if (!emit_job(&c->plan, c->derivations, &run->job, &c->input.report)) {
        report_print(&c->input.report, stderr);
        fail_msg("%s: no job", case_describe(c));
    }
    if (!engine_run(&c->platform, &run->job, &(struct engine_options){0}, &run->result, &error))
        fail_msg("%s:%s", case_describe(c), error);
}

static inline void run_fini(struct run *run)
{
    engine_result_fini(&run->result);
    arena_fini(&run->job.arena);
}

#endif
