/* Memory: how many bytes a device holds over time, by category: what it holds throughout (parameters,
 * gradients, optimizer) and what operations take and give back when they start and end. For the first rank of
 * each program; the others are like it. One row per instant at which it changes; beyond MEMORY_ROWS changes
 * those within one MEMORY_ROWS-th of the window become one row, at the moment with the largest sum, so peaks
 * stay. */
#include "record/held.h"
#include "record/rows.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { MEMORY_ROWS = 4096 };

/* What is held, by category. */
struct memory_state {
    double of[MEMORY_CATEGORY_COUNT], bytes;
};

static void memory_apply(struct memory_state *state, const struct memory_change *change)
{
    double *category = &state->of[change->category];
    *category += change->bytes;
    *category = fabs(*category) < 1e-3 ? 0 : *category; /* what rounding leaves of shares of bytes */
    state->bytes += change->bytes;
}

static bool memory_row(const struct rows *rows, sqlite3_stmt *statement, uint32_t rank, double time,
                       const struct memory_state *s)
{
    static_assert(MEMORY_CATEGORY_COUNT == 8, "one column per category");
    return rows_add(statement, "iurrrrrrrrrr", rows->run, rank, time, s->bytes, s->of[0], s->of[1], s->of[2],
                    s->of[3], s->of[4], s->of[5], s->of[6], s->of[7]);
}

static bool memory_rank(const struct rows *rows, sqlite3_stmt *statement, uint32_t rank,
                        const struct held_list *list)
{
    const struct program *program = &rows->job->programs[rows->job->ranks[rank].program];
    double begin = rows->metrics->window_start;
    double merge = list->count > MEMORY_ROWS ? rows->metrics->window / MEMORY_ROWS : 0;
    struct memory_state now = {.bytes = 0};
    uint32_t i = 0;
    for (uint32_t h = 0; h < program->held_count; h++)
        memory_apply(&now, &program->memory[h]);
    for (; i < list->count && list->at[i].time <= begin; i++)
        memory_apply(&now, list->at[i].change);
    struct memory_state written = now;
    bool ok = memory_row(rows, statement, rank, 0, &now);
    while (ok && i < list->count) {
        double time = list->at[i].time, until = time + merge;
        struct memory_state largest = {.bytes = -1};
        while (i < list->count && list->at[i].time <= until) {
            double instant = list->at[i].time;
            for (; i < list->count && list->at[i].time == instant; i++)
                memory_apply(&now, list->at[i].change);
            largest = now.bytes > largest.bytes ? now : largest;
        }
        if (memcmp(&largest, &written, sizeof largest) != 0)
            ok = memory_row(rows, statement, rank, time - begin, &largest);
        written = largest;
    }
    return ok;
}

static bool memory_write(struct rows *rows)
{
    const struct job *job = rows->job;
    bool *done = ARENA_ARRAY(rows->arena, bool, job->program_count);
    struct held_list list = {0};
    sqlite3_stmt *statement = rows_insert(rows, "memory", 12);
    bool ok = statement;
    for (uint32_t rank = 0; ok && rank < job->rank_count; rank++) {
        if (done[job->ranks[rank].program])
            continue;
        done[job->ranks[rank].program] = true;
        held_changes(job, rows->result, rank, &list);
        ok = memory_rank(rows, statement, rank, &list);
    }
    VECTOR_FREE(&list);
    return sqlite3_finalize(statement) == SQLITE_OK && ok;
}

const struct rows_writer rows_memory = {.name = "memory", .write = memory_write};
