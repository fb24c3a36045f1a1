/* Where there is one pass, its records are the result's. Where the job has a lead, each has arrays for one
 * step, and those of the job's own steps are copied to where the programs' operations have theirs: step ·
 * operations of a step + slot. Of the passes through a job's sections only the observer sees the records. */
#include "engine/pass.h"

#include "engine/section.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static struct run_pass *take(struct run *run)
{
    if (run->unused.count)
        return run->unused.at[--run->unused.count];
    struct run_pass *pass = ARENA_NEW(&run->arena, struct run_pass);
    struct arena *arena = run->pass_count > 1 ? &run->arena : run->kept;
    pass->records = ARENA_ARRAY(arena, struct engine_record, (size_t)run->instances + 1);
    pass->pending = ARENA_ARRAY(&run->arena, uint32_t, (size_t)run->instances + 1);
    pass->meetings = ARENA_ARRAY(&run->arena, struct run_meeting, (size_t)run->meeting_count + 1);
    pass->arrivals = ARENA_ARRAY(&run->arena, uint32_t, run->arrival_count + 1);
    return pass;
}

/* A receive that waits for nothing has been there since time 0: nothing can have been sent to it yet. */
static void post_receive(struct run *run, struct run_pass *pass, uint32_t r, uint32_t slot)
{
    const struct task *task = &run->ranks[r].tasks[slot];
    uint32_t g = run->ranks[r].groups[task->group];
    const struct run_matches *matches = &pass->section->matches[g];
    pass->arrivals[matches->arrival_base + task->match * run->groups[g].member_count + 1] = slot;
    pass->meetings[matches->meeting_base + task->match].arrived++;
    run->events++;
}

/* The first operation of a stream in a pass waits for the last one before, if there is one. */
static void chain(struct run *run, struct run_pass *pass)
{
    const struct run_section *section = pass->section;
    for (uint32_t s = 0; s < run->streams_count; s++) {
        uint32_t r = run->streams[s].rank, slot = section->first[s];
        if (slot == PROGRAM_NONE)
            continue;
        uint32_t *pending = &pass->pending[section->instance_base[r] + slot];
        if (pass->time || section->before[s])
            ++*pending;
        else if (!*pending)
            post_receive(run, pass, r, slot);
    }
}

static struct run_pass *open_pass(struct run *run, uint32_t p)
{
    const struct run_section *section = section_of(run, p);
    struct run_pass *pass = run->passes[p] = take(run);
    pass->section = section;
    pass->time = p - section->first_pass;
    if (p) /* the first one's are new */
        memset(pass->records, 0, section->instances * sizeof *pass->records);
    memcpy(pass->pending, section->waits, section->instances * sizeof *pass->pending);
    memset(pass->arrivals, 0xff, section->arrival_count * sizeof *pass->arrivals);
    for (uint32_t m = 0; m < section->meeting_count; m++)
        pass->meetings[m] = (struct run_meeting){0, PROGRAM_NONE, false};
    pass->ended = 0;
    return pass;
}

void pass_begin(struct run *run, uint32_t p)
{
    if (!run->passes[p])
        chain(run, open_pass(run, p));
}

/* The first pass waits for none before; what waits for nothing is released, by rank and slot. */
static void begin_first(struct run *run)
{
    const struct run_pass *pass = open_pass(run, 0);
    const struct run_section *section = pass->section;
    for (uint32_t r = 0; r < run->job->rank_count; r++)
        for (uint32_t i = section->first_slot[r]; i < section->end_slot[r]; i++)
            if (!pass->pending[section->instance_base[r] + i])
                VECTOR_PUSH(&run->ready, ((struct run_release){r, i, 0}));
}

uint32_t pass_after(struct run *run, uint32_t p, uint32_t stream)
{
    const struct run_pass *pass = run->passes[p];
    uint32_t next = pass->section->next[stream], after = PROGRAM_NONE;
    if (pass->time + 1 < pass->section->times)
        after = p + 1;
    else if (next < run->section_count)
        after = run->sections[next].first_pass;
    if (after != PROGRAM_NONE)
        pass_begin(run, after);
    return after;
}

void pass_init(struct run *run)
{
    const struct job *job = run->job;
    run->passes = ARENA_ARRAY(&run->arena, struct run_pass *, (size_t)run->pass_count + 1);
    begin_first(run);
    if (run->pass_count == 1)
        return;
    run->first_flow = ARENA_ARRAY(&run->arena, uint32_t, (size_t)job->group_count + 1);
    if (!job->section_count)
        run->all_records =
            ARENA_ARRAY(run->kept, struct engine_record, (size_t)run->instances * job->steps + 1);
    run->books = ARENA_ARRAY(run->kept, struct engine_book, (size_t)run->streams_count + 1);
    run->first_start = INFINITY;
}

void pass_fini(struct run *run)
{
    VECTOR_FREE(&run->unused);
    VECTOR_FREE(&run->transfer_passes);
    VECTOR_FREE(&run->free_transfers);
    VECTOR_FREE(&run->kept_transfers);
    VECTOR_FREE(&run->flows);
    VECTOR_FREE(&run->sums);
}

/* A cause in the same pass is as many steps on as its operation; one before the first step that is kept is
 * none. */
static struct engine_record kept_record(const struct run *run, struct engine_record record, uint32_t slot,
                                        uint32_t step)
{
    bool before = record.cause == CAUSE_STREAM && record.cause_slot >= slot;
    if (before && !step)
        record.cause = CAUSE_BEGIN;
    if (record.cause == CAUSE_BEGIN)
        record.cause_slot = record.cause_rank = 0;
    else if (record.cause_slot != PROGRAM_NONE)
        record.cause_slot += (step - before) * run->sections[0].end_slot[record.cause_rank];
    return record;
}

static void keep_records(struct run *run, const struct run_pass *pass, uint32_t step)
{
    for (uint32_t r = 0; r < run->job->rank_count; r++) {
        uint32_t ops = pass->section->end_slot[r], first = pass->section->instance_base[r];
        struct engine_record *to = run->all_records + (size_t)first * run->job->steps + (size_t)step * ops;
        for (uint32_t i = 0; i < ops; i++)
            to[i] = kept_record(run, pass->records[first + i], i, step);
    }
}

/* Streams' busy time and last end in passes that are not kept. False: operations of a stream overlap. */
static bool book_records(struct run *run, const struct run_pass *pass)
{
    const struct run_section *section = pass->section;
    bool good = true;
    for (uint32_t r = 0; r < run->job->rank_count; r++) {
        const struct run_rank *rank = &run->ranks[r];
        for (uint32_t i = section->first_slot[r]; i < section->end_slot[r]; i++) {
            const struct engine_record *record = &pass->records[section->instance_base[r] + i];
            struct engine_book *book = &run->books[rank->first_stream + rank->tasks[i].stream];
            good &=
                book->last <= record->ready && record->ready <= record->start && record->start <= record->end;
            run->first_start = fmin(run->first_start, record->start);
            book->busy += record->end - record->start;
            book->last = record->end;
        }
    }
    return good;
}

/* Whether a pass's records and transfers are kept. */
static bool kept(const struct run *run, uint32_t p)
{
    return !run->job->section_count && p >= run->job->lead;
}

static void close_transfers(struct run *run, const struct run_pass *pass, uint32_t p)
{
    const struct job *job = run->job;
    while (run->sums.count < run->activities.count)
        VECTOR_PUSH(&run->sums, ((struct engine_sum){0}));
    for (uint32_t m = 0; m < pass->section->meeting_count; m++) {
        uint32_t index = pass->meetings[m].transfer;
        if (index == PROGRAM_NONE)
            continue;
        struct engine_transfer transfer = run->transfers.at[index];
        VECTOR_PUSH(&run->free_transfers, index);
        if (!kept(run, p)) {
            struct engine_sum *sum = &run->sums.at[transfer.activity];
            sum->bytes += transfer.bytes;
            sum->group = transfer.group;
            sum->transfers++;
            continue;
        }
        transfer.match += (p - job->lead) * (job->groups[transfer.group].match_count / job->steps);
        VECTOR_PUSH(&run->kept_transfers, transfer);
    }
}

static void show(struct run *run, const struct run_pass *pass, const struct engine_observer *observer)
{
    run->flows.count = 0;
    for (uint32_t m = 0; m < pass->section->meeting_count; m++)
        VECTOR_PUSH(&run->flows, pass->meetings[m].transfer);
    for (uint32_t g = 0; g < run->job->group_count; g++)
        run->first_flow[g] = pass->section->matches[g].meeting_base;
    const struct engine_pass shown = {.section = (uint32_t)(pass->section - run->sections),
                                      .time = pass->time,
                                      .records = pass->records,
                                      .first_record = pass->section->instance_base,
                                      .transfers = run->transfers.at,
                                      .flows = run->flows.at,
                                      .first_flow = run->first_flow,
                                      .activities = run->activity_list.at,
                                      .activity_count = run->activity_list.count};
    observer->pass(observer->state, &shown);
}

void pass_close(struct run *run)
{
    while (run->pass_count > 1 && run->passes_over < run->pass_count) {
        uint32_t p = run->passes_over;
        struct run_pass *pass = run->passes[p];
        if (!pass || pass->ended < pass->section->instances)
            return;
        if (kept(run, p))
            keep_records(run, pass, p - run->job->lead);
        else if (!book_records(run, pass))
            run->error = arena_format(&run->arena, "self-check failed: operations overlap in pass %u", p);
        if (run->options->observer.pass)
            show(run, pass, &run->options->observer);
        close_transfers(run, pass, p);
        VECTOR_PUSH(&run->unused, pass);
        run->passes[p] = NULL;
        run->passes_over++;
    }
}

void pass_hand_over(struct run *run, struct engine_result *result)
{
    if (run->pass_count == 1) {
        result->records = run->passes[0]->records;
        result->transfers = run->transfers.at;
        result->transfer_count = run->transfers.count;
        run->transfers.at = NULL;
        return;
    }
    while (run->sums.count < run->activities.count)
        VECTOR_PUSH(&run->sums, ((struct engine_sum){0}));
    result->records = run->all_records;
    result->transfers = run->kept_transfers.at;
    result->transfer_count = run->kept_transfers.count;
    run->kept_transfers.at = NULL;
    result->lead_books = run->books;
    result->lead_sums = arena_copy(run->kept, run->sums.at, run->sums.count * sizeof *run->sums.at);
    result->lead_start = run->first_start;
}
