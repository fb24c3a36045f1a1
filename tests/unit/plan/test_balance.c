/* Balanced stages against brute force over all cuts. */
#include "plan_case.h"

#include "plan/balance.h"

enum { UNITS = 9 };

/* A chain of products whose times are known: forward 2·b·in·out FLOPs, backward twice that, but for the
 * first, whose input wants no gradient. */
static void random_chain(struct plan_case *c, uint64_t *random, uint32_t units, double *times)
{
    char model[1024] = "name: m\nlayers:\n  - {input: x, dims: {c: 8}}\n";
    uint32_t in = 8;
    times[0] = 0;
    for (uint32_t u = 1; u < units; u++) {
        uint32_t out = case_between(random, 1, 12);
        size_t length = strlen(model);
        snprintf(model + length, sizeof model - length, "  - {fc: u%u, out: %u, bias: no}\n", u, out);
        times[u] = 2.0 * 3 * in * out * (u == 1 ? 2 : 3) / 1e9;
        in = out;
    }
    case_init(c, model, 3);
    case_stage(c, 0, "");
}

/* The slowest stage and the sum of squares of a cut; bit u of `cuts`: unit u + 1 starts a stage. */
static void price(const double *times, uint32_t units, uint32_t cuts, double *slowest, double *squares)
{
    double stage = 0;
    *slowest = *squares = 0;
    for (uint32_t u = 0; u < units; u++) {
        stage += times[u];
        if (u + 1 < units && !(cuts >> u & 1))
            continue;
        *slowest = stage > *slowest ? stage : *slowest;
        *squares += stage * stage;
        stage = 0;
    }
}

static void no_cut_is_better_than_the_balanced_one(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        uint64_t random = seed;
        uint32_t units = case_between(&random, 1, UNITS), stages = case_between(&random, 1, units);
        double times[UNITS], best = INFINITY, best_squares = INFINITY, slowest, squares;
        struct plan_case c;
        random_chain(&c, &random, units, times);
        uint32_t first[UNITS + 1];
        balance_units(&c.plan, &c.plan.stages.at[0], stages, first, &c.arena);
        assert_int_equal(first[0], 0);
        assert_int_equal(first[stages], units);
        uint32_t chosen = 0;
        for (uint32_t s = 1; s < stages; s++) {
            assert_true(first[s] > first[s - 1] && first[s] < units);
            chosen |= 1u << (first[s] - 1);
        }
        for (uint32_t cuts = 0; cuts < 1u << (units - 1); cuts++) {
            if ((uint32_t)__builtin_popcount(cuts) + 1 != stages)
                continue;
            price(times, units, cuts, &slowest, &squares);
            if (slowest < best * (1 - 1e-9))
                best_squares = INFINITY;
            best = slowest < best ? slowest : best;
            if (slowest <= best * (1 + 1e-9) && squares < best_squares)
                best_squares = squares;
        }
        price(times, units, chosen, &slowest, &squares);
        if (slowest > best * (1 + 1e-9))
            fail_msg("seed %llu: slowest %.17g, best %.17g", (unsigned long long)seed, slowest, best);
        if (squares > best_squares * (1 + 1e-6))
            fail_msg("seed %llu: squares %.17g, best %.17g", (unsigned long long)seed, squares, best_squares);
        case_fini(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_cut_is_better_than_the_balanced_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
