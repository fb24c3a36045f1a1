/* Conversions between layouts: the steps are carried out on sets of summands, the messages element by
 * element. */
#include "plan_case.h"

#include "base/communication.h"
#include "plan/convert.h"

enum { ELEMENTS = 72, MEMBERS = 27, AXES = 3 };

static struct plan_stage mesh(struct names *names, const char *axes)
{
    struct plan_stage stage = {0};
    uint32_t members = case_axes(names, NULL, axes, &stage);
    assert_true(members <= MEMBERS);
    for (uint32_t m = 0; m < members; m++)
        VECTOR_PUSH(&stage.devices, m);
    return stage;
}

static size_t elements_of(const struct tensor *tensor)
{
    size_t count = 1;
    for (uint32_t d = 0; d < tensor->rank; d++)
        count *= tensor->dims[d].size;
    assert_true(count <= ELEMENTS);
    return count;
}

static bool inside(const struct tensor *tensor, const struct box *box, size_t at)
{
    for (uint32_t d = tensor->rank; d-- > 0; at /= tensor->dims[d].size)
        if (at % tensor->dims[d].size < box->dims[d].low || at % tensor->dims[d].size >= box->dims[d].high)
            return false;
    return true;
}

static struct box share_box(const struct plan_stage *stage, const struct tensor *tensor,
                            const struct layout *layout, uint32_t member)
{
    return layout_box(stage, tensor, layout, layout_coordinates(stage, member), 0);
}

/* ---- steps ---- */

/* Per member and element: which summands it holds, one bit per coordinate on the axes that were partial at
 * first; 0: it does not hold the element. */
struct abstract {
    uint64_t at[MEMBERS][ELEMENTS];
};

static uint64_t summand(const struct plan_stage *stage, const struct layout *from, uint32_t member)
{
    struct coordinates at = layout_coordinates(stage, member);
    uint32_t index = 0;
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (from->place[a] == PLACE_PARTIAL)
            index = index * stage->axes[a].size + at.at[a];
    return (uint64_t)1 << index;
}

/* Restricts everyone to its share, which it must have. */
static void restrict_to(const struct plan_stage *stage, const struct tensor *tensor,
                        const struct layout *layout, struct abstract *held)
{
    for (uint32_t m = 0; m < stage->devices.count; m++) {
        struct box box = share_box(stage, tensor, layout, m);
        for (size_t i = 0; i < elements_of(tensor); i++)
            if (!inside(tensor, &box, i))
                held->at[m][i] = 0;
            else
                assert_true(held->at[m][i] != 0);
    }
}

/* A collective along one axis: the union of what the group holds; summands are added, each once. */
static void carry_out(const struct plan_stage *stage, const struct tensor *tensor,
                      const struct convert_step *step, struct abstract *held)
{
    static struct abstract after;
    bool sums = step->collective == ALL_REDUCE || step->collective == REDUCE_SCATTER;
    assert_int_equal(step->before.place[step->axis], sums ? PLACE_PARTIAL : PLACE_SPLIT);
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (a != step->axis) {
            assert_int_equal(step->before.place[a], step->after.place[a]);
            assert_int_equal(step->before.dim[a], step->after.dim[a]);
        }
    for (uint32_t m = 0; m < stage->devices.count; m++)
        for (size_t i = 0; i < elements_of(tensor); i++) {
            after.at[m][i] = 0;
            for (uint32_t k = 0; k < stage->axes[step->axis].size; k++) {
                struct coordinates at = layout_coordinates(stage, m);
                at.at[step->axis] = k;
                uint64_t other = held->at[layout_member(stage, at)][i];
                if (sums)
                    assert_true((after.at[m][i] & other) == 0); /* no summand twice */
                else if (other && after.at[m][i])
                    fail_msg("an element is gathered from two members");
                after.at[m][i] |= other;
            }
        }
    *held = after;
    restrict_to(stage, tensor, &step->after, held);
}

static void convert_and_check(const struct plan_stage *stage, const struct tensor *tensor, struct layout from,
                              struct layout to)
{
    static struct abstract held;
    uint64_t all = 0;
    for (uint32_t m = 0; m < stage->devices.count; m++) {
        all |= summand(stage, &from, m);
        for (size_t i = 0; i < elements_of(tensor); i++)
            held.at[m][i] = summand(stage, &from, m);
    }
    restrict_to(stage, tensor, &from, &held);
    struct convert_step steps[CONVERT_STEPS];
    uint32_t count = convert_steps(stage, from, to, steps);
    assert_true(count <= CONVERT_STEPS);
    struct layout now = from;
    for (uint32_t s = 0; s < count; s++) {
        restrict_to(stage, tensor, &steps[s].before, &held); /* free slices before it */
        for (uint32_t a = 0; a < stage->axis_count; a++)
            if (now.place[a] != steps[s].before.place[a])
                assert_int_equal(now.place[a], PLACE_REPLICATED);
        carry_out(stage, tensor, &steps[s], &held);
        now = steps[s].after;
    }
    restrict_to(stage, tensor, &to, &held);
    for (uint32_t m = 0; m < stage->devices.count; m++)
        for (size_t i = 0; i < elements_of(tensor); i++)
            assert_true(held.at[m][i] == 0 || held.at[m][i] == all);
}

/* Layout number `code` in base 2 + rank: R, P, S(0) … */
static struct layout numbered(uint32_t code, uint32_t axes, uint32_t rank)
{
    struct layout layout = {.late = 0};
    for (uint32_t a = 0; a < axes; a++, code /= 2 + rank) {
        uint32_t digit = code % (2 + rank);
        layout.place[a] = digit == 0 ? PLACE_REPLICATED : digit == 1 ? PLACE_PARTIAL : PLACE_SPLIT;
        layout.dim[a] = (uint8_t)(digit > 1 ? digit - 2 : 0);
    }
    return layout;
}

static bool is_partial(const struct layout *layout)
{
    for (uint32_t a = 0; a < PLAN_AXES; a++)
        if (layout->place[a] == PLACE_PARTIAL)
            return true;
    return false;
}

static void any_layout_converts_into_any_other_without_partial_sums(void **state)
{
    (void)state;
    static const char *const meshes[] = {"a:3", "a:2 b:2", "a:3 b:2", "a:2 b:2 c:3"};
    struct names names;
    names_init(&names);
    for (size_t k = 0; k < sizeof meshes / sizeof meshes[0]; k++) {
        struct plan_stage stage = mesh(&names, meshes[k]);
        struct tensor tensor = {.rank = 2, .dims = {{.size = 7}, {.size = 5}}}; /* uneven, also nested */
        uint32_t layouts = 1;
        for (uint32_t a = 0; a < stage.axis_count; a++)
            layouts *= 2 + tensor.rank;
        for (uint32_t from = 0; from < layouts; from++)
            for (uint32_t to = 0; to < layouts; to++) {
                struct layout one = numbered(from, stage.axis_count, tensor.rank);
                struct layout other = numbered(to, stage.axis_count, tensor.rank);
                if (!is_partial(&other))
                    convert_and_check(&stage, &tensor, one, other);
            }
        VECTOR_FREE(&stage.devices);
    }
    names_fini(&names);
}

static void one_collective_does_where_one_axis_changes(void **state)
{
    (void)state;
    struct names names;
    names_init(&names);
    struct plan_stage stage = mesh(&names, "a:2 b:3");
    static const struct {
        uint8_t from, to;
        int collective; /* -1: free */
    } cases[] = {{PLACE_PARTIAL, PLACE_REPLICATED, ALL_REDUCE}, {PLACE_PARTIAL, PLACE_SPLIT, REDUCE_SCATTER},
                 {PLACE_SPLIT, PLACE_REPLICATED, ALL_GATHER},   {PLACE_SPLIT, PLACE_SPLIT, ALL_TO_ALL},
                 {PLACE_REPLICATED, PLACE_SPLIT, -1},           {PLACE_REPLICATED, PLACE_REPLICATED, -1}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct layout from = {{PLACE_SPLIT, cases[k].from}, {2, 0}, 0};
        struct layout to = {{PLACE_SPLIT, cases[k].to}, {2, cases[k].to == PLACE_SPLIT ? 1 : 0}, 0};
        struct convert_step steps[CONVERT_STEPS];
        uint32_t count = convert_steps(&stage, from, to, steps);
        assert_int_equal(count, cases[k].collective < 0 ? 0 : 1);
        if (count) {
            assert_int_equal(steps[0].collective, cases[k].collective);
            assert_int_equal(steps[0].axis, 1);
        }
    }
    VECTOR_FREE(&stage.devices);
    names_fini(&names);
}

/* A split that moves to another axis must not gather nested shares: it was wrong once. */
static void a_split_moves_to_another_axis(void **state)
{
    (void)state;
    struct names names;
    names_init(&names);
    struct plan_stage stage = mesh(&names, "a:2 b:2");
    struct tensor tensor = {.rank = 1, .dims = {{.size = 8}}};
    struct layout from = {{PLACE_SPLIT, PLACE_REPLICATED}, {0, 0}, 0};
    struct layout to = {{PLACE_REPLICATED, PLACE_SPLIT}, {0, 0}, 0};
    convert_and_check(&stage, &tensor, from, to);
    convert_and_check(&stage, &tensor, to, from);
    VECTOR_FREE(&stage.devices);
    names_fini(&names);
}

/* ---- messages ---- */

static struct layout random_layout(uint64_t *random, const struct plan_stage *stage, uint32_t rank)
{
    struct layout layout = {.late = 0};
    uint32_t taken = 0;
    for (uint32_t a = 0; a < stage->axis_count; a++) {
        uint32_t dim = case_between(random, 0, 2 * rank - 1);
        if (dim >= rank || taken >> dim & 1)
            continue;
        taken |= 1u << dim;
        layout.place[a] = PLACE_SPLIT;
        layout.dim[a] = (uint8_t)dim;
    }
    return layout;
}

/* Shares that reach up to two elements beyond (or less than) what the layout says. */
static struct box *random_windows(uint64_t *random, const struct plan_stage *stage,
                                  const struct tensor *tensor, const struct layout *layout)
{
    static struct box boxes[MEMBERS];
    uint64_t low = case_between(random, 0, 2), high = case_between(random, 0, 2);
    for (uint32_t m = 0; m < stage->devices.count; m++) {
        boxes[m] = share_box(stage, tensor, layout, m);
        for (uint32_t a = 0; a < stage->axis_count; a++) {
            struct interval *at = &boxes[m].dims[layout->dim[a]];
            if (layout->place[a] != PLACE_SPLIT || at->low == at->high)
                continue;
            at->low -= at->low < low ? at->low : low;
            at->high += high;
            if (at->high > tensor->dims[layout->dim[a]].size)
                at->high = tensor->dims[layout->dim[a]].size;
        }
    }
    return boxes;
}

struct pair {
    struct plan_stage from, to;
    struct tensor tensor;
    struct convert_side source, target;
};

static void random_pair(struct pair *p, struct names *names, uint64_t *random, bool same)
{
    static const char *const meshes[] = {"",        "a:2",     "a:3",     "b:5",
                                         "a:2 b:2", "a:3 b:2", "b:2 a:3", "a:2 b:3 c:2"};
    enum { COUNT = sizeof meshes / sizeof meshes[0] };
    p->from = mesh(names, meshes[case_between(random, 0, COUNT - 1)]);
    p->to = same ? p->from : mesh(names, meshes[case_between(random, 0, COUNT - 1)]);
    bool shared = case_between(random, 0, 2) == 0; /* some devices are in both stages */
    for (uint32_t m = 0; !same && m < p->to.devices.count; m++)
        p->to.devices.at[m] += shared ? 2 : 100;
    p->tensor = (struct tensor){.rank = case_between(random, 1, 3)};
    for (uint32_t d = 0; d < p->tensor.rank; d++)
        p->tensor.dims[d].size = case_between(random, 1, d ? 3 : 8);
    p->source =
        (struct convert_side){&p->from, &p->tensor, random_layout(random, &p->from, p->tensor.rank), NULL};
    p->target = (struct convert_side){
        &p->to, &p->tensor, same ? p->source.layout : random_layout(random, &p->to, p->tensor.rank), NULL};
}

static void release_pair(struct pair *p, bool same)
{
    VECTOR_FREE(&p->from.devices);
    if (!same)
        VECTOR_FREE(&p->to.devices);
}

/* The member that a device is in the source, or MODEL_NONE. */
static uint32_t source_member(const struct pair *p, uint32_t member)
{
    for (uint32_t m = 0; m < p->from.devices.count; m++)
        if (p->from.devices.at[m] == p->to.devices.at[member])
            return m;
    return MODEL_NONE;
}

/* How often each element of each target member's box arrives. */
static void deliver(const struct pair *p, const struct message_list *messages,
                    uint32_t arrived[MEMBERS][ELEMENTS])
{
    memset(arrived, 0, MEMBERS * sizeof arrived[0]);
    for (uint32_t k = 0; k < messages->count; k++) {
        const struct message_part *message = &messages->at[k];
        struct box held = convert_box(&p->source, message->from),
                   wanted = convert_box(&p->target, message->to);
        double elements = 0;
        for (size_t i = 0; i < elements_of(&p->tensor); i++)
            if (inside(&p->tensor, &held, i) && inside(&p->tensor, &wanted, i)) {
                arrived[message->to][i]++;
                elements++;
            }
        assert_true(elements > 0);
        assert_true(elements == message->elements);
    }
}

static void every_wanted_element_arrives_exactly_once_or_is_held(void **state)
{
    (void)state;
    static uint32_t arrived[MEMBERS][ELEMENTS];
    struct names names;
    names_init(&names);
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        uint64_t random = seed;
        struct pair p;
        bool same = case_between(&random, 0, 2) == 0;
        random_pair(&p, &names, &random, same);
        if (same || case_between(&random, 0, 1))
            p.target.boxes = random_windows(&random, &p.to, &p.tensor, &p.target.layout);
        struct message_list messages = {0};
        convert_messages(&p.source, &p.target, same, &messages);
        deliver(&p, &messages, arrived);
        for (uint32_t m = 0; m < p.to.devices.count; m++) {
            struct box wanted = convert_box(&p.target, m);
            uint32_t self = same ? m : source_member(&p, m);
            struct box own = {0};
            if (self != MODEL_NONE)
                own = convert_box(&p.source, self);
            for (size_t i = 0; i < elements_of(&p.tensor); i++) {
                bool held = self != MODEL_NONE && inside(&p.tensor, &own, i);
                uint32_t expected = inside(&p.tensor, &wanted, i) && !held;
                if (arrived[m][i] != expected)
                    fail_msg("seed %llu: element %zu arrives %u times at member %u, not %u",
                             (unsigned long long)seed, i, arrived[m][i], m, expected);
            }
        }
        VECTOR_FREE(&messages);
        release_pair(&p, same);
    }
    names_fini(&names);
}

/* Gradients of a halo: a member's own share gets what each other share's windows contribute to it, once,
 * from a member with its own coordinates on the axes that do not split. */
static void overlapping_gradients_arrive_once_from_each_other_share(void **state)
{
    (void)state;
    struct names names;
    names_init(&names);
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        uint64_t random = seed;
        struct pair p;
        random_pair(&p, &names, &random, true);
        for (uint32_t a = 0; a < p.from.axis_count; a++) /* partial sums stay inside their own slice */
            if (p.source.layout.place[a] == PLACE_REPLICATED && case_between(&random, 0, 1))
                p.source.layout.place[a] = p.target.layout.place[a] = PLACE_PARTIAL;
        p.source.boxes = random_windows(&random, &p.from, &p.tensor, &p.source.layout);
        struct message_list messages = {0};
        convert_messages(&p.source, &p.target, true, &messages);
        uint32_t expected = 0;
        for (uint32_t to = 0; to < p.from.devices.count; to++)
            for (uint32_t from = 0; from < p.from.devices.count; from++) {
                struct coordinates x = layout_coordinates(&p.from, from), y = layout_coordinates(&p.from, to);
                bool slice = true;
                for (uint32_t a = 0; a < p.from.axis_count; a++)
                    slice &= p.source.layout.place[a] == PLACE_SPLIT || x.at[a] == y.at[a];
                struct box held = convert_box(&p.source, from), wanted = convert_box(&p.target, to);
                double elements = 0, sent = 0;
                for (size_t i = 0; i < elements_of(&p.tensor); i++)
                    elements +=
                        slice && from != to && inside(&p.tensor, &held, i) && inside(&p.tensor, &wanted, i);
                for (uint32_t k = 0; k < messages.count; k++)
                    if (messages.at[k].from == from && messages.at[k].to == to)
                        sent += messages.at[k].elements;
                if (sent != elements)
                    fail_msg("seed %llu: %u sends %g elements to %u, not %g", (unsigned long long)seed, from,
                             sent, to, elements);
                expected += elements > 0;
            }
        assert_int_equal(messages.count, expected);
        VECTOR_FREE(&messages);
        release_pair(&p, true);
    }
    names_fini(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_layout_converts_into_any_other_without_partial_sums),
        cmocka_unit_test(one_collective_does_where_one_axis_changes),
        cmocka_unit_test(a_split_moves_to_another_axis),
        cmocka_unit_test(every_wanted_element_arrives_exactly_once_or_is_held),
        cmocka_unit_test(overlapping_gradients_arrive_once_from_each_other_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
