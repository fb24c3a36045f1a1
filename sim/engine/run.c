/* One instant: ends of computations, completions and expiries of the network, then all releases that follow
 * (work due now goes through a list, not through the heap), then one solve of the network.
 *
 * Causes: an operation's cause is what ended last of all it waited for. When several end in the same instant,
 * a dependency goes before the stream, and among dependencies the lowest slot; among members of a group that
 * are ready in the same instant, the lowest place. So the cause does not depend on the order of work inside
 * an instant. */
#include "engine/run.h"

#include "engine/pass.h"
#include "engine/run_activity.h"
#include "engine/section.h"

#include <float.h>
#include <math.h>

static struct engine_record *record_of(struct run *run, uint32_t p, uint32_t rank, uint32_t slot)
{
    const struct run_pass *pass = run->passes[p];
    return &pass->records[pass->section->instance_base[rank] + slot];
}

/* One of the ends that an operation waits for has come. */
static void satisfy(struct run *run, uint32_t p, uint32_t rank, uint32_t slot, uint32_t by,
                    enum engine_cause how)
{
    struct run_pass *pass = run->passes[p];
    uint32_t instance = pass->section->instance_base[rank] + slot;
    struct engine_record *record = &pass->records[instance];
    bool first = how == CAUSE_DEPENDENCY && (record->cause != CAUSE_DEPENDENCY || by < record->cause_slot);
    if (run->now > record->ready || record->cause == CAUSE_BEGIN || first) {
        record->ready = run->now;
        record->cause = (uint8_t)how;
        record->cause_rank = rank;
        record->cause_slot = by;
    }
    if (--pass->pending[instance] == 0)
        VECTOR_PUSH(&run->ready, ((struct run_release){rank, slot, p}));
}

static void end_operation(struct run *run, uint32_t p, uint32_t r, uint32_t slot)
{
    const struct run_rank *rank = &run->ranks[r];
    const struct task *task = &rank->tasks[slot];
    struct run_pass *pass = run->passes[p];
    uint32_t stream = rank->first_stream + task->stream, instance = pass->section->instance_base[r] + slot;
    pass->records[instance].end = run->now;
    pass->pending[instance] = RUN_ENDED;
    pass->ended++;
    run->streams[stream].free = run->now;
    run->ended++;
    for (uint32_t i = task->first_successor; i < task[1].first_successor; i++)
        satisfy(run, p, r, rank->successors[i], slot, CAUSE_DEPENDENCY);
    if (task->next != PROGRAM_NONE) {
        satisfy(run, p, r, task->next, slot, CAUSE_STREAM);
        return;
    }
    uint32_t after = pass_after(run, p, stream);
    if (after != PROGRAM_NONE)
        satisfy(run, after, r, run->passes[after]->section->first[stream], slot, CAUSE_STREAM);
}

static uint32_t pass_of(const struct run *run, uint32_t transfer)
{
    return run->pass_count > 1 ? run->transfer_passes.at[transfer] : 0;
}

/* A record for a transfer, one that is no longer needed if there is one. */
static uint32_t take_transfer(struct run *run, uint32_t p, struct engine_transfer transfer)
{
    uint32_t index = run->transfers.count;
    if (run->free_transfers.count) {
        index = run->free_transfers.at[--run->free_transfers.count];
        run->transfers.at[index] = transfer;
        run->transfer_passes.at[index] = p;
        return index;
    }
    VECTOR_PUSH(&run->transfers, transfer);
    if (run->pass_count > 1)
        VECTOR_PUSH(&run->transfer_passes, p);
    return index;
}

static uint32_t *slots_at(struct run *run, uint32_t p, uint32_t g, uint32_t match)
{
    const struct run_pass *pass = run->passes[p];
    return &pass->arrivals[pass->section->matches[g].arrival_base + match * run->groups[g].member_count];
}

static struct run_meeting *meeting_at(struct run *run, uint32_t p, uint32_t g, uint32_t match)
{
    const struct run_pass *pass = run->passes[p];
    return &pass->meetings[pass->section->matches[g].meeting_base + match];
}

/* Ends every member's operation; a receive that is not ready yet ends when it is. */
static void end_transfer(struct run *run, uint32_t index)
{
    struct engine_transfer *transfer = &run->transfers.at[index];
    const struct run_group *group = &run->groups[transfer->group];
    const uint32_t *members = run->job->members + run->job->groups[transfer->group].first_member;
    uint32_t p = pass_of(run, index);
    const uint32_t *slots = slots_at(run, p, transfer->group, transfer->match);
    bool early = meeting_at(run, p, transfer->group, transfer->match)->early;
    transfer->end = run->now;
    if (run->options->level == ENGINE_STEPS && transfer->latency > transfer->end - transfer->start)
        transfer->latency = transfer->end - transfer->start; /* rounds over unequal routes overlap */
    for (uint32_t i = 0; i < group->member_count; i++)
        if (slots[i] != PROGRAM_NONE)
            end_operation(run, p - (early && i == 0), members[i], slots[i]);
}

/* Puts a communication on the network. What costs nothing ends at once. */
static void start_transfer(struct run *run, uint32_t p, uint32_t g, uint32_t match, uint32_t kind,
                           double bytes, const struct op *op)
{
    uint32_t activity = run_activity(run, g, kind, op->shares, bytes);
    if (activity == PROGRAM_NONE)
        return;
    const struct run_activity *form = &run->activities.at[activity];
    const struct algorithm *algorithm = run->activity_list.at[activity].algorithm;
    double latency = form->latency, cap = form->cap, pieces = 1;
    if (algorithm && (run->options->chunk > 0 || run->options->pieces > 1)) {
        pieces = collective_piece_count(bytes, run->options->chunk, run->options->pieces);
        collective_pieces(&run->activity_list.at[activity], bytes, pieces, &latency, &cap);
    }
    uint32_t index = take_transfer(run, p,
                                   (struct engine_transfer){.start = run->now,
                                                            .end = -1,
                                                            .bytes = bytes,
                                                            .latency = latency,
                                                            .group = g,
                                                            .match = match,
                                                            .activity = activity,
                                                            .label = op->label});
    meeting_at(run, p, g, match)->transfer = index;
    if (form->usage_count == 0 && form->latency == 0) {
        end_transfer(run, index);
    } else if (algorithm && !algorithm->loads && run->options->level == ENGINE_STEPS) {
        if (!round_start(run, g, (int)kind, bytes, (uint32_t)pieces, index, op->traffic))
            end_transfer(run, index);
    } else {
        run->model->start(run->network, run->now,
                          &(struct network_message){.usage = run_activity_usage(run, activity),
                                                    .path = form->path,
                                                    .usage_count = form->usage_count,
                                                    .path_length = form->path_length,
                                                    .bytes = bytes * form->bytes_factor,
                                                    .latency = latency,
                                                    .cap = cap,
                                                    .traffic = op->traffic,
                                                    .tag = index});
    }
}

/* An operation of a group starts now, maybe later than it was ready: then a peer held it up. */
static void start_member(struct run *run, uint32_t p, uint32_t rank, uint32_t slot, uint32_t peer_rank,
                         uint32_t peer_slot)
{
    struct engine_record *record = record_of(run, p, rank, slot);
    const struct run_rank *owner = &run->ranks[rank];
    record->start = run->now;
    if (record->ready == run->now)
        return;
    run->waits[owner->first_stream + owner->tasks[slot].stream][CAUSE_PEER] += run->now - record->ready;
    record->cause = CAUSE_PEER;
    record->cause_rank = peer_rank;
    record->cause_slot = peer_slot;
}

static const struct op *op_of(const struct run *run, uint32_t rank, uint32_t slot)
{
    return &run->job->programs[run->job->ranks[rank].program].ops[slot];
}

/* Seconds of a computation, bytes of a communication. */
static double amount_of(const struct run *run, uint32_t p, uint32_t rank, uint32_t slot)
{
    const struct task *task = &run->ranks[rank].tasks[slot];
    if (!run->job->costs)
        return task->amount;
    struct op_cost cost = program_cost(run->job, op_of(run, rank, slot), run->passes[p]->time);
    return task->kind == OP_COMPUTE ? cost.seconds : cost.bytes;
}

static void arrive_collective(struct run *run, uint32_t p, uint32_t r, uint32_t slot, uint32_t g,
                              const struct task *task)
{
    const struct run_group *group = &run->groups[g];
    const uint32_t *members = run->job->members + run->job->groups[g].first_member;
    uint32_t *slots = slots_at(run, p, g, task->match);
    struct run_meeting *meeting = meeting_at(run, p, g, task->match);
    slots[run->places[run->ranks[r].first_place + task->group]] = slot;
    if (++meeting->arrived < group->member_count)
        return;
    uint32_t last = 0;
    while (record_of(run, p, members[last], slots[last])->ready != run->now)
        last++;
    for (uint32_t i = 0; i < group->member_count; i++)
        start_member(run, p, members[i], slots[i], members[last], slots[last]);
    start_transfer(run, p, g, task->match, task->collective, amount_of(run, p, r, slot),
                   op_of(run, members[0], slots[0]));
}

/* Pass p is the receive's. */
static void start_message(struct run *run, uint32_t p, uint32_t g, uint32_t match, const uint32_t *slots)
{
    const uint32_t *members = run->job->members + run->job->groups[g].first_member;
    uint32_t source = members[0], target = members[1], sent = p - meeting_at(run, p, g, match)->early;
    bool both = slots[1] != PROGRAM_NONE;
    if (both)
        start_member(run, p, target, slots[1], source, slots[0]);
    start_member(run, sent, source, slots[0], target, both ? slots[1] : PROGRAM_NONE);
    start_transfer(run, p, g, match, COLLECTIVE_KIND_COUNT, amount_of(run, sent, source, slots[0]),
                   op_of(run, source, slots[0]));
}

static void arrive_send(struct run *run, uint32_t p, uint32_t slot, uint32_t g, const struct task *task)
{
    const struct run_group *group = &run->groups[g];
    uint32_t match = task->match;
    bool early = section_meeting(run, g, &p, &match);
    if (early)
        pass_begin(run, p);
    uint32_t *slots = slots_at(run, p, g, match);
    struct run_meeting *meeting = meeting_at(run, p, g, match);
    slots[0] = slot;
    meeting->arrived++;
    meeting->early = early;
    if (!group->rendezvous || slots[1] != PROGRAM_NONE)
        start_message(run, p, g, match, slots);
}

/* The flow may be on its way (then the sender decides when this ends) or over (then this ends now). */
static void arrive_receive(struct run *run, uint32_t p, uint32_t r, uint32_t slot, uint32_t g,
                           const struct task *task)
{
    const struct run_group *group = &run->groups[g];
    uint32_t *slots = slots_at(run, p, g, task->match);
    struct run_meeting *meeting = meeting_at(run, p, g, task->match);
    slots[1] = slot;
    meeting->arrived++;
    if (meeting->transfer == PROGRAM_NONE) {
        if (group->rendezvous && slots[0] != PROGRAM_NONE)
            start_message(run, p, g, task->match, slots);
        return;
    }
    struct engine_record *record = record_of(run, p, r, slot);
    record->start = run->now;
    if (run->transfers.at[meeting->transfer].end >= 0) {
        end_operation(run, p, r, slot);
    } else if (run->transfers.at[meeting->transfer].start < run->now) {
        record->cause = CAUSE_PEER;
        record->cause_rank = run->job->members[run->job->groups[g].first_member];
        record->cause_slot = slots[0];
    }
}

/* An operation has nothing left to wait for. */
static void start_operation(struct run *run, uint32_t p, uint32_t r, uint32_t slot)
{
    const struct run_rank *rank = &run->ranks[r];
    const struct task *task = &rank->tasks[slot];
    struct engine_record *record = record_of(run, p, r, slot);
    uint32_t s = rank->first_stream + task->stream;
    struct run_stream *stream = &run->streams[s];
    run->waits[s][record->cause] += record->ready - stream->free;
    stream->slot = slot;
    stream->pass = p;
    if (task->kind == OP_COMPUTE) {
        const struct engine_random *random = &run->options->random;
        double seconds = random->seconds ? random->seconds(random->state, r, op_of(run, r, slot))
                                         : amount_of(run, p, r, slot);
        record->start = run->now;
        if (seconds > 0)
            queue_push(run->queue, run->now + seconds, PHASE_COMPLETION, s);
        else
            end_operation(run, p, r, slot);
        return;
    }
    uint32_t group = rank->groups[task->group];
    if (task->kind == OP_COLLECTIVE)
        arrive_collective(run, p, r, slot, group, task);
    else if (task->kind == OP_SEND)
        arrive_send(run, p, slot, group, task);
    else
        arrive_receive(run, p, r, slot, group, task);
}

static void end_computations(struct run *run, double limit)
{
    struct queue_event event;
    while (queue_peek(run->queue, &event) && event.time <= limit) {
        queue_pop(run->queue, &event);
        const struct run_stream *stream = &run->streams[event.identity];
        end_operation(run, stream->pass, stream->rank, stream->slot);
        run->events++;
    }
}

static void end_flows(struct run *run)
{
    const uint32_t *tags;
    uint32_t count = run->model->advance(run->network, run->now, &tags);
    run->events += count;
    if (run->model->problem && run->model->problem(run->network))
        run->error = arena_format(&run->arena, "at %.9g s: %s", run->now, run->model->problem(run->network));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t transfer = tags[i];
        if (!(tags[i] & ROUND_TAG) || round_advance(run, tags[i], &transfer))
            end_transfer(run, transfer);
    }
}

static void start_released(struct run *run)
{
    for (uint32_t i = 0; i < run->ready.count && !run->error; i++) {
        struct run_release release = run->ready.at[i];
        if (++run->releases > run->options->instant_limit)
            run->error =
                arena_format(&run->arena, "more than %llu operations were released at %.9g s; the last: %s",
                             (unsigned long long)run->options->instant_limit, run->now,
                             run_describe(run, &run->arena, release.rank, release.slot));
        start_operation(run, release.pass, release.rank, release.slot);
    }
    run->events += run->ready.count;
    run->ready.count = 0;
}

/* Random changes never end; that many with nothing else to wait for mean that nothing will happen. */
enum { RUN_DRAWS_IN_VAIN = 1 << 20 };

static void draw_change(struct run *run)
{
    const struct engine_random *random = &run->options->random;
    run->has_drawn = random->change && random->change(random->state, &run->drawn);
}

/* Whether the next drawn change comes before the next given one. */
static bool draws_next(const struct run *run)
{
    return run->has_drawn &&
           (run->next_change == run->change_count || run->drawn.time < run->changes[run->next_change].time);
}

/* Time of the next change; INFINITY: none. One that comes after the last operation does not happen. */
static double next_change(const struct run *run)
{
    if (run->ended == run->all_instances)
        return INFINITY;
    if (draws_next(run))
        return run->drawn.time;
    return run->next_change < run->change_count ? run->changes[run->next_change].time : INFINITY;
}

static void make_changes(struct run *run, double limit)
{
    while (next_change(run) <= limit) {
        struct run_change change = {.capacity = run->drawn.capacity, .link = run->drawn.link};
        if (draws_next(run))
            draw_change(run);
        else
            change = run->changes[run->next_change++];
        if (change.link == UINT32_MAX) {
            run->caps[change.traffic] = change.cap;
            run->model->set_traffic(run->network, run->now, change.traffic, change.weight, change.cap);
        } else {
            run->capacities[change.link] = change.capacity;
            run->model->set_capacity(run->network, run->now, change.link, change.capacity);
        }
        run->events++;
    }
}

static double next_event(struct run *run)
{
    struct queue_event event;
    double next = run->model->next(run->network);
    if (queue_peek(run->queue, &event) && event.time < next)
        next = event.time;
    double change = next_change(run);
    run->draws_in_vain = next < INFINITY ? 0 : run->draws_in_vain + draws_next(run);
    bool hopeless = run->draws_in_vain > RUN_DRAWS_IN_VAIN;
    return change <= next && !hopeless ? change : next;
}

void run_loop(struct run *run)
{
    draw_change(run);
    make_changes(run, run->now);
    start_released(run);
    run->model->solve(run->network, run->now);
    for (double next; !run->error && (next = next_event(run)) < INFINITY;) {
        if (next > run->now) {
            run->now = next;
            run->releases = 0;
        }
        double limit = run->now * (1 + 4 * DBL_EPSILON);
        do {
            end_computations(run, limit);
            end_flows(run);
            make_changes(run, limit);
            start_released(run);
        } while (!run->error && next_event(run) <= limit);
        run->model->solve(run->network, run->now);
        pass_close(run);
    }
}

const char *run_describe(const struct run *run, struct arena *arena, uint32_t r, uint32_t slot)
{
    const struct rank *rank = &run->job->ranks[r];
    const struct op *op = &run->job->programs[rank->program].ops[slot];
    const struct names *names = run->job->names;
    const char *group = "";
    if (op->group != PROGRAM_NONE)
        group = arena_format(arena, ", group '%s'",
                             names_text(names, run->job->groups[run->ranks[r].groups[op->group]].name));
    return arena_format(arena, "rank %u (stage %u) %s '%s' %s, micro-batch %u%s", r, rank->stage,
                        op->kind == OP_COLLECTIVE ? communication_names[op->collective]
                                                  : program_kind_names[op->kind],
                        names_text(names, op->label), program_pass_names[op->pass], op->micro_batch, group);
}
