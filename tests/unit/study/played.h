/* A scenario and when everything in it happens, for tests. */
#ifndef PARTITA_TEST_PLAYED_H
#define PARTITA_TEST_PLAYED_H

#include "partita.h"

#include "engine/engine.h"
#include "study/carriers.h"
#include "study/scenario.h"

struct played {
    struct scenario scenario;
    struct engine_result result;
};

static inline void play(struct played *played, const char *workload, const char *topology,
                        const char *const *sets, uint32_t count)
{
    struct scenario_options options = {.workload = workload,
                                       .topology = topology,
                                       .sets = sets,
                                       .set_count = count,
                                       .data_root = partita_data_folder()};
    const char *error = "it cannot be loaded";
    bool good = scenario_load(&played->scenario, &options);
    report_print(&played->scenario.input.report, stderr);
    struct engine_options engine = good ? scenario_engine(&played->scenario) : (struct engine_options){0};
    good = good && carriers_choose(&played->scenario, &engine);
    if (!good ||
        !engine_run(&played->scenario.platform, &played->scenario.job, &engine, &played->result, &error))
        fail_msg("%s: %s", workload, error);
}

static inline void played_fini(struct played *played)
{
    engine_result_fini(&played->result);
    scenario_fini(&played->scenario);
}

static inline const struct program *program_of(const struct job *job, uint32_t rank)
{
    return &job->programs[job->ranks[rank].program];
}

#endif
