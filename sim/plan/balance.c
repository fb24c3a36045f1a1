#include "plan/balance.h"

#include "plan/recompute.h"
#include "plan/state.h"
#include "plan/work.h"

#include <math.h>

static bool balance_repeats(const struct plan *plan, const struct plan_stage *whole, uint32_t unit,
                            const struct layer_op *layer_op)
{
    enum plan_recompute mode = recompute_unit(plan, whole, unit);
    return mode == RECOMPUTE_FULL || (mode == RECOMPUTE_SELECTIVE && layer_op->recomputed);
}

/* Predicted seconds of every unit for one micro-batch, without communication. */
static double *balance_times(const struct plan *plan, const struct plan_stage *whole, struct arena *arena)
{
    const struct model *model = plan->model;
    double *times = ARENA_ARRAY(arena, double, model->units.count);
    bool *needs = ARENA_ARRAY(arena, bool, model->tensors.count);
    state_needs_gradient(model, needs);
    struct derivation d = {.plan = plan,
                           .stage = whole,
                           .member_count = whole->devices.count,
                           .arena = arena,
                           .needs_gradient = needs};
    for (uint32_t o = 0; o < model->operators.count; o++) {
        const struct layer_op *layer_op = &model->operators.at[o];
        uint32_t unit = model->layers.at[layer_op->layer].unit;
        if (layer_op->training_only && !plan->training)
            continue;
        VECTOR_PUSH(&d.operators,
                    ((struct stage_operator){
                        .layer_op = o, .unit = unit, .assignment = assign_operator(whole, model, layer_op)}));
        double forward = work_forward(&d, d.operators.count - 1, 0).seconds;
        times[unit] += forward;
        if (plan->training && needs[layer_op->output.tensor])
            times[unit] += work_backward(&d, d.operators.count - 1, 0).seconds +
                           (balance_repeats(plan, whole, unit, layer_op) ? forward : 0);
    }
    VECTOR_FREE(&d.operators);
    return times;
}

struct balance_cell {
    double cost;   /* of the best cut so far: the slowest stage, or the sum of squares */
    uint32_t from; /* first unit of its last stage */
};

/* The best cuts of the first u units into s + 1 stages, best[s · (units + 1) + u], by the slowest stage; or,
 * given a limit that no stage may exceed, by the sum of squares. `before`: seconds of the first u units. */
static void balance_cut(const double *before, uint32_t units, uint32_t stages, double limit,
                        struct balance_cell *best)
{
    for (uint32_t s = 0; s < stages; s++)
        for (uint32_t u = s + 1; u + (stages - 1 - s) <= units; u++) {
            struct balance_cell *cell = &best[(size_t)s * (units + 1) + u];
            *cell = (struct balance_cell){INFINITY, s};
            for (uint32_t from = s; from < (s ? u : 1); from++) {
                double rest = s ? best[(size_t)(s - 1) * (units + 1) + from].cost : 0;
                double last = before[u] - before[from], cost = rest > last ? rest : last;
                if (limit < INFINITY)
                    cost = last > limit ? INFINITY : rest + last * last;
                if (cost < cell->cost * (1 - 1e-12)) /* sums in another order differ by rounding */
                    *cell = (struct balance_cell){cost, from};
            }
        }
}

void balance_units(const struct plan *plan, const struct plan_stage *whole, uint32_t stages, uint32_t *first,
                   struct arena *arena)
{
    uint32_t units = plan->model->units.count;
    double *times = balance_times(plan, whole, arena), *before = ARENA_ARRAY(arena, double, units + 1);
    for (uint32_t u = 0; u < units; u++)
        before[u + 1] = before[u] + times[u];
    struct balance_cell *best = ARENA_ARRAY(arena, struct balance_cell, (size_t)stages * (units + 1));
    balance_cut(before, units, stages, INFINITY, best);
    double slowest = best[(size_t)(stages - 1) * (units + 1) + units].cost;
    balance_cut(before, units, stages, slowest * (1 + 1e-9), best);
    first[stages] = units;
    for (uint32_t s = stages; s-- > 0;)
        first[s] = best[(size_t)s * (units + 1) + first[s + 1]].from;
}
