#include "input/fields.h"

#include "reading.h"

#include <math.h>

static const char *const schedules[] = {"gpipe", "1f1b", NULL};

struct thing {
    const char *name;
    bool fuse;
    int64_t micro;
    double share, bandwidth, latency, slack;
    int schedule;
    const struct value *links;
};

static const struct field table[] = {
    {"name", FIELD_TEXT, offsetof(struct thing, name), .required = true},
    {"fuse", FIELD_FLAG, .offset = offsetof(struct thing, fuse)},
    {"micro", FIELD_INTEGER, offsetof(struct thing, micro), .low = 1, .high = 4096},
    {"share", FIELD_NUMBER, offsetof(struct thing, share), .low = 0, .high = INFINITY},
    {"bandwidth", FIELD_QUANTITY, offsetof(struct thing, bandwidth), UNIT_BYTES_PER_SECOND, .low = 1,
     .high = 1e15},
    {"latency", FIELD_QUANTITY, offsetof(struct thing, latency), .unit = UNIT_SECONDS},
    {"schedule", FIELD_CHOICE, offsetof(struct thing, schedule), .choices = schedules},
    {.key = "slack",
     .kind = FIELD_NUMBER,
     .offset = offsetof(struct thing, slack),
     .low = -INFINITY,
     .high = 1},
    {"links", FIELD_VALUE, .offset = offsetof(struct thing, links)},
};

static struct thing thing;
static struct scope scope;

static int start(void **state)
{
    thing = (struct thing){.name = "default", .micro = 7, .bandwidth = 3, .schedule = -1};
    scope = (struct scope){0};
    scope_bind(&scope, "nodes", (struct quantity){8, UNIT_NONE});
    scope_bind(&scope, "speed", (struct quantity){5e9, UNIT_BYTES_PER_SECOND});
    scope_bind_text(&scope, "order", "1f1b");
    return reading_start(state);
}

static int end(void **state)
{
    scope_fini(&scope);
    return reading_end(state);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, start, end)

static bool read_map(const struct value *map)
{
    return fields_read(&input, map, (struct place){"a.yaml", 9, 9}, "device type", table, FIELDS_COUNT(table),
                       &scope, &thing);
}

/* Reads `{name: x, TEXT}` and compares all messages; their absence must agree with the result. */
static void check(const char *text, const char *messages)
{
    char whole[256];
    snprintf(whole, sizeof whole, "name: x\n%s\n", text);
    reading_again();
    bool well = read_map(read_text(whole));
    expect_messages(messages);
    assert_int_equal(well, *messages == '\0');
}

static void every_kind_is_read_into_its_target(void **state)
{
    (void)state;
    check("fuse: yes\nmicro: 2 * nodes\nshare: 50%\nbandwidth: 200 Gbps\nlatency: 1.5 us\nschedule: "
          "1f1b\nlinks: [1, 2]",
          "");
    assert_string_equal(thing.name, "x");
    assert_true(thing.fuse);
    assert_int_equal(thing.micro, 16);
    expect_number(thing.share, .5);
    expect_number(thing.bandwidth, 25e9);
    expect_number(thing.latency, 1.5 * 1e-6);
    assert_int_equal(thing.schedule, 1);
    assert_string_equal(reading_shape(thing.links), "[1, 2]");
}

static void json_strings_are_read_the_same_way(void **state)
{
    (void)state;
    assert_true(read_map(
        read_json("{\"name\": \"x\", \"fuse\": true, \"micro\": 16, \"share\": 0.5,\n"
                  "\"bandwidth\": \"5 * nodes * 5 Gbps\", \"latency\": \"1 ms\", \"schedule\": \"gpipe\"}")));
    expect_messages("");
    assert_true(thing.fuse);
    assert_int_equal(thing.micro, 16);
    expect_number(thing.share, .5);
    expect_number(thing.bandwidth, 25e9);
    expect_number(thing.latency, 1e-3);
    assert_int_equal(thing.schedule, 0);
}

static void a_key_that_is_absent_leaves_its_default(void **state)
{
    (void)state;
    check("", "");
    assert_int_equal(thing.micro, 7);
    expect_number(thing.bandwidth, 3);
    assert_int_equal(thing.schedule, -1);
    assert_null(thing.links);
}

static void a_value_that_is_refused_leaves_its_default(void **state)
{
    (void)state;
    check("micro: 0\nbandwidth: 25\nschedule: gpip\nfuse: 2",
          "a.yaml:5:7: expected yes or no; got '2'\n"
          "a.yaml:2:8: expected micro between 1 and 4096; got 0\n"
          "a.yaml:3:12: expected a bandwidth with its unit, such as 25 GB/s or 200 Gbps; got '25'\n"
          "a.yaml:4:11: expected one of gpipe, 1f1b; got 'gpip'; did you mean 'gpipe'?");
    assert_int_equal(thing.micro, 7);
    expect_number(thing.bandwidth, 3);
    assert_int_equal(thing.schedule, -1);
    assert_false(thing.fuse);
}

static void a_bare_number_where_a_unit_is_needed_is_an_error(void **state)
{
    (void)state;
    check("latency: 25", "a.yaml:2:10: expected a time with its unit, such as 1.5 us or 3 ms; got '25'");
    check("latency: \"nodes\"",
          "a.yaml:2:10: expected a time with its unit, such as 1.5 us or 3 ms; got 'nodes'");
    check("latency: 0", "");
    expect_number(thing.latency, 0);
}

static void a_wrong_unit_is_named(void **state)
{
    (void)state;
    check("bandwidth: 25 GB",
          "a.yaml:2:12: expected a bandwidth with its unit, such as 25 GB/s or 200 Gbps; '25 GB' is a size");
    check("micro: 25 GB", "a.yaml:2:8: expected a number without unit, such as 64 or 50%; '25 GB' is a size");
    check("bandwidth: 25 Gpbs", "a.yaml:2:15: unknown unit 'Gpbs'; did you mean 'Gbps'?");
    check("bandwidth: \"25 Gpbs\"", "a.yaml:2:16: unknown unit 'Gpbs'; did you mean 'Gbps'?");
}

static void a_number_out_of_range_is_an_error_that_names_the_range(void **state)
{
    (void)state;
    check("micro: 4097", "a.yaml:2:8: expected micro between 1 and 4096; got 4097");
    check("micro: 4096", "");
    check("slack: 1.5", "a.yaml:2:8: expected slack at most 1; got 1.5");
    check("slack: -1e9", "");
    check("share: -1", "a.yaml:2:8: expected share at least 0; got -1");
    check("bandwidth: 2 EB/s", "a.yaml:2:12: expected bandwidth between 1 B/s and 1 PB/s; got 2 EB/s");
}

static void an_integer_must_be_whole_and_exact(void **state)
{
    (void)state;
    check("micro: 2.5", "a.yaml:2:8: expected a whole number; got 2.5");
    check("micro: 1e1", "");
    assert_int_equal(thing.micro, 10);
    static const struct field free_integer = {.key = "n", .kind = FIELD_INTEGER};
    int64_t n = 0;
    struct value *value = value_get(read_text("n: 9007199254740992\nm: 9007199254740994"), "n");
    assert_true(fields_read_one(&input, value, &free_integer, NULL, &n));
    assert_true(n == INT64_C(9007199254740992));
    value = value_get(read_text("m: 9007199254740994"), "m");
    assert_false(fields_read_one(&input, value, &free_integer, NULL, &n));
    expect_messages("a.yaml:1:4: expected a whole number up to 2^53; got 9.00719925474099e+15");
}

static void flags_are_words_or_conditions(void **state)
{
    (void)state;
    static const char *const truths[] = {"yes", "true", "on", "Yes", "TRUE", "nodes > 4", "1", "\"yes\""};
    static const char *const lies[] = {"no", "false", "off", "No", "nodes < 4", "0", "not 1"};
    for (size_t i = 0; i < FIELDS_COUNT(truths); i++) {
        thing.fuse = false;
        check(arena_format(&input.arena, "fuse: %s", truths[i]), "");
        if (!thing.fuse)
            fail_msg("'%s' is no", truths[i]);
    }
    for (size_t i = 0; i < FIELDS_COUNT(lies); i++) {
        thing.fuse = true;
        check(arena_format(&input.arena, "fuse: %s", lies[i]), "");
        if (thing.fuse)
            fail_msg("'%s' is yes", lies[i]);
    }
    check("fuse: yess", "a.yaml:2:7: expected yes or no; got the text 'yess'; did you mean 'yes'?");
    check("fuse: nodes > ", "a.yaml:2:14: expected a number, a name or '('; got the end");
    check("fuse: [1]", "a.yaml:2:7: expected yes or no for 'fuse'; got a list");
    check("fuse: 1 GB", "a.yaml:2:7: expected yes or no; got '1 GB'");
}

static void a_name_bound_to_a_text_stands_for_it(void **state)
{
    (void)state;
    check("schedule: order", "");
    assert_int_equal(thing.schedule, 1);
    assert_true(read_map(read_text("name: order")));
    assert_string_equal(thing.name, "1f1b");
    assert_true(read_map(read_text("name: nodes")));
    assert_string_equal(thing.name, "nodes");
}

static void an_unknown_key_suggests_the_nearest(void **state)
{
    (void)state;
    check("bandwith: 1 GB/s", "a.yaml:2:1: unknown key 'bandwith' in device type; did you mean 'bandwidth'?");
    check("zebra: 1", "a.yaml:2:1: unknown key 'zebra' in device type; expected one of name, fuse, micro, "
                      "share, bandwidth, "
                      "latency, schedule, slack, links");
}

static void a_missing_required_key_is_reported_at_the_map(void **state)
{
    (void)state;
    assert_false(read_map(value_get(read_text("a:\n  {micro: 3}"), "a")));
    expect_messages("a.yaml:2:3: missing key 'name' in device type; expected a text");
    assert_int_equal(thing.micro, 3);
}

static void no_map_misses_every_required_key(void **state)
{
    (void)state;
    assert_false(read_map(NULL));
    expect_messages("a.yaml:9:9: missing key 'name' in device type; expected a text");
}

static void a_wrong_type_is_reported_with_what_it_is(void **state)
{
    (void)state;
    check("micro: {a: 1}\nlatency:\nschedule: []",
          "a.yaml:2:8: expected a whole number for 'micro'; got a map\n"
          "a.yaml:3:9: expected a time with its unit, such as 1.5 us or 3 ms for 'latency'; got nothing\n"
          "a.yaml:4:11: expected one of gpipe, 1f1b for 'schedule'; got a list");
    check("micro: ''", "a.yaml:2:8: expected a number without unit, such as 64 or 50%; got an empty text");
    assert_false(read_map(value_get(read_text("a: [1]"), "a")));
    assert_string_equal(input.report.list.at[input.report.list.count - 1].text,
                        "expected a map for device type; got a list");
}

static void maps_and_lists_are_wanted_by_shape(void **state)
{
    (void)state;
    struct value *root = read_text("m: {}\nl: []\ns: text\nn:");
    struct place where = {"a.yaml", 7, 7};
    assert_true(fields_want_map(&input, value_get(root, "m"), where, "links"));
    assert_true(fields_want_list(&input, value_get(root, "l"), where, "stages"));
    expect_messages("");
    assert_false(fields_want_map(&input, value_get(root, "s"), where, "links"));
    assert_false(fields_want_list(&input, value_get(root, "n"), where, "stages"));
    assert_false(fields_want_list(&input, NULL, where, "stages"));
    expect_messages("a.yaml:3:4: expected a map for links; got the text 'text'\n"
                    "a.yaml:4:3: expected a list for stages; got nothing\n"
                    "a.yaml:7:7: expected a list for stages; got nothing");
}

static void a_name_that_is_not_there_suggests_the_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"a100", "h100"};
    assert_false(fields_no_such(&input, (struct place){"a.yaml", 1, 2}, "device type", "a10", names, 2));
    assert_false(fields_no_such(&input, (struct place){"a.yaml", 1, 3}, "device type", "tpu", names, 2));
    assert_false(fields_no_such(&input, (struct place){"a.yaml", 1, 4}, "device type", "tpu", NULL, 0));
    expect_messages("a.yaml:1:2: there is no device type 'a10'; did you mean 'a100'?\n"
                    "a.yaml:1:3: there is no device type 'tpu'; expected one of a100, h100\n"
                    "a.yaml:1:4: there is no device type 'tpu'");
}

static void values_of_the_command_line_are_reported_by_their_option(void **state)
{
    (void)state;
    struct value *root = read_text("name: x\nmicro: 3");
    assert_true(document_set(&input, root, "bandwidth", "54"));
    assert_true(document_set(&input, root, "latensy", "1 ms"));
    assert_false(read_map(root));
    expect_messages(
        "--set latensy: unknown key 'latensy' in device type; did you mean 'latency'?\n"
        "--set bandwidth: expected a bandwidth with its unit, such as 25 GB/s or 200 Gbps; got '54'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_kind_is_read_into_its_target),
        TEST(json_strings_are_read_the_same_way),
        TEST(a_key_that_is_absent_leaves_its_default),
        TEST(a_value_that_is_refused_leaves_its_default),
        TEST(a_bare_number_where_a_unit_is_needed_is_an_error),
        TEST(a_wrong_unit_is_named),
        TEST(a_number_out_of_range_is_an_error_that_names_the_range),
        TEST(an_integer_must_be_whole_and_exact),
        TEST(flags_are_words_or_conditions),
        TEST(a_name_bound_to_a_text_stands_for_it),
        TEST(an_unknown_key_suggests_the_nearest),
        TEST(a_missing_required_key_is_reported_at_the_map),
        TEST(no_map_misses_every_required_key),
        TEST(a_wrong_type_is_reported_with_what_it_is),
        TEST(maps_and_lists_are_wanted_by_shape),
        TEST(a_name_that_is_not_there_suggests_the_nearest),
        TEST(values_of_the_command_line_are_reported_by_their_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
