#include "study/performance.h"

#include "study/summary.h"

#include <math.h>
#include <string.h>

/* Names in the account of what print_period() says in words. */
static const char RECURRENCES[] = "recurrences", PERIOD[] = "period", HALF_WIDTH[] = "period half-width",
                  WARM_UP[] = "warm-up intervals";

/* The random numbers know ranks by their devices, also before there is a job. */
static const struct job *performance_ranks(const struct script *script, struct arena *arena)
{
    struct job *job = ARENA_NEW(arena, struct job);
    job->rank_count = script->devices.count;
    job->ranks = ARENA_ARRAY(arena, struct rank, job->rank_count + 1);
    for (uint32_t r = 0; r < job->rank_count; r++)
        job->ranks[r].device = script->devices.at[r];
    return job;
}

/* The plan's one stage stands for all learners. */
static void performance_stage(struct scenario *scenario)
{
    struct plan_stage *stage = &scenario->plan.stages.at[0];
    const struct script *script = &scenario->script;
    stage->devices.count = 0;
    stage->ranks = script->learners.at;
    stage->fullest_rank = script->learners.at[0];
    for (uint32_t i = 0; i < script->learners.count; i++)
        VECTOR_PUSH(&stage->devices, script->devices.at[script->learners.at[i]]);
}

static double performance_flops(const struct job *job)
{
    double flops = 0;
    for (uint32_t p = 0; p < job->program_count; p++)
        for (uint32_t i = 0; i < job->programs[p].op_count; i++)
            flops += job->programs[p].ops[i].model_flops;
    return flops;
}

static bool performance_metrics(struct scenario *scenario, const struct stage *stage,
                                const struct engine_result *result, struct metrics *metrics,
                                const char **error)
{
    struct plan plan = scenario->plan;
    plan.global_batch = (uint64_t)llround(stage->samples);
    plan.model_flops = performance_flops(&scenario->job);
    if (!metrics_compute(&plan, &scenario->job, result, metrics, error))
        return false;
    scenario->steady = steady_find(stage->marks.at, stage->marks.count);
    if (stage->marks.count > 1)
        metrics->step_time = scenario->steady.period;
    if (scenario->steady.found) {
        account_set(&scenario->account, PERIOD, UNIT_SECONDS, scenario->steady.period);
        account_set(&scenario->account, HALF_WIDTH, UNIT_SECONDS, scenario->steady.half_width);
        account_set(&scenario->account, WARM_UP, UNIT_NONE, scenario->steady.warm_up);
    }
    return true;
}

bool performance_once(struct scenario *scenario, const struct engine_options *engine, uint64_t seed,
                      struct engine_result *result, struct metrics *metrics, const char **error)
{
    struct engine_options options = *engine;
    struct arena arena;
    struct stage stage;
    arena_init(&arena);
    arena_fini(&scenario->job.arena);
    scenario->job = (struct job){.names = &scenario->names};
    arena_init(&scenario->job.arena);
    account_fini(&scenario->account);
    *metrics = (struct metrics){0};
    performance_stage(scenario);
    options.random = randomness_start(&scenario->randomness, &scenario->platform,
                                      performance_ranks(&scenario->script, &arena), seed, &arena);
    bool good = discipline_run(&scenario->script, &options, seed, &scenario->job, result, &scenario->account,
                               &stage, error);
    if (good) {
        account_set(&scenario->account, RECURRENCES, UNIT_NONE, stage.marks.count);
        good = performance_metrics(scenario, &stage, result, metrics, error);
        if (!good)
            engine_result_fini(result);
        VECTOR_FREE(&stage.marks);
    }
    arena_fini(&arena);
    return good;
}

struct steady performance_steps(const struct job *job, const struct engine_result *result)
{
    struct arena arena;
    struct steady steady = {0};
    if (job->steps <= STEADY_LEAST)
        return steady;
    arena_init(&arena);
    double *starts = ARENA_ARRAY(&arena, double, job->steps);
    for (uint32_t s = 0; s < job->steps; s++)
        starts[s] = INFINITY;
    for (uint32_t r = 0; r < job->rank_count; r++) {
        const struct program *program = &job->programs[job->ranks[r].program];
        const struct engine_record *records = result->records + result->first_record[r];
        for (uint32_t i = 0; i < program->op_count; i++)
            starts[program->ops[i].step] = fmin(starts[program->ops[i].step], records[i].start);
    }
    steady = steady_find(starts, job->steps);
    arena_fini(&arena);
    return steady;
}

static void print_period(const struct scenario *scenario, const struct metrics *metrics, FILE *out)
{
    const struct steady *steady = &scenario->steady;
    const char *recurs = scenario->script.discipline->recurs;
    char text[2][64], what[64];
    snprintf(what, sizeof what, "time per %s", recurs);
    fprintf(out, "%-30s %s", what, unit_format(metrics->step_time, UNIT_SECONDS, text[0], sizeof text[0]));
    if (steady->found)
        fprintf(out, " ± %s (95 %%, %u batches), %u of %u intervals left out as warm-up",
                unit_format(steady->half_width, UNIT_SECONDS, text[1], sizeof text[1]), steady->batches,
                steady->warm_up, steady->intervals);
    else if (steady->intervals >= STEADY_LEAST)
        fprintf(out, ", mean of %u: no steady state was found", steady->intervals);
    else if (steady->intervals)
        fprintf(out, ", mean of %u: too few to look for a steady state", steady->intervals);
    fprintf(out, "\n");
}

static void print_histogram(const struct account *account, const char *name, FILE *out)
{
    double least = INFINITY;
    for (uint32_t i = 0; i < account->bins.count; i++)
        if (strcmp(account->bins.at[i].name, name) == 0)
            least = fmin(least, (double)account->bins.at[i].value);
    fprintf(out, "%-30s %.4g on average, %.0f to %llu\n", name, account_mean(account, name), least,
            (unsigned long long)account_most(account, name));
}

json_t *performance_json(const struct scenario *scenario)
{
    json_t *object = json_object(), *histograms = json_object();
    const struct account *account = &scenario->account;
    json_object_set_new(object, "kind", json_string(scenario->script.discipline->name));
    for (uint32_t i = 0; i < account->numbers.count; i++)
        json_object_set_new(object, account->numbers.at[i].name, json_real(account->numbers.at[i].value));
    for (uint32_t i = 0; i < account->bins.count; i++) {
        const struct account_bin *bin = &account->bins.at[i];
        if (!json_object_get(histograms, bin->name))
            json_object_set_new(histograms, bin->name, json_array());
        json_array_append_new(json_object_get(histograms, bin->name),
                              json_pack("[I, I]", (json_int_t)bin->value, (json_int_t)bin->count));
    }
    json_object_set_new(object, "histograms", histograms);
    return object;
}

void performance_print(const struct scenario *scenario, const struct metrics *metrics, FILE *out)
{
    const struct account *account = &scenario->account;
    char text[64];
    fprintf(out, "%-30s %s, %u that train, %u that serve\n", "discipline", scenario->script.discipline->name,
            scenario->script.learners.count, scenario->script.servers.count);
    print_period(scenario, metrics, out);
    for (uint32_t i = 0; i < account->numbers.count; i++) {
        const struct account_number *number = &account->numbers.at[i];
        if (number->name == PERIOD || number->name == HALF_WIDTH || number->name == WARM_UP)
            continue;
        if (number->name == RECURRENCES)
            fprintf(out, "%ss%*s %.0f\n", scenario->script.discipline->recurs,
                    29 - (int)strlen(scenario->script.discipline->recurs), "", number->value);
        else if (number->unit == UNIT_NONE)
            fprintf(out, "%-30s %.6g\n", number->name, number->value);
        else
            fprintf(out, "%-30s %s\n", number->name,
                    unit_format(number->value, number->unit, text, sizeof text));
    }
    for (uint32_t i = 0; i < account->bins.count; i++) {
        bool first = true;
        for (uint32_t k = 0; k < i && first; k++)
            first = strcmp(account->bins.at[k].name, account->bins.at[i].name) != 0;
        if (first)
            print_histogram(account, account->bins.at[i].name, out);
    }
}
