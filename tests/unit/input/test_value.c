#include "input/read_yaml.h"

#include "reading.h"

static const struct place nowhere;

static void a_key_is_found_among_many_and_a_duplicate_refused(void **state)
{
    (void)state;
    struct value *map = value_new(&input.arena, nowhere, VALUE_MAP);
    for (int i = 0; i < 5000; i++) {
        char key[16], text[16];
        snprintf(key, sizeof key, "k%d", i);
        snprintf(text, sizeof text, "%d", i * i);
        assert_null(value_get(map, key));
        assert_true(
            value_put(&input.arena, map, key, nowhere, value_new_scalar(&input.arena, nowhere, text, false)));
        assert_false(
            value_put(&input.arena, map, key, nowhere, value_new(&input.arena, nowhere, VALUE_NULL)));
    }
    assert_int_equal(map->count, 5000);
    for (uint32_t i = 0; i < 5000; i++) {
        char key[16], text[16];
        snprintf(key, sizeof key, "k%u", i);
        snprintf(text, sizeof text, "%u", i * i);
        assert_string_equal(map->entries[i].key, key);
        assert_string_equal(value_get(map, key)->text, text);
    }
}

static void get_of_what_is_no_map_is_nothing(void **state)
{
    (void)state;
    assert_null(value_get(NULL, "a"));
    assert_null(value_get(read_text("a: 1"), "b"));
    assert_null(value_get(value_get(read_text("a: [b]"), "a"), "b"));
    assert_null(value_get(value_new(&input.arena, nowhere, VALUE_MAP), "a"));
}

static void at_follows_a_dotted_path(void **state)
{
    (void)state;
    const struct value *root =
        read_text("plan: {stages: [{d: 0}, {d: [5, [6, 7]]}]}\na.b: {c: 1, d.e: 2}\na: {b: {c: 3, x: 4}}\n"
                  "'pi[0]': {z: 8}\n");
    static const char *const cases[][2] = {
        {"plan.stages[1].d[0]", "5"},
        {"plan.stages[1].d[1][1]", "7"},
        {"plan.stages[0]", "{d: 0}"},
        {"a.b.c", "1"},
        {"a.b.d.e", "2"},
        {"a.b.x", "4"},
        {"pi[0].z", "8"},
        {"plan.stages[2]", "(none)"},
        {"plan.stages[-1]", "(none)"},
        {"plan.stages[1", "(none)"},
        {"plan.stages[x]", "(none)"},
        {"plan.none", "(none)"},
        {"", "(none)"},
        {".", "(none)"},
        {"plan.", "(none)"},
        {"plan.stages[99999999999999999999]", "(none)"},
        {"plan[0]", "(none)"},
        {"pi[0]z", "(none)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = reading_shape(value_at(root, cases[i][0]));
        if (strcmp(got, cases[i][1]) != 0)
            fail_msg("'%s' is %s; expected %s", cases[i][0], got, cases[i][1]);
    }
    assert_null(value_at(NULL, "a"));
}

static void a_clone_is_equal_and_separate(void **state)
{
    (void)state;
    struct value *root = read_text("a: {b: [1, 'x', ~]}\nc: 2\n"), *copy = value_clone(&input.arena, root);
    assert_string_equal(reading_shape(copy), reading_shape(root));
    assert_int_equal(value_at(copy, "a.b[1]")->place.column, value_at(root, "a.b[1]")->place.column);
    assert_true(document_set(&input, copy, "a.b[0]", "9"));
    assert_string_equal(reading_shape(root), "{a: {b: [1, 'x', ~]}, c: 2}");
    assert_string_equal(reading_shape(copy), "{a: {b: [9, 'x', ~]}, c: 2}");
}

static void describe_says_what_a_value_is(void **state)
{
    (void)state;
    const struct value *root = read_text("a: {}\nb: []\nc: text\nd: ''\ne:\n");
    static const char *const cases[][2] = {{"a", "a map"},         {"b", "a list"},  {"c", "the text 'text'"},
                                           {"d", "an empty text"}, {"e", "nothing"}, {"f", "nothing"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(value_describe(value_get(root, cases[i][0]), &input.arena), cases[i][1]);
}

static void leaves_are_written_in_one_line_and_maps_in_many(void **state)
{
    (void)state;
    const char *text = "name: GPT-3 175B, tensor 8\nbatch: {global: 64, micro: 1}\nplan:\n  stages:\n"
                       "  - {layers: conv1_1..pool5, devices: 'pi[*]'}\n  - layers: flatten..softmax\n"
                       "    devices: [gateway, pi]\n  empty: {}\nlatency: 1.5 µs\nnothing: ~\n";
    const struct value *root = read_text(text);
    expect_messages("");
    assert_string_equal(value_write(root, &input.arena), text);
}

static const char long_key[] =
    "longer than what YAML allows as a simple key, which is one hundred and twenty-eight "
    "characters, and with a comma, a colon: and so on and on and on";

/* Odd texts: what YAML could take for something else. */
static const char *const odd[] = {"",
                                  " ",
                                  "~",
                                  "null",
                                  "yes",
                                  "1",
                                  "- a",
                                  "a: b",
                                  "a:",
                                  ":",
                                  "#",
                                  "a #b",
                                  "'",
                                  "\"",
                                  "\\",
                                  "\n",
                                  "a\nb",
                                  "a\n\nb\n",
                                  " a",
                                  "a ",
                                  "\t",
                                  "[",
                                  "]",
                                  "{",
                                  "}",
                                  ",",
                                  "a, b",
                                  "&a",
                                  "*a",
                                  "!a",
                                  "|",
                                  ">",
                                  "%",
                                  "@",
                                  "`",
                                  "?",
                                  "? a",
                                  "-",
                                  "---",
                                  "...",
                                  "--- a",
                                  "<<",
                                  "\xc2\x85",
                                  "\xe2\x80\xa8",
                                  "\xef\xbb\xbf",
                                  "µs",
                                  "\xf0\x9f\x98\x80",
                                  "\x7f",
                                  "\x1b",
                                  "\xc2\xa0",
                                  "pi[0..5]",
                                  "50%",
                                  "2 * (n + 1)",
                                  "\r",
                                  "\r\n",
                                  "a\tb",
                                  "\xef\xbf\xbf",
                                  "0x1F",
                                  "1e9",
                                  "=",
                                  "a'b\"c",
                                  long_key};
enum { ODD = sizeof odd / sizeof odd[0] };

static struct value *random_tree(uint64_t *seed, int depth)
{
    uint64_t kind = reading_random(seed) % (depth > 0 ? 8 : 4);
    if (kind == 0)
        return value_new(&input.arena, nowhere, VALUE_NULL);
    if (kind < 4)
        return value_new_scalar(&input.arena, nowhere, odd[reading_random(seed) % ODD],
                                reading_random(seed) % 2);
    struct value *value = value_new(&input.arena, nowhere, kind < 6 ? VALUE_LIST : VALUE_MAP);
    for (uint64_t i = reading_random(seed) % 5; i > 0; i--) {
        struct value *item = random_tree(seed, depth - 1);
        if (value->kind == VALUE_LIST)
            value_append(&input.arena, value, item);
        else
            value_put(&input.arena, value, odd[reading_random(seed) % ODD], nowhere, item);
    }
    return value;
}

/* Equal but for quotes that a plain text had to be given. */
static bool same(const struct value *a, const struct value *b)
{
    if (a->kind != b->kind || a->count != b->count || (a->text && strcmp(a->text, b->text) != 0) ||
        (a->quoted && !b->quoted))
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct entry *x = &a->entries[i], *y = &b->entries[i];
        if ((x->key && strcmp(x->key, y->key) != 0) || !same(x->value, y->value))
            return false;
    }
    return true;
}

static void random_trees_read_back_as_they_were_written(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        uint64_t random = seed * 0x9e3779b97f4a7c15u;
        reading_again();
        const struct value *tree = random_tree(&random, 5);
        const char *text = value_write(tree, &input.arena);
        const struct value *back = read_yaml_text(&input, "a.yaml", text, strlen(text));
        if (!back || !same(tree, back))
            fail_msg("seed %d: %s\nwas written as\n%s\nand read as %s %s", (int)seed, reading_shape(tree),
                     text, reading_shape(back), reading_messages());
        assert_string_equal(value_write(back, &input.arena), text);
    }
}

static void a_large_document_is_written_whole(void **state)
{
    (void)state;
    struct value *map = value_new(&input.arena, nowhere, VALUE_MAP);
    for (int i = 0; i < 20000; i++) {
        const char *text = arena_format(&input.arena, "%d", i);
        value_put(&input.arena, map, arena_format(&input.arena, "key%d", i), nowhere,
                  value_new_scalar(&input.arena, nowhere, text, false));
    }
    const char *text = value_write(map, &input.arena);
    const struct value *back = read_yaml_text(&input, "a.yaml", text, strlen(text));
    expect_messages("");
    assert_true(same(map, back));
}

static void what_was_read_is_written_with_the_same_quotes(void **state)
{
    (void)state;
    const char *text = "a: 'x'\nb: 1\nc: |-\n  two\n  lines\nd: one\n  two\ne: [null, 'null', ~, \"~\"]\n";
    const struct value *root = read_text(text);
    const char *written = value_write(root, &input.arena);
    assert_string_equal(reading_shape(read_text(written)), reading_shape(root));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        READING(a_key_is_found_among_many_and_a_duplicate_refused),
        READING(get_of_what_is_no_map_is_nothing),
        READING(at_follows_a_dotted_path),
        READING(a_clone_is_equal_and_separate),
        READING(describe_says_what_a_value_is),
        READING(leaves_are_written_in_one_line_and_maps_in_many),
        READING(random_trees_read_back_as_they_were_written),
        READING(a_large_document_is_written_whole),
        READING(what_was_read_is_written_with_the_same_quotes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
