/* Export of a plan as Chakra execution traces. */
#include "partita.h"

#include "study/scenario.h"
#include "study/wanted.h"
#include "trace/trace_export.h"

#include <string.h>

static bool ends_in_db(const char *name)
{
    size_t length = strlen(name);
    return length > 3 && strcmp(name + length - 3, ".db") == 0;
}

enum partita_status partita_export_trace(const struct partita_options *options, const char *prefix, FILE *err)
{
    const char *problem = NULL;
    struct scenario s;
    struct scenario_options wanted = wanted_scenario(options);
    if (!prefix)
        problem = "a trace is several files: --output PREFIX says where";
    else if (ends_in_db(options->workload))
        problem =
            "a database holds what happened, not what was planned: give the workload to export as chakra";
    if (problem) {
        fprintf(err, "error: %s\n", problem);
        return PARTITA_BAD_INPUT;
    }
    bool good = scenario_load(&s, &wanted), written = false;
    report_print(&s.input.report, err);
    struct trace trace;
    trace_init(&trace, &s.names);
    if (good && s.script.discipline) {
        good = false;
        problem = "a discipline has no program that can be written as a trace";
    }
    good = good && trace_export(&s.job, &s.platform, &trace, &problem);
    if (good)
        written = trace_export_files(&trace, prefix, &problem);
    if (problem)
        fprintf(err, "error: %s\n", problem);
    trace_fini(&trace);
    scenario_fini(&s);
    return written ? PARTITA_OK : good ? PARTITA_FAILED : PARTITA_BAD_INPUT;
}
