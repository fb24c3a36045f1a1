/* Products on grids of devices, streamed in panels (SUMMA): bytes, time and memory against closed forms. That
 * panels give what whole operands do is what the executor finds. */
#include "../plan/plan_case.h"

#include "engine/engine.h"
#include "plan/emit.h"
#include "plan/memory.h"
#include "plan/panels.h"
#include "plan/state.h"
#include "plan/streamed.h"
#include "plan/work.h"

enum { BATCH = 12, INNER = 24, OUTER = 36, BYTES = 4 };

/* Rows split the batch, columns the features: what the look-up gives is split over both, as X must be. */
static const char model[] = "name: m\nlayers:\n  - {input: x, dims: {s: 1}, discrete: yes}\n"
                            "  - {embedding: e, vocabulary: 5, out: 24}\n"
                            "  - {fc: y, out: {h: 36}, bias: no}\n";

struct run {
    struct plan_case c;
    struct job job;
    struct engine_result result;
    uint32_t product; /* of the derivation's operators */
};

static void grid_init(struct run *run, const char *axes, enum plan_product product, uint32_t panels,
                      bool training)
{
    memset(run, 0, sizeof *run);
    case_init(&run->c, model, BATCH);
    case_stage(&run->c, 0, axes);
    run->c.plan.product = product;
    run->c.plan.panels = panels;
    run->c.plan.training = training;
    if (!training)
        run->c.plan.schedule = &inference_schedule;
}

static void grid_derive(struct run *run)
{
    assert_true(case_derive(&run->c));
    const struct derivation *d = run->c.derivations;
    while (state_operator(d, run->product)->kind != OPERATOR_EINSUM)
        run->product++;
}

static void grid_run(struct run *run)
{
    const char *error = NULL;
    grid_derive(run);
    arena_init(&run->job.arena);
    run->job.names = &run->c.names;
    assert_true(emit_job(&run->c.plan, run->c.derivations, &run->job, &run->c.input.report));
    if (!engine_run(&run->c.platform, &run->job, &(struct engine_options){0}, &run->result, &error))
        fail_msg("%s: %s", case_describe(&run->c), error);
}

static void grid_fini(struct run *run)
{
    engine_result_fini(&run->result);
    arena_fini(&run->job.arena);
    case_fini(&run->c);
}

/* Elements of a member's share of a dimension along an axis. */
static double share_of(const struct run *run, uint32_t axis, uint64_t size, uint32_t member)
{
    const struct plan_stage *stage = run->c.derivations->stage;
    struct interval share = layout_share((struct interval){0, size}, &stage->axes[axis],
                                         layout_coordinates(stage, member).at[axis]);
    return (double)(share.high - share.low);
}

/* Bytes of panels that a rank gets, or sends. */
static double moved(const struct run *run, uint32_t rank, enum op_kind kind)
{
    const struct program *program = &run->job.programs[run->job.ranks[rank].program];
    double bytes = 0;
    for (uint32_t i = 0; i < program->op_count; i++) {
        const struct op *op = &program->ops[i];
        if (op->kind != kind)
            continue;
        uint32_t group = run->job.group_table[run->job.ranks[rank].first_group + op->group];
        if (strcmp(names_text(&run->c.names, run->job.groups[group].name), "panels") == 0)
            bytes += op->bytes;
    }
    return bytes;
}

static const char *const grids[] = {"b:2 h:2",     "b:2 h:3",     "b:3 h:2",       "b:4 h:3",
                                    "b:1 h:4",     "b:3/1/2 h:2", "b:2 h:1/2/1/2", "b:1/0/2 h:5/1/1",
                                    "b:2 h:2 b:2", "h:3 b:4"};
enum { GRIDS = sizeof grids / sizeof grids[0] };

/* Of X a device lacks what the others of its row have, of W what those of its column have: it receives that
 * and no more, forward and again backward, where W is only wanted for the gradient of what has one. Of sums
 * it passes on all panels but its own. */
static void a_device_receives_what_it_lacks_once(void **state)
{
    (void)state;
    for (uint32_t g = 0; g < GRIDS; g++)
        for (uint32_t panels = 0; panels < 9; panels += 4) {
            struct run run;
            grid_init(&run, grids[g], PRODUCT_SUMMA, panels, true);
            if (run.c.plan.stages.at[0].axis_count > 2)
                run.c.plan.stages.at[0].axes[2].labels[0] = names_add(&run.c.names, "s"); /* splits nothing */
            case_connect(&run.c, 1e9, 1e-6);
            grid_run(&run);
            uint32_t batch = grids[g][0] == 'h', features = !batch;
            double sent = 0, received = 0;
            for (uint32_t m = 0; m < run.c.derivations->member_count; m++) {
                double b = share_of(&run, batch, BATCH, m), o = share_of(&run, features, OUTER, m);
                double x = b * (INNER - share_of(&run, features, INNER, m));
                double w = o * (INNER - share_of(&run, batch, INNER, m));
                double dx = b * share_of(&run, features, INNER, m), dw = o * share_of(&run, batch, INNER, m);
                bool two = run.c.derivations->stage->axes[batch].size > 1;
                if (!two) { /* not a grid: nothing is streamed */
                    ASSERT_NEAR(moved(&run, m, OP_RECEIVE), 0, 0);
                    continue;
                }
                /* X and W twice each; sent of sums: all that is not its own. */
                double sums = b * INNER - dx + o * INNER - dw;
                double passed = moved(&run, m, OP_SEND) - sums * BYTES;
                received += moved(&run, m, OP_RECEIVE);
                sent += moved(&run, m, OP_SEND);
                assert_true(passed >= -1e-9);
                assert_true(moved(&run, m, OP_RECEIVE) >= 2 * (x + w) * BYTES - 1e-9);
                if (!run.c.derivations->stage->axes[0].weights &&
                    !run.c.derivations->stage->axes[1].weights &&
                    INNER % run.c.derivations->stage->axes[0].size == 0 &&
                    INNER % run.c.derivations->stage->axes[1].size == 0)
                    ASSERT_NEAR(moved(&run, m, OP_RECEIVE), 3 * (x + w) * BYTES, 1e-12); /* with sums */
            }
            ASSERT_NEAR(sent, received, 1e-12);
            grid_fini(&run);
        }
}

/* In inference only operands move: exactly what is lacking, however shares are cut. */
static void forward_bytes_are_the_closed_form_for_any_shares(void **state)
{
    (void)state;
    for (uint32_t g = 0; g < GRIDS; g++) {
        struct run run;
        grid_init(&run, grids[g], PRODUCT_SUMMA, 3 * g, false);
        case_connect(&run.c, 1e9, 1e-6);
        grid_run(&run);
        const struct plan_stage *stage = run.c.derivations->stage;
        uint32_t batch = grids[g][0] == 'h', features = !batch;
        for (uint32_t m = 0; m < run.c.derivations->member_count && stage->axis_count == 2; m++) {
            double x = share_of(&run, batch, BATCH, m) * (INNER - share_of(&run, features, INNER, m));
            double w = share_of(&run, features, OUTER, m) * (INNER - share_of(&run, batch, INNER, m));
            ASSERT_NEAR(moved(&run, m, OP_RECEIVE), stage->axes[batch].size > 1 ? (x + w) * BYTES : 0, 1e-12);
        }
        grid_fini(&run);
    }
}

/* Latency alone: the first panel reaches the last device after as many hops as the longer side of the grid
 * has but one; from then on that device multiplies panel after panel, as the next ones come meanwhile. */
static void transfers_are_hidden_but_for_the_first_panel(void **state)
{
    (void)state;
    static const struct {
        const char *axes;
        uint32_t rows, columns;
    } shapes[] = {{"b:2 h:2", 2, 2}, {"b:2 h:3", 2, 3}, {"b:4 h:2", 4, 2}, {"b:3 h:4", 3, 4}};
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t panels = 0; panels <= 24; panels += 12) {
            struct run run;
            double latency = 1e-10;
            grid_init(&run, shapes[i].axes, PRODUCT_SUMMA, panels, false);
            case_connect(&run.c, 1e30, latency);
            grid_run(&run);
            const struct derivation *d = run.c.derivations;
            const struct stage_operator *so = &d->operators.at[run.product];
            uint32_t hops = (shapes[i].rows > shapes[i].columns ? shapes[i].rows : shapes[i].columns) - 1;
            double seconds = hops * 2 * latency; /* two cables each */
            for (uint32_t o = 0; o < d->operators.count; o++)
                seconds += work_forward(d, o, 0).seconds;
            assert_true(so->panel_count >= panels && so->panel_count >= shapes[i].columns);
            ASSERT_NEAR(run.result.makespan, seconds, 1e-12);
            grid_fini(&run);
        }
}

/* Work that costs nothing, on a square of four: every cable carries what its device lacks, all the time. */
static void without_work_the_cables_are_never_idle(void **state)
{
    (void)state;
    struct run run;
    double bandwidth = 1e6;
    grid_init(&run, "b:2 h:2", PRODUCT_SUMMA, 0, false);
    for (int p = 0; p < PRECISION_COUNT; p++)
        run.c.platform.device_types.at[0].peak[p] = 1e30;
    case_connect(&run.c, bandwidth, 0);
    grid_run(&run);
    double x = BATCH / 2 * INNER / 2, w = OUTER / 2 * INNER / 2;
    /* Both flows share the cable; the shorter one ends first, and then the longer has all of it. */
    ASSERT_NEAR(run.result.makespan, (x + w) * BYTES / bandwidth, 1e-9);
    grid_fini(&run);
}

/* The most that a rank holds at once of some categories. */
static double most_held(const struct run *run, uint32_t rank, uint32_t categories)
{
    const struct program *program = &run->job.programs[run->job.ranks[rank].program];
    double held = 0, most = 0;
    for (uint32_t i = 0; i < program->memory_count; i++) {
        const struct memory_change *change = &program->memory[i];
        held += categories >> change->category & 1 ? change->bytes : 0;
        most = held > most ? held : most;
    }
    return most;
}

/* At once, the gathered X is there whole; in panels, two of X and two of W, and each weight is kept once in
 * the grid instead of once per row. */
static void panels_need_less_memory_by_what_is_not_held(void **state)
{
    (void)state;
    struct run whole, panels;
    double rows = 2, columns = 3, count = 12;
    grid_init(&whole, "b:2 h:3", PRODUCT_GATHER, 0, false);
    grid_init(&panels, "b:2 h:3", PRODUCT_SUMMA, (uint32_t)count, false);
    case_connect(&whole.c, 1e9, 1e-6);
    case_connect(&panels.c, 1e9, 1e-6);
    grid_run(&whole);
    grid_run(&panels);
    double x = BATCH / rows * INNER * BYTES, w = INNER * OUTER / columns * BYTES;
    double weights = memory_parameters(whole.c.derivations, 1) - memory_parameters(panels.c.derivations, 1);
    ASSERT_NEAR(weights * BYTES, w * (1 - 1 / rows), 1e-12);
    ASSERT_NEAR(most_held(&whole, 1, 1u << MEMORY_COMMUNICATION), x, 1e-12);
    ASSERT_NEAR(most_held(&panels, 1, 1u << MEMORY_COMMUNICATION), 2 * (x + w) / count, 1e-12);
    ASSERT_NEAR(most_held(&whole, 1, 1u << MEMORY_PARAMETERS) -
                    most_held(&panels, 1, 1u << MEMORY_PARAMETERS),
                w * (1 - 1 / rows), 1e-12);
    grid_fini(&whole);
    grid_fini(&panels);
}

/* In training gradients are kept once in the grid, too: those of the weights are summed on the way, no
 * reduction is left for afterwards, and the optimizer waits for the last of them. */
static void gradients_are_summed_on_the_way(void **state)
{
    (void)state;
    for (int summa = 0; summa < 2; summa++) {
        struct run run;
        grid_init(&run, "b:2 h:3", summa ? PRODUCT_SUMMA : PRODUCT_GATHER, 0, true);
        case_connect(&run.c, 1e5, 1e-6); /* slow: sums come late */
        grid_run(&run);
        const struct derivation *d = run.c.derivations;
        for (uint32_t p = 0; p < d->parameters.count; p++)
            if (d->parameters.at[p].layer_op == run.product)
                assert_int_equal(d->parameters.at[p].partial_axes, summa ? 0 : 1);
        for (uint32_t r = 0; r < run.job.rank_count; r++) {
            const struct program *program = &run.job.programs[run.job.ranks[r].program];
            const struct engine_record *records = &run.result.records[run.result.first_record[r]];
            double last = 0, update = -1;
            for (uint32_t i = 0; i < program->op_count; i++) {
                if (program->ops[i].kind == OP_COMPUTE && program->ops[i].pass == PASS_O)
                    update = records[i].start;
                else if (program->ops[i].kind == OP_RECEIVE)
                    last = fmax(last, records[i].end);
            }
            assert_true(update >= last);
            assert_true(!summa || last > 0);
        }
        grid_fini(&run);
    }
}

/* Where no axis splits outputs there is no grid, and that is said once. */
static void what_is_no_grid_is_not_streamed_and_that_is_said(void **state)
{
    (void)state;
    struct run run;
    grid_init(&run, "b:4", PRODUCT_SUMMA, 0, false);
    assert_true(case_derive(&run.c));
    assert_int_equal(run.c.derivations->forward_loops.count, 0);
    assert_int_equal(run.c.input.report.warnings, 1);
    assert_non_null(
        strstr(run.c.input.report.list.at[0].text, "no product of this stage is streamed by SUMMA"));
    case_fini(&run.c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_receives_what_it_lacks_once),
        cmocka_unit_test(forward_bytes_are_the_closed_form_for_any_shares),
        cmocka_unit_test(transfers_are_hidden_but_for_the_first_panel),
        cmocka_unit_test(without_work_the_cables_are_never_idle),
        cmocka_unit_test(panels_need_less_memory_by_what_is_not_held),
        cmocka_unit_test(gradients_are_summed_on_the_way),
        cmocka_unit_test(what_is_no_grid_is_not_streamed_and_that_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
