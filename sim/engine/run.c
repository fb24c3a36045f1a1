/* One instant: ends of computations, completions and expiries of the network, then all releases that follow
 * (work due now goes through a list, not through the heap), then one solve of the network.
 *
 * Causes: an operation's cause is what ended last of all it waited for. When several end in the same instant,
 * a dependency goes before the stream, and among dependencies the lowest slot; among members of a group that
 * are ready in the same instant, the lowest place. So the cause does not depend on the order of work inside
 * an instant. */
#include "engine/run.h"

#include <assert.h>
#include <float.h>
#include <math.h>

static struct engine_record *record_of(struct run *run, uint32_t rank, uint32_t slot)
{
    return &run->records[run->ranks[rank].first_instance + slot];
}

static uint32_t add_activity(struct run *run, struct activity activity)
{
    uint32_t count = activity.usage.count;
    struct network_usage *usage = ARENA_ARRAY(&run->arena, struct network_usage, count + 1);
    for (uint32_t i = 0; i < count; i++)
        usage[i] = (struct network_usage){activity.usage.at[i].link, activity.usage.at[i].coefficient};
    VECTOR_PUSH(&run->activities,
                ((struct run_activity){usage, count, activity.bytes_factor, activity.latency, activity.cap}));
    VECTOR_PUSH(&run->activity_list, activity);
    return run->activities.count - 1;
}

static const char *device_name(const struct run *run, uint32_t device)
{
    return names_text(run->platform->names, run->platform->devices.at[device].name);
}

uint32_t run_activity(struct run *run, uint32_t g, uint32_t kind)
{
    uint32_t *known = &run->activity_of[(size_t)g * (COLLECTIVE_KIND_COUNT + 1) + kind];
    if (*known != PROGRAM_NONE)
        return *known;
    const struct group *group = &run->job->groups[g];
    uint32_t *devices = ARENA_ARRAY(&run->arena, uint32_t, group->member_count + 1);
    for (uint32_t i = 0; i < group->member_count; i++)
        devices[i] = run->job->ranks[run->job->members[group->first_member + i]].device;
    struct activity activity;
    uint32_t pair[2] = {devices[0], devices[1]};
    bool reached = kind == COLLECTIVE_KIND_COUNT
                       ? collective_message(run->platform, devices[0], devices[1], &activity)
                       : collective_activity(run->platform, run->options->algorithm, (int)kind, devices,
                                             group->member_count, &activity, pair);
    if (!reached) {
        run->error = arena_format(&run->arena, "group '%s': there is no route from %s to %s",
                                  names_text(run->job->names, group->name), device_name(run, pair[0]),
                                  device_name(run, pair[1]));
        collective_activity_fini(&activity);
        return PROGRAM_NONE;
    }
    *known = add_activity(run, activity);
    return *known;
}

/* One of the ends that an operation waits for has come. */
static void satisfy(struct run *run, uint32_t rank, uint32_t slot, uint32_t by, enum engine_cause how)
{
    uint32_t instance = run->ranks[rank].first_instance + slot;
    struct engine_record *record = &run->records[instance];
    bool first = how == CAUSE_DEPENDENCY && (record->cause != CAUSE_DEPENDENCY || by < record->cause_slot);
    if (run->now > record->ready || record->cause == CAUSE_BEGIN || first) {
        record->ready = run->now;
        record->cause = (uint8_t)how;
        record->cause_rank = rank;
        record->cause_slot = by;
    }
    if (--run->pending[instance] == 0)
        VECTOR_PUSH(&run->ready, ((struct run_release){rank, slot}));
}

static void end_operation(struct run *run, uint32_t r, uint32_t slot)
{
    const struct run_rank *rank = &run->ranks[r];
    const struct task *task = &rank->tasks[slot];
    uint32_t instance = rank->first_instance + slot;
    run->records[instance].end = run->now;
    run->pending[instance] = RUN_ENDED;
    run->streams[rank->first_stream + task->stream].free = run->now;
    run->ended++;
    for (uint32_t i = task->first_successor; i < task[1].first_successor; i++)
        satisfy(run, r, rank->successors[i], slot, CAUSE_DEPENDENCY);
    if (task->next != PROGRAM_NONE)
        satisfy(run, r, task->next, slot, CAUSE_STREAM);
}

/* Ends every member's operation; a receive that is not ready yet ends when it is. */
static void end_transfer(struct run *run, uint32_t index)
{
    struct engine_transfer *transfer = &run->transfers.at[index];
    const struct run_group *group = &run->groups[transfer->group];
    const uint32_t *members = run->job->members + run->job->groups[transfer->group].first_member;
    const uint32_t *slots = run->arrivals + group->first_arrival + transfer->match * group->member_count;
    transfer->end = run->now;
    if (run->options->level == ENGINE_STEPS && transfer->latency > transfer->end - transfer->start)
        transfer->latency = transfer->end - transfer->start; /* rounds over unequal routes overlap */
    for (uint32_t i = 0; i < group->member_count; i++)
        if (slots[i] != PROGRAM_NONE)
            end_operation(run, members[i], slots[i]);
}

/* Puts a communication on the network. What costs nothing ends at once. */
static void start_transfer(struct run *run, uint32_t g, uint32_t match, uint32_t kind, double bytes,
                           uint32_t label)
{
    uint32_t activity = run_activity(run, g, kind);
    if (activity == PROGRAM_NONE)
        return;
    const struct run_activity *form = &run->activities.at[activity];
    uint32_t index = run->transfers.count;
    run->meetings[run->groups[g].first_meeting + match].transfer = index;
    VECTOR_PUSH(&run->transfers, ((struct engine_transfer){.start = run->now,
                                                           .end = -1,
                                                           .bytes = bytes,
                                                           .latency = form->latency,
                                                           .group = g,
                                                           .match = match,
                                                           .activity = activity,
                                                           .label = label}));
    if (form->usage_count == 0 && form->latency == 0) {
        end_transfer(run, index);
    } else if (kind != COLLECTIVE_KIND_COUNT && run->options->level == ENGINE_STEPS) {
        if (!round_start(run, g, (int)kind, bytes, index))
            end_transfer(run, index);
    } else {
        network_start(run->network, run->now, form->usage, form->usage_count, bytes * form->bytes_factor,
                      form->latency, 1, form->cap, index);
    }
}

/* An operation of a group starts now, maybe later than it was ready: then a peer held it up. */
static void start_member(struct run *run, uint32_t rank, uint32_t slot, uint32_t peer_rank,
                         uint32_t peer_slot)
{
    struct engine_record *record = record_of(run, rank, slot);
    const struct run_rank *owner = &run->ranks[rank];
    record->start = run->now;
    if (record->ready == run->now)
        return;
    run->waits[owner->first_stream + owner->tasks[slot].stream][CAUSE_PEER] += run->now - record->ready;
    record->cause = CAUSE_PEER;
    record->cause_rank = peer_rank;
    record->cause_slot = peer_slot;
}

static uint32_t label_of(const struct run *run, uint32_t rank, uint32_t slot)
{
    return run->job->programs[run->job->ranks[rank].program].ops[slot].label;
}

static void arrive_collective(struct run *run, uint32_t r, uint32_t slot, uint32_t g, const struct task *task)
{
    const struct run_group *group = &run->groups[g];
    const uint32_t *members = run->job->members + run->job->groups[g].first_member;
    uint32_t *slots = run->arrivals + group->first_arrival + task->match * group->member_count;
    struct run_meeting *meeting = &run->meetings[group->first_meeting + task->match];
    slots[run->places[run->ranks[r].first_place + task->group]] = slot;
    if (++meeting->arrived < group->member_count)
        return;
    uint32_t last = 0;
    while (record_of(run, members[last], slots[last])->ready != run->now)
        last++;
    for (uint32_t i = 0; i < group->member_count; i++)
        start_member(run, members[i], slots[i], members[last], slots[last]);
    start_transfer(run, g, task->match, task->collective, task->amount, label_of(run, members[0], slots[0]));
}

static void start_message(struct run *run, uint32_t g, uint32_t match, const uint32_t *slots)
{
    const uint32_t *members = run->job->members + run->job->groups[g].first_member;
    uint32_t source = members[0], target = members[1];
    bool both = slots[1] != PROGRAM_NONE;
    if (both)
        start_member(run, target, slots[1], source, slots[0]);
    start_member(run, source, slots[0], target, both ? slots[1] : PROGRAM_NONE);
    double bytes = run->ranks[source].tasks[slots[0]].amount;
    start_transfer(run, g, match, COLLECTIVE_KIND_COUNT, bytes, label_of(run, source, slots[0]));
}

static void arrive_send(struct run *run, uint32_t slot, uint32_t g, const struct task *task)
{
    const struct run_group *group = &run->groups[g];
    uint32_t *slots = run->arrivals + group->first_arrival + task->match * 2;
    slots[0] = slot;
    run->meetings[group->first_meeting + task->match].arrived++;
    if (!group->rendezvous || slots[1] != PROGRAM_NONE)
        start_message(run, g, task->match, slots);
}

/* The flow may be on its way (then the sender decides when this ends) or over (then this ends now). */
static void arrive_receive(struct run *run, uint32_t r, uint32_t slot, uint32_t g, const struct task *task)
{
    const struct run_group *group = &run->groups[g];
    uint32_t *slots = run->arrivals + group->first_arrival + task->match * 2;
    struct run_meeting *meeting = &run->meetings[group->first_meeting + task->match];
    slots[1] = slot;
    meeting->arrived++;
    if (meeting->transfer == PROGRAM_NONE) {
        if (group->rendezvous && slots[0] != PROGRAM_NONE)
            start_message(run, g, task->match, slots);
        return;
    }
    struct engine_record *record = record_of(run, r, slot);
    record->start = run->now;
    if (run->transfers.at[meeting->transfer].end >= 0) {
        end_operation(run, r, slot);
    } else if (run->transfers.at[meeting->transfer].start < run->now) {
        record->cause = CAUSE_PEER;
        record->cause_rank = run->job->members[run->job->groups[g].first_member];
        record->cause_slot = slots[0];
    }
}

/* An operation has nothing left to wait for. */
static void start_operation(struct run *run, uint32_t r, uint32_t slot)
{
    const struct run_rank *rank = &run->ranks[r];
    const struct task *task = &rank->tasks[slot];
    struct engine_record *record = &run->records[rank->first_instance + slot];
    uint32_t s = rank->first_stream + task->stream;
    struct run_stream *stream = &run->streams[s];
    run->waits[s][record->cause] += run->now - stream->free;
    stream->slot = slot;
    if (task->kind == OP_COMPUTE) {
        record->start = run->now;
        if (task->amount > 0)
            queue_push(run->queue, run->now + task->amount, PHASE_COMPLETION, s);
        else
            end_operation(run, r, slot);
        return;
    }
    uint32_t group = rank->groups[task->group];
    if (task->kind == OP_COLLECTIVE)
        arrive_collective(run, r, slot, group, task);
    else if (task->kind == OP_SEND)
        arrive_send(run, slot, group, task);
    else
        arrive_receive(run, r, slot, group, task);
}

static void end_computations(struct run *run, double limit)
{
    struct queue_event event;
    while (queue_peek(run->queue, &event) && event.time <= limit) {
        queue_pop(run->queue, &event);
        const struct run_stream *stream = &run->streams[event.identity];
        end_operation(run, stream->rank, stream->slot);
        run->events++;
    }
}

static void end_flows(struct run *run)
{
    const uint32_t *tags;
    uint32_t count = network_advance(run->network, run->now, &tags);
    run->events += count;
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
        start_operation(run, release.rank, release.slot);
    }
    run->events += run->ready.count;
    run->ready.count = 0;
}

static double next_event(struct run *run)
{
    struct queue_event event;
    double next = network_next(run->network);
    return queue_peek(run->queue, &event) && event.time < next ? event.time : next;
}

void run_loop(struct run *run)
{
    start_released(run);
    network_solve(run->network, run->now);
    for (double next; !run->error && (next = next_event(run)) < INFINITY;) {
        if (next > run->now) {
            run->now = next;
            run->releases = 0;
        }
        double limit = run->now * (1 + 4 * DBL_EPSILON);
        do {
            end_computations(run, limit);
            end_flows(run);
            start_released(run);
        } while (!run->error && next_event(run) <= limit);
        network_solve(run->network, run->now);
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
