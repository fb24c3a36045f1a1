/* Rows: what the writers of the tables share: the open database, the run and its inputs. Each writer is one
 * file rows_*.c with one entry in rows_writers; all run inside the recorder's transaction. After a failure
 * SQLite's own error state says what happened, so writers only return false. */
#ifndef PARTITA_RECORD_ROWS_H
#define PARTITA_RECORD_ROWS_H

#include <sqlite3.h>

#include "base/account.h"
#include "record/critical.h"
#include "record/metrics.h"

struct rows {
    sqlite3 *db;
    int64_t run;
    struct arena *arena; /* scratch, as long as the recorder */
    const struct plan *plan;
    const struct job *job;
    const struct engine_result *result;
    const struct metrics *metrics;
    const struct critical *critical;
    const struct account *account; /* NULL: there is none */
    int64_t *texts;                /* interned name -> text.id, 0 while not written */
    sqlite3_stmt *add_text, *find_text;
};

struct rows_writer {
    const char *name; /* the table that it fills first */
    bool (*write)(struct rows *rows);
};
extern const struct rows_writer rows_places, rows_timeline, rows_traffic, rows_memory, rows_totals,
    rows_tokens, rows_account;
/* In the order in which they run. NULL-terminated. */
extern const struct rows_writer *const rows_writers[];

/* Prepares the statements that the writers share; the other fields are set. False on failure. */
bool rows_open(struct rows *rows);
void rows_close(struct rows *rows);

/* "INSERT INTO table VALUES (?, …)" with so many columns, kept for many rows; NULL on failure. The caller
 * finalizes it. */
sqlite3_stmt *rows_insert(const struct rows *rows, const char *table, int columns);
/* The same for several rows at once: row r's parameters follow those of row r - 1. */
sqlite3_stmt *rows_insert_several(const struct rows *rows, const char *table, int columns, int count);

/* Binds one value per letter of `types` (i int64_t, u uint32_t, r double, t const char *), from the first
 * column on, and inserts the row. PROGRAM_NONE and a NULL text become NULL. */
bool rows_add(sqlite3_stmt *statement, const char *types, ...);

/* The text's row, written at its first use; 0 on failure. */
int64_t rows_text(struct rows *rows, uint32_t name);
/* The text of an interned name. */
const char *rows_name(const struct rows *rows, uint32_t name);

/* Whether an operation belongs to the recorded step. */
static inline bool rows_recorded(const struct rows *rows, const struct op *op)
{
    return op->step == rows->job->steps - 1;
}

#endif
