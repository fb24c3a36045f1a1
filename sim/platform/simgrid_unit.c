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

static bool simgrid_quantity(struct simgrid *simgrid, struct place place, const char *text, const char *what,
                             const char *example, const struct simgrid_unit *units, size_t count,
                             bool prefixes, double *out)
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
    size_t prefix_count = prefixes ? sizeof decimal / sizeof decimal[0] : 1;
    for (size_t p = 0; p < prefix_count && end != text && !known; p++) {
        size_t length = strlen(decimal[p].text);
        for (size_t u = 0; u < count && !known && strncmp(end, decimal[p].text, length) == 0; u++)
            if (strcmp(end + length, units[u].text) == 0) {
                *out *= decimal[p].scale * units[u].scale;
                known = true;
            }
    }
    if (known && isfinite(*out) && *out >= 0)
        return true;
    return report_error(&simgrid->input->report, place, "expected the %s, such as %s; got '%.60s'", what,
                        example, text);
}

bool simgrid_unit_speed(struct simgrid *simgrid, struct place place, const char *text, const char *what,
                        double *out)
{
    static const struct simgrid_unit units[] = {{"f", 1}, {"flops", 1}, {"flop", 1}};
    const char *comma = strchr(text, ',');
    if (comma) {
        simgrid_note(simgrid, place, "pstate", "of several speeds (power states) only the first one is used");
        text = arena_format(&simgrid->arena, "%.*s", (int)(comma - text), text);
    }
    return simgrid_quantity(simgrid, place, text, what, "1Gf", units, sizeof units / sizeof units[0], true,
                            out);
}

bool simgrid_unit_bandwidth(struct simgrid *simgrid, struct place place, const char *text, const char *what,
                            double *out)
{
    static const struct simgrid_unit units[] = {{"Bps", 1}, {"bps", 0.125}};
    return simgrid_quantity(simgrid, place, text, what, "125MBps or 1Gbps", units,
                            sizeof units / sizeof units[0], true, out);
}

bool simgrid_unit_time(struct simgrid *simgrid, struct place place, const char *text, const char *what,
                       double *out)
{
    static const struct simgrid_unit units[] = {{"s", 1},     {"ms", 1e-3},  {"us", 1e-6},
                                                {"ns", 1e-9}, {"ps", 1e-12}, {"m", 60},
                                                {"h", 3600},  {"d", 86400},  {"w", 604800}};
    return simgrid_quantity(simgrid, place, text, what, "50us", units, sizeof units / sizeof units[0], false,
                            out);
}
