/* Walks from the first pending operation (lowest rank, then slot) to what it waits for until an operation
 * comes round again or waits for nothing that is an operation. Every pending operation waits for at least
 * one; the walk takes the first: dependencies by slot, then the stream, then the lowest member not there. */
#include "engine/deadlock.h"

#include <assert.h>

struct place {
    uint32_t rank, slot, pass;
};

struct wait {
    struct place on;    /* slot PROGRAM_NONE: the chain ends here */
    const char *reason; /* "waits for its dependency" … */
};

/* Ends that an operation still waits for; one of a pass that has not begun waits for the pass before. */
static uint32_t pending(const struct run *run, struct place place)
{
    uint32_t instance = run->ranks[place.rank].first_instance + place.slot;
    if (place.pass < run->passes_over)
        return RUN_ENDED;
    return run->passes[place.pass] ? run->passes[place.pass]->pending[instance] : run->waits_for[instance];
}

static uint32_t op_count(const struct run *run, uint32_t rank)
{
    uint32_t count = run->job->programs[run->job->ranks[rank].program].op_count;
    return run->pass_count > 1 ? count / run->job->steps : count;
}

static const struct program *program_of(const struct run *run, uint32_t rank)
{
    return &run->job->programs[run->job->ranks[rank].program];
}

static struct wait wait_inside(const struct run *run, struct place place)
{
    const struct program *program = program_of(run, place.rank);
    const struct op *op = &program->ops[place.slot];
    uint32_t first = PROGRAM_NONE;
    for (uint32_t i = 0; i < op->dependency_count; i++) {
        uint32_t slot = program->dependencies[op->first_dependency + i];
        if (pending(run, (struct place){place.rank, slot, place.pass}) != RUN_ENDED && slot < first)
            first = slot;
    }
    if (first != PROGRAM_NONE)
        return (struct wait){{place.rank, first, place.pass}, "waits for its dependency"};
    for (uint32_t slot = place.slot; slot-- > 0;)
        if (program->ops[slot].stream == op->stream)
            return (struct wait){{place.rank, slot, place.pass},
                                 "waits for the operation before it in its stream"};
    for (uint32_t slot = op_count(run, place.rank); place.pass && slot-- > 0;)
        if (program->ops[slot].stream == op->stream)
            return (struct wait){{place.rank, slot, place.pass - 1},
                                 "waits for the operation before it in its stream, of the step before"};
    assert(0 && "a pending operation waits for something");
    return (struct wait){{place.rank, PROGRAM_NONE, 0}, ""};
}

/* The peer's operation at this meeting: the other end of a message, or its part of the collective. */
static uint32_t find_operation(const struct run *run, uint32_t rank, uint32_t group, const struct op *like)
{
    const struct program *program = program_of(run, rank);
    uint32_t kind = like->kind == OP_SEND ? OP_RECEIVE : like->kind == OP_RECEIVE ? OP_SEND : OP_COLLECTIVE;
    for (uint32_t slot = 0; slot < op_count(run, rank); slot++) {
        const struct op *op = &program->ops[slot];
        if (op->kind == kind && op->match == like->match && run->ranks[rank].groups[op->group] == group)
            return slot;
    }
    return PROGRAM_NONE;
}

static struct wait wait_for_peer(const struct run *run, struct arena *arena, struct place place, uint32_t g)
{
    const struct op *op = &program_of(run, place.rank)->ops[place.slot];
    const struct run_group *group = &run->groups[g];
    const uint32_t *members = run->job->members + run->job->groups[g].first_member;
    const uint32_t *slots =
        run->passes[place.pass]->arrivals + group->first_arrival + op->match * group->member_count;
    uint32_t absent = 0;
    while (absent < group->member_count && slots[absent] != PROGRAM_NONE)
        absent++;
    if (absent == group->member_count)
        return (struct wait){{place.rank, PROGRAM_NONE, 0}, "waits for ever"};
    uint32_t slot = find_operation(run, members[absent], g, op);
    const char *what = op->kind == OP_COLLECTIVE ? "joins it"
                       : op->kind == OP_SEND     ? "receives it"
                                                 : "sends it";
    const char *reason =
        slot == PROGRAM_NONE
            ? arena_format(arena, "waits for rank %u, which has no operation that %s (match %u)",
                           members[absent], what, op->match)
            : arena_format(arena, "waits until rank %u %s", members[absent], what);
    return (struct wait){{members[absent], slot, place.pass}, reason};
}

/* A message that does not move although its links have capacity. */
static const char *describe_stall(const struct run *run, struct arena *arena)
{
    enum { LONGEST = 64 };
    uint32_t links[LONGEST];
    uint32_t count = run->model->stall ? run->model->stall(run->network, links, LONGEST) : 0;
    if (!count)
        return "is stalled on the network";
    bool cycle = count > 1 && links[0] == links[count - 1];
    const char *text = cycle ? "is stalled: the queues of links wait for room in each other:"
                             : "is stalled behind other messages: the way on is barred at";
    for (uint32_t i = 0; i < count; i++)
        text = arena_format(arena, "%s%s '%s'", text, i ? " ->" : "",
                            names_text(run->platform->names, run->platform->links.at[links[i]].name));
    return cycle ? arena_format(arena, "%s (larger buffers may help)", text) : text;
}

static struct wait wait_of(const struct run *run, struct arena *arena, struct place place)
{
    if (pending(run, place) > 0)
        return wait_inside(run, place);
    const struct op *op = &program_of(run, place.rank)->ops[place.slot];
    uint32_t g = run->ranks[place.rank].groups[op->group];
    uint32_t transfer = run->passes[place.pass]->meetings[run->groups[g].first_meeting + op->match].transfer;
    if (transfer == PROGRAM_NONE)
        return wait_for_peer(run, arena, place, g);
    const struct activity *form = &run->activity_list.at[run->transfers.at[transfer].activity];
    uint32_t link = PROGRAM_NONE;
    for (uint32_t i = 0; i < form->usage.count && link == PROGRAM_NONE; i++)
        if (run->capacities[form->usage.at[i].link] <= 0)
            link = form->usage.at[i].link;
    if (run->caps[op->traffic] <= 0)
        return (struct wait){{place.rank, PROGRAM_NONE, 0},
                             "is stalled: its class of traffic has a cap of 0"};
    if (link == PROGRAM_NONE)
        return (struct wait){{place.rank, PROGRAM_NONE, 0}, describe_stall(run, arena)};
    return (struct wait){{place.rank, PROGRAM_NONE, 0},
                         arena_format(arena, "is stalled: link '%s' has no capacity",
                                      names_text(run->platform->names, run->platform->links.at[link].name))};
}

static struct place first_pending(const struct run *run)
{
    for (uint32_t r = 0; r < run->job->rank_count; r++)
        for (uint32_t slot = 0; slot < op_count(run, r); slot++)
            if (pending(run, (struct place){r, slot, run->passes_over}) != RUN_ENDED)
                return (struct place){r, slot, run->passes_over};
    assert(0 && "some operation is pending");
    return (struct place){0, 0, 0};
}

/* Walks until an operation comes round again; its place in the walk is where the cycle begins (PROGRAM_NONE:
 * the chain ends without one). Marks are per instance: step of the walk + 1. It begins in the first pass that
 * is not over, and no operation waits for a later pass, so it stays there. */
static uint32_t walk(const struct run *run, struct arena *arena, uint32_t *length, struct place *at)
{
    uint32_t *marks = ARENA_ARRAY(arena, uint32_t, run->instances);
    struct place place = first_pending(run);
    for (*length = 0;;) {
        uint32_t *mark = &marks[run->ranks[place.rank].first_instance + place.slot];
        if (*mark)
            return *mark - 1;
        at[(*length)++] = place;
        *mark = *length;
        place = wait_of(run, arena, place).on;
        if (place.slot == PROGRAM_NONE)
            return PROGRAM_NONE;
    }
}

const char *deadlock_report(const struct run *run, struct arena *arena)
{
    enum { LONGEST = 24 };
    struct place *at = ARENA_ARRAY(arena, struct place, run->instances);
    uint32_t length, cycle = walk(run, arena, &length, at);
    uint32_t first = cycle == PROGRAM_NONE ? 0 : cycle;
    const char *text =
        arena_format(arena, "deadlock at %.9g s: %u of %u operations are pending; %s", run->now,
                     (uint32_t)(run->instances - run->passes[run->passes_over]->ended), run->instances,
                     cycle == PROGRAM_NONE ? "the chain of waits is" : "the cycle of waits is");
    for (uint32_t i = first; i < length; i++) {
        if (i - first == LONGEST / 2 && length - i > LONGEST / 2) {
            text = arena_format(arena, "%s\n  ... %u more ...", text, length - LONGEST / 2 - i);
            i = length - LONGEST / 2;
        }
        text = arena_format(arena, "%s\n  %s: %s", text, run_describe(run, arena, at[i].rank, at[i].slot),
                            wait_of(run, arena, at[i]).reason);
    }
    if (cycle != PROGRAM_NONE)
        text = arena_format(arena, "%s\n  ... which is the first one again", text);
    return text;
}
