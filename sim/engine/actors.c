#include "engine/actors.h"

#include "engine/chronicle.h"
#include "engine/queue.h"
#include "engine/ways.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t actors_instant_limit = 10000000; /* calls in one instant */

struct task_item { /* something to compute */
    struct actors_work work;
    struct actors_then then;
    struct chronicle_cause cause;
    double asked; /* seconds */
};

struct actors_rank {
    VECTOR(struct task_item) items; /* items.at[first] is at work if `busy` */
    uint32_t first, slot, event;    /* of the one at work: its operation, its end in the queue */
    bool busy;
};

struct actors_flight { /* a message or a collective under way */
    struct actors_then then;
    uint32_t group, pair; /* of a message: PROGRAM_NONE and its pair */
    uint32_t transfer, from_slot, to_slot;
    bool under_way;
};

struct actors_member {
    struct actors_then then;
    struct chronicle_cause cause;
    double ready; /* seconds; < 0: not joined */
    uint32_t group_slot, op_slot;
    uint16_t stream;
};

struct actors_group {
    uint32_t group, count, joined, last;
    struct actors_member *members;
    struct actors_collective collective;
    uint32_t *ways; /* per kind, PROGRAM_NONE: not yet asked for */
};

struct actors_due { /* a call to be made in this instant */
    struct actors_then then;
    struct chronicle_cause cause;
};

struct actors_timer {
    struct actors_then then;
    struct chronicle_cause cause;
};

struct actors {
    struct arena arena; /* owns this record */
    struct platform *platform;
    struct engine_options options;
    struct engine_change *changes; /* by time */
    struct engine_change drawn;    /* the next random one, if has_drawn */
    struct chronicle chronicle;
    struct ways ways;
    struct queue *queue; /* identity: rank, or rank count + timer */
    const struct network_model *model;
    void *network; /* tag: flight */
    void *state;
    struct actors_rank *ranks;
    VECTOR(struct actors_flight) flights;
    struct index_list free_flights;
    VECTOR(struct actors_group) groups;
    VECTOR(struct actors_timer) timers;
    struct index_list free_timers;
    VECTOR(struct actors_due) due;
    struct chronicle_cause cause; /* of what the present call starts */
    double now;
    uint64_t events;
    uint32_t rank_count, next_change;
    bool has_drawn;
    const char *error;
};

static const struct chronicle_cause actors_nothing = {PROGRAM_NONE, PROGRAM_NONE};

static int change_order(const void *left, const void *right)
{
    const struct engine_change *a = left, *b = right;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return a->link < b->link ? -1 : a->link > b->link;
}

static void open_changes(struct actors *actors)
{
    uint32_t count = actors->options.change_count;
    actors->changes = ARENA_ARRAY(&actors->arena, struct engine_change, count + 1);
    for (uint32_t i = 0; i < count; i++)
        actors->changes[i] = actors->options.changes[i];
    if (count)
        qsort(actors->changes, count, sizeof *actors->changes, change_order);
    if (actors->options.random.change)
        actors->has_drawn = actors->options.random.change(actors->options.random.state, &actors->drawn);
}

static void open_links(struct actors *actors)
{
    const struct platform *platform = actors->platform;
    uint32_t count = platform->links.count;
    double *capacities = ARENA_ARRAY(&actors->arena, double, count + 1);
    double *latencies = ARENA_ARRAY(&actors->arena, double, count + 1);
    bool *shared = ARENA_ARRAY(&actors->arena, bool, count + 1);
    for (uint32_t l = 0; l < count; l++) {
        capacities[l] = platform->links.at[l].bandwidth;
        latencies[l] = platform->links.at[l].latency;
        shared[l] = platform->links.at[l].mode != LINK_FULL_DUPLEX;
    }
    const struct engine_options *options = &actors->options;
    actors->model = options->network ? options->network : &fluid_model;
    actors->network = actors->model->open(&(struct network_setting){.capacities = capacities,
                                                                    .latencies = latencies,
                                                                    .shared = shared,
                                                                    .link_count = count,
                                                                    .mtu = options->mtu,
                                                                    .header = options->header,
                                                                    .buffer = options->buffer,
                                                                    .packet_limit = options->packet_limit});
}

struct actors *actors_open(struct platform *platform, struct names *names, const uint32_t *devices,
                           uint32_t count, const struct engine_options *options, void *state)
{
    struct arena arena;
    arena_init(&arena);
    struct actors *actors = ARENA_NEW(&arena, struct actors);
    *actors = (struct actors){
        .arena = arena, .platform = platform, .state = state, .rank_count = count, .cause = actors_nothing};
    if (options)
        actors->options = *options;
    if (!actors->options.algorithm)
        actors->options.algorithm = &ring_algorithm;
    if (!actors->options.instant_limit)
        actors->options.instant_limit = actors_instant_limit;
    ways_init(&actors->ways, platform, &actors->options);
    chronicle_init(&actors->chronicle, names, devices, count, &actors->arena);
    actors->ranks = ARENA_ARRAY(&actors->arena, struct actors_rank, count + 1);
    actors->queue = queue_new();
    open_links(actors);
    open_changes(actors);
    return actors;
}

void actors_close(struct actors *actors)
{
    if (!actors)
        return;
    for (uint32_t r = 0; r < actors->rank_count; r++)
        VECTOR_FREE(&actors->ranks[r].items);
    actors->model->close(actors->network);
    queue_free(actors->queue);
    chronicle_fini(&actors->chronicle);
    VECTOR_FREE(&actors->flights);
    VECTOR_FREE(&actors->free_flights);
    VECTOR_FREE(&actors->groups);
    VECTOR_FREE(&actors->timers);
    VECTOR_FREE(&actors->free_timers);
    VECTOR_FREE(&actors->due);
    ways_fini(&actors->ways);
    struct arena arena = actors->arena;
    arena_fini(&arena);
}

double actors_now(const struct actors *actors)
{
    return actors->now;
}

struct arena *actors_arena(struct actors *actors)
{
    return &actors->arena;
}

void actors_fail(struct actors *actors, const char *format, ...)
{
    va_list arguments;
    if (actors->error)
        return;
    va_start(arguments, format);
    actors->error = arena_vformat(&actors->arena, format, arguments);
    va_end(arguments);
}

static void call_soon(struct actors *actors, struct actors_then then, struct chronicle_cause cause)
{
    if (then.call)
        VECTOR_PUSH(&actors->due, ((struct actors_due){then, cause}));
}

/* Begins with the first of a rank's items. */
static void start_work(struct actors *actors, uint32_t r)
{
    struct actors_rank *rank = &actors->ranks[r];
    const struct task_item *item = &rank->items.at[rank->first];
    struct op op = {.seconds = item->work.seconds,
                    .flops = item->work.flops,
                    .model_flops = item->work.flops,
                    .memory_bytes = item->work.memory_bytes,
                    .label = item->work.label,
                    .micro_batch = item->work.round,
                    .step = item->work.round, /* by which stragglers are drawn */
                    .group = PROGRAM_NONE,
                    .kind = OP_COMPUTE,
                    .pass = item->work.pass};
    const struct engine_random *random = &actors->options.random;
    if (random->seconds)
        op.seconds = random->seconds(random->state, r, &op);
    op.step = 0;
    rank->busy = true;
    rank->slot = chronicle_begin(&actors->chronicle, r, &op, actors->now, actors->now, item->cause, false);
    rank->event = queue_add(actors->queue, actors->now + op.seconds, PHASE_COMPLETION, r);
}

void actors_compute(struct actors *actors, uint32_t r, const struct actors_work *work,
                    struct actors_then then)
{
    struct actors_rank *rank = &actors->ranks[r];
    assert(r < actors->rank_count && work->seconds >= 0 && work->seconds < INFINITY);
    VECTOR_PUSH(&rank->items, ((struct task_item){*work, then, actors->cause, actors->now}));
    if (!rank->busy)
        start_work(actors, r);
}

/* The item at work has ended (or is given up); those before it need no room any more. */
static void pop_work(struct actors *actors, uint32_t r)
{
    struct actors_rank *rank = &actors->ranks[r];
    chronicle_end(&actors->chronicle, r, rank->slot, actors->now);
    rank->busy = false;
    if (++rank->first == rank->items.count)
        rank->first = rank->items.count = 0;
}

static void end_work(struct actors *actors, uint32_t r)
{
    struct actors_rank *rank = &actors->ranks[r];
    struct chronicle_cause cause = {r, rank->slot};
    struct actors_then then = rank->items.at[rank->first].then;
    pop_work(actors, r);
    call_soon(actors, then, cause);
    if (rank->items.count) {
        struct task_item *next = &rank->items.at[rank->first];
        if (next->asked < actors->now) /* it waited for the one that ended */
            next->cause = cause;
        start_work(actors, r);
    }
}

void actors_drop(struct actors *actors, uint32_t r)
{
    struct actors_rank *rank = &actors->ranks[r];
    if (!rank->busy)
        return;
    queue_cancel(actors->queue, rank->event);
    struct op *op = &actors->chronicle.ranks[r].ops.at[rank->slot];
    double start = actors->chronicle.ranks[r].records.at[rank->slot].start;
    double share = op->seconds > 0 ? (actors->now - start) / op->seconds : 1;
    op->flops *= share;
    op->memory_bytes *= share;
    op->model_flops = 0; /* in vain */
    op->seconds = actors->now - start;
    pop_work(actors, r);
    rank->first = rank->items.count = 0;
}

static uint32_t take_flight(struct actors *actors, struct actors_flight flight)
{
    uint32_t index = actors->flights.count;
    if (actors->free_flights.count) {
        index = actors->free_flights.at[--actors->free_flights.count];
        actors->flights.at[index] = flight;
    } else {
        VECTOR_PUSH(&actors->flights, flight);
    }
    return index;
}

/* The route of a pair; false after failing. */
static bool find_route(struct actors *actors, struct chronicle_pair *pair)
{
    const struct chronicle_rank *ranks = actors->chronicle.ranks;
    const struct platform *platform = actors->platform;
    uint32_t from = ranks[pair->from].device, to = ranks[pair->to].device;
    pair->way = ways_message(&actors->ways, from, to);
    if (pair->way == PROGRAM_NONE)
        actors_fail(actors, "no route from %s to %s, which must communicate (%s)",
                    names_text(platform->names, platform->devices.at[from].name),
                    names_text(platform->names, platform->devices.at[to].name),
                    names_text(actors->chronicle.names, pair->name));
    return pair->way != PROGRAM_NONE;
}

/* Adds a transfer of a group's next match to the books and gives it to the network. */
static uint32_t start_transfer(struct actors *actors, uint32_t group, uint32_t way, double bytes, double cap,
                               uint32_t label, uint32_t flight)
{
    double latency, most;
    uint32_t activity = ways_best(&actors->ways, way, bytes, &latency, &most);
    const struct activity *form = &actors->ways.activities.at[activity];
    struct engine_transfer transfer = {.start = actors->now,
                                       .end = -1,
                                       .bytes = bytes,
                                       .latency = latency,
                                       .group = group,
                                       .match = actors->chronicle.groups.at[group].match_count++,
                                       .activity = activity,
                                       .label = label};
    VECTOR_PUSH(&actors->chronicle.transfers, transfer);
    actors->model->start(actors->network, actors->now,
                         &(struct network_message){.usage = actors->ways.entries.at[activity].usage,
                                                   .path = form->path.at,
                                                   .usage_count = form->usage.count,
                                                   .path_length = form->path.count,
                                                   .bytes = bytes * form->bytes_factor,
                                                   .latency = latency,
                                                   .cap = cap > 0 && cap < most ? cap : most,
                                                   .tag = flight});
    return actors->chronicle.transfers.count - 1;
}

uint32_t actors_send(struct actors *actors, uint32_t from, uint32_t to, const struct actors_message *message,
                     struct actors_then then)
{
    struct chronicle *chronicle = &actors->chronicle;
    assert(from < actors->rank_count && to < actors->rank_count && message->bytes >= 0);
    if (from == to) {
        call_soon(actors, then, actors->cause);
        return PROGRAM_NONE;
    }
    uint32_t index = chronicle_pair(chronicle, from, to, message->group);
    struct chronicle_pair *pair = &chronicle->pairs.at[index];
    if (pair->way == PROGRAM_NONE && !find_route(actors, pair))
        return PROGRAM_NONE;
    uint32_t flight = take_flight(
        actors,
        (struct actors_flight){.then = then, .group = PROGRAM_NONE, .pair = index, .under_way = true});
    struct op op = {.bytes = message->bytes,
                    .label = message->label,
                    .micro_batch = message->round,
                    .group = pair->from_slot,
                    .match = chronicle->groups.at[pair->group].match_count,
                    .stream = (uint16_t)chronicle_lane(chronicle, from, chronicle->send),
                    .kind = OP_SEND,
                    .pass = message->pass};
    uint32_t sent = chronicle_begin(chronicle, from, &op, actors->now, actors->now, actors->cause, false);
    op.group = pair->to_slot;
    op.kind = OP_RECEIVE;
    op.stream = (uint16_t)chronicle_lane(chronicle, to, chronicle->receive);
    uint32_t received = chronicle_begin(chronicle, to, &op, actors->now, actors->now,
                                        (struct chronicle_cause){from, sent}, true);
    actors->flights.at[flight].from_slot = sent;
    actors->flights.at[flight].to_slot = received;
    actors->flights.at[flight].transfer =
        start_transfer(actors, pair->group, pair->way, message->bytes, message->cap, message->label, flight);
    return flight;
}

/* Closes the books of a flight and frees it. */
static void end_flight(struct actors *actors, uint32_t index)
{
    struct actors_flight *flight = &actors->flights.at[index];
    struct chronicle *chronicle = &actors->chronicle;
    chronicle->transfers.at[flight->transfer].end = actors->now;
    if (flight->group == PROGRAM_NONE) {
        const struct chronicle_pair *pair = &chronicle->pairs.at[flight->pair];
        chronicle_end(chronicle, pair->from, flight->from_slot, actors->now);
        chronicle_end(chronicle, pair->to, flight->to_slot, actors->now);
    }
    flight->under_way = false;
    VECTOR_PUSH(&actors->free_flights, index);
}

bool actors_call_back(struct actors *actors, uint32_t index)
{
    struct actors_flight *flight = &actors->flights.at[index];
    struct chronicle *chronicle = &actors->chronicle;
    assert(flight->under_way && flight->group == PROGRAM_NONE);
    if (!actors->model->stop) {
        actors_fail(actors, "the network level '%s' cannot call messages back; fluid can",
                    actors->model->name);
        return false;
    }
    const struct chronicle_pair *pair = &chronicle->pairs.at[flight->pair];
    struct engine_transfer *transfer = &chronicle->transfers.at[flight->transfer];
    double factor = actors->ways.activities.at[transfer->activity].bytes_factor;
    double sent = actors->model->stop(actors->network, actors->now, index) / (factor > 0 ? factor : 1);
    transfer->bytes = sent;
    transfer->latency = fmin(transfer->latency, actors->now - transfer->start);
    chronicle->ranks[pair->from].ops.at[flight->from_slot].bytes = sent;
    chronicle->ranks[pair->to].ops.at[flight->to_slot].bytes = sent;
    end_flight(actors, index);
    return true;
}

uint32_t actors_group(struct actors *actors, const char *name, const uint32_t *ranks, uint32_t count)
{
    struct chronicle *chronicle = &actors->chronicle;
    uint32_t id = names_add(chronicle->names, name), *slots = ARENA_ARRAY(&actors->arena, uint32_t, count);
    struct actors_group group = {.count = count};
    group.group = chronicle_group(chronicle, id, ranks, count, slots);
    group.members = ARENA_ARRAY(&actors->arena, struct actors_member, count);
    group.ways = ARENA_ARRAY(&actors->arena, uint32_t, COLLECTIVE_KIND_COUNT);
    for (uint32_t k = 0; k < COLLECTIVE_KIND_COUNT; k++)
        group.ways[k] = PROGRAM_NONE;
    for (uint32_t m = 0; m < count; m++) {
        group.members[m] = (struct actors_member){.ready = -1, .group_slot = slots[m]};
        group.members[m].stream =
            (uint16_t)chronicle_lane(chronicle, ranks[m], id); /* stays taken: its own */
    }
    VECTOR_PUSH(&actors->groups, group);
    return actors->groups.count - 1;
}

/* How the group's collective can go; PROGRAM_NONE after failing. */
static uint32_t group_way(struct actors *actors, struct actors_group *group)
{
    int kind = group->collective.kind;
    if (group->ways[kind] != PROGRAM_NONE)
        return group->ways[kind];
    const struct group *books = &actors->chronicle.groups.at[group->group];
    uint32_t *devices = ARENA_ARRAY(&actors->arena, uint32_t, group->count);
    for (uint32_t m = 0; m < group->count; m++)
        devices[m] = actors->chronicle.ranks[actors->chronicle.members.at[books->first_member + m]].device;
    const char *problem = NULL;
    if (actors->model->by_steps)
        actors_fail(actors, "group '%s': the network level '%s' carries messages only; this needs fluid",
                    names_text(actors->chronicle.names, books->name), actors->model->name);
    else
        group->ways[kind] =
            ways_collective(&actors->ways, books->name, kind, devices, group->count, &problem);
    if (group->ways[kind] == PROGRAM_NONE)
        actors_fail(actors, "group '%s': %s", names_text(actors->chronicle.names, books->name),
                    problem ? problem : "its members cannot reach each other");
    return group->ways[kind];
}

/* All members have joined: the last one's operation is added first, as the others name it as their cause. */
static void start_collective(struct actors *actors, uint32_t g)
{
    struct actors_group *group = &actors->groups.at[g];
    struct chronicle *chronicle = &actors->chronicle;
    const uint32_t *ranks = chronicle->members.at + chronicle->groups.at[group->group].first_member;
    uint32_t way = group_way(actors, group);
    if (way == PROGRAM_NONE)
        return;
    struct op op = {.bytes = group->collective.bytes,
                    .label = group->collective.label,
                    .micro_batch = group->collective.round,
                    .match = chronicle->groups.at[group->group].match_count,
                    .kind = OP_COLLECTIVE,
                    .pass = PASS_S,
                    .collective = group->collective.kind};
    uint32_t last = group->last;
    for (uint32_t i = 0; i < group->count; i++) {
        uint32_t m = (last + i) % group->count;
        struct actors_member *member = &group->members[m];
        bool peer = i > 0 && member->ready < actors->now;
        struct chronicle_cause cause =
            peer ? (struct chronicle_cause){ranks[last], group->members[last].op_slot} : member->cause;
        op.group = member->group_slot;
        op.stream = member->stream;
        member->op_slot = chronicle_begin(chronicle, ranks[m], &op, member->ready, actors->now, cause, peer);
    }
    uint32_t flight = take_flight(actors, (struct actors_flight){.group = g, .under_way = true});
    actors->flights.at[flight].transfer =
        start_transfer(actors, group->group, way, op.bytes, 0, op.label, flight);
}

void actors_join(struct actors *actors, uint32_t g, uint32_t m, const struct actors_collective *collective,
                 struct actors_then then)
{
    struct actors_group *group = &actors->groups.at[g];
    struct actors_member *member = &group->members[m];
    assert(m < group->count && member->ready < 0);
    assert(!group->joined ||
           (group->collective.bytes == collective->bytes && group->collective.kind == collective->kind));
    member->ready = actors->now;
    member->then = then;
    member->cause = actors->cause;
    group->collective = *collective;
    group->last = m;
    if (++group->joined == group->count)
        start_collective(actors, g);
}

static void end_collective(struct actors *actors, uint32_t g)
{
    struct actors_group *group = &actors->groups.at[g];
    struct chronicle *chronicle = &actors->chronicle;
    const uint32_t *ranks = chronicle->members.at + chronicle->groups.at[group->group].first_member;
    group->joined = 0;
    for (uint32_t m = 0; m < group->count; m++) {
        struct actors_member *member = &group->members[m];
        chronicle_end(chronicle, ranks[m], member->op_slot, actors->now);
        chronicle->ranks[ranks[m]].streams.at[member->stream].taken = true;
        member->ready = -1;
        call_soon(actors, member->then, (struct chronicle_cause){ranks[m], member->op_slot});
    }
}

static void end_transfer(struct actors *actors, uint32_t index)
{
    struct actors_flight flight = actors->flights.at[index];
    end_flight(actors, index);
    if (flight.group != PROGRAM_NONE)
        end_collective(actors, flight.group);
    else
        call_soon(actors, flight.then,
                  (struct chronicle_cause){actors->chronicle.pairs.at[flight.pair].to, flight.to_slot});
}

void actors_wait(struct actors *actors, double seconds, struct actors_then then)
{
    uint32_t index = actors->timers.count;
    struct actors_timer timer = {then, actors->cause};
    assert(seconds >= 0 && seconds < INFINITY);
    if (actors->free_timers.count) {
        index = actors->free_timers.at[--actors->free_timers.count];
        actors->timers.at[index] = timer;
    } else {
        VECTOR_PUSH(&actors->timers, timer);
    }
    queue_push(actors->queue, actors->now + seconds, PHASE_START, actors->rank_count + index);
}

/* Makes the calls of this instant, also those that they give rise to. */
static void make_calls(struct actors *actors)
{
    uint64_t calls = 0;
    for (uint32_t i = 0; i < actors->due.count && !actors->error; i++) {
        struct actors_due due = actors->due.at[i];
        actors->cause = due.cause;
        due.then.call(actors->state, due.then.a, due.then.b);
        if (++calls > actors->options.instant_limit)
            actors_fail(actors, "more than %llu things happen at %.9g s, each at once after the one before",
                        (unsigned long long)actors->options.instant_limit, actors->now);
    }
    actors->due.count = 0;
    actors->cause = actors_nothing;
    actors->events += calls;
}

static double next_change_time(const struct actors *actors)
{
    double time = actors->next_change < actors->options.change_count
                      ? actors->changes[actors->next_change].time
                      : INFINITY;
    return actors->has_drawn ? fmin(time, actors->drawn.time) : time;
}

static void make_changes(struct actors *actors, double limit)
{
    while (actors->next_change < actors->options.change_count &&
           actors->changes[actors->next_change].time <= limit) {
        const struct engine_change *change = &actors->changes[actors->next_change++];
        actors->model->set_capacity(actors->network, actors->now, change->link, change->capacity);
    }
    while (actors->has_drawn && actors->drawn.time <= limit) {
        actors->model->set_capacity(actors->network, actors->now, actors->drawn.link, actors->drawn.capacity);
        actors->has_drawn = actors->options.random.change(actors->options.random.state, &actors->drawn);
    }
}

/* Everything that ends at this instant. */
static void make_ends(struct actors *actors, double limit)
{
    const uint32_t *tags;
    uint32_t count = actors->model->advance(actors->network, actors->now, &tags);
    for (uint32_t i = 0; i < count; i++)
        end_transfer(actors, tags[i]);
    actors->events += count;
    struct queue_event event;
    while (queue_peek(actors->queue, &event) && event.time <= limit) {
        queue_pop(actors->queue, &event);
        actors->events++;
        if (event.identity < actors->rank_count) {
            end_work(actors, event.identity);
            continue;
        }
        uint32_t timer = event.identity - actors->rank_count;
        call_soon(actors, actors->timers.at[timer].then, actors->timers.at[timer].cause);
        VECTOR_PUSH(&actors->free_timers, timer);
    }
}

static bool is_idle(const struct actors *actors)
{
    return queue_count(actors->queue) == 0 && actors->flights.count == actors->free_flights.count;
}

bool actors_run(struct actors *actors)
{
    make_changes(actors, 0);
    make_calls(actors);
    actors->model->solve(actors->network, actors->now);
    while (!actors->error && !is_idle(actors)) {
        struct queue_event event = {.time = INFINITY};
        if (!queue_peek(actors->queue, &event))
            event.time = INFINITY;
        double next = fmin(fmin(event.time, actors->model->next(actors->network)), next_change_time(actors));
        if (next == INFINITY) {
            actors_fail(actors, "%u messages are under way on links without any bandwidth",
                        actors->flights.count - actors->free_flights.count);
            break;
        }
        actors->now = fmax(next, actors->now);
        double limit = actors->now * (1 + 4 * DBL_EPSILON);
        make_ends(actors, limit);
        make_changes(actors, limit);
        make_calls(actors);
        actors->model->solve(actors->network, actors->now);
        const char *problem = actors->model->problem ? actors->model->problem(actors->network) : NULL;
        if (problem)
            actors_fail(actors, "%s", problem);
    }
    return !actors->error;
}

bool actors_finish(struct actors *actors, struct job *job, struct engine_result *result, const char **error)
{
    const char *problem = actors->error;
    *result = (struct engine_result){0};
    arena_init(&result->arena);
    if (!problem) {
        chronicle_hand_over(&actors->chronicle, job, result);
        ways_hand_over(&actors->ways, result);
        uint32_t count = actors->platform->links.count;
        result->link_bytes = ARENA_ARRAY(&result->arena, double, count + 1);
        for (uint32_t l = 0; l < count; l++)
            result->link_bytes[l] = actors->model->carried(actors->network, l);
        result->events = actors->events;
        if (actors->model->events)
            result->events += actors->model->events(actors->network);
        if (!engine_check(actors->platform, job, result, &problem))
            problem = arena_format(&actors->arena, "self-check failed: %s", problem);
        else
            problem = NULL;
    }
    if (!problem)
        return true;
    *error = arena_text(&job->arena, problem);
    engine_result_fini(result);
    return false;
}
