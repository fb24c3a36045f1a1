#include "record/reader.h"

#include "record/schema.h"

#include <sys/stat.h>

enum { READER_WAIT = 60000 }; /* milliseconds to wait for a writer */

struct reader {
    sqlite3 *db;
    struct arena *arena; /* the caller's */
    const char *path;
};

struct reader *reader_open(const char *path, struct arena *arena, const char **error)
{
    struct stat about;
    if (stat(path, &about) != 0) {
        *error = arena_format(arena, "%s: no such results database", path);
        return NULL;
    }
    struct reader *reader = ARENA_NEW(arena, struct reader);
    *reader = (struct reader){.arena = arena, .path = arena_text(arena, path)};
    /* For writing where that is allowed: the journal of a killed run can only be rolled back then. */
    int code = sqlite3_open_v2(path, &reader->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        sqlite3_close(reader->db);
        code = sqlite3_open_v2(path, &reader->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    }
    if (code != SQLITE_OK)
        *error = schema_error(reader->db, path, "open it", arena);
    sqlite3_busy_timeout(reader->db, READER_WAIT);
    if (code == SQLITE_OK && schema_open(reader->db, path, false, arena, error) &&
        sqlite3_exec(reader->db, "PRAGMA query_only = ON", NULL, NULL, NULL) == SQLITE_OK)
        return reader;
    sqlite3_close(reader->db);
    return NULL;
}

void reader_close(struct reader *reader)
{
    if (reader)
        sqlite3_close(reader->db);
}

int64_t reader_run(struct reader *reader, int64_t run, const char **error)
{
    struct reader_rows rows =
        run > 0
            ? reader_query(reader, "SELECT id, status, reason FROM run WHERE id = ?1", run, 0)
            : reader_query(reader, "SELECT run, 'finished', NULL FROM latest WHERE run IS NOT NULL", 0, 0);
    int64_t found = 0;
    if (!reader_next(&rows))
        *error = run > 0
                     ? arena_format(reader->arena, "%s: there is no run %lld", reader->path, (long long)run)
                     : arena_format(reader->arena, "%s: no run has finished", reader->path);
    else if (reader_text(&rows, 1)[0] != 'f' || reader_text(&rows, 1)[1] != 'i')
        *error = arena_format(reader->arena, "%s: run %lld has not finished: it is '%s'%s%s", reader->path,
                              (long long)run, reader_text(&rows, 1), *reader_text(&rows, 2) ? ": " : "",
                              reader_text(&rows, 2));
    else
        found = reader_int(&rows, 0);
    return reader_done(&rows, error) ? found : 0;
}

struct reader_rows reader_query(struct reader *reader, const char *sql, int64_t run, int64_t other)
{
    sqlite3_stmt *statement = NULL;
    struct reader_rows rows = {.reader = reader};
    if (sqlite3_prepare_v2(reader->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return rows;
    int parameters = sqlite3_bind_parameter_count(statement);
    if (parameters >= 1)
        sqlite3_bind_int64(statement, 1, run);
    if (parameters >= 2)
        sqlite3_bind_int64(statement, 2, other);
    rows.statement = statement;
    rows.columns = sqlite3_column_count(statement);
    return rows;
}

bool reader_next(struct reader_rows *rows)
{
    return rows->statement && sqlite3_step(rows->statement) == SQLITE_ROW;
}

bool reader_done(struct reader_rows *rows, const char **error)
{
    bool ok = rows->statement && sqlite3_finalize(rows->statement) == SQLITE_OK;
    if (!ok)
        *error = schema_error(rows->reader->db, rows->reader->path, "read it", rows->reader->arena);
    rows->statement = NULL;
    return ok;
}

int64_t reader_int(const struct reader_rows *rows, int column)
{
    return sqlite3_column_int64(rows->statement, column);
}

double reader_real(const struct reader_rows *rows, int column)
{
    return sqlite3_column_double(rows->statement, column);
}

const char *reader_text(const struct reader_rows *rows, int column)
{
    const char *text = (const char *)sqlite3_column_text(rows->statement, column);
    return text ? text : "";
}

const char *reader_column(const struct reader_rows *rows, int column)
{
    return sqlite3_column_name(rows->statement, column);
}

enum reader_type reader_type(const struct reader_rows *rows, int column)
{
    switch (sqlite3_column_type(rows->statement, column)) {
    case SQLITE_NULL:
        return READER_NULL;
    case SQLITE_INTEGER:
        return READER_INT;
    case SQLITE_FLOAT:
        return READER_REAL;
    default:
        return READER_TEXT;
    }
}

double reader_value(struct reader *reader, const char *sql, int64_t run, double otherwise)
{
    struct reader_rows rows = reader_query(reader, sql, run, 0);
    const char *error;
    if (reader_next(&rows) && reader_type(&rows, 0) != READER_NULL)
        otherwise = reader_real(&rows, 0);
    reader_done(&rows, &error);
    return otherwise;
}

const char *reader_string(struct reader *reader, const char *sql, int64_t run, const char *otherwise)
{
    struct reader_rows rows = reader_query(reader, sql, run, 0);
    const char *error;
    if (reader_next(&rows) && reader_type(&rows, 0) != READER_NULL)
        otherwise = arena_text(reader->arena, reader_text(&rows, 0));
    reader_done(&rows, &error);
    return otherwise;
}
