/* Account: what a discipline says of itself: numbers in its order, and histograms. */
#include "record/rows.h"

static const char *const account_units[UNIT_COUNT] = {
    [UNIT_NONE] = "1",    [UNIT_BYTES] = "B",      [UNIT_BYTES_PER_SECOND] = "B/s",
    [UNIT_SECONDS] = "s", [UNIT_FLOPS] = "FLOP/s", [UNIT_FLOP] = "FLOP",
    [UNIT_WATTS] = "W",   [UNIT_JOULES] = "J",     [UNIT_PER_SECOND] = "1/s",
};

static bool account_numbers(struct rows *rows)
{
    sqlite3_stmt *statement = rows_insert(rows, "account", 5);
    bool ok = statement;
    for (uint32_t i = 0; ok && i < rows->account->numbers.count; i++) {
        const struct account_number *number = &rows->account->numbers.at[i];
        ok = rows_add(statement, "iutrt", rows->run, i, number->name, number->value,
                      account_units[number->unit]);
    }
    return sqlite3_finalize(statement) == SQLITE_OK && ok;
}

static bool account_bins(struct rows *rows)
{
    sqlite3_stmt *statement = rows_insert(rows, "histogram", 4);
    bool ok = statement;
    for (uint32_t i = 0; ok && i < rows->account->bins.count; i++) {
        const struct account_bin *bin = &rows->account->bins.at[i];
        ok = rows_add(statement, "itii", rows->run, bin->name, (int64_t)bin->value, (int64_t)bin->count);
    }
    return sqlite3_finalize(statement) == SQLITE_OK && ok;
}

static bool account_write(struct rows *rows)
{
    return !rows->account || (account_numbers(rows) && account_bins(rows));
}

const struct rows_writer rows_account = {.name = "account", .write = account_write};
