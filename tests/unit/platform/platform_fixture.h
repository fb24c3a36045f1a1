/* What the tests of this room share: a platform read from a few lines of YAML, and its messages as text. */
#ifndef PARTITA_TESTS_PLATFORM_FIXTURE_H
#define PARTITA_TESTS_PLATFORM_FIXTURE_H

#include "platform/route.h"
#include "platform/topology.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct input input;
    struct names names;
    struct platform platform;
};

/* A device type without a file. */
#define TINY "with: {peak: {fp32: 1 TFLOP/s}, memory: 1 GB, memory-bandwidth: 100 GB/s}"

/* Doubles equal to a tolerance and rounding. (cmocka's assert_float_equal compares floats.) */
#define assert_near(actual, expected, tolerance)                                                             \
    do {                                                                                                     \
        double near_actual = (actual), near_expected = (expected);                                           \
        if (!(fabs(near_actual - near_expected) <= (tolerance) + 1e-15 * fabs(near_expected)))               \
            fail_msg("%s is %.17g, expected %.17g", #actual, near_actual, near_expected);                    \
    } while (0)

static inline void fixture_init(struct fixture *fixture)
{
    input_init(&fixture->input, PARTITA_SOURCE);
    names_init(&fixture->names);
    platform_init(&fixture->platform, &fixture->names);
}

static inline void fixture_fini(struct fixture *fixture)
{
    platform_fini(&fixture->platform);
    names_fini(&fixture->names);
    input_fini(&fixture->input);
}

static inline struct value *fixture_parse(struct fixture *fixture, const char *name, const char *text)
{
    struct value *document = document_parse(&fixture->input, name, text, strlen(text), false);
    report_print(&fixture->input.report, stderr);
    assert_non_null(document);
    return document;
}

/* Reads a topology, with the parameters of `set` (YAML, or NULL). */
static inline bool fixture_read(struct fixture *fixture, const char *text, const char *set)
{
    fixture_init(fixture);
    struct value *document = fixture_parse(fixture, "t.yaml", text);
    const struct value *values = set ? fixture_parse(fixture, "set.yaml", set) : NULL;
    return topology_read(&fixture->input, document, values, &fixture->platform);
}

/* The same, which must succeed without any message. */
static inline void fixture_load(struct fixture *fixture, const char *text, const char *set)
{
    bool well = fixture_read(fixture, text, set);
    report_print(&fixture->input.report, stderr);
    assert_true(well);
    assert_int_equal(fixture->input.report.list.count, 0);
}

/* All messages, a line each, in a buffer of the input's arena. */
static inline const char *fixture_messages(struct fixture *fixture)
{
    const char *all = "";
    for (uint32_t i = 0; i < fixture->input.report.list.count; i++) {
        const struct message *message = &fixture->input.report.list.at[i];
        const char *file = message->place.file ? strrchr(message->place.file, '/') : NULL;
        all = arena_format(&fixture->input.arena, "%s%s%s:%u:%u: %s%s", all, i ? "\n" : "",
                           file                  ? file + 1
                           : message->place.file ? message->place.file
                                                 : "",
                           message->place.line, message->place.column, message->warning ? "warning: " : "",
                           message->text);
    }
    return all;
}

/* Reads a topology that is wrong and expects exactly these messages. */
static inline void fixture_expect(const char *text, const char *set, const char *messages)
{
    struct fixture fixture;
    bool well = fixture_read(&fixture, text, set);
    assert_string_equal(fixture_messages(&fixture), messages);
    assert_int_equal(well, fixture.input.report.errors == 0);
    assert_true(well || fixture.platform.devices.count == 0);
    fixture_fini(&fixture);
}

static inline uint32_t fixture_device(const struct fixture *fixture, const char *name)
{
    uint32_t id = names_find(&fixture->names, name);
    for (uint32_t d = 0; d < fixture->platform.devices.count; d++)
        if (fixture->platform.devices.at[d].name == id)
            return d;
    fail_msg("there is no device %s", name);
    return UINT32_MAX;
}

static inline const struct link *fixture_link(const struct fixture *fixture, const char *name)
{
    uint32_t id = names_find(&fixture->names, name);
    for (uint32_t l = 0; l < fixture->platform.links.count; l++)
        if (fixture->platform.links.at[l].name == id)
            return &fixture->platform.links.at[l];
    fail_msg("there is no link %s", name);
    return NULL;
}

static inline const struct device_type *fixture_type(const struct fixture *fixture, const char *device)
{
    uint32_t type = fixture->platform.devices.at[fixture_device(fixture, device)].type;
    return &fixture->platform.device_types.at[type];
}

/* The route as "link link …", "none" when there is none. */
static inline const char *fixture_route(struct fixture *fixture, const char *from, const char *to)
{
    uint32_t count;
    const uint32_t *links =
        route_links(&fixture->platform, fixture_device(fixture, from), fixture_device(fixture, to), &count);
    const char *text = "";
    if (count == UINT32_MAX)
        return "none";
    for (uint32_t i = 0; i < count; i++)
        text = arena_format(&fixture->input.arena, "%s%s%s", text, i ? " " : "",
                            names_text(&fixture->names, fixture->platform.links.at[links[i]].name));
    return text;
}

#endif
