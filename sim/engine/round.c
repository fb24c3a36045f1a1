/* A plan holds, for each transfer, its place among the arrivals of its receiver and how many arrivals of its
 * sender it waits for. Arrivals can overtake each other (different senders), so a flag per arrival and a
 * count of those without a gap decide. States and flow identities are used again: nothing grows with time. */
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
    for (uint32_t i = 0; i < table->plans.count; i++)
        VECTOR_FREE(&table->plans.at[i].list);
    VECTOR_FREE(&table->plans);
    VECTOR_FREE(&table->states);
    VECTOR_FREE(&table->flows);
    VECTOR_FREE(&table->routes);
    VECTOR_FREE(&table->usages);
    VECTOR_FREE(&table->paths);
    VECTOR_FREE(&table->slots);
    arena_fini(&table->arena);
}

static void sum_rows(uint32_t *first, uint32_t members)
{
    for (uint32_t m = 0; m < members; m++)
        first[m + 1] += first[m];
}

static void fill_plan(struct arena *arena, struct round_plan *plan)
{
    uint32_t count = plan->list.count, members = plan->members;
    plan->first_out = ARENA_ARRAY(arena, uint32_t, members + 1);
    plan->first_in = ARENA_ARRAY(arena, uint32_t, members + 1);
    plan->out = ARENA_ARRAY(arena, uint32_t, count);
    plan->needs = ARENA_ARRAY(arena, uint32_t, count);
    plan->order = ARENA_ARRAY(arena, uint32_t, count);
    uint32_t *sent = ARENA_ARRAY(arena, uint32_t, members), *received = ARENA_ARRAY(arena, uint32_t, members);
    for (uint32_t t = 0; t < count; t++) {
        plan->first_out[plan->list.at[t].from + 1]++;
        plan->first_in[plan->list.at[t].to + 1]++;
    }
    sum_rows(plan->first_out, members);
    sum_rows(plan->first_in, members);
    for (uint32_t begin = 0, end; begin < count; begin = end) { /* one round after the other */
        for (end = begin; end < count && plan->list.at[end].round == plan->list.at[begin].round; end++) {
            uint32_t from = plan->list.at[end].from;
            plan->needs[end] = received[from];
            plan->out[plan->first_out[from] + sent[from]++] = end;
        }
        for (uint32_t t = begin; t < end; t++)
            plan->order[t] = received[plan->list.at[t].to]++;
    }
}

static uint32_t find_plan(struct run *run, int kind, uint32_t members)
{
    struct round_table *table = &run->rounds;
    for (uint32_t p = 0; p < table->plans.count; p++)
        if (table->plans.at[p].kind == kind && table->plans.at[p].members == members)
            return p;
    struct round_plan plan = {.kind = kind, .members = members};
    if (members > 1)
        run->options->algorithm->steps(kind, members, &plan.list);
    fill_plan(&table->arena, &plan);
    VECTOR_PUSH(&table->plans, plan);
    return table->plans.count - 1;
}

static uint32_t hash_slot(const struct round_table *table, uint32_t from, uint32_t to)
{
    uint32_t mask = table->slots.room - 1;
    uint32_t slot = (from * 0x9e3779b1u ^ to * 0x85ebca6bu) >> 7 & mask;
    while (table->slots.at[slot]) {
        const struct round_route *route = &table->routes.at[table->slots.at[slot] - 1];
        if (route->from == from && route->to == to)
            break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

static void rehash(struct round_table *table)
{
    table->slots.at = vector_grow(table->slots.at, &table->slots.room, sizeof *table->slots.at);
    memset(table->slots.at, 0, table->slots.room * sizeof *table->slots.at);
    for (uint32_t i = 0; i < table->routes.count; i++)
        table->slots.at[hash_slot(table, table->routes.at[i].from, table->routes.at[i].to)] = i + 1;
}

/* The pair was reached when the group's activity was computed, so there is a route. */
static uint32_t find_route(struct run *run, uint32_t from, uint32_t to)
{
    struct round_table *table = &run->rounds;
    if (2 * table->routes.count >= table->slots.room)
        rehash(table);
    uint32_t slot = hash_slot(table, from, to);
    if (table->slots.at[slot])
        return table->slots.at[slot] - 1;
    struct activity activity;
    bool reached = collective_message(run->platform, from, to, &activity);
    assert(reached);
    (void)reached;
    struct round_route route = {.from = from,
                                .to = to,
                                .first = table->usages.count,
                                .count = activity.usage.count,
                                .path = table->paths.count,
                                .path_length = activity.path.count,
                                .latency = activity.latency};
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
    state.arrived = ARENA_ARRAY(&table->arena, uint8_t, plan->list.count + 1);
    state.prefix = ARENA_ARRAY(&table->arena, uint32_t, plan->members);
    state.sent = ARENA_ARRAY(&table->arena, uint32_t, plan->members);
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

/* Starts what a member can send by now. */
static void send_on(struct run *run, uint32_t s, uint32_t member)
{
    struct round_table *table = &run->rounds;
    struct round_state *state = &table->states.at[s];
    const struct round_plan *plan = &table->plans.at[state->plan];
    const uint32_t *out = plan->out + plan->first_out[member];
    uint32_t count = plan->first_out[member + 1] - plan->first_out[member];
    while (state->sent[member] < count && plan->needs[out[state->sent[member]]] <= state->prefix[member]) {
        uint32_t step = out[state->sent[member]++];
        uint32_t to = plan->list.at[step].to;
        uint32_t route = find_route(run, run->job->ranks[state->members[member]].device,
                                    run->job->ranks[state->members[to]].device);
        const struct round_route *found = &table->routes.at[route];
        run->model->start(run->network, run->now,
                          &(struct network_message){.usage = table->usages.at + found->first,
                                                    .path = table->paths.at + found->path,
                                                    .usage_count = found->count,
                                                    .path_length = found->path_length,
                                                    .bytes = state->bytes * plan->list.at[step].fraction,
                                                    .latency = found->latency,
                                                    .cap = INFINITY,
                                                    .tag = ROUND_TAG | take_flow(table, s, step)});
    }
}

bool round_start(struct run *run, uint32_t group, int kind, double bytes, uint32_t transfer)
{
    struct round_table *table = &run->rounds;
    uint32_t p = find_plan(run, kind, run->job->groups[group].member_count);
    const struct round_plan *plan = &table->plans.at[p];
    if (!plan->list.count)
        return false;
    uint32_t s = take_state(table, p);
    struct round_state *state = &table->states.at[s];
    state->transfer = transfer;
    state->left = plan->list.count;
    state->bytes = bytes;
    state->members = run->job->members + run->job->groups[group].first_member;
    memset(state->arrived, 0, plan->list.count);
    memset(state->prefix, 0, plan->members * sizeof *state->prefix);
    memset(state->sent, 0, plan->members * sizeof *state->sent);
    for (uint32_t m = 0; m < plan->members; m++)
        send_on(run, s, m);
    return true;
}

bool round_advance(struct run *run, uint32_t tag, uint32_t *transfer)
{
    struct round_table *table = &run->rounds;
    uint32_t flow = tag & ~ROUND_TAG;
    uint32_t s = table->flows.at[flow].state, step = table->flows.at[flow].step;
    table->flows.at[flow].state = table->free_flow;
    table->free_flow = flow + 1;
    struct round_state *state = &table->states.at[s];
    struct round_plan *plan = &table->plans.at[state->plan];
    uint32_t to = plan->list.at[step].to;
    const uint8_t *arrived = state->arrived + plan->first_in[to];
    uint32_t count = plan->first_in[to + 1] - plan->first_in[to];
    state->arrived[plan->first_in[to] + plan->order[step]] = 1;
    while (state->prefix[to] < count && arrived[state->prefix[to]])
        state->prefix[to]++;
    send_on(run, s, to);
    *transfer = state->transfer;
    if (--state->left)
        return false;
    state->next = plan->free;
    plan->free = s + 1;
    return true;
}
