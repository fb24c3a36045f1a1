/* Replicated runs of one workload: mean, confidence interval and spread of each metric. */
#include "partita.h"

#include "record/recorder.h"
#include "study/carriers.h"
#include "study/replicate.h"
#include "study/wanted.h"

#include <jansson.h>
#include <string.h>
#include <time.h>

enum { REPLICATED_TEXT = 64 };

struct replicated {
    struct scenario scenario;
    struct engine_options engine;
    struct estimate estimates[REPLICATE_METRICS];
};

static double replicated_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool replicated_load(struct replicated *replicated, const struct partita_options *options, FILE *err)
{
    struct scenario *s = &replicated->scenario;
    struct scenario_options wanted = wanted_scenario(options);
    bool good = scenario_load(s, &wanted);
    if (good && !scenario_is_random(s))
        good = report_error(&s->input.report, s->workload.place,
                            "nothing in this workload is random, so that all replications would be the same; "
                            "add `random:`, or leave out --replicate");
    replicated->engine = scenario_engine(s);
    good = good && carriers_choose(s, &replicated->engine);
    report_print(&s->input.report, err);
    return good;
}

static struct recorder *replicated_open(struct scenario *s, const char *database, uint64_t seed,
                                        const char **error)
{
    struct recorder_run run = {s->workload.name,     s->workload_path,  s->topology_path,
                               scenario_resolved(s), partita_version(), seed};
    return recorder_open(database, &run, &s->arena, error);
}

/* One replication, into the estimates and the database. */
static bool replicated_add(struct replicated *replicated, const char *database, uint64_t seed,
                           const char **error)
{
    struct scenario *s = &replicated->scenario;
    struct engine_result result;
    struct metrics metrics;
    double start = replicated_now();
    struct recorder *recorder = NULL;
    if (database && !(recorder = replicated_open(s, database, seed, error)))
        return false;
    bool good = replicate_once(s, &replicated->engine, seed, &result, &metrics, error);
    if (!good && recorder)
        recorder_fail(recorder, *error);
    if (good && recorder)
        good =
            recorder_finish(recorder, &s->plan, &s->job, &result, &metrics, replicated_now() - start, error);
    for (int i = 0; good && i < REPLICATE_METRICS; i++)
        estimate_add(&replicated->estimates[i],
                     *(const double *)((const char *)&metrics + replicate_metrics[i].offset));
    if (recorder)
        recorder_close(recorder);
    if (good) {
        metrics_fini(&metrics);
        engine_result_fini(&result);
    }
    return good;
}

static void replicated_print(const struct replicated *replicated, const struct partita_options *options,
                             FILE *out)
{
    char text[5][REPLICATED_TEXT];
    const struct estimate *first = &replicated->estimates[0];
    fprintf(out, "%s\n%llu replications, seeds %lld to %lld\n\n%-20s %12s %12s %12s %12s %12s\n",
            replicated->scenario.workload.name, (unsigned long long)first->count,
            (long long)replicated->scenario.workload.seed,
            (long long)replicated->scenario.workload.seed + (long long)first->count - 1, "", "mean",
            "+- (95 %)", "deviation", "least", "most");
    for (int i = 0; i < REPLICATE_METRICS; i++) {
        const struct estimate *e = &replicated->estimates[i];
        const double values[5] = {e->mean, estimate_half_width(e), estimate_deviation(e), e->least, e->most};
        if (e->most == 0 && e->least == 0)
            continue;
        fprintf(out, "%-20s", replicate_metrics[i].name);
        for (int k = 0; k < 5; k++)
            fprintf(out, " %12s",
                    unit_format(values[k], replicate_metrics[i].unit, text[k], REPLICATED_TEXT));
        fputc('\n', out);
    }
    if (options->until > 0 && !replicate_enough(first, options->until))
        fprintf(out, "\nthe step time is not known to %g %%; more replications are needed\n",
                100 * options->until);
}

static void replicated_json(const struct replicated *replicated, FILE *out)
{
    json_t *metrics = json_object();
    for (int i = 0; i < REPLICATE_METRICS; i++) {
        const struct estimate *e = &replicated->estimates[i];
        json_t *half = e->count > 1 ? json_real(estimate_half_width(e)) : json_null();
        json_object_set_new(metrics, replicate_metrics[i].key,
                            json_pack("{s:f, s:o, s:f, s:f, s:f}", "mean", e->mean, "half_width_95", half,
                                      "deviation", estimate_deviation(e), "least", e->least, "most",
                                      e->most));
    }
    json_t *object = json_pack("{s:s, s:I, s:I, s:o}", "name", replicated->scenario.workload.name,
                               "replications", (json_int_t)replicated->estimates[0].count, "seed",
                               (json_int_t)replicated->scenario.workload.seed, "metrics", metrics);
    json_dumpf(object, out, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    fputc('\n', out);
    json_decref(object);
}

enum partita_status partita_replicate(const struct partita_options *options, FILE *out, FILE *err)
{
    struct replicated replicated = {0};
    const char *error = NULL;
    enum partita_status status = PARTITA_OK;
    if (!replicated_load(&replicated, options, err))
        status = PARTITA_BAD_INPUT;
    uint64_t seed = (uint64_t)replicated.scenario.workload.seed;
    for (int64_t i = 0; status == PARTITA_OK && i < options->replications; i++) {
        if (replicate_enough(&replicated.estimates[0], options->until))
            break;
        if (replicated_add(&replicated, options->database, seed + (uint64_t)i, &error))
            continue;
        fprintf(err, "error: seed %llu: %s\n", (unsigned long long)seed + (unsigned long long)i, error);
        status = PARTITA_FAILED;
    }
    if (status == PARTITA_OK && options->json)
        replicated_json(&replicated, out);
    else if (status == PARTITA_OK && !options->quiet)
        replicated_print(&replicated, options, out);
    if (status == PARTITA_OK)
        status = wanted_fit(options, &replicated.scenario, err);
    scenario_fini(&replicated.scenario);
    return status;
}
