/* Reading: what the tests of this room share. Each test owns an input; messages are compared as they are
 * printed. */
#ifndef PARTITA_TEST_READING_H
#define PARTITA_TEST_READING_H

#include "input/document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct input input;

static int reading_start(void **state)
{
    (void)state;
    input_init(&input, NULL);
    return 0;
}

static int reading_end(void **state)
{
    (void)state;
    input_fini(&input);
    return 0;
}

#define READING(test) cmocka_unit_test_setup_teardown(test, reading_start, reading_end)

/* All messages, a line each. */
static inline const char *reading_messages(void)
{
    const char *all = "";
    for (uint32_t i = 0; i < input.report.list.count; i++) {
        const struct message *m = &input.report.list.at[i];
        const char *place = "";
        if (m->place.file && m->place.line)
            place = arena_format(&input.arena, "%s:%u:%u: ", m->place.file, m->place.line, m->place.column);
        else if (m->place.file)
            place = arena_format(&input.arena, "%s: ", m->place.file);
        all = arena_format(&input.arena, "%s%s%s%s%s", all, *all ? "\n" : "", place,
                           m->warning ? "warning: " : "", m->text);
    }
    return all;
}

#define expect_messages(expected) assert_string_equal(reading_messages(), (expected))

/* Exactly equal: cmocka's own comparison is of floats. */
#define expect_number(got, wanted)                                                                           \
    do {                                                                                                     \
        double got_ = (got), wanted_ = (wanted);                                                             \
        if (got_ != wanted_)                                                                                 \
            fail_msg("%s is %.17g; expected %.17g", #got, got_, wanted_);                                    \
    } while (0)

static inline struct value *read_text(const char *text)
{
    return document_parse(&input, "a.yaml", text, strlen(text), false);
}

static inline struct value *read_json(const char *text)
{
    return document_parse(&input, "a.json", text, strlen(text), true);
}

/* Reads again from nothing, so that one test can look at many texts. */
static inline void reading_again(void)
{
    const char *root = input.data_root;
    input_fini(&input);
    input_init(&input, root);
}

/* A value in one line, with kinds and quotes visible: {a: 'x', b: [1, ~]}. */
static inline const char *reading_shape(const struct value *value)
{
    struct arena *arena = &input.arena;
    if (!value)
        return "(none)";
    if (value->kind == VALUE_NULL)
        return "~";
    if (value->kind == VALUE_SCALAR)
        return arena_format(arena, value->quoted ? "'%s'" : "%s", value->text);
    const char *inside = "";
    for (uint32_t i = 0; i < value->count; i++) {
        const struct entry *entry = &value->entries[i];
        inside = arena_format(arena, "%s%s%s%s%s", inside, i ? ", " : "", entry->key ? entry->key : "",
                              entry->key ? ": " : "", reading_shape(entry->value));
    }
    return arena_format(arena, value->kind == VALUE_MAP ? "{%s}" : "[%s]", inside);
}

/* A small generator (xorshift64), so that a printed seed repeats a case on every machine. */
static inline uint64_t reading_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
