#include "engine/chronicle.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void chronicle_init(struct chronicle *chronicle, struct names *names, const uint32_t *devices, uint32_t count,
                    struct arena *arena)
{
    *chronicle = (struct chronicle){.names = names, .rank_count = count};
    chronicle->ranks = ARENA_ARRAY(arena, struct chronicle_rank, count + 1);
    chronicle->send = names_add(names, "send");
    chronicle->receive = names_add(names, "receive");
    chronicle->compute = names_add(names, "compute");
    for (uint32_t r = 0; r < count; r++) {
        chronicle->ranks[r].device = devices[r];
        VECTOR_PUSH(&chronicle->ranks[r].streams,
                    ((struct chronicle_stream){.name = chronicle->compute, .compute = true}));
    }
}

void chronicle_fini(struct chronicle *chronicle)
{
    for (uint32_t r = 0; r < chronicle->rank_count; r++) {
        struct chronicle_rank *rank = &chronicle->ranks[r];
        VECTOR_FREE(&rank->ops);
        VECTOR_FREE(&rank->records);
        VECTOR_FREE(&rank->streams);
        VECTOR_FREE(&rank->groups);
        VECTOR_FREE(&rank->out);
        VECTOR_FREE(&rank->in);
    }
    VECTOR_FREE(&chronicle->pairs);
    VECTOR_FREE(&chronicle->groups);
    VECTOR_FREE(&chronicle->members);
    VECTOR_FREE(&chronicle->transfers);
}

uint32_t chronicle_group(struct chronicle *chronicle, uint32_t name, const uint32_t *ranks, uint32_t count,
                         uint32_t *slots)
{
    struct group group = {.name = name, .first_member = chronicle->members.count, .member_count = count};
    for (uint32_t m = 0; m < count; m++) {
        struct chronicle_rank *rank = &chronicle->ranks[ranks[m]];
        VECTOR_PUSH(&chronicle->members, ranks[m]);
        slots[m] = rank->groups.count;
        VECTOR_PUSH(&rank->groups, chronicle->groups.count);
    }
    VECTOR_PUSH(&chronicle->groups, group);
    return chronicle->groups.count - 1;
}

/* Looks in the shorter of the two ranks' lists: a hub has many pairs, its spokes have few. */
uint32_t chronicle_pair(struct chronicle *chronicle, uint32_t from, uint32_t to, uint32_t name)
{
    const struct index_list *out = &chronicle->ranks[from].out, *in = &chronicle->ranks[to].in;
    const struct index_list *list = out->count < in->count ? out : in;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct chronicle_pair *pair = &chronicle->pairs.at[list->at[i]];
        if (pair->from == from && pair->to == to && pair->name == name)
            return list->at[i];
    }
    struct chronicle_pair pair = {.from = from, .to = to, .name = name, .way = PROGRAM_NONE};
    uint32_t slots[2];
    pair.group = chronicle_group(chronicle, name, (const uint32_t[]){from, to}, 2, slots);
    pair.from_slot = slots[0];
    pair.to_slot = slots[1];
    uint32_t index = chronicle->pairs.count;
    VECTOR_PUSH(&chronicle->pairs, pair);
    VECTOR_PUSH(&chronicle->ranks[from].out, index);
    VECTOR_PUSH(&chronicle->ranks[to].in, index);
    return index;
}

uint32_t chronicle_lane(struct chronicle *chronicle, uint32_t r, uint32_t name)
{
    struct chronicle_rank *rank = &chronicle->ranks[r];
    uint32_t s = 0;
    while (s < rank->streams.count && (rank->streams.at[s].name != name || rank->streams.at[s].taken))
        s++;
    if (s == rank->streams.count)
        VECTOR_PUSH(&rank->streams, ((struct chronicle_stream){.name = name}));
    rank->streams.at[s].taken = true;
    return s;
}

/* The cause as it stands in the record: of another rank only where a peer may be named. */
static void chronicle_set_cause(const struct chronicle_rank *rank, uint32_t r, uint16_t stream,
                                struct chronicle_cause cause, bool peer, struct engine_record *record)
{
    if (cause.rank != r &&
        !peer) { /* told by something that left no trace here: what ended last on its own */
        cause.rank = PROGRAM_NONE;
        for (uint32_t s = rank->ops.count; s-- > 0 && cause.rank == PROGRAM_NONE;)
            if (rank->records.at[s].end >= 0)
                cause = (struct chronicle_cause){r, s};
    }
    record->cause = CAUSE_BEGIN;
    if (cause.rank == PROGRAM_NONE)
        return;
    record->cause_rank = cause.rank;
    record->cause_slot = cause.slot;
    record->cause = peer ? CAUSE_PEER : CAUSE_DEPENDENCY;
    if (!peer && rank->ops.at[cause.slot].stream == stream)
        record->cause = CAUSE_STREAM;
}

uint32_t chronicle_begin(struct chronicle *chronicle, uint32_t r, const struct op *op, double ready,
                         double start, struct chronicle_cause cause, bool peer)
{
    struct chronicle_rank *rank = &chronicle->ranks[r];
    struct chronicle_stream *stream = &rank->streams.at[op->stream];
    struct engine_record record = {.ready = ready, .start = start, .end = -1};
    chronicle_set_cause(rank, r, op->stream, cause, peer, &record);
    assert(stream->last <= ready && ready <= start);
    stream->taken = true;
    stream->waits[record.cause] += ready - stream->last;
    stream->waits[CAUSE_PEER] += start - ready;
    VECTOR_PUSH(&rank->ops, *op);
    VECTOR_PUSH(&rank->records, record);
    return rank->ops.count - 1;
}

void chronicle_end(struct chronicle *chronicle, uint32_t r, uint32_t slot, double now)
{
    struct chronicle_rank *rank = &chronicle->ranks[r];
    struct chronicle_stream *stream = &rank->streams.at[rank->ops.at[slot].stream];
    rank->records.at[slot].end = now;
    stream->busy += now - rank->records.at[slot].start;
    stream->last = now;
    stream->taken = false;
}

static int chronicle_order(const void *left, const void *right)
{
    const struct engine_transfer *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    return a->match < b->match ? -1 : a->match > b->match;
}

static void hand_over_program(const struct chronicle *chronicle, uint32_t r, struct job *job)
{
    const struct chronicle_rank *rank = &chronicle->ranks[r];
    struct program *program = &job->programs[r];
    *program = (struct program){.op_count = rank->ops.count, .stream_count = rank->streams.count};
    program->ops = ARENA_ARRAY(&job->arena, struct op, rank->ops.count + 1);
    if (rank->ops.count)
        memcpy(program->ops, rank->ops.at, rank->ops.count * sizeof *program->ops);
    program->streams = ARENA_ARRAY(&job->arena, struct program_stream, rank->streams.count);
    for (uint32_t s = 0; s < rank->streams.count; s++)
        program->streams[s] = (struct program_stream){rank->streams.at[s].name, rank->streams.at[s].compute};
    job->ranks[r] =
        (struct rank){.device = rank->device, .program = r, .first_group = job->group_table_count};
    for (uint32_t g = 0; g < rank->groups.count; g++)
        job->group_table[job->group_table_count++] = rank->groups.at[g];
}

static void hand_over_job(const struct chronicle *chronicle, struct job *job)
{
    uint32_t count = chronicle->rank_count, table = 0;
    for (uint32_t r = 0; r < count; r++)
        table += chronicle->ranks[r].groups.count;
    job->programs = ARENA_ARRAY(&job->arena, struct program, count + 1);
    job->ranks = ARENA_ARRAY(&job->arena, struct rank, count + 1);
    job->groups = ARENA_ARRAY(&job->arena, struct group, chronicle->groups.count + 1);
    job->group_table = ARENA_ARRAY(&job->arena, uint32_t, table + 1);
    job->members = ARENA_ARRAY(&job->arena, uint32_t, chronicle->members.count + 1);
    job->program_count = job->rank_count = count;
    job->group_count = chronicle->groups.count;
    job->member_count = chronicle->members.count;
    job->steps = 1;
    for (uint32_t r = 0; r < count; r++)
        hand_over_program(chronicle, r, job);
    for (uint32_t g = 0; g < job->group_count; g++)
        job->groups[g] = chronicle->groups.at[g];
    for (uint32_t m = 0; m < job->member_count; m++)
        job->members[m] = chronicle->members.at[m];
}

static void hand_over_rank(const struct chronicle_rank *rank, uint32_t r, struct engine_result *result,
                           double *first, double *last)
{
    uint32_t records = result->first_record[r], streams = result->first_stream[r];
    for (uint32_t s = 0; s < rank->records.count; s++) {
        result->records[records + s] = rank->records.at[s];
        assert(rank->records.at[s].end >= 0);
        *first = fmin(*first, rank->records.at[s].start);
        *last = fmax(*last, rank->records.at[s].end);
    }
    for (uint32_t s = 0; s < rank->streams.count; s++)
        memcpy(result->stream_waits[streams + s], rank->streams.at[s].waits,
               sizeof rank->streams.at[s].waits);
    result->first_record[r + 1] = records + rank->records.count;
    result->first_stream[r + 1] = streams + rank->streams.count;
}

static void hand_over_result(struct chronicle *chronicle, struct engine_result *result)
{
    uint32_t count = chronicle->rank_count;
    size_t records = 0, streams = 0;
    for (uint32_t r = 0; r < count; r++) {
        records += chronicle->ranks[r].records.count;
        streams += chronicle->ranks[r].streams.count;
    }
    result->first_record = ARENA_ARRAY(&result->arena, uint32_t, count + 1);
    result->first_stream = ARENA_ARRAY(&result->arena, uint32_t, count + 1);
    result->records = ARENA_ARRAY(&result->arena, struct engine_record, records + 1);
    result->stream_waits =
        (double(*)[4])arena_array(&result->arena, streams + 1, sizeof *result->stream_waits);
    double first = INFINITY, last = 0;
    for (uint32_t r = 0; r < count; r++)
        hand_over_rank(&chronicle->ranks[r], r, result, &first, &last);
    result->makespan = records ? last - first : 0;
    result->transfers = chronicle->transfers.at;
    result->transfer_count = chronicle->transfers.count;
    chronicle->transfers.at = NULL;
    chronicle->transfers.count = 0;
    if (result->transfer_count)
        qsort(result->transfers, result->transfer_count, sizeof *result->transfers, chronicle_order);
}

void chronicle_hand_over(struct chronicle *chronicle, struct job *job, struct engine_result *result)
{
    hand_over_job(chronicle, job);
    hand_over_result(chronicle, result);
}
