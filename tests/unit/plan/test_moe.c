/* Mixtures of experts, latent attention and tables against other people's formulas and a sequential program:
 * bytes of all-to-alls, parameters, FLOPs, loads, dropped tokens. */
#include "executor_backward.h"

#include "base/communication.h"
#include "plan/emit.h"
#include "plan/memory.h"
#include "plan/mesh.h"
#include "plan/split.h"
#include "plan/work.h"

/* One stage on a mesh, with further splits as the text of plan.layers. */
static void one_stage(struct plan_case *c, const char *axes, const char *layers)
{
    case_stage(c, 0, axes);
    const char *text = arena_format(&c->arena, "layers:\n%s", layers);
    bool well = mesh_layers(&c->input, value_get(case_parse(c, "layers", text), "layers"), &c->plan);
    if (!well || !case_derive(c)) {
        report_print(&c->input.report, stderr);
        fail_msg("%s cannot be derived", layers);
    }
}

/* The all-to-alls of a list: how many, elements sent by member 0 if parts are equal, of all together. */
static uint32_t all_to_alls(const struct derivation *d, bool backward, double *sent)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < (backward ? d->backward.count : d->forward.count); i++) {
        const struct action *a = backward ? &d->backward.at[i] : &d->forward.at[i];
        uint32_t members = 1;
        if (a->kind != ACTION_COLLECTIVE || a->collective != ALL_TO_ALL)
            continue;
        for (uint32_t x = 0; x < d->stage->axis_count; x++)
            members *= a->axes >> x & 1 ? d->stage->axes[x].size : 1;
        *sent += derive_payload(d, a, layout_coordinates(d->stage, 0)) / a->element_bytes * (members - 1) /
                 members;
        count++;
    }
    return count;
}

/* Two all-to-alls forward and two backward, each of k·c·B·S·h/N·(N-1)/N elements per device. */
static void experts_over_devices_take_two_all_to_alls_each_way(void **state)
{
    (void)state;
    const struct {
        uint32_t devices, experts, chosen;
        double capacity;
    } cases[] = {{2, 4, 1, 0}, {4, 8, 2, 0}, {8, 8, 2, 1.25}, {4, 16, 4, 1.5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const double batch = 8, sequence = 64, hidden = 6, n = cases[i].devices;
        struct plan_case c;
        char model[512];
        snprintf(model, sizeof model,
                 "name: m\nlayers:\n  - {input: x, dims: {s: 64, h: 6}}\n  - {fc: a, out: {h: 6}}\n"
                 "  - {moe: m, experts: %u, top-k: %u, inner: 5, capacity: %g}\n  - {add: r, from: [m, a]}\n",
                 cases[i].experts, cases[i].chosen, cases[i].capacity);
        char axes[32], split[64];
        snprintf(axes, sizeof axes, "b:%u", cases[i].devices);
        snprintf(split, sizeof split, "  - {match: m.experts, split: {e: %u}}\n", cases[i].devices);
        case_init(&c, model, (uint64_t)batch);
        one_stage(&c, axes, split);
        double factor = cases[i].capacity > 0 ? cases[i].capacity : 1, forward = 0, backward = 0;
        double each = cases[i].chosen * factor * batch * sequence * hidden / n * (n - 1) / n;
        assert_int_equal(all_to_alls(&c.derivations[0], false, &forward), 2);
        assert_int_equal(all_to_alls(&c.derivations[0], true, &backward), 2);
        ASSERT_NEAR(forward, 2 * each, 1e-12);
        ASSERT_NEAR(backward, 2 * each, 1e-12);
        /* E/N experts of 3·h·f weights, k/N of the tokens' work. */
        double weights = 0, points = 0;
        for (uint32_t p = 0; p < c.derivations[0].parameters.count; p++)
            if (c.model.tensors.at[c.derivations[0].parameters.at[p].tensor].rank == 3)
                weights += memory_parameter(&c.derivations[0], p, 1);
        for (uint32_t o = 0; o < c.derivations[0].operators.count; o++)
            if (state_operator(&c.derivations[0], o)->expert &&
                state_operator(&c.derivations[0], o)->kind == OPERATOR_EINSUM)
                points += work_forward(&c.derivations[0], o, 1).flops / 2;
        ASSERT_NEAR(weights, cases[i].experts / n * 3 * hidden * 5, 0);
        ASSERT_NEAR(points, cases[i].chosen * factor * batch * sequence / n * 3 * hidden * 5, 1e-12);
        case_fini(&c);
    }
}

/* Experts on expert 4 x tensor 2 over the devices of data 4 x tensor 2 (with the sequence): tokens are sent
 * over the expert group, gathered and reduced over the tensor group, as Megatron-LM does it. */
static void experts_split_both_ways_gather_and_reduce_over_the_inner_axis(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {s: 16, h: 6}}\n  - {norm: a}\n"
              "  - {moe: m, experts: 8, top-k: 2, inner: 4}\n  - {add: r, from: [m, a]}\n",
              8);
    one_stage(&c, "b:4 s:2", "  - {match: m.experts, split: {e: 4, f: 2}}\n");
    const struct derivation *d = &c.derivations[0];
    uint32_t count[COLLECTIVE_KIND_COUNT] = {0};
    for (uint32_t i = 0; i < d->forward.count; i++)
        if (d->forward.at[i].kind == ACTION_COLLECTIVE)
            count[d->forward.at[i].collective]++;
    assert_int_equal(count[ALL_TO_ALL], 2);
    assert_int_equal(count[ALL_GATHER], 1);
    assert_int_equal(count[REDUCE_SCATTER], 1);
    assert_int_equal(count[ALL_REDUCE], 0);
    case_fini(&c);
}

/* B·n_tab·dim elements held by all, of which each device sends its share's (N-1)/N; and back for the
 * gradient. */
static void tables_over_devices_take_an_all_to_all_each_way(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {i: 3}}\n  - {fc: a, out: {table: 1, d: 5}}\n"
              "  - {input: ids, dims: {table: 8}, discrete: yes}\n"
              "  - {tables: t, rows: [9, 1, 4, 7, 30, 2, 2, 5], out: 5}\n"
              "  - {concat: z, from: [a, t], dim: table}\n  - {pairs: p}\n  - {fc: y, over: [table, other], "
              "out: 2}\n",
              12);
    one_stage(&c, "b:4", "  - {match: t, split: {table: 4}}\n");
    double forward = 0, backward = 0;
    assert_int_equal(all_to_alls(&c.derivations[0], false, &forward), 1);
    assert_int_equal(all_to_alls(&c.derivations[0], true, &backward), 1);
    ASSERT_NEAR(forward, 12 * 8 * 5 / 4.0 * 3 / 4, 0);
    ASSERT_NEAR(backward, 12 * 8 * 5 / 4.0 * 3 / 4, 0);
    static const double rows[] = {10, 11, 32, 7}; /* of whole tables, two on each device */
    for (uint32_t p = 0; p < c.derivations[0].parameters.count; p++)
        for (uint32_t m = 0; m < 4; m++)
            if (c.model.tensors.at[c.derivations[0].parameters.at[p].tensor].rank == 3 &&
                c.model.tensors.at[c.derivations[0].parameters.at[p].tensor].dims[0].filling)
                if (c.model.layers.at[c.model.tensors.at[c.derivations[0].parameters.at[p].tensor].layer]
                        .name == names_find(&c.names, "t"))
                    ASSERT_NEAR(memory_parameter(&c.derivations[0], p, m), rows[m] * 5, 1e-12);
    assert_int_equal(model_parameters(&c.model), 3 * 5 + 5 + 60 * 5 + 9 * 8 / 2 * 2 + 2);
    case_fini(&c);
}

/* The loads are whole numbers, fall with the rank of the expert, sum up to k·tokens; the parts of the
 * all-to-all to each device are the loads of its experts. */
static void skewed_loads_make_unequal_parts(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {s: 100, h: 4}}\n  - {fc: a, out: {h: 4}}\n"
              "  - {moe: m, experts: 4, top-k: 2, inner: 3, skew: 1}\n  - {add: r, from: [m, a]}\n",
              2);
    one_stage(&c, "b:2", "  - {match: m.experts, split: {e: 2}}\n");
    const struct filling *filling = NULL;
    for (uint32_t o = 0; o < c.model.operators.count; o++)
        if (c.model.operators.at[o].expert)
            filling = c.model.operators.at[o].dims[2].filling;
    /* 400 assignments by 1, 1/2, 1/3, 1/4: the first expert would have 192 of 200 tokens. */
    static const uint64_t loads[] = {192, 96, 64, 48};
    for (uint32_t e = 0; e < 4; e++)
        assert_int_equal(filling->before[e + 1] - filling->before[e], loads[e]);
    case_connect(&c, 1e9, 0);
    struct job job = {.names = &c.names};
    arena_init(&job.arena);
    assert_true(emit_job(&c.plan, c.derivations, &job, &c.input.report));
    uint32_t checked = 0;
    for (uint32_t p = 0; p < job.program_count; p++)
        for (uint32_t i = 0; i < job.programs[p].op_count; i++) {
            const struct op *op = &job.programs[p].ops[i];
            if (op->kind != OP_COLLECTIVE || op->collective != ALL_TO_ALL || checked)
                continue;
            assert_true(op->shares > 0);
            ASSERT_NEAR(op->bytes, 2 * 200 / 2 * 4 * 4, 0); /* fp32, h 4 */
            for (uint32_t k = 0; k < 4; k++)
                ASSERT_NEAR(job.shares[op->shares - 1 + k] * op->bytes, (k % 2 ? 112 : 288) / 2.0 * 4 * 4,
                            1e-12);
            checked++;
        }
    assert_int_equal(checked, 1);
    arena_fini(&job.arena);
    case_fini(&c);
}

/* A token can be sent to an expert once: a load never exceeds the tokens, and what the first lose the next
 * get. */
static void loads_are_capped_by_the_tokens(void **state)
{
    (void)state;
    for (int skew = 0; skew < 8; skew++) {
        struct plan_case c;
        char model[256];
        snprintf(model, sizeof model,
                 "name: m\nlayers:\n  - {input: x, dims: {s: 7, h: 4}}\n"
                 "  - {moe: m, experts: 5, top-k: 3, inner: 3, skew: %d}\n",
                 skew);
        case_init(&c, model, 3);
        const struct filling *filling = NULL;
        for (uint32_t o = 0; o < c.model.operators.count; o++)
            if (c.model.operators.at[o].expert)
                filling = c.model.operators.at[o].dims[2].filling;
        assert_int_equal(filling->before[5], 3 * 21);
        for (uint32_t e = 0; e < 5; e++) {
            assert_true(filling->before[e + 1] - filling->before[e] <= 21);
            assert_true(!e || filling->before[e + 1] - filling->before[e] <=
                                  filling->before[e] - filling->before[e - 1]);
        }
        case_fini(&c);
    }
}

/* ---- against a program that treats one token after the other ---- */

enum { TOKENS = 6, SAMPLES = 2, EXPERTS = 4, CHOSEN = 2, FEATURES = 3, INNER = 5 };

static const double *parameter(const struct executor *x, const char *suffix)
{
    for (uint32_t t = 0; t < x->model->tensors.count; t++) {
        const char *name = names_text(x->model->names, x->model->tensors.at[t].name);
        size_t length = strlen(name), wanted = strlen(suffix);
        if (x->model->tensors.at[t].role == TENSOR_PARAMETER && length >= wanted &&
            strcmp(name + length - wanted, suffix) == 0)
            return x->whole[t];
    }
    fail_msg("no parameter %s", suffix);
    return NULL;
}

/* y += weight · down(gate(x) · up(x)) of one expert. */
static void expert_adds(const struct executor *x, uint32_t e, const double *in, double weight, double *y)
{
    const double *gate = parameter(x, "experts.gate.weight"), *up = parameter(x, "experts.up.weight");
    const double *down = parameter(x, "experts.down.weight");
    for (uint32_t f = 0; f < INNER; f++) {
        double a = 0, b = 0;
        for (uint32_t h = 0; h < FEATURES; h++) {
            a += gate[(e * INNER + f) * FEATURES + h] * in[h];
            b += up[(e * INNER + f) * FEATURES + h] * in[h];
        }
        for (uint32_t h = 0; h < FEATURES; h++)
            y[h] += weight * down[(e * FEATURES + h) * INNER + f] * a * b;
    }
}

/* Takes the tokens of a sample in order, each to its best experts that still have a place. Returns how many
 * assignments were dropped. */
static uint32_t route_in_order(const struct executor *x, const double *in, uint32_t places, double *y)
{
    const double *router = parameter(x, "router.weight");
    uint32_t taken[EXPERTS] = {0}, dropped = 0;
    for (uint32_t s = 0; s < TOKENS; s++, in += FEATURES, y += FEATURES) {
        double score[EXPERTS] = {0}, sum = 0;
        bool used[EXPERTS] = {false};
        for (uint32_t e = 0; e < EXPERTS; e++) {
            for (uint32_t h = 0; h < FEATURES; h++)
                score[e] += router[e * FEATURES + h] * in[h];
            sum += exp(score[e]);
        }
        for (uint32_t k = 0; k < CHOSEN; k++) {
            uint32_t best = EXPERTS;
            for (uint32_t e = 0; e < EXPERTS; e++)
                if (!used[e] && (best == EXPERTS || score[e] > score[best]))
                    best = e;
            used[best] = true;
            if (taken[best]++ < places)
                expert_adds(x, best, in, exp(score[best]) / sum, y);
            else
                dropped++;
        }
    }
    return dropped;
}

static void partitioned_experts_do_what_a_sequential_program_does(void **state)
{
    (void)state;
    uint32_t dropped = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct plan_case c;
        struct executor x;
        double capacity = seed % 2 ? 1 : 0, y[TOKENS * FEATURES];
        char model[256];
        snprintf(model, sizeof model,
                 "name: m\nlayers:\n  - {input: x, dims: {s: 6, h: 3}}\n  - {scale: a}\n"
                 "  - {moe: m, experts: 4, top-k: 2, inner: 5, capacity: %g}\n",
                 capacity);
        case_init(&c, model, SAMPLES);
        one_stage(&c, "b:2 s:2", "  - {match: m.experts, split: {e: 2, f: 2}}\n");
        executor_run(&x, &c, seed, MODEL_NONE, false, MODEL_NONE);
        if (x.wrong)
            fail_msg("seed %llu: %s", (unsigned long long)seed, x.first_wrong);
        const struct layer_op *combine = &c.model.operators.at[c.model.operators.count - 1];
        const double *in = x.whole[c.model.operators.at[0].operands[0].tensor];
        for (uint32_t b = 0; b < SAMPLES; b++) {
            memset(y, 0, sizeof y);
            dropped += route_in_order(&x, in + b * TOKENS * FEATURES,
                                      capacity > 0 ? TOKENS * CHOSEN / EXPERTS : TOKENS, y);
            for (uint32_t i = 0; i < TOKENS * FEATURES; i++)
                ASSERT_NEAR(x.whole[combine->output.tensor][b * TOKENS * FEATURES + i], y[i], 1e-9);
        }
        executor_fini(&x);
        case_fini(&c);
    }
    assert_true(dropped > 10); /* the capacity had an effect */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(experts_over_devices_take_two_all_to_alls_each_way),
        cmocka_unit_test(experts_split_both_ways_gather_and_reduce_over_the_inner_axis),
        cmocka_unit_test(tables_over_devices_take_an_all_to_all_each_way),
        cmocka_unit_test(skewed_loads_make_unequal_parts),
        cmocka_unit_test(loads_are_capped_by_the_tokens),
        cmocka_unit_test(partitioned_experts_do_what_a_sequential_program_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
