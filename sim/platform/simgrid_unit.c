/* Quantities as SimGrid writes them: a number directly followed by a prefix and a unit. Without a unit the
 * number is in the base unit (as in old files). */
#include "platform/simgrid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct simgrid_unit {
    const char *text;
    double scale;
};

/* A kind of quantity: how one is written, and its units, which may have a prefix or not. */
struct simgrid_measure {
    const char *example;
    bool prefixes;
    struct simgrid_unit units[10]; /* the first without text ends */
};

static const struct simgrid_measure simgrid_speed = {"1Gf", true, {{"f", 1}, {"flops", 1}, {"flop", 1}}};
static const struct simgrid_measure simgrid_bandwidth = {
    "125MBps or 1Gbps", true, {{"Bps", 1}, {"bps", 0.125}}};
static const struct simgrid_measure simgrid_time = {"50us",
                                                    false,
                                                    {{"s", 1},
                                                     {"ms", 1e-3},
                                                     {"us", 1e-6},
                                                     {"ns", 1e-9},
                                                     {"ps", 1e-12},
                                                     {"m", 60},
                                                     {"h", 3600},
                                                     {"d", 86400},
                                                     {"w", 604800}}};

static bool simgrid_quantity(struct simgrid *simgrid, const struct simgrid_measure *measure,
                             struct place place, const char *text, const char *what, double *out)
{
    static const struct simgrid_unit decimal[] = {
        {"", 1},        {"k", 1e3},     {"K", 1e3},     {"M", 1e6},     {"G", 1e9},
        {"T", 1e12},    {"P", 1e15},    {"E", 1e18},    {"Z", 1e21},    {"Ki", 0x1p10},
        {"Mi", 0x1p20}, {"Gi", 0x1p30}, {"Ti", 0x1p40}, {"Pi", 0x1p50}, {"Ei", 0x1p60}};
    char *end;
    *out = strtod(text, &end);
    while (*end == ' ')
        end++;
    bool known = end != text && !*end;
    size_t prefix_count = measure->prefixes ? sizeof decimal / sizeof decimal[0] : 1;
    for (size_t p = 0; p < prefix_count && end != text && !known; p++) {
        size_t length = strlen(decimal[p].text);
        const struct simgrid_unit *unit = measure->units;
        for (; unit->text && !known && strncmp(end, decimal[p].text, length) == 0; unit++)
            if (strcmp(end + length, unit->text) == 0) {
                *out *= decimal[p].scale * unit->scale;
                known = true;
            }
    }
    if (known && isfinite(*out) && *out >= 0)
        return true;
    return report_error(&simgrid->input->report, place, "expected the %s, such as %s; got '%.60s'", what,
                        measure->example, text);
}

bool simgrid_unit_speed(struct simgrid *simgrid, struct place place, const char *text, const char *what,
                        double *out)
{
    const char *comma = strchr(text, ',');
    if (comma) {
        simgrid_note(simgrid, place, "pstate", "of several speeds (power states) only the first one is used");
        text = arena_format(&simgrid->arena, "%.*s", (int)(comma - text), text);
    }
    return simgrid_quantity(simgrid, &simgrid_speed, place, text, what, out);
}

bool simgrid_unit_bandwidth(struct simgrid *simgrid, struct place place, const char *text, const char *what,
                            double *out)
{
    return simgrid_quantity(simgrid, &simgrid_bandwidth, place, text, what, out);
}

bool simgrid_unit_time(struct simgrid *simgrid, struct place place, const char *text, const char *what,
                       double *out)
{
    return simgrid_quantity(simgrid, &simgrid_time, place, text, what, out);
}
