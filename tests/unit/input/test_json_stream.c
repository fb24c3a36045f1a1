/* A JSON text read token by token says what the same text read whole says, and never more than is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "input/json_stream.h"
#include "input/read_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* The tokens of a text, one character each, with the texts of keys and scalars between. */
static void tokens(const char *text, size_t length, char *out, size_t size)
{
    struct input input;
    struct json_stream stream;
    input_init(&input, NULL);
    json_stream_over(&stream, &input, "text", text, length);
    size_t at = 0;
    for (enum json_stream_token token = JSON_STREAM_WORD; at + 1 < size && token > JSON_STREAM_END;) {
        token = json_stream_next(&stream);
        at += (size_t)snprintf(out + at, size - at, "%c", "!.{}[]ksnw"[token]);
        if (token >= JSON_STREAM_KEY && at < size)
            at += (size_t)snprintf(out + at, size - at, "(%s)", stream.text.at);
    }
    if (strchr(out, '!'))
        assert_int_equal(input.report.errors, 1);
    json_stream_close(&stream);
    input_fini(&input);
}

static void assert_tokens(const char *text, const char *wanted)
{
    char got[512] = "";
    tokens(text, strlen(text), got, sizeof got);
    assert_string_equal(got, wanted);
}

static void tokens_come_in_the_order_of_the_text(void **state)
{
    (void)state;
    assert_tokens("{\"a\": [1, -2.5e3, \"x\"], \"b\": {}, \"c\": [[]]}",
                  "{k(a)[n(1)n(-2.5e3)s(x)]k(b){}k(c)[[]]}.");
    assert_tokens(" \xef\xbb\xbf", "!");
    assert_tokens("\xef\xbb\xbf[true, false, null]", "[w(true)w(false)w(null)].");
    assert_tokens("7", "n(7).");
    assert_tokens("[NaN, inf, -Infinity]", "[n(NaN)n(inf)n(-Infinity)].");
}

static void escapes_become_characters(void **state)
{
    (void)state;
    assert_tokens("\"\\\"\\\\\\/\\u00e9\\ud83d\\ude00\"", "s(\"\\/\xc3\xa9\xf0\x9f\x98\x80).");
    assert_tokens("\"a\\u0000b\\ud800c\xff\"", "s(a?b?c?).");
}

static void what_is_not_well_formed_is_wrong(void **state)
{
    static const char *const wrong[] = {
        "",        "[",          "{",        "[1",     "[1,",         "[1,]",          "[1 2]",
        "{\"a\"}", "{\"a\":",    "{\"a\":}", "{1: 2}", "{\"a\": 1,}", "[01]",          "[1.]",
        "[.5]",    "[1e]",       "[tru]",    "[\"a]",  "[\"\\x\"]",   "[\"\\u12g4\"]", "[] []",
        "]",       "{\"a\": 1]", "nul",      "[+1]",   "[--1]",       "[1e5e]"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char got[512] = "";
        tokens(wrong[i], strlen(wrong[i]), got, sizeof got);
        if (got[strlen(got) - 1] != '!')
            fail_msg("'%s' was read as %s", wrong[i], got);
    }
}

static void nesting_ends_where_it_does_elsewhere(void **state)
{
    char text[2 * READ_DEPTH + 4] = "";
    char got[4 * READ_DEPTH];
    (void)state;
    memset(text, '[', READ_DEPTH);
    memset(text + READ_DEPTH, ']', READ_DEPTH);
    tokens(text, strlen(text), got, sizeof got);
    assert_int_equal(got[strlen(got) - 1], '.');
    memset(text, '[', READ_DEPTH + 1);
    tokens(text, strlen(text), got, sizeof got);
    assert_int_equal(got[strlen(got) - 1], '!');
}

/* Writes the tokens of a text that was read whole, as `tokens` does. */
static void describe(const struct value *value, char **at)
{
    if (value->kind == VALUE_NULL)
        *at += sprintf(*at, "w(null)");
    else if (value->kind == VALUE_SCALAR)
        *at += sprintf(*at, "%c(%s)",
                       value->quoted                  ? 's'
                       : strchr("tf", value->text[0]) ? 'w'
                                                      : 'n',
                       value->text);
    else
        *at += sprintf(*at, value->kind == VALUE_MAP ? "{" : "[");
    for (uint32_t i = 0; i < value->count; i++) {
        if (value->entries[i].key)
            *at += sprintf(*at, "k(%s)", value->entries[i].key);
        describe(value->entries[i].value, at);
    }
    if (value->kind >= VALUE_LIST)
        *at += sprintf(*at, value->kind == VALUE_MAP ? "}" : "]");
}

static void make(char **at, uint32_t *seed, int depth)
{
    *seed = *seed * 1664525 + 1013904223;
    uint32_t kind = (*seed >> 16) % 8, count = (*seed >> 24) % 5;
    static const char *const scalars[] = {"-12.5", "0", "3e-7", "true", "null", "\"t\\/x\\u0041\"", "\"\""};
    if (depth > 4 || kind < 4) {
        *at += sprintf(*at, "%s", scalars[(*seed >> 8) % 7]);
        return;
    }
    *at += sprintf(*at, kind % 2 ? "{" : " [ ");
    for (uint32_t i = 0; i < count; i++) {
        *at += sprintf(*at, i ? "," : "");
        if (kind % 2)
            *at += sprintf(*at, "\"key%u\" : ", i);
        make(at, seed, depth + 1);
    }
    *at += sprintf(*at, kind % 2 ? "}\n" : "]");
}

static void any_text_says_what_it_says_when_read_whole(void **state)
{
    static char text[1 << 16], wanted[1 << 17], got[1 << 17];
    (void)state;
    for (uint32_t seed = 1; seed <= 300; seed++) {
        uint32_t random = seed;
        char *at = text, *end = wanted;
        struct input input;
        at += sprintf(at, "{\"top\": ");
        make(&at, &random, 0);
        sprintf(at, "}");
        input_init(&input, NULL);
        const struct value *whole = read_json_text(&input, "text", text, strlen(text));
        assert_non_null(whole);
        describe(whole, &end);
        sprintf(end, ".");
        tokens(text, strlen(text), got, sizeof got);
        if (strcmp(got, wanted) != 0)
            fail_msg("seed %u: %s\nread as %s\nexpected %s", seed, text, got, wanted);
        input_fini(&input);
    }
}

static void errors_stand_where_the_text_is_wrong(void **state)
{
    struct input input;
    struct json_stream stream;
    (void)state;
    input_init(&input, NULL);
    const char *text = "{\n  \"a\": 1\n  \"b\": 2\n}";
    json_stream_over(&stream, &input, "text", text, strlen(text));
    while (json_stream_next(&stream) != JSON_STREAM_WRONG)
        continue;
    assert_int_equal(input.report.list.at[0].place.line, 3);
    assert_int_equal(input.report.list.at[0].place.column, 3);
    assert_string_equal(input.report.list.at[0].text, "expected ',' or '}'; got '\"'");
    json_stream_close(&stream);
    input_fini(&input);
}

/* Larger than its buffer, so that tokens lie across its ends. */
static void files_are_the_same_compressed_or_not(void **state)
{
    enum { ITEMS = 60000 };
    const char *const names[] = {"json_stream_test.json", "json_stream_test.json.gz"};
    (void)state;
    FILE *plain = fopen(names[0], "w");
    gzFile packed = gzopen(names[1], "wb");
    fprintf(plain, "[");
    gzprintf(packed, "[");
    for (int i = 0; i < ITEMS; i++) {
        fprintf(plain, "%s\"item %d\"", i ? ", " : "", i);
        gzprintf(packed, "%s\"item %d\"", i ? ", " : "", i);
    }
    fprintf(plain, "]");
    gzprintf(packed, "]");
    assert_int_equal(fclose(plain), 0);
    assert_int_equal(gzclose(packed), Z_OK);
    for (int f = 0; f < 2; f++) {
        struct input input;
        struct json_stream stream;
        char wanted[32];
        input_init(&input, NULL);
        assert_true(json_stream_open(&stream, &input, names[f], (struct place){0}));
        assert_int_equal(json_stream_next(&stream), JSON_STREAM_LIST);
        for (int i = 0; i < ITEMS; i++) {
            snprintf(wanted, sizeof wanted, "item %d", i);
            assert_int_equal(json_stream_next(&stream), JSON_STREAM_STRING);
            assert_string_equal(stream.text.at, wanted);
        }
        assert_int_equal(json_stream_next(&stream), JSON_STREAM_LIST_END);
        assert_int_equal(json_stream_next(&stream), JSON_STREAM_END);
        assert_true(input.arena.total < 1 << 16);
        json_stream_close(&stream);
        input_fini(&input);
        remove(names[f]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_come_in_the_order_of_the_text),
        cmocka_unit_test(escapes_become_characters),
        cmocka_unit_test(what_is_not_well_formed_is_wrong),
        cmocka_unit_test(nesting_ends_where_it_does_elsewhere),
        cmocka_unit_test(any_text_says_what_it_says_when_read_whole),
        cmocka_unit_test(errors_stand_where_the_text_is_wrong),
        cmocka_unit_test(files_are_the_same_compressed_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
