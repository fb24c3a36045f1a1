/* The levels of the network beside each other, and changes of capacity through the engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "job.h"
#include "messages.h"
#include "near.h"

static bool run_level(struct test_job *test, struct engine_options options)
{
    engine_result_fini(&test->result);
    return engine_run(&test->platform, &test->job, &options, &test->result, &test->error);
}

static double makespan(struct test_job *test, struct engine_options options)
{
    if (!run_level(test, options))
        fail_msg("%s", test->error);
    return test->result.makespan;
}

/* Two devices on a switch, each link 10 B/s and 0.5 s; a message of 40 bytes. */
static struct test_job *one_message(void)
{
    struct test_job *test = job_new(2, 10, 0.5);
    uint32_t pair = job_pair(test, 0, 1, 1, false);
    job_message(test, 0, 0, OP_SEND, pair, 0, 40, NULL);
    job_message(test, 1, 0, OP_RECEIVE, pair, 0, 40, NULL);
    job_finish(test);
    return test;
}

static void a_message_alone_matches_each_level_s_closed_form(void **state)
{
    (void)state;
    struct test_job *test = one_message();
    assert_near(makespan(test, (struct engine_options){.network = &alpha_beta_ideal}), 1, 1e-12);
    assert_near(makespan(test, (struct engine_options){.network = &alpha_beta_model}), 5, 1e-12);
    assert_near(makespan(test, (struct engine_options){.network = &fluid_model}), 5, 1e-12);
    struct engine_options packets = {.network = &packet_model, .mtu = 8, .buffer = 80};
    assert_near(makespan(test, packets), 5 + 0.8, 1e-12);
    job_free(test);
}

static void each_level_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (uint32_t i = 0; network_model_table[i]; i++) {
        assert_ptr_equal(network_model_find(network_model_table[i]->name), network_model_table[i]);
        assert_true(*network_model_table[i]->about);
    }
    assert_null(network_model_find("fluids"));
}

/* A usage of two units of a link halves the rate; a cap holds; ideal knows neither. */
static void alpha_beta_takes_the_narrowest_of_links_and_cap(void **state)
{
    (void)state;
    const double capacities[] = {10, 4};
    const struct network_usage usage[] = {{0, 1}, {1, 0.5}};
    const struct network_model *const models[] = {&alpha_beta_ideal, &alpha_beta_model};
    const double caps[] = {INFINITY, 2}, ends[2][2] = {{1, 1}, {1 + 5, 1 + 20}}; /* links 10 and 4 / 0.5 */
    for (int m = 0; m < 2; m++) {
        for (int c = 0; c < 2; c++) {
            struct network_setting setting = {.capacities = capacities, .link_count = 2};
            void *net = models[m]->open(&setting);
            const struct network_message message = {
                .usage = usage, .usage_count = 2, .bytes = 40, .latency = 1, .cap = caps[c], .tag = 9};
            const uint32_t *tags;
            double now = 0;
            for (models[m]->start(net, 0, &message); models[m]->next(net) < INFINITY;) {
                now = models[m]->next(net);
                models[m]->advance(net, now, &tags);
            }
            assert_near(now, ends[m][c], 1e-12);
            assert_near(models[m]->carried(net, 1), 20, 1e-12);
            models[m]->close(net);
        }
    }
}

static unsigned long long draw(unsigned long long *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return *seed >> 33;
}

static void each_level_adds_time_to_the_one_before(void **state)
{
    (void)state;
    unsigned long long seed = 3;
    for (int i = 0; i < 2000; i++) {
        unsigned long long start = seed;
        static struct test_messages test;
        test = (struct test_messages){.mtu = 10};
        for (uint32_t l = 0; l < 8; l++)
            messages_link(&test, (double)(1 + draw(&seed) % 3), (double)(draw(&seed) % 3));
        uint32_t count = i % 2 ? 1 : 12;
        for (uint32_t m = 0; m < count; m++) {
            uint32_t path[8], hops = 0;
            for (uint32_t l = 0; l < 8; l++)
                if (draw(&seed) % 3 == 0)
                    path[hops++] = l;
            messages_add(&test, (double)(draw(&seed) % 20), (double)(draw(&seed) % 100), hops, path);
        }
        double before[MESSAGES_MOST] = {0};
        for (uint32_t level = 0; level < 3; level++) {
            messages_run(&test, network_model_table[level]);
            for (uint32_t m = 0; m < count; m++) {
                double end = test.messages[m].end, last = before[m];
                if (!(end >= last * (1 - 1e-12)) || (level == 2 && count == 1 && end > last * (1 + 1e-12)))
                    fail_msg("case %d, seed %llu, message %u: %g s on level %s, %g s before", i, start, m,
                             end, network_model_table[level]->name, last);
                before[m] = end;
            }
        }
    }
}

/* Collectives are carried as steps on the packet level, and as one activity on the others by default. */
static void collectives_agree_on_an_idle_symmetric_network(void **state)
{
    (void)state;
    for (uint32_t ranks = 2; ranks <= 8; ranks++) {
        struct test_job *test = job_new(ranks, 1e9, 1e-6);
        uint32_t members[JOB_RANKS];
        for (uint32_t r = 0; r < ranks; r++)
            members[r] = r;
        uint32_t group = job_group(test, "group", ranks, members, 1);
        for (uint32_t r = 0; r < ranks; r++)
            job_collective(test, r, 0, ALL_REDUCE, group, 0, 64e6, NULL);
        job_finish(test);
        double rounds = 2 * (ranks - 1.0), fluid = rounds * (2e-6 + 64e6 / ranks / 1e9);
        double ideal = makespan(test, (struct engine_options){.network = &alpha_beta_ideal});
        assert_near(ideal, rounds * 2e-6, 1e-15);
        double alpha_beta = makespan(test, (struct engine_options){.network = &alpha_beta_model});
        assert_near(alpha_beta, fluid, 1e-12);
        assert_near(makespan(test, (struct engine_options){0}), fluid, 1e-12);
        /* one packet more per round, to store and forward it */
        double packet = makespan(test, (struct engine_options){.network = &packet_model});
        assert_near(packet, fluid + rounds * 4096 / 1e9, 1e-10);
        job_free(test);
    }
}

/* 40 bytes at 10 B/s after a second of latency. From 2 s (10 sent) half the rate, from 3 s (15 sent) nothing,
 * from 7 s twice the rate: 25 left. */
static void capacities_change_while_a_message_is_under_way(void **state)
{
    (void)state;
    struct test_job *test = one_message();
    const struct engine_change changes[] = {{7, 20, 3}, {3, 0, 3}, {2, 5, 3}, {7, 15, 0}, {7, 100, 0}};
    const struct network_model *const models[] = {&fluid_model, &alpha_beta_model};
    for (int m = 0; m < 2; m++) {
        struct engine_options options = {.network = models[m], .changes = changes, .change_count = 5};
        assert_near(makespan(test, options), 7 + 25 / 20.0, 1e-12);
        assert_near(test->result.link_bytes[3], 40, 1e-12);
    }
    assert_near(makespan(test, (struct engine_options){.network = &alpha_beta_ideal,
                                                       .changes = changes,
                                                       .change_count = 5}),
                1, 1e-12);
    job_free(test);
}

/* Device 0's link up is link 0, device 1's link down is link 3. */
static void a_link_that_stays_down_is_named(void **state)
{
    (void)state;
    struct test_job *test = one_message();
    const struct engine_change changes[] = {{2, 0, 3}};
    for (uint32_t i = 1; network_model_table[i]; i++) {
        struct engine_options options = {
            .network = network_model_table[i], .changes = changes, .change_count = 1};
        options.mtu = 8;
        assert_false(run_level(test, options));
        if (!strstr(test->error, "cable[1]") || !strstr(test->error, "no capacity"))
            fail_msg("%s: %s", network_model_table[i]->name, test->error);
    }
    job_free(test);
}

/* Two messages share device 1's link down, 10 B/s; from 2 s on it has 4. 30 and 10 bytes, no latency: each
 * gets 5 until 2 s, when the short one ends; then 20 are left at 4 a second. Had it changed at 1 s: 5 B/s
 * until 1 s, 2 until the short one has its other 5 at 3.5 s, then 20 left at 4. */
static void sharing_follows_a_change(void **state)
{
    (void)state;
    for (int early = 0; early < 2; early++) {
        struct test_job *test = job_new(3, 10, 0);
        uint32_t a = job_pair(test, 0, 1, 1, false), b = job_pair(test, 2, 1, 1, false);
        job_message(test, 0, 0, OP_SEND, a, 0, 30, NULL);
        job_message(test, 2, 0, OP_SEND, b, 0, 10, NULL);
        job_message(test, 1, 0, OP_RECEIVE, a, 0, 30, NULL);
        job_message(test, 1, 1, OP_RECEIVE, b, 0, 10, NULL);
        job_finish(test);
        const struct engine_change change = {early ? 1 : 2, 4, 3};
        makespan(test, (struct engine_options){.changes = &change, .change_count = 1});
        assert_near(job_record(test, 1, 1).end, early ? 3.5 : 2, 1e-12);
        assert_near(job_record(test, 1, 0).end, early ? 3.5 + 5 : 2 + 5, 1e-12);
        job_free(test);
    }
}

static void changes_after_the_end_do_not_happen_and_wrong_ones_are_errors(void **state)
{
    (void)state;
    struct test_job *test = one_message();
    struct engine_change change = {50, 0, 3};
    struct engine_options options = {.changes = &change, .change_count = 1};
    assert_near(makespan(test, options), 5, 1e-12);
    change = (struct engine_change){0, 0, 4};
    assert_false(run_level(test, options));
    change = (struct engine_change){-1, 0, 3};
    assert_false(run_level(test, options));
    change = (struct engine_change){1, NAN, 3};
    assert_false(run_level(test, options));
    job_free(test);
}

/* As in test_packet.c: three messages around a ring of links with queues of one packet. Here the links are
 * those of a ring of devices that pass on what is not for them. */
static void cyclic_queues_are_reported_with_their_links(void **state)
{
    (void)state;
    struct test_job *test = calloc(1, sizeof *test);
    names_init(&test->names);
    platform_init(&test->platform, &test->names);
    struct platform *platform = &test->platform;
    platform->first_arc = ARENA_ARRAY(&platform->arena, uint32_t, 4);
    for (uint32_t d = 0; d < 3; d++) {
        uint32_t name = names_add(&test->names, arena_format(&platform->arena, "hop[%u]", d));
        VECTOR_PUSH(&platform->nodes, ((struct node){.device = d}));
        VECTOR_PUSH(&platform->devices, ((struct device){.node = d, .speed = 1, .name = name}));
        VECTOR_PUSH(&platform->links, ((struct link){.bandwidth = 10, .name = name}));
        VECTOR_PUSH(&platform->arcs, ((struct arc){d, (d + 1) % 3, d}));
        platform->first_arc[d + 1] = d + 1;
    }
    test->ranks = 3;
    arena_init(&test->job.arena);
    test->job.names = &test->names;
    for (uint32_t d = 0; d < 3; d++) {
        uint32_t pair = job_pair(test, d, (d + 2) % 3, 1, false);
        job_message(test, d, 0, OP_SEND, pair, 0, 100, NULL);
        job_message(test, (d + 2) % 3, 1, OP_RECEIVE, pair, 0, 100, NULL);
    }
    job_finish(test);
    struct engine_options options = {.network = &packet_model, .mtu = 10, .buffer = 10};
    assert_false(run_level(test, options));
    if (!strstr(test->error, "deadlock") || !strstr(test->error, "wait for room in each other") ||
        !strstr(test->error, "'hop[0]' -> 'hop[1]' -> 'hop[2]' -> 'hop[0]'"))
        fail_msg("%s", test->error);
    options.buffer = 200;
    assert_near(makespan(test, options), 20, 3);
    job_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_alone_matches_each_level_s_closed_form),
        cmocka_unit_test(each_level_has_a_name_of_its_own),
        cmocka_unit_test(alpha_beta_takes_the_narrowest_of_links_and_cap),
        cmocka_unit_test(each_level_adds_time_to_the_one_before),
        cmocka_unit_test(collectives_agree_on_an_idle_symmetric_network),
        cmocka_unit_test(capacities_change_while_a_message_is_under_way),
        cmocka_unit_test(a_link_that_stays_down_is_named),
        cmocka_unit_test(sharing_follows_a_change),
        cmocka_unit_test(changes_after_the_end_do_not_happen_and_wrong_ones_are_errors),
        cmocka_unit_test(cyclic_queues_are_reported_with_their_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
