/* What is derived against the published formulas of each partitioning scheme (Megatron-LM: Shoeybi et al.
 * 2019, Korthikanti et al. 2022; output and input splits, halos and data parallelism as in any survey). */
#include "attention_models.h"
#include "plan_case.h"

#include "base/communication.h"
#include "plan/memory.h"
#include "plan/state.h"
#include "plan/work.h"

struct tally {
    uint32_t count[COLLECTIVE_KIND_COUNT];
    double elements[COLLECTIVE_KIND_COUNT]; /* payloads of member 0 */
    uint32_t statistics, exchanges;
    double statistics_elements;
};

static struct tally tally_of(const struct derivation *d, bool backward)
{
    struct tally t = {0};
    uint32_t count = backward ? d->backward.count : d->forward.count;
    for (uint32_t i = 0; i < count; i++) {
        const struct action *a = backward ? &d->backward.at[i] : &d->forward.at[i];
        t.exchanges += a->kind == ACTION_EXCHANGE;
        if (a->kind != ACTION_COLLECTIVE)
            continue;
        double elements = derive_payload(d, a, layout_coordinates(d->stage, 0)) / a->element_bytes;
        if (a->elements > 0) {
            t.statistics++;
            t.statistics_elements += elements;
            continue;
        }
        t.count[a->collective]++;
        t.elements[a->collective] += elements;
    }
    return t;
}

static void expect_only(const struct tally *t, int kind, uint32_t count, double elements)
{
    for (int k = 0; k < COLLECTIVE_KIND_COUNT; k++)
        if (k == kind) {
            assert_int_equal(t->count[k], count);
            ASSERT_NEAR(t->elements[k], elements, 0);
        }
}

static void expect_nothing_but(const struct tally *t, uint32_t kinds)
{
    for (int k = 0; k < COLLECTIVE_KIND_COUNT; k++)
        if (!(kinds >> k & 1) && t->count[k])
            fail_msg("%u unexpected %s", t->count[k], communication_names[k]);
    assert_int_equal(t->exchanges, 0);
}

enum { BLOCKS = 3, BATCH = 2, SEQUENCE = 8, HIDDEN = 16 };
static const char transformer[] = ATTENTION_TRANSFORMER("8");

static void a_megatron_layer_has_two_all_reduces_forward_and_two_backward(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, transformer, BATCH);
    case_stage(&c, 0, "g,r,f,v:4");
    assert_true(case_derive(&c));
    double bsh = BATCH * SEQUENCE * HIDDEN;
    struct tally forward = tally_of(c.derivations, false), backward = tally_of(c.derivations, true);
    expect_nothing_but(&forward, 1u << ALL_REDUCE);
    expect_nothing_but(&backward, 1u << ALL_REDUCE);
    /* one more forward for the embedding's split vocabulary, one more backward for the logits' input */
    expect_only(&forward, ALL_REDUCE, 2 * BLOCKS + 1, (2 * BLOCKS + 1) * bsh);
    expect_only(&backward, ALL_REDUCE, 2 * BLOCKS + 1, (2 * BLOCKS + 1) * bsh);
    assert_int_equal(forward.statistics, 1); /* the loss: maximum, sum of exponentials, the target's logit */
    ASSERT_NEAR(forward.statistics_elements, 3 * BATCH * SEQUENCE, 0);
    assert_int_equal(backward.statistics, 0);
    case_fini(&c);
}

static void sequence_parallelism_gathers_and_scatters_twice_a_layer_each_way(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, transformer, BATCH);
    case_stage(&c, 0, "g,r,f,v,s:4");
    assert_true(case_derive(&c));
    double bsh = BATCH * SEQUENCE * HIDDEN;
    struct tally forward = tally_of(c.derivations, false), backward = tally_of(c.derivations, true);
    for (int pass = 0; pass < 2; pass++) {
        const struct tally *t = pass ? &backward : &forward;
        /* embedding and logits are mirrored too: one more reduce-scatter and one more all-gather */
        expect_nothing_but(t, 1u << ALL_GATHER | 1u << REDUCE_SCATTER);
        expect_only(t, ALL_GATHER, 2 * BLOCKS + 1, (2 * BLOCKS + 1) * bsh);
        expect_only(t, REDUCE_SCATTER, 2 * BLOCKS + 1, (2 * BLOCKS + 1) * bsh);
    }
    /* Scale and shift of a norm see a share of the sequence: their gradients are partial sums. */
    for (uint32_t i = 0; i < c.derivations->parameters.count; i++) {
        const char *name =
            names_text(&c.names, c.model.tensors.at[c.derivations->parameters.at[i].tensor].name);
        bool norm = strstr(name, "n1.") || strstr(name, "n2.") || strncmp(name, "z.", 2) == 0;
        bool after_sum = strstr(name, "p.bias") || strstr(name, "w.bias");
        assert_int_equal(c.derivations->parameters.at[i].partial_axes, norm || after_sum);
    }
    case_fini(&c);
}

static void gradient_sums_say_which_dimension_was_split(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, transformer, BATCH);
    case_stage(&c, 0, "g,r,f,v:4");
    assert_true(case_derive(&c));
    uint32_t outputs = 0;
    for (uint32_t i = 0; i < c.derivations->backward.count; i++) {
        const struct action *a = &c.derivations->backward.at[i];
        if (a->kind != ACTION_COLLECTIVE)
            continue;
        const char *because = names_text(&c.names, a->because);
        assert_int_equal(a->reason, REASON_CONTRACTED);
        assert_string_equal(because, "o"); /* of q, k, v, of the inner product, of the logits */
        outputs++;
    }
    assert_int_equal(outputs, 2 * BLOCKS + 1);
    case_fini(&c);
}

static const char two_layers[] =
    "name: m\nlayers:\n  - {input: x, dims: {c: 24}}\n  - {fc: z, out: 24, bias: no}\n"
    "  - {fc: a, out: 48, bias: no}\n  - {fc: b, out: 12, bias: no}\n";

static void an_output_split_gathers_inputs_and_scatters_their_gradients(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, two_layers, 4);
    case_stage(&c, 0, "o:3");
    assert_true(case_derive(&c));
    struct tally forward = tally_of(c.derivations, false), backward = tally_of(c.derivations, true);
    expect_nothing_but(&forward, 1u << ALL_GATHER);
    expect_only(&forward, ALL_GATHER, 2, 4 * (24 + 48));
    expect_nothing_but(&backward, 1u << REDUCE_SCATTER);
    expect_only(&backward, REDUCE_SCATTER, 2, 4 * (24 + 48));
    for (uint32_t m = 0; m < 3; m++)
        ASSERT_NEAR(memory_parameters(c.derivations, m), (24 * 24 + 24 * 48 + 48 * 12) / 3.0, 0);
    case_fini(&c);
}

static void an_input_split_scatters_sums_and_gathers_gradients_of_outputs(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, two_layers, 4);
    case_stage(&c, 0, "i:3");
    assert_true(case_derive(&c));
    struct tally forward = tally_of(c.derivations, false), backward = tally_of(c.derivations, true);
    expect_nothing_but(&forward, 1u << REDUCE_SCATTER);
    expect_only(&forward, REDUCE_SCATTER, 2, 4 * (24 + 48));
    expect_nothing_but(&backward, 1u << ALL_GATHER);
    expect_only(&backward, ALL_GATHER, 2, 4 * (24 + 48));
    case_fini(&c);
}

static void an_output_split_followed_by_an_input_split_needs_nothing_between(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(
        &c,
        "name: m\nlayers:\n  - {input: x, dims: {s: 5, h: 6}}\n  - {fc: z, out: 6}\n"
        "  - {fc: a, out: {f: 12}, act: relu}\n  - {fc: b, over: f, out: {h: 9}, bias: no}\n  - {norm: n}\n",
        4);
    case_stage(&c, 0, "f:3");
    assert_true(case_derive(&c));
    struct tally forward = tally_of(c.derivations, false), backward = tally_of(c.derivations, true);
    expect_nothing_but(&forward, 1u << ALL_REDUCE);
    expect_only(&forward, ALL_REDUCE, 1, 4 * 5 * 9); /* the second layer's output */
    expect_nothing_but(&backward, 1u << ALL_REDUCE);
    expect_only(&backward, ALL_REDUCE, 1, 4 * 5 * 6); /* the first layer's input */
    case_fini(&c);
}

/* Elements that an exchange brings to a member. */
static double exchanged_to(const struct derivation *d, const struct action *a, uint32_t member)
{
    double elements = 0;
    for (uint32_t k = 0; k < a->message_count; k++)
        if (d->messages.at[a->first_message + k].to == member)
            elements += d->messages.at[a->first_message + k].elements;
    return elements;
}

static void rows_of_a_convolution_exchange_a_halo_of_half_a_window_each_way(void **state)
{
    (void)state;
    enum { WIDTH = 5, CHANNELS = 2, MEMBERS = 4 };
    for (uint32_t u = 1; u <= 9; u += 2) {
        char model[256];
        snprintf(
            model, sizeof model,
            "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 24, x: 5}}\n  - {conv: z, out: 2, kernel: 1}\n"
            "  - {conv: a, out: 3, kernel: [%u, 3], pad: [%u, 1], bias: no}\n",
            u, u / 2);
        struct plan_case c;
        case_init(&c, model, 3);
        case_stage(&c, 0, "y:4");
        assert_true(case_derive(&c));
        for (int pass = 0; pass < 2; pass++) {
            const struct derivation *d = c.derivations;
            uint32_t exchanges = 0, count = pass ? d->backward.count : d->forward.count;
            for (uint32_t i = 0; i < count; i++) {
                const struct action *a = pass ? &d->backward.at[i] : &d->forward.at[i];
                assert_true(a->kind == ACTION_KERNEL || a->kind == ACTION_EXCHANGE);
                if (a->kind == ACTION_KERNEL)
                    continue;
                exchanges++;
                for (uint32_t m = 0; m < MEMBERS; m++) {
                    double ends = m == 0 || m == MEMBERS - 1 ? 1 : 2;
                    ASSERT_NEAR(exchanged_to(d, a, m), 3 * ends * (u / 2) * WIDTH * CHANNELS, 0);
                }
            }
            assert_int_equal(exchanges, u > 1);
        }
        case_fini(&c);
    }
}

/* A share of 2 rows under a window of 9 needs rows from two members on each side. */
static void a_halo_may_reach_beyond_the_neighbour(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(
        &c,
        "name: m\nlayers:\n  - {input: x, dims: {c: 1, y: 12, x: 1}}\n  - {conv: z, out: 1, kernel: 1}\n"
        "  - {conv: a, out: 1, kernel: [9, 1], pad: [4, 0]}\n",
        1);
    case_stage(&c, 0, "y:6");
    assert_true(case_derive(&c));
    static const double needed[] = {4, 6, 8, 8, 6, 4};
    for (uint32_t i = 0; i < c.derivations->forward.count; i++)
        for (uint32_t m = 0; c.derivations->forward.at[i].kind == ACTION_EXCHANGE && m < 6; m++)
            ASSERT_NEAR(exchanged_to(c.derivations, &c.derivations->forward.at[i], m), needed[m], 0);
    case_fini(&c);
}

static void a_depthwise_convolution_split_by_channels_needs_no_communication(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {c: 8, y: 6, x: 6}}\n"
              "  - {conv: a, out: 8, kernel: 3, pad: 1, groups: 8, act: relu}\n"
              "  - {conv: b, out: 8, kernel: 3, groups: 8}\n",
              2);
    case_stage(&c, 0, "c:4");
    assert_true(case_derive(&c));
    for (uint32_t i = 0; i < c.derivations->forward.count; i++)
        assert_int_equal(c.derivations->forward.at[i].kind, ACTION_KERNEL);
    for (uint32_t i = 0; i < c.derivations->backward.count; i++)
        assert_int_equal(c.derivations->backward.at[i].kind, ACTION_KERNEL);
    ASSERT_NEAR(memory_parameters(c.derivations, 3), 2 * 2 * (9 + 1), 0);
    case_fini(&c);
}

static void a_batch_split_communicates_only_the_gradients_of_all_parameters(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, transformer, 4);
    case_stage(&c, 0, "b:4");
    assert_true(case_derive(&c));
    const struct derivation *d = c.derivations;
    for (uint32_t i = 0; i < d->forward.count; i++)
        assert_int_equal(d->forward.at[i].kind, ACTION_KERNEL);
    for (uint32_t i = 0; i < d->backward.count; i++)
        assert_int_equal(d->backward.at[i].kind, ACTION_KERNEL);
    double summed = 0;
    for (uint32_t p = 0; p < d->parameters.count; p++)
        summed += d->parameters.at[p].partial_axes == 1 ? memory_parameter(d, p, 2) : 0;
    ASSERT_NEAR(summed, (double)model_parameters(&c.model), 0);
    for (uint32_t m = 0; m < 4; m++)
        ASSERT_NEAR(memory_parameters(d, m), (double)model_parameters(&c.model), 0);
    case_fini(&c);
}

static struct work all_work(const struct derivation *d, bool only_products)
{
    struct work sum = {0};
    for (uint32_t o = 0; o < d->operators.count; o++)
        for (uint32_t m = 0; m < d->member_count; m++) {
            if (only_products && state_operator(d, o)->kind != OPERATOR_EINSUM)
                continue;
            struct work forward = work_forward(d, o, m);
            work_add(&sum, &forward);
            if (d->needs_gradient[state_operator(d, o)->output.tensor]) {
                struct work backward = work_backward(d, o, m);
                work_add(&sum, &backward);
            }
        }
    return sum;
}

static void work_adds_up_to_that_of_the_whole_model(void **state)
{
    (void)state;
    static const char convolutions[] =
        "name: m\nlayers:\n  - {input: x, dims: {c: 6, y: 13, x: 9}}\n  - {conv: a, out: 6, kernel: 3, act: "
        "relu}\n"
        "  - {pool: p, kernel: 3, stride: 2}\n  - {conv: b, out: 9, kernel: 3, pad: 1, groups: 3}\n"
        "  - {norm: n, type: batch}\n";
    static const struct {
        const char *model, *axes;
        bool only_products; /* the rest is done redundantly */
    } cases[] = {{transformer, "b:2", false},
                 {transformer, "b:2 s,q:3", false},
                 {transformer, "g,r,f,v:4", true},
                 {transformer, "b:2 g,r,f,v,s:3", true},
                 {convolutions, "y:3 x:2", false},
                 {convolutions, "y:5 b:3", false},
                 {convolutions, "x:2 o,groups:3", false},
                 {two_layers, "i:5", false},
                 {two_layers, "o:2 i:2", false},
                 {two_layers, "i:2 o:2 b:3", false}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct plan_case whole, parts;
        case_init(&whole, cases[k].model, 4);
        case_init(&parts, cases[k].model, 4);
        case_stage(&whole, 0, "");
        case_stage(&parts, 0, cases[k].axes);
        assert_true(case_derive(&whole) && case_derive(&parts));
        struct work one = all_work(whole.derivations, cases[k].only_products);
        struct work sum = all_work(parts.derivations, cases[k].only_products);
        assert_true(one.flops > 0);
        ASSERT_NEAR(sum.model_flops, one.model_flops, 1e-12);
        ASSERT_NEAR(sum.flops, one.flops, 1e-12);
        ASSERT_NEAR(sum.weight_flops, one.weight_flops, 1e-12);
        case_fini(&whole);
        case_fini(&parts);
    }
}

static void model_flops_are_two_per_multiply_accumulate_and_twice_that_backward(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, transformer, BATCH);
    case_stage(&c, 0, "");
    assert_true(case_derive(&c));
    struct work work = all_work(c.derivations, false);
    ASSERT_NEAR(work.model_flops, 3 * 2 * model_macs(&c.model), 1e-12);
    case_fini(&c);
}

static void split_weights_add_up_to_the_model(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, two_layers, 4);
    case_stage(&c, 0, "o:5 b:2"); /* 24, 48 and 12 outputs over 5: uneven */
    assert_true(case_derive(&c));
    double sum = 0;
    for (uint32_t m = 0; m < 10; m++)
        sum += memory_parameters(c.derivations, m);
    ASSERT_NEAR(sum, 2 * (double)model_parameters(&c.model), 0);
    case_fini(&c);
}

static void a_table_longer_than_the_sequence_is_stored_whole_when_the_sequence_is_split(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c,
              "name: m\nlayers:\n  - {input: t, dims: {s: 8}, discrete: yes}\n"
              "  - {embedding: e, vocabulary: 5, out: 4, positions: 20}\n",
              2);
    case_stage(&c, 0, "s:2");
    assert_true(case_derive(&c));
    for (uint32_t m = 0; m < 2; m++)
        ASSERT_NEAR(memory_parameters(c.derivations, m), (5 + 20) * 4, 0);
    for (uint32_t p = 0; p < c.derivations->parameters.count; p++)
        assert_int_equal(c.derivations->parameters.at[p].partial_axes, 1);
    case_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_megatron_layer_has_two_all_reduces_forward_and_two_backward),
        cmocka_unit_test(sequence_parallelism_gathers_and_scatters_twice_a_layer_each_way),
        cmocka_unit_test(gradient_sums_say_which_dimension_was_split),
        cmocka_unit_test(an_output_split_gathers_inputs_and_scatters_their_gradients),
        cmocka_unit_test(an_input_split_scatters_sums_and_gathers_gradients_of_outputs),
        cmocka_unit_test(an_output_split_followed_by_an_input_split_needs_nothing_between),
        cmocka_unit_test(rows_of_a_convolution_exchange_a_halo_of_half_a_window_each_way),
        cmocka_unit_test(a_halo_may_reach_beyond_the_neighbour),
        cmocka_unit_test(a_depthwise_convolution_split_by_channels_needs_no_communication),
        cmocka_unit_test(a_batch_split_communicates_only_the_gradients_of_all_parameters),
        cmocka_unit_test(work_adds_up_to_that_of_the_whole_model),
        cmocka_unit_test(model_flops_are_two_per_multiply_accumulate_and_twice_that_backward),
        cmocka_unit_test(split_weights_add_up_to_the_model),
        cmocka_unit_test(a_table_longer_than_the_sequence_is_stored_whole_when_the_sequence_is_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
