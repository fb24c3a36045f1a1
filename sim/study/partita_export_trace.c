/* Export as Chakra execution traces: of what is planned for a workload, or of a run in a database. */
#include "partita.h"

#include "record/reader.h"
#include "study/carriers.h"
#include "study/replicate.h"
#include "study/scenario.h"
#include "study/wanted.h"
#include "trace/trace_export.h"

#include <string.h>

static bool ends_in_db(const char *name)
{
    size_t length = strlen(name);
    return length > 3 && strcmp(name + length - 3, ".db") == 0;
}

/* What happened where something was random: the run again, with its seed, and what computations took in it.
 */
static bool take_happened(struct scenario *s, struct trace *trace, const char **problem)
{
    struct engine_options engine = scenario_engine(s);
    struct engine_result result;
    struct metrics metrics;
    if (!carriers_choose(s, &engine) ||
        !replicate_once(s, &engine, (uint64_t)s->workload.seed, &result, &metrics, problem))
        return false;
    for (uint32_t r = 0; r < trace->ranks.count; r++)
        for (uint32_t slot = 0; slot < trace->ranks.at[r].nodes.count; slot++) {
            struct trace_node *node = &trace->ranks.at[r].nodes.at[slot];
            const struct engine_record *record = &result.records[result.first_record[r] + slot];
            if (node->type == TRACE_COMPUTE)
                node->seconds = record->end - record->start;
        }
    metrics_fini(&metrics);
    engine_result_fini(&result);
    return true;
}

/* Makes a trace of what is to be exported and writes it. */
static enum partita_status export_scenario(const struct scenario_options *wanted, bool happened,
                                           const char *prefix, FILE *err)
{
    struct scenario s;
    struct trace trace;
    const char *problem = NULL;
    bool good = scenario_load(&s, wanted), written = false;
    report_print(&s.input.report, err);
    trace_init(&trace, &s.names);
    if (good && s.script.discipline) {
        good = false;
        problem = "a discipline has no program that can be written as a trace";
    }
    good = good && trace_export(&s.job, &s.platform, &trace, &problem);
    if (good && happened && scenario_is_random(&s))
        good = take_happened(&s, &trace, &problem);
    if (good)
        written = trace_export_files(&trace, prefix, &problem);
    if (problem)
        fprintf(err, "error: %s\n", problem);
    trace_fini(&trace);
    scenario_fini(&s);
    return written ? PARTITA_OK : good ? PARTITA_FAILED : PARTITA_BAD_INPUT;
}

/* The database holds the whole input of a run, from which the same plan follows. */
static enum partita_status export_run(const char *database, int64_t run, const char *prefix, FILE *err)
{
    struct arena arena;
    const char *error = NULL;
    enum partita_status status = PARTITA_BAD_INPUT;
    arena_init(&arena);
    struct reader *reader = reader_open(database, &arena, &error);
    run = reader ? reader_run(reader, run, &error) : 0;
    if (run) {
        struct scenario_options wanted = {
            .workload = reader_string(reader, "SELECT workload FROM run WHERE id = ?1", run, database),
            .stored = reader_string(reader, "SELECT input FROM run WHERE id = ?1", run, ""),
            .data_root = partita_data_folder(),
            .seed = (int64_t)reader_value(reader, "SELECT seed FROM run WHERE id = ?1", run, 0)};
        status = export_scenario(&wanted, true, prefix, err);
    }
    if (error)
        fprintf(err, "error: %s\n", error);
    reader_close(reader);
    arena_fini(&arena);
    return status;
}

enum partita_status partita_export_trace(const struct partita_options *options, int64_t run,
                                         const char *prefix, FILE *err)
{
    struct scenario_options wanted = wanted_scenario(options);
    if (!prefix) {
        fprintf(err, "error: a trace is several files: --output PREFIX says where\n");
        return PARTITA_BAD_INPUT;
    }
    if (!ends_in_db(options->workload))
        return export_scenario(&wanted, false, prefix, err);
    if (options->topology || options->set_count) {
        fprintf(err, "error: what a database holds has happened: --topology and --set cannot change it\n");
        return PARTITA_BAD_INPUT;
    }
    return export_run(options->workload, run, prefix, err);
}
