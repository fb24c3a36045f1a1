/* Timeline: one row per operation of the recorded step, by rank and slot, which is the table's key: every
 * insertion appends. BATCH rows go into one statement: its cursor stays where the last row went, so the next
 * needs no search from the root. A row costs about a microsecond. */
#include "record/rows.h"

enum {
    COLUMN_RUN = 1,
    COLUMN_RANK,
    COLUMN_SLOT,
    COLUMN_STREAM,
    COLUMN_KIND,
    COLUMN_PASS,
    COLUMN_LABEL,
    COLUMN_MICRO_BATCH,
    COLUMN_GROUP,
    COLUMN_MATCH,
    COLUMN_READY,
    COLUMN_START,
    COLUMN_END,
    COLUMN_FLOPS,
    COLUMN_BYTES,
    COLUMN_CAUSE,
    COLUMN_CAUSE_RANK,
    COLUMN_CAUSE_SLOT,
    COLUMNS = COLUMN_CAUSE_SLOT,
    BATCH = 32
};

struct batch {
    struct rows *rows;
    sqlite3_stmt *statement; /* for BATCH rows */
    uint32_t rank[BATCH], slot[BATCH];
    int count;
};

/* What an operation is: the same in every run of its program. */
static void timeline_bind_op(sqlite3_stmt *statement, int first, const struct rows *rows,
                             const struct rank *rank, const struct op *op)
{
    sqlite3_bind_int(statement, first + COLUMN_STREAM, op->stream);
    sqlite3_bind_int(statement, first + COLUMN_KIND, op->kind);
    sqlite3_bind_int(statement, first + COLUMN_PASS, op->pass);
    sqlite3_bind_int64(statement, first + COLUMN_LABEL, rows->texts[op->label]);
    sqlite3_bind_int64(statement, first + COLUMN_MICRO_BATCH, op->micro_batch);
    if (op->kind == OP_COMPUTE) {
        sqlite3_bind_null(statement, first + COLUMN_GROUP);
        sqlite3_bind_null(statement, first + COLUMN_MATCH);
        sqlite3_bind_double(statement, first + COLUMN_FLOPS, op->flops);
        sqlite3_bind_double(statement, first + COLUMN_BYTES, op->memory_bytes);
    } else {
        sqlite3_bind_int64(statement, first + COLUMN_GROUP,
                           rows->job->group_table[rank->first_group + op->group]);
        sqlite3_bind_int64(statement, first + COLUMN_MATCH, op->match);
        sqlite3_bind_null(statement, first + COLUMN_FLOPS);
        sqlite3_bind_double(statement, first + COLUMN_BYTES, op->bytes);
    }
}

/* When it happened, relative to the window's start, and why then. */
static void timeline_bind_record(sqlite3_stmt *statement, int first, const struct engine_record *record,
                                 double begin, uint32_t rank)
{
    sqlite3_bind_double(statement, first + COLUMN_READY, record->ready - begin);
    sqlite3_bind_double(statement, first + COLUMN_START, record->start - begin);
    sqlite3_bind_double(statement, first + COLUMN_END, record->end - begin);
    sqlite3_bind_int(statement, first + COLUMN_CAUSE, record->cause);
    if (record->cause == CAUSE_BEGIN) {
        sqlite3_bind_null(statement, first + COLUMN_CAUSE_RANK);
        sqlite3_bind_null(statement, first + COLUMN_CAUSE_SLOT);
    } else {
        sqlite3_bind_int64(statement, first + COLUMN_CAUSE_RANK,
                           record->cause == CAUSE_PEER ? record->cause_rank : rank);
        sqlite3_bind_int64(statement, first + COLUMN_CAUSE_SLOT, record->cause_slot);
    }
}

/* Inserts the rows that have gathered with a statement for as many. */
static bool timeline_flush(struct batch *batch, sqlite3_stmt *statement)
{
    struct rows *rows = batch->rows;
    const struct engine_result *result = rows->result;
    for (int i = 0; statement && i < batch->count; i++) {
        uint32_t rank = batch->rank[i], slot = batch->slot[i];
        int first = i * COLUMNS;
        sqlite3_bind_int64(statement, first + COLUMN_RUN, rows->run);
        sqlite3_bind_int64(statement, first + COLUMN_RANK, rank);
        sqlite3_bind_int64(statement, first + COLUMN_SLOT, slot);
        timeline_bind_op(statement, first, rows, &rows->job->ranks[rank],
                         &rows->job->programs[rows->job->ranks[rank].program].ops[slot]);
        timeline_bind_record(statement, first, &result->records[result->first_record[rank] + slot],
                             rows->metrics->window_start, rank);
    }
    batch->count = 0;
    bool ok = statement && sqlite3_step(statement) == SQLITE_DONE;
    return sqlite3_reset(statement) == SQLITE_OK && ok;
}

static bool timeline_rank(struct batch *batch, uint32_t rank)
{
    struct rows *rows = batch->rows;
    const struct program *program = &rows->job->programs[rows->job->ranks[rank].program];
    for (uint32_t slot = 0; slot < program->op_count; slot++) {
        if (!rows_recorded(rows, &program->ops[slot]))
            continue;
        if (!rows_text(rows, program->ops[slot].label))
            return false;
        batch->rank[batch->count] = rank;
        batch->slot[batch->count++] = slot;
        if (batch->count == BATCH && !timeline_flush(batch, batch->statement))
            return false;
    }
    return true;
}

static bool timeline_write(struct rows *rows)
{
    struct batch batch = {.rows = rows, .statement = rows_insert_several(rows, "operation", COLUMNS, BATCH)};
    bool ok = batch.statement;
    for (uint32_t rank = 0; ok && rank < rows->job->rank_count; rank++)
        ok = timeline_rank(&batch, rank);
    bool closed = sqlite3_finalize(batch.statement) == SQLITE_OK;
    if (ok && closed && batch.count) {
        sqlite3_stmt *rest = rows_insert_several(rows, "operation", COLUMNS, batch.count);
        ok = timeline_flush(&batch, rest);
        closed = sqlite3_finalize(rest) == SQLITE_OK;
    }
    return closed && ok;
}

const struct rows_writer rows_timeline = {.name = "operation", .write = timeline_write};
