/* Levels of the network and changes of capacity from the workload to the result. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/network_model.h"
#include "partita.h"
#include "plan/workload.h"
#include "plan/workload_network.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *const workload = "vgg16-four-pis";

enum { SETS = 4 };

/* What a call printed. */
struct printed {
    char *out, *err;
    enum partita_status status;
};

static struct printed call(const char *levels, bool run, const char *const sets[SETS])
{
    struct printed printed = {0};
    size_t sizes[2];
    uint32_t count = 0;
    while (count < SETS && sets[count])
        count++;
    struct partita_options options = {.workload = workload, .sets = sets, .set_count = count, .json = true};
    FILE *out = open_memstream(&printed.out, &sizes[0]), *err = open_memstream(&printed.err, &sizes[1]);
    printed.status =
        run ? partita_run(&options, out, err) : partita_compare_levels(&options, levels, out, err);
    fclose(out);
    fclose(err);
    return printed;
}

static void forget(struct printed printed)
{
    free(printed.out);
    free(printed.err);
}

static double step_time(const char *const sets[SETS])
{
    struct printed printed = call(NULL, true, sets);
    if (printed.status != PARTITA_OK)
        fail_msg("%s", printed.err);
    json_t *object = json_loads(printed.out, 0, NULL);
    double seconds = json_real_value(json_object_get(object, "step_time_s"));
    json_decref(object);
    forget(printed);
    return seconds;
}

static void the_workload_s_levels_are_the_network_s(void **state)
{
    (void)state;
    uint32_t count = 0;
    for (; network_model_table[count]; count++)
        assert_string_equal(workload_network_levels[count], network_model_table[count]->name);
    assert_null(workload_network_levels[count]);
    assert_string_equal(workload_network_levels[WORKLOAD_NETWORK_FLUID], fluid_model.name);
}

static void compare_prints_what_each_level_run_alone_gives(void **state)
{
    (void)state;
    struct printed printed = call("", false, (const char *[SETS]){NULL});
    assert_int_equal(printed.status, PARTITA_OK);
    json_t *rows = json_loads(printed.out, 0, NULL);
    assert_int_equal(json_array_size(rows), 4);
    double fluid = json_real_value(json_object_get(json_array_get(rows, 2), "step_time_s"));
    for (size_t i = 0; i < 4; i++) {
        json_t *row = json_array_get(rows, i);
        char set[64];
        snprintf(set, sizeof set, "network.level=%s", network_model_table[i]->name);
        double seconds = json_real_value(json_object_get(row, "step_time_s"));
        assert_true(seconds == step_time((const char *[SETS]){set}));
        assert_true(json_real_value(json_object_get(row, "difference")) == seconds / fluid - 1);
        assert_true(json_integer_value(json_object_get(row, "events")) > 0);
    }
    json_decref(rows);
    forget(printed);
}

static void compare_takes_a_list_and_rejects_what_is_no_level(void **state)
{
    (void)state;
    struct printed printed = call("packet,ideal", false, (const char *[SETS]){NULL});
    assert_int_equal(printed.status, PARTITA_OK);
    json_t *rows = json_loads(printed.out, 0, NULL);
    assert_int_equal(json_array_size(rows), 2);
    assert_true(json_real_value(json_object_get(json_array_get(rows, 0), "difference")) == 0);
    json_decref(rows);
    forget(printed);
    printed = call("fluids", false, (const char *[SETS]){NULL});
    assert_int_equal(printed.status, PARTITA_BAD_INPUT);
    assert_non_null(strstr(printed.err, "did you mean 'fluid'?"));
    forget(printed);
}

static void a_level_that_fails_does_not_keep_the_others_from_running(void **state)
{
    (void)state;
    struct printed printed = call("fluid,packet", false, (const char *[SETS]){"network.packets=10"});
    assert_int_equal(printed.status, PARTITA_FAILED);
    json_t *rows = json_loads(printed.out, 0, NULL);
    assert_true(json_real_value(json_object_get(json_array_get(rows, 0), "step_time_s")) > 0);
    assert_non_null(
        strstr(json_string_value(json_object_get(json_array_get(rows, 1), "error")), "10 packets"));
    json_decref(rows);
    forget(printed);
}

/* A medium of half the bandwidth from the start is a medium of that bandwidth. */
static void a_change_at_the_start_is_another_topology(void **state)
{
    (void)state;
    double half = step_time((const char *[SETS]){"links.wifi.bandwidth=10 Mbps"});
    const char *share = "network.changes=[{at: 0 s, link: wifi, bandwidth: 50%}]";
    assert_true(step_time((const char *[SETS]){"links.wifi.bandwidth=20 Mbps", share}) == half);
    const char *late = "network.changes=[{at: 100 s, link: wifi, bandwidth: 0%}]";
    assert_true(step_time((const char *[SETS]){"links.wifi.bandwidth=10 Mbps", late}) == half);
    const char *away = "network.changes=[{at: 0 s, link: wifi, bandwidth: 0 Mbps}, "
                       "{at: 5 s, link: wifi, bandwidth: 50%}]";
    double later = step_time((const char *[SETS]){"links.wifi.bandwidth=20 Mbps", away});
    assert_true(later > 5 && later < half + 5.001);
}

static void a_wrong_change_is_reported_with_what_was_expected(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[{at: 1 s, link: wify, bandwidth: 50%}]", "there is no link 'wify'; did you mean 'wifi'?"},
        {"[{at: 1 s, link: wifi, bandwidth: 50}]", "expected a bandwidth"},
        {"[{at: 1 s, link: wifi, bandwidth: -5%}]", "expected bandwidth between 0"},
        {"[{at: 1, link: wifi, bandwidth: 5%}]", "expected a time"},
        {"[{at: 1 s, bandwidth: 5%}]", "missing key 'link'"},
        {"{at: 1 s}", "expected a list"},
        {"[wifi]", "expected a map"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char set[256];
        snprintf(set, sizeof set, "network.changes=%s", cases[i][0]);
        struct printed printed = call(NULL, true, (const char *[SETS]){set});
        assert_int_equal(printed.status, PARTITA_BAD_INPUT);
        if (!strstr(printed.err, cases[i][1]))
            fail_msg("'%s' is not in: %s", cases[i][1], printed.err);
        forget(printed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_workload_s_levels_are_the_network_s),
        cmocka_unit_test(compare_prints_what_each_level_run_alone_gives),
        cmocka_unit_test(compare_takes_a_list_and_rejects_what_is_no_level),
        cmocka_unit_test(a_level_that_fails_does_not_keep_the_others_from_running),
        cmocka_unit_test(a_change_at_the_start_is_another_topology),
        cmocka_unit_test(a_wrong_change_is_reported_with_what_was_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
