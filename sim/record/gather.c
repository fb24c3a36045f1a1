#include "record/gather.h"

#include "plan/registry.h"

#include <math.h>
#include <string.h>

/* Groups in which samples are sent, by their name. Of several steps they are sent ahead, as soon as there is
 * room on the link, and received ahead: that begins no step. */
static bool *gather_ahead(const struct job *job, struct arena *arena)
{
    bool *ahead = ARENA_ARRAY(arena, bool, job->group_count + 1);
    for (uint32_t g = 0; g < job->group_count && job->steps > 1; g++)
        ahead[g] =
            strcmp(names_text(job->names, job->groups[g].name), registry_channel_names[CHANNEL_INPUT]) == 0;
    return ahead;
}

static void gather_program_init(const struct job *job, const struct program *program, struct arena *arena,
                                struct gather_program *out)
{
    out->last_section = ARENA_ARRAY(arena, uint32_t, program->stream_count + 1);
    out->first_rank = PROGRAM_NONE;
    for (struct program_stretch at = {.section = PROGRAM_NONE}; program_next(job, program, &at);)
        for (uint32_t i = at.first; i < at.end && at.time == 0; i++)
            out->last_section[program->ops[i].stream] = at.section;
    held_begin(&out->held, program);
}

void gather_init(struct gather *gather, const struct plan *plan, const struct job *job,
                 struct metrics *metrics)
{
    *gather = (struct gather){.plan = plan, .job = job, .metrics = metrics, .earlier_start = INFINITY};
    struct arena *arena = &gather->arena;
    arena_init(arena);
    gather->ahead = gather_ahead(job, arena);
    gather->ends = ARENA_ARRAY(arena, double, (size_t)plan->tokens * plan->micro_batches + 1);
    gather->ranks = ARENA_ARRAY(arena, struct gather_rank, job->rank_count + 1);
    gather->programs = ARENA_ARRAY(arena, struct gather_program, job->program_count + 1);
    for (uint32_t p = 0; p < job->program_count; p++)
        gather_program_init(job, &job->programs[p], arena, &gather->programs[p]);
    for (uint32_t r = 0; r < job->rank_count; r++) {
        struct gather_program *program = &gather->programs[job->ranks[r].program];
        uint32_t streams = job->programs[job->ranks[r].program].stream_count;
        gather->ranks[r].last = ARENA_ARRAY(arena, double, streams + 1);
        program->first_rank = program->first_rank == PROGRAM_NONE ? r : program->first_rank;
        VECTOR_PUSH(&metrics->ranks, ((struct metrics_rank){.first_start = INFINITY, .last_end = -INFINITY}));
    }
}

void gather_fini(struct gather *gather)
{
    for (uint32_t p = 0; p < gather->job->program_count; p++)
        VECTOR_FREE(&gather->programs[p].held.list);
    for (uint32_t r = 0; r < gather->job->rank_count; r++)
        sweep_fini(&gather->ranks[r].sweep);
    sweep_fini(&gather->spare);
    arena_fini(&gather->arena);
}

static uint32_t gather_share(struct metrics_rank *rank, uint32_t group)
{
    for (uint32_t i = 0; i < rank->exposed.count; i++)
        if (rank->exposed.at[i].group == group)
            return i;
    VECTOR_PUSH(&rank->exposed, ((struct metrics_share){.group = group}));
    return rank->exposed.count - 1;
}

/* The transfer of a receive or collective; NULL: it had none. */
static const struct engine_transfer *gather_transfer(const struct engine_pass *pass, uint32_t group,
                                                     uint32_t match)
{
    uint32_t flow = pass->flows[(uint32_t)(pass->first_flow[group] + match)];
    return flow == UINT32_MAX ? NULL : &pass->transfers[flow];
}

/* Bytes that a rank sends by an operation. */
static double gather_sent(const struct gather *gather, const struct engine_pass *pass, uint32_t r,
                          const struct op *op, uint32_t g)
{
    const struct group *group = &gather->job->groups[g];
    const struct engine_transfer *transfer =
        op->kind == OP_COLLECTIVE ? gather_transfer(pass, g, op->match) : NULL;
    const struct activity *activity =
        transfer && transfer->activity < pass->activity_count ? &pass->activities[transfer->activity] : NULL;
    uint32_t place = 0;
    if (activity && activity->sent.count > 1)
        while (gather->job->members[group->first_member + place] != r)
            place++;
    return metrics_member_bytes(op, activity, place);
}

static void gather_communication(struct gather *gather, const struct engine_pass *pass, uint32_t r,
                                 const struct op *op, struct sweep_stretch stretch)
{
    struct metrics_rank *rank = &gather->metrics->ranks.at[r];
    uint32_t g = gather->job->group_table[gather->job->ranks[r].first_group + op->group];
    stretch.share = gather_share(rank, gather->job->groups[g].name);
    if (op->kind == OP_RECEIVE) { /* one that was ready late ends after its flow; only the flow counts */
        const struct engine_transfer *transfer = gather_transfer(pass, g, op->match);
        stretch.end = transfer ? fmin(stretch.end, transfer->end) : stretch.end;
    }
    rank->exposed.at[stretch.share].bytes += gather_sent(gather, pass, r, op, g);
    VECTOR_PUSH(&gather->ranks[r].sweep.communications, stretch);
}

/* A micro-batch has a token when all work on it has ended. */
static void gather_token(struct gather *gather, const struct op *op, double end)
{
    bool works = op->pass == PASS_F || op->pass == PASS_D;
    if (!gather->plan->tokens || !works || op->kind == OP_SEND)
        return;
    double *last = &gather->ends[op->token * gather->plan->micro_batches + op->micro_batch];
    *last = fmax(*last, end);
}

/* One operation of the last step. */
static void gather_op(struct gather *gather, const struct engine_pass *pass, uint32_t r, uint32_t slot,
                      const struct engine_record *record)
{
    const struct job *job = gather->job;
    const struct program *program = &job->programs[job->ranks[r].program];
    struct metrics_rank *rank = &gather->metrics->ranks.at[r];
    const struct op *op = &program->ops[slot];
    struct op at_this_time;
    if (job->section_count) {
        at_this_time = program_op(job, op, pass->time);
        op = &at_this_time;
    }
    bool message = op->kind == OP_SEND || op->kind == OP_RECEIVE;
    bool starts = !message || !gather->ahead[job->group_table[job->ranks[r].first_group + op->group]];
    if (op->step + 1 == job->steps - 1 && starts)
        gather->earlier_start = fmin(gather->earlier_start, record->start);
    if (op->step != job->steps - 1)
        return;
    struct sweep_stretch stretch = {record->start, record->end, (uint64_t)gather->passes << 32 | slot, 0,
                                    op->stream};
    rank->first_start = starts ? fmin(rank->first_start, stretch.start) : rank->first_start;
    rank->last_end = fmax(rank->last_end, stretch.end);
    rank->flops += op->flops;
    gather_token(gather, op, stretch.end);
    if (op->kind != OP_COMPUTE)
        gather_communication(gather, pass, r, op, stretch);
    else if (program->streams[op->stream].compute)
        VECTOR_PUSH(&gather->ranks[r].sweep.busy, stretch);
}

/* Everything that a rank has still to do begins at this time or later. */
static double gather_limit(const struct gather *gather, uint32_t r, const struct engine_pass *pass)
{
    const struct job *job = gather->job;
    const struct gather_program *program = &gather->programs[job->ranks[r].program];
    double limit = INFINITY;
    for (uint32_t s = 0; s < job->programs[job->ranks[r].program].stream_count; s++) {
        uint32_t last = program->last_section[s];
        bool more = pass->section < last || (pass->section == last && job->section_count &&
                                             pass->time + 1 < job->section_times[last]);
        if (more)
            limit = fmin(limit, gather->ranks[r].last[s]);
    }
    return limit;
}

static bool gather_several_compute_streams(const struct program *program)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < program->stream_count; i++)
        count += program->streams[i].compute;
    return count > 1;
}

/* Lists that have been dealt with are used again. */
static void gather_move(struct sweep *from, struct sweep *to)
{
    sweep_fini(to);
    to->busy = from->busy;
    to->communications = from->communications;
    from->busy = from->communications = (struct sweep_list){0};
}

static void gather_rank(struct gather *gather, const struct engine_pass *pass, uint32_t r,
                        const struct program_stretch *at)
{
    const struct job *job = gather->job;
    const struct program *program = &job->programs[job->ranks[r].program];
    struct gather_program *of = &gather->programs[job->ranks[r].program];
    struct metrics_rank *rank = &gather->metrics->ranks.at[r];
    if (!gather->ranks[r].sweep.busy.room)
        gather_move(&gather->spare, &gather->ranks[r].sweep);
    for (uint32_t slot = at->first; slot < at->end; slot++) {
        const struct engine_record *record = &pass->records[(uint32_t)(pass->first_record[r] + slot)];
        gather->ranks[r].last[program->ops[slot].stream] = record->end;
        gather_op(gather, pass, r, slot, record);
    }
    double limit = gather_limit(gather, r, pass);
    if (limit < INFINITY)
        sweep_until(&gather->ranks[r].sweep, rank, limit);
    else if (rank->first_start <= rank->last_end)
        sweep_end(&gather->ranks[r].sweep, rank, gather_several_compute_streams(program));
    if (limit == INFINITY && !gather->spare.busy.room)
        gather_move(&gather->ranks[r].sweep, &gather->spare);
    if (of->first_rank != r)
        return;
    held_add(job, program, at, gather->passes, pass->records, pass->first_record[r], &of->held.list);
    held_until(&of->held, limit);
}

void gather_pass(void *state, const struct engine_pass *pass)
{
    struct gather *gather = state;
    const struct job *job = gather->job;
    for (uint32_t r = 0; r < job->rank_count; r++) {
        const struct program *program = &job->programs[job->ranks[r].program];
        struct program_stretch at = {pass->section, pass->time, 0, program->op_count};
        if (job->section_count) {
            at.first = program->sections[pass->section];
            at.end = program->sections[pass->section + 1];
        }
        gather_rank(gather, pass, r, &at);
    }
    gather->passes++;
}

void gather_result(struct gather *gather, const struct engine_result *result)
{
    const struct job *job = gather->job;
    struct engine_pass pass = {.records = result->records,
                               .first_record = result->first_record,
                               .transfers = result->transfers,
                               .activities = result->activities,
                               .activity_count = result->activity_count};
    uint32_t *first = ARENA_ARRAY(&gather->arena, uint32_t, job->group_count + 1);
    for (uint32_t g = 0; g < job->group_count; g++)
        first[g + 1] = first[g] + job->groups[g].match_count;
    uint32_t *flows = ARENA_ARRAY(&gather->arena, uint32_t, first[job->group_count] + 1);
    memset(flows, 0xff, first[job->group_count] * sizeof *flows);
    for (uint32_t i = 0; i < result->transfer_count; i++)
        flows[first[result->transfers[i].group] + result->transfers[i].match] = i;
    pass.flows = flows;
    pass.first_flow = first;
    gather_pass(gather, &pass);
}
