/* Walks from the first pending operation (lowest rank, then slot) to what it waits for until an operation
 * comes round again or waits for nothing that is an operation. Every pending operation waits for at least
 * one; the walk takes the first: dependencies by slot, then the stream, then the lowest member not there. */
#include "engine/deadlock.h"

#include "engine/section.h"

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
    const struct run_section *section = section_of(run, place.pass);
    uint32_t instance = section->instance_base[place.rank] + place.slot;
    if (place.pass < run->passes_over)
        return RUN_ENDED;
    return run->passes[place.pass] ? run->passes[place.pass]->pending[instance] : section->waits[instance];
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
    const struct run_section *section = section_of(run, place.pass);
    for (uint32_t slot = place.slot; slot-- > section->first_slot[place.rank];)
        if (program->ops[slot].stream == op->stream)
            return (struct wait){{place.rank, slot, place.pass},
                                 "waits for the operation before it in its stream"};
    for (uint32_t pass = place.pass; pass-- > 0;) {
        section = section_of(run, pass);
        for (uint32_t slot = section->end_slot[place.rank]; slot-- > section->first_slot[place.rank];)
            if (program->ops[slot].stream == op->stream)
                return (struct wait){{place.rank, slot, pass},
                                     "waits for the operation before it in its stream, of the step before"};
    }
    assert(0 && "a pending operation waits for something");
    return (struct wait){{place.rank, PROGRAM_NONE, 0}, ""};
}

/* Where an operation meets its peers. */
struct meeting {
    uint32_t group, pass, match;
};

static struct meeting meeting_of(const struct run *run, struct place place)
{
    const struct op *op = &program_of(run, place.rank)->ops[place.slot];
    struct meeting meeting = {run->ranks[place.rank].groups[op->group], place.pass, op->match};
    if (op->kind == OP_SEND)
        section_meeting(run, meeting.group, &meeting.pass, &meeting.match);
    return meeting;
}

/* A rank's operation of a pass at this meeting; slot PROGRAM_NONE: it has none there. */
static struct place find_operation(const struct run *run, uint32_t rank, uint32_t pass, uint32_t kind,
                                   struct meeting at)
{
    const struct run_section *section = section_of(run, pass);
    struct place place = {rank, section->first_slot[rank], pass};
    for (; place.slot < section->end_slot[rank]; place.slot++) {
        const struct op *op = &program_of(run, rank)->ops[place.slot];
        if (op->kind != kind || run->ranks[rank].groups[op->group] != at.group)
            continue;
        struct meeting meeting = meeting_of(run, place);
        if (meeting.pass == at.pass && meeting.match == at.match)
            return place;
    }
    place.slot = PROGRAM_NONE;
    return place;
}

static struct wait wait_for_peer(const struct run *run, struct arena *arena, struct place place,
                                 struct meeting at)
{
    const struct op *op = &program_of(run, place.rank)->ops[place.slot];
    const struct run_pass *pass = run->passes[at.pass];
    uint32_t members = run->groups[at.group].member_count, absent = 0;
    const uint32_t *slots =
        pass->arrivals + (pass->section->matches[at.group].arrival_base + at.match * members);
    while (absent < members && slots[absent] != PROGRAM_NONE)
        absent++;
    if (absent == members)
        return (struct wait){{place.rank, PROGRAM_NONE, 0}, "waits for ever"};
    uint32_t peer = run->job->members[run->job->groups[at.group].first_member + absent];
    uint32_t kind = op->kind == OP_SEND ? OP_RECEIVE : op->kind == OP_RECEIVE ? OP_SEND : OP_COLLECTIVE;
    struct place other = find_operation(run, peer, at.pass, kind, at);
    if (other.slot == PROGRAM_NONE && kind == OP_SEND && at.pass)
        other = find_operation(run, peer, at.pass - 1, kind, at);
    const char *what = op->kind == OP_COLLECTIVE ? "joins it"
                       : op->kind == OP_SEND     ? "receives it"
                                                 : "sends it";
    const char *reason =
        other.slot == PROGRAM_NONE
            ? arena_format(arena, "waits for rank %u, which has no operation that %s (match %u)", peer, what,
                           op->match)
            : arena_format(arena, "waits until rank %u %s", peer, what);
    return (struct wait){other, reason};
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
    struct meeting at = meeting_of(run, place);
    const struct run_pass *pass = run->passes[at.pass];
    uint32_t transfer = pass->meetings[pass->section->matches[at.group].meeting_base + at.match].transfer;
    if (transfer == PROGRAM_NONE)
        return wait_for_peer(run, arena, place, at);
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
    const struct run_section *section = section_of(run, run->passes_over);
    for (uint32_t r = 0; r < run->job->rank_count; r++)
        for (uint32_t slot = section->first_slot[r]; slot < section->end_slot[r]; slot++)
            if (pending(run, (struct place){r, slot, run->passes_over}) != RUN_ENDED)
                return (struct place){r, slot, run->passes_over};
    assert(0 && "some operation is pending");
    return (struct place){0, 0, 0};
}

struct places {
    struct place *at;
    uint32_t count, room;
};

/* Walks until an operation comes round again; its place in the walk is where the cycle begins (PROGRAM_NONE:
 * the chain ends without one). Marks are per pass and instance: step of the walk + 1. */
static uint32_t walk(const struct run *run, struct arena *arena, struct places *places)
{
    uint32_t **marks = ARENA_ARRAY(arena, uint32_t *, (size_t)run->pass_count + 1);
    for (struct place place = first_pending(run); place.slot != PROGRAM_NONE;) {
        if (!marks[place.pass])
            marks[place.pass] = ARENA_ARRAY(arena, uint32_t, run->instances);
        uint32_t base = section_of(run, place.pass)->instance_base[place.rank];
        uint32_t *mark = &marks[place.pass][(uint32_t)(base + place.slot)];
        if (*mark)
            return *mark - 1;
        VECTOR_PUSH(places, place);
        *mark = places->count;
        place = wait_of(run, arena, place).on;
    }
    return PROGRAM_NONE;
}

const char *deadlock_report(const struct run *run, struct arena *arena)
{
    enum { LONGEST = 24 };
    struct places places = {0};
    uint32_t cycle = walk(run, arena, &places), length = places.count;
    const struct place *at = places.at;
    uint32_t first = cycle == PROGRAM_NONE ? 0 : cycle;
    uint32_t instances = section_of(run, run->passes_over)->instances;
    const struct run_pass *pass = run->passes[run->passes_over];
    const char *text =
        arena_format(arena, "deadlock at %.9g s: %u of %u operations are pending; %s", run->now,
                     (uint32_t)(instances - (pass ? pass->ended : 0)), instances,
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
    VECTOR_FREE(&places);
    return text;
}
