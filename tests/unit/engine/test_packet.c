/* The packet level against cases by hand, against itself packet by packet where a train is taken, and against
 * the fluid level where the two must agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "messages.h"
#include "near.h"

#include <stdio.h>
#include <stdlib.h>

static struct test_messages *new_test(double mtu, double buffer)
{
    struct test_messages *test = calloc(1, sizeof *test);
    test->mtu = mtu;
    test->buffer = buffer;
    return test;
}

static unsigned long long draw(unsigned long long *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return *seed >> 33;
}

static double draw_number(unsigned long long *seed, double low, double high)
{
    return low + (high - low) * (double)(draw(seed) % 1000003) / 1000003;
}

static void a_packet_takes_its_bytes_over_each_link_and_the_latencies(void **state)
{
    (void)state;
    struct test_messages *test = new_test(1000, 8000);
    messages_link(test, 100, 1);
    messages_link(test, 250, 0.5);
    messages_link(test, 50, 2);
    messages_add(test, 3, 700, PATH(0, 1, 2));
    messages_add(test, 50, 0, PATH(0, 1, 2));
    messages_run(test, &packet_model);
    assert_near(test->messages[0].end, 3 + 7 + 1 + 2.8 + 0.5 + 14 + 2, 1e-12);
    assert_near(test->messages[1].end, 50 + 3.5, 1e-12);
    test->header = 50;
    messages_run(test, &packet_model);
    assert_near(test->messages[0].end, 3 + 7.5 + 1 + 3 + 0.5 + 15 + 2, 1e-12);
    assert_near(test->carried[2], 700, 1e-12);
    free(test);
}

/* Ten packets of 100 bytes: the first is through after 1 + 4 + 2 s, the others follow every 4 s; the last one
 * is half a packet: it leaves the slow link 2 s after the ninth and then takes 1 s. */
static void the_packets_of_a_message_overlap_on_their_way(void **state)
{
    (void)state;
    for (int one_by_one = 0; one_by_one < 2; one_by_one++) {
        struct test_messages *test = new_test(100, 800);
        messages_link(test, 100, 0);
        messages_link(test, 25, 0);
        messages_link(test, 50, 0);
        messages_add(test, 0, 950, PATH(0, 1, 2));
        if (one_by_one)
            test->changes[test->change_count++] = (struct test_change){0, 100, 0};
        messages_run(test, &packet_model);
        assert_near(test->messages[0].end, 1 + 9 * 4 + 2 + 1, 1e-9);
        free(test);
    }
}

/* Both offer packets at 1 per second; the link takes them in turn, so that after 19 of its 20 s the first has
 * ended. */
static void two_messages_on_a_link_take_turns(void **state)
{
    (void)state;
    struct test_messages *test = new_test(100, 400);
    messages_link(test, 100, 0);
    messages_add(test, 0, 1000, PATH(0));
    messages_add(test, 0, 1000, PATH(0));
    messages_run(test, &packet_model);
    assert_near(test->messages[0].end, 19, 1e-12);
    assert_near(test->messages[1].end, 20, 1e-12);
    assert_near(test->carried[0], 2000, 1e-12);
    free(test);
}

/* Eight senders of one packet each to one receiver: the receiver's link sends one after the other. */
static void an_incast_is_served_one_after_the_other(void **state)
{
    (void)state;
    struct test_messages *test = new_test(100, 200);
    uint32_t down = messages_link(test, 100, 0.25);
    for (uint32_t i = 0; i < 8; i++)
        messages_add(test, 0, 100, PATH(messages_link(test, 100, 0.25), down));
    messages_run(test, &packet_model);
    for (uint32_t i = 0; i < 8; i++)
        assert_near(test->messages[i].end, 1 + 0.25 + (i + 1) + 0.25, 1e-12);
    free(test);
}

/* Two messages share a trunk of 10 and go on over links of 1 and of 10. Max-min gives the second 9; behind a
 * first-in first-out queue that fills up with packets for the slow link it gets no more than the first. */
static void a_slow_receiver_holds_up_the_others_behind_it(void **state)
{
    (void)state;
    struct test_messages *test = new_test(1, 4);
    uint32_t trunk = messages_link(test, 10, 0), slow = messages_link(test, 1, 0);
    uint32_t fast = messages_link(test, 10, 0);
    messages_add(test, 0, 1000, PATH(trunk, slow));
    messages_add(test, 0, 1000, PATH(trunk, fast));
    messages_run(test, &fluid_model);
    assert_near(test->messages[1].end, 1000.0 / 9, 1e-9);
    messages_run(test, &packet_model);
    assert_near(test->messages[0].end, 1000, 2);
    assert_near(test->messages[1].end, 1000, 12);
    free(test);
}

/* Queues of two packets. On 0 -> 1, the third packet leaves link 0 only when the first has left link 1. */
static void a_full_queue_holds_the_link_before_it(void **state)
{
    (void)state;
    struct test_messages *test = new_test(1, 2);
    messages_link(test, 1, 0);
    messages_link(test, 0.1, 0);
    messages_add(test, 0, 5, PATH(0, 1));
    messages_add(test, 4, 1, PATH(0));
    messages_run(test, &packet_model);
    /* Link 1 ends packets at 11, 21, 31, 41, 51. Link 0 starts 1 and 2 at 0 and 1, 3 at 11, 4 at 21, 5 at 31.
     * The second message finds two packets in queue 0 and, waiting for a slot there behind the first source,
     * comes in after packet 5. */
    assert_near(test->messages[0].end, 51, 1e-12);
    assert_near(test->messages[1].end, 33, 1e-12);
    free(test);
}

/* Three links in a ring, each message over two of them, queues of one packet: each holds one that wants to
 * the next. */
static void cyclic_queues_that_are_full_are_found(void **state)
{
    (void)state;
    struct test_messages *test = new_test(1, 1);
    for (uint32_t l = 0; l < 3; l++)
        messages_link(test, 1, 0);
    for (uint32_t l = 0; l < 3; l++)
        messages_add(test, 0, 100, PATH(l, (l + 1) % 3));
    messages_run(test, &packet_model);
    assert_true(test->messages[0].end == INFINITY);
    assert_int_equal(test->stall_count, 4);
    assert_int_equal(test->stall[0], test->stall[3]);
    test->buffer = 1000;
    messages_run(test, &packet_model);
    assert_near(test->messages[0].end, 200, 5);
    assert_int_equal(test->stall_count, 0);
    free(test);
}

/* Station to station through the access point: each packet is on air twice, 0.5 s each, and has to wait for
 * the others. Alone, and both ways at once. */
static void a_medium_serves_one_packet_at_a_time(void **state)
{
    (void)state;
    struct test_messages *test = new_test(100, 200);
    uint32_t air = messages_link(test, 200, 0);
    test->shared[air] = true;
    messages_add(test, 0, 1000, PATH(air, air));
    messages_run(test, &packet_model);
    assert_near(test->messages[0].end, 10, 1e-12);
    messages_add(test, 0, 1000, PATH(air, air));
    messages_run(test, &packet_model);
    assert_near(test->messages[1].end, 20, 1e-12);
    assert_near(test->carried[air], 4000, 1e-12);
    free(test);
}

static void draw_chain(struct test_messages *test, unsigned long long *seed)
{
    test->mtu = 100;
    test->buffer = 100.0 * (double)(2 + draw(seed) % 6);
    test->header = draw(seed) % 2 ? 0 : 10;
    uint32_t hops = 1 + (uint32_t)(draw(seed) % 6), path[MESSAGES_HOPS];
    bool round = draw(seed) % 2;
    for (uint32_t h = 0; h < hops; h++) {
        double capacity = round ? (double)(1 + draw(seed) % 4) * 100 : draw_number(seed, 50, 500);
        path[h] = messages_link(test, capacity, draw(seed) % 2 ? 0 : draw_number(seed, 0, 3));
    }
    messages_add(test, 0, draw_number(seed, 1, 20000), hops, path);
}

/* A change to the capacity that a link has already makes a message go packet by packet. */
static void a_train_is_where_its_packets_would_be(void **state)
{
    (void)state;
    unsigned long long seed = 7;
    for (int i = 0; i < 3000; i++) {
        unsigned long long start = seed;
        struct test_messages *test = new_test(0, 0);
        draw_chain(test, &seed);
        messages_run(test, &packet_model);
        double train = test->messages[0].end;
        assert_int_equal(test->events, 1);
        uint32_t link = test->messages[0].path[draw(&seed) % test->messages[0].path_length];
        double time = draw(&seed) % 4 ? draw_number(&seed, 0, train) : 0;
        test->changes[test->change_count++] = (struct test_change){time, test->capacities[link], link};
        messages_run(test, &packet_model);
        if (fabs(test->messages[0].end - train) > 1e-9 * train)
            fail_msg("case %d, seed %llu: %.17g as a train, %.17g when unpacked at %g", i, start, train,
                     test->messages[0].end, time);
        for (uint32_t l = 0; l < test->link_count; l++)
            assert_near(test->carried[l], test->messages[0].bytes, 1e-9 * test->messages[0].bytes);
        free(test);
    }
}

/* Hosts around a switch: every host sends to some others, nobody receives more than one message, so that no
 * two messages meet after their first link; receivers take what comes. */
static void draw_out_cast(struct test_messages *test, unsigned long long *seed)
{
    enum { HOSTS = 12 };
    uint32_t senders[HOSTS], sends[HOSTS] = {0};
    double up[HOSTS];
    for (uint32_t h = 0; h < HOSTS; h++)
        messages_link(test, up[h] = draw_number(seed, 1e9, 1e10), draw_number(seed, 0, 2e-6));
    for (uint32_t h = 0; h < HOSTS; h++)
        sends[senders[h] = (uint32_t)(draw(seed) % HOSTS)]++;
    for (uint32_t h = 0; h < HOSTS; h++) {
        uint32_t s = senders[h], middle = messages_link(test, 2e10, 1e-6);
        uint32_t down = messages_link(test, up[s] * draw_number(seed, sends[s] > 1 ? 1 : 0.3, 2),
                                      draw_number(seed, 0, 2e-6));
        messages_add(test, draw_number(seed, 0, 1e-4), draw_number(seed, 1e7, 4e7), PATH(s, middle, down));
    }
}

/* Hosts, equal or not, with one message each over one of two narrow trunks, to receivers that take what
 * comes. */
static void draw_trunks(struct test_messages *test, unsigned long long *seed)
{
    uint32_t trunks[2], hosts = 3 + (uint32_t)(draw(seed) % 8);
    bool equal = draw(seed) % 2;
    double rate = draw_number(seed, 1e9, 1e10);
    for (uint32_t t = 0; t < 2; t++)
        trunks[t] = messages_link(test, draw_number(seed, 2e9, 2e10), draw_number(seed, 0, 5e-6));
    for (uint32_t h = 0; h < hosts; h++) {
        double own = equal ? rate : draw_number(seed, 1e9, 1e10);
        uint32_t up = messages_link(test, own, draw_number(seed, 0, 2e-6));
        uint32_t down = messages_link(test, own * draw_number(seed, 1, 2), 1e-6);
        messages_add(test, draw_number(seed, 0, 1e-4), draw_number(seed, 1e7, 4e7),
                     PATH(up, trunks[draw(seed) % 2], down));
    }
}

static void it_agrees_with_fluid_for_long_messages_without_incast(void **state)
{
    (void)state;
    unsigned long long seed = 11;
    double worst = 0;
    for (int i = 0; i < 60; i++) {
        unsigned long long start = seed;
        struct test_messages *test = new_test(0, 32768);
        if (i % 2)
            draw_trunks(test, &seed);
        else
            draw_out_cast(test, &seed);
        double fluid[MESSAGES_MOST];
        messages_run(test, &fluid_model);
        for (uint32_t m = 0; m < test->count; m++)
            fluid[m] = test->messages[m].end - test->messages[m].start;
        messages_run(test, &packet_model);
        for (uint32_t m = 0; m < test->count; m++) {
            double packet = test->messages[m].end - test->messages[m].start;
            worst = fmax(worst, fabs(packet / fluid[m] - 1));
            if (fabs(packet / fluid[m] - 1) > 0.02)
                fail_msg("network %d, seed %llu, message %u: %g s by packets, %g s fluid", i, start, m,
                         packet, fluid[m]);
        }
        free(test);
    }
    printf("packet and fluid differ by at most %.3g %%\n", 100 * worst);
}

/* Links that get slower and faster or go down for a while. */
static void draw_changes(struct test_messages *test, unsigned long long *seed)
{
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t link = i < 4 ? (uint32_t)(draw(seed) % 10) : test->changes[i - 4].link;
        double time = i < 4 ? i * 10 + (double)(draw(seed) % 10) : 60 + i;
        double capacity = i < 4 ? (double)(draw(seed) % 4) * 10 : 20;
        test->changes[test->change_count++] = (struct test_change){time, capacity, link};
    }
}

/* Random paths over a few links, everything tied and crowded: whatever happens, nothing is lost, nobody is
 * faster than alone, and a second run gives the same bits. Paths ascend, so that queues cannot be cyclic. */
static void nothing_is_lost_in_a_crowd(void **state)
{
    (void)state;
    unsigned long long seed = 5;
    for (int i = 0; i < 400; i++) {
        unsigned long long start = seed;
        struct test_messages *test = new_test(10, 10.0 * (double)(1 + draw(&seed) % 4));
        double expected[10] = {0}, first[MESSAGES_MOST];
        for (uint32_t l = 0; l < 10; l++) {
            messages_link(test, (double)(1 + draw(&seed) % 3) * 10, (double)(draw(&seed) % 3));
            test->shared[l] = draw(&seed) % 4 == 0;
        }
        for (uint32_t m = 0; m < 12; m++) {
            uint32_t path[MESSAGES_HOPS], hops = 0;
            for (uint32_t l = 0; l < 10; l++)
                for (uint32_t twice = 0; twice < 1u + test->shared[l] && hops < MESSAGES_HOPS; twice++)
                    if (draw(&seed) % 3 == 0)
                        path[hops++] = l;
            double bytes = (double)(draw(&seed) % 400);
            for (uint32_t h = 0; h < hops; h++)
                expected[path[h]] += bytes;
            messages_add(test, (double)(draw(&seed) % 30), bytes, hops, path);
        }
        if (i % 2)
            draw_changes(test, &seed);
        messages_run(test, &alpha_beta_model);
        for (uint32_t m = 0; m < test->count; m++)
            first[m] = test->messages[m].end;
        messages_run(test, &packet_model);
        double ends[MESSAGES_MOST];
        for (uint32_t m = 0; m < test->count; m++) {
            ends[m] = test->messages[m].end;
            bool twice = false; /* alpha-beta lets a message have a medium that it crosses twice in halves */
            for (uint32_t h = 1; h < test->messages[m].path_length; h++)
                twice |= test->messages[m].path[h] == test->messages[m].path[h - 1];
            if (!(ends[m] < INFINITY) || (!test->change_count && !twice && ends[m] < first[m] * (1 - 1e-12)))
                fail_msg("case %d, seed %llu, message %u: %g s, alone %g s", i, start, m, ends[m], first[m]);
        }
        for (uint32_t l = 0; l < 10; l++)
            assert_near(test->carried[l], expected[l], 1e-9 * expected[l]);
        messages_run(test, &packet_model);
        for (uint32_t m = 0; m < test->count; m++)
            assert_true(test->messages[m].end == ends[m]);
        free(test);
    }
}

static void a_limit_ends_what_would_take_for_ever(void **state)
{
    (void)state;
    struct test_messages *test = new_test(1, 0);
    test->packet_limit = 5000;
    messages_link(test, 1, 0);
    messages_add(test, 0, 1e15, PATH(0));
    messages_run(test, &packet_model);
    assert_near(test->messages[0].end, 1e15, 1); /* alone, it is a train */
    messages_add(test, 1e6, 1e9, PATH(0));
    messages_run(test, &packet_model);
    assert_true(test->messages[0].end == INFINITY);
    if (!strstr(test->problem, "5000 packets") || !strstr(test->problem, "network.mtu"))
        fail_msg("%s", test->problem);
    free(test);
}

/* 10 packets of a second each. From 3.5 s on the link has half its capacity: the fourth packet goes on as it
 * began, the other six take 2 s. Then the link is down from 4 s to 100 s. */
static void a_change_of_capacity_holds_from_the_next_packet_on(void **state)
{
    (void)state;
    struct test_messages *test = new_test(100, 400);
    messages_link(test, 100, 0);
    messages_add(test, 0, 1000, PATH(0));
    test->changes[test->change_count++] = (struct test_change){3.5, 50, 0};
    messages_run(test, &packet_model);
    assert_near(test->messages[0].end, 4 + 12, 1e-12);
    test->changes[test->change_count++] = (struct test_change){4, 0, 0};
    messages_run(test, &packet_model);
    assert_true(test->messages[0].end == INFINITY);
    test->changes[test->change_count++] = (struct test_change){100, 100, 0};
    messages_run(test, &packet_model);
    assert_near(test->messages[0].end, 108 - 2 + 0, 3);
    free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packet_takes_its_bytes_over_each_link_and_the_latencies),
        cmocka_unit_test(the_packets_of_a_message_overlap_on_their_way),
        cmocka_unit_test(two_messages_on_a_link_take_turns),
        cmocka_unit_test(an_incast_is_served_one_after_the_other),
        cmocka_unit_test(a_slow_receiver_holds_up_the_others_behind_it),
        cmocka_unit_test(a_full_queue_holds_the_link_before_it),
        cmocka_unit_test(cyclic_queues_that_are_full_are_found),
        cmocka_unit_test(a_medium_serves_one_packet_at_a_time),
        cmocka_unit_test(a_train_is_where_its_packets_would_be),
        cmocka_unit_test(it_agrees_with_fluid_for_long_messages_without_incast),
        cmocka_unit_test(nothing_is_lost_in_a_crowd),
        cmocka_unit_test(a_limit_ends_what_would_take_for_ever),
        cmocka_unit_test(a_change_of_capacity_holds_from_the_next_packet_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
