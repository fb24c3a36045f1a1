/* Experts and tables that are given to devices by number: values against the unpartitioned network, loads and
 * bytes per device against sums over the numbers that each was given. */
#include "executor_backward.h"

#include "base/communication.h"
#include "plan/emit.h"
#include "plan/memory.h"
#include "plan/mesh.h"
#include "plan/owners.h"
#include "plan/shares.h"
#include "plan/split.h"
#include "plan/work.h"

enum { MOST = 16 };

/* One stage on a mesh; `layers` is the text of plan.layers. */
static void one_stage(struct plan_case *c, const char *axes, const char *layers)
{
    case_stage(c, 0, axes);
    const char *text = arena_format(&c->arena, "layers:\n%s", layers);
    bool well = mesh_layers(&c->input, value_get(case_parse(c, "layers", text), "layers"), &c->plan) &&
                owners_apply(&c->input, &c->plan);
    if (!well || !case_derive(c)) {
        report_print(&c->input.report, stderr);
        fail_msg("%s cannot be derived", layers);
    }
}

/* Gives each of `size` numbers to one of `shares` devices; the text of it, some devices with nothing. */
static const char *random_owners(struct plan_case *c, uint64_t *seed, uint32_t size, uint32_t shares,
                                 uint32_t *owner)
{
    const char *text = "[";
    for (uint32_t i = 0; i < size; i++)
        owner[i] = case_between(seed, 0, shares - 1);
    for (uint32_t s = 0; s < shares; s++) {
        const char *list = "";
        for (uint32_t i = size; i-- > 0;) /* in any order */
            if (owner[i] == s)
                list = arena_format(&c->arena, "%s%s%u", list, *list ? ", " : "", i);
        text = arena_format(&c->arena, "%s%s[%s]", text, s ? ", " : "", list);
    }
    return arena_format(&c->arena, "%s]", text);
}

/* How many tokens each expert has, by number; call it before anything is renumbered. */
static void loads_by_number(const struct plan_case *c, double *load, uint32_t size)
{
    const struct filling *filling = NULL;
    for (uint32_t o = 0; o < c->model.operators.count; o++)
        for (uint32_t d = 0; d < c->model.operators.at[o].dim_count && c->model.operators.at[o].expert; d++)
            if (c->model.operators.at[o].dims[d].filling)
                filling = c->model.operators.at[o].dims[d].filling;
    assert_non_null(filling);
    for (uint32_t i = 0; i < size; i++)
        load[i] = (double)(filling->before[i + 1] - filling->before[i]);
}

/* Meshes whose expert axis is cut into pieces by that of the other layers, and others. */
static const struct {
    const char *axes, *split; /* %s: the lists */
    uint32_t shares, inside;  /* devices along the expert axis; devices inside it */
} meshes[] = {
    {"b:2", "{e: {indices: %s}}", 2, 1},         {"b:4", "{e: {indices: %s}}", 4, 1},
    {"b:2 s:2", "{e: {indices: %s}}", 4, 1},     {"b:2 s:2", "{e: {indices: %s}, f: 2}", 2, 2},
    {"b:4 s:2", "{e: {indices: %s}}", 8, 1},     {"b:2 s:3", "{b: 2, e: {indices: %s}}", 3, 1},
    {"s:2 b:2 f:2", "{e: {indices: %s}}", 8, 1}, {"b:2 f:2", "{b: 2, e: {indices: %s}}", 2, 1},
};

static void experts_given_by_number_compute_what_one_device_would(void **state)
{
    (void)state;
    uint32_t empty = 0;
    for (uint64_t number = 1; number <= 120; number++) {
        uint64_t seed = number;
        struct plan_case c;
        struct executor x;
        uint32_t kind = (uint32_t)(number % (sizeof meshes / sizeof meshes[0])), owner[MOST];
        uint32_t experts = case_between(&seed, 2, 9), chosen = case_between(&seed, 1, experts < 3 ? 1 : 3);
        char model[400];
        snprintf(model, sizeof model,
                 "name: m\nlayers:\n  - {input: x, dims: {s: 6, h: 4}}\n  - {fc: a, out: {h: 4}}\n"
                 "  - {moe: m, experts: %u, top-k: %u, inner: 4, skew: %u%s%s}\n  - {add: r, from: [m, a]}\n",
                 experts, chosen, case_between(&seed, 0, 2), case_between(&seed, 0, 2) ? "" : ", capacity: 1",
                 case_between(&seed, 0, 2) ? "" : ", correction: yes, shared: 3");
        case_init(&c, model, 4);
        const char *lists = random_owners(&c, &seed, experts, meshes[kind].shares, owner);
        char split[300], layers[400];
        snprintf(split, sizeof split, meshes[kind].split, lists);
        snprintf(layers, sizeof layers, "  - {match: m.experts, split: %s}\n", split);
        one_stage(&c, meshes[kind].axes, layers);
        executor_run(&x, &c, seed, MODEL_NONE, false, MODEL_NONE);
        if (x.wrong)
            fail_msg("seed %llu: %s on %s with %s: %s", (unsigned long long)number, model, meshes[kind].axes,
                     layers, x.first_wrong);
        assert_true(x.checked > 0);
        for (uint32_t s = 0; s < meshes[kind].shares; s++) {
            bool some = false;
            for (uint32_t i = 0; i < experts; i++)
                some |= owner[i] == s;
            empty += !some;
        }
        executor_fini(&x);
        case_fini(&c);
    }
    assert_true(empty > 10); /* devices without any expert were among them */
}

/* Under a skew, a device's FLOPs, weights and its part of the tokens that are sent are sums over the experts
 * that it was given. */
static void a_device_has_the_load_of_its_own_experts(void **state)
{
    (void)state;
    uint32_t checked = 0;
    for (uint64_t number = 1; number <= 60; number++) {
        uint64_t seed = number;
        struct plan_case c;
        uint32_t experts = case_between(&seed, 4, 12), owner[MOST];
        const double hidden = 6, inner = 5, batch = 8, sequence = 32;
        double load[MOST];
        char model[300], layers[400];
        snprintf(model, sizeof model,
                 "name: m\nlayers:\n  - {input: x, dims: {s: 32, h: 6}}\n  - {fc: a, out: {h: 6}}\n"
                 "  - {moe: m, experts: %u, top-k: 2, inner: 5, skew: 1}\n  - {add: r, from: [m, a]}\n",
                 experts);
        case_init(&c, model, (uint64_t)batch);
        loads_by_number(&c, load, experts);
        const char *lists = random_owners(&c, &seed, experts, 4, owner);
        snprintf(layers, sizeof layers, "  - {match: m.experts, split: {e: {indices: %s}}}\n", lists);
        one_stage(&c, number % 2 ? "b:4" : "b:2 s:2", layers);
        const struct derivation *d = &c.derivations[0];
        struct share_list shares = {0};
        for (uint32_t m = 0; m < 4; m++) {
            double tokens = 0, count = 0, weights = 0, points = 0;
            for (uint32_t e = 0; e < experts; e++) {
                tokens += owner[e] == m ? load[e] : 0;
                count += owner[e] == m;
            }
            for (uint32_t p = 0; p < d->parameters.count; p++)
                if (c.model.tensors.at[d->parameters.at[p].tensor].rank == 3)
                    weights += memory_parameter(d, p, m);
            for (uint32_t o = 0; o < d->operators.count; o++)
                if (state_operator(d, o)->expert && state_operator(d, o)->kind == OPERATOR_EINSUM)
                    points += work_forward(d, o, m).flops / 2;
            ASSERT_NEAR(weights, count * 3 * hidden * inner, 0);
            ASSERT_NEAR(points, tokens * 3 * hidden * inner, 1e-12);
        }
        uint32_t i = 0; /* to the experts, over the whole axis of four */
        while (i < d->forward.count &&
               (d->forward.at[i].kind != ACTION_COLLECTIVE || d->forward.at[i].collective != ALL_TO_ALL))
            i++;
        if (number % 2 && i < d->forward.count) {
            const double payload = derive_payload(d, &d->forward.at[i], layout_coordinates(d->stage, 0));
            ASSERT_NEAR(payload, 2 * batch * sequence / 4 * hidden * 4, 1e-12); /* fp32 */
            shares_of(d, &d->forward.at[i], 0, &shares);
            assert_int_equal(shares.count, 16);
            for (uint32_t to = 0; to < 4; to++) {
                double tokens = 0;
                for (uint32_t e = 0; e < experts; e++)
                    tokens += owner[e] == to ? load[e] : 0;
                ASSERT_NEAR(shares.at[to] * payload, tokens / 4 * hidden * 4, 1e-12);
                checked++;
            }
        }
        VECTOR_FREE(&shares);
        case_fini(&c);
    }
    assert_int_equal(checked, 120);
}

/* Tables as in DLRM: rows, and with them memory, are those of the tables that a device was given; looked-up
 * rows travel by an all-to-all whose parts are in proportion to how many tables there are. */
static void a_device_has_the_rows_of_its_own_tables(void **state)
{
    (void)state;
    static const double rows[] = {9, 1, 4, 7, 30, 2, 2, 5};
    for (uint64_t number = 1; number <= 60; number++) {
        uint64_t seed = number;
        struct plan_case c;
        struct executor x;
        uint32_t owner[MOST], devices = case_between(&seed, 2, 4);
        char layers[400], axes[16];
        case_init(
            &c,
            "name: m\nlayers:\n  - {input: x, dims: {i: 3}}\n  - {fc: a, out: {table: 1, d: 5}}\n"
            "  - {input: ids, dims: {table: 8}, discrete: yes}\n"
            "  - {tables: t, rows: [9, 1, 4, 7, 30, 2, 2, 5], out: 5}\n"
            "  - {concat: z, from: [a, t], dim: table}\n  - {pairs: p}\n  - {fc: y, over: [table, other], "
            "out: 2}\n",
            12);
        const char *lists = random_owners(&c, &seed, 8, devices, owner);
        snprintf(axes, sizeof axes, "b:%u", devices);
        snprintf(layers, sizeof layers, "  - {match: t, split: {table: {indices: %s}}}\n", lists);
        one_stage(&c, axes, layers);
        const struct derivation *d = &c.derivations[0];
        for (uint32_t p = 0; p < d->parameters.count; p++) {
            const struct tensor *tensor = &c.model.tensors.at[d->parameters.at[p].tensor];
            if (c.model.layers.at[tensor->layer].name != names_find(&c.names, "t"))
                continue;
            for (uint32_t m = 0; m < devices; m++) {
                double own = 0;
                for (uint32_t t = 0; t < 8; t++)
                    own += owner[t] == m ? rows[t] : 0;
                ASSERT_NEAR(memory_parameter(d, p, m), own * 5, 1e-12);
            }
        }
        executor_run(&x, &c, number, MODEL_NONE, false, MODEL_NONE);
        if (x.wrong)
            fail_msg("seed %llu, %s: %s", (unsigned long long)number, layers, x.first_wrong);
        executor_fini(&x);
        case_fini(&c);
    }
}

/* Ranges, single numbers and bare entries read as what they say, and are written back so. */
static void owners_are_described_as_they_were_given(void **state)
{
    (void)state;
    struct plan_case c;
    char text[64];
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {s: 4, h: 6}}\n"
              "  - {moe: m, experts: 8, top-k: 2, inner: 5}\n",
              4);
    one_stage(&c, "b:4",
              "  - {match: m.experts, split: {e: {shares: 4, indices: [[7, 3..5], 0, 1..2, [6]]}}}\n");
    const struct owners *owners = NULL;
    for (uint32_t o = 0; o < c.model.operators.count; o++)
        if (c.model.operators.at[o].expert)
            owners = c.model.operators.at[o].dims[2].owners;
    assert_non_null(owners);
    static const char *const wanted[] = {"3..5, 7", "0", "1, 2", "6"};
    for (uint32_t s = 0; s < 4; s++)
        assert_string_equal(
            owners_describe(owners, (struct interval){owners->edge[s], owners->edge[s + 1]}, text, 64),
            wanted[s]);
    assert_string_equal(owners_describe(owners, (struct interval){2, 2}, text, 64), "none");
    case_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(experts_given_by_number_compute_what_one_device_would),
        cmocka_unit_test(a_device_has_the_load_of_its_own_experts),
        cmocka_unit_test(a_device_has_the_rows_of_its_own_tables),
        cmocka_unit_test(owners_are_described_as_they_were_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
