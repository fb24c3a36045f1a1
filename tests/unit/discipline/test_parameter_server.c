/* Parameter servers against closed forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../engine/near.h"
#include "play.h"

#include "base/steady.h"

static const double gigabyte = 1e9;

static struct play *served(int workers, const char *latency, const char *more)
{
    char text[200];
    snprintf(text, sizeof text, "{kind: parameter-server, servers: \"device[0]\", %s}", more);
    return play_discipline(workers + 1, latency, text);
}

static void must_run(struct play *play, uint64_t seed)
{
    if (!play_run(play, seed))
        fail_msg("%s", play->error);
}

/* Per worker and device: a factor on what it computes. */
struct speeds {
    double factor[64];
};

static double slower(void *state, uint32_t rank, const struct op *op)
{
    return op->seconds * ((const struct speeds *)state)->factor[rank];
}

static void mean_staleness_of_equal_workers_is_one_less_than_their_number(void **state)
{
    (void)state;
    static const char *const latencies[] = {"0 s", "3 ms"};
    for (int workers = 1; workers <= 17; workers += workers < 8 ? 1 : 9)
        for (int i = 0; i < 2; i++) {
            struct play *play = served(workers, latencies[i], "mode: asynchronous, steps: 40");
            play_price(play, 0.3, 0.6, 0.001, 0.05 * gigabyte);
            must_run(play, 1);
            assert_true(account_mean(&play->account, "staleness") == workers - 1);
            assert_int_equal(account_most(&play->account, "staleness"), workers - 1);
            play_free(play);
        }
}

static void unequal_workers_differ_in_staleness(void **state)
{
    (void)state;
    struct speeds speeds = {.factor = {1, 1, 3, 10}};
    struct play *play = served(3, "0 s", "mode: asynchronous, steps: 100");
    play->options.random = (struct engine_random){.state = &speeds, .seconds = slower};
    play_price(play, 1, 2, 0, 1e6);
    must_run(play, 1);
    assert_true(account_most(&play->account, "staleness") > 5); /* of the slowest: others go on meanwhile */
    play_free(play);
}

static void a_stale_synchronous_worker_is_never_ahead_by_more_than_the_bound(void **state)
{
    (void)state;
    struct speeds speeds = {.factor = {1, 1, 1.7, 2.3, 5}};
    for (int bound = 0; bound <= 5; bound++) {
        char more[80];
        snprintf(more, sizeof more, "mode: stale-synchronous, bound: %d, steps: 60", bound);
        struct play *play = served(4, "1 ms", more);
        play->options.random = (struct engine_random){.state = &speeds, .seconds = slower};
        play_price(play, 1, 2, 0.01, 1e7);
        must_run(play, 1);
        assert_int_equal(account_most(&play->account, "lead"), bound); /* and the fastest makes use of it */
        play_free(play);
    }
}

static void a_bound_of_zero_is_the_synchronous_run(void **state)
{
    (void)state;
    struct speeds speeds = {.factor = {1, 1, 1.7, 2.3, 5}};
    static const char *const modes[] = {"mode: stale-synchronous, bound: 0, steps: 20",
                                        "mode: synchronous, steps: 20"};
    struct play *plays[2];
    for (int i = 0; i < 2; i++) {
        plays[i] = served(4, "1 ms", modes[i]);
        plays[i]->options.random = (struct engine_random){.state = &speeds, .seconds = slower};
        play_price(plays[i], 1, 2, 0.01, 1e7);
        must_run(plays[i], 1);
    }
    uint32_t count = plays[0]->result.first_record[5];
    assert_int_equal(count, plays[1]->result.first_record[5]);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(plays[0]->result.records[i].start == plays[1]->result.records[i].start);
        assert_true(plays[0]->result.records[i].end == plays[1]->result.records[i].end);
    }
    for (int i = 0; i < 2; i++)
        play_free(plays[i]);
}

/* N gradients share the server's cable, are applied one after the other, and N answers share it again. */
static void a_synchronous_step_takes_what_its_closed_form_says(void **state)
{
    (void)state;
    for (int workers = 1; workers <= 12; workers++) {
        struct play *play = served(workers, "2 ms", "steps: 3");
        play_price(play, 0.25, 0.5, 0.01, 0.1 * gigabyte);
        must_run(play, 1);
        assert_int_equal(play->stage.marks.count, 3);
        double step = 0.75 + workers * (2 * 0.1 + 0.01) + 4 * 0.002;
        assert_near(play->stage.marks.at[1] - play->stage.marks.at[0], step, 1e-9);
        assert_near(play->stage.marks.at[2] - play->stage.marks.at[1], step, 1e-9);
        play_free(play);
    }
}

/* The cable of the server carries N·P·b each way per step of all; one worker alone needs its own loop. */
static void one_server_saturates_where_the_arithmetic_says(void **state)
{
    (void)state;
    double compute = 2, copy = 0.1; /* seconds; saturated from about (2 + 0.2) / 0.2 = 11 workers on */
    for (int workers = 1; workers <= 48; workers += workers < 16 ? 5 : 16) {
        struct play *play = served(workers, "0 s", "mode: asynchronous, steps: 200");
        struct speeds speeds;
        for (int w = 0; w <= workers; w++) /* a little apart, so that they do not move in step */
            speeds.factor[w] = 1 + 1e-3 * w / workers;
        play->options.random = (struct engine_random){.state = &speeds, .seconds = slower};
        play_price(play, 0, compute, 0, copy * gigabyte);
        must_run(play, 1);
        struct steady steady = steady_find(play->stage.marks.at, play->stage.marks.count);
        double loop = compute + 2 * copy, most = loop + 2 * workers * copy;
        assert_true(steady.period >= loop * (1 - 1e-9));
        assert_true(steady.period >= workers * copy * (1 - 1e-9));
        assert_true(steady.period <= most);
        assert_near(play_bytes(play, "gradients"), 200.0 * workers * copy * gigabyte, 1);
        play_free(play);
    }
}

/* Half-duplex: both ways share one capacity, so that a step of all costs N·2·P·b / bandwidth. */
static void a_shared_link_saturates_at_both_ways_together(void **state)
{
    (void)state;
    struct play *play = play_new();
    assert_true(play_read(
        play,
        "devices: {device: {type: a100-sxm4-80gb, count: 21}}\n"
        "links: {air: {mode: shared, bandwidth: 1 GB/s, latency: 0 s, stations: [\"device[*]\"]}}\n",
        "{kind: parameter-server, servers: \"device[0]\", mode: asynchronous, steps: 100}"));
    play_price(play, 0.1, 0.2, 0, 0.1 * gigabyte);
    must_run(play, 1);
    uint32_t count = play->stage.marks.count;
    double period =
        (play->stage.marks.at[count - 1] - play->stage.marks.at[count / 2]) / (count - 1 - count / 2);
    assert_true(period >= 20 * 2 * 0.1 * (1 - 1e-9));
    assert_true(period <= 20 * 2 * 0.1 + 0.3 + 1e-9);
    play_free(play);
}

static void shards_and_co_located_servers_carry_their_share(void **state)
{
    (void)state;
    for (int servers = 1; servers <= 4; servers++) {
        char text[120];
        snprintf(text, sizeof text, "{kind: parameter-server, servers: \"device[0..%d]\", steps: 5}",
                 servers - 1);
        struct play *play = play_discipline(servers + 6, "0 s", text);
        play_price(play, 1, 2, 0.1, 1e8);
        must_run(play, 1);
        /* Five steps and the parameters of the beginning. Link 0 goes up from the first server, 1 down to it.
         */
        assert_near(play->result.link_bytes[1], 5.0 * 6 * 1e8 / servers, 1e-3);
        assert_near(play->result.link_bytes[0], 6.0 * 6 * 1e8 / servers, 1e-3);
        play_free(play);
    }
    struct play *play = play_discipline(8, "0 s", "{kind: parameter-server, servers: co-located, steps: 5}");
    play_price(play, 1, 2, 0.1, 1e8);
    must_run(play, 1);
    for (uint32_t l = 0; l < 16; l += 2)
        assert_near(play->result.link_bytes[l], (5.0 + 6.0) * 7 / 8 * 1e8, 1e-3);
    play_free(play);
}

static void a_link_without_bandwidth_is_no_hang(void **state)
{
    (void)state;
    struct engine_change change = {.time = 1, .capacity = 0, .link = 2};
    struct play *play = served(2, "0 s", "steps: 5");
    play->options.changes = &change;
    play->options.change_count = 1;
    play_price(play, 1, 2, 0.1, 1e8);
    assert_false(play_run(play, 1));
    assert_non_null(strstr(play->error, "without any bandwidth"));
    play_free(play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mean_staleness_of_equal_workers_is_one_less_than_their_number),
        cmocka_unit_test(unequal_workers_differ_in_staleness),
        cmocka_unit_test(a_stale_synchronous_worker_is_never_ahead_by_more_than_the_bound),
        cmocka_unit_test(a_bound_of_zero_is_the_synchronous_run),
        cmocka_unit_test(a_synchronous_step_takes_what_its_closed_form_says),
        cmocka_unit_test(one_server_saturates_where_the_arithmetic_says),
        cmocka_unit_test(a_shared_link_saturates_at_both_ways_together),
        cmocka_unit_test(shards_and_co_located_servers_carry_their_share),
        cmocka_unit_test(a_link_without_bandwidth_is_no_hang),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
