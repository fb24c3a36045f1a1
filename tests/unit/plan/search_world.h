/* Layouts of one tensor on a small mesh and all that one collective or slice makes of each, for the tests of
 * the search for conversions. Which of them are possible is found here from who holds what, and what they
 * take from the collectives' own activities. */
#ifndef PARTITA_TESTS_SEARCH_WORLD_H
#define PARTITA_TESTS_SEARCH_WORLD_H

#include "plan_case.h"

#include "collective/collective.h"
#include "plan/search.h"
#include "plan/workload.h"

enum { WORLD_LAYOUTS = 4096, WORLD_EDGES = 64, WORLD_MEMBERS = 64 };

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
    uint32_t layouts, edge_count[WORLD_LAYOUTS];
    struct edge edges[WORLD_LAYOUTS][WORLD_EDGES];
    uint32_t joined; /* bit set: axes that go together; 0: none do */
    bool visited[WORLD_LAYOUTS];
    double least;
};

static inline struct layout numbered(const struct world *w, uint32_t code)
{
    struct layout layout = {.late = 0};
    for (uint32_t a = 0; a < w->stage->axis_count; a++, code /= 2 + w->tensor.rank) {
        uint32_t digit = code % (2 + w->tensor.rank);
        layout.place[a] = digit == 0 ? PLACE_REPLICATED : digit == 1 ? PLACE_PARTIAL : PLACE_SPLIT;
        layout.dim[a] = (uint8_t)(digit > 1 ? digit - 2 : 0);
    }
    return layout;
}

static inline uint32_t number_of(const struct world *w, const struct layout *layout)
{
    uint32_t code = 0;
    for (uint32_t a = w->stage->axis_count; a-- > 0;)
        code = code * (2 + w->tensor.rank) + (layout->place[a] == PLACE_REPLICATED ? 0
                                              : layout->place[a] == PLACE_PARTIAL  ? 1
                                                                                   : 2u + layout->dim[a]);
    return code;
}

static inline struct box box_of(const struct world *w, const struct layout *layout, uint32_t member,
                                uint32_t ignore)
{
    return layout_box(w->stage, &w->tensor, layout, layout_coordinates(w->stage, member), ignore);
}

/* The members of the group of `member` along some axes, in the order of the mesh. */
static inline uint32_t group_of(const struct world *w, uint32_t member, uint32_t axes,
                                uint32_t group[WORLD_MEMBERS])
{
    struct coordinates mine = layout_coordinates(w->stage, member);
    uint32_t count = 0;
    for (uint32_t m = 0; m < w->stage->devices.count; m++) {
        struct coordinates at = layout_coordinates(w->stage, m);
        bool in = true;
        for (uint32_t a = 0; a < w->stage->axis_count; a++)
            in &= (axes >> a & 1) || at.at[a] == mine.at[a];
        if (in)
            group[count++] = m;
    }
    return count;
}

/* Whether each member of a group along `axes` finds what it wants in what the group holds, each element once
 * (`all`), or in what it holds itself. */
static inline bool covered(const struct world *w, const struct layout *before, const struct layout *after,
                           uint32_t axes, bool all)
{
    for (uint32_t m = 0; m < w->stage->devices.count; m++) {
        struct box wanted = box_of(w, after, m, 0);
        double found = 0;
        uint32_t group[WORLD_MEMBERS] = {m}, count = all ? group_of(w, m, axes, group) : 1;
        for (uint32_t k = 0; k < count; k++) {
            struct box held = box_of(w, before, group[k], 0);
            struct box both = layout_intersection(&held, &wanted, w->tensor.rank);
            found += layout_elements(&both, w->tensor.rank);
        }
        if (found < layout_elements(&wanted, w->tensor.rank))
            return false;
    }
    return true;
}

/* The collective that changes some axes, COLLECTIVE_KIND_COUNT for a slice; -1: none does. */
static inline int change(const struct world *w, const struct layout *before, const struct layout *after,
                         uint32_t axes)
{
    uint32_t axis = 0;
    while (!(axes >> axis & 1))
        axis++;
    uint8_t from = before->place[axis], to = after->place[axis];
    for (uint32_t a = axis; a < w->stage->axis_count; a++) /* all of them alike */
        if (axes >> a & 1 && (before->place[a] != from || after->place[a] != to ||
                              (from == to && before->dim[a] == after->dim[a])))
            return -1;
    if (to == PLACE_PARTIAL)
        return -1;
    if (from == PLACE_PARTIAL)
        return !covered(w, before, after, axes, false) ? -1 : to == PLACE_SPLIT ? REDUCE_SCATTER : ALL_REDUCE;
    if (from == PLACE_REPLICATED)
        return covered(w, before, after, axes, false) ? COLLECTIVE_KIND_COUNT : -1;
    return !covered(w, before, after, axes, true) ? -1 : to == PLACE_SPLIT ? ALL_TO_ALL : ALL_GATHER;
}

static inline double seconds_of(struct world *w, int kind, uint32_t axes, double bytes)
{
    uint32_t devices[WORLD_MEMBERS], count = group_of(w, 0, axes, devices), first = 0;
    for (uint32_t k = 0; k < count; k++)
        devices[k] = w->stage->devices.at[devices[k]];
    while (!(axes >> first & 1))
        first++;
    const struct algorithm *algorithm = collective_usual(kind);
    for (uint32_t i = 0; i < w->c.plan.carrier_count; i++)
        if (!w->carriers[i].group ||
            strcmp(w->carriers[i].group, names_text(&w->c.names, w->stage->axes[first].name)) == 0) {
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
            const struct collective_request asked = {one,
                                                     kind,
                                                     &w->c.platform,
                                                     devices,
                                                     count,
                                                     NULL,
                                                     wire ? UINT32_MAX : w->c.platform.protocol_names.at[p]};
            if (collective_activity(&asked, &activity, &w->c.arena, &problem)) {
                double pieces = collective_piece_count(bytes, w->c.plan.chunk, w->c.plan.pieces);
                least = fmin(least, collective_pieces(&activity, bytes, pieces, &latency, &cap));
                any = true;
            }
            collective_activity_fini(&activity);
        }
    }
    return least;
}

/* All that one collective or slice along some axes makes of a layout. */
static inline void fill_from(struct world *w, uint32_t i, uint32_t axes)
{
    struct layout before = numbered(w, i), after = before;
    uint32_t base = 2 + w->tensor.rank, members = 1, choices = 1;
    for (uint32_t a = 0; a < w->stage->axis_count; a++)
        if (axes >> a & 1) {
            members *= w->stage->axes[a].size;
            choices *= base;
        }
    for (uint32_t choice = 0; choice < choices; choice++) {
        for (uint32_t a = 0, left = choice; a < w->stage->axis_count; a++)
            if (axes >> a & 1) {
                uint32_t digit = left % base;
                left /= base;
                after.place[a] = digit == 0 ? PLACE_REPLICATED : digit == 1 ? PLACE_PARTIAL : PLACE_SPLIT;
                after.dim[a] = (uint8_t)(digit > 1 ? digit - 2 : 0);
            }
        uint32_t j = number_of(w, &after);
        int kind = i == j ? -1 : change(w, &before, &after, axes);
        if (kind < 0)
            continue;
        const struct layout *whole = kind == ALL_GATHER ? &after : &before;
        struct box box = box_of(w, whole, 0, axes); /* sizes divide: all boxes are as large */
        double bytes =
            layout_elements(&box, w->tensor.rank) * w->element_bytes / (kind == ALL_TO_ALL ? members : 1);
        double seconds = kind == COLLECTIVE_KIND_COUNT ? 0 : seconds_of(w, kind, axes, bytes);
        assert_true(w->edge_count[i] < WORLD_EDGES);
        w->edges[i][w->edge_count[i]++] = (struct edge){j, seconds};
    }
}

static inline void fill_edges(struct world *w)
{
    w->layouts = 1;
    for (uint32_t a = 0; a < w->stage->axis_count; a++)
        w->layouts *= 2 + w->tensor.rank;
    assert_true(w->layouts <= WORLD_LAYOUTS);
    for (uint32_t i = 0; i < w->layouts; i++) {
        w->edge_count[i] = 0;
        for (uint32_t a = 0; a < w->stage->axis_count; a++)
            if (!(w->joined >> a & 1))
                fill_from(w, i, 1u << a);
        if (w->joined)
            fill_from(w, i, w->joined);
    }
}

static inline bool is_partial(const struct layout *layout)
{
    for (uint32_t a = 0; a < PLAN_AXES; a++)
        if (layout->place[a] == PLACE_PARTIAL)
            return true;
    return false;
}

/* The sequence must lead from one layout to the other, slices apart, and cost what is said. */
static inline void check_steps(struct world *w, struct search *search, struct layout from, struct layout to,
                               const struct convert_step *steps, uint32_t count, double seconds)
{
    double sum = 0;
    struct layout now = from;
    for (uint32_t s = 0; s <= count; s++) {
        const struct layout *next = s < count ? &steps[s].before : &to;
        for (uint32_t a = 0; a < w->stage->axis_count; a++)
            assert_true(now.place[a] == PLACE_REPLICATED ||
                        (now.place[a] == next->place[a] && now.dim[a] == next->dim[a]));
        assert_true(covered(w, &now, next, 1, false));
        if (s == count)
            break;
        assert_int_equal(change(w, &steps[s].before, &steps[s].after, steps[s].axes), steps[s].collective);
        sum += search_step_seconds(search, &w->tensor, w->element_bytes, &steps[s]);
        now = steps[s].after;
    }
    ASSERT_NEAR(seconds, sum, 1e-12);
}

#endif
