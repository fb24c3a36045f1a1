/* Unequal shares of collectives against counting: every element of a payload is given to the members that
 * hold it, one by one. */
#include "attention_models.h"
#include "plan_case.h"

#include "plan/shares.h"
#include "plan/state.h"

static const char model[] = ATTENTION_TRANSFORMER("7");

static bool holds(const struct box *box, const uint64_t *element, uint32_t rank)
{
    for (uint32_t i = 0; i < rank; i++)
        if ((int64_t)element[i] < (int64_t)box->dims[i].low ||
            (int64_t)element[i] >= (int64_t)box->dims[i].high)
            return false;
    return true;
}

static struct box box_of(const struct derivation *d, const struct action *action, uint32_t member,
                         uint32_t place, const struct layout *layout)
{
    struct coordinates at = layout_coordinates(d->stage, member);
    at.at[action->axis] = place;
    return layout_box(d->stage, state_tensor(d, action->tensor), layout, at, 0);
}

/* Elements that `from` held before (member `to` itself, but for an all-to-all) and `to` holds after. */
static double counted(const struct derivation *d, const struct action *action, uint32_t member, uint32_t from,
                      uint32_t to)
{
    const struct tensor *tensor = state_tensor(d, action->tensor);
    bool gather = action->collective == ALL_GATHER;
    struct box had = box_of(d, action, member, from, &action->before);
    struct box has = box_of(d, action, member, to, gather ? &action->before : &action->after);
    uint64_t element[TENSOR_DIMS] = {0};
    double count = 0;
    for (;;) {
        count += holds(&has, element, tensor->rank) &&
                 (action->collective != ALL_TO_ALL || holds(&had, element, tensor->rank));
        uint32_t i = 0;
        while (i < tensor->rank && ++element[i] == tensor->dims[i].size)
            element[i++] = 0;
        if (i == tensor->rank)
            return count;
    }
}

static uint32_t check(const struct derivation *d, const struct action *action, uint32_t member)
{
    struct share_list shares = {0};
    shares_of(d, action, member, &shares);
    uint32_t size = d->stage->axes[action->axis].size, kind = action->collective;
    bool many = kind == ALL_TO_ALL, asked = kind == ALL_GATHER || kind == REDUCE_SCATTER || many;
    double bytes = derive_payload(d, action, layout_coordinates(d->stage, member)), first = -1;
    bool equal = true;
    for (uint32_t i = 0; asked && i < (many ? size * size : size); i++) {
        double share = counted(d, action, member, i / size, i % size) * action->element_bytes / bytes;
        first = i ? first : share;
        equal = equal && fabs(share - first) <= 1e-12;
        if (shares.count && fabs(shares.at[i] - share) > 1e-12)
            fail_msg("%s, share %u is %g, counted %g", communication_names[kind], i, shares.at[i], share);
    }
    assert_int_equal(shares.count, equal || !asked ? 0 : many ? size * size : size);
    uint32_t found = shares.count;
    VECTOR_FREE(&shares);
    return found;
}

static void shares_are_those_that_counting_gives(void **state)
{
    (void)state;
    static const char *const axes[] = {"g,r,f,v,s:4",   "g,r,f,v,s:3", "s:2 g,f,s:3",
                                       "g,f,v,s:2 b:2", "g,f,s:5/2/1", "s,f:3"};
    uint32_t uneven = 0;
    for (size_t i = 0; i < sizeof axes / sizeof axes[0]; i++) {
        struct plan_case c;
        case_init(&c, model, 3);
        case_stage(&c, 0, axes[i]);
        assert_true(case_derive(&c));
        const struct derivation *d = &c.derivations[0];
        for (uint32_t k = 0; k < d->forward.count + d->backward.count; k++) {
            const struct action *action =
                k < d->forward.count ? &d->forward.at[k] : &d->backward.at[k - d->forward.count];
            for (uint32_t m = 0;
                 action->kind == ACTION_COLLECTIVE && !(action->elements > 0) && m < d->member_count; m++)
                uneven += check(d, action, m) > 0;
        }
        case_fini(&c);
    }
    assert_true(uneven > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shares_are_those_that_counting_gives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
