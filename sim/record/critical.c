/* Critical path: the walk stands on an operation with a time until which it has been explained. What released
 * the operation says where to go on: the end of an operation of the same rank, or the moment at which a peer
 * became ready; the time in between is this operation's. Each move goes back in time or, at equal times, to
 * another operation; a walk longer than all operations together is a circle. */
#include "record/critical.h"

#include <math.h>
#include <stdlib.h>

const char *const critical_kind_names[CRITICAL_KIND_COUNT + 1] = {"compute", "communication", "waiting", 0};

struct walk {
    const struct job *job;
    const struct engine_result *result;
    uint32_t rank, slot;
    double until; /* what is later has been explained */
    double begin; /* of the step */
    bool by_peer; /* came here because a peer waited for this operation to become ready */
};

static const struct op *walk_op(const struct walk *walk, uint32_t rank, uint32_t slot)
{
    return &walk->job->programs[walk->job->ranks[rank].program].ops[slot];
}

static const struct engine_record *walk_record(const struct walk *walk, uint32_t rank, uint32_t slot)
{
    return &walk->result->records[walk->result->first_record[rank] + slot];
}

/* The operation that ends last in the last step; ties go to the lowest rank, then to the highest slot. */
static bool walk_start(struct walk *walk, const struct metrics *metrics)
{
    const struct job *job = walk->job;
    bool found = false;
    for (uint32_t rank = 0; rank < job->rank_count; rank++) {
        const struct program *program = &job->programs[job->ranks[rank].program];
        if (metrics->ranks.at[rank].last_end <= walk->until && found)
            continue;
        for (uint32_t slot = 0; slot < program->op_count; slot++) {
            double end = walk_record(walk, rank, slot)->end;
            if (program->ops[slot].step != job->steps - 1 ||
                (found && (end < walk->until || (end == walk->until && rank != walk->rank))))
                continue;
            walk->rank = rank;
            walk->slot = slot;
            walk->until = end;
            found = true;
        }
    }
    return found;
}

/* What made an operation ready, whatever its record says: of the operation before it in its stream and its
 * dependencies the one that ended last. PROGRAM_NONE when there is none. */
static uint32_t walk_local_cause(const struct walk *walk)
{
    const struct program *program = &walk->job->programs[walk->job->ranks[walk->rank].program];
    const struct op *op = &program->ops[walk->slot];
    uint32_t cause = PROGRAM_NONE;
    for (uint32_t slot = walk->slot; slot-- > 0;)
        if (program->ops[slot].stream == op->stream) {
            cause = slot;
            break;
        }
    for (uint32_t i = 0; i < op->dependency_count; i++) {
        uint32_t slot = program->dependencies[op->first_dependency + i];
        if (cause == PROGRAM_NONE ||
            walk_record(walk, walk->rank, slot)->end > walk_record(walk, walk->rank, cause)->end)
            cause = slot;
    }
    return cause;
}

/* Adds [from, walk->until] as the time of the operation that the walk stands on, cut at the step's begin. */
static void walk_add(struct walk *walk, struct critical *critical, double from, enum critical_kind kind)
{
    from = fmax(from, walk->begin);
    if (from >= walk->until)
        return;
    const struct op *op = walk_op(walk, walk->rank, walk->slot);
    struct critical_segment segment = {.start = from,
                                       .seconds = walk->until - from,
                                       .rank = walk->rank,
                                       .slot = walk->slot,
                                       .group = PROGRAM_NONE,
                                       .kind = (uint8_t)kind};
    if (kind == CRITICAL_COMMUNICATION) {
        const struct rank *rank = &walk->job->ranks[walk->rank];
        segment.group = walk->job->groups[walk->job->group_table[rank->first_group + op->group]].name;
    }
    VECTOR_PUSH(&critical->segments, segment);
    walk->until = from;
}

/* One move back. False at the beginning. */
static bool walk_back(struct walk *walk, struct critical *critical)
{
    const struct op *op = walk_op(walk, walk->rank, walk->slot);
    const struct engine_record *record = walk_record(walk, walk->rank, walk->slot);
    enum critical_kind kind = op->kind == OP_COMPUTE ? CRITICAL_COMPUTE : CRITICAL_COMMUNICATION;
    uint32_t rank = walk->rank, slot = record->cause_slot;
    bool by_peer = record->cause == CAUSE_PEER && !walk->by_peer;
    if (by_peer)
        rank = record->cause_rank;
    else if (record->cause == CAUSE_PEER)
        slot = walk_local_cause(walk);
    if (record->cause == CAUSE_BEGIN || slot == PROGRAM_NONE) {
        walk_add(walk, critical, fmin(record->start, walk->until), kind);
        walk_add(walk, critical, walk->begin, CRITICAL_WAITING);
        return false;
    }
    const struct engine_record *cause = walk_record(walk, rank, slot);
    double released = by_peer ? cause->ready : cause->end;
    if (!walk->by_peer) /* a receive that was ready late has its flow behind it: start < released */
        walk_add(walk, critical, fmax(record->start, released), kind);
    walk_add(walk, critical, released, CRITICAL_WAITING);
    walk->rank = rank;
    walk->slot = slot;
    walk->by_peer = by_peer;
    return walk->until > walk->begin;
}

static int share_order(const void *left, const void *right)
{
    const struct critical_share *a = left, *b = right;
    if (a->seconds != b->seconds)
        return a->seconds > b->seconds ? -1 : 1;
    return a->name < b->name ? -1 : a->name > b->name;
}

/* Turns the walk's segments round and sums them up. */
static void critical_sum(const struct walk *walk, struct critical *critical)
{
    uint32_t count = critical->segments.count;
    for (uint32_t i = 0; i < count / 2; i++) {
        struct critical_segment swap = critical->segments.at[i];
        critical->segments.at[i] = critical->segments.at[count - 1 - i];
        critical->segments.at[count - 1 - i] = swap;
    }
    VECTOR(double) by_name = {0}; /* two per name: as a label, as a group */
    for (uint32_t i = 0; i < 2 * walk->job->names->list.count; i++)
        VECTOR_PUSH(&by_name, 0);
    for (uint32_t i = 0; i < count; i++) {
        const struct critical_segment *segment = &critical->segments.at[i];
        critical->seconds[segment->kind] += segment->seconds;
        by_name.at[2 * walk_op(walk, segment->rank, segment->slot)->label] += segment->seconds;
        if (segment->group != PROGRAM_NONE)
            by_name.at[2 * segment->group + 1] += segment->seconds;
    }
    for (uint32_t name = 0; name < walk->job->names->list.count; name++) {
        if (by_name.at[2 * name] > 0)
            VECTOR_PUSH(&critical->labels, ((struct critical_share){name, by_name.at[2 * name]}));
        if (by_name.at[2 * name + 1] > 0)
            VECTOR_PUSH(&critical->groups, ((struct critical_share){name, by_name.at[2 * name + 1]}));
    }
    VECTOR_FREE(&by_name);
    if (critical->labels.count)
        qsort(critical->labels.at, critical->labels.count, sizeof *critical->labels.at, share_order);
    if (critical->groups.count)
        qsort(critical->groups.at, critical->groups.count, sizeof *critical->groups.at, share_order);
}

bool critical_path(const struct job *job, const struct engine_result *result, const struct metrics *metrics,
                   struct critical *critical, const char **error)
{
    *critical = (struct critical){0};
    struct walk walk = {.job = job, .result = result, .begin = metrics->window_start};
    struct arena *texts = (struct arena *)&job->arena; /* the caller's place for messages */
    if (!walk_start(&walk, metrics))
        return true;
    uint64_t moves = 0, limit = 2 * (uint64_t)result->first_record[job->rank_count] + 2;
    while (walk_back(&walk, critical))
        if (++moves > limit) {
            *error = arena_format(texts, "the causes of rank %u, operation %u run in a circle", walk.rank,
                                  walk.slot);
            critical_fini(critical);
            return false;
        }
    critical_sum(&walk, critical);
    double sum = 0;
    for (int kind = 0; kind < CRITICAL_KIND_COUNT; kind++)
        sum += critical->seconds[kind];
    if (fabs(sum - metrics->window) > 1e-9 * metrics->window) {
        *error = arena_format(texts, "the critical path sums to %.17g s, but the step takes %.17g s", sum,
                              metrics->window);
        critical_fini(critical);
        return false;
    }
    return true;
}

void critical_fini(struct critical *critical)
{
    VECTOR_FREE(&critical->segments);
    VECTOR_FREE(&critical->labels);
    VECTOR_FREE(&critical->groups);
    *critical = (struct critical){0};
}
