/* Timeline: one row per operation of the recorded step, by rank and slot, which is the table's key: every
 * insertion appends. Values that no longer change (run, rank) stay bound from row to row; a row costs about a
 * microsecond. */
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
    COLUMNS = COLUMN_CAUSE_SLOT
};

/* What an operation is: the same in every run of its program. */
static void timeline_bind_op(sqlite3_stmt *statement, const struct rows *rows, const struct rank *rank,
                             const struct op *op)
{
    sqlite3_bind_int(statement, COLUMN_STREAM, op->stream);
    sqlite3_bind_int(statement, COLUMN_KIND, op->kind);
    sqlite3_bind_int(statement, COLUMN_PASS, op->pass);
    sqlite3_bind_int64(statement, COLUMN_LABEL, rows->texts[op->label]);
    sqlite3_bind_int64(statement, COLUMN_MICRO_BATCH, op->micro_batch);
    if (op->kind == OP_COMPUTE) {
        sqlite3_bind_null(statement, COLUMN_GROUP);
        sqlite3_bind_null(statement, COLUMN_MATCH);
        sqlite3_bind_double(statement, COLUMN_FLOPS, op->flops);
        sqlite3_bind_double(statement, COLUMN_BYTES, op->memory_bytes);
    } else {
        sqlite3_bind_int64(statement, COLUMN_GROUP, rows->job->group_table[rank->first_group + op->group]);
        sqlite3_bind_int64(statement, COLUMN_MATCH, op->match);
        sqlite3_bind_null(statement, COLUMN_FLOPS);
        sqlite3_bind_double(statement, COLUMN_BYTES, op->bytes);
    }
}

/* When it happened, relative to the window's start, and why then. */
static void timeline_bind_record(sqlite3_stmt *statement, const struct engine_record *record, double begin,
                                 uint32_t rank)
{
    sqlite3_bind_double(statement, COLUMN_READY, record->ready - begin);
    sqlite3_bind_double(statement, COLUMN_START, record->start - begin);
    sqlite3_bind_double(statement, COLUMN_END, record->end - begin);
    sqlite3_bind_int(statement, COLUMN_CAUSE, record->cause);
    if (record->cause == CAUSE_BEGIN) {
        sqlite3_bind_null(statement, COLUMN_CAUSE_RANK);
        sqlite3_bind_null(statement, COLUMN_CAUSE_SLOT);
    } else {
        sqlite3_bind_int64(statement, COLUMN_CAUSE_RANK,
                           record->cause == CAUSE_PEER ? record->cause_rank : rank);
        sqlite3_bind_int64(statement, COLUMN_CAUSE_SLOT, record->cause_slot);
    }
}

static bool timeline_rank(struct rows *rows, sqlite3_stmt *statement, uint32_t index)
{
    const struct rank *rank = &rows->job->ranks[index];
    const struct program *program = &rows->job->programs[rank->program];
    const struct engine_record *records = &rows->result->records[rows->result->first_record[index]];
    sqlite3_bind_int64(statement, COLUMN_RANK, index);
    for (uint32_t slot = 0; slot < program->op_count; slot++) {
        const struct op *op = &program->ops[slot];
        if (!rows_recorded(rows, op))
            continue;
        if (!rows_text(rows, op->label))
            return false;
        sqlite3_bind_int64(statement, COLUMN_SLOT, slot);
        timeline_bind_op(statement, rows, rank, op);
        timeline_bind_record(statement, &records[slot], rows->metrics->window_start, index);
        if (sqlite3_step(statement) != SQLITE_DONE)
            return false;
        sqlite3_reset(statement);
    }
    return true;
}

static bool timeline_write(struct rows *rows)
{
    sqlite3_stmt *statement = rows_insert(rows, "operation", COLUMNS);
    bool ok = statement;
    if (ok)
        sqlite3_bind_int64(statement, COLUMN_RUN, rows->run);
    for (uint32_t rank = 0; ok && rank < rows->job->rank_count; rank++)
        ok = timeline_rank(rows, statement, rank);
    return sqlite3_finalize(statement) == SQLITE_OK && ok;
}

const struct rows_writer rows_timeline = {.name = "operation", .write = timeline_write};
