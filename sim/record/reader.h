/* Reader: questions to a results database, for the rooms that draw and report. Hides SQLite. Reading never
 * changes a result; opening rolls back what a killed run left half-written. */
#ifndef PARTITA_RECORD_READER_H
#define PARTITA_RECORD_READER_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

struct reader; /* opaque */

/* Rows of one query, one at a time. */
struct reader_rows {
    void *statement; /* owned; NULL when there was an error */
    struct reader *reader;
    int columns;
};

/* NULL with *error when the file is missing, no results database, or of another schema version. */
struct reader *reader_open(const char *path, struct arena *arena, const char **error);
void reader_close(struct reader *reader);

/* The run asked for, or the latest finished one when `run` <= 0. 0 with *error when there is none. */
int64_t reader_run(struct reader *reader, int64_t run, const char **error);

/* Starts a query; its parameters ?1 and ?2 become `run` and `other`. An error shows in reader_done(). */
struct reader_rows reader_query(struct reader *reader, const char *sql, int64_t run, int64_t other);
/* Moves to the next row; false at the end or after an error. */
bool reader_next(struct reader_rows *rows);
/* Ends the query at any time. False with *error when something had gone wrong. */
bool reader_done(struct reader_rows *rows, const char **error);

/* Columns of the row that the query is on, from 0. Texts live until the next move; a NULL is 0 or "". */
int64_t reader_int(const struct reader_rows *rows, int column);
double reader_real(const struct reader_rows *rows, int column);
const char *reader_text(const struct reader_rows *rows, int column);
const char *reader_column(const struct reader_rows *rows, int column); /* its name */
enum reader_type { READER_NULL, READER_INT, READER_REAL, READER_TEXT };
enum reader_type reader_type(const struct reader_rows *rows, int column);

/* The first column of the first row; `otherwise` when there is none or it is NULL. */
double reader_value(struct reader *reader, const char *sql, int64_t run, double otherwise);
/* The same as a text in the reader's arena. */
const char *reader_string(struct reader *reader, const char *sql, int64_t run, const char *otherwise);

#endif
