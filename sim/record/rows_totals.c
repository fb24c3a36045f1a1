/* Totals: the run's metrics under their stable names, and the critical path. */
#include "record/rows.h"
#include "record/tally.h"

struct total {
    const char *name, *unit;
    double value;
};

static bool totals_plain(const struct rows *rows, sqlite3_stmt *statement)
{
    const struct metrics *metrics = rows->metrics;
    double exposed = 0;
    for (uint32_t i = 0; i < metrics->exposed.count; i++)
        exposed += metrics->exposed.at[i].seconds;
    const struct total totals[] = {
        {"step_time", "s", metrics->step_time},
        {"window", "s", metrics->window},
        {"makespan", "s", rows->result->makespan},
        {"samples_per_s", "1/s", metrics->samples_per_s},
        {"tokens_per_s", "1/s", metrics->tokens_per_s},
        {"model_flops", "FLOP", rows->plan->model_flops},
        {"flops_per_device", "FLOP/s", metrics->flops_per_device},
        {"peak_flops", "FLOP/s", metrics->peak_flops},
        {"mfu", "1", metrics->mfu},
        {"compute", "s", metrics->compute},
        {"exposed_communication", "s", exposed},
        {"bubble", "s", metrics->bubble},
        {"idle", "s", metrics->idle},
        {"bubble_fraction", "1", metrics->bubble_fraction},
        {"bytes_sent", "B", metrics->bytes_sent},
        {"peak_memory", "B", metrics->peak_memory},
        {"energy", "J", metrics->energy},
        {"events", "1", (double)rows->result->events},
        {"time_to_first_token", "s", metrics->tokens.to_first},
        {"time_per_output_token", "s", metrics->tokens.per_token},
    };
    size_t count = sizeof totals / sizeof totals[0] - (rows->plan->tokens ? 0 : 2);
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++)
        ok = rows_add(statement, "ittrt", rows->run, totals[i].name, "", totals[i].value, totals[i].unit);
    return ok;
}

/* Those with a scope: a group's name, or a kind of time or the name of a group on the critical path. */
static bool totals_scoped(const struct rows *rows, sqlite3_stmt *statement)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < rows->metrics->exposed.count; i++) {
        const struct metrics_share *share = &rows->metrics->exposed.at[i];
        const char *group = rows_name(rows, share->group);
        ok = rows_add(statement, "ittrt", rows->run, "exposed_communication", group, share->seconds, "s") &&
             rows_add(statement, "ittrt", rows->run, "bytes_sent", group, share->bytes, "B");
    }
    for (int kind = 0; ok && kind < CRITICAL_KIND_COUNT; kind++)
        ok = rows_add(statement, "ittrt", rows->run, "critical_path", critical_kind_names[kind],
                      rows->critical->seconds[kind], "s");
    for (uint32_t i = 0; ok && i < rows->critical->groups.count; i++)
        ok = rows_add(statement, "ittrt", rows->run, "critical_communication",
                      rows_name(rows, rows->critical->groups.at[i].name),
                      rows->critical->groups.at[i].seconds, "s");
    return ok;
}

/* Which algorithm carried what: "tensor all-reduce ring" → how often. */
static bool totals_collectives(const struct rows *rows, sqlite3_stmt *statement)
{
    struct tally_list tallies;
    bool ok = true;
    tally_collectives(rows->job, rows->result, &tallies);
    for (uint32_t i = 0; ok && i < tallies.count; i++) {
        const struct tally *tally = &tallies.at[i];
        char *scope = arena_format(rows->arena, "%s %s %s", rows_name(rows, tally->group),
                                   communication_names[tally->kind], tally->algorithm->name);
        ok = rows_add(statement, "ittrt", rows->run, "collectives", scope, (double)tally->times, "1");
    }
    VECTOR_FREE(&tallies);
    return ok;
}

static bool totals_critical(struct rows *rows)
{
    sqlite3_stmt *statement = rows_insert(rows, "critical_path", 9);
    bool ok = statement;
    for (uint32_t i = 0; ok && i < rows->critical->segments.count; i++) {
        const struct critical_segment *segment = &rows->critical->segments.at[i];
        const struct program *program = &rows->job->programs[rows->job->ranks[segment->rank].program];
        int64_t label = rows_text(rows, program->ops[segment->slot].label);
        const char *group = segment->group == PROGRAM_NONE ? NULL : rows_name(rows, segment->group);
        ok = label && rows_add(statement, "iuuuittrr", rows->run, i, segment->rank, segment->slot, label,
                               critical_kind_names[segment->kind], group,
                               segment->start - rows->metrics->window_start, segment->seconds);
    }
    return sqlite3_finalize(statement) == SQLITE_OK && ok;
}

static bool totals_write(struct rows *rows)
{
    sqlite3_stmt *statement = rows_insert(rows, "metric", 5);
    bool ok = statement && totals_plain(rows, statement) && totals_scoped(rows, statement) &&
              totals_collectives(rows, statement);
    return sqlite3_finalize(statement) == SQLITE_OK && ok && totals_critical(rows);
}

const struct rows_writer rows_totals = {.name = "metric", .write = totals_write};
