/* Each check recomputes one sum from other data than the event loop used for it. A failed check is a defect
 * of the engine or of the job (two ends of a message that disagree about its bytes), never of rounding: all
 * tolerances are 1e-9 relative. */
#include "engine/check.h"

#include <math.h>

static bool near(double a, double b, double scale)
{
    return fabs(a - b) <= 1e-9 * scale;
}

struct meeting_book {
    double sent, received; /* bytes; a collective: of its first member, in both */
    uint32_t collective;   /* kind + 1; 0: a message */
    uint32_t members;
};

static bool book_op(struct arena *arena, const struct op *op, struct meeting_book *book, const char **error)
{
    book->members++;
    if (op->kind == OP_SEND)
        book->sent += op->bytes;
    else if (op->kind == OP_RECEIVE)
        book->received += op->bytes;
    else if (book->members == 1)
        *book = (struct meeting_book){op->bytes, op->bytes, op->collective + 1u, 1};
    else if (book->sent != op->bytes || book->collective != op->collective + 1u) {
        *error = arena_format(arena, "is %s of %.17g bytes for one member and %s of %.17g for another",
                              communication_names[op->collective], op->bytes,
                              book->collective ? communication_names[book->collective - 1] : "a message",
                              book->sent);
        return false;
    }
    return true;
}

/* Bytes sent = bytes received, at every meeting of every group. */
static bool check_bytes(struct arena *arena, const struct job *job, const char **error)
{
    uint32_t *first = ARENA_ARRAY(arena, uint32_t, job->group_count + 1);
    for (uint32_t g = 0; g < job->group_count; g++)
        first[g + 1] = first[g] + job->groups[g].match_count;
    struct meeting_book *books = ARENA_ARRAY(arena, struct meeting_book, first[job->group_count] + 1);
    for (uint32_t r = 0; r < job->rank_count; r++) {
        const struct rank *rank = &job->ranks[r];
        const struct program *program = &job->programs[rank->program];
        for (uint32_t s = 0; s < program->op_count; s++) {
            const struct op *op = &program->ops[s];
            if (op->kind == OP_COMPUTE)
                continue;
            uint32_t g = job->group_table[rank->first_group + op->group];
            const char *problem = NULL;
            if (!book_op(arena, op, &books[first[g] + op->match], &problem)) {
                *error = arena_format(arena, "group '%s', match %u %s",
                                      names_text(job->names, job->groups[g].name), op->match, problem);
                return false;
            }
        }
    }
    for (uint32_t g = 0; g < job->group_count; g++) {
        for (uint32_t m = first[g]; m < first[g + 1]; m++) {
            if (books[m].sent == books[m].received)
                continue;
            *error = arena_format(arena, "group '%s', match %u: %.17g bytes sent, %.17g received",
                                  names_text(job->names, job->groups[g].name), m - first[g], books[m].sent,
                                  books[m].received);
            return false;
        }
    }
    return true;
}

/* Operations of a stream do not overlap, and busy + waits = its span from time 0 to its last end. */
static bool check_rank(struct arena *arena, const struct job *job, const struct engine_result *result,
                       uint32_t r, struct engine_book *books, const char **error)
{
    const struct program *program = &job->programs[job->ranks[r].program];
    const struct engine_record *records = result->records + result->first_record[r];
    const struct engine_book *lead = result->lead_books ? result->lead_books + result->first_stream[r] : NULL;
    for (uint32_t i = 0; i < program->stream_count; i++)
        books[i] = lead ? lead[i] : (struct engine_book){0, 0};
    for (uint32_t s = 0; result->records && s < program->op_count; s++) {
        struct engine_book *book = &books[program->ops[s].stream];
        const struct engine_record *record = &records[s];
        if (!(book->last <= record->ready && record->ready <= record->start &&
              record->start <= record->end)) {
            *error = arena_format(arena, "rank %u, operation %u: %.17g, %.17g, %.17g, %.17g do not ascend", r,
                                  s, book->last, record->ready, record->start, record->end);
            return false;
        }
        book->busy += record->end - record->start;
        book->last = record->end;
    }
    for (uint32_t i = 0; i < program->stream_count; i++) {
        const double *waits = result->stream_waits[result->first_stream[r] + i];
        double sum = books[i].busy + waits[0] + waits[1] + waits[2] + waits[3];
        if (near(sum, books[i].last, books[i].last))
            continue;
        *error = arena_format(arena, "rank %u, stream %u: busy and waits are %.17g s of a span of %.17g s", r,
                              i, sum, books[i].last);
        return false;
    }
    return true;
}

static bool check_streams(struct arena *arena, const struct job *job, const struct engine_result *result,
                          const char **error)
{
    uint32_t streams = 0;
    for (uint32_t p = 0; p < job->program_count; p++)
        if (job->programs[p].stream_count > streams)
            streams = job->programs[p].stream_count;
    struct engine_book *books = ARENA_ARRAY(arena, struct engine_book, streams + 1);
    for (uint32_t r = 0; r < job->rank_count; r++)
        if (!check_rank(arena, job, result, r, books, error))
            return false;
    return true;
}

/* What the network counted on each link = what the transfers' activities say. */
static bool check_links(struct arena *arena, const struct platform *platform,
                        const struct engine_result *result, const char **error)
{
    double *bytes = ARENA_ARRAY(arena, double, platform->links.count + 1);
    double *payload = ARENA_ARRAY(arena, double, result->activity_count + 1);
    for (uint32_t a = 0; result->lead_sums && a < result->activity_count; a++)
        payload[a] = result->lead_sums[a].bytes;
    for (uint32_t t = 0; t < result->transfer_count; t++) {
        const struct engine_transfer *transfer = &result->transfers[t];
        payload[transfer->activity] += transfer->bytes;
        if (transfer->end + 1e-9 * transfer->end < transfer->start + transfer->latency) {
            *error =
                arena_format(arena, "a transfer ends at %.17g s, before its latency is over", transfer->end);
            return false;
        }
    }
    for (uint32_t a = 0; a < result->activity_count; a++)
        for (uint32_t i = 0; i < result->activities[a].usage.count; i++)
            bytes[result->activities[a].usage.at[i].link] += payload[a] * result->activities[a].bytes_factor *
                                                             result->activities[a].usage.at[i].coefficient;
    for (uint32_t l = 0; l < platform->links.count; l++) {
        if (near(bytes[l], result->link_bytes[l], bytes[l]))
            continue;
        *error = arena_format(arena, "link '%s' carried %.17g bytes, its transfers have %.17g",
                              names_text(platform->names, platform->links.at[l].name), result->link_bytes[l],
                              bytes[l]);
        return false;
    }
    return true;
}

bool check_result(struct arena *arena, const struct platform *platform, const struct job *job,
                  const struct engine_result *result, const char **error)
{
    return check_bytes(arena, job, error) && check_streams(arena, job, result, error) &&
           check_links(arena, platform, result, error);
}
