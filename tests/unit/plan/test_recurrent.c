/* Recurrent layers against the closed forms of each way to split them: per time step, what is sent, how often
 * the devices meet, and each device's work and weights. I inputs, H units, T steps, batch B, N devices; LSTM:
 * 4 gates. */
#include "plan_case.h"

#include "collective/collective.h"
#include "plan/memory.h"
#include "plan/state.h"
#include "plan/work.h"

enum { INPUTS = 24, UNITS = 16, STEPS = 5, BATCH = 3, WAYS = 4 };

static const char lstm[] =
    "name: m\nlayers:\n  - {input: x, dims: {t: 5, h: 24}}\n  - {fc: e, out: {h: 24}}\n"
    "  - {lstm: l, hidden: 16}\n";

static void recurrent_case(struct plan_case *c, const char *axes, bool combiner)
{
    case_init(c, lstm, BATCH);
    case_stage(c, 2, "b:1");
    case_stage(c, 0, axes);
    for (uint32_t a = 0; a < c->plan.stages.at[1].axis_count; a++)
        c->plan.stages.at[1].axes[a].combiner = combiner;
    assert_true(case_derive(c));
}

/* Elements that an algorithm sends in one time step for the collectives that every step does, and how many
 * those are. */
static double step_elements(const struct derivation *d, bool backward, const struct algorithm *algorithm,
                            uint32_t *meetings)
{
    double sum = 0;
    *meetings = 0;
    for (uint32_t i = 0; i < (backward ? d->backward.count : d->forward.count); i++) {
        const struct action *a = backward ? &d->backward.at[i] : &d->forward.at[i];
        if (a->kind == ACTION_KERNEL || a->loop == MODEL_NONE)
            continue;
        const struct step_loop *loop =
            backward ? &d->backward_loops.at[a->loop] : &d->forward_loops.at[a->loop];
        struct shape shape = transfer_flat(d->stage->axes[a->axis].size);
        struct transfer_list list = {0};
        assert_int_equal(a->kind, ACTION_COLLECTIVE);
        assert_int_equal(loop->steps, STEPS);
        collective_steps(algorithm, a->collective, &shape, false, &list);
        double payload = derive_payload(d, a, layout_coordinates(d->stage, 0)) / a->element_bytes / STEPS;
        for (uint32_t k = 0; k < list.count; k++)
            sum += list.at[k].fraction * payload;
        transfer_fini(&list);
        ++*meetings;
    }
    return sum;
}

static uint32_t collectives_outside(const struct derivation *d, bool backward)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < (backward ? d->backward.count : d->forward.count); i++) {
        const struct action *a = backward ? &d->backward.at[i] : &d->forward.at[i];
        count += a->kind == ACTION_COLLECTIVE && a->loop == MODEL_NONE;
    }
    return count;
}

/* Multiply-accumulates of one device's products, forward. */
static double macs(const struct derivation *d, uint32_t member)
{
    double flops = 0;
    for (uint32_t o = 0; o < d->operators.count; o++)
        flops += work_forward(d, o, member).model_flops;
    return flops / 2;
}

static const double all_macs = 4.0 * UNITS * (INPUTS + UNITS) * STEPS * BATCH;
static const double weights = 4.0 * UNITS * (INPUTS + UNITS), biases = 8.0 * UNITS;

/* Three other devices send their gate to the combiner and get h_t back: 3H + 3H. */
static void gates_meet_at_a_combiner_twice_a_step_for_six_h(void **state)
{
    (void)state;
    struct plan_case c;
    uint32_t meetings;
    recurrent_case(&c, "g:4", true);
    const struct derivation *d = &c.derivations[1];
    ASSERT_NEAR(step_elements(d, false, &via_root_algorithm, &meetings), 6.0 * UNITS * BATCH, 1e-12);
    assert_int_equal(meetings, 2);
    ASSERT_NEAR(step_elements(d, true, &via_root_algorithm, &meetings), 6.0 * UNITS * BATCH, 1e-12);
    assert_int_equal(meetings, 2);
    assert_int_equal(collectives_outside(d, false), 0);
    for (uint32_t m = 0; m < WAYS; m++) {
        ASSERT_NEAR(macs(d, m), all_macs / 4, 0);
        ASSERT_NEAR(memory_parameters(d, m), weights / 4 + (m ? 0 : biases), 0); /* it adds the biases */
        assert_true(m ? work_forward(d, 2, m).flops <= 0 : work_forward(d, 2, m).flops > 0);
    }
    for (uint32_t p = 0; p < d->parameters.count; p++)
        assert_int_equal(d->parameters.at[p].partial_axes, 0);
    case_fini(&c);
}

/* Without one, every device gathers the four gates and does the point-wise work itself. */
static void gates_without_a_combiner_meet_once_a_step(void **state)
{
    (void)state;
    struct plan_case c;
    uint32_t meetings;
    recurrent_case(&c, "g:4", false);
    const struct derivation *d = &c.derivations[1];
    ASSERT_NEAR(step_elements(d, false, &ring_algorithm, &meetings), 4.0 * 3 * UNITS * BATCH, 1e-12);
    assert_int_equal(meetings, 1);
    case_fini(&c);
}

/* All-gather of h_t: H (N - 1) / N elements to each of N devices; c_t stays where it is. */
static void units_are_gathered_once_a_step(void **state)
{
    (void)state;
    struct plan_case c;
    uint32_t meetings;
    recurrent_case(&c, "o:4", false);
    const struct derivation *d = &c.derivations[1];
    double each = UNITS * (WAYS - 1.0) / WAYS * BATCH;
    ASSERT_NEAR(step_elements(d, false, &ring_algorithm, &meetings), WAYS * each, 1e-12);
    assert_int_equal(meetings, 1);
    ASSERT_NEAR(step_elements(d, true, &ring_algorithm, &meetings), WAYS * each, 1e-12);
    assert_int_equal(meetings, 1); /* a reduce-scatter of dh */
    for (uint32_t m = 0; m < WAYS; m++) {
        ASSERT_NEAR(macs(d, m), all_macs / WAYS, 0);
        ASSERT_NEAR(memory_parameters(d, m), (weights + biases) / WAYS, 0);
    }
    for (uint32_t p = 0; p < d->parameters.count; p++) /* dW is local */
        assert_int_equal(d->parameters.at[p].partial_axes, 0);
    case_fini(&c);
}

/* Partial sums of the 4H pre-activations go to the combiner, 4H (N - 1); of h_t each device needs just the
 * columns that it owns, so H (N - 1) / N come back. */
static void input_columns_reduce_four_h_and_get_their_share_of_h(void **state)
{
    (void)state;
    struct plan_case c;
    uint32_t meetings;
    recurrent_case(&c, "i:4", true);
    const struct derivation *d = &c.derivations[1];
    double up = 4.0 * UNITS * (WAYS - 1) * BATCH, down = UNITS * (WAYS - 1.0) / WAYS * BATCH;
    ASSERT_NEAR(step_elements(d, false, &via_root_algorithm, &meetings), up + down, 1e-12);
    assert_int_equal(meetings, 2);
    ASSERT_NEAR(step_elements(d, true, &via_root_algorithm, &meetings), up + down, 1e-12);
    for (uint32_t m = 0; m < WAYS; m++) {
        ASSERT_NEAR(macs(d, m), all_macs / WAYS, 0);
        ASSERT_NEAR(memory_parameters(d, m), weights / WAYS + (m ? 0 : biases), 0);
    }
    case_fini(&c);
}

/* Scattered sums leave every device the gates of its own units, which are the columns that it reads next. */
static void input_columns_and_their_own_units_meet_once_a_step(void **state)
{
    (void)state;
    struct plan_case c;
    uint32_t meetings;
    recurrent_case(&c, "i,o:4", false);
    const struct derivation *d = &c.derivations[1];
    double each = 4.0 * UNITS * (WAYS - 1) / WAYS * BATCH;
    ASSERT_NEAR(step_elements(d, false, &ring_algorithm, &meetings), WAYS * each, 1e-12);
    assert_int_equal(meetings, 1);
    case_fini(&c);
}

static void a_batch_split_does_not_meet_before_the_gradients(void **state)
{
    (void)state;
    struct plan_case c;
    recurrent_case(&c, "b:3", false);
    const struct derivation *d = &c.derivations[1];
    assert_int_equal(d->forward_loops.count + d->backward_loops.count, 0);
    assert_int_equal(collectives_outside(d, false) + collectives_outside(d, true), 0);
    for (uint32_t p = 0; p < d->parameters.count; p++)
        assert_int_equal(d->parameters.at[p].partial_axes, 1);
    for (uint32_t m = 0; m < 3; m++) {
        ASSERT_NEAR(macs(d, m), all_macs / 3, 0);
        ASSERT_NEAR(memory_parameters(d, m), weights + biases, 0);
    }
    case_fini(&c);
}

/* A layer to a device: H per step and sample cross between them, and nothing else. */
static void layers_on_devices_of_their_own_pass_h_a_step(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {t: 5, h: 24}}\n  - {lstm: a, hidden: 16}\n"
              "  - {lstm: l, hidden: 16}\n",
              BATCH);
    case_stage(&c, 2, "b:1");
    case_stage(&c, 0, "b:1");
    assert_true(case_derive(&c));
    const struct derivation *d = &c.derivations[1];
    assert_int_equal(d->messages.count, 2); /* there and back */
    for (uint32_t i = 0; i < d->messages.count; i++)
        ASSERT_NEAR(d->messages.at[i].elements, STEPS * BATCH * UNITS, 0);
    case_fini(&c);
}

/* Each device reads the sequence in one direction; they meet when both are done. */
static void directions_on_devices_of_their_own_do_not_meet_in_a_step(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(
        &c,
        "name: m\nlayers:\n  - {input: x, dims: {t: 5, h: 24}}\n  - {lstm: l, hidden: 16, directions: 2}\n"
        "  - {fc: d, out: 3}\n",
        BATCH);
    case_stage(&c, 0, "direction:2");
    assert_true(case_derive(&c));
    assert_int_equal(c.derivations->forward_loops.count + c.derivations->backward_loops.count, 0);
    for (uint32_t m = 0; m < 2; m++)
        ASSERT_NEAR(memory_parameters(c.derivations, m), weights + biases + (2 * UNITS + 1) * 3, 0);
    case_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gates_meet_at_a_combiner_twice_a_step_for_six_h),
        cmocka_unit_test(gates_without_a_combiner_meet_once_a_step),
        cmocka_unit_test(units_are_gathered_once_a_step),
        cmocka_unit_test(input_columns_reduce_four_h_and_get_their_share_of_h),
        cmocka_unit_test(input_columns_and_their_own_units_meet_once_a_step),
        cmocka_unit_test(a_batch_split_does_not_meet_before_the_gradients),
        cmocka_unit_test(layers_on_devices_of_their_own_pass_h_a_step),
        cmocka_unit_test(directions_on_devices_of_their_own_do_not_meet_in_a_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
