/* Distributions against their closed forms (moments and distribution functions of GSL's other half, gsl_cdf),
 * streams against each other, and intervals against the share of means that they must hold. */
#include "base/distribution.h"
#include "base/estimate.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DRAWS = 200000 };

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Probability of a draw of at most x. */
static double below(const struct distribution *d, double x)
{
    const double *p = d->parameter;
    const char *name = d->kind->name;
    if (strcmp(name, "uniform") == 0)
        return gsl_cdf_flat_P(x, p[0], p[1]);
    if (strcmp(name, "normal") == 0)
        return gsl_cdf_gaussian_P(x - p[0], p[1]);
    if (strcmp(name, "gamma") == 0)
        return gsl_cdf_gamma_P(x, p[0], p[1]);
    if (strcmp(name, "weibull") == 0)
        return 1 - exp(-pow(x / p[1], p[0]));
    if (strcmp(name, "pareto") == 0)
        return 1 - pow(p[1] / x, p[0]);
    if (strcmp(name, "exponential") == 0)
        return 1 - exp(-x / p[0]);
    assert_string_equal(name, "lognormal");
    double variance = log(1 + p[1] * p[1] / (p[0] * p[0]));
    return gsl_cdf_gaussian_P(log(x) - log(p[0]) + variance / 2, sqrt(variance));
}

static const struct distribution examples[] = {
    {.parameter = {2, 5}},   {.parameter = {3, 0.5}}, {.parameter = {2, 1.5}}, {.parameter = {2.5, 0.4}},
    {.parameter = {1.5, 2}}, {.parameter = {3, 1}},   {.parameter = {0.25}},
};
static const char *const names[] = {"uniform", "normal", "lognormal",  "gamma",
                                    "weibull", "pareto", "exponential"};

/* Kolmogorov and Smirnov: the largest distance of the two distribution functions exceeds 1.95 / sqrt(n) in
 * one of a thousand cases. */
static void draws_follow_the_law_of_their_name(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    double *draws = ARENA_ARRAY(&arena, double, DRAWS);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct distribution d = examples[i];
        d.kind = distribution_find(names[i]);
        gsl_rng *stream = random_stream(&arena, 1, names[i], 0);
        struct estimate estimate = {0};
        for (int k = 0; k < DRAWS; k++)
            estimate_add(&estimate, draws[k] = distribution_draw(&d, stream));
        qsort(draws, DRAWS, sizeof *draws, ascending);
        double worst = 0;
        for (int k = 0; k < DRAWS; k++)
            worst = fmax(worst, fabs(below(&d, draws[k]) - (k + 0.5) / DRAWS));
        if (worst > 1.95 / sqrt(DRAWS))
            fail_msg("%s: distribution functions differ by %g", names[i], worst);
        if (fabs(estimate.mean - distribution_mean(&d)) > 2 * estimate_half_width(&estimate))
            fail_msg("%s: mean %g, expected %g", names[i], estimate.mean, distribution_mean(&d));
    }
    arena_fini(&arena);
}

static void every_distribution_is_tested_here_or_has_one_value_only(void **state)
{
    (void)state;
    for (int i = 0; distribution_kinds[i]; i++) {
        bool tested = distribution_kinds[i] == &distribution_constant ||
                      distribution_kinds[i] == &distribution_empirical;
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
            tested |= strcmp(distribution_kinds[i]->name, names[k]) == 0;
        assert_true(tested);
        assert_true(strlen(distribution_kinds[i]->about) > 0);
    }
}

static void an_empirical_one_draws_each_observation_alike(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    const double values[] = {1, 2, 4};
    struct distribution d = {.kind = &distribution_empirical, .values = values, .count = 3};
    gsl_rng *stream = random_stream(&arena, 7, "observations", 0);
    int seen[5] = {0};
    for (int i = 0; i < 30000; i++)
        seen[(int)distribution_draw(&d, stream)]++;
    for (int i = 0; i < 3; i++)
        assert_true(abs(seen[(int)values[i]] - 10000) < 4 * 82); /* four standard deviations */
    assert_int_equal(seen[0] + seen[3], 0);
    assert_true(fabs(distribution_mean(&d) - 7.0 / 3) < 1e-15);
    arena_fini(&arena);
}

static void what_must_not_be_negative_is_drawn_again(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    struct distribution d = {.kind = distribution_find("normal"), .parameter = {0, 1}};
    gsl_rng *stream = random_stream(&arena, 7, "again", 0);
    struct estimate estimate = {0};
    for (int i = 0; i < DRAWS; i++)
        estimate_add(&estimate, distribution_draw_from(&d, 0, stream));
    assert_true(estimate.least >= 0);
    assert_true(fabs(estimate.mean - 0.7978845608028654) < 0.01); /* sqrt(2 / pi), of the half-normal */
    struct distribution never = distribution_fixed(-1);
    assert_true(distribution_draw_from(&never, 0, stream) == 0);
    arena_fini(&arena);
}

static void a_stream_is_the_same_each_time_and_unlike_all_others(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    gsl_rng *same[2], *other[4];
    for (int i = 0; i < 2; i++)
        same[i] = random_stream(&arena, 5, "kernels", 3);
    other[0] = random_stream(&arena, 6, "kernels", 3);
    other[1] = random_stream(&arena, 5, "links", 3);
    other[2] = random_stream(&arena, 5, "kernels", 4);
    other[3] = random_stream(&arena, 3, "kernels", 5);
    double product[4] = {0};
    for (int i = 0; i < DRAWS; i++) {
        double a = gsl_rng_uniform(same[0]);
        assert_true(a >= 0 && a < 1 && a == gsl_rng_uniform(same[1]));
        for (int k = 0; k < 4; k++)
            product[k] += (a - 0.5) * (gsl_rng_uniform(other[k]) - 0.5);
    }
    for (int k = 0; k < 4; k++) /* uncorrelated: standard deviation sqrt(n) / 12 */
        assert_true(fabs(product[k]) < 4 * sqrt(DRAWS) / 12);
    arena_fini(&arena);
}

/* Known numbers of the generator: the reference implementation's first outputs for the state 1, 2, 3, 4. */
static void the_generator_is_the_published_one(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    gsl_rng *stream = random_stream(&arena, 0, "", 0);
    memcpy(stream->state, (const uint64_t[]){1, 2, 3, 4}, 32);
    const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240};
    for (int i = 0; i < 4; i++)
        assert_true(stream->type->get_double(stream->state) == (double)(expected[i] >> 11) * 0x1p-53);
    arena_fini(&arena);
}

static void an_interval_holds_the_mean_in_95_of_100_cases(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    struct distribution d = {.kind = distribution_find("normal"), .parameter = {3, 2}};
    int held = 0;
    for (uint64_t i = 0; i < 4000; i++) {
        gsl_rng *stream = random_stream(&arena, i, "interval", 0);
        struct estimate estimate = {0};
        for (int k = 0; k < 8; k++)
            estimate_add(&estimate, distribution_draw(&d, stream));
        held += fabs(estimate.mean - 3) <= estimate_half_width(&estimate);
    }
    assert_in_range(held, 3800 - 56, 3800 + 56); /* four standard deviations */
    arena_fini(&arena);
}

static void an_estimate_matches_numbers_by_hand(void **state)
{
    (void)state;
    struct estimate e = {0};
    assert_true(isinf(estimate_half_width(&e)) && estimate_deviation(&e) == 0);
    const double values[] = {4, 7, 13, 16};
    for (int i = 0; i < 4; i++)
        estimate_add(&e, values[i]);
    assert_true(e.mean == 10 && e.least == 4 && e.most == 16 && e.count == 4);
    assert_true(fabs(estimate_deviation(&e) - sqrt(30)) < 1e-12);
    assert_true(fabs(estimate_half_width(&e) - 3.182446305284263 * sqrt(30) / 2) < 1e-9); /* t of 3 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_follow_the_law_of_their_name),
        cmocka_unit_test(every_distribution_is_tested_here_or_has_one_value_only),
        cmocka_unit_test(an_empirical_one_draws_each_observation_alike),
        cmocka_unit_test(what_must_not_be_negative_is_drawn_again),
        cmocka_unit_test(a_stream_is_the_same_each_time_and_unlike_all_others),
        cmocka_unit_test(the_generator_is_the_published_one),
        cmocka_unit_test(an_interval_holds_the_mean_in_95_of_100_cases),
        cmocka_unit_test(an_estimate_matches_numbers_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
