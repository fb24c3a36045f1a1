/* Reductions that wait: how many there are, of how many bytes, and where. That the results are right with
 * them, and wrong without any of them, is what the executor finds. */
#include "plan_case.h"

enum { BATCH = 2, SEQUENCE = 8, HIDDEN = 6 };

/* Attention's place is taken by a fully connected layer: its branch and the other one start from the same
 * norm and meet in one addition (GPT-J, PaLM). */
static const char parallel[] =
    "name: m\nlayers:\n  - {input: x, dims: {s: 8, h: 6}}\n  - {fc: e, out: {h: 6}}\n  - {norm: n}\n"
    "  - {fc: a, from: n, out: {g: 4}}\n  - {fc: p, over: g, out: {h: 6}}\n  - {dropout: dp}\n"
    "  - {fc: u, from: n, out: {f: 12}, act: gelu}\n  - {fc: w, over: f, out: {h: 6}}\n  - {dropout: dw}\n"
    "  - {add: r, from: [dp, dw, e]}\n  - {norm: z}\n";

/* One after the other, each with its own residual: no two sums meet. */
static const char serial[] =
    "name: m\nlayers:\n  - {input: x, dims: {s: 8, h: 6}}\n  - {fc: e, out: {h: 6}}\n  - {norm: n}\n"
    "  - {fc: a, out: {g: 4}}\n  - {fc: p, over: g, out: {h: 6}}\n  - {add: r1, from: [p, e]}\n  - {norm: "
    "m}\n"
    "  - {fc: u, out: {f: 12}, act: gelu}\n  - {fc: w, over: f, out: {h: 6}}\n  - {add: r, from: [w, r1]}\n"
    "  - {norm: z}\n";

struct reductions {
    uint32_t count, kind;
    double bytes;
    const char *last; /* tensor that the last one reduces */
};

static struct reductions reductions_of(struct plan_case *c, bool backward)
{
    const struct derivation *d = c->derivations;
    struct reductions found = {0};
    for (uint32_t i = 0; i < (backward ? d->backward.count : d->forward.count); i++) {
        const struct action *action = backward ? &d->backward.at[i] : &d->forward.at[i];
        if (action->kind != ACTION_COLLECTIVE || action->before.place[action->axis] != PLACE_PARTIAL)
            continue;
        found.count++;
        found.kind = action->collective;
        found.bytes += derive_payload(d, action, (struct coordinates){{0}});
        found.last = names_text(&c->names, c->model.tensors.at[action->tensor].name);
        assert_true(action->because > 0);
    }
    return found;
}

static struct reductions reduced(const char *model, const char *axes, bool lazy, bool backward)
{
    struct plan_case c;
    case_init(&c, model, BATCH);
    case_stage(&c, 0, axes);
    c.plan.stages.at[0].lazy = lazy;
    assert_true(case_derive(&c));
    struct reductions found = reductions_of(&c, backward);
    case_fini(&c);
    return found;
}

static void branches_that_meet_are_reduced_once(void **state)
{
    (void)state;
    double each = BATCH * SEQUENCE * HIDDEN * 4.0;
    struct reductions at_once = reduced(parallel, "f,g:2", false, false);
    struct reductions lazily = reduced(parallel, "f,g:2", true, false);
    assert_int_equal(at_once.count, 2);
    ASSERT_NEAR(at_once.bytes, 2 * each, 0);
    assert_int_equal(lazily.count, 1);
    assert_int_equal(lazily.kind, ALL_REDUCE);
    ASSERT_NEAR(lazily.bytes, each, 0);
    assert_int_equal(reduced(parallel, "f,g:2", true, true).count,
                     reduced(parallel, "f,g:2", false, true).count);
}

static void what_does_not_meet_is_reduced_as_often_but_later(void **state)
{
    (void)state;
    struct plan_case c;
    struct reductions at_once = reduced(serial, "f,g:2", false, false);
    case_init(&c, serial, BATCH);
    case_stage(&c, 0, "f,g:2");
    c.plan.stages.at[0].lazy = true;
    assert_true(case_derive(&c));
    struct reductions lazily = reductions_of(&c, false);
    assert_int_equal(lazily.count, at_once.count);
    ASSERT_NEAR(lazily.bytes, at_once.bytes, 0);
    assert_string_equal(lazily.last, "r"); /* the residual's sum, not the product */
    case_fini(&c);
}

/* Sequence parallelism divides the addition: reduce-scatters of each branch, and nothing waits. */
static void a_divided_addition_has_nothing_wait(void **state)
{
    (void)state;
    for (int lazy = 0; lazy < 2; lazy++) {
        struct reductions found = reduced(parallel, "f,g,s:2", lazy, false);
        assert_int_equal(found.count, 2);
        assert_int_equal(found.kind, REDUCE_SCATTER);
    }
}

static void what_another_reader_wants_whole_does_not_wait(void **state)
{
    (void)state;
    static const char read_twice[] =
        "name: m\nlayers:\n  - {input: x, dims: {h: 6}}\n  - {fc: u, out: {f: 4}}\n"
        "  - {fc: w, over: f, out: {h: 6}, bias: no}\n  - {scale: t}\n  - {act: a, from: w, function: relu}\n"
        "  - {add: r, from: [t, a]}\n";
    assert_int_equal(reduced(read_twice, "f:2", false, false).count, 1);
    assert_int_equal(reduced(read_twice, "f:2", true, false).count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(branches_that_meet_are_reduced_once),
        cmocka_unit_test(what_does_not_meet_is_reduced_as_often_but_later),
        cmocka_unit_test(a_divided_addition_has_nothing_wait),
        cmocka_unit_test(what_another_reader_wants_whole_does_not_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
