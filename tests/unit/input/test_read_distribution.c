/* Distributions as a user writes them. */
#include "input/read_distribution.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Reads `text` as the value of a key; what was reported is left in *message. */
static bool read(const char *text, enum unit unit, struct distribution *out, char *message)
{
    struct input input;
    input_init(&input, NULL);
    char document[512];
    snprintf(document, sizeof document, "x: %s\n", text);
    struct value *root = document_parse(&input, "test", document, strlen(document), false);
    assert_non_null(root);
    bool good = read_distribution(&input, value_get(root, "x"), "x", unit, NULL, out);
    *message = 0;
    if (input.report.list.count)
        snprintf(message, 256, "%s", input.report.list.at[0].text);
    out->values = NULL; /* they go with the input */
    input_fini(&input);
    return good;
}

static void a_number_is_a_constant(void **state)
{
    (void)state;
    struct distribution d;
    char message[256];
    assert_true(read("1.5", UNIT_NONE, &d, message));
    assert_ptr_equal(d.kind, &distribution_constant);
    assert_true(d.parameter[0] == 1.5);
    assert_true(read("3 ms", UNIT_SECONDS, &d, message));
    assert_true(d.parameter[0] == 3e-3);
}

static void every_kind_reads_its_parameters_with_their_units(void **state)
{
    (void)state;
    for (int i = 0; distribution_kinds[i]; i++) {
        const struct distribution_kind *kind = distribution_kinds[i];
        char text[256], message[256];
        struct distribution d;
        int length = snprintf(text, sizeof text, "{distribution: %s", kind->name);
        for (int p = 0; p < DISTRIBUTION_PARAMETERS && kind->parameters[p].name; p++)
            length += snprintf(text + length, sizeof text - (size_t)length, ", %s: %d%s",
                               kind->parameters[p].name, p + 2, kind->parameters[p].quantity ? " ms" : "");
        if (kind == &distribution_empirical)
            length += snprintf(text + length, sizeof text - (size_t)length, ", values: [1 ms, 2 ms]");
        snprintf(text + length, sizeof text - (size_t)length, "}");
        if (!read(text, UNIT_SECONDS, &d, message))
            fail_msg("%s: %s", text, message);
        assert_ptr_equal(d.kind, kind);
        for (int p = 0; p < DISTRIBUTION_PARAMETERS && kind->parameters[p].name; p++)
            assert_true(fabs(d.parameter[p] - (p + 2) * (kind->parameters[p].quantity ? 1e-3 : 1)) < 1e-15);
    }
}

static void a_file_gives_its_first_column(void **state)
{
    (void)state;
    const char *path = "test_read_distribution.csv";
    FILE *file = fopen(path, "w");
    fputs("seconds,what\n1.5,a\n2.5,b\n\n4 ,c", file);
    fclose(file);
    struct distribution d;
    char message[256];
    assert_true(read("{distribution: empirical, file: test_read_distribution.csv, unit: ms}", UNIT_SECONDS,
                     &d, message));
    assert_int_equal(d.count, 3);
    assert_false(
        read("{distribution: empirical, file: test_read_distribution.csv}", UNIT_SECONDS, &d, message));
    assert_non_null(strstr(message, "`unit`"));
    file = fopen(path, "w");
    fputs("1\ntwo\n", file);
    fclose(file);
    assert_false(read("{distribution: empirical, file: test_read_distribution.csv}", UNIT_NONE, &d, message));
    assert_non_null(strstr(message, "got 'two'"));
    remove(path);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"{distribution: uniform, low: 2, high: 1}", "below"},
        {"{distribution: gamma, shape: 0, scale: 1}", "more than 0"},
        {"{mean: 1}", "distribution: NAME"},
        {"{distribution: normal, mean: 1 s, sd: 2}", "unit"},
        {"{distribution: empirical, values: []}", "needs values"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct distribution d;
        char message[256];
        assert_false(read(wrong[i][0], UNIT_NONE, &d, message));
        if (!strstr(message, wrong[i][1]))
            fail_msg("%s: %s", wrong[i][0], message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_a_constant),
        cmocka_unit_test(every_kind_reads_its_parameters_with_their_units),
        cmocka_unit_test(a_file_gives_its_first_column),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
