/* Memory: how many bytes a device holds over time: what its stage holds throughout (parameters, gradients,
 * optimizer) and what operations take when they start and give back when they end. For the first rank of each
 * program; the others are like it. One row per change; beyond MEMORY_ROWS changes those within one
 * MEMORY_ROWS-th of the window become one row with the largest value, so peaks stay. */
#include "record/rows.h"

#include <stdlib.h>

enum { MEMORY_ROWS = 4096 };

struct memory_change {
    double time, bytes;
    bool takes; /* at equal times memory is given back first */
    uint32_t slot;
};
struct memory_list {
    struct memory_change *at;
    uint32_t count, room;
};

static int memory_order(const void *left, const void *right)
{
    const struct memory_change *a = left, *b = right;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    if (a->takes != b->takes)
        return a->takes ? 1 : -1;
    return a->slot < b->slot ? -1 : a->slot > b->slot;
}

/* All changes of a rank, of every step, by time. */
static void memory_changes(const struct rows *rows, uint32_t rank, struct memory_list *list)
{
    const struct program *program = &rows->job->programs[rows->job->ranks[rank].program];
    const struct engine_record *records = &rows->result->records[rows->result->first_record[rank]];
    list->count = 0;
    for (uint32_t slot = 0; slot < program->op_count; slot++) {
        const struct op *op = &program->ops[slot];
        bool instant = records[slot].end <= records[slot].start; /* cannot give back before it takes */
        double takes = op->allocates - (instant ? op->frees : 0);
        if (takes != 0)
            VECTOR_PUSH(list, ((struct memory_change){records[slot].start, takes, true, slot}));
        if (op->frees != 0 && !instant)
            VECTOR_PUSH(list, ((struct memory_change){records[slot].end, -op->frees, false, slot}));
    }
    if (list->count)
        qsort(list->at, list->count, sizeof *list->at, memory_order);
}

static bool memory_member(const struct plan_stage *stage, uint32_t rank)
{
    for (uint32_t i = 0; stage->ranks && i < stage->devices.count; i++)
        if (stage->ranks[i] == rank)
            return true;
    return false;
}

/* Of the first stage that the rank works on, by its fullest device: it counts all stages of that device. */
static double memory_static(const struct rows *rows, uint32_t rank)
{
    for (uint32_t i = 0; i < rows->plan->stages.count; i++) {
        const struct plan_memory *memory = &rows->plan->stages.at[i].memory;
        if (memory_member(&rows->plan->stages.at[i], rank))
            return memory->parameters + memory->gradients + memory->optimizer;
    }
    return 0;
}

static bool memory_rank(const struct rows *rows, sqlite3_stmt *statement, uint32_t rank,
                        const struct memory_list *list)
{
    double begin = rows->metrics->window_start, bytes = memory_static(rows, rank);
    double merge = list->count > MEMORY_ROWS ? rows->metrics->window / MEMORY_ROWS : 0;
    uint32_t i = 0;
    for (; i < list->count && list->at[i].time <= begin; i++)
        bytes += list->at[i].bytes;
    double written = bytes;
    bool ok = rows_add(statement, "iurr", rows->run, rank, 0.0, bytes);
    while (ok && i < list->count) {
        double time = list->at[i].time, until = time + merge, largest = -1;
        while (i < list->count && list->at[i].time <= until) {
            double instant = list->at[i].time;
            for (; i < list->count && list->at[i].time == instant; i++)
                bytes += list->at[i].bytes;
            largest = bytes > largest ? bytes : largest;
        }
        if (largest != written)
            ok = rows_add(statement, "iurr", rows->run, rank, time - begin, largest);
        written = largest;
    }
    return ok;
}

static bool memory_write(struct rows *rows)
{
    const struct job *job = rows->job;
    bool *done = ARENA_ARRAY(rows->arena, bool, job->program_count);
    struct memory_list list = {0};
    sqlite3_stmt *statement = rows_insert(rows, "memory", 4);
    bool ok = statement;
    for (uint32_t rank = 0; ok && rank < job->rank_count; rank++) {
        if (done[job->ranks[rank].program])
            continue;
        done[job->ranks[rank].program] = true;
        memory_changes(rows, rank, &list);
        ok = memory_rank(rows, statement, rank, &list);
    }
    VECTOR_FREE(&list);
    return sqlite3_finalize(statement) == SQLITE_OK && ok;
}

const struct rows_writer rows_memory = {.name = "memory", .write = memory_write};
