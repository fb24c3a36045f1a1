#include "engine/section.h"

static uint32_t times_of(const struct job *job, uint32_t s)
{
    return job->section_count ? job->section_times[s] : job->lead ? job->lead + job->steps : 1;
}

/* Which operations of each rank are in it, and their instances. */
static void cut_ranks(struct run *run, uint32_t s)
{
    const struct job *job = run->job;
    struct run_section *section = &run->sections[s];
    section->first_slot = ARENA_ARRAY(&run->arena, uint32_t, job->rank_count + 1);
    section->end_slot = ARENA_ARRAY(&run->arena, uint32_t, job->rank_count + 1);
    section->instance_base = ARENA_ARRAY(&run->arena, uint32_t, job->rank_count + 1);
    for (uint32_t r = 0; r < job->rank_count; r++) {
        const struct program *program = &job->programs[job->ranks[r].program];
        bool cut = job->section_count > 0;
        section->first_slot[r] = cut ? program->sections[s] : 0;
        section->end_slot[r] =
            cut ? program->sections[s + 1] : program->op_count / (job->lead ? job->steps : 1);
        section->instance_base[r] = section->instances - section->first_slot[r];
        section->instances += section->end_slot[r] - section->first_slot[r];
    }
}

/* Which matches of its groups are met in a section of the job: those of receives and collectives. */
static void cut_matches(struct run *run, struct run_section *section)
{
    for (uint32_t r = 0; r < run->job->rank_count; r++)
        for (uint32_t i = section->first_slot[r]; i < section->end_slot[r]; i++) {
            const struct task *task = &run->ranks[r].tasks[i];
            if (task->kind == OP_COMPUTE || task->kind == OP_SEND)
                continue;
            struct run_matches *matches = &section->matches[run->ranks[r].groups[task->group]];
            uint32_t end = matches->count ? matches->first + matches->count : task->match + 1;
            matches->first = matches->count && matches->first < task->match ? matches->first : task->match;
            matches->count = (end > task->match ? end : task->match + 1) - matches->first;
        }
}

static void cut_groups(struct run *run, struct run_section *section)
{
    const struct job *job = run->job;
    section->matches = ARENA_ARRAY(&run->arena, struct run_matches, job->group_count + 1);
    if (job->section_count)
        cut_matches(run, section);
    for (uint32_t g = 0; g < job->group_count; g++) {
        struct run_matches *matches = &section->matches[g];
        if (!job->section_count)
            matches->count = job->groups[g].match_count / (job->lead ? job->steps : 1);
        matches->meeting_base = section->meeting_count - matches->first;
        matches->arrival_base =
            (uint32_t)section->arrival_count - matches->first * run->groups[g].member_count;
        section->meeting_count += matches->count;
        section->arrival_count += (uint64_t)matches->count * run->groups[g].member_count;
    }
}

static void cut_streams(struct run *run, struct run_section *section)
{
    section->first = ARENA_ARRAY(&run->arena, uint32_t, run->streams_count + 1);
    section->next = ARENA_ARRAY(&run->arena, uint32_t, run->streams_count + 1);
    section->before = ARENA_ARRAY(&run->arena, bool, run->streams_count + 1);
    section->waits = ARENA_ARRAY(&run->arena, uint32_t, (size_t)section->instances + 1);
    for (uint32_t s = 0; s < run->streams_count; s++) {
        section->first[s] = PROGRAM_NONE;
        section->next[s] = run->section_count;
    }
    for (uint32_t r = 0; r < run->job->rank_count; r++)
        for (uint32_t i = section->end_slot[r]; i-- > section->first_slot[r];) {
            const struct task *task = &run->ranks[r].tasks[i];
            section->waits[section->instance_base[r] + i] = task->waits;
            section->first[run->ranks[r].first_stream + task->stream] = i;
        }
}

/* In which sections a stream has operations before and after each. */
static void chain_streams(struct run *run)
{
    for (uint32_t s = 0; s < run->streams_count; s++) {
        uint32_t next = run->section_count;
        for (uint32_t k = run->section_count; k-- > 0;) {
            run->sections[k].next[s] = next;
            next = run->sections[k].first[s] == PROGRAM_NONE ? next : k;
        }
        for (uint32_t k = next + 1; k < run->section_count; k++)
            run->sections[k].before[s] = true;
    }
}

/* A send meets its receive in its own section or in the next one, where that has the same matches each time.
 */
static bool meets(const struct run *run, uint32_t s, uint32_t group, uint32_t match)
{
    const struct run_matches *here = &run->sections[s].matches[group], *there = here;
    if (match - here->first < here->count)
        return true;
    if (s + 1 == run->section_count)
        return false;
    there = &run->sections[s + 1].matches[group];
    return match - there->first < there->count &&
           (run->sections[s].times == 1 || here->count == there->count);
}

/* What is wrong with an operation in its section; NULL: nothing. */
static const char *problem_of(const struct run *run, uint32_t s, uint32_t r, uint32_t slot)
{
    const struct run_section *section = &run->sections[s];
    const struct task *task = &run->ranks[r].tasks[slot];
    uint32_t stream = run->ranks[r].first_stream + task->stream;
    if (s && task->kind != OP_RECEIVE && !section->before[stream] && !task->waits)
        return "waits for nothing";
    if (task->kind == OP_SEND && !meets(run, s, run->ranks[r].groups[task->group], task->match))
        return "is sent to another section than the next";
    return NULL;
}

static bool check(struct run *run)
{
    for (uint32_t s = 0; s < run->section_count && run->job->section_count; s++)
        for (uint32_t r = 0; r < run->job->rank_count; r++)
            for (uint32_t i = run->sections[s].first_slot[r]; i < run->sections[s].end_slot[r]; i++) {
                const char *problem = problem_of(run, s, r, i);
                if (!problem)
                    continue;
                run->error =
                    arena_format(&run->arena, "section %u: rank %u, operation %u %s", s, r, i, problem);
                return false;
            }
    return true;
}

bool section_lay_out(struct run *run)
{
    const struct job *job = run->job;
    run->section_count = job->section_count ? job->section_count : 1;
    run->sections = ARENA_ARRAY(&run->arena, struct run_section, run->section_count);
    for (uint32_t s = 0; s < run->section_count; s++) {
        struct run_section *section = &run->sections[s];
        section->first_pass = run->pass_count;
        section->times = times_of(job, s);
        cut_ranks(run, s);
        cut_groups(run, section);
        cut_streams(run, section);
        run->pass_count += section->times;
        run->all_instances += (uint64_t)section->instances * section->times;
        run->instances = section->instances > run->instances ? section->instances : run->instances;
        if (section->meeting_count > run->meeting_count)
            run->meeting_count = section->meeting_count;
        if (section->arrival_count > run->arrival_count)
            run->arrival_count = section->arrival_count;
    }
    chain_streams(run);
    return check(run);
}

const struct run_section *section_of(const struct run *run, uint32_t p)
{
    uint32_t s = 0;
    while (p - run->sections[s].first_pass >= run->sections[s].times)
        s++;
    return &run->sections[s];
}

bool section_meeting(const struct run *run, uint32_t group, uint32_t *p, uint32_t *match)
{
    const struct run_section *section = section_of(run, *p);
    const struct run_matches *here = &section->matches[group];
    if (*match - here->first < here->count)
        return false;
    if (*p - section->first_pass + 1 < section->times)
        *match += here->first - section[1].matches[group].first;
    ++*p;
    return true;
}
