/* Where there is one pass, its records are the result's. Where there are several, each has arrays for one
 * step, and those of the job's own steps are copied to where the programs' operations have theirs: step ·
 * operations of a step + slot. */
#include "engine/pass.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static uint32_t op_count(const struct run *run, uint32_t rank)
{
    const struct job *job = run->job;
    uint32_t count = job->programs[job->ranks[rank].program].op_count;
    return run->pass_count > 1 ? count / job->steps : count;
}

/* The first operation of each stream; what operations wait for at the start of a later pass: there those also
 * wait for the last one of their stream in the pass before. */
static void lay_out(struct run *run)
{
    run->waits_for = ARENA_ARRAY(&run->arena, uint32_t, (size_t)run->instances + 1);
    for (uint32_t s = 0; s < run->streams_count; s++)
        run->streams[s].first = PROGRAM_NONE;
    for (uint32_t r = 0; r < run->job->rank_count; r++) {
        const struct run_rank *rank = &run->ranks[r];
        for (uint32_t i = op_count(run, r); i-- > 0;) {
            run->waits_for[rank->first_instance + i] = rank->tasks[i].waits;
            run->streams[rank->first_stream + rank->tasks[i].stream].first = i;
        }
    }
    for (uint32_t s = 0; s < run->streams_count; s++)
        if (run->streams[s].first != PROGRAM_NONE)
            run->waits_for[run->ranks[run->streams[s].rank].first_instance + run->streams[s].first]++;
}

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

void pass_begin(struct run *run, uint32_t p)
{
    if (run->passes[p])
        return;
    struct run_pass *pass = run->passes[p] = take(run);
    if (p)
        memset(pass->records, 0, run->instances * sizeof *pass->records);
    memcpy(pass->pending, run->waits_for, run->instances * sizeof *pass->pending);
    memset(pass->arrivals, 0xff, run->arrival_count * sizeof *pass->arrivals);
    for (uint32_t m = 0; m < run->meeting_count; m++)
        pass->meetings[m] = (struct run_meeting){0, PROGRAM_NONE};
    pass->ended = 0;
}

/* In the first pass nothing waits for the pass before; what waits for nothing is released, by rank and slot.
 */
static void begin_first(struct run *run)
{
    pass_begin(run, 0);
    for (uint32_t s = 0; s < run->streams_count; s++)
        if (run->streams[s].first != PROGRAM_NONE)
            run->passes[0]
                ->pending[run->ranks[run->streams[s].rank].first_instance + run->streams[s].first]--;
    for (uint32_t r = 0; r < run->job->rank_count; r++)
        for (uint32_t i = 0; i < op_count(run, r); i++)
            if (!run->passes[0]->pending[run->ranks[r].first_instance + i])
                VECTOR_PUSH(&run->ready, ((struct run_release){r, i, 0}));
}

void pass_init(struct run *run)
{
    const struct job *job = run->job;
    run->passes = ARENA_ARRAY(&run->arena, struct run_pass *, (size_t)run->pass_count + 1);
    lay_out(run);
    begin_first(run);
    if (run->pass_count == 1)
        return;
    run->all_records = ARENA_ARRAY(run->kept, struct engine_record, (size_t)run->instances * job->steps + 1);
    run->books = ARENA_ARRAY(run->kept, struct engine_book, (size_t)run->streams_count + 1);
    run->first_start = INFINITY;
}

void pass_fini(struct run *run)
{
    VECTOR_FREE(&run->unused);
    VECTOR_FREE(&run->transfer_passes);
    VECTOR_FREE(&run->free_transfers);
    VECTOR_FREE(&run->kept_transfers);
    VECTOR_FREE(&run->payload);
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
        record.cause_slot += (step - before) * op_count(run, record.cause_rank);
    return record;
}

static void keep_records(struct run *run, const struct run_pass *pass, uint32_t step)
{
    for (uint32_t r = 0; r < run->job->rank_count; r++) {
        uint32_t ops = op_count(run, r), first = run->ranks[r].first_instance;
        struct engine_record *to = run->all_records + (size_t)first * run->job->steps + (size_t)step * ops;
        for (uint32_t i = 0; i < ops; i++)
            to[i] = kept_record(run, pass->records[first + i], i, step);
    }
}

/* Streams' busy time and last end up to the steps that are kept. False: operations of a stream overlap. */
static bool book_records(struct run *run, const struct run_pass *pass)
{
    bool good = true;
    for (uint32_t r = 0; r < run->job->rank_count; r++) {
        const struct run_rank *rank = &run->ranks[r];
        for (uint32_t i = 0, ops = op_count(run, r); i < ops; i++) {
            const struct engine_record *record = &pass->records[rank->first_instance + i];
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

static void close_transfers(struct run *run, const struct run_pass *pass, uint32_t p)
{
    const struct job *job = run->job;
    while (run->payload.count < run->activities.count)
        VECTOR_PUSH(&run->payload, 0.0);
    for (uint32_t m = 0; m < run->meeting_count; m++) {
        uint32_t index = pass->meetings[m].transfer;
        if (index == PROGRAM_NONE)
            continue;
        struct engine_transfer transfer = run->transfers.at[index];
        VECTOR_PUSH(&run->free_transfers, index);
        if (p < job->lead) {
            run->payload.at[transfer.activity] += transfer.bytes;
            continue;
        }
        transfer.match += (p - job->lead) * (job->groups[transfer.group].match_count / job->steps);
        VECTOR_PUSH(&run->kept_transfers, transfer);
    }
}

void pass_close(struct run *run)
{
    while (run->pass_count > 1 && run->passes_over < run->pass_count) {
        uint32_t p = run->passes_over;
        struct run_pass *pass = run->passes[p];
        if (!pass || pass->ended < run->instances)
            return;
        if (p >= run->job->lead)
            keep_records(run, pass, p - run->job->lead);
        else if (!book_records(run, pass))
            run->error = arena_format(&run->arena, "self-check failed: operations overlap in step %u", p);
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
    while (run->payload.count < run->activities.count)
        VECTOR_PUSH(&run->payload, 0.0);
    result->records = run->all_records;
    result->transfers = run->kept_transfers.at;
    result->transfer_count = run->kept_transfers.count;
    run->kept_transfers.at = NULL;
    result->lead_books = run->books;
    result->lead_bytes = arena_copy(run->kept, run->payload.at, run->payload.count * sizeof *run->payload.at);
    result->lead_start = run->first_start;
}
