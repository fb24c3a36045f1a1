/* Successors are the transpose of the dependencies, by counting sort: O(operations + dependencies). */
#include "engine/task.h"

#include <assert.h>

static const char *check_op(struct arena *arena, const struct job *job, const struct program *program,
                            uint32_t slot, uint32_t from)
{
    const struct op *op = &program->ops[slot];
    if (op->kind >= OP_KIND_COUNT || op->stream >= program->stream_count)
        return arena_format(arena, "operation %u has kind %u and stream %u of %u", slot, op->kind, op->stream,
                            program->stream_count);
    if (op->kind == OP_COLLECTIVE && op->collective >= COLLECTIVE_KIND_COUNT)
        return arena_format(arena, "operation %u is an unknown collective (%u)", slot, op->collective);
    if ((op->kind == OP_COMPUTE) != (op->group == PROGRAM_NONE))
        return arena_format(arena, "operation %u: a communication has a group, a computation has none", slot);
    if (op->traffic > job->traffic_count)
        return arena_format(arena, "operation %u has traffic %u of %u", slot, op->traffic,
                            job->traffic_count);
    double amount = op->kind == OP_COMPUTE ? op->seconds : op->bytes;
    if (!(amount >= 0 && amount < 1e300))
        return arena_format(arena, "operation %u has an amount of %g", slot, amount);
    for (uint32_t i = 0; i < op->dependency_count; i++)
        if (program->dependencies[op->first_dependency + i] >= slot ||
            program->dependencies[op->first_dependency + i] < from)
            return arena_format(arena, "operation %u depends on operation %u, which is not before it%s", slot,
                                program->dependencies[op->first_dependency + i],
                                from ? " in its section" : "");
    return NULL;
}

static void transpose(struct arena *arena, const struct program *program, struct task_program *out)
{
    out->successors = ARENA_ARRAY(arena, uint32_t, program->dependency_count + 1);
    uint32_t *cursor = ARENA_ARRAY(arena, uint32_t, program->op_count + 1);
    for (uint32_t s = 0; s < program->op_count; s++)
        for (uint32_t i = 0; i < program->ops[s].dependency_count; i++)
            cursor[program->dependencies[program->ops[s].first_dependency + i]]++;
    uint32_t total = 0;
    for (uint32_t s = 0; s <= program->op_count; s++) {
        out->tasks[s].first_successor = total;
        total += cursor[s];
        cursor[s] = out->tasks[s].first_successor;
    }
    for (uint32_t s = 0; s < program->op_count; s++)
        for (uint32_t i = 0; i < program->ops[s].dependency_count; i++)
            out->successors[cursor[program->dependencies[program->ops[s].first_dependency + i]]++] = s;
}

static void note_slots(struct arena *arena, const struct program *program, struct task_program *out)
{
    out->slots = ARENA_ARRAY(arena, struct task_slot, out->slot_count + 1);
    for (uint32_t s = 0; s < program->op_count; s++) {
        const struct op *op = &program->ops[s];
        if (op->group == PROGRAM_NONE)
            continue;
        struct task_slot *slot = &out->slots[op->group];
        slot->used[op->kind] = true;
        if (op->match >= slot->matches)
            slot->matches = op->match + 1;
    }
}

/* Where the section of an operation ends. */
static uint32_t section_end(const struct job *job, const struct program *program, uint32_t slot)
{
    uint32_t s = 0;
    while (job->section_count && program->sections[s + 1] <= slot)
        s++;
    return job->section_count ? program->sections[s + 1] : program->op_count;
}

static const char *build_program(struct arena *arena, const struct job *job, const struct program *program,
                                 struct task_program *out)
{
    static_assert(sizeof(struct task) == 32, "the record that the event loop reads");
    out->tasks = ARENA_ARRAY(arena, struct task, (size_t)program->op_count + 1);
    uint32_t *last = ARENA_ARRAY(arena, uint32_t, program->stream_count + 1);
    uint32_t next = 0, from = 0;
    for (uint32_t s = 0; s < program->op_count; s++) {
        if (s == next) { /* a section begins, or all */
            from = s;
            next = section_end(job, program, s);
            for (uint32_t i = 0; i < program->stream_count; i++)
                last[i] = PROGRAM_NONE;
        }
        const char *problem = check_op(arena, job, program, s, from);
        if (problem)
            return problem;
        const struct op *op = &program->ops[s];
        bool first = last[op->stream] == PROGRAM_NONE;
        out->tasks[s] = (struct task){.amount = op->kind == OP_COMPUTE ? op->seconds : op->bytes,
                                      .next = PROGRAM_NONE,
                                      .waits = op->dependency_count + !first,
                                      .group = op->group,
                                      .match = op->match,
                                      .kind = op->kind,
                                      .stream = op->stream,
                                      .collective = op->collective};
        if (!first)
            out->tasks[last[op->stream]].next = s;
        last[op->stream] = s;
        if (op->group != PROGRAM_NONE && op->group >= out->slot_count)
            out->slot_count = op->group + 1;
    }
    note_slots(arena, program, out);
    transpose(arena, program, out);
    return NULL;
}

struct task_program *task_build(struct arena *arena, const struct job *job, const char **error)
{
    struct task_program *programs = ARENA_ARRAY(arena, struct task_program, job->program_count + 1);
    for (uint32_t p = 0; p < job->program_count; p++) {
        struct program program = job->programs[p];
        if (job->lead)
            program.op_count /= job->steps;
        const char *problem = build_program(arena, job, &program, &programs[p]);
        if (problem) {
            *error = arena_format(arena, "program %u: %s", p, problem);
            return NULL;
        }
    }
    return programs;
}

static bool same_operation(const struct program *program, const struct op *first, const struct op *later,
                           uint32_t distance, uint32_t matches)
{
    bool same = first->kind == later->kind && first->stream == later->stream &&
                first->group == later->group && first->collective == later->collective &&
                first->shares == later->shares && first->traffic == later->traffic &&
                first->seconds == later->seconds && first->bytes == later->bytes &&
                first->dependency_count == later->dependency_count &&
                (first->kind == OP_COMPUTE || later->match == first->match + matches);
    for (uint32_t i = 0; same && i < first->dependency_count; i++)
        same = program->dependencies[later->first_dependency + i] ==
               program->dependencies[first->first_dependency + i] + distance;
    return same;
}

/* A rank's groups decide how many matches a step has. */
static bool rank_alike(const struct job *job, const struct rank *rank)
{
    const struct program *program = &job->programs[rank->program];
    uint32_t ops = program->op_count / job->steps;
    bool alike = program->op_count % job->steps == 0;
    for (uint32_t i = 0; alike && i < program->op_count; i++) {
        const struct op *first = &program->ops[i % ops], *later = &program->ops[i];
        if (later->kind == OP_COMPUTE) {
            alike = same_operation(program, first, later, i - i % ops, 0);
            continue;
        }
        uint32_t matches = job->groups[job->group_table[rank->first_group + later->group]].match_count;
        alike = matches % job->steps == 0 && first->match < matches / job->steps &&
                same_operation(program, first, later, i - i % ops, i / ops * (matches / job->steps));
    }
    return alike;
}

bool task_alike(const struct job *job)
{
    for (uint32_t r = 0; r < job->rank_count; r++)
        if (!rank_alike(job, &job->ranks[r]))
            return false;
    return true;
}
