#include "input/expression.h"

#include "reading.h"

#include <math.h>

static struct scope scope;
static const double odd[] = {1, 3, 5};

static int start(void **state)
{
    scope = (struct scope){0};
    scope_bind(&scope, "nodes", (struct quantity){8, UNIT_NONE});
    scope_bind(&scope, "micro-batch", (struct quantity){4, UNIT_NONE});
    scope_bind(&scope, "micro", (struct quantity){2, UNIT_NONE});
    scope_bind(&scope, "speed", (struct quantity){1e9, UNIT_BYTES_PER_SECOND});
    scope_bind_text(&scope, "device", "a100");
    scope_bind_list(&scope, "odd", odd, 3);
    scope_bind_list(&scope, "empty", odd, 0);
    return reading_start(state);
}

static int end(void **state)
{
    scope_fini(&scope);
    return reading_end(state);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, start, end)

struct example {
    const char *text;
    double number;
    enum unit unit;
};

static void check(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct example *wanted = &examples[i];
        struct quantity got = {NAN, UNIT_COUNT};
        if (!expression_evaluate(&input, wanted->text, (struct place){"x", 1, 1}, &scope, &got))
            fail_msg("'%s' is refused: %s", wanted->text, reading_messages());
        if (!(fabs(got.number - wanted->number) <= 1e-15 * fabs(wanted->number)) || got.unit != wanted->unit)
            fail_msg("'%s' is %.17g %s; expected %.17g %s", wanted->text, got.number, unit_name(got.unit),
                     wanted->number, unit_name(wanted->unit));
    }
}

static void refused(const char *const (*examples)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct quantity got = {NAN, UNIT_COUNT};
        reading_again();
        if (expression_evaluate(&input, examples[i][0], (struct place){"x", 1, 1}, &scope, &got))
            fail_msg("'%s' is accepted as %g; expected '%s'", examples[i][0], got.number, examples[i][1]);
        expect_messages(examples[i][1]);
        assert_int_equal(got.unit, UNIT_COUNT);
    }
}

#define CHECK(...)                                                                                           \
    do {                                                                                                     \
        static const struct example examples[] = {__VA_ARGS__};                                              \
        check(examples, sizeof examples / sizeof examples[0]);                                               \
    } while (0)
#define REFUSED(...)                                                                                         \
    do {                                                                                                     \
        static const char *const examples[][2] = {__VA_ARGS__};                                              \
        refused(examples, sizeof examples / sizeof examples[0]);                                             \
    } while (0)

static void operators_bind_as_in_arithmetic(void **state)
{
    (void)state;
    CHECK({"1 + 2 * 3", 7, 0}, {"(1 + 2) * 3", 9, 0}, {"10 - 3 - 2", 5, 0}, {"64 / 4 / 2", 8, 0},
          {"2 - -3", 5, 0}, {"-2 * 3", -6, 0}, {"-(1 + 1)", -2, 0}, {"1+2<4 and 2>1", 1, 0},
          {"not 1 == 2", 1, 0}, {"not not 3", 1, 0}, {"0 and 1 or 1", 1, 0}, {"1 or 0 and 0", 1, 0},
          {"  7  ", 7, 0});
}

static void every_comparison_gives_one_or_zero(void **state)
{
    (void)state;
    CHECK({"1 == 1", 1, 0}, {"1 != 1", 0, 0}, {"1 < 1", 0, 0}, {"1 <= 1", 1, 0}, {"1 > 1", 0, 0},
          {"1 >= 1", 1, 0}, {"1 == 2", 0, 0}, {"1 != 2", 1, 0}, {"1 < 2", 1, 0}, {"1 <= 2", 1, 0},
          {"1 > 2", 0, 0}, {"1 >= 2", 0, 0}, {"1 GB == 1000 MB", 1, 0}, {"1 GB < 1 GiB", 1, 0},
          {"1 GB > 0", 1, 0});
}

static void a_number_is_in_a_list_or_not(void **state)
{
    (void)state;
    CHECK({"3 in odd", 1, UNIT_NONE}, {"micro in odd", 0, UNIT_NONE}, {"micro + 1 in odd", 1, UNIT_NONE},
          {"not micro in odd", 1, UNIT_NONE}, {"8 * (micro - 1 in odd)", 8, UNIT_NONE},
          {"nodes == 8 and micro in odd", 0, UNIT_NONE}, {"0 > 1 or micro-1 in odd", 1, UNIT_NONE},
          {"speed in odd", 0, UNIT_NONE}, {"nodes in empty", 0, UNIT_NONE});
    REFUSED({"micro in nodes", "x:1:10: expected the name of a list after 'in'; got 'nodes'"},
            {"micro in", "x:1:9: expected the name of a list after 'in'; got the end"},
            {"odd + 1", "x:1:1: expected a number; 'odd' is a list"});
}

static void numbers_are_decimal_with_exponent_and_underscores(void **state)
{
    (void)state;
    CHECK({"1e9", 1e9, 0}, {"1E-3", 1e-3, 0}, {"1.5e+3", 1500, 0}, {"1_000_000", 1e6, 0}, {".5", .5, 0},
          {"5.", 5, 0}, {"9007199254740992", 0x1p53, 0}, {"010", 10, 0});
    REFUSED({"0x10", "x:1:2: unknown unit 'x10'"}, {"1__0", "x:1:2: unknown unit '__0'"},
            {"1_", "x:1:2: unknown unit '_'"}, {"1.2.3", "x:1:4: expected a number; got two decimal points"},
            {"1e999", "x:1:1: the number is too large"}, {"1e308 * 10", "x:1:7: the result is too large"},
            {"1e300 EB", "x:1:1: the result is too large"}, {"inf", "x:1:1: unknown name 'inf'"},
            {"nan", "x:1:1: unknown name 'nan'"},
            {"1,000", "x:1:2: expected an operator or the end; got ','"});
}

static void a_unit_stands_at_its_number(void **state)
{
    (void)state;
    CHECK({"25 GB/s", 25e9, UNIT_BYTES_PER_SECOND}, {"25GB/s", 25e9, UNIT_BYTES_PER_SECOND},
          {"200 Gbps", 25e9, UNIT_BYTES_PER_SECOND}, {"2 * 25 GB/s", 50e9, UNIT_BYTES_PER_SECOND},
          {"312 TFLOP/s", 312e12, UNIT_FLOPS}, {"1.5 us", 1.5e-6, UNIT_SECONDS},
          {"10/s", 10, UNIT_PER_SECOND}, {"30 fps * nodes", 240, UNIT_PER_SECOND},
          {"1e3 ms", 1, UNIT_SECONDS});
    REFUSED({"25 Gpbs", "x:1:4: unknown unit 'Gpbs'; did you mean 'Gbps'?"},
            {"2 nodes", "x:1:3: expected an operator before 'nodes'; to multiply write '*'"},
            {"25 GBB/s", "x:1:4: unknown unit 'GBB/s'; did you mean 'GB/s'?"},
            {"3 m", "x:1:3: unknown unit 'm'; did you mean 'ms'?"},
            {"nodes GB", "x:1:7: expected an operator or the end; got 'GB'"});
}

static void percent_and_modulo_are_told_apart(void **state)
{
    (void)state;
    CHECK({"50%", .5, 0}, {"50 %", .5, 0}, {"(50%)", .5, 0}, {"50% * 4", 2, 0}, {"50% + 1", 1.5, 0},
          {"50% - 1", -.5, 0}, {"max(10%, 20%)", .2, 0}, {"50% and 1", 1, 0}, {"7 % 4", 3, 0}, {"7%4", 3, 0},
          {"nodes % 3", 2, 0}, {"7 % (2 + 2)", 3, 0}, {"20 % nodes", 4, 0}, {"(0 - 1) % nodes", 7, 0},
          {"7 s % 4 s", 3, UNIT_SECONDS});
    REFUSED({"nodes %", "x:1:8: expected a number, a name or '('; got the end"},
            {"7 % 0", "x:1:3: division by zero"});
}

static void products_and_quotients_derive_the_unit(void **state)
{
    (void)state;
    CHECK({"80 GB / 2 s", 40e9, UNIT_BYTES_PER_SECOND}, {"80 GB / (2 GB/s)", 40, UNIT_SECONDS},
          {"2 GB/s * 3 s", 6e9, UNIT_BYTES}, {"3 s * 2 GB/s", 6e9, UNIT_BYTES}, {"80 GB / 40 GB", 2, 0},
          {"6 GFLOP / 2 GFLOP/s", 3, UNIT_SECONDS}, {"6 GFLOP / 2 s", 3e9, UNIT_FLOPS},
          {"2 GFLOPS * 2 s", 4e9, UNIT_FLOP}, {"5 W * 2 s", 10, UNIT_JOULES}, {"10 J / 2 s", 5, UNIT_WATTS},
          {"10 J / 5 W", 2, UNIT_SECONDS}, {"1 / 2 s", .5, UNIT_PER_SECOND}, {"1 / 4 Hz", .25, UNIT_SECONDS},
          {"30 fps * 2 s", 60, 0}, {"1 KB * 3 fps", 3000, UNIT_BYTES_PER_SECOND},
          {"6 KB/s / 2 KB", 3, UNIT_PER_SECOND}, {"speed / nodes", 125e6, UNIT_BYTES_PER_SECOND});
    REFUSED({"80 GB + 3 s", "x:1:7: cannot add a size and a time"},
            {"1 GB - 1", "x:1:6: cannot subtract a size and a number"},
            {"1 GB * 1 GB", "x:1:6: cannot multiply a size by a size"},
            {"1 GB / 1 W", "x:1:6: cannot divide a size by a power"},
            {"1 / 1 GB", "x:1:3: cannot divide a number by a size"},
            {"1 GB < 1 s", "x:1:6: cannot compare a size and a time"},
            {"1 GB % 2", "x:1:6: cannot take the remainder of a size by a number"},
            {"1 GB and 1", "x:1:1: expected a condition; got a size"},
            {"not 1 GB", "x:1:5: expected a condition; got a size"});
}

static void zero_is_of_any_unit(void **state)
{
    (void)state;
    CHECK({"0 + 3 s", 3, UNIT_SECONDS}, {"3 s - 0", 3, UNIT_SECONDS}, {"max(0, 3 s)", 3, UNIT_SECONDS},
          {"min(3 s, 0)", 0, UNIT_SECONDS}, {"3 s >= 0", 1, 0});
}

static void functions_take_and_give_units(void **state)
{
    (void)state;
    CHECK({"min(3, 1, 2)", 1, 0}, {"max(3, nodes, 2)", 8, 0}, {"max(5)", 5, 0}, {"ceil(nodes / 3)", 3, 0},
          {"floor(nodes / 3)", 2, 0}, {"log2(nodes)", 3, 0}, {"ceil(log2(nodes + 1))", 4, 0},
          {"min (1, 2)", 1, 0}, {"max(1 GB, 1 GiB)", 0x1p30, UNIT_BYTES}, {"ceil(-1.5)", -1, 0});
    REFUSED({"flor(2)", "x:1:1: unknown function 'flor'; did you mean 'floor'?"},
            {"ceil(1, 2)", "x:1:8: ceil takes one argument"},
            {"ceil(1 GB)", "x:1:6: ceil takes a number; got a size"},
            {"max(1 GB, 1 s)", "x:1:10: cannot compare a size and a time"},
            {"log2(0)", "x:1:6: log2 takes a positive number; got 0"},
            {"min()", "x:1:5: expected a number, a name or '('; got ')'"},
            {"min(1 2)", "x:1:7: expected ',' or ')' in min(…); got '2'"},
            {"nodes(2)", "x:1:1: unknown function 'nodes'"});
}

static void a_bound_name_may_contain_a_minus(void **state)
{
    (void)state;
    CHECK({"micro-batch", 4, 0}, {"micro-batch-1", 3, 0}, {"micro-1", 1, 0}, {"micro - micro-batch", -2, 0},
          {"micro-micro-batch", -2, 0});
}

static void names_are_looked_up_from_inside_out(void **state)
{
    (void)state;
    struct scope inner = {.outer = &scope};
    struct quantity got;
    scope_bind(&inner, "nodes", (struct quantity){3, UNIT_NONE});
    scope_bind(&inner, "nodes", (struct quantity){5, UNIT_NONE});
    assert_true(expression_evaluate(&input, "10 * nodes + micro", (struct place){0}, &inner, &got));
    expect_number(got.number, 52);
    assert_string_equal(scope_find(&inner, "device")->text, "a100");
    assert_null(scope_find(&inner, "absent"));
    assert_null(scope_find(NULL, "nodes"));
    scope_fini(&inner);
}

static void an_unknown_name_suggests_the_nearest(void **state)
{
    (void)state;
    REFUSED({"2 * node", "x:1:5: unknown name 'node'; did you mean 'nodes'?"},
            {"mikro-batch", "x:1:1: unknown name 'mikro-batch'; did you mean 'micro-batch'?"},
            {"zebra-1", "x:1:1: unknown name 'zebra'"},
            {"54 MB/sec", "x:1:4: unknown unit 'MB/sec'; did you mean 'MB/s'?"},
            {"device + 1", "x:1:1: expected a number; 'device' stands for the text 'a100'"});
}

static void what_is_not_needed_is_not_evaluated(void **state)
{
    (void)state;
    CHECK({"0 and 1 / 0", 0, 0}, {"1 or 1 / 0", 1, 0}, {"0 and 1 GB", 0, 0},
          {"0 and (1 / 0 > 2 or log2(0))", 0, 0});
    REFUSED({"1 and 1 / 0", "x:1:9: division by zero"},
            {"0 and )", "x:1:7: expected a number, a name or '('; got ')'"},
            {"0 and node", "x:1:7: unknown name 'node'; did you mean 'nodes'?"});
}

static void a_syntax_error_names_the_character(void **state)
{
    (void)state;
    REFUSED({"", "x:1:1: expected a number, a name or '('; got the end"},
            {"1 +", "x:1:4: expected a number, a name or '('; got the end"},
            {"(1", "x:1:3: expected ')' for the '(' at character 1; got the end"},
            {"1 = 1", "x:1:3: expected an operator or the end; got '='"},
            {"1 2", "x:1:3: expected an operator or the end; got '2'"},
            {"1 < 2 < 3", "x:1:7: expected an operator or the end; got '<'"},
            {"$", "x:1:1: expected a number, a name or '('; got '$'"},
            {"1 µs + $", "x:1:8: expected a number, a name or '('; got '$'"});
}

static void deep_nesting_is_refused_not_a_crash(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    struct quantity got;
    char *text = arena_alloc(&input.arena, DEPTH + 1);
    memset(text, '(', DEPTH);
    assert_false(expression_evaluate(&input, text, (struct place){"x", 1, 1}, &scope, &got));
    expect_messages("x:1:101: parentheses nest deeper than 100");
    memset(text, '-', DEPTH);
    assert_false(expression_evaluate(&input, text, (struct place){"y", 1, 1}, &scope, &got));
}

static void the_column_counts_only_inside_a_line(void **state)
{
    (void)state;
    struct quantity got;
    assert_false(expression_evaluate(&input, "1 + $", (struct place){.file = "--set x"}, &scope, &got));
    expect_messages("--set x: expected a number, a name or '('; got '$'");
}

/* Random expressions written with all parentheses, against the value computed while writing. */
static double random_expression(uint64_t *seed, int depth, char **text)
{
    if (depth == 0 || reading_random(seed) % 4 == 0) {
        double number = (double)(reading_random(seed) % 2000) / 8;
        *text = arena_format(&input.arena, "%.17g", number);
        return number;
    }
    char *left, *right, layer_op = "+-*"[reading_random(seed) % 3];
    double a = random_expression(seed, depth - 1, &left), b = random_expression(seed, depth - 1, &right);
    *text = arena_format(&input.arena, "(%s %c %s)", left, layer_op, right);
    return layer_op == '+' ? a + b : layer_op == '-' ? a - b : a * b;
}

static void random_expressions_agree_with_c(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        uint64_t random = seed * 0x9e3779b97f4a7c15u;
        char *text;
        double wanted = random_expression(&random, 5, &text);
        struct quantity got;
        if (!expression_evaluate(&input, text, (struct place){0}, NULL, &got))
            fail_msg("seed %d: '%s' is refused: %s", (int)seed, text, reading_messages());
        if (got.number != wanted)
            fail_msg("seed %d: '%s' is %.17g; expected %.17g", (int)seed, text, got.number, wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(operators_bind_as_in_arithmetic),
        TEST(every_comparison_gives_one_or_zero),
        TEST(a_number_is_in_a_list_or_not),
        TEST(numbers_are_decimal_with_exponent_and_underscores),
        TEST(a_unit_stands_at_its_number),
        TEST(percent_and_modulo_are_told_apart),
        TEST(products_and_quotients_derive_the_unit),
        TEST(zero_is_of_any_unit),
        TEST(functions_take_and_give_units),
        TEST(a_bound_name_may_contain_a_minus),
        TEST(names_are_looked_up_from_inside_out),
        TEST(an_unknown_name_suggests_the_nearest),
        TEST(what_is_not_needed_is_not_evaluated),
        TEST(a_syntax_error_names_the_character),
        TEST(deep_nesting_is_refused_not_a_crash),
        TEST(the_column_counts_only_inside_a_line),
        TEST(random_expressions_agree_with_c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
