/* Steady states of series whose truth is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/steady.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>

enum { INTERVALS = 2000 };

static gsl_rng *generator(unsigned long seed)
{
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(rng, seed);
    return rng;
}

static void equal_intervals_have_no_warm_up_and_no_doubt(void **state)
{
    (void)state;
    double times[200];
    for (int i = 0; i < 200; i++)
        times[i] = 7 + 0.1 * i;
    struct steady steady = steady_find(times, 200);
    assert_true(steady.found);
    assert_true(steady.warm_up < 10);
    assert_true(fabs(steady.period - 0.1) < 1e-12);
    assert_true(steady.half_width < 1e-12);
}

static void a_warm_up_is_cut_off(void **state)
{
    (void)state;
    double times[401] = {0};
    for (int i = 0; i < 400; i++)
        times[i + 1] = times[i] + 1 + (i < 60 ? 5 - i / 12.0 : 0);
    struct steady steady = steady_find(times, 401);
    assert_true(steady.found);
    assert_true(steady.warm_up >= 60 && steady.warm_up < 100);
    assert_true(fabs(steady.period - 1) < 1e-9);
}

static void a_trend_is_no_steady_state(void **state)
{
    (void)state;
    double times[401] = {0};
    for (int i = 0; i < 400; i++)
        times[i + 1] = times[i] + exp(0.02 * i); /* grows */
    assert_false(steady_find(times, 401).found);
    for (int i = 0; i < 400; i++)
        times[i + 1] = times[i] + 1000 - i; /* falls */
    assert_false(steady_find(times, 401).found);
    assert_false(steady_find(times, 20).found); /* nor are a few intervals */
    assert_true(fabs(steady_find(times, 2).period - 1000) < 1e-12);
}

/* 1,000 series of exponential intervals after a warm-up: 93 to 97 of 100 intervals hold the true mean, as far
 * as the cut, which looks at the same numbers, lets them. */
static void the_interval_holds_the_true_mean_about_as_often_as_it_says(void **state)
{
    (void)state;
    gsl_rng *rng = generator(20);
    double *times = calloc(INTERVALS + 1, sizeof *times);
    int holds = 0;
    for (int repeat = 0; repeat < 1000; repeat++) {
        for (int i = 0; i < INTERVALS; i++)
            times[i + 1] = times[i] + gsl_ran_exponential(rng, i < 100 ? 9 : 3);
        struct steady steady = steady_find(times, INTERVALS + 1);
        holds += steady.found && fabs(steady.period - 3) <= steady.half_width;
    }
    if (holds < 920 || holds > 970)
        fail_msg("%d of 1000 intervals hold the mean (seed 20)", holds);
    free(times);
    gsl_rng_free(rng);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_intervals_have_no_warm_up_and_no_doubt),
        cmocka_unit_test(a_warm_up_is_cut_off),
        cmocka_unit_test(a_trend_is_no_steady_state),
        cmocka_unit_test(the_interval_holds_the_true_mean_about_as_often_as_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
