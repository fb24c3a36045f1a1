/* What the tests of importers share: a platform read from a file of tests/import/ or from a text under a file
 * name, and a comparison of two platforms. */
#ifndef PARTITA_TESTS_IMPORT_FIXTURE_H
#define PARTITA_TESTS_IMPORT_FIXTURE_H

#include "platform_fixture.h"

#include "platform/import.h"

#include <stdlib.h>

/* Reads the text as the importer would read a file of this name; `set` is YAML or NULL. */
static inline bool import_read_text(struct fixture *fixture, const struct importer *importer,
                                    const char *name, const char *text, size_t length, const char *set)
{
    fixture_init(fixture);
    struct input *input = &fixture->input;
    const struct value *values = set ? fixture_parse(fixture, "set.yaml", set) : NULL;
    struct value *document = NULL;
    if (importer->read) {
        document = importer->read(input, name, text, length, values);
    } else {
        struct value *read = document_parse(input, name, text, length, false);
        document = read && importer->is_document(read) ? importer->convert(input, read, values) : NULL;
    }
    return document && topology_read(input, document, values, &fixture->platform);
}

/* Reads a file of tests/import/, which must be good. */
static inline struct value *import_file(struct fixture *fixture, const char *name, const char *set)
{
    fixture_init(fixture);
    const struct value *values = set ? fixture_parse(fixture, "set.yaml", set) : NULL;
    const char *path = arena_format(&fixture->input.arena, PARTITA_SOURCE "/tests/import/%s", name);
    struct value *document = import_load(&fixture->input, path, values);
    bool well = document && topology_read(&fixture->input, document, values, &fixture->platform);
    if (!well)
        report_print(&fixture->input.report, stderr);
    assert_true(well);
    return document;
}

/* A wrong text must give exactly these messages (warnings not counted) and no platform. */
static inline void import_expect(const struct importer *importer, const char *name, const char *text,
                                 const char *messages)
{
    struct fixture fixture;
    bool well = import_read_text(&fixture, importer, name, text, strlen(text), NULL);
    struct report *report = &fixture.input.report;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < report->list.count; i++)
        if (!report->list.at[i].warning)
            report->list.at[kept++] = report->list.at[i];
    report->list.count = kept;
    assert_string_equal(fixture_messages(&fixture), messages);
    assert_false(well);
    assert_int_equal(fixture.platform.devices.count, 0);
    fixture_fini(&fixture);
}

static inline double import_latency(struct fixture *fixture, const char *from, const char *to)
{
    uint32_t count;
    const uint32_t *links =
        route_links(&fixture->platform, fixture_device(fixture, from), fixture_device(fixture, to), &count);
    double sum = 0;
    assert_int_not_equal(count, UINT32_MAX);
    for (uint32_t i = 0; i < count; i++)
        sum += fixture->platform.links.at[links[i]].latency;
    return sum;
}

/* The document, written as YAML and read back, gives the same devices, links and routes, to the last bit. */
static inline void import_expect_round_trip(const char *name)
{
    struct fixture a, b;
    struct value *document = import_file(&a, name, NULL);
    const char *text = value_write(document, &a.input.arena);
    fixture_load(&b, text, NULL);
    assert_int_equal(a.platform.devices.count, b.platform.devices.count);
    assert_int_equal(a.platform.links.count, b.platform.links.count);
    for (uint32_t l = 0; l < a.platform.links.count; l++) {
        const struct link *x = &a.platform.links.at[l], *y = &b.platform.links.at[l];
        assert_string_equal(names_text(&a.names, x->name), names_text(&b.names, y->name));
        assert_memory_equal(&x->bandwidth, &y->bandwidth, sizeof x->bandwidth);
        assert_memory_equal(&x->latency, &y->latency, sizeof x->latency);
        assert_int_equal(x->mode, y->mode);
    }
    for (uint32_t d = 0; d < a.platform.devices.count; d++) {
        const struct device *x = &a.platform.devices.at[d], *y = &b.platform.devices.at[d];
        assert_string_equal(names_text(&a.names, x->name), names_text(&b.names, y->name));
        assert_memory_equal(a.platform.device_types.at[x->type].peak,
                            b.platform.device_types.at[y->type].peak,
                            sizeof b.platform.device_types.at[y->type].peak);
    }
    for (uint32_t d = 0; d < a.platform.devices.count && a.platform.devices.count < 100; d++)
        for (uint32_t e = 0; e < a.platform.devices.count; e++) {
            uint32_t p, q;
            const uint32_t *x = route_links(&a.platform, d, e, &p), *y = route_links(&b.platform, d, e, &q);
            assert_int_equal(p, q);
            if (p && p != UINT32_MAX)
                assert_memory_equal(x, y, p * sizeof *x);
        }
    fixture_fini(&a);
    fixture_fini(&b);
}

/* Changes, inserts, removes or doubles a few pieces of the text, by a seed; whatever comes of it is read
 * without a crash, and is a platform or has an error. Returns whether it is a platform. */
static inline bool import_mutate(const struct importer *importer, const char *name, const char *text,
                                 uint32_t seed)
{
    static const char *const scraps[] = {
        "<",       ">",    "\"",   "/",   "0",    "-1",  "99999999999", "NV12",
        " X ",     "\t",   "\n",   "[",   "]",    ",",   "&lt;",        "<zone id='q' routing='Full'>",
        "</zone>", "\xff", "GPU0", "_UP", "e308", "src", "''"};
    size_t length = strlen(text);
    char *bytes = malloc(length * 4 + 4096);
    memcpy(bytes, text, length + 1);
    uint32_t state = seed * 2654435761u + 1;
#define IMPORT_RANDOM(n)                                                                                     \
    (state = state * 1664525u + 1013904223u, (size_t)((uint64_t)(state >> 8) * (n) >> 24))
    for (uint32_t m = 0; m <= seed % 4; m++) {
        size_t at = IMPORT_RANDOM(length), span = IMPORT_RANDOM(40), kind = IMPORT_RANDOM(4);
        span = at + span > length ? length - at : span;
        if (kind == 0) { /* removed */
            memmove(bytes + at, bytes + at + span, length - at - span + 1);
            length -= span;
        } else if (kind == 1) { /* cut off */
            length = at + 1;
        } else if (kind == 2) { /* doubled */
            memmove(bytes + at + span, bytes + at, length - at + 1);
            length += span;
        } else {
            const char *scrap = scraps[IMPORT_RANDOM(sizeof scraps / sizeof scraps[0])];
            size_t more = strlen(scrap);
            memmove(bytes + at + more, bytes + at, length - at + 1);
            memcpy(bytes + at, scrap, more);
            length += more;
        }
        bytes[length] = '\0';
    }
    struct fixture fixture;
    bool well = import_read_text(&fixture, importer, name, bytes, length, NULL);
    if (well == (fixture.input.report.errors > 0))
        fail_msg("seed %u: %s with %u errors", seed, well ? "read" : "not read", fixture.input.report.errors);
    fixture_fini(&fixture);
    free(bytes);
    return well;
}

/* 200 mutations of a file of tests/import/. */
static inline void import_mutate_file(const struct importer *importer, const char *name)
{
    struct arena arena;
    struct input input;
    size_t length;
    uint32_t good = 0;
    arena_init(&arena);
    input_init(&input, NULL);
    const char *path = arena_format(&arena, PARTITA_SOURCE "/tests/import/%s", name);
    const char *text = document_bytes(&input, path, (struct place){0}, &length);
    assert_non_null(text);
    for (uint32_t seed = 0; seed < 200; seed++)
        good += import_mutate(importer, name, text, seed);
    assert_true(good < 200); /* some are wrong */
    input_fini(&input);
    arena_fini(&arena);
}

#endif
