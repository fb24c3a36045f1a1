#include "input/read_json.h"

#include "reading.h"

#define expect_shape(text, expected)                                                                         \
    assert_string_equal(reading_shape(read_json_text(&input, "a.json", text, strlen(text))), (expected))

static void refuse(const char *text, size_t length, const char *messages)
{
    reading_again();
    const struct value *value = read_json_text(&input, "a.json", text, length);
    if (value)
        fail_msg("accepted as %s; expected '%s'", reading_shape(value), messages);
    expect_messages(messages);
}

#define REFUSE(text, messages) refuse(text, sizeof(text) - 1, messages)

static void every_kind_of_value_is_read(void **state)
{
    (void)state;
    expect_shape(" {\"a\": [1, -2.50e3, true, false, null, \"x\", {}, []], \"b\": {\"c\": \"d\"}}\n",
                 "{a: [1, -2.50e3, true, false, ~, 'x', {}, []], b: {c: 'd'}}");
    expect_shape("[1,2]", "[1, 2]");
    expect_shape("\xef\xbb\xbf{}", "{}");
    expect_shape("", "~");
}

static void numbers_keep_every_digit(void **state)
{
    (void)state;
    expect_shape("[123456789012345678901234567890, 0.10]", "[123456789012345678901234567890, 0.10]");
}

static void escapes_and_surrogates_are_decoded(void **state)
{
    (void)state;
    expect_shape("[\"\\u00b5s \\ud83d\\ude00 \\\" \\\\ \\/ \\n\\t\", \"µ]}\"]",
                 "['µs \xf0\x9f\x98\x80 \" \\ / \n\t', 'µ]}']");
    expect_shape("{\"\\u0061b\": 1}", "{ab: 1}");
}

static void values_know_line_and_column(void **state)
{
    (void)state;
    const char *text = "{\n  \"µ\": [1, \"a\\nb\", {\"d\":\n 7}]}";
    const struct value *root = read_json_text(&input, "a.json", text, strlen(text));
    const struct entry *micro = value_entry(root, "µ");
    assert_int_equal(root->place.line, 1);
    assert_int_equal(root->place.column, 1);
    assert_int_equal(micro->place.line, 2);
    assert_int_equal(micro->place.column, 3);
    assert_int_equal(micro->value->place.column, 8);
    assert_int_equal(micro->value->entries[1].place.column, 12);
    assert_int_equal(value_entry(micro->value->entries[2].value, "d")->place.column, 21);
    assert_int_equal(value_at(root, "µ[2].d")->place.line, 3);
    assert_int_equal(value_at(root, "µ[2].d")->place.column, 2);
    assert_string_equal(root->place.file, "a.json");
}

static void a_duplicate_key_names_both_places(void **state)
{
    (void)state;
    REFUSE("{\"a\": 1,\n \"b\": 2, \"\\u0061\": 3}",
           "a.json:2:10: duplicate key 'a'; it stands at line 1, column 2 already");
}

static void syntax_errors_keep_their_place(void **state)
{
    (void)state;
    REFUSE("{\"a\": 1,}", "a.json:1:9: string or '}' expected near '}'");
    REFUSE("{\n\"a\": [1 2]}", "a.json:2:9: ']' expected near '2'");
    REFUSE("{\"a\": 1} x", "a.json:1:10: end of file expected near 'x'");
    REFUSE("[1", "a.json:1:2: ']' expected near end of file");
    REFUSE("{a: 1}", "a.json:1:2: string or '}' expected near 'a'");
    REFUSE("[01]", "a.json:1:2: invalid token near '0'");
    REFUSE("[NaN]", "a.json:1:4: invalid token near 'NaN'");
}

static void text_that_is_not_utf8_is_an_error(void **state)
{
    (void)state;
    REFUSE("[\"\xff\"]", "a.json:1:2: unable to decode byte 0xff near '\"'");
}

static void a_text_with_a_nul_is_an_error(void **state)
{
    (void)state;
    REFUSE("[\"x\\u0000\"]", "a.json:1:10: a text cannot contain the character U+0000");
    REFUSE("[1]\0", "a.json:1:4: a text cannot contain the character U+0000");
    REFUSE("[1\0]", "a.json:1:3: a text cannot contain the character U+0000");
}

static void deep_nesting_is_refused_from_201_on(void **state)
{
    (void)state;
    for (int depth = 200; depth <= 20000; depth = depth == 200 ? 201 : depth == 201 ? 3000 : depth * 10) {
        reading_again();
        char *text = arena_alloc(&input.arena, 2 * (size_t)depth + 1);
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        const struct value *value = read_json_text(&input, "a.json", text, strlen(text));
        if ((value != NULL) != (depth == 200))
            fail_msg("depth %d is %s", depth, value ? "accepted" : "refused");
        if (depth == 201)
            expect_messages("a.json:1:201: lists and maps nest deeper than 200");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        READING(every_kind_of_value_is_read),         READING(numbers_keep_every_digit),
        READING(escapes_and_surrogates_are_decoded),  READING(values_know_line_and_column),
        READING(a_duplicate_key_names_both_places),   READING(syntax_errors_keep_their_place),
        READING(text_that_is_not_utf8_is_an_error),   READING(a_text_with_a_nul_is_an_error),
        READING(deep_nesting_is_refused_from_201_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
