/* The cheapest conversions, against all sequences of collectives and slices on small meshes. Which of them
 * are possible is found here from who holds what, and what they take from the collectives' own activities. */
#include "plan_case.h"

#include "collective/collective.h"
#include "plan/search.h"
#include "plan/workload.h"

enum { LAYOUTS = 125, EDGES = 24, DEPTH = 7 };

struct edge {
    uint32_t to;
    double seconds;
};

struct world {
    struct plan_case c;
    struct plan_stage *stage;
    struct tensor tensor;
    double element_bytes;
    struct workload_carrier carriers[2];
    uint32_t layouts, edge_count[LAYOUTS];
    struct edge edges[LAYOUTS][EDGES];
    bool visited[LAYOUTS];
    double least;
};

static struct layout numbered(const struct world *w, uint32_t code)
{
    struct layout layout = {{0}, {0}};
    for (uint32_t a = 0; a < w->stage->axis_count; a++, code /= 2 + w->tensor.rank) {
        uint32_t digit = code % (2 + w->tensor.rank);
        layout.place[a] = digit == 0 ? PLACE_REPLICATED : digit == 1 ? PLACE_PARTIAL : PLACE_SPLIT;
        layout.dim[a] = (uint8_t)(digit > 1 ? digit - 2 : 0);
    }
    return layout;
}

static struct box box_of(const struct world *w, const struct layout *layout, uint32_t member, uint32_t ignore)
{
    return layout_box(w->stage, &w->tensor, layout, layout_coordinates(w->stage, member), ignore);
}

/* Whether each member of a group along `axis` finds what it wants in what the group holds, each element once
 * (`all`), or in what it holds itself. */
static bool covered(const struct world *w, const struct layout *before, const struct layout *after,
                    uint32_t axis, bool all)
{
    for (uint32_t m = 0; m < w->stage->devices.count; m++) {
        struct box wanted = box_of(w, after, m, 0);
        double found = 0;
        for (uint32_t k = 0; k < w->stage->axes[axis].size; k++) {
            struct coordinates at = layout_coordinates(w->stage, m);
            at.at[axis] = all ? k : at.at[axis];
            struct box held = box_of(w, before, layout_member(w->stage, at), 0);
            struct box both = layout_intersection(&held, &wanted, w->tensor.rank);
            if (all || k == 0)
                found += layout_elements(&both, w->tensor.rank);
        }
        if (found < layout_elements(&wanted, w->tensor.rank))
            return false;
    }
    return true;
}

/* The collective that changes one axis, COLLECTIVE_KIND_COUNT for a slice; -1: none does. */
static int change(const struct world *w, const struct layout *before, const struct layout *after,
                  uint32_t axis)
{
    uint8_t from = before->place[axis], to = after->place[axis];
    if (to == PLACE_PARTIAL)
        return -1;
    if (from == PLACE_PARTIAL)
        return !covered(w, before, after, axis, false) ? -1 : to == PLACE_SPLIT ? REDUCE_SCATTER : ALL_REDUCE;
    if (from == PLACE_REPLICATED)
        return covered(w, before, after, axis, false) ? COLLECTIVE_KIND_COUNT : -1;
    return !covered(w, before, after, axis, true) ? -1 : to == PLACE_SPLIT ? ALL_TO_ALL : ALL_GATHER;
}

static double seconds_of(struct world *w, int kind, uint32_t axis, double bytes)
{
    uint32_t devices[8], count = w->stage->axes[axis].size, stride = 1;
    for (uint32_t a = axis + 1; a < w->stage->axis_count; a++)
        stride *= w->stage->axes[a].size;
    for (uint32_t k = 0; k < count; k++)
        devices[k] = w->stage->devices.at[k * stride];
    const struct algorithm *algorithm = collective_usual(kind);
    for (uint32_t i = 0; i < w->c.plan.carrier_count; i++)
        if (!w->carriers[i].group ||
            strcmp(w->carriers[i].group, names_text(&w->c.names, w->stage->axes[axis].name)) == 0) {
            algorithm = w->carriers[i].algorithm;
            break;
        }
    if (!(algorithm->kinds >> kind & 1))
        algorithm = collective_usual(kind);
    struct activity activity;
    const char *problem;
    double least = INFINITY, latency, cap;
    for (uint32_t i = 0; collective_algorithms[i]; i++) {
        const struct algorithm *one = collective_algorithms[i];
        if (algorithm != &collective_automatic && one != algorithm)
            continue;
        if (!(one->kinds >> kind & 1) || (one->most && count > one->most && kind != ALL_TO_ALL))
            continue;
        bool any = false;
        for (uint32_t p = 0; p <= w->c.platform.protocol_names.count; p++) {
            bool wire = p == w->c.platform.protocol_names.count;
            if (wire && any) /* bare only where no protocol fits */
                break;
            if (collective_activity(&w->c.platform, one, kind, devices, count, NULL,
                                    wire ? UINT32_MAX : w->c.platform.protocol_names.at[p], &activity,
                                    &w->c.arena, &problem)) {
                double pieces = collective_piece_count(bytes, w->c.plan.chunk);
                least = fmin(least, collective_pieces(&activity, bytes, pieces, &latency, &cap));
                any = true;
            }
            collective_activity_fini(&activity);
        }
    }
    return least;
}

/* All that one collective or slice makes of each layout. */
static void fill_edges(struct world *w)
{
    w->layouts = 1;
    for (uint32_t a = 0; a < w->stage->axis_count; a++)
        w->layouts *= 2 + w->tensor.rank;
    for (uint32_t i = 0; i < w->layouts; i++) {
        struct layout before = numbered(w, i);
        w->edge_count[i] = 0;
        for (uint32_t a = 0, power = 1; a < w->stage->axis_count; a++, power *= 2 + w->tensor.rank)
            for (uint32_t digit = 0; digit < 2 + w->tensor.rank; digit++) {
                uint32_t j = i - i / power % (2 + w->tensor.rank) * power + digit * power;
                struct layout after = numbered(w, j);
                int kind = i == j ? -1 : change(w, &before, &after, a);
                if (kind < 0)
                    continue;
                const struct layout *whole = kind == ALL_GATHER ? &after : &before;
                struct box box = box_of(w, whole, 0, 1u << a); /* sizes divide: all boxes are as large */
                double bytes = layout_elements(&box, w->tensor.rank) * w->element_bytes /
                               (kind == ALL_TO_ALL ? w->stage->axes[a].size : 1);
                double seconds = kind == COLLECTIVE_KIND_COUNT ? 0 : seconds_of(w, kind, a, bytes);
                w->edges[i][w->edge_count[i]++] = (struct edge){j, seconds};
            }
    }
}

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

static bool is_partial(const struct layout *layout)
{
    return layout->place[0] == PLACE_PARTIAL || layout->place[1] == PLACE_PARTIAL ||
           layout->place[2] == PLACE_PARTIAL;
}

/* The sequence must lead from one layout to the other, slices apart, and cost what is said. */
static void check_steps(struct world *w, struct search *search, struct layout from, struct layout to,
                        const struct convert_step *steps, uint32_t count, double seconds)
{
    double sum = 0;
    struct layout now = from;
    for (uint32_t s = 0; s <= count; s++) {
        const struct layout *next = s < count ? &steps[s].before : &to;
        for (uint32_t a = 0; a < w->stage->axis_count; a++)
            assert_true(now.place[a] == PLACE_REPLICATED ||
                        (now.place[a] == next->place[a] && now.dim[a] == next->dim[a]));
        assert_true(covered(w, &now, next, 0, false));
        if (s == count)
            break;
        assert_int_equal(change(w, &steps[s].before, &steps[s].after, steps[s].axis), steps[s].collective);
        sum += search_step_seconds(search, &w->tensor, w->element_bytes, &steps[s]);
        now = steps[s].after;
    }
    ASSERT_NEAR(seconds, sum, 1e-12);
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
    struct layout from = {{PLACE_PARTIAL, PLACE_REPLICATED}, {0, 0}}, to = {{0}, {0}};
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
        cmocka_unit_test(a_slow_axis_is_left_the_least_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
