#include "partita.h"

#include "base/nearest.h"

#include "figure/figure.h"
#include "record/export.h"
#include "record/reader.h"
#include "record/recorder.h"
#include "study/carriers.h"
#include "study/draw_topology.h"
#include "study/explain.h"
#include "study/remedy.h"
#include "study/replicate.h"
#include "study/scenario.h"
#include "study/summary.h"
#include "study/wanted.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

const char *partita_version(void)
{
    return PARTITA_VERSION;
}

const char *partita_data_folder(void)
{
    struct stat found;
    const char *chosen = getenv("PARTITA_DATA");
    if (chosen && *chosen)
        return chosen;
    return stat(PARTITA_DATA_SOURCE "/topologies", &found) == 0 ? PARTITA_DATA_SOURCE
                                                                : PARTITA_DATA_INSTALLED;
}

static double partita_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Prints how long each phase took, one line per call. */
struct stopwatch {
    double start, last;
    FILE *to; /* NULL: say nothing */
};

static void partita_lap(struct stopwatch *watch, const char *phase)
{
    double now = partita_now();
    if (watch->to)
        fprintf(watch->to, "%-28s %8.3f s\n", phase, now - watch->last);
    watch->last = now;
}

static enum partita_status partita_load(struct scenario *scenario, const struct partita_options *options,
                                        bool brief, FILE *err)
{
    struct scenario_options wanted = wanted_scenario(options);
    wanted.brief = brief;
    bool good = scenario_load(scenario, &wanted);
    report_print(&scenario->input.report, err);
    return good ? PARTITA_OK : PARTITA_BAD_INPUT;
}

static enum partita_status partita_fail(struct recorder *recorder, const char *reason, FILE *err)
{
    fprintf(err, "error: %s\n", reason);
    if (recorder)
        recorder_fail(recorder, reason);
    return PARTITA_FAILED;
}

static enum partita_status partita_simulate(struct scenario *s, const struct partita_options *options,
                                            struct recorder *recorder, struct stopwatch *watch, FILE *out,
                                            FILE *err)
{
    struct engine_result result = {0};
    struct metrics metrics = {0};
    const char *error = NULL;
    struct engine_options engine = scenario_engine(s);
    enum partita_status status = PARTITA_OK;
    if (!carriers_choose(s, &engine)) {
        report_print(&s->input.report, err);
        if (recorder)
            recorder_fail(recorder, "network.algorithm names a group that the plan does not have");
        return PARTITA_BAD_INPUT;
    }
    if (!replicate_once(s, &engine, (uint64_t)s->workload.seed, &result, &metrics, &error))
        return partita_fail(recorder, error, err);
    partita_lap(watch, "simulate");
    if (recorder && s->script.discipline)
        recorder_account(recorder, &s->account);
    if (recorder && !recorder_finish(recorder, &s->plan, &s->job, &result, &metrics,
                                     partita_now() - watch->start, &error))
        status = partita_fail(NULL, error, err);
    if (recorder)
        partita_lap(watch, "write the database");
    if (status == PARTITA_OK && options->json)
        summary_json(s, &metrics, result.events, partita_now() - watch->start, out);
    else if (status == PARTITA_OK && !options->quiet)
        summary_print(s, &metrics, out);
    if (status == PARTITA_OK && !options->json && !options->quiet && !s->plan.fits) {
        struct scenario_options loaded = wanted_scenario(options);
        fprintf(out, "\nmemory does not fit\n");
        remedy_print(s, &loaded, out);
    }
    if (status == PARTITA_OK && !options->json && !options->quiet && s->workload.algorithm)
        carriers_print(s, &result, out);
    else if (status == PARTITA_OK && options->verbose)
        carriers_print(s, &result, err);
    metrics_fini(&metrics);
    engine_result_fini(&result);
    return status;
}

enum partita_status partita_run(const struct partita_options *options, FILE *out, FILE *err)
{
    struct stopwatch watch = {partita_now(), partita_now(), options->verbose ? err : NULL};
    struct scenario s;
    enum partita_status status = partita_load(&s, options, !options->database, err);
    partita_lap(&watch, "read and plan");
    struct recorder *recorder = NULL;
    if (status == PARTITA_OK && options->database) {
        const char *error = NULL;
        struct recorder_run run = {s.workload.name,       s.workload_path, s.topology_path,
                                   scenario_resolved(&s), PARTITA_VERSION, (uint64_t)s.workload.seed};
        recorder = recorder_open(options->database, &run, &s.arena, &error);
        if (!recorder)
            status = partita_fail(NULL, error, err);
        partita_lap(&watch, "open the database");
    }
    if (status == PARTITA_OK)
        status = partita_simulate(&s, options, recorder, &watch, out, err);
    if (status == PARTITA_OK && options->verbose)
        fprintf(err, "%-28s %8.3f s\n", "whole run", partita_now() - watch.start);
    if (status == PARTITA_OK)
        status = wanted_fit(options, &s, err);
    if (recorder)
        recorder_close(recorder);
    scenario_fini(&s);
    return status;
}

enum partita_status partita_explain(const struct partita_options *options, FILE *out, FILE *err)
{
    struct explain_options wanted = {options->workload,  options->topology,     options->sets,
                                     options->set_count, partita_data_folder(), options->layer,
                                     options->json};
    return explain_run(&wanted, out, err) ? PARTITA_OK : PARTITA_BAD_INPUT;
}

/* Whether the database is one and has the run; a message if not, which is the input's fault. */
static bool partita_has_run(const char *database, int64_t run, struct arena *arena, const char **error)
{
    struct reader *reader = reader_open(database, arena, error);
    bool has = reader && reader_run(reader, run, error) != 0;
    reader_close(reader);
    return has;
}

enum partita_status partita_plot(const struct partita_plot_options *options, FILE *err)
{
    struct arena arena;
    const char *error = NULL, *known[32];
    uint32_t count = 0;
    arena_init(&arena);
    char *folder = arena_format(&arena, "%s/plot", partita_data_folder());
    struct figure_request request = {options->database, options->run, options->output, folder,
                                     options->from,     options->to,  options->ranks};
    enum partita_status status = PARTITA_BAD_INPUT;
    const struct figure_kind *found = NULL;
    for (uint32_t i = 0; figure_kinds[i]; i++) {
        known[count++] = figure_kinds[i]->name;
        if (strcmp(figure_kinds[i]->name, options->kind) == 0)
            found = figure_kinds[i];
    }
    if (found && partita_has_run(options->database, options->run, &arena, &error))
        status = found->draw(&request, &arena, &error) ? PARTITA_OK : PARTITA_FAILED;
    known[count++] = "topology"; /* needs no database: see partita_plot_topology() */
    if (!found)
        nearest_unknown("figure", options->kind, known, count, err);
    else if (error)
        fprintf(err, "error: %s\n", error);
    arena_fini(&arena);
    return status;
}

enum partita_status partita_plot_topology(const struct partita_options *options, const char *output,
                                          FILE *err)
{
    const struct draw_topology_options wanted = {options->topology, options->sets, options->set_count,
                                                 partita_data_folder(), output};
    struct arena arena;
    const char *error = NULL;
    bool wrong = false;
    arena_init(&arena);
    enum partita_status status = PARTITA_OK;
    if (!draw_topology(&wanted, &arena, err, &wrong, &error))
        status = wrong ? PARTITA_BAD_INPUT : PARTITA_FAILED;
    if (error)
        fprintf(err, "error: %s\n", error);
    arena_fini(&arena);
    return status;
}

enum partita_status partita_export(const char *format, const char *database, int64_t run, FILE *out,
                                   FILE *err)
{
    struct arena arena;
    const char *error = NULL, *known[32];
    uint32_t count = 0;
    arena_init(&arena);
    enum partita_status status = PARTITA_BAD_INPUT;
    const struct export_format *found = NULL;
    for (uint32_t i = 0; export_formats[i]; i++) {
        known[count++] = export_formats[i]->name;
        if (strcmp(export_formats[i]->name, format) == 0)
            found = export_formats[i];
    }
    if (found && partita_has_run(database, run, &arena, &error))
        status = found->write(database, run, out, &arena, &error) ? PARTITA_OK : PARTITA_FAILED;
    known[count++] = "chakra"; /* of a workload: see partita_export_trace() */
    if (!found)
        nearest_unknown("export format", format, known, count, err);
    else if (error)
        fprintf(err, "error: %s\n", error);
    arena_fini(&arena);
    return status;
}
