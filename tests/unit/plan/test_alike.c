/* Members that are said to be alike do the same work, whatever splits a dimension. */
#include "plan_case.h"

#include "plan/alike.h"
#include "plan/memory.h"
#include "plan/work.h"

static const char dense[] = "name: dense\nlayers:\n"
                            "  - {input: x, dims: {c: 12}}\n"
                            "  - {fc: first, out: 12, act: relu}\n"
                            "  - {fc: second, out: 8}\n";

static const char image[] = "name: image\nlayers:\n"
                            "  - {input: x, dims: {c: 4, y: 11, x: 7}}\n"
                            "  - {conv: first, out: 6, kernel: 3}\n"
                            "  - {conv: second, out: 6, kernel: 3, groups: 2, pad: same}\n"
                            "  - {pool: pool, op: max, kernel: 2}\n";

static bool same_work(struct work a, struct work b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* Returns how many classes there are. `nests`: the second axis splits the shares of the first. */
static uint32_t check(const char *model, const char *axes, bool nests)
{
    struct plan_case c;
    struct alike alike;
    case_init(&c, model, 6);
    case_stage(&c, 0, axes);
    c.plan.stages.at[0].axes[1].nests = nests;
    assert_true(case_derive(&c));
    const struct derivation *d = &c.derivations[0];
    alike_work(d, alike_axes(d), &alike);
    for (uint32_t m = 0; m < d->member_count; m++)
        for (uint32_t n = 0; n < m; n++) {
            if (alike_class(&alike, d->stage, m) != alike_class(&alike, d->stage, n))
                continue;
            for (uint32_t o = 0; o < d->operators.count; o++)
                if (!same_work(work_forward(d, o, m), work_forward(d, o, n)) ||
                    !same_work(work_backward(d, o, m), work_backward(d, o, n)))
                    fail_msg("%s: members %u and %u differ in operator %u", axes, m, n, o);
            for (uint32_t i = 0; i < d->parameters.count; i++)
                if (memory_parameter(d, i, m) > memory_parameter(d, i, n) ||
                    memory_state(d, i, m) > memory_state(d, i, n))
                    fail_msg("%s: members %u and %u differ in parameter %u", axes, m, n, i);
        }
    uint32_t classes = alike.kinds.count;
    alike_fini(&alike);
    case_fini(&c);
    return classes;
}

static void even_shares_make_one_class(void **state)
{
    (void)state;
    assert_int_equal(check(dense, "b:3 o:4", false), 1);
    assert_int_equal(check(dense, "o:2 o:2", true), 1);
}

static void uneven_shares_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(check(dense, "b:2 o:5", false), 4); /* 12 over 5: 2 2 3 2 3, 8 over 5: 1 2 1 2 2 */
    assert_int_equal(check(image, "b:3 y:4", false) > 1, true);
}

/* 12 divides by 2 and by 4, but not by 8: shares of 6 are dealt as 1, 2, 1, 2. */
static void shares_of_shares_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(check(dense, "o:2 o:4", true), 2);
}

static void random_splits_of_random_layers_agree_within_a_class(void **state)
{
    (void)state;
    static const char *const labels[] = {"b", "o", "i", "y", "x", "c,o", "y,o"};
    uint64_t seed = 814;
    for (uint32_t i = 0; i < 200; i++) {
        char axes[64];
        int used = 0;
        for (uint32_t a = 0, count = case_between(&seed, 1, 3); a < count; a++)
            used += snprintf(axes + used, sizeof axes - (size_t)used, "%s%s:%u", a ? " " : "",
                             labels[case_between(&seed, 0, 6)], case_between(&seed, 2, 4));
        check(i % 2 ? dense : image, axes, case_between(&seed, 0, 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(even_shares_make_one_class),
        cmocka_unit_test(uneven_shares_are_told_apart),
        cmocka_unit_test(shares_of_shares_are_told_apart),
        cmocka_unit_test(random_splits_of_random_layers_agree_within_a_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
