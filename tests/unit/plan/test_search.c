/* The cheapest conversions, against all sequences of collectives and slices on small meshes, and on large
 * ones against the shortest path over all layouts. */
#include "search_world.h"

enum { DEPTH = 7 };

static void every_sequence(struct world *w, uint32_t at, uint32_t to, double seconds, uint32_t depth)
{
    if (seconds >= w->least)
        return;
    if (at == to) {
        w->least = seconds;
        return;
    }
    w->visited[at] = true;
    for (uint32_t e = 0; e < w->edge_count[at] && depth < DEPTH; e++)
        if (!w->visited[w->edges[at][e].to])
            every_sequence(w, w->edges[at][e].to, to, seconds + w->edges[at][e].seconds, depth + 1);
    w->visited[at] = false;
}

/* A mesh of at most 8 devices behind cables of random speed, random algorithms, and a tensor whose sizes
 * divide by any product of axes. */
static void random_world(struct world *w, uint64_t *random)
{
    static const char *const meshes[] = {"a:2",     "a:8",     "a:5",     "a:2 b:4",
                                         "a:4 b:2", "a:3 b:2", "a:2 b:3", "a:2 b:2 c:2"};
    static const char *const algorithms[] = {"ring", "direct", "via-root", "binomial-tree", "auto"};
    memset(w, 0, sizeof *w);
    case_init(&w->c, "name: m\nlayers:\n  - {input: x, dims: {h: 1}}\n  - {fc: a, out: 1}\n", 1);
    case_stage(&w->c, 0, meshes[case_between(random, 0, 7)]);
    w->stage = &w->c.plan.stages.at[0];
    case_connect(&w->c, 1, 0);
    for (uint32_t l = 0; l < w->c.platform.links.count; l++) {
        w->c.platform.links.at[l].bandwidth = case_between(random, 1, 20);
        w->c.platform.links.at[l].latency = case_between(random, 0, 1) * case_between(random, 0, 300);
    }
    w->tensor.rank = case_between(random, 1, 3);
    for (uint32_t d = 0; d < w->tensor.rank; d++)
        w->tensor.dims[d].size = 120;
    w->element_bytes = pow(10, case_between(random, 0, 4)) / model_elements(&w->tensor);
    for (uint32_t i = 0; i < 2; i++)
        w->carriers[i] = (struct workload_carrier){i ? NULL : "a",
                                                   COLLECTIVE_KIND_COUNT,
                                                   collective_find(algorithms[case_between(random, 0, 4)]),
                                                   {NULL, 0, 0}};
    w->c.plan.carriers = w->carriers;
    w->c.plan.carrier_count = 2;
    w->c.plan.chunk = case_between(random, 0, 3) ? 0 : 500;
    fill_edges(w);
}

static void no_sequence_is_faster_than_the_one_that_is_chosen(void **state)
{
    (void)state;
    const char *text = getenv("PARTITA_CASES");
    uint32_t cases = text ? (uint32_t)strtoul(text, NULL, 10) : 60, beaten = 0;
    struct world *w = calloc(1, sizeof *w);
    for (uint64_t seed = 1; seed <= cases; seed++) {
        uint64_t random = seed;
        random_world(w, &random);
        struct search *search = search_new(&w->c.plan, w->stage, &w->c.arena);
        for (uint32_t n = 0; n < 12; n++) {
            uint32_t i = case_between(&random, 0, w->layouts - 1),
                     j = case_between(&random, 0, w->layouts - 1);
            struct layout from = numbered(w, i), to = numbered(w, j);
            if (is_partial(&to))
                continue;
            struct convert_step steps[CONVERT_STEPS], usual[CONVERT_STEPS];
            double seconds, plain = 0;
            uint32_t count = search_steps(search, &w->tensor, w->element_bytes, from, to, steps, &seconds);
            check_steps(w, search, from, to, steps, count, seconds);
            w->least = INFINITY;
            every_sequence(w, i, j, 0, 0);
            if (fabs(seconds - w->least) > 1e-8 * (1 + w->least))
                fail_msg("seed %llu, layouts %u to %u: %.17g s, but %.17g s is possible",
                         (unsigned long long)seed, i, j, seconds, w->least);
            uint32_t others = convert_steps(w->stage, from, to, usual);
            for (uint32_t s = 0; s < others; s++)
                plain += search_step_seconds(search, &w->tensor, w->element_bytes, &usual[s]);
            beaten += plain > seconds * (1 + 1e-9);
        }
        case_fini(&w->c);
    }
    free(w);
    assert_true(beaten > 0); /* or the search would not be needed */
}

/* The least seconds from one layout to all others, by Bellman's equations: no layout can be reached faster by
 * one more step. */
static void relax(const struct world *w, uint32_t from, double *seconds)
{
    for (uint32_t i = 0; i < w->layouts; i++)
        seconds[i] = i == from ? 0 : INFINITY;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < w->layouts; i++)
            for (uint32_t e = 0; e < w->edge_count[i] && seconds[i] < INFINITY; e++) {
                const struct edge *edge = &w->edges[i][e];
                if (seconds[i] + edge->seconds < seconds[edge->to]) {
                    seconds[edge->to] = seconds[i] + edge->seconds;
                    changed = true;
                }
            }
    }
}

/* A mesh of many axes, of which two may be one to the user, and a tensor of few dimensions. */
static void many_axes(struct world *w, uint64_t *random, const char *axes, uint32_t rank, uint32_t joined)
{
    memset(w, 0, sizeof *w);
    case_init(&w->c, "name: m\nlayers:\n  - {input: x, dims: {h: 1}}\n  - {fc: a, out: 1}\n", 1);
    case_stage(&w->c, 0, axes);
    w->stage = &w->c.plan.stages.at[0];
    w->joined = joined;
    for (uint32_t a = 1; a < w->stage->axis_count; a++)
        w->stage->axes[a].joined = joined >> a & 1 && joined >> (a - 1) & 1;
    case_connect(&w->c, 1, 0);
    for (uint32_t l = 0; l < w->c.platform.links.count; l++) {
        w->c.platform.links.at[l].bandwidth = case_between(random, 1, 20);
        w->c.platform.links.at[l].latency = case_between(random, 0, 1) * case_between(random, 0, 300);
    }
    w->tensor.rank = rank;
    for (uint32_t d = 0; d < rank; d++)
        w->tensor.dims[d].size = 64;
    w->element_bytes = pow(10, case_between(random, 0, 4)) / model_elements(&w->tensor);
    fill_edges(w);
}

/* Of joined axes only layouts in which both must change alike are asked for: else each goes by itself. */
static bool goes_together(const struct world *w, const struct layout *from, const struct layout *to)
{
    uint32_t first = 0;
    while (w->joined && !(w->joined >> first & 1))
        first++;
    for (uint32_t a = first; w->joined && a < w->stage->axis_count; a++)
        if (w->joined >> a & 1 && (from->place[a] != from->place[first] || to->place[a] != to->place[first] ||
                                   (from->place[a] == to->place[a] &&
                                    (from->place[a] != PLACE_SPLIT || from->dim[a] == to->dim[a]))))
            return false;
    return true;
}

static void no_path_is_shorter_however_many_axes_there_are(void **state)
{
    (void)state;
    static const struct {
        const char *axes;
        uint32_t rank, joined;
    } meshes[] = {{"a:2 b:2 c:2 d:2 e:2 f:2", 1, 0},
                  {"a:2 b:2 c:2 d:2 e:2 f:2", 1, 1u << 2 | 1u << 3},
                  {"a:4 b:2 c:2 d:2", 2, 0},
                  {"a:2 b:4 c:2 d:2", 2, 1u << 1 | 1u << 2},
                  {"a:2 b:2 c:2", 3, 1u << 1 | 1u << 2},
                  {"a:2 b:2 c:2 d:2 e:2", 2, 0}};
    struct world *w = calloc(1, sizeof *w);
    double *least = calloc(WORLD_LAYOUTS, sizeof *least);
    uint32_t compared = 0, beaten = 0;
    for (uint64_t seed = 1; seed <= 2 * sizeof meshes / sizeof meshes[0]; seed++) {
        uint64_t random = seed;
        uint32_t k = (uint32_t)(seed % (sizeof meshes / sizeof meshes[0]));
        many_axes(w, &random, meshes[k].axes, meshes[k].rank, meshes[k].joined);
        struct search *search = search_new(&w->c.plan, w->stage, &w->c.arena);
        for (uint32_t n = 0; n < 6; n++) {
            uint32_t i = case_between(&random, 0, w->layouts - 1);
            struct layout from = numbered(w, i);
            relax(w, i, least);
            for (uint32_t j = 0; j < w->layouts; j++) {
                struct layout to = numbered(w, j);
                struct convert_step steps[CONVERT_STEPS], usual[CONVERT_STEPS];
                double seconds, plain = 0;
                if (is_partial(&to) || !goes_together(w, &from, &to) || (w->layouts > 500 && j % 5))
                    continue;
                uint32_t count =
                    search_steps(search, &w->tensor, w->element_bytes, from, to, steps, &seconds);
                check_steps(w, search, from, to, steps, count, seconds);
                uint32_t others = convert_steps(w->stage, from, to, usual);
                for (uint32_t s = 0; s < others; s++)
                    plain += search_step_seconds(search, &w->tensor, w->element_bytes, &usual[s]);
                /* The usual sequence may take joined axes one by one where that is faster. */
                double best = w->joined ? fmin(least[j], plain) : least[j];
                if (fabs(seconds - best) > 1e-8 * (1 + best))
                    fail_msg("seed %llu, layouts %u to %u: %.17g s, the shortest path takes %.17g s",
                             (unsigned long long)seed, i, j, seconds, best);
                beaten += plain > seconds * (1 + 1e-9);
                compared++;
            }
        }
        case_fini(&w->c);
    }
    free(least);
    free(w);
    assert_true(compared > 1000);
    assert_true(beaten > 100);
}

/* A sum over slow cables, of what the fast axis holds twice: shares of it are summed, then gathered. */
static void a_slow_axis_is_left_the_least_bytes(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, "name: m\nlayers:\n  - {input: x, dims: {h: 1}}\n  - {fc: a, out: 1}\n", 1);
    case_stage(&c, 0, "slow:2 fast:2");
    struct workload_carrier carriers[] = {
        {"slow", COLLECTIVE_KIND_COUNT, collective_find("via-root"), {NULL, 0, 0}}};
    case_connect(&c, 1e9, 0);
    c.plan.carriers = carriers;
    c.plan.carrier_count = 1;
    struct search *search = search_new(&c.plan, &c.plan.stages.at[0], &c.arena);
    struct tensor tensor = {.rank = 1, .dims = {{.size = 64}}};
    struct layout from = {{PLACE_PARTIAL, PLACE_REPLICATED}, {0, 0}, 0}, to = {.late = 0};
    struct convert_step steps[CONVERT_STEPS];
    double seconds;
    uint32_t count = search_steps(search, &tensor, 4, from, to, steps, &seconds);
    /* via-root: 2 x 256 B whole; or half of it (2 x 128 B), then an all-gather of 128 B */
    assert_int_equal(count, 2);
    assert_int_equal(steps[0].collective, ALL_REDUCE);
    assert_int_equal(steps[0].before.place[1], PLACE_SPLIT);
    assert_int_equal(steps[1].collective, ALL_GATHER);
    ASSERT_NEAR(seconds, (2 * 128 + 128) / 1e9, 1e-9);
    case_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_sequence_is_faster_than_the_one_that_is_chosen),
        cmocka_unit_test(no_path_is_shorter_however_many_axes_there_are),
        cmocka_unit_test(a_slow_axis_is_left_the_least_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
