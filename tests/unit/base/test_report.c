#include "base/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct report report;

static int start(void **state)
{
    (void)state;
    report_init(&report);
    return 0;
}

static int end(void **state)
{
    (void)state;
    report_fini(&report);
    return 0;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, start, end)

static void expect_printed(const char *expected)
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    assert_non_null(file);
    report_print(&report, file);
    fclose(file);
    char copy[1024];
    assert_true(length < sizeof copy);
    memcpy(copy, text, length + 1);
    free(text);
    assert_string_equal(copy, expected);
}

static void messages_are_printed_with_as_much_place_as_is_known(void **state)
{
    (void)state;
    assert_false(report_error(&report, (struct place){"a.yaml", 3, 7}, "unknown key '%s'", "x"));
    report_warning(&report, (struct place){.file = "--set plan.tensor"}, "has no effect");
    assert_false(report_error(&report, (struct place){0}, "nothing to do"));
    expect_printed("a.yaml:3:7: error: unknown key 'x'\n--set plan.tensor: warning: has no effect\nerror: "
                   "nothing to do\n");
    assert_int_equal(report.errors, 2);
    assert_int_equal(report.warnings, 1);
}

static void the_same_message_at_the_same_place_is_kept_once(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_false(report_error(&report, (struct place){"a.yaml", 3, 7}, "wrong"));
    report_error(&report, (struct place){"a.yaml", 3, 8}, "wrong");
    report_error(&report, (struct place){"a.yaml", 4, 7}, "wrong");
    report_error(&report, (struct place){"a.yaml", 3, 7}, "also wrong");
    assert_int_equal(report.errors, 4);
    assert_int_equal(report.list.count, 4);
}

static void the_file_name_is_a_copy(void **state)
{
    (void)state;
    char file[] = "a.yaml";
    report_error(&report, (struct place){file, 1, 1}, "wrong");
    file[0] = 'b';
    expect_printed("a.yaml:1:1: error: wrong\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_are_printed_with_as_much_place_as_is_known),
        TEST(the_same_message_at_the_same_place_is_kept_once),
        TEST(the_file_name_is_a_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
