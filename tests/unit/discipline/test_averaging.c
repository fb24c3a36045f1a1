/* Averaging, gossip and backup workers against closed forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../engine/near.h"
#include "play.h"

#include "base/estimate.h"
#include "base/random.h"

#include <gsl/gsl_randist.h>

static void must_run(struct play *play, uint64_t seed)
{
    if (!play_run(play, seed))
        fail_msg("%s", play->error);
}

/* H steps, then a ring all-reduce of 2 (n-1)/n P b on full-duplex cables. */
static void local_steps_and_a_ring_take_their_closed_form(void **state)
{
    (void)state;
    for (int n = 2; n <= 9; n++)
        for (int every = 1; every <= 16; every *= 4) {
            char text[100];
            snprintf(text, sizeof text, "{kind: averaging, every: %d, rounds: 5}", every);
            struct play *play = play_discipline(n, "0 s", text);
            play_price(play, 0.1, 0.2, 0.01, 1e8);
            must_run(play, 1);
            double round = every * 0.31 + 2.0 * (n - 1) / n * 0.1;
            assert_near(play->stage.marks.at[4], 5 * round, 1e-9);
            play_free(play);
        }
}

static void outer_steps_and_compression_cost_what_they_say(void **state)
{
    (void)state;
    struct play *play = play_discipline(4, "0 s", "{kind: averaging, every: 10, outer: yes, rounds: 2}");
    play_price(play, 0.1, 0.2, 0.01, 1e8);
    for (int r = 0; r < 4; r++)
        play->script.costs[r].add.seconds = 0.05;
    must_run(play, 1);
    assert_near(play->stage.marks.at[1], 2 * (3.1 + 1.5 * 0.1 + 0.05), 1e-9);
    play_free(play);
    play = play_discipline(4, "0 s", "{kind: averaging, bits: 8, rounds: 2}"); /* a quarter of fp32 */
    play_price(play, 0.1, 0.2, 0.01, 1e8);
    for (int r = 0; r < 4; r++)
        play->script.costs[r].add.seconds = 0.05;
    must_run(play, 1);
    assert_near(play->stage.marks.at[1], 2 * (0.31 + 1.5 * 0.025 + 2 * 0.05), 1e-9);
    play_free(play);
    /* Of 25e6 numbers a hundredth, 8 bytes each, gathered from all: (n-1) k (4+4) bytes go into each cable.
     */
    play = play_discipline(4, "0 s", "{kind: averaging, top: 0.01, rounds: 2}");
    play_price(play, 0.1, 0.2, 0.01, 1e8);
    for (int r = 0; r < 4; r++)
        play->script.costs[r].add.seconds = 0.05;
    must_run(play, 1);
    assert_near(play->stage.marks.at[1], 2 * (0.31 + 3 * 250000 * 8 / 1e9 + 0.05 * (1 + 0.04)), 1e-9);
    play_free(play);
}

static void groups_meet_all_only_so_often(void **state)
{
    (void)state;
    struct play *play =
        play_discipline(8, "0 s", "{kind: averaging, every: 2, groups: 4, global-every: 3, rounds: 6}");
    play_price(play, 0.1, 0.2, 0.01, 1e8);
    must_run(play, 1);
    double inside = 2.0 / 2 * 0.1, all = 2.0 * 7 / 8 * 0.1;
    assert_near(play->stage.marks.at[5], 6 * 0.62 + 4 * inside + 2 * all, 1e-9);
    play_free(play);
}

/* deg·P·b per worker and step go out, and as much comes in. */
static void gossip_moves_degree_times_the_model(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        int workers, degree;
    } graphs[] = {{"graph: ring", 8, 2},   {"graph: ring", 2, 1},    {"graph: torus", 9, 4},
                  {"graph: torus", 12, 4}, {"graph: random", 11, 4}, {"graph: random, degree: 6", 16, 6}};
    for (size_t i = 0; i < sizeof graphs / sizeof graphs[0]; i++) {
        char text[120];
        snprintf(text, sizeof text, "{kind: gossip, steps: 7, %s}", graphs[i].more);
        struct play *play = play_discipline(graphs[i].workers, "0 s", text);
        play_price(play, 0.1, 0.2, 0.01, 1e8);
        must_run(play, 3);
        for (int w = 0; w < graphs[i].workers; w++) {
            assert_near(play->result.link_bytes[2 * w], 7.0 * graphs[i].degree * 1e8, 1e-3);
            assert_near(play->result.link_bytes[2 * w + 1], 7.0 * graphs[i].degree * 1e8, 1e-3);
        }
        /* Models and gradients at the same time. */
        double exchange = graphs[i].degree * 0.1;
        assert_near(play->stage.marks.at[6], 7 * ((exchange > 0.3 ? exchange : 0.3) + 0.01), 1e-9);
        play_free(play);
    }
}

static void asynchronous_gossip_moves_two_models_per_step(void **state)
{
    (void)state;
    struct play *play =
        play_discipline(8, "1 ms", "{kind: gossip, mode: asynchronous, graph: random, steps: 50}");
    play_price(play, 0.1, 0.2, 0.01, 1e7);
    must_run(play, 3);
    assert_near(play_bytes(play, "models"), 50.0 * 8 * 2 * 1e7, 0);
    play_free(play);
}

static double exponential(void *state, uint32_t rank, const struct op *op)
{
    (void)rank;
    return op->seconds > 0 ? gsl_ran_exponential(state, op->seconds) : 0;
}

/* The first N of N + b exponential times of mean m: m (1/(b+1) + … + 1/(N+b)). */
static void the_barrier_with_backups_is_the_order_statistic(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    for (int backup = 0; backup <= 3; backup++) {
        char text[120];
        snprintf(text, sizeof text, "{kind: backup-workers, server: \"device[0]\", backup: %d, steps: 2000}",
                 backup);
        struct play *play = play_discipline(9, "0 s", text);
        play->options.random =
            (struct engine_random){.state = random_stream(&arena, 11, "test", 0), .seconds = exponential};
        play_price(play, 0, 1, 0, 0);
        must_run(play, 1);
        double expected = 0;
        for (int i = backup + 1; i <= 8; i++)
            expected += 1.0 / i;
        struct estimate estimate = {0};
        for (int i = 1; i < 2000; i++)
            estimate_add(&estimate, play->stage.marks.at[i] - play->stage.marks.at[i - 1]);
        assert_near(estimate.mean, expected, 2 * estimate_half_width(&estimate)); /* four standard errors */
        assert_true(estimate_half_width(&estimate) < 0.06);
        if (backup)
            assert_near(account_get(&play->account, "given up"), 2000.0 * backup, 0);
        play_free(play);
    }
    arena_fini(&arena);
}

static double by_rank(void *state, uint32_t rank, const struct op *op)
{
    return op->seconds * ((const double *)state)[rank];
}

/* Worker 3 is slow. Called back in the middle of its push, it sent in vain only what it had sent; without
 * cancelling it sends all of it, and its gradient is discarded. */
static void traffic_of_the_slowest_is_called_back_or_not(void **state)
{
    (void)state;
    double factors[] = {1, 1, 1, 1.35};
    for (int cancel = 0; cancel < 2; cancel++) {
        char text[120];
        snprintf(text, sizeof text, "{kind: backup-workers, server: \"device[0]\", steps: 1, cancel: %s}",
                 cancel ? "yes" : "no");
        struct play *play = play_discipline(4, "0 s", text);
        play->options.random = (struct engine_random){.state = factors, .seconds = by_rank};
        play_price(play, 0, 1, 0, 2e8);
        must_run(play, 1);
        /* Parameters of all three until 0.6 s. Pushes of two from 1.6, of three from 1.95 s on, when 0.25e8
         * of each are left: all at a third until 2.025 s. */
        assert_near(play_bytes(play, "gradients"), cancel ? 4.25e8 : 6e8, 1);
        assert_near(play->stage.marks.at[0], 2.025, 1e-9);
        play_free(play);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_steps_and_a_ring_take_their_closed_form),
        cmocka_unit_test(outer_steps_and_compression_cost_what_they_say),
        cmocka_unit_test(groups_meet_all_only_so_often),
        cmocka_unit_test(gossip_moves_degree_times_the_model),
        cmocka_unit_test(asynchronous_gossip_moves_two_models_per_step),
        cmocka_unit_test(the_barrier_with_backups_is_the_order_statistic),
        cmocka_unit_test(traffic_of_the_slowest_is_called_back_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
