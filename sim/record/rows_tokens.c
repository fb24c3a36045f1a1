/* Tokens: when each token of a step that generates text was there. */
#include "record/rows.h"

static bool tokens_write(struct rows *rows)
{
    const struct token_times *times = &rows->metrics->tokens;
    sqlite3_stmt *statement = rows_insert(rows, "token", 6);
    bool ok = statement;
    for (uint32_t t = 0; ok && t < times->at.count; t++) {
        const struct token_time *time = &times->at.at[t];
        double before = t ? times->at.at[t - 1].mean : 0;
        ok = rows_add(statement, "iurrrr", rows->run, t, time->first, time->mean, time->last,
                      time->mean - before);
    }
    return sqlite3_finalize(statement) == SQLITE_OK && ok;
}

const struct rows_writer rows_tokens = {.name = "token", .write = tokens_write};
