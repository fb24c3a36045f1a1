/* Metrics: what gather.c has taken in of the last step, summed up and checked. */
#include "record/metrics.h"

#include "cost/cost.h"
#include "record/gather.h"

#include <math.h>

double metrics_member_bytes(const struct op *op, const struct activity *activity, uint32_t place)
{
    if (op->kind == OP_SEND)
        return op->bytes;
    if (op->kind != OP_COLLECTIVE || !activity || !activity->sent.count)
        return 0;
    return op->bytes * activity->sent.at[activity->sent.count > 1 ? place : 0];
}

static uint32_t metrics_share_index(struct metrics_rank *rank, uint32_t group)
{
    for (uint32_t i = 0; i < rank->exposed.count; i++)
        if (rank->exposed.at[i].group == group)
            return i;
    VECTOR_PUSH(&rank->exposed, ((struct metrics_share){.group = group}));
    return rank->exposed.count - 1;
}

/* The window, and the idle time of every rank. */
static void metrics_window(const struct job *job, double earlier_start, struct metrics *metrics)
{
    double start = INFINITY, end = -INFINITY;
    for (uint32_t i = 0; i < job->rank_count; i++) {
        struct metrics_rank *rank = &metrics->ranks.at[i];
        start = fmin(start, rank->first_start);
        end = fmax(end, rank->last_end);
        if (rank->first_start == INFINITY) /* it only sends samples, or receives results */
            rank->first_start = rank->last_end;
    }
    metrics->window_start = start <= end ? start : 0;
    metrics->window = start <= end ? end - start : 0;
    metrics->step_time = job->steps > 1 && isfinite(earlier_start) ? start - earlier_start : metrics->window;
    for (uint32_t i = 0; i < job->rank_count; i++) {
        struct metrics_rank *rank = &metrics->ranks.at[i];
        if (rank->last_end < metrics->window_start) /* nothing to do in this step */
            rank->first_start = rank->last_end = metrics->window_start;
        rank->idle = (rank->first_start - metrics->window_start) +
                     (metrics->window_start + metrics->window - rank->last_end);
    }
}

static bool metrics_check(const struct job *job, const struct metrics *metrics, const char **error)
{
    for (uint32_t i = 0; i < metrics->ranks.count; i++) {
        const struct metrics_rank *rank = &metrics->ranks.at[i];
        double sum = rank->compute + rank->bubble + rank->idle;
        for (uint32_t j = 0; j < rank->exposed.count; j++)
            sum += rank->exposed.at[j].seconds;
        if (fabs(sum - metrics->window) <= 1e-9 * metrics->window)
            continue;
        /* The job's arena is the caller's place for messages; nothing else of the job changes. */
        *error = arena_format((struct arena *)&job->arena,
                              "the breakdown of rank %u does not sum to the step: compute %.9g + exposed and "
                              "bubble and idle = %.17g s, but the step takes %.17g s",
                              i, rank->compute, sum, metrics->window);
        return false;
    }
    return true;
}

static void metrics_serve(const struct metrics_rank *store, struct metrics *metrics)
{
    metrics->energy += store->energy;
    for (uint32_t j = 0; j < store->exposed.count; j++)
        metrics->bytes_sent += store->exposed.at[j].bytes;
}

/* Means over the ranks but for stores, sums over all. */
static void metrics_aggregate(const struct job *job, struct metrics *metrics)
{
    double count = 0;
    struct metrics_rank whole = {0};
    for (uint32_t i = 0; i < metrics->ranks.count; i++)
        count += !job->ranks[i].store;
    for (uint32_t i = 0; i < metrics->ranks.count; i++) {
        const struct metrics_rank *rank = &metrics->ranks.at[i];
        if (job->ranks[i].store) {
            metrics_serve(rank, metrics);
            continue;
        }
        metrics->compute += rank->compute / count;
        metrics->bubble += rank->bubble / count;
        metrics->idle += rank->idle / count;
        metrics->energy += rank->energy;
        if (metrics->window > rank->idle)
            metrics->bubble_fraction += rank->bubble / (metrics->window - rank->idle) / count;
        for (uint32_t j = 0; j < rank->exposed.count; j++) {
            uint32_t index = metrics_share_index(&whole, rank->exposed.at[j].group);
            struct metrics_share *share = &whole.exposed.at[index];
            share->seconds += rank->exposed.at[j].seconds / count;
            share->bytes += rank->exposed.at[j].bytes;
            metrics->bytes_sent += rank->exposed.at[j].bytes;
        }
    }
    for (uint32_t j = 0; j < whole.exposed.count; j++)
        VECTOR_PUSH(&metrics->exposed, whole.exposed.at[j]);
    VECTOR_FREE(&whole.exposed);
}

/* The most that devices come to hold: by the plan's order and in the run, whichever is more. One rank of each
 * program stands for those that are like it. */
static void metrics_memory(const struct gather *gather, struct metrics *metrics)
{
    const struct plan *plan = gather->plan;
    metrics->crowded_rank = PROGRAM_NONE;
    for (uint32_t i = 0; i < plan->stages.count; i++)
        metrics->peak_memory = fmax(metrics->peak_memory, plan->stages.at[i].memory.total);
    for (uint32_t r = 0; r < gather->job->rank_count && plan->stages.count; r++) {
        const struct rank *rank = &gather->job->ranks[r];
        const struct device *device = &plan->platform->devices.at[rank->device];
        double capacity = plan->platform->device_types.at[device->type].memory;
        if (gather->programs[rank->program].first_rank != r)
            continue;
        double peak = gather->programs[rank->program].held.most;
        if (!rank->store)
            metrics->peak_memory = fmax(metrics->peak_memory, peak);
        if (plan->fits && peak > capacity && peak - capacity > metrics->crowd) {
            metrics->crowd = peak - capacity;
            metrics->crowded_rank = r;
        }
    }
}

/* What depends on the devices: peak rate, energy. Returns how many devices have ranks. */
static uint32_t metrics_devices(const struct plan *plan, const struct job *job, struct metrics *metrics)
{
    const struct platform *platform = plan->platform;
    VECTOR(bool) seen = {0};
    uint32_t count = 0;
    for (uint32_t i = 0; i < platform->devices.count; i++)
        VECTOR_PUSH(&seen, false);
    for (uint32_t i = 0; i < job->rank_count; i++) {
        const struct device *device = &platform->devices.at[job->ranks[i].device];
        const struct device_type *type = &platform->device_types.at[device->type];
        struct metrics_rank *rank = &metrics->ranks.at[i];
        if (type->power_busy > 0)
            rank->energy = type->power_busy * rank->compute +
                           type->power_idle * fmax(metrics->step_time - rank->compute, 0);
        if (seen.at[job->ranks[i].device] || job->ranks[i].store)
            continue;
        seen.at[job->ranks[i].device] = true;
        metrics->peak_flops += cost_peak(type, plan->precision) * device->speed;
        count++;
    }
    VECTOR_FREE(&seen);
    return count;
}

bool metrics_gathered(const struct gather *gather, struct metrics *metrics, const char **error)
{
    const struct plan *plan = gather->plan;
    const struct job *job = gather->job;
    metrics_window(job, gather->earlier_start, metrics);
    if (!metrics_check(job, metrics, error)) {
        metrics_fini(metrics);
        return false;
    }
    uint32_t devices = metrics_devices(plan, job, metrics);
    metrics_memory(gather, metrics);
    metrics_aggregate(job, metrics);
    if (metrics->step_time > 0) {
        metrics->samples_per_s = (double)plan->global_batch / metrics->step_time;
        metrics->tokens_per_s = metrics->samples_per_s * plan->model->tokens;
        if (devices)
            metrics->flops_per_device = plan->model_flops / metrics->step_time / devices;
        if (metrics->peak_flops > 0)
            metrics->mfu = plan->model_flops / (metrics->step_time * metrics->peak_flops);
    }
    token_times_find(plan, gather->ends, metrics->window_start, metrics->window, &metrics->tokens);
    if (plan->tokens)
        metrics->tokens_per_s = metrics->tokens.per_second;
    return true;
}

bool metrics_compute(const struct plan *plan, const struct job *job, const struct engine_result *result,
                     struct metrics *metrics, const char **error)
{
    struct gather gather;
    *metrics = (struct metrics){0};
    gather_init(&gather, plan, job, metrics);
    gather_result(&gather, result);
    bool good = metrics_gathered(&gather, metrics, error);
    gather_fini(&gather);
    return good;
}

void metrics_fini(struct metrics *metrics)
{
    for (uint32_t i = 0; i < metrics->ranks.count; i++)
        VECTOR_FREE(&metrics->ranks.at[i].exposed);
    VECTOR_FREE(&metrics->ranks);
    VECTOR_FREE(&metrics->exposed);
    token_times_fini(&metrics->tokens);
    *metrics = (struct metrics){0};
}
