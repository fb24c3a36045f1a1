#include "base/unit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct example {
    const char *text;
    enum unit unit;
    double scale;
};

static void every_symbol_has_its_unit_and_scale(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"B", UNIT_BYTES, 1},
        {"KB", UNIT_BYTES, 1e3},
        {"kB", UNIT_BYTES, 1e3},
        {"MB", UNIT_BYTES, 1e6},
        {"GB", UNIT_BYTES, 1e9},
        {"TB", UNIT_BYTES, 1e12},
        {"PB", UNIT_BYTES, 1e15},
        {"KiB", UNIT_BYTES, 1024},
        {"MiB", UNIT_BYTES, 1048576},
        {"GiB", UNIT_BYTES, 1073741824},
        {"TiB", UNIT_BYTES, 1099511627776},
        {"PiB", UNIT_BYTES, 1125899906842624},
        {"bit", UNIT_BYTES, 0.125},
        {"Kbit", UNIT_BYTES, 125},
        {"Mbit", UNIT_BYTES, 125e3},
        {"Gbit", UNIT_BYTES, 125e6},
        {"B/s", UNIT_BYTES_PER_SECOND, 1},
        {"KB/s", UNIT_BYTES_PER_SECOND, 1e3},
        {"TB/s", UNIT_BYTES_PER_SECOND, 1e12},
        {"PB/s", UNIT_BYTES_PER_SECOND, 1e15},
        {"KiB/s", UNIT_BYTES_PER_SECOND, 1024},
        {"GiB/s", UNIT_BYTES_PER_SECOND, 1073741824},
        {"bps", UNIT_BYTES_PER_SECOND, 0.125},
        {"Kbps", UNIT_BYTES_PER_SECOND, 125},
        {"Mbps", UNIT_BYTES_PER_SECOND, 125e3},
        {"Gbps", UNIT_BYTES_PER_SECOND, 125e6},
        {"Tbps", UNIT_BYTES_PER_SECOND, 125e9},
        {"GBps", UNIT_BYTES_PER_SECOND, 1e9},
        {"bit/s", UNIT_BYTES_PER_SECOND, 0.125},
        {"kbit/s", UNIT_BYTES_PER_SECOND, 125},
        {"Gbit/s", UNIT_BYTES_PER_SECOND, 125e6},
        {"s", UNIT_SECONDS, 1},
        {"ms", UNIT_SECONDS, 1e-3},
        {"us", UNIT_SECONDS, 1e-6},
        {"\u00b5s", UNIT_SECONDS, 1e-6},
        {"\u03bcs", UNIT_SECONDS, 1e-6},
        {"ns", UNIT_SECONDS, 1e-9},
        {"min", UNIT_SECONDS, 60},
        {"h", UNIT_SECONDS, 3600},
        {"d", UNIT_SECONDS, 86400},
        {"day", UNIT_SECONDS, 86400},
        {"FLOP/s", UNIT_FLOPS, 1},
        {"TFLOP/s", UNIT_FLOPS, 1e12},
        {"EFLOP/s", UNIT_FLOPS, 1e18},
        {"GFLOPS", UNIT_FLOPS, 1e9},
        {"OP/s", UNIT_FLOPS, 1},
        {"TOP/s", UNIT_FLOPS, 1e12},
        {"TOPS", UNIT_FLOPS, 1e12},
        {"GMAC/s", UNIT_FLOPS, 2e9},
        {"FLOP", UNIT_FLOP, 1},
        {"GFLOP", UNIT_FLOP, 1e9},
        {"MAC", UNIT_FLOP, 2},
        {"GMAC", UNIT_FLOP, 2e9},
        {"W", UNIT_WATTS, 1},
        {"mW", UNIT_WATTS, 1e-3},
        {"kW", UNIT_WATTS, 1e3},
        {"MW", UNIT_WATTS, 1e6},
        {"uW", UNIT_WATTS, 1e-6},
        {"J", UNIT_JOULES, 1},
        {"kJ", UNIT_JOULES, 1e3},
        {"mJ", UNIT_JOULES, 1e-3},
        {"Wh", UNIT_JOULES, 3600},
        {"kWh", UNIT_JOULES, 3.6e6},
        {"fps", UNIT_PER_SECOND, 1},
        {"Hz", UNIT_PER_SECOND, 1},
        {"kHz", UNIT_PER_SECOND, 1e3},
        {"GHz", UNIT_PER_SECOND, 1e9},
        {"/s", UNIT_PER_SECOND, 1},
        {"%", UNIT_NONE, 0.01},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        enum unit unit = UNIT_COUNT;
        double scale = 0;
        size_t length = unit_parse(examples[i].text, &unit, &scale);
        if (length != strlen(examples[i].text) || unit != examples[i].unit ||
            !(fabs(scale - examples[i].scale) <= 1e-15 * examples[i].scale))
            fail_msg("'%s' is %zu characters, unit %d, scale %.17g; expected unit %d, scale %.17g",
                     examples[i].text, length, (int)unit, scale, (int)examples[i].unit, examples[i].scale);
    }
}

static void the_longest_symbol_that_ends_a_word_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {{"GB/s", 4}, {"GB/s + 1", 4}, {"GB / s", 2}, {"GB/seconds", 2}, {"GB/2", 2},  {"s)", 1},
                 {"ms,", 2},  {"%3", 1},       {"%x", 1},     {"", 0},           {"nodes", 0}, {"m", 0},
                 {"Gpbs", 0}, {"GB_", 0},      {"GBx", 0},    {"s\xc3\xa9", 0},  {"gb", 0},    {"kib", 0},
                 {"/x", 0},   {"KBit", 0},     {" s", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum unit unit;
        double scale;
        size_t got = unit_parse(cases[i].text, &unit, &scale);
        if (got != cases[i].length)
            fail_msg("'%s' gives %zu characters; expected %zu", cases[i].text, got, cases[i].length);
    }
}

static void formatted_values_are_short_and_rounded(void **state)
{
    (void)state;
    static const struct {
        double value;
        enum unit unit;
        const char *text;
    } cases[] = {
        {21.6e9, UNIT_BYTES_PER_SECOND, "21.6 GB/s"},
        {25e9, UNIT_BYTES_PER_SECOND, "25 GB/s"},
        {1.53e-3, UNIT_SECONDS, "1.53 ms"},
        {64, UNIT_NONE, "64"},
        {-0.0, UNIT_NONE, "0"},
        {16384, UNIT_NONE, "16384"},
        {0.5, UNIT_NONE, "0.5"},
        {175e9, UNIT_NONE, "1.75e+11"},
        {0, UNIT_SECONDS, "0 s"},
        {0, UNIT_BYTES, "0 B"},
        {999.4, UNIT_BYTES, "999 B"},
        {999.6, UNIT_BYTES, "1 KB"},
        {999999, UNIT_BYTES, "1 MB"},
        {-1500, UNIT_BYTES, "-1.5 KB"},
        {0.5, UNIT_BYTES, "0.5 B"},
        {80 * 1073741824.0, UNIT_BYTES, "85.9 GB"},
        {59, UNIT_SECONDS, "59 s"},
        {599, UNIT_SECONDS, "599 s"},
        {1200, UNIT_SECONDS, "20 min"},
        {7200, UNIT_SECONDS, "2 h"},
        {1296000, UNIT_SECONDS, "15 d"},
        {3e-9, UNIT_SECONDS, "3 ns"},
        {5e-12, UNIT_SECONDS, "0.005 ns"},
        {312e12, UNIT_FLOPS, "312 TFLOP/s"},
        {2e9, UNIT_FLOP, "2 GFLOP"},
        {400, UNIT_WATTS, "400 W"},
        {5e-3, UNIT_WATTS, "5 mW"},
        {20, UNIT_JOULES, "20 J"},
        {30, UNIT_PER_SECOND, "30 /s"},
        {2345, UNIT_PER_SECOND, "2345 /s"},
        {INFINITY, UNIT_SECONDS, "inf"},
        {-INFINITY, UNIT_SECONDS, "-inf"},
        {NAN, UNIT_BYTES, "nan"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buffer[64];
        assert_string_equal(unit_format(cases[i].value, cases[i].unit, buffer, sizeof buffer), cases[i].text);
    }
}

/* Every magnitude of every unit: what is written is read back within the rounding of three digits. */
static void formatted_values_read_back(void **state)
{
    (void)state;
    for (int unit = UNIT_BYTES; unit < UNIT_COUNT; unit++)
        for (double value = 1e-13; value < 1e22; value *= 1.37) {
            char buffer[64], *end;
            unit_format(value, (enum unit)unit, buffer, sizeof buffer);
            double number = strtod(buffer, &end), scale = 0;
            enum unit read = UNIT_COUNT;
            size_t length = unit_parse(end + 1, &read, &scale);
            if (*end != ' ' || !length || end[1 + length] || (int)read != unit ||
                !(fabs(number * scale - value) <= 0.0051 * value))
                fail_msg("%.17g of unit %d is written '%s', which is %.17g of unit %d", value, unit, buffer,
                         number * scale, (int)read);
        }
}

static void a_small_buffer_is_not_overrun(void **state)
{
    (void)state;
    char buffer[8] = "#######";
    unit_format(21.6e9, UNIT_BYTES_PER_SECOND, buffer, 5);
    assert_string_equal(buffer, "21.6");
    assert_int_equal(buffer[5], '#');
}

static void a_mistyped_symbol_finds_the_nearest_of_its_kind(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum unit unit;
        const char *nearest;
    } cases[] = {{"Gpbs", UNIT_COUNT, "Gbps"},
                 {"Gpbs", UNIT_BYTES_PER_SECOND, "Gbps"},
                 {"gb/s", UNIT_BYTES_PER_SECOND, "GB/s"},
                 {"mhz", UNIT_PER_SECOND, "MHz"},
                 {"m", UNIT_COUNT, "ms"},
                 {"TFLOPs", UNIT_FLOPS, "TFLOPS"},
                 {"GiBB", UNIT_BYTES, "GiB"},
                 {"Gpbs", UNIT_WATTS, NULL},
                 {"nodes", UNIT_COUNT, NULL},
                 {"q", UNIT_COUNT, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = unit_nearest(cases[i].text, cases[i].unit), *wanted = cases[i].nearest;
        if (!got != !wanted || (got && strcmp(got, wanted) != 0))
            fail_msg("'%s' finds '%s'; expected '%s'", cases[i].text, got ? got : "nothing",
                     wanted ? wanted : "nothing");
    }
}

/* The examples in the messages are themselves valid. */
static void what_is_expected_gives_valid_examples(void **state)
{
    (void)state;
    for (int unit = UNIT_BYTES; unit < UNIT_COUNT; unit++) {
        const char *text = unit_expected((enum unit)unit), *example = strstr(text, "such as ");
        assert_non_null(example);
        if (strncmp(text, unit_name((enum unit)unit), strlen(unit_name((enum unit)unit))) != 0)
            fail_msg("'%s' does not start with '%s'", text, unit_name((enum unit)unit));
        for (int i = 0; i < 2; i++) {
            char *symbol;
            enum unit read = UNIT_COUNT;
            double scale;
            strtod(example + (i ? 4 : 8), &symbol);
            assert_true(unit_parse(symbol + 1, &read, &scale) > 0);
            assert_int_equal(read, unit);
            example = strstr(symbol, " or ");
            assert_true(example || i == 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_symbol_has_its_unit_and_scale),
        cmocka_unit_test(the_longest_symbol_that_ends_a_word_is_taken),
        cmocka_unit_test(formatted_values_are_short_and_rounded),
        cmocka_unit_test(formatted_values_read_back),
        cmocka_unit_test(a_small_buffer_is_not_overrun),
        cmocka_unit_test(a_mistyped_symbol_finds_the_nearest_of_its_kind),
        cmocka_unit_test(what_is_expected_gives_valid_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
