/* Places: devices, stages with their memory, ranks with their breakdown, streams and groups. One row each, of
 * the devices that have a rank only. */
#include "record/rows.h"

#include "cost/cost.h"
#include "plan/generate.h"

static bool places_devices(struct rows *rows)
{
    const struct platform *platform = rows->plan->platform;
    sqlite3_stmt *statement = rows_insert(rows, "device", 8);
    bool *used = ARENA_ARRAY(rows->arena, bool, platform->devices.count);
    for (uint32_t i = 0; i < rows->job->rank_count; i++)
        used[rows->job->ranks[i].device] = true;
    bool ok = statement;
    for (uint32_t i = 0; ok && i < platform->devices.count; i++) {
        const struct device *device = &platform->devices.at[i];
        const struct device_type *type = &platform->device_types.at[device->type];
        if (used[i])
            ok = rows_add(statement, "iutttrrr", rows->run, i, rows_name(rows, device->name),
                          rows_name(rows, type->name), rows_name(rows, type->kind), type->memory,
                          cost_peak(type, rows->plan->precision) * device->speed, device->speed);
    }
    return sqlite3_finalize(statement) == SQLITE_OK && ok;
}

/* "data=2 tensor=8" */
static const char *places_axes(struct rows *rows, const struct plan_stage *stage)
{
    const char *text = "";
    for (uint32_t i = 0; i < stage->axis_count; i++)
        text = arena_format(rows->arena, "%s%s%s=%u", text, i ? " " : "",
                            rows_name(rows, stage->axes[i].name), stage->axes[i].size);
    return text;
}

static bool places_stages(struct rows *rows)
{
    const struct plan *plan = rows->plan;
    sqlite3_stmt *statement = rows_insert(rows, "stage", 10);
    bool ok = statement;
    for (uint32_t i = 0; ok && i < generate_prompt_stages(plan); i++) {
        const struct plan_stage *stage = &plan->stages.at[i];
        const char *first = "", *last = "";
        if (stage->unit_count) {
            const struct model_unit *units = plan->model->units.at + stage->first_unit;
            first = rows_name(rows, units[0].name);
            last = rows_name(rows, units[stage->unit_count - 1].name);
        }
        ok = rows_add(statement, "iuttuuutur", rows->run, i, first, last, stage->unit_count,
                      stage->devices.count, stage->ranks ? stage->ranks[0] : PROGRAM_NONE,
                      places_axes(rows, stage), stage->fullest_rank, stage->memory.capacity);
    }
    return sqlite3_finalize(statement) == SQLITE_OK && ok;
}

/* In the order of the key, so by the categories' names. */
static bool places_stage_memory(struct rows *rows)
{
    static const uint8_t order[MEMORY_CATEGORY_COUNT] = {
        MEMORY_ACTIVATIONS, MEMORY_CACHE,     MEMORY_COMMUNICATION, MEMORY_GATHERED,
        MEMORY_GRADIENTS,   MEMORY_OPTIMIZER, MEMORY_PARAMETERS,    MEMORY_TEMPORARIES};
    sqlite3_stmt *statement = rows_insert(rows, "stage_memory", 4);
    sqlite3_stmt *largest = rows_insert(rows, "stage_holding", 7);
    bool ok = statement && largest;
    for (uint32_t i = 0; ok && i < generate_prompt_stages(rows->plan); i++) {
        const struct plan_memory *memory = &rows->plan->stages.at[i].memory;
        for (uint32_t k = 0; ok && k < MEMORY_CATEGORY_COUNT; k++)
            ok = rows_add(statement, "iutr", rows->run, i, program_memory_names[order[k]],
                          memory->of[order[k]]);
        for (uint32_t k = 0; ok && k < memory->largest_count; k++)
            ok = rows_add(largest, "iuuttru", rows->run, i, k, rows_name(rows, memory->largest[k].what),
                          program_memory_names[memory->largest[k].category], memory->largest[k].bytes,
                          memory->largest[k].count);
    }
    ok = sqlite3_finalize(largest) == SQLITE_OK && ok;
    return sqlite3_finalize(statement) == SQLITE_OK && ok;
}

static bool places_ranks(struct rows *rows)
{
    sqlite3_stmt *statement = rows_insert(rows, "rank", 14);
    sqlite3_stmt *shares = rows_insert(rows, "rank_exposed", 5);
    double begin = rows->metrics->window_start;
    bool ok = statement && shares;
    for (uint32_t i = 0; ok && i < rows->job->rank_count; i++) {
        const struct rank *rank = &rows->job->ranks[i];
        const struct metrics_rank *metrics = &rows->metrics->ranks.at[i];
        double seconds = 0, bytes = 0;
        for (uint32_t j = 0; ok && j < metrics->exposed.count; j++) {
            const struct metrics_share *share = &metrics->exposed.at[j];
            seconds += share->seconds;
            bytes += share->bytes;
            ok = rows_add(shares, "iutrr", rows->run, i, rows_name(rows, share->group), share->seconds,
                          share->bytes);
        }
        ok = ok &&
             rows_add(statement, "iuuuurrrrrrrrr", rows->run, i, rank->device, rank->stage, rank->program,
                      metrics->first_start - begin, metrics->last_end - begin, metrics->compute, seconds,
                      metrics->bubble, metrics->idle, metrics->flops, metrics->energy, bytes);
    }
    bool closed = sqlite3_finalize(shares) == SQLITE_OK;
    return sqlite3_finalize(statement) == SQLITE_OK && closed && ok;
}

static bool places_streams(struct rows *rows)
{
    sqlite3_stmt *statement = rows_insert(rows, "stream", 5);
    bool ok = statement;
    for (uint32_t i = 0; ok && i < rows->job->rank_count; i++) {
        const struct program *program = &rows->job->programs[rows->job->ranks[i].program];
        for (uint32_t j = 0; ok && j < program->stream_count; j++)
            ok = rows_add(statement, "iuutu", rows->run, i, j, rows_name(rows, program->streams[j].name),
                          (uint32_t)program->streams[j].compute);
    }
    return sqlite3_finalize(statement) == SQLITE_OK && ok;
}

static bool places_groups(struct rows *rows)
{
    sqlite3_stmt *groups = rows_insert(rows, "communication_group", 4);
    sqlite3_stmt *members = rows_insert(rows, "member", 4);
    bool ok = groups && members;
    for (uint32_t i = 0; ok && i < rows->job->group_count; i++) {
        const struct group *group = &rows->job->groups[i];
        ok = rows_add(groups, "iutu", rows->run, i, rows_name(rows, group->name), group->member_count);
        for (uint32_t j = 0; ok && j < group->member_count; j++)
            ok = rows_add(members, "iuuu", rows->run, i, j, rows->job->members[group->first_member + j]);
    }
    bool closed = sqlite3_finalize(members) == SQLITE_OK;
    return sqlite3_finalize(groups) == SQLITE_OK && closed && ok;
}

static bool places_write(struct rows *rows)
{
    return places_devices(rows) && places_stages(rows) && places_stage_memory(rows) && places_ranks(rows) &&
           places_streams(rows) && places_groups(rows);
}

const struct rows_writer rows_places = {.name = "device", .write = places_write};
