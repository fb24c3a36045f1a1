#include "input/read_yaml.h"

#include "reading.h"

static const char *shape_of(const char *text)
{
    return reading_shape(read_yaml_text(&input, "a.yaml", text, strlen(text)));
}

#define expect_shape(text, expected) assert_string_equal(shape_of(text), (expected))

/* The text is refused with exactly these messages. */
static void refuse(const char *text, size_t length, const char *messages)
{
    reading_again();
    const struct value *value = read_yaml_text(&input, "a.yaml", text, length);
    if (value)
        fail_msg("accepted as %s; expected '%s'", reading_shape(value), messages);
    expect_messages(messages);
}

#define REFUSE(text, messages) refuse(text, sizeof(text) - 1, messages)

static void scalars_keep_their_text_and_quotes(void **state)
{
    (void)state;
    expect_shape(
        "a: 25 GB/s\nb: 'it''s'\nc: \"x\\ty\"\nd: |\n  one\n  two\ne: >-\n  one\n  two\nf: one\n  two\n",
        "{a: 25 GB/s, b: 'it's', c: 'x\ty', d: 'one\ntwo\n', e: 'one two', f: one two}");
}

static void what_stands_for_nothing_is_null_unless_quoted(void **state)
{
    (void)state;
    expect_shape("a:\nb: ~\nc: null\nd: 'null'\ne: ''\nf: NULL\ng: nul",
                 "{a: ~, b: ~, c: ~, d: 'null', e: '', f: ~, g: nul}");
    expect_shape("", "~");
    expect_shape("# only a comment\n", "~");
}

static void values_know_line_and_column(void **state)
{
    (void)state;
    const char *text = "first: 1\nmap:\n  µ: [a, bc,\n    {d: e}]\n";
    const struct value *root = read_yaml_text(&input, "a.yaml", text, strlen(text));
    const struct entry *micro = value_entry(value_get(root, "map"), "µ");
    assert_int_equal(root->place.line, 1);
    assert_int_equal(micro->place.line, 3);
    assert_int_equal(micro->place.column, 3);
    assert_int_equal(micro->value->place.column, 6);
    assert_int_equal(micro->value->entries[1].place.column, 10);
    const struct entry *d = value_entry(value_at(root, "map.µ[2]"), "d");
    assert_int_equal(d->place.line, 4);
    assert_int_equal(d->place.column, 6);
    assert_int_equal(d->value->place.column, 9);
    assert_string_equal(d->value->place.file, "a.yaml");
}

static void aliases_are_copies(void **state)
{
    (void)state;
    const char *text = "a: &x {b: [1, 2]}\nc: *x\nd: &y 3\ne: *y\n";
    struct value *root = read_yaml_text(&input, "a.yaml", text, strlen(text));
    assert_string_equal(reading_shape(root), "{a: {b: [1, 2]}, c: {b: [1, 2]}, d: 3, e: 3}");
    assert_true(document_set(&input, root, "c.b[0]", "9"));
    assert_string_equal(reading_shape(root), "{a: {b: [1, 2]}, c: {b: [9, 2]}, d: 3, e: 3}");
}

static void the_latest_anchor_of_a_name_counts(void **state)
{
    (void)state;
    expect_shape("[&x 1, *x, &x 2, *x, &x [3], *x]", "[1, 1, 2, 2, [3], [3]]");
    expect_shape("&k a: *k", "{a: a}");
}

static void merge_keys_and_tags_mean_nothing(void **state)
{
    (void)state;
    expect_shape("a: &x {b: 1}\nc: {<<: *x}\nd: !!str 3\ne: !mine [1]\n",
                 "{a: {b: 1}, c: {<<: {b: 1}}, d: 3, e: [1]}");
}

static void an_alias_without_or_inside_its_anchor_is_an_error(void **state)
{
    (void)state;
    REFUSE("a: *x", "a.yaml:1:4: there is no anchor 'x' before this alias");
    REFUSE("a: &x [1, *x]", "a.yaml:1:11: the alias 'x' stands inside its own anchor");
    REFUSE("&x a: &y {b: *y}", "a.yaml:1:14: the alias 'y' stands inside its own anchor");
}

static void aliases_that_explode_are_an_error(void **state)
{
    (void)state;
    const char *text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
    for (int i = 1; i < 10; i++)
        text = arena_format(&input.arena,
                            "%sa%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n",
                            text, i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    assert_null(read_yaml_text(&input, "a.yaml", text, strlen(text)));
    expect_messages("a.yaml:6:45: aliases expand to more than 1000000 values");
}

static void a_duplicate_key_names_both_places(void **state)
{
    (void)state;
    REFUSE("a: 1\nb: 2\n'a': 3\n", "a.yaml:3:1: duplicate key 'a'; it stands at line 1, column 1 already");
    REFUSE("x: {a: 1, b: {a: 2}, a: 3}",
           "a.yaml:1:22: duplicate key 'a'; it stands at line 1, column 5 already");
}

static void a_key_must_be_a_text(void **state)
{
    (void)state;
    REFUSE("[a]: 1", "a.yaml:1:1: expected a text as key");
    REFUSE("? {a: 1}\n: 2", "a.yaml:1:3: expected a text as key");
    REFUSE("{? : 1}", "a.yaml:1:4: expected a key before ':'");
}

static void a_second_document_is_an_error(void **state)
{
    (void)state;
    expect_shape("---\na: 1\n...\n", "{a: 1}");
    REFUSE("a: 1\n---\nb: 2\n", "a.yaml:2:1: expected one document; a second one starts here");
}

static void syntax_errors_keep_their_place(void **state)
{
    (void)state;
    REFUSE("a: 1\n\tb: 2\n",
           "a.yaml:2:1: found a tab character that violates indentation while scanning a plain scalar that "
           "starts at line 1, column 4");
    REFUSE("a: [1, 2\nb: 3\n", "a.yaml:2:2: did not find expected ',' or ']' while parsing a flow sequence "
                               "that starts at line 1, column 4");
    REFUSE("a: 'x\n", "a.yaml:2:1: found unexpected end of stream while scanning a quoted scalar that starts "
                      "at line 1, column 4");
    REFUSE("a: @x\n",
           "a.yaml:1:4: found character that cannot start any token while scanning for the next token");
}

static void text_that_is_not_utf8_is_an_error_at_its_place(void **state)
{
    (void)state;
    REFUSE("a: 1\nb: \xc3\xa9 \xff\n", "a.yaml:2:6: invalid leading UTF-8 octet");
    REFUSE("a: \xc3", "a.yaml:1:4: incomplete UTF-8 octet sequence");
    REFUSE("a: \x01", "a.yaml:1:4: control characters are not allowed");
}

static void a_text_with_a_nul_is_an_error(void **state)
{
    (void)state;
    REFUSE("a: \"x\\0y\"", "a.yaml:1:4: a text cannot contain the character U+0000");
    REFUSE("\"x\\0y\": 1", "a.yaml:1:1: a key cannot contain the character U+0000");
}

/* `depth` lists in one another, by brackets or through an alias half way. */
static const struct value *read_deep(int depth, bool alias)
{
    char *text = arena_alloc(&input.arena, 100 + 4 * (size_t)depth), *at = text;
    int direct = alias ? depth / 2 : depth;
    if (alias) {
        at += sprintf(at, "- &x ");
        memset(at, '[', (size_t)(depth - direct - 1));
        memset(at + depth - direct - 1, ']', (size_t)(depth - direct - 1));
        at += 2 * (depth - direct - 1);
        at += sprintf(at, "\n- ");
    }
    memset(at, '[', (size_t)direct);
    at += direct;
    if (alias)
        at += sprintf(at, "*x");
    memset(at, ']', (size_t)direct);
    return read_yaml_text(&input, "a.yaml", text, strlen(text));
}

static void deep_nesting_is_refused_from_201_on(void **state)
{
    (void)state;
    assert_non_null(read_deep(200, false));
    assert_non_null(read_deep(200, true));
    expect_messages("");
    assert_null(read_deep(201, false));
    expect_messages("a.yaml:1:201: lists and maps nest deeper than 200");
    reading_again();
    assert_null(read_deep(201, true));
    expect_messages("a.yaml:2:103: lists and maps nest deeper than 200");
    reading_again();
    assert_null(read_deep(20000, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        READING(scalars_keep_their_text_and_quotes),
        READING(what_stands_for_nothing_is_null_unless_quoted),
        READING(values_know_line_and_column),
        READING(aliases_are_copies),
        READING(the_latest_anchor_of_a_name_counts),
        READING(merge_keys_and_tags_mean_nothing),
        READING(an_alias_without_or_inside_its_anchor_is_an_error),
        READING(aliases_that_explode_are_an_error),
        READING(a_duplicate_key_names_both_places),
        READING(a_key_must_be_a_text),
        READING(a_second_document_is_an_error),
        READING(syntax_errors_keep_their_place),
        READING(text_that_is_not_utf8_is_an_error_at_its_place),
        READING(a_text_with_a_nul_is_an_error),
        READING(deep_nesting_is_refused_from_201_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
