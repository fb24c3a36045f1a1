#include "record/rows.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

const struct rows_writer *const rows_writers[] = {&rows_places, &rows_timeline, &rows_traffic, &rows_memory,
                                                  &rows_totals, &rows_tokens,   &rows_account, NULL};

bool rows_open(struct rows *rows)
{
    rows->texts = ARENA_ARRAY(rows->arena, int64_t, rows->job->names->list.count);
    return sqlite3_prepare_v2(rows->db, "INSERT OR IGNORE INTO text (text) VALUES (?)", -1, &rows->add_text,
                              NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(rows->db, "SELECT id FROM text WHERE text = ?", -1, &rows->find_text, NULL) ==
               SQLITE_OK;
}

void rows_close(struct rows *rows)
{
    sqlite3_finalize(rows->add_text);
    sqlite3_finalize(rows->find_text);
    rows->add_text = rows->find_text = NULL;
}

sqlite3_stmt *rows_insert_several(const struct rows *rows, const char *table, int columns, int count)
{
    char sql[2048];
    int length = snprintf(sql, sizeof sql, "INSERT INTO %s VALUES ", table);
    assert(length + count * (2 * columns + 2) < (int)sizeof sql);
    for (int i = 0; i < count * columns; i++)
        length += snprintf(sql + length, sizeof sql - (size_t)length, "%s?%s",
                           i % columns ? ","
                           : i         ? ",("
                                       : "(",
                           i % columns == columns - 1 ? ")" : "");
    sqlite3_stmt *statement = NULL;
    sqlite3_prepare_v3(rows->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
    return statement;
}

sqlite3_stmt *rows_insert(const struct rows *rows, const char *table, int columns)
{
    return rows_insert_several(rows, table, columns, 1);
}

static void rows_bind_index(sqlite3_stmt *statement, int column, uint32_t index)
{
    if (index == PROGRAM_NONE)
        sqlite3_bind_null(statement, column);
    else
        sqlite3_bind_int64(statement, column, index);
}

bool rows_add(sqlite3_stmt *statement, const char *types, ...)
{
    va_list values;
    va_start(values, types);
    for (int column = 1; types[column - 1]; column++)
        switch (types[column - 1]) {
        case 'i':
            sqlite3_bind_int64(statement, column, va_arg(values, int64_t));
            break;
        case 'u':
            rows_bind_index(statement, column, va_arg(values, uint32_t));
            break;
        case 'r':
            sqlite3_bind_double(statement, column, va_arg(values, double));
            break;
        default: /* not copied: the row is inserted before this returns */
            assert(types[column - 1] == 't');
            sqlite3_bind_text(statement, column, va_arg(values, const char *), -1, SQLITE_STATIC);
        }
    va_end(values);
    bool ok = sqlite3_step(statement) == SQLITE_DONE;
    return sqlite3_reset(statement) == SQLITE_OK && ok;
}

int64_t rows_text(struct rows *rows, uint32_t name)
{
    if (rows->texts[name])
        return rows->texts[name];
    const char *text = names_text(rows->job->names, name);
    if (!rows_add(rows->add_text, "t", text))
        return 0;
    sqlite3_bind_text(rows->find_text, 1, text, -1, SQLITE_STATIC);
    if (sqlite3_step(rows->find_text) == SQLITE_ROW)
        rows->texts[name] = sqlite3_column_int64(rows->find_text, 0);
    sqlite3_reset(rows->find_text);
    return rows->texts[name];
}

const char *rows_name(const struct rows *rows, uint32_t name)
{
    return names_text(rows->job->names, name);
}
