/* Gradients of a table that the first and the last stage split in different ways: who sends what to whom. */
#include "plan_case.h"

#include "plan/shard.h"
#include "plan/tied.h"

enum { ROWS = 24, WIDTH = 10 };
static const char model[] =
    "name: m\nlayers:\n  - {input: t, dims: {s: 4}, discrete: yes}\n  - {embedding: e, vocabulary: 24, out: "
    "10}\n"
    "  - {fc: u, out: {h: 10}}\n  - {fc: l, out: {v: 24}, bias: no, weight: e}\n  - {loss: loss, over: v}\n";

/* The stages that hold the table have these axes, the one between them none. */
static void tied_case(struct plan_case *c, const char *first, const char *last, uint32_t zero,
                      struct tied_sum *sum)
{
    case_init(c, model, 4);
    case_stage(c, 2, first);
    case_stage(c, 1, "");
    case_stage(c, 0, last);
    c->plan.zero = zero;
    shard_mark(&c->plan);
    if (!case_derive(c)) {
        report_print(&c->input.report, stderr);
        fail_msg("%s / %s cannot be derived", first, last);
    }
    uint32_t table = 0;
    while (strcmp(names_text(&c->names, c->model.tensors.at[table].name), "e.weight") != 0)
        table++;
    assert_true(tied_find(c->derivations, table, sum));
}

static double sent(const struct tied_sum *sum, uint32_t source, uint32_t from)
{
    double elements = 0;
    for (uint32_t i = 0; i < sum->flows.count; i++)
        if (sum->flows.at[i].source == source && sum->flows.at[i].from == from)
            elements += sum->flows.at[i].elements;
    return elements;
}

static double received(const struct tied_sum *sum, uint32_t target, uint32_t to)
{
    double elements = 0;
    for (uint32_t i = 0; i < sum->flows.count; i++)
        if (sum->flows.at[i].target == target && sum->flows.at[i].to == to)
            elements += sum->flows.at[i].elements;
    return elements;
}

static void quarters_and_halves_of_a_table_meet_where_they_overlap(void **state)
{
    (void)state;
    struct plan_case c;
    struct tied_sum sum;
    tied_case(&c, "v:4", "v:2", 0, &sum);
    assert_false(sum.alike);
    assert_int_equal(sum.flows.count, 8); /* each quarter with its half, both ways */
    for (uint32_t i = 0; i < sum.flows.count; i++) {
        const struct tied_flow *flow = &sum.flows.at[i];
        uint32_t quarter = flow->source ? flow->to : flow->from, half = flow->source ? flow->from : flow->to;
        assert_int_equal(half, quarter / 2);
        assert_true(flow->elements == ROWS / 4.0 * WIDTH);
    }
    tied_fini(&sum);
    case_fini(&c);
}

static void a_whole_table_gets_every_quarter_and_gives_each_back(void **state)
{
    (void)state;
    struct plan_case c;
    struct tied_sum sum;
    tied_case(&c, "v:4", "", 0, &sum);
    assert_int_equal(sum.flows.count, 8);
    assert_true(received(&sum, 2, 0) == ROWS * WIDTH && sent(&sum, 2, 0) == ROWS * WIDTH);
    for (uint32_t m = 0; m < 4; m++)
        assert_true(received(&sum, 0, m) == ROWS / 4.0 * WIDTH && sent(&sum, 0, m) == ROWS / 4.0 * WIDTH);
    tied_fini(&sum);
    case_fini(&c);
}

/* Two copies that a batch is split over: each gets all, and they take turns in giving. */
static void copies_of_a_stage_share_the_work_of_sending(void **state)
{
    (void)state;
    struct plan_case c;
    struct tied_sum sum;
    tied_case(&c, "v:4", "b:2", 0, &sum);
    assert_true(received(&sum, 2, 0) == ROWS * WIDTH && received(&sum, 2, 1) == ROWS * WIDTH);
    for (uint32_t m = 0; m < 4; m++)
        assert_true(sent(&sum, 0, m) == 2 * ROWS / 4.0 * WIDTH);
    assert_true(sent(&sum, 2, 0) == ROWS / 2.0 * WIDTH && sent(&sum, 2, 1) == ROWS / 2.0 * WIDTH);
    tied_fini(&sum);
    case_fini(&c);
}

static void equal_shares_meet_by_an_all_reduce(void **state)
{
    (void)state;
    static const char *const meshes[][2] = {{"v:4", "v:4"}, {"b:2 v:2", "b:2 v:2"}, {"", ""}};
    for (size_t i = 0; i < sizeof meshes / sizeof meshes[0]; i++) {
        struct plan_case c;
        struct tied_sum sum;
        tied_case(&c, meshes[i][0], meshes[i][1], 0, &sum);
        assert_true(sum.alike);
        assert_int_equal(sum.flows.count, 0);
        assert_int_equal(sum.copies.count, 2);
        tied_fini(&sum);
        case_fini(&c);
    }
}

/* With ZeRO the shares are intervals of rows that begin and end inside of them: 3 members keep 80 elements
 * each, 2 keep 120. */
static void shares_of_a_replicated_table_meet_element_by_element(void **state)
{
    (void)state;
    struct plan_case c;
    struct tied_sum sum;
    tied_case(&c, "b:3", "b:2", 1, &sum);
    static const double wanted[3][2] = {{80, 0}, {40, 40}, {0, 80}};
    double got[2][3][2] = {{{0}}};
    for (uint32_t i = 0; i < sum.flows.count; i++) {
        const struct tied_flow *flow = &sum.flows.at[i];
        bool back = flow->source != 0;
        got[back][back ? flow->to : flow->from][back ? flow->from : flow->to] += flow->elements;
    }
    assert_int_equal(sum.flows.count, 8);
    for (int way = 0; way < 2; way++)
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 2; b++)
                assert_true(got[way][a][b] == wanted[a][b]);
    tied_fini(&sum);
    case_fini(&c);
}

/* Every element of an interval is in exactly one piece, no other in any. */
static void pieces_of_an_interval_are_its_elements(void **state)
{
    (void)state;
    struct box box = {.dims = {{2, 5}, {1, 5}, {3, 6}}};
    for (uint64_t low = 0; low <= 36; low++)
        for (uint64_t high = low; high <= 36; high++) {
            struct box pieces[TIED_PIECES];
            uint32_t count = tied_pieces(box, 3, (struct interval){low, high}, pieces);
            assert_true(count <= 5);
            for (uint64_t i = 0; i < 36; i++) {
                uint64_t at[3] = {2 + i / 12, 1 + i / 3 % 4, 3 + i % 3};
                uint32_t times = 0;
                for (uint32_t k = 0; k < count; k++) {
                    bool inside = true;
                    for (uint32_t d = 0; d < 3; d++)
                        inside &= at[d] >= pieces[k].dims[d].low && at[d] < pieces[k].dims[d].high;
                    times += inside;
                }
                assert_int_equal(times, i >= low && i < high);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quarters_and_halves_of_a_table_meet_where_they_overlap),
        cmocka_unit_test(a_whole_table_gets_every_quarter_and_gives_each_back),
        cmocka_unit_test(copies_of_a_stage_share_the_work_of_sending),
        cmocka_unit_test(equal_shares_meet_by_an_all_reduce),
        cmocka_unit_test(shares_of_a_replicated_table_meet_element_by_element),
        cmocka_unit_test(pieces_of_an_interval_are_its_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
