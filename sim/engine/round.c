/* A plan holds, for each member, its visits: the transfers of a round in which it takes part, with equal
 * rounds written once. A state holds where each member is. When a member's last transfer of a round has ended
 * it enters its next visit; a transfer starts when both of its ends have entered. So no transfer can end
 * before its receiver is there, and memory does not grow with the number of equal rounds. States and flow
 * identities are used again. */
#include "engine/round.h"

#include "engine/run.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void round_init(struct round_table *table)
{
    *table = (struct round_table){0};
    arena_init(&table->arena);
}

void round_fini(struct round_table *table)
{
    VECTOR_FREE(&table->plans);
    VECTOR_FREE(&table->states);
    VECTOR_FREE(&table->flows);
    VECTOR_FREE(&table->routes);
    VECTOR_FREE(&table->usages);
    VECTOR_FREE(&table->paths);
    VECTOR_FREE(&table->slots);
    arena_fini(&table->arena);
}

enum { ROUND_RUNS = 3 };

/* Steps and visits from an algorithm's list: one pass counts each member's visits and entries, one fills
 * them. */
static void fill_plan(struct arena *arena, struct round_plan *plan, const struct transfer_list *list)
{
    uint32_t count = list->count, members = plan->shape.members;
    uint32_t *last = ARENA_ARRAY(arena, uint32_t, members),
             *entries = ARENA_ARRAY(arena, uint32_t, members + 1);
    plan->step_count = count;
    plan->steps = ARENA_ARRAY(arena, struct round_step, count + 1);
    plan->first_visit = ARENA_ARRAY(arena, uint32_t, members + 1);
    plan->entries = ARENA_ARRAY(arena, uint32_t, 2 * (size_t)count + 1);
    for (uint32_t t = 0; t < count; t++) {
        const struct transfer_step *step = &list->at[t];
        uint32_t ends[] = {step->from, step->to};
        plan->steps[t] = (struct round_step){step->from, step->to, step->fraction};
        plan->transfers += list->times.count ? list->times.at[step->round] : 1;
        for (uint32_t e = 0; e < 2; e++) {
            plan->first_visit[ends[e] + 1] += last[ends[e]] != step->round + 1;
            last[ends[e]] = step->round + 1;
            entries[ends[e] + 1]++;
        }
    }
    for (uint32_t m = 0; m < members; m++) {
        plan->first_visit[m + 1] += plan->first_visit[m];
        entries[m + 1] += entries[m];
        last[m] = 0;
    }
    plan->visits = ARENA_ARRAY(arena, struct round_visit, plan->first_visit[members] + 1);
    uint32_t *visit = ARENA_ARRAY(arena, uint32_t, members);
    for (uint32_t t = 0; t < count; t++) {
        uint32_t round = list->at[t].round, ends[] = {list->at[t].from, list->at[t].to};
        for (uint32_t e = 0; e < 2; e++) {
            uint32_t m = ends[e];
            if (last[m] != round + 1)
                plan->visits[plan->first_visit[m] + visit[m]++] =
                    (struct round_visit){entries[m], 0, list->times.count ? list->times.at[round] : 1};
            last[m] = round + 1;
            plan->visits[plan->first_visit[m] + visit[m] - 1].count++;
            plan->entries[entries[m]++] = t;
        }
    }
}

static bool same_shape(const struct shape *a, const struct shape *b)
{
    bool same = a->algorithm == b->algorithm && a->members == b->members && a->depth == b->depth;
    for (uint32_t i = 0; same && i < a->depth; i++)
        same = a->sizes[i] == b->sizes[i] && a->inner[i] == b->inner[i];
    return same;
}

static uint32_t find_plan(struct run *run, int kind, const struct shape *shape, uint32_t shares)
{
    struct round_table *table = &run->rounds;
    for (uint32_t p = 0; p < table->plans.count; p++)
        if (table->plans.at[p].kind == kind && table->plans.at[p].shares == shares &&
            same_shape(&table->plans.at[p].shape, shape))
            return p;
    struct round_plan plan = {.kind = kind, .shares = shares, .shape = *shape};
    struct transfer_list list = {0};
    collective_steps(shape->algorithm, kind, shape, !shares, &list);
    if (shares && list.count)
        transfer_weigh(&list, shape, run->job->shares + shares - 1);
    fill_plan(&table->arena, &plan, &list);
    transfer_fini(&list);
    VECTOR_PUSH(&table->plans, plan);
    return table->plans.count - 1;
}

static uint32_t hash_slot(const struct round_table *table, uint32_t from, uint32_t to, uint32_t protocol)
{
    uint32_t mask = table->slots.room - 1;
    uint32_t slot = (from * 0x9e3779b1u ^ to * 0x85ebca6bu ^ protocol * 0xc2b2ae35u) >> 7 & mask;
    while (table->slots.at[slot]) {
        const struct round_route *route = &table->routes.at[table->slots.at[slot] - 1];
        if (route->from == from && route->to == to && route->protocol == protocol)
            break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

static void rehash(struct round_table *table)
{
    table->slots.at = vector_grow(table->slots.at, &table->slots.room, sizeof *table->slots.at);
    memset(table->slots.at, 0, table->slots.room * sizeof *table->slots.at);
    for (uint32_t i = 0; i < table->routes.count; i++) {
        const struct round_route *route = &table->routes.at[i];
        table->slots.at[hash_slot(table, route->from, route->to, route->protocol)] = i + 1;
    }
}

/* The pair was reached when the group's activity was computed, so there is a route. */
static uint32_t find_route(struct run *run, uint32_t from, uint32_t to, uint32_t protocol)
{
    struct round_table *table = &run->rounds;
    if (2 * table->routes.count >= table->slots.room)
        rehash(table);
    uint32_t slot = hash_slot(table, from, to, protocol);
    if (table->slots.at[slot])
        return table->slots.at[slot] - 1;
    struct activity activity;
    bool reached = collective_message(run->platform, from, to, protocol, &activity);
    assert(reached);
    (void)reached;
    struct round_route route = {.from = from,
                                .to = to,
                                .protocol = protocol,
                                .first = table->usages.count,
                                .count = activity.usage.count,
                                .path = table->paths.count,
                                .path_length = activity.path.count,
                                .latency = activity.latency,
                                .cap = activity.cap};
    for (uint32_t i = 0; i < activity.path.count; i++)
        VECTOR_PUSH(&table->paths, activity.path.at[i]);
    for (uint32_t i = 0; i < activity.usage.count; i++)
        VECTOR_PUSH(&table->usages,
                    ((struct network_usage){activity.usage.at[i].link, activity.usage.at[i].coefficient}));
    collective_activity_fini(&activity);
    VECTOR_PUSH(&table->routes, route);
    table->slots.at[slot] = table->routes.count;
    return table->routes.count - 1;
}

static uint32_t take_state(struct round_table *table, uint32_t p)
{
    struct round_plan *plan = &table->plans.at[p];
    if (plan->free) {
        uint32_t s = plan->free - 1;
        plan->free = table->states.at[s].next;
        return s;
    }
    struct round_state state = {.plan = p};
    state.members = ARENA_ARRAY(&table->arena, struct round_member, plan->shape.members);
    state.ended = ARENA_ARRAY(&table->arena, uint32_t, plan->step_count + 1);
    state.waits = ARENA_ARRAY(&table->arena, uint8_t, plan->step_count + 1);
    VECTOR_PUSH(&table->states, state);
    return table->states.count - 1;
}

static uint32_t take_flow(struct round_table *table, uint32_t state, uint32_t step)
{
    uint32_t flow = table->free_flow - 1;
    if (table->free_flow)
        table->free_flow = table->flows.at[flow].state;
    else {
        flow = table->flows.count;
        VECTOR_PUSH(&table->flows, ((struct round_flow){0}));
    }
    table->flows.at[flow] = (struct round_flow){state, step};
    return flow;
}

static void start_step(struct run *run, uint32_t s, uint32_t step)
{
    struct round_table *table = &run->rounds;
    struct round_state *state = &table->states.at[s];
    const struct round_step *of = &table->plans.at[state->plan].steps[step];
    uint32_t activity = run->transfers.at[state->transfer].activity;
    uint32_t route =
        find_route(run, run->job->ranks[state->ranks[of->from]].device,
                   run->job->ranks[state->ranks[of->to]].device, run->activity_list.at[activity].protocol);
    const struct round_route *found = &table->routes.at[route];
    state->waits[step] = ROUND_RUNS;
    run->model->start(run->network, run->now,
                      &(struct network_message){.usage = table->usages.at + found->first,
                                                .path = table->paths.at + found->path,
                                                .usage_count = found->count,
                                                .path_length = found->path_length,
                                                .bytes = state->bytes * of->fraction,
                                                .latency = state->start + found->latency,
                                                .cap = found->cap,
                                                .traffic = state->traffic,
                                                .tag = ROUND_TAG | take_flow(table, s, step)});
}

/* Starts a step if both of its ends are there and the piece before has made it. */
static void try_step(struct run *run, uint32_t s, uint32_t step)
{
    const struct round_state *state = &run->rounds.states.at[s];
    if (state->waits[step])
        return;
    if (state->before == PROGRAM_NONE ||
        run->rounds.states.at[state->before].ended[step] > state->ended[step])
        start_step(run, s, step);
}

/* The member is there for its transfers of this round. */
static void enter(struct run *run, uint32_t s, uint32_t m)
{
    const struct round_state *state = &run->rounds.states.at[s];
    const struct round_plan *plan = &run->rounds.plans.at[state->plan];
    struct round_member *member = &state->members[m];
    if (member->visit == plan->first_visit[m + 1])
        return;
    const struct round_visit *visit = &plan->visits[member->visit];
    member->left = visit->count;
    for (uint32_t i = 0; i < visit->count; i++) {
        uint32_t step = plan->entries[visit->first + i];
        if (--state->waits[step] == 0)
            try_step(run, s, step);
    }
}

/* One of its transfers has ended. */
static void leave(struct run *run, uint32_t s, uint32_t m)
{
    const struct round_state *state = &run->rounds.states.at[s];
    const struct round_plan *plan = &run->rounds.plans.at[state->plan];
    struct round_member *member = &state->members[m];
    if (--member->left)
        return;
    if (++member->times == plan->visits[member->visit].times) {
        member->times = 0;
        member->visit++;
    }
    enter(run, s, m);
}

static uint32_t start_piece(struct run *run, uint32_t p, uint32_t group, double bytes, uint32_t transfer)
{
    uint32_t s = take_state(&run->rounds, p);
    const struct round_plan *plan = &run->rounds.plans.at[p];
    struct round_state *state = &run->rounds.states.at[s];
    state->transfer = transfer;
    state->left = plan->transfers;
    state->bytes = bytes;
    state->before = state->after = PROGRAM_NONE;
    state->ranks = run->job->members + run->job->groups[group].first_member;
    for (uint32_t m = 0; m < plan->shape.members; m++)
        state->members[m] = (struct round_member){.visit = plan->first_visit[m]};
    memset(state->ended, 0, plan->step_count * sizeof *state->ended);
    memset(state->waits, 2, plan->step_count);
    return s;
}

bool round_start(struct run *run, uint32_t group, int kind, double bytes, uint32_t pieces, uint32_t transfer,
                 uint8_t traffic)
{
    struct round_table *table = &run->rounds;
    uint32_t activity = run->transfers.at[transfer].activity;
    const struct shape *shape = run->activity_list.at[activity].shape;
    uint32_t p = find_plan(run, kind, shape, run->activities.at[activity].shares), before = PROGRAM_NONE;
    if (!table->plans.at[p].step_count)
        return false;
    for (uint32_t piece = 0; piece < pieces; piece++) {
        uint32_t s = start_piece(run, p, group, bytes / pieces, transfer);
        table->states.at[s].start = run->activity_list.at[activity].start;
        table->states.at[s].traffic = traffic;
        table->states.at[s].before = before;
        if (before != PROGRAM_NONE)
            table->states.at[before].after = s;
        before = s;
        for (uint32_t m = 0; m < shape->members; m++)
            enter(run, s, m);
        table->states.at[s].start = 0; /* whatever starts later follows one of those */
    }
    return true;
}

static void end_piece(struct round_table *table, uint32_t s)
{
    struct round_state *state = &table->states.at[s];
    struct round_plan *plan = &table->plans.at[state->plan];
    if (state->after != PROGRAM_NONE)
        table->states.at[state->after].before = PROGRAM_NONE;
    state->next = plan->free;
    plan->free = s + 1;
}

/* A piece cannot overtake the one before, so the last piece ends the collective. */
bool round_advance(struct run *run, uint32_t tag, uint32_t *transfer)
{
    struct round_table *table = &run->rounds;
    uint32_t flow = tag & ~ROUND_TAG;
    uint32_t s = table->flows.at[flow].state, step = table->flows.at[flow].step;
    table->flows.at[flow].state = table->free_flow;
    table->free_flow = flow + 1;
    struct round_state *state = &table->states.at[s];
    const struct round_step *of = &table->plans.at[state->plan].steps[step];
    uint32_t after = state->after;
    state->ended[step]++;
    state->waits[step] = 2;
    leave(run, s, of->from);
    leave(run, s, of->to);
    if (after != PROGRAM_NONE)
        try_step(run, after, step);
    *transfer = state->transfer;
    if (--state->left)
        return false;
    end_piece(table, s);
    return after == PROGRAM_NONE;
}
