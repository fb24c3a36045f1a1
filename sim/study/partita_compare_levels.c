/* Compare: one workload on several levels of the network, so that it shows when a cheap one suffices. */
#include "partita.h"

#include "base/nearest.h"

#include "study/carriers.h"
#include "study/replicate.h"
#include "study/scenario.h"
#include "study/wanted.h"

#include "base/unit.h"

#include <jansson.h>
#include <string.h>
#include <time.h>

enum { COMPARE_MOST = 16, COMPARE_TEXT = 64 };

struct compare_row {
    const struct network_model *model;
    double step_time, wall; /* seconds */
    uint64_t events;
    const char *error; /* NULL: it ran */
};

struct compare {
    struct compare_row rows[COMPARE_MOST];
    uint32_t count, base; /* base: the row that the others are compared with: fluid, or else the first */
};

static bool compare_add(struct compare *compare, const char *name, FILE *err)
{
    const char *known[COMPARE_MOST];
    uint32_t count = 0;
    while (network_model_table[count] && count < COMPARE_MOST) {
        known[count] = network_model_table[count]->name;
        count++;
    }
    const struct network_model *model = network_model_find(name);
    if (!model) {
        nearest_unknown("network level", name, known, count, err);
        return false;
    }
    for (uint32_t i = 0; i < compare->count; i++)
        if (compare->rows[i].model == model)
            return true;
    if (model == &fluid_model)
        compare->base = compare->count;
    compare->rows[compare->count++] = (struct compare_row){.model = model};
    return true;
}

/* Names with commas between them; none: all levels. */
static bool compare_read(struct compare *compare, const char *levels, struct arena *arena, FILE *err)
{
    bool good = true;
    if (!levels || !*levels)
        for (uint32_t i = 0; network_model_table[i]; i++)
            compare_add(compare, network_model_table[i]->name, err);
    while (levels && *levels) {
        size_t length = strcspn(levels, ",");
        good = compare_add(compare, arena_format(arena, "%.*s", (int)length, levels), err) && good;
        levels += length + (levels[length] == ',');
    }
    return good;
}

static double compare_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void compare_run(struct scenario *s, struct compare_row *row)
{
    struct engine_result result = {0};
    struct metrics metrics = {0};
    struct engine_options engine = scenario_engine(s);
    double start = compare_now();
    engine.network = row->model;
    if (!carriers_choose(s, &engine)) {
        row->error = s->input.report.list.at[s->input.report.list.count - 1].text;
        return;
    }
    if (replicate_once(s, &engine, (uint64_t)s->workload.seed, &result, &metrics, &row->error)) {
        row->events = result.events;
        row->step_time = metrics.step_time;
        metrics_fini(&metrics);
        engine_result_fini(&result);
    }
    row->wall = compare_now() - start;
}

/* Of the step time to that of the base, as a fraction; 0 when the base has none. */
static double compare_difference(const struct compare *compare, const struct compare_row *row)
{
    double base = compare->rows[compare->base].step_time;
    return base > 0 ? row->step_time / base - 1 : 0;
}

static void compare_print(const struct compare *compare, const struct scenario *s, FILE *out, FILE *err)
{
    char step[COMPARE_TEXT], wall[COMPARE_TEXT];
    fprintf(out, "%s\n%-12s %12s  to %-10s %14s %12s\n", s->workload.name, "level",
            s->plan.training ? "step time" : "latency", compare->rows[compare->base].model->name, "events",
            "wall time");
    for (uint32_t i = 0; i < compare->count; i++) {
        const struct compare_row *row = &compare->rows[i];
        if (row->error) {
            fprintf(out, "%-12s %12s\n", row->model->name, "failed");
            fprintf(err, "error: %s: %s\n", row->model->name, row->error);
            continue;
        }
        fprintf(out, "%-12s %12s  %+10.3f %% %15llu %12s\n", row->model->name,
                unit_format(row->step_time, UNIT_SECONDS, step, COMPARE_TEXT),
                100 * compare_difference(compare, row), (unsigned long long)row->events,
                unit_format(row->wall, UNIT_SECONDS, wall, COMPARE_TEXT));
    }
}

static void compare_json(const struct compare *compare, FILE *out)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < compare->count; i++) {
        const struct compare_row *row = &compare->rows[i];
        json_t *entry = row->error
                            ? json_pack("{s:s, s:s}", "level", row->model->name, "error", row->error)
                            : json_pack("{s:s, s:f, s:f, s:I, s:f}", "level", row->model->name, "step_time_s",
                                        row->step_time, "difference", compare_difference(compare, row),
                                        "events", (json_int_t)row->events, "wall_s", row->wall);
        json_array_append_new(rows, entry);
    }
    json_dumpf(rows, out, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    fputc('\n', out);
    json_decref(rows);
}

enum partita_status partita_compare_levels(const struct partita_options *options, const char *levels,
                                           FILE *out, FILE *err)
{
    struct scenario s;
    struct scenario_options wanted = wanted_scenario(options);
    struct compare compare = {.count = 0};
    bool good = scenario_load(&s, &wanted);
    report_print(&s.input.report, err);
    good = compare_read(&compare, levels, &s.arena, err) && good;
    enum partita_status status = good ? PARTITA_OK : PARTITA_BAD_INPUT;
    for (uint32_t i = 0; good && i < compare.count; i++) {
        compare_run(&s, &compare.rows[i]);
        if (compare.rows[i].error)
            status = PARTITA_FAILED;
    }
    if (good && options->json)
        compare_json(&compare, out);
    else if (good)
        compare_print(&compare, &s, out, err);
    scenario_fini(&s);
    return status;
}
