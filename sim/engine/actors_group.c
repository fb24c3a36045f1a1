#include "engine/actors_group.h"

#include "engine/actors_flight.h"

#include <assert.h>

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
static uint32_t actors_group_way(struct actors *actors, struct actors_group *group)
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
static void actors_group_start(struct actors *actors, uint32_t g)
{
    struct actors_group *group = &actors->groups.at[g];
    struct chronicle *chronicle = &actors->chronicle;
    const uint32_t *ranks = chronicle->members.at + chronicle->groups.at[group->group].first_member;
    uint32_t way = actors_group_way(actors, group);
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
    uint32_t flight = actors_flight_take(actors, (struct actors_flight){.group = g, .under_way = true});
    actors->flights.at[flight].transfer =
        actors_flight_start(actors, group->group, way, op.bytes, 0, op.label, flight);
}

void actors_group_join(struct actors *actors, uint32_t g, uint32_t m,
                       const struct actors_collective *collective, struct actors_then then)
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
        actors_group_start(actors, g);
}

void actors_group_end(struct actors *actors, uint32_t g)
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
        actors_state_soon(actors, member->then, (struct chronicle_cause){ranks[m], member->op_slot});
    }
}
