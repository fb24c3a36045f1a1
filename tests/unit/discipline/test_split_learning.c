/* Split learning against the closed forms of bytes and times, and against federated rounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../engine/near.h"
#include "play.h"

#include <stdio.h>

enum { SAMPLES = 240 };                                       /* of all clients together */
static const double model = 3.1e6, head = 0.31e6, cut = 52e3; /* bytes: P·b, η·P·b with η = 0.1, q·b */

static void must_run(struct play *play)
{
    if (!play_run(play, 1))
        fail_msg("%s", play->error);
}

/* All on one medium of 1 MB/s, so that without computation a run takes as many seconds as megabytes. */
static struct play *on_air(int clients, const char *kind, const char *more)
{
    char topology[200], text[300];
    struct play *play = play_new();
    snprintf(topology, sizeof topology,
             "devices: {device: {type: a100-sxm4-80gb, count: %d}}\n"
             "links: {air: {mode: shared, bandwidth: 1 MB/s, latency: 0 s, stations: [\"device[*]\"]}}\n",
             clients + 1);
    snprintf(text, sizeof text, "{kind: %s, server: \"device[0]\", rounds: 2, samples: %d%s}", kind,
             SAMPLES / clients, more);
    if (!play_read(play, topology, text)) {
        report_print(&play->input.report, stderr);
        abort();
    }
    play_price(play, 0, 0, 0, model);
    play->script.cut_bytes = cut;
    for (uint32_t r = 0; r < play->script.devices.count; r++)
        play->script.clients[r].weight_bytes = head;
    return play;
}

static double bytes_per_round(int clients, const char *kind, const char *more, double *seconds)
{
    struct play *play = on_air(clients, kind, more);
    must_run(play);
    double bytes = play->result.link_bytes[0] / 2;
    *seconds = play->stage.marks.at[1] / 2;
    play_free(play);
    return bytes;
}

/* FL moves 2 K P, split learning 2 p q and 2 K η P (from one to the next: K η P): split learning moves less
 * when (p/K) q < (1 - η) P, from one to the next when (p/K) q < (1 - η/2) P (survey of Singh et al. 2019). */
static void split_beats_federated_from_the_number_of_clients_that_the_formula_says(void **state)
{
    (void)state;
    static const char *const hand_overs[] = {", cut: x", ", cut: x, hand-over: peer"};
    for (int peer = 0; peer < 2; peer++) {
        int simulated = 0, predicted = 0;
        for (int clients = 2; clients <= 24; clients++) {
            if (SAMPLES % clients)
                continue;
            double federated_seconds, split_seconds, eta = head / model;
            double federated = bytes_per_round(clients, "federated", "", &federated_seconds);
            double split = bytes_per_round(clients, "split", hand_overs[peer], &split_seconds);
            assert_near(federated, 2 * clients * model, 1);
            assert_near(split, 2 * SAMPLES * cut + (peer ? 1 : 2) * clients * head, 1);
            assert_near(federated_seconds, federated / 1e6, 1e-6);
            assert_near(split_seconds, split / 1e6, 1e-6);
            if (!simulated && split_seconds < federated_seconds)
                simulated = clients;
            if (!predicted && (double)SAMPLES / clients * cut < (1 - (peer ? eta / 2 : eta)) * model)
                predicted = clients;
        }
        assert_int_equal(simulated, predicted);
        assert_true(predicted > 3 && predicted < 20); /* the cross-over lies inside */
    }
}

static struct play *cabled(int clients, const char *more)
{
    char text[300];
    snprintf(text, sizeof text, "{kind: split, server: \"device[0]\", cut: x, rounds: 3, samples: 4%s}",
             more);
    struct play *play = play_discipline(clients + 1, "0 s", text);
    play_price(play, 0, 0, 0, 1e8);
    play->script.cut_bytes = 1e7;
    play->script.tail_bytes = 2e6;
    for (uint32_t r = 0; r < play->script.devices.count; r++) {
        play->script.clients[r] = (struct script_half){{.seconds = 1}, {.seconds = 2}, {.seconds = 0.1}, 2e7};
        play->script.bodies[r] =
            (struct script_half){{.seconds = 0.01}, {.seconds = 0.02}, {.seconds = 0.001}, 8e7};
        play->script.tails[r] =
            (struct script_half){{.seconds = 0.3}, {.seconds = 0.6}, {.seconds = 0.05}, 1e6};
        play->script.costs[r].add.seconds = 0.5;
    }
    return play;
}

static void one_client_after_the_other_takes_the_sum(void **state)
{
    (void)state;
    struct play *play = cabled(3, "");
    must_run(play);
    double step = 3.1 + 0.031 + 2 * 0.01;
    assert_near(play->stage.marks.at[2], 3 * 3 * (4 * step + 2 * 0.02), 1e-9);
    play_free(play);
    play = cabled(3, ", tail: y"); /* the labels stay with the client */
    must_run(play);
    assert_near(play->stage.marks.at[2], 3 * 3 * (4 * (step + 0.95 + 2 * 0.002) + 2 * 0.02), 1e-9);
    play_free(play);
}

/* K clients at a time share the server's cable and its computing; a tenth of a client's step, so it stands
 * idle between. Averaging: the clients' fifth of the model each, in v1 the rest as well. */
static void clients_at_a_time_take_as_long_as_one_but_for_what_they_share(void **state)
{
    (void)state;
    static const char *const modes[] = {", mode: splitfed-v1", ", mode: splitfed-v2"};
    for (int v = 0; v < 2; v++)
        for (int clients = 1; clients <= 8; clients *= 2) {
            struct play *play = cabled(clients, modes[v]);
            must_run(play);
            double weights = clients * 0.02, averaging = clients * 0.5 * (v ? 0.2 : 1);
            double least = 4 * (3.1 + 0.031 + 0.02) + 2 * 0.02 + averaging;
            double most = 4 * (3.1 + clients * (0.031 + 0.02)) + 2 * weights + averaging;
            double round = play->stage.marks.at[2] / 3;
            assert_true(round >= least - 1e-9 && round <= most + 1e-9);
            if (clients == 1)
                assert_near(round, least, 1e-9);
            assert_near(play_bytes(play, "weights"), 3.0 * 2 * clients * 2e7, 1e-3);
            play_free(play);
        }
}

static void the_parallel_server_updates_once_for_all(void **state)
{
    (void)state;
    struct play *play = cabled(5, ", mode: parallel");
    must_run(play);
    uint32_t updates = 0, label = names_find(&play->names, "body update");
    for (uint32_t p = 0; p < play->job.program_count; p++)
        for (uint32_t i = 0; i < play->job.programs[p].op_count; i++)
            updates += play->job.programs[p].ops[i].label == label;
    assert_int_equal(updates, 3 * 4);
    /* Equal clients: heads, activations of all, their passes and one update, gradients of all, heads. */
    assert_near(play->stage.marks.at[2], 3 * 4 * (3.1 + 2 * 5 * 0.01 + 5 * 0.03 + 0.001), 1e-9);
    assert_near(play_bytes(play, "weights"), 0, 0);
    play_free(play);
}

/* Some have more steps than others: the server waits only for those who have some left. */
static void unequal_clients_of_a_parallel_server_are_no_hang(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct play *play =
            play_discipline(7, "0 s",
                            "{kind: split, server: \"device[0]\", cut: x, mode: parallel, rounds: 3, "
                            "samples: {distribution: uniform, low: 1, high: 9}}");
        play_price(play, 0, 0, 0, 1e8);
        play->script.cut_bytes = 1e7;
        for (uint32_t r = 0; r < play->script.devices.count; r++)
            play->script.clients[r] = play->script.bodies[r] =
                (struct script_half){{.seconds = 1}, {.seconds = 2}, {.seconds = 0.1}, 2e7};
        assert_true(play_run(play, seed));
        assert_int_equal(play->stage.marks.count, 3);
        play_free(play);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(split_beats_federated_from_the_number_of_clients_that_the_formula_says),
        cmocka_unit_test(one_client_after_the_other_takes_the_sum),
        cmocka_unit_test(clients_at_a_time_take_as_long_as_one_but_for_what_they_share),
        cmocka_unit_test(the_parallel_server_updates_once_for_all),
        cmocka_unit_test(unequal_clients_of_a_parallel_server_are_no_hang),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
