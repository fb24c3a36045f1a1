/* Federated rounds against closed forms and published sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../engine/near.h"
#include "play.h"

#include <stdio.h>

static struct play *federated(int clients, const char *more)
{
    char text[400];
    snprintf(text, sizeof text, "{kind: federated, server: \"device[0]\", %s}", more);
    return play_discipline(clients + 1, "0 s", text);
}

static void must_run(struct play *play, uint64_t seed)
{
    if (!play_run(play, seed))
        fail_msg("%s", play->error);
}

static void must_fail(struct play *play, uint64_t seed, const char *part)
{
    assert_false(play_run(play, seed));
    if (!strstr(play->error, part))
        fail_msg("'%s' is not in: %s", part, play->error);
}

/* The round of FedAvg: down, u steps, up, one sum after the other; the server's cable carries all of it. */
static void a_round_of_equal_clients_takes_its_closed_form(void **state)
{
    (void)state;
    for (int selected = 1; selected <= 9; selected += 2) {
        char more[120];
        snprintf(more, sizeof more, "select: %d, rounds: 6, epochs: 5, samples: 600", selected);
        struct play *play = federated(12, more);
        play_price(play, 0.01, 0.02, 0.003, 6.65e6);
        play->script.batch = 10;
        play->script.costs[0].add.seconds = 0.004;
        must_run(play, 3);
        double round = 2 * selected * 6.65e-3 + 300 * 0.033 + selected * 0.004;
        assert_int_equal(play->stage.marks.count, 6);
        for (int i = 0; i < 6; i++)
            assert_near(play->stage.marks.at[i], (i + 1) * round, 1e-9);
        assert_near(play->stage.samples, 6.0 * selected * 3000, 0);
        play_free(play);
    }
}

/* A number at the start of the field after so many commas; quoted fields may contain commas. */
static double csv_field(const char *line, int field)
{
    bool quoted = false;
    for (; *line && field; line++) {
        quoted ^= *line == '"';
        field -= *line == ',' && !quoted;
    }
    return atof(line);
}

/* FedAvg's table says how many rounds; each of its rounds of 10 clients moves 2·10·P·b. Simulated for the
 * shortest rows; the bytes of a round are the same in all. */
static void bytes_of_fedavg_are_rounds_times_two_models_per_client(void **state)
{
    (void)state;
    FILE *file = fopen(PARTITA_SOURCE "/../shared/validation/edge_measurements.csv", "r");
    if (!file) {
        print_message("edge_measurements.csv is not there: skipped\n");
        skip();
    }
    char line[2000], more[120];
    int rows = 0;
    while (fgets(line, sizeof line, file)) {
        double rounds = csv_field(line, 3);
        if (strncmp(line, "FedAvg,", 7) != 0 || !strstr(line, "1,663,370") || rounds < 1 || rounds > 100)
            continue;
        snprintf(more, sizeof more, "fraction: 0.1, rounds: %.0f, samples: 600", rounds);
        struct play *play = federated(100, more);
        play_price(play, 0, 0.001, 0, 4 * 1663370.0);
        must_run(play, 1);
        double sent = play_bytes(play, "models") + play_bytes(play, "updates");
        assert_near(sent, rounds * 10 * 2 * 4 * 1663370.0, 1);
        play_free(play);
        rows++;
    }
    fclose(file);
    assert_true(rows >= 5);
}

/* 1.73 times the bytes for 2^10 clients and 2^20 numbers of 16 bits, 1.98 for 2^14 and 2^24: Bonawitz et al.
 * 2017, abstract. The four phases as messages must give 2 n a_K + (5 n - 4) a_S + n / 8 and the masked
 * numbers, which grow by log2 n bits. Simulated for 64 clients, computed for theirs. */
static void secure_aggregation_moves_the_published_bytes(void **state)
{
    (void)state;
    double n = 64, m = 1 << 14;
    struct play *play = federated(64, "rounds: 1, secure-aggregation: 16");
    play_price(play, 0.1, 0.1, 0, 4 * m);
    must_run(play, 1);
    double masked = m * (16 + 6) / 8, more = (2 * n * 256 + (5 * n - 4) * 256 + n) / 8;
    assert_near(play_bytes(play, "updates"), n * masked, 1e-6);
    assert_near(play_bytes(play, "keys") + play_bytes(play, "shares"), n * more, 1e-6);
    play_free(play);
    for (int i = 0; i < 2; i++) {
        double users = i ? 1 << 14 : 1 << 10, numbers = i ? 1 << 24 : 1 << 20;
        double bits = numbers * (16 + log2(users)) + 2 * users * 256 + (5 * users - 4) * 256 + users;
        assert_near(bits / (16 * numbers), i ? 1.98 : 1.73, 0.006);
    }
}

static void a_deadline_cuts_rounds_and_the_late_ones_are_counted(void **state)
{
    (void)state;
    struct play *play = federated(20, "select: 10, over-select: 1.3, rounds: 30, deadline: 12 s, "
                                      "speed: {distribution: lognormal, mean: 1, sd: 0.5}");
    play_price(play, 0, 8, 0, 1e6);
    must_run(play, 5);
    assert_true(account_get(&play->account, "late arrivals") > 0);
    for (uint32_t i = 1; i < play->stage.marks.count; i++)
        assert_true(play->stage.marks.at[i] - play->stage.marks.at[i - 1] < 12.1);
    play_free(play);
}

static void a_deadline_that_nobody_meets_is_an_error(void **state)
{
    (void)state;
    struct play *play = federated(5, "rounds: 3, deadline: 2 s");
    play_price(play, 0, 8, 0, 1e6);
    must_fail(play, 1, "no client met the deadline of 2 s in round 1: the first, device[");
    play_again(play);
    play_free(play);
    play = federated(5, "rounds: 3, deadline: 20 s, dropout: 1");
    play_price(play, 0, 8, 0, 1e6);
    must_fail(play, 1, "dropped out");
    play_free(play);
}

static void lost_clients_without_a_deadline_are_no_hang(void **state)
{
    (void)state;
    struct play *play = federated(5, "rounds: 200, dropout: 0.3");
    play_price(play, 0, 8, 0, 1e6);
    must_fail(play, 1, "there is no deadline");
    play_free(play);
}

/* M clients at work, each replaced at once by itself or an equal one: all the others come in between. */
static void mean_staleness_of_what_comes_is_the_number_at_work_less_one(void **state)
{
    (void)state;
    struct play *play = federated(40, "mode: asynchronous, select: 8, rounds: 400");
    play_price(play, 0, 8, 0, 1e6);
    play->script.costs[0].add.seconds = 0.01; /* so that they come one after the other */
    must_run(play, 1);
    assert_near(account_mean(&play->account, "staleness"), 7, 0.1); /* the first ones: 0 to 7 */
    assert_int_equal(account_most(&play->account, "staleness"), 7);
    play_free(play);
    play = federated(40, "mode: buffered, select: 8, buffer: 8, rounds: 50");
    play_price(play, 0, 8, 0, 1e6);
    must_run(play, 1);
    assert_true(account_most(&play->account, "staleness") <= 1);
    assert_int_equal(play->stage.marks.count, 50);
    play_free(play);
}

/* Cloud rounds: down to the edges, so many rounds of each with its own clients, up again. */
static void edges_spare_the_server_their_clients_messages(void **state)
{
    (void)state;
    struct play *play = play_discipline(15, "0 s",
                                        "{kind: federated, server: \"device[0]\", edges: \"device[1..2]\", "
                                        "edge-rounds: 3, rounds: 4}");
    play_price(play, 0, 1, 0, 1e8);
    must_run(play, 1);
    assert_near(play_bytes(play, "edge models"), 4 * 2 * 1e8, 0);
    assert_near(play_bytes(play, "models"), 4 * 3 * 12 * 1e8, 0);
    double round = 2 * 0.1 + 3 * (6 * 0.1 + 1 + 6 * 0.1) + 2 * 0.1;
    assert_near(play->stage.marks.at[3], 4 * round, 1e-9);
    assert_near(play->result.link_bytes[1], 4 * 2 * 1e8, 1e-3); /* down to the server: its edges only */
    play_free(play);
}

static void radios_limit_what_a_client_gets(void **state)
{
    (void)state;
    struct play *play =
        federated(3, "rounds: 1, downlink: 10 MB/s, uplink: {distribution: constant, value: 2 MB/s}");
    play_price(play, 0, 1, 0, 1e7);
    must_run(play, 1);
    assert_near(play->stage.marks.at[0], 1 + 1 + 5, 1e-9);
    play_free(play);
}

static void the_same_seed_draws_the_same_clients(void **state)
{
    (void)state;
    double ends[3];
    for (int i = 0; i < 3; i++) {
        struct play *play = federated(
            30, "fraction: 0.2, rounds: 20, samples: {distribution: lognormal, mean: 300, sd: 200}, "
                "available: 0.7");
        play_price(play, 0, 0.01, 0, 1e6);
        must_run(play, i == 2 ? 8 : 7);
        ends[i] = play->stage.marks.at[19];
        play_free(play);
    }
    assert_true(ends[0] == ends[1]);
    assert_true(ends[0] != ends[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_of_equal_clients_takes_its_closed_form),
        cmocka_unit_test(bytes_of_fedavg_are_rounds_times_two_models_per_client),
        cmocka_unit_test(secure_aggregation_moves_the_published_bytes),
        cmocka_unit_test(a_deadline_cuts_rounds_and_the_late_ones_are_counted),
        cmocka_unit_test(a_deadline_that_nobody_meets_is_an_error),
        cmocka_unit_test(lost_clients_without_a_deadline_are_no_hang),
        cmocka_unit_test(mean_staleness_of_what_comes_is_the_number_at_work_less_one),
        cmocka_unit_test(edges_spare_the_server_their_clients_messages),
        cmocka_unit_test(radios_limit_what_a_client_gets),
        cmocka_unit_test(the_same_seed_draws_the_same_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
