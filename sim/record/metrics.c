/* Metrics: one pass over the last step's records for extents, work and bytes, then per rank a sweep over the
 * gaps of its compute stream. The sweep walks communications by start and keeps the one that ends last: when
 * that one has ended all have, so each gap is cut in O(communications that start in it). O(n log n) for the
 * sort by start, O(n) when a rank's communications already stand in that order. */
#include "record/metrics.h"

#include "cost/cost.h"
#include "plan/registry.h"
#include "record/held.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A stretch of time on one rank: an operation of its compute stream or a communication. */
struct stretch {
    double start, end;
    uint32_t share; /* communications: index into the rank's `exposed` */
    uint32_t stream, slot;
};

/* Reused from rank to rank. */
struct sweep {
    const double *flow_ends;     /* per communication: when its flow ended, INFINITY when it has none */
    const uint32_t *flows;       /* … its index in the result's transfers, UINT32_MAX when it has none */
    const uint32_t *first_match; /* per group: where its communications begin in `flow_ends` */
    const bool *ahead;           /* per group: what is sent there begins no step */
    VECTOR(struct stretch) busy, communications;
    uint32_t next; /* the first communication that has not started at the sweep's time */
    uint32_t last; /* of those started, the one that ends last; UINT32_MAX before the first */
};

double metrics_member_bytes(const struct op *op, const struct activity *activity, uint32_t place)
{
    if (op->kind == OP_SEND)
        return op->bytes;
    if (op->kind != OP_COLLECTIVE || !activity || !activity->sent.count)
        return 0;
    return op->bytes * activity->sent.at[activity->sent.count > 1 ? place : 0];
}

/* The same of an operation of a rank: its group's transfer says by which activity it went. */
static double metrics_sent(const struct job *job, const struct engine_result *result,
                           const struct sweep *sweep, const struct rank *rank, const struct op *op)
{
    const struct group *group = &job->groups[job->group_table[rank->first_group + op->group]];
    uint32_t flow = UINT32_MAX, place = 0;
    if (op->match < group->match_count)
        flow = sweep->flows[sweep->first_match[group - job->groups] + op->match];
    const struct activity *activity = NULL;
    if (flow < result->transfer_count && result->transfers[flow].activity < result->activity_count)
        activity = &result->activities[result->transfers[flow].activity];
    if (activity && activity->sent.count > 1)
        while (&job->ranks[job->members[group->first_member + place]] != rank)
            place++;
    return metrics_member_bytes(op, activity, place);
}

static int stretch_order(const void *left, const void *right)
{
    const struct stretch *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (a->stream != b->stream)
        return a->stream < b->stream ? -1 : 1;
    return a->slot < b->slot ? -1 : a->slot > b->slot;
}

static void stretch_sort(struct stretch *at, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        if (stretch_order(&at[i - 1], &at[i]) > 0) {
            qsort(at, count, sizeof *at, stretch_order);
            return;
        }
}

/* Whether `a` outlasts `b`; ties go to the lower stream, then to the lower slot. */
static bool stretch_outlasts(const struct stretch *a, const struct stretch *b)
{
    if (a->end != b->end)
        return a->end > b->end;
    return a->stream != b->stream ? a->stream < b->stream : a->slot < b->slot;
}

static uint32_t metrics_share_index(struct metrics_rank *rank, uint32_t group)
{
    for (uint32_t i = 0; i < rank->exposed.count; i++)
        if (rank->exposed.at[i].group == group)
            return i;
    VECTOR_PUSH(&rank->exposed, ((struct metrics_share){.group = group}));
    return rank->exposed.count - 1;
}

/* Shares the gap [from, to] of a compute stream out between communications and bubble. */
static void sweep_gap(struct sweep *sweep, struct metrics_rank *rank, double from, double to)
{
    const struct stretch *at = sweep->communications.at;
    while (from < to) {
        for (; sweep->next < sweep->communications.count && at[sweep->next].start <= from; sweep->next++)
            if (sweep->last == UINT32_MAX || stretch_outlasts(&at[sweep->next], &at[sweep->last]))
                sweep->last = sweep->next;
        double until = to;
        if (sweep->next < sweep->communications.count && at[sweep->next].start < to)
            until = at[sweep->next].start;
        if (sweep->last != UINT32_MAX && at[sweep->last].end > from) {
            if (at[sweep->last].end < until)
                until = at[sweep->last].end;
            rank->exposed.at[at[sweep->last].share].seconds += until - from;
        } else {
            rank->bubble += until - from;
        }
        from = until;
    }
}

/* Compute, exposed communication and bubble of a rank from its stretches. */
static void sweep_rank(struct sweep *sweep, struct metrics_rank *rank, bool several_compute_streams)
{
    stretch_sort(sweep->busy.at, sweep->busy.count);
    stretch_sort(sweep->communications.at, sweep->communications.count);
    sweep->next = 0;
    sweep->last = UINT32_MAX;
    double now = rank->first_start, worked = 0, covered = 0;
    for (uint32_t i = 0; i < sweep->busy.count; i++) {
        const struct stretch *busy = &sweep->busy.at[i];
        worked += busy->end - busy->start;
        if (busy->start > now)
            sweep_gap(sweep, rank, now, busy->start);
        double from = busy->start > now ? busy->start : now;
        if (busy->end >= from) { /* also of no length: the gap before it is dealt with */
            covered += busy->end - from;
            now = busy->end;
        }
    }
    sweep_gap(sweep, rank, now, rank->last_end);
    /* One stream is in-order, so both agree; `worked` lets the check of the sum find a stream that is not. */
    rank->compute = several_compute_streams ? covered : worked;
}

/* A receive that was ready late ends after its flow; only the flow is communication. */
static double metrics_flow_end(const struct sweep *sweep, const struct op *op, uint32_t group, double end)
{
    return op->kind == OP_RECEIVE ? fmin(end, sweep->flow_ends[sweep->first_match[group] + op->match]) : end;
}

/* Fills the sweep's look-up of flows, in the arena. */
static void metrics_flows(const struct job *job, const struct engine_result *result, struct sweep *sweep,
                          struct arena *arena)
{
    uint32_t *first = ARENA_ARRAY(arena, uint32_t, job->group_count + 1);
    for (uint32_t i = 0; i < job->group_count; i++)
        first[i + 1] = first[i] + job->groups[i].match_count;
    double *ends = ARENA_ARRAY(arena, double, first[job->group_count]);
    uint32_t *flows = ARENA_ARRAY(arena, uint32_t, first[job->group_count]);
    for (uint32_t i = 0; i < first[job->group_count]; i++) {
        ends[i] = INFINITY;
        flows[i] = UINT32_MAX;
    }
    for (uint32_t i = 0; i < result->transfer_count; i++) {
        const struct engine_transfer *transfer = &result->transfers[i];
        ends[first[transfer->group] + transfer->match] = transfer->end;
        flows[first[transfer->group] + transfer->match] = i;
    }
    sweep->flow_ends = ends;
    sweep->flows = flows;
    sweep->first_match = first;
}

/* Groups in which samples are sent, by their name. Of several steps they are sent ahead, as soon as there is
 * room on the link, and received ahead: that begins no step. */
static bool *metrics_ahead(const struct job *job, struct arena *arena)
{
    bool *ahead = ARENA_ARRAY(arena, bool, job->group_count + 1);
    for (uint32_t g = 0; g < job->group_count && job->steps > 1; g++)
        ahead[g] =
            strcmp(names_text(job->names, job->groups[g].name), registry_channel_names[CHANNEL_INPUT]) == 0;
    return ahead;
}

/* Reads one rank's operations of the step: extents, FLOPs, bytes and, into `sweep`, its stretches. */
static void metrics_scan(const struct job *job, const struct engine_result *result, uint32_t index,
                         struct metrics_rank *rank, struct sweep *sweep, double *earlier_start)
{
    const struct rank *on = &job->ranks[index];
    const struct program *program = &job->programs[on->program];
    const struct engine_record *records = &result->records[result->first_record[index]];
    sweep->busy.count = sweep->communications.count = 0;
    rank->first_start = INFINITY;
    rank->last_end = -INFINITY;
    for (uint32_t slot = 0; slot < program->op_count; slot++) {
        const struct op *op = &program->ops[slot];
        bool message = op->kind == OP_SEND || op->kind == OP_RECEIVE;
        bool starts = !message || !sweep->ahead[job->group_table[on->first_group + op->group]];
        if (op->step + 1 == job->steps - 1 && starts && records[slot].start < *earlier_start)
            *earlier_start = records[slot].start;
        if (op->step != job->steps - 1)
            continue;
        struct stretch stretch = {records[slot].start, records[slot].end, 0, op->stream, slot};
        rank->first_start = starts ? fmin(rank->first_start, stretch.start) : rank->first_start;
        rank->last_end = fmax(rank->last_end, stretch.end);
        rank->flops += op->flops;
        if (op->kind == OP_COMPUTE && program->streams[op->stream].compute) {
            VECTOR_PUSH(&sweep->busy, stretch);
        } else if (op->kind != OP_COMPUTE) {
            uint32_t group = job->group_table[on->first_group + op->group];
            stretch.share = metrics_share_index(rank, job->groups[group].name);
            stretch.end = metrics_flow_end(sweep, op, group, stretch.end);
            rank->exposed.at[stretch.share].bytes += metrics_sent(job, result, sweep, on, op);
            VECTOR_PUSH(&sweep->communications, stretch);
        }
    }
}

static bool metrics_several_compute_streams(const struct program *program)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < program->stream_count; i++)
        count += program->streams[i].compute;
    return count > 1;
}

/* The window, and the breakdown of every rank but for its idle time. */
static void metrics_ranks(const struct job *job, const struct engine_result *result, struct metrics *metrics)
{
    struct sweep sweep = {0};
    struct arena flows;
    double start = INFINITY, end = -INFINITY, earlier_start = INFINITY;
    arena_init(&flows);
    metrics_flows(job, result, &sweep, &flows);
    sweep.ahead = metrics_ahead(job, &flows);
    for (uint32_t i = 0; i < job->rank_count; i++) {
        VECTOR_PUSH(&metrics->ranks, (struct metrics_rank){0});
        struct metrics_rank *rank = &metrics->ranks.at[i];
        metrics_scan(job, result, i, rank, &sweep, &earlier_start);
        if (rank->first_start <= rank->last_end)
            sweep_rank(&sweep, rank, metrics_several_compute_streams(&job->programs[job->ranks[i].program]));
        start = fmin(start, rank->first_start);
        end = fmax(end, rank->last_end);
        if (rank->first_start == INFINITY) /* it only sends samples, or receives results */
            rank->first_start = rank->last_end;
    }
    VECTOR_FREE(&sweep.busy);
    VECTOR_FREE(&sweep.communications);
    arena_fini(&flows);
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
static void metrics_memory(const struct plan *plan, const struct job *job, const struct engine_result *result,
                           struct metrics *metrics)
{
    struct index_list seen = {0}; /* per program: 1 + its first rank */
    metrics->crowded_rank = PROGRAM_NONE;
    for (uint32_t i = 0; i < plan->stages.count; i++)
        metrics->peak_memory = fmax(metrics->peak_memory, plan->stages.at[i].memory.total);
    for (uint32_t p = 0; p < job->program_count; p++)
        VECTOR_PUSH(&seen, 0);
    for (uint32_t r = 0; r < job->rank_count && plan->stages.count; r++) {
        const struct device *device = &plan->platform->devices.at[job->ranks[r].device];
        double capacity = plan->platform->device_types.at[device->type].memory;
        if (seen.at[job->ranks[r].program]++)
            continue;
        double peak = held_peak(job, result, r);
        if (!job->ranks[r].store)
            metrics->peak_memory = fmax(metrics->peak_memory, peak);
        if (plan->fits && peak > capacity && peak - capacity > metrics->crowd) {
            metrics->crowd = peak - capacity;
            metrics->crowded_rank = r;
        }
    }
    VECTOR_FREE(&seen);
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

bool metrics_compute(const struct plan *plan, const struct job *job, const struct engine_result *result,
                     struct metrics *metrics, const char **error)
{
    *metrics = (struct metrics){0};
    metrics_ranks(job, result, metrics);
    if (!metrics_check(job, metrics, error)) {
        metrics_fini(metrics);
        return false;
    }
    uint32_t devices = metrics_devices(plan, job, metrics);
    metrics_memory(plan, job, result, metrics);
    metrics_aggregate(job, metrics);
    if (metrics->step_time > 0) {
        metrics->samples_per_s = (double)plan->global_batch / metrics->step_time;
        metrics->tokens_per_s = metrics->samples_per_s * plan->model->tokens;
        if (devices)
            metrics->flops_per_device = plan->model_flops / metrics->step_time / devices;
        if (metrics->peak_flops > 0)
            metrics->mfu = plan->model_flops / (metrics->step_time * metrics->peak_flops);
    }
    token_times_find(plan, job, result, metrics->window_start, metrics->window, &metrics->tokens);
    if (plan->tokens)
        metrics->tokens_per_s = metrics->tokens.per_second;
    return true;
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
