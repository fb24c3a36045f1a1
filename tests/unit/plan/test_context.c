/* Attention over shares of the sequence: causal work by counting, communication against the closed forms. */
#include "attention_models.h"
#include "executor_backward.h"

#include "plan/causal.h"
#include "plan/mesh.h"
#include "plan/split.h"
#include "plan/stages.h"
#include "plan/state.h"

enum { BATCH = 2, SEQUENCE = 16, GROUPS = 4, SIZE = 3, WAYS = 4 };
static const char model[] = ATTENTION_GROUPED;

static void pairs_under_a_causal_mask_are_those_that_counting_finds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        uint64_t random = seed, length = case_between(&random, 1, 25);
        uint32_t ways = case_between(&random, 0, 5), window = case_between(&random, 0, 9);
        struct interval q = {case_between(&random, 0, (uint32_t)length), length};
        struct interval k = {case_between(&random, 0, (uint32_t)length), length};
        q.high = q.low + case_between(&random, 0, (uint32_t)(length - q.low));
        k.high = k.low + case_between(&random, 0, (uint32_t)(length - k.low));
        double counted = 0;
        for (uint64_t i = q.low; i < q.high; i++)
            for (uint64_t j = k.low; j < k.high; j++) {
                uint64_t key = causal_position(j, length, ways), query = causal_position(i, length, ways);
                counted += key <= query && (!window || key + window > query);
            }
        if (fabs(counted - causal_pairs(q, k, length, ways, window)) > 0)
            fail_msg("seed %llu: %g pairs, not %g", (unsigned long long)seed,
                     causal_pairs(q, k, length, ways, window), counted);
    }
}

static void every_position_is_dealt_out_once(void **state)
{
    (void)state;
    for (uint32_t length = 1; length < 40; length++)
        for (uint32_t ways = 0; ways < 8; ways++) {
            uint64_t seen = 0;
            for (uint32_t i = 0; i < length; i++)
                seen |= (uint64_t)1 << causal_position(i, length, ways);
            assert_true(seen == ((uint64_t)1 << length) - 1);
        }
}

struct counts {
    uint32_t of[COLLECTIVE_KIND_COUNT];
    double bytes[COLLECTIVE_KIND_COUNT];
};

static struct counts counts_of(const struct derivation *d, bool backward)
{
    struct counts counts = {{0}, {0}};
    uint32_t n = backward ? d->backward.count : d->forward.count;
    for (uint32_t i = 0; i < n; i++) {
        const struct action *action = backward ? &d->backward.at[i] : &d->forward.at[i];
        if (action->kind != ACTION_COLLECTIVE)
            continue;
        counts.of[action->collective]++;
        counts.bytes[action->collective] += derive_payload(d, action, (struct coordinates){{0}});
    }
    return counts;
}

/* Points of the first product on each member; their extremes. */
static void work_of(struct plan_case *c, double *least, double *most)
{
    const struct derivation *d = c->derivations;
    *least = INFINITY;
    *most = 0;
    for (uint32_t o = 0; o < d->operators.count; o++)
        for (uint32_t m = 0; m < d->member_count; m++) {
            if (!state_operator(d, o)->causal || state_operator(d, o)->kind != OPERATOR_EINSUM)
                continue;
            double points = assign_points(d->stage, state_operator(d, o), &d->operators.at[o].assignment,
                                          layout_coordinates(d->stage, m));
            *least = fmin(*least, points / SIZE);
            *most = fmax(*most, points / SIZE);
        }
}

static void context_case(struct plan_case *c, const char *axes, uint32_t balanced, bool ulysses)
{
    case_init(c, model, BATCH);
    case_stage(c, 0, axes);
    struct plan_stage *stage = &c->plan.stages.at[0];
    stage->balanced = balanced;
    if (ulysses) {
        stage->axes[stage->axis_count - 1].within[0] = names_add(&c->names, "g");
        stage->axes[stage->axis_count - 1].within[1] = names_add(&c->names, "r");
    }
    assert_true(case_derive(c));
}

static void keys_and_values_are_gathered_forward_and_their_gradients_scattered(void **state)
{
    (void)state;
    struct plan_case c;
    context_case(&c, "s:4", WAYS, false);
    double keys = BATCH * SEQUENCE * GROUPS * SIZE * 4;
    struct counts forward = counts_of(c.derivations, false), backward = counts_of(c.derivations, true);
    for (int kind = 0; kind < COLLECTIVE_KIND_COUNT; kind++) {
        assert_int_equal(forward.of[kind], kind == ALL_GATHER ? 2 : 0);
        assert_int_equal(backward.of[kind], kind == REDUCE_SCATTER ? 2 : 0);
    }
    ASSERT_NEAR(forward.bytes[ALL_GATHER], 2 * keys, 0);
    ASSERT_NEAR(backward.bytes[REDUCE_SCATTER], 2 * keys, 0);
    for (uint32_t p = 0; p < c.derivations->parameters.count; p++) /* weights meet over the axis */
        assert_int_equal(c.derivations->parameters.at[p].partial_axes, 1);
    case_fini(&c);
}

static void ulysses_goes_to_the_heads_and_back_by_four_all_to_alls(void **state)
{
    (void)state;
    static const char *const meshes[] = {"s:4", "g,r:2 s:2"};
    for (uint32_t i = 0; i < 2; i++) {
        struct plan_case c;
        context_case(&c, meshes[i], 0, true);
        struct counts forward = counts_of(c.derivations, false), backward = counts_of(c.derivations, true);
        assert_int_equal(forward.of[ALL_TO_ALL], 4); /* q, k, v and the output */
        assert_int_equal(backward.of[ALL_TO_ALL], 4);
        assert_int_equal(forward.of[ALL_GATHER] + backward.of[ALL_GATHER], 0);
        double member = BATCH * SEQUENCE * GROUPS * SIZE * 4 / 4.0; /* of keys; q and the output: twice */
        ASSERT_NEAR(forward.bytes[ALL_TO_ALL], 6 * member, 0);
        case_fini(&c);
    }
}

/* Each stage that splits the sequence goes to the heads and back by itself: queries, keys, values and the
 * output, as many bytes of each as a member has of them. */
static void stages_that_split_the_sequence_each_go_to_the_heads_and_back(void **state)
{
    (void)state;
    static const char two[] =
        "name: m\nlayers:\n  - {input: x, dims: {s: 16, h: 12}}\n"
        "  - {fc: q, from: x, out: {g: 4, d: 3}}\n  - {fc: k, from: x, out: {g: 4, d: 3}}\n"
        "  - {fc: v, from: x, out: {g: 4, d: 3}}\n  - {attention: a, from: [q, k, v]}\n"
        "  - {fc: p, over: [g, d], out: {h: 12}}\n  - {fc: q2, from: p, out: {g: 4, d: 3}}\n"
        "  - {fc: k2, from: p, out: {g: 4, d: 3}}\n  - {fc: v2, from: p, out: {g: 4, d: 3}}\n"
        "  - {attention: a2, from: [q2, k2, v2]}\n  - {fc: p2, over: [g, d], out: {h: 12}}\n";
    struct plan_case c;
    case_init(&c, two, BATCH);
    c.plan.attention = ATTENTION_ULYSSES;
    case_stage(&c, 6, "s:4");
    case_stage(&c, 0, "s:2");
    for (uint32_t s = 0; s < 2; s++)
        stages_heads(&c.plan, &c.plan.stages.at[s]);
    assert_true(case_derive(&c));
    for (uint32_t s = 0; s < 2; s++) {
        double member = BATCH * SEQUENCE * GROUPS * SIZE * 4 / (s ? 2.0 : 4.0);
        for (int backward = 0; backward < 2; backward++) {
            struct counts counts = counts_of(&c.derivations[s], backward);
            for (int kind = 0; kind < COLLECTIVE_KIND_COUNT; kind++)
                assert_int_equal(counts.of[kind], kind == ALL_TO_ALL ? 4 : 0);
            ASSERT_NEAR(counts.bytes[ALL_TO_ALL], 4 * member, 0);
        }
    }
    case_fini(&c);
}

/* Contiguous shares: the last member has (2p - 1) times the first one's pairs but for the diagonal, close to
 * twice the mean; balanced ones are equal. */
static void balanced_shares_have_equal_work_and_contiguous_ones_two_to_one(void **state)
{
    (void)state;
    struct plan_case c;
    double least, most, rows = SEQUENCE / WAYS, heads = BATCH * GROUPS * 2;
    context_case(&c, "s:4", 0, false);
    work_of(&c, &least, &most);
    ASSERT_NEAR(least, heads * rows * (rows + 1) / 2, 0);
    ASSERT_NEAR(most, heads * (rows * (WAYS - 1) * rows + rows * (rows + 1) / 2), 0);
    case_fini(&c);
    context_case(&c, "s:4", WAYS, false);
    work_of(&c, &least, &most);
    ASSERT_NEAR(least, most, 0);
    ASSERT_NEAR(most, heads * SEQUENCE * (SEQUENCE + 1) / 2 / WAYS, 0);
    case_fini(&c);
}

/* Two groups of four queries each on eight devices: the axis splits the groups into two, and the queries of
 * each into four. Keys, values and their weights are halved, and the same on four devices. */
static void two_groups_on_eight_devices_share_keys_and_values(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {s: 16, h: 12}}\n  - {fc: e, out: {h: 12}}\n"
              "  - {fc: q, from: e, out: {g: 2, r: 4, d: 3}, bias: no}\n"
              "  - {fc: k, from: e, out: {g: 2, d: 3}, bias: no}\n"
              "  - {fc: v, from: e, out: {g: 2, d: 3}, bias: no}\n"
              "  - {attention: a, from: [q, k, v]}\n  - {fc: p, over: [g, r, d], out: {h: 12}, bias: no}\n"
              "  - {fc: u, out: {f: 16}, bias: no}\n  - {fc: w, over: f, out: {h: 12}, bias: no}\n",
              BATCH);
    case_stage(&c, 0, "g,r,f:8");
    split_heads(&c.plan, &c.plan.stages.at[0]);
    const struct plan_stage *stage = &c.plan.stages.at[0];
    assert_int_equal(stage->axis_count, 2);
    assert_int_equal(stage->axes[0].size, 2);
    assert_int_equal(stage->axes[1].size, 4);
    assert_true(case_derive(&c));
    const struct derivation *d = c.derivations;
    static const double eighths[] = {8, 1, 4, 4, 1, 1, 1}; /* of e (whole), q, k, v, p, u, w */
    assert_int_equal(d->parameters.count, 8);              /* e has a bias */
    for (uint32_t i = 0, w = 0; i < d->parameters.count; i++) {
        const struct tensor *tensor = state_tensor(d, d->parameters.at[i].tensor);
        if (strstr(names_text(&c.names, tensor->name), "bias"))
            continue;
        struct box box =
            layout_box(stage, tensor, &d->parameters.at[i].layout, layout_coordinates(stage, 5), 0);
        ASSERT_NEAR(layout_elements(&box, tensor->rank), model_elements(tensor) * eighths[w++] / 8, 0);
    }
    double summed = 0, part = BATCH * SEQUENCE * 3; /* one group's keys */
    for (uint32_t i = 0; i < d->backward.count; i++) {
        const struct action *action = &d->backward.at[i];
        const char *name = names_text(&c.names, state_tensor(d, action->tensor)->name);
        if (action->kind != ACTION_COLLECTIVE || (name[0] != 'k' && name[0] != 'v'))
            continue;
        assert_int_equal(action->axis, 1); /* each device has the gradient of its own query */
        assert_int_equal(action->before.place[1], PLACE_PARTIAL);
        assert_int_equal(action->before.place[0], PLACE_SPLIT);
        summed += derive_payload(d, action, (struct coordinates){{0}});
    }
    ASSERT_NEAR(summed, 2 * part * 4, 0);
    case_fini(&c);
}

/* What the two axes of grouped queries have in common is one collective over both, by the algorithm of the
 * axis that the user wrote: as many as with a group per device (Megatron's four per layer). */
static void joined_axes_meet_in_one_collective(void **state)
{
    (void)state;
    static const char *const meshes[] = {"g,r,f:4", "g,r,f:4 b:2"};
    for (uint32_t n = 0; n < 2; n++) {
        struct plan_case c;
        struct executor x;
        case_init(&c,
                  "name: m\nlayers:\n  - {input: x, dims: {s: 16, h: 12}}\n  - {fc: e, out: {h: 12}}\n"
                  "  - {fc: q, from: e, out: {g: 2, r: 4, d: 3}}\n  - {fc: k, from: e, out: {g: 2, d: 3}}\n"
                  "  - {fc: v, from: e, out: {g: 2, d: 3}}\n"
                  "  - {attention: a, from: [q, k, v]}\n  - {fc: p, over: [g, r, d], out: {h: 12}}\n"
                  "  - {fc: u, out: {f: 16}}\n  - {fc: w, over: f, out: {h: 12}}\n",
                  BATCH);
        case_stage(&c, 0, meshes[0]);
        split_heads(&c.plan, &c.plan.stages.at[0]);
        if (n) { /* two copies of it: data parallel, the innermost axis */
            c.plan.stages.count = 0;
            VECTOR_FREE(&c.plan.stages.at[0].devices);
            case_stage(&c, 0, meshes[1]);
            struct plan_stage *stage = &c.plan.stages.at[0];
            struct plan_axis data = stage->axes[1];
            stage->axis_count = 1;
            split_heads(&c.plan, stage);
            stage->axes[stage->axis_count++] = data;
        }
        case_connect(&c, 1e9, 1e-3); /* latency: pieces one after the other would be faster */
        assert_true(case_derive(&c));
        uint32_t whole = 0;
        const struct derivation *d = c.derivations;
        for (uint32_t i = 0; i < d->forward.count + d->backward.count; i++) {
            const struct action *action =
                i < d->forward.count ? &d->forward.at[i] : &d->backward.at[i - d->forward.count];
            const char *name = names_text(&c.names, state_tensor(d, action->tensor)->name);
            if (action->kind != ACTION_COLLECTIVE || name[0] == 'k' || name[0] == 'v')
                continue;
            assert_int_equal(action->collective, ALL_REDUCE);
            assert_int_equal(action->axes, 3);
            whole++;
        }
        assert_int_equal(whole, 4);
        executor_run(&x, &c, 1, MODEL_NONE, false, MODEL_NONE);
        assert_int_equal(x.wrong, 0);
        assert_true(x.checked > 0);
        executor_fini(&x);
        case_fini(&c);
    }
}

/* Norms and additions divide each share of a context further, over the tensor axis (sequence parallelism);
 * heads the other way round: what tensor leaves of them, the context divides. So tensor gathers and scatters
 * within one share of the context, and Ulysses stays with its all-to-alls. */
static void sequence_parallelism_lies_inside_a_context(void **state)
{
    (void)state;
    static const char *const meshes[] = {"s:2 g,r,f,s:2", "s:4 g,r,f,s:2", "s:2 g,r,f,s:4", "s:3 g,r,f,s:2",
                                         "s:2 g,r,f,s:3"};
    for (uint32_t n = 0; n < 15; n++) {
        struct plan_case c;
        struct executor x;
        case_init(
            &c,
            "name: m\nattention: causal\nlayers:\n  - {input: x, dims: {s: 16, h: 12}}\n"
            "  - {fc: e, out: {h: 12}}\n  - {norm: n}\n"
            "  - {fc: q, from: n, out: {g: 8, r: 2, d: 3}}\n  - {fc: k, from: n, out: {g: 8, d: 3}}\n"
            "  - {fc: v, from: n, out: {g: 8, d: 3}}\n"
            "  - {attention: a, from: [q, k, v], mask: causal, flash: yes}\n"
            "  - {fc: p, over: [g, r, d], out: {h: 12}}\n  - {add: t, from: [p, e]}\n  - {norm: o}\n"
            "  - {fc: u, out: {f: 24}}\n  - {fc: w, over: f, out: {h: 12}}\n  - {add: z, from: [w, t]}\n",
            BATCH);
        case_stage(&c, 0, meshes[n % 5]);
        struct plan_stage *stage = &c.plan.stages.at[0];
        stage->axes[1].inside = true;
        c.plan.attention = (enum plan_attention)(n / 5);
        c.plan.save_produced = true;
        if (c.plan.attention == ATTENTION_ULYSSES) {
            stage->axes[0].within[0] = names_add(&c.names, "g");
            stage->axes[0].within[1] = names_add(&c.names, "r");
            stage->axes[0].late = true;
            mesh_late(stage);
        }
        case_connect(&c, 1e9, 0);
        assert_true(case_derive(&c));
        const struct derivation *d = c.derivations;
        uint32_t of[COLLECTIVE_KIND_COUNT] = {0};
        for (uint32_t i = 0; i < d->forward.count; i++) {
            const struct action *action = &d->forward.at[i];
            bool even = n % 5 < 3, ulysses = c.plan.attention == ATTENTION_ULYSSES;
            if (action->kind != ACTION_COLLECTIVE || !even)
                continue;
            of[action->collective]++;
            if (action->collective == ALL_TO_ALL ||
                (action->collective == ALL_GATHER && !ulysses && action->axes == 1))
                continue; /* between shares of the context: heads, keys and values */
            assert_int_equal(action->axes, 2);
            ASSERT_NEAR(derive_payload(d, action, (struct coordinates){{0}}),
                        BATCH * (SEQUENCE / stage->axes[0].size) * 12 * 4, 0);
        }
        if (n % 5 < 3) { /* Megatron's: two of each per layer, and of e's input nothing */
            assert_int_equal(of[REDUCE_SCATTER], 2);
            assert_int_equal(of[ALL_REDUCE], 0);
            assert_int_equal(of[ALL_TO_ALL], c.plan.attention == ATTENTION_ULYSSES ? 4 : 0);
        }
        executor_run(&x, &c, n + 1, MODEL_NONE, false, MODEL_NONE);
        if (x.wrong)
            fail_msg("%s, attention %u: %u of %u wrong, first: %s", meshes[n % 5], n / 5, x.wrong, x.checked,
                     x.first_wrong);
        executor_fini(&x);
        case_fini(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_under_a_causal_mask_are_those_that_counting_finds),
        cmocka_unit_test(every_position_is_dealt_out_once),
        cmocka_unit_test(keys_and_values_are_gathered_forward_and_their_gradients_scattered),
        cmocka_unit_test(ulysses_goes_to_the_heads_and_back_by_four_all_to_alls),
        cmocka_unit_test(stages_that_split_the_sequence_each_go_to_the_heads_and_back),
        cmocka_unit_test(two_groups_on_eight_devices_share_keys_and_values),
        cmocka_unit_test(joined_axes_meet_in_one_collective),
        cmocka_unit_test(sequence_parallelism_lies_inside_a_context),
        cmocka_unit_test(balanced_shares_have_equal_work_and_contiguous_ones_two_to_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
