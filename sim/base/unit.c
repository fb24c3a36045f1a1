/* Units: one flat table of symbols, written by macros from a base symbol and its prefixes. Reading takes the
 * longest symbol that ends at a word's end; writing takes the largest listed symbol that keeps the number at
 * 1 or more. Both scan the table: a few hundred comparisons of a character or a unit, nothing while
 * simulating. */
#include "base/unit.h"

#include "base/nearest.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct unit_symbol {
    const char *text;
    enum unit unit;
    double scale; /* SI per one of this unit */
};

/* clang-format off */
#define SMALL(base, unit, scale) \
    {"n" base, unit, 1e-9 * (scale)}, {"u" base, unit, 1e-6 * (scale)}, {"\xc2\xb5" base, unit, 1e-6 * (scale)}, \
    {"\xce\xbc" base, unit, 1e-6 * (scale)}, {"m" base, unit, 1e-3 * (scale)}
#define LARGE(base, unit, scale) \
    {"K" base, unit, 1e3 * (scale)}, {"k" base, unit, 1e3 * (scale)}, {"M" base, unit, 1e6 * (scale)}, \
    {"G" base, unit, 1e9 * (scale)}, {"T" base, unit, 1e12 * (scale)}, {"P" base, unit, 1e15 * (scale)}, \
    {"E" base, unit, 1e18 * (scale)}
#define BINARY(base, unit) \
    {"Ki" base, unit, 0x1p10}, {"Mi" base, unit, 0x1p20}, {"Gi" base, unit, 0x1p30}, {"Ti" base, unit, 0x1p40}, \
    {"Pi" base, unit, 0x1p50}

static const struct unit_symbol unit_symbols[] = {
    {"%", UNIT_NONE, 0.01},
    {"B", UNIT_BYTES, 1},               LARGE("B", UNIT_BYTES, 1),                      BINARY("B", UNIT_BYTES),
    {"bit", UNIT_BYTES, 0.125},         LARGE("bit", UNIT_BYTES, 0.125),
    {"B/s", UNIT_BYTES_PER_SECOND, 1},  LARGE("B/s", UNIT_BYTES_PER_SECOND, 1),         BINARY("B/s", UNIT_BYTES_PER_SECOND),
    {"bps", UNIT_BYTES_PER_SECOND, 0.125},   LARGE("bps", UNIT_BYTES_PER_SECOND, 0.125),
    {"Bps", UNIT_BYTES_PER_SECOND, 1},       LARGE("Bps", UNIT_BYTES_PER_SECOND, 1),
    {"bit/s", UNIT_BYTES_PER_SECOND, 0.125}, LARGE("bit/s", UNIT_BYTES_PER_SECOND, 0.125),
    {"s", UNIT_SECONDS, 1},             SMALL("s", UNIT_SECONDS, 1),
    {"min", UNIT_SECONDS, 60},          {"h", UNIT_SECONDS, 3600},
    {"d", UNIT_SECONDS, 86400},         {"day", UNIT_SECONDS, 86400},                   {"days", UNIT_SECONDS, 86400},
    {"FLOP/s", UNIT_FLOPS, 1},          LARGE("FLOP/s", UNIT_FLOPS, 1),
    {"FLOPS", UNIT_FLOPS, 1},           LARGE("FLOPS", UNIT_FLOPS, 1),
    {"OP/s", UNIT_FLOPS, 1},            LARGE("OP/s", UNIT_FLOPS, 1),
    {"OPS", UNIT_FLOPS, 1},             LARGE("OPS", UNIT_FLOPS, 1),
    {"MAC/s", UNIT_FLOPS, 2},           LARGE("MAC/s", UNIT_FLOPS, 2),
    {"FLOP", UNIT_FLOP, 1},             LARGE("FLOP", UNIT_FLOP, 1),
    {"OP", UNIT_FLOP, 1},               LARGE("OP", UNIT_FLOP, 1),
    {"MAC", UNIT_FLOP, 2},              LARGE("MAC", UNIT_FLOP, 2),
    {"W", UNIT_WATTS, 1},               LARGE("W", UNIT_WATTS, 1),                      SMALL("W", UNIT_WATTS, 1),
    {"J", UNIT_JOULES, 1},              LARGE("J", UNIT_JOULES, 1),                     SMALL("J", UNIT_JOULES, 1),
    {"Wh", UNIT_JOULES, 3600},          LARGE("Wh", UNIT_JOULES, 3600),                 {"mWh", UNIT_JOULES, 3.6},
    {"/s", UNIT_PER_SECOND, 1},         {"fps", UNIT_PER_SECOND, 1},
    {"Hz", UNIT_PER_SECOND, 1},         LARGE("Hz", UNIT_PER_SECOND, 1),
};

/* Symbols that unit_format() chooses from, ascending; the first also serves what is smaller. */
static const char *const unit_ladder[UNIT_COUNT][10] = {
    [UNIT_BYTES] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"},
    [UNIT_BYTES_PER_SECOND] = {"B/s", "KB/s", "MB/s", "GB/s", "TB/s", "PB/s", "EB/s"},
    [UNIT_SECONDS] = {"ns", "us", "ms", "s"},
    [UNIT_FLOPS] = {"FLOP/s", "KFLOP/s", "MFLOP/s", "GFLOP/s", "TFLOP/s", "PFLOP/s", "EFLOP/s"},
    [UNIT_FLOP] = {"FLOP", "KFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP"},
    [UNIT_WATTS] = {"nW", "uW", "mW", "W", "kW", "MW", "GW"},
    [UNIT_JOULES] = {"nJ", "uJ", "mJ", "J", "kJ", "MJ", "GJ"},
    [UNIT_PER_SECOND] = {"/s"},
};
/* clang-format on */

static const struct {
    const char *name, *expected;
} unit_texts[UNIT_COUNT] = {
    [UNIT_NONE] = {"a number", "a number without unit, such as 64 or 50%"},
    [UNIT_BYTES] = {"a size", "a size with its unit, such as 4 KB or 80 GiB"},
    [UNIT_BYTES_PER_SECOND] = {"a bandwidth", "a bandwidth with its unit, such as 25 GB/s or 200 Gbps"},
    [UNIT_SECONDS] = {"a time", "a time with its unit, such as 1.5 us or 3 ms"},
    [UNIT_FLOPS] = {"a compute rate", "a compute rate with its unit, such as 312 TFLOP/s or 4 TOPS"},
    [UNIT_FLOP] = {"an amount of work", "an amount of work with its unit, such as 2 GFLOP or 1 GMAC"},
    [UNIT_WATTS] = {"a power", "a power with its unit, such as 400 W or 5 mW"},
    [UNIT_JOULES] = {"an energy", "an energy with its unit, such as 20 J or 5 Wh"},
    [UNIT_PER_SECOND] = {"a rate", "a rate with its unit, such as 30 fps or 10 Hz"},
};

enum { UNIT_SYMBOLS = sizeof unit_symbols / sizeof unit_symbols[0] };

static bool unit_ends_word(const char *symbol, char next)
{
    return *symbol == '%' || !(isalnum((unsigned char)next) || next == '_' || (unsigned char)next >= 0x80);
}

size_t unit_parse(const char *text, enum unit *unit, double *scale)
{
    size_t longest = 0;
    for (size_t i = 0; i < UNIT_SYMBOLS; i++) {
        const struct unit_symbol *symbol = &unit_symbols[i];
        if (*symbol->text != *text)
            continue;
        size_t length = strlen(symbol->text);
        if (length > longest && strncmp(text, symbol->text, length) == 0 &&
            unit_ends_word(symbol->text, text[length])) {
            longest = length;
            *unit = symbol->unit;
            *scale = symbol->scale;
        }
    }
    return longest;
}

const char *unit_name(enum unit unit)
{
    return unit_texts[unit].name;
}

const char *unit_expected(enum unit unit)
{
    return unit_texts[unit].expected;
}

/* Three significant digits and more where the whole part has them, without trailing zeros after the point. */
static void unit_write_number(double number, char *buffer, size_t size)
{
    double magnitude = fabs(number);
    if (magnitude >= 1e6 || (magnitude != 0 && magnitude < 0.01)) {
        snprintf(buffer, size, "%.3g", number);
        return;
    }
    int decimals = magnitude < 0.1 ? 4 : magnitude < 1 ? 3 : magnitude < 10 ? 2 : magnitude < 100 ? 1 : 0;
    snprintf(buffer, size, "%.*f", decimals, number);
    if (!strchr(buffer, '.'))
        return;
    char *end = buffer + strlen(buffer);
    while (end[-1] == '0')
        *--end = '\0';
    if (end[-1] == '.')
        end[-1] = '\0';
}

/* The symbol whose scale is 1. */
static const char *unit_symbol_plain(enum unit unit)
{
    size_t i = 0;
    while (unit_symbols[i].unit != unit || unit_symbols[i].scale != 1)
        i++;
    return unit_symbols[i].text;
}

static double unit_scale(const char *symbol, enum unit unit)
{
    size_t i = 0;
    while (unit_symbols[i].unit != unit || strcmp(unit_symbols[i].text, symbol) != 0)
        i++;
    return unit_symbols[i].scale;
}

const char *unit_format(double value, enum unit unit, char *buffer, size_t size)
{
    char number[64];
    if (!isfinite(value)) {
        snprintf(buffer, size, "%s", isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
        return buffer;
    }
    if (unit == UNIT_NONE) {
        if (value == floor(value) && fabs(value) < 1e6)
            snprintf(buffer, size, "%.0f", value + 0.0); /* + 0.0: no "-0" */
        else
            snprintf(buffer, size, "%.4g", value);
        return buffer;
    }
    const char *const *ladder = unit_ladder[unit];
    const char *symbol = ladder[0];
    /* 0.9995: what would be written as 1000 takes the next symbol */
    for (size_t i = 1; ladder[i] && fabs(value) >= unit_scale(ladder[i], unit) * 0.9995; i++)
        symbol = ladder[i];
    if (value == 0)
        symbol = unit_symbol_plain(unit);
    else if (unit == UNIT_SECONDS && fabs(value) >= 600)
        symbol = fabs(value) < 7200 ? "min" : fabs(value) < 172800 ? "h" : "d";
    unit_write_number(value / unit_scale(symbol, unit) + 0.0, number, sizeof number);
    snprintf(buffer, size, "%s %s", number, symbol);
    return buffer;
}

static size_t unit_common(const char *a, const char *b)
{
    size_t length = 0;
    while (a[length] && a[length] == b[length])
        length++;
    return length;
}

const char *unit_nearest(const char *text, enum unit unit)
{
    const char *best = NULL;
    unsigned least = 0;
    for (size_t i = 0; i < UNIT_SYMBOLS; i++) {
        const char *name = unit_symbols[i].text;
        if (unit != UNIT_COUNT && unit_symbols[i].unit != unit)
            continue;
        size_t longer = strlen(text) > strlen(name) ? strlen(text) : strlen(name);
        unsigned distance = nearest_distance(text, name);
        if (distance > (longer + 2) / 3 || distance == longer)
            continue;
        bool closer = !best || distance < least;
        if (closer || (distance == least && unit_common(text, name) > unit_common(text, best))) {
            best = name;
            least = distance;
        }
    }
    return best;
}
