#include "engine/actors.h"

#include "engine/actors_flight.h"
#include "engine/actors_group.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

static const uint64_t actors_instant_limit = 10000000; /* calls in one instant */

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

/* Begins with the first of a rank's items. */
static void start_work(struct actors *actors, uint32_t r)
{
    struct actors_rank *rank = &actors->ranks[r];
    const struct actors_item *item = &rank->items.at[rank->first];
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
    VECTOR_PUSH(&rank->items, ((struct actors_item){*work, then, actors->cause, actors->now}));
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
    actors_state_soon(actors, then, cause);
    if (rank->items.count) {
        struct actors_item *next = &rank->items.at[rank->first];
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

static void end_transfer(struct actors *actors, uint32_t index)
{
    struct actors_flight flight = actors->flights.at[index];
    actors_flight_end(actors, index);
    if (flight.group != PROGRAM_NONE)
        actors_group_end(actors, flight.group);
    else
        actors_state_soon(
            actors, flight.then,
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
        actors_state_soon(actors, actors->timers.at[timer].then, actors->timers.at[timer].cause);
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
