#include "trace/replay.h"

#include "cost/cost.h"
#include "trace/match.h"
#include "trace/order.h"

#include <math.h>
#include <string.h>

const char *const replay_compute_names[] = {"recorded", "roofline", "auto", NULL};

enum { STREAMS_MOST = 65535 };

struct replay {
    struct trace *trace;
    const struct platform *platform;
    struct replay_options options;
    struct job *job;
    struct report *report;
    struct arena arena;        /* scratch */
    uint32_t *first, *rank_of; /* per rank + 1; per node */
    double *seconds;           /* per node */
    struct match match;
    uint32_t *order;
    uint32_t *slot; /* per node: in its program; TRACE_NONE: it does nothing */
    VECTOR(double) shares;
    struct index_list group_table;
};

/* The program of a rank while it is made. */
struct part {
    VECTOR(struct op) ops;
    VECTOR(struct memory_change) memory;
    struct index_list dependencies, groups; /* groups: of the job, by slot */
    VECTOR(struct program_stream) streams;
    struct index_list *passed; /* per node that does nothing: the operations that it waits for */
    uint32_t *mark;            /* per operation: the node that has it among its dependencies, plus 1 */
};

static const struct trace_node *replay_node(const struct replay *replay, uint32_t node)
{
    uint32_t rank = replay->rank_of[node];
    return &replay->trace->ranks.at[rank].nodes.at[node - replay->first[rank]];
}

static void replay_number(struct replay *replay)
{
    const struct trace *trace = replay->trace;
    replay->first = ARENA_ARRAY(&replay->arena, uint32_t, trace->ranks.count + 1);
    for (uint32_t r = 0; r < trace->ranks.count; r++)
        replay->first[r + 1] = replay->first[r] + trace->ranks.at[r].nodes.count;
    uint32_t count = replay->first[trace->ranks.count];
    replay->rank_of = ARENA_ARRAY(&replay->arena, uint32_t, count);
    replay->seconds = ARENA_ARRAY(&replay->arena, double, count);
    replay->order = ARENA_ARRAY(&replay->arena, uint32_t, count);
    replay->slot = ARENA_ARRAY(&replay->arena, uint32_t, count);
    for (uint32_t r = 0; r < trace->ranks.count; r++)
        for (uint32_t i = replay->first[r]; i < replay->first[r + 1]; i++)
            replay->rank_of[i] = r;
}

/* The device of the platform that a rank of the trace names; TRACE_NONE: none. */
static uint32_t replay_named(const struct platform *platform, uint32_t name)
{
    for (uint32_t d = 0; name && d < platform->devices.count; d++)
        if (platform->devices.at[d].name == name)
            return d;
    return TRACE_NONE;
}

/* Rank r is the r-th worker, unless the trace names a device that the platform has (a host's memory, a drive:
 * these are no workers). */
static bool replay_devices(struct replay *replay)
{
    const struct trace *trace = replay->trace;
    struct index_list workers = {0};
    bool good = true;
    platform_list_workers(replay->platform, &workers);
    for (uint32_t r = 0; r < trace->ranks.count && good; r++) {
        uint32_t device = replay_named(replay->platform, trace->ranks.at[r].device);
        if (device == TRACE_NONE && r >= workers.count) {
            good = report_error(replay->report, replay->options.place,
                                "the trace has %u ranks, but this topology has %u devices",
                                trace->ranks.count, workers.count);
            break;
        }
        device = device == TRACE_NONE ? workers.at[r] : device;
        bool store = replay->platform->devices.at[device].role != DEVICE_WORKER;
        replay->job->ranks[r] = (struct rank){.device = device, .program = r, .store = store};
    }
    VECTOR_FREE(&workers);
    return good;
}

/* What was recorded, if anything. */
static double replay_recorded(const struct trace_node *node)
{
    return isnan(node->seconds) ? node->duration : node->seconds;
}

static enum replay_compute replay_choose(const struct replay *replay)
{
    if (replay->options.compute != REPLAY_AUTOMATIC)
        return replay->options.compute;
    for (uint32_t i = 0; i < replay->first[replay->trace->ranks.count]; i++) {
        const struct trace_node *node = replay_node(replay, i);
        if (node->type == TRACE_COMPUTE && (!isnan(node->seconds) || node->duration > 0))
            return REPLAY_RECORDED;
    }
    return REPLAY_ROOFLINE;
}

/* Seconds of a node that computes or moves memory. What runs on the host, of which a platform knows nothing,
 * takes its recorded time, and so does what has exact seconds and neither operations nor bytes to count.
 * Chakra does not say what kind of kernel a computation is: the rate of its arithmetic is that of matrix
 * products. */
static double replay_seconds(const struct replay *replay, uint32_t index, const struct trace_node *node)
{
    const struct device *device =
        &replay->platform->devices.at[replay->job->ranks[replay->rank_of[index]].device];
    const struct device_type *type = &replay->platform->device_types.at[device->type];
    bool moves = node->type == TRACE_LOAD || node->type == TRACE_STORE;
    if (node->type != TRACE_COMPUTE && !moves)
        return 0;
    if (node->host || node->fixed ||
        (replay->options.compute == REPLAY_RECORDED && (!moves || replay_recorded(node) > 0)))
        return replay_recorded(node);
    if (!(node->flops > 0) && !(node->bytes > 0))
        return isnan(node->seconds) ? 0 : node->seconds;
    struct kernel kernel = {.kind = moves ? KERNEL_MEMORY : KERNEL_MATMUL,
                            .flops = moves ? 0 : node->flops,
                            .bytes = node->bytes,
                            .launches = moves ? 0 : 1};
    return cost_seconds(type, device->speed, replay->options.precision, &kernel);
}

static bool replay_times(struct replay *replay)
{
    bool good = true;
    for (uint32_t i = 0; i < replay->first[replay->trace->ranks.count] && good; i++) {
        const struct trace_node *node = replay_node(replay, i);
        const struct trace_rank *rank = &replay->trace->ranks.at[replay->rank_of[i]];
        replay->seconds[i] = replay_seconds(replay, i, node);
        if (!isfinite(replay->seconds[i]))
            good = report_error(replay->report, (struct place){rank->path, 0, 0},
                                "%s computes %.6g FLOPs in %s, for which its device states no rate; choose "
                                "another `precision`",
                                trace_node_text(replay->trace, rank, node), node->flops,
                                precision_names[replay->options.precision]);
    }
    return good;
}

/* Each rank by itself first, for an order in which collectives can be joined; then all together. */
static bool replay_order(struct replay *replay)
{
    uint32_t count = replay->first[replay->trace->ranks.count];
    uint32_t *alone = ARENA_ARRAY(&replay->arena, uint32_t, count);
    uint32_t *after = ARENA_ARRAY(&replay->arena, uint32_t, count);
    for (uint32_t i = 0; i < count; i++) {
        alone[i] = i;
        after[i] = TRACE_NONE;
    }
    struct order_task task = {replay->trace, replay->first, alone, count, after, replay->seconds};
    if (!order_nodes(&task, replay->order, replay->report) ||
        !match_find(replay->trace, replay->platform, replay->first, replay->order, &replay->match,
                    &replay->arena, replay->report))
        return false;
    task.unit = replay->match.unit;
    task.unit_count = replay->match.unit_count;
    task.after = replay->match.after;
    return order_nodes(&task, replay->order, replay->report);
}

static void replay_groups(struct replay *replay)
{
    struct job *job = replay->job;
    job->group_count = replay->match.groups.count;
    job->groups = ARENA_ARRAY(&job->arena, struct group, job->group_count + 1);
    for (uint32_t g = 0; g < job->group_count; g++)
        job->member_count += replay->match.groups.at[g].members.count;
    job->members = ARENA_ARRAY(&job->arena, uint32_t, job->member_count + 1);
    for (uint32_t g = 0, at = 0; g < job->group_count; g++) {
        const struct match_group *group = &replay->match.groups.at[g];
        job->groups[g] = (struct group){.name = group->name,
                                        .first_member = at,
                                        .member_count = group->members.count,
                                        .match_count = group->communications,
                                        .rendezvous = group->rendezvous};
        for (uint32_t m = 0; m < group->members.count; m++)
            job->members[at++] = group->members.at[m];
    }
}

/* The stream of an operation, by its name. */
static const char *replay_stream_name(struct replay *replay, uint32_t index, const struct trace_node *node)
{
    switch (node->type) {
    case TRACE_LOAD:
    case TRACE_STORE:
        return "memory";
    case TRACE_SEND:
        return arena_format(&replay->arena, "send to %lld", (long long)node->target);
    case TRACE_RECEIVE:
        return arena_format(&replay->arena, "receive from %lld", (long long)node->source);
    case TRACE_COLLECTIVE:
        return names_text(replay->job->names, replay->match.groups.at[replay->match.group[index]].name);
    default:
        return node->host ? "host" : "compute";
    }
}

static uint32_t replay_stream(struct replay *replay, struct part *part, uint32_t index,
                              const struct trace_node *node)
{
    uint32_t name =
        node->stream ? node->stream : names_add(replay->job->names, replay_stream_name(replay, index, node));
    uint32_t at = 0;
    while (at < part->streams.count && part->streams.at[at].name != name)
        at++;
    if (at == part->streams.count)
        VECTOR_PUSH(&part->streams, ((struct program_stream){.name = name}));
    if (node->type == TRACE_COMPUTE && !node->host && !node->fixed)
        part->streams.at[at].compute = true;
    return at;
}

/* The rank's slot of a group of the job. */
static uint32_t replay_group_slot(struct part *part, uint32_t group)
{
    uint32_t at = 0;
    while (at < part->groups.count && part->groups.at[at] != group)
        at++;
    if (at == part->groups.count)
        VECTOR_PUSH(&part->groups, group);
    return at;
}

/* Bytes as struct op counts them: Chakra has what one member contributes to a gather. */
static double replay_bytes(const struct replay *replay, uint32_t index, const struct trace_node *node)
{
    if (node->type != TRACE_COLLECTIVE)
        return node->size;
    int kind = trace_collectives[node->kind];
    double members = replay->match.groups.at[replay->match.group[index]].members.count;
    if (kind == BARRIER || isnan(node->size))
        return 0;
    return kind == ALL_GATHER || kind == GATHER ? node->size * members : node->size;
}

static struct op replay_operation(struct replay *replay, uint32_t index, const struct trace_node *node)
{
    bool communicates = replay->match.group[index] != TRACE_NONE;
    struct op op = {.label = node->name,
                    .group = PROGRAM_NONE,
                    .micro_batch = (uint32_t)node->micro_batch,
                    .step = (uint32_t)node->step,
                    .pass = node->pass < 0 ? PASS_N : (uint8_t)node->pass};
    if (!communicates) {
        op.kind = OP_COMPUTE;
        op.seconds = replay->seconds[index];
        op.flops = node->flops;
        op.model_flops = isnan(node->model_flops) ? node->flops : node->model_flops;
        op.memory_bytes = node->bytes;
        return op;
    }
    op.kind = node->type == TRACE_SEND ? OP_SEND : node->type == TRACE_RECEIVE ? OP_RECEIVE : OP_COLLECTIVE;
    op.match = replay->match.number[index];
    op.bytes = replay_bytes(replay, index, node);
    if (op.kind == OP_COLLECTIVE)
        op.collective = (uint8_t)trace_collectives[node->kind];
    return op;
}

/* Adds an operation, once, to those that the node `index` waits for. */
static void replay_wait(struct part *part, struct index_list *out, uint32_t index, uint32_t slot)
{
    if (part->mark[slot] == index + 1)
        return;
    part->mark[slot] = index + 1;
    VECTOR_PUSH(out, slot);
}

static void replay_waits(struct replay *replay, struct part *part, uint32_t index,
                         const struct trace_node *node, struct index_list *out)
{
    uint32_t r = replay->rank_of[index];
    const struct trace_rank *rank = &replay->trace->ranks.at[r];
    for (uint32_t d = 0; d < node->dependency_count; d++) {
        uint32_t on = rank->dependencies.at[node->first_dependency + d];
        if (replay->slot[replay->first[r] + on] != TRACE_NONE) {
            replay_wait(part, out, index, replay->slot[replay->first[r] + on]);
            continue;
        }
        const struct index_list *passed = &part->passed[on];
        for (uint32_t i = 0; i < passed->count; i++)
            replay_wait(part, out, index, passed->at[i]);
    }
}

/* Where the shares of a collective begin in the job's, plus 1. Equal lists stand there once, so that all
 * members mean the same. */
static uint32_t replay_shares(struct replay *replay, const struct trace_rank *rank,
                              const struct trace_node *node)
{
    uint32_t count = node->share_count;
    if (!count)
        return 0;
    const double *own = &rank->shares.at[node->first_share];
    for (uint32_t i = 0; i + count <= replay->shares.count; i++)
        if (memcmp(&replay->shares.at[i], own, count * sizeof *own) == 0)
            return i + 1;
    uint32_t first = replay->shares.count;
    for (uint32_t i = 0; i < count; i++)
        VECTOR_PUSH(&replay->shares, own[i]);
    return first + 1;
}

static bool replay_shares_fit(struct replay *replay, uint32_t index, const struct trace_node *node)
{
    if (!node->share_count)
        return true;
    const struct trace_rank *rank = &replay->trace->ranks.at[replay->rank_of[index]];
    uint64_t members = replay->match.groups.at[replay->match.group[index]].members.count;
    bool pairs = trace_collectives[node->kind] == ALL_TO_ALL;
    return node->share_count == (pairs ? members * members : members) ||
           report_error(replay->report, (struct place){rank->path, 0, 0},
                        "%s: 'partita_shares' has %u shares for %llu members",
                        trace_node_text(replay->trace, rank, node), node->share_count,
                        (unsigned long long)members);
}

static bool replay_node_is_idle(const struct replay *replay, uint32_t index, const struct trace_node *node)
{
    bool works = node->type == TRACE_COMPUTE || node->type == TRACE_LOAD || node->type == TRACE_STORE;
    return !works && replay->match.group[index] == TRACE_NONE;
}

/* Appends a node to the program of its rank. */
static bool replay_append(struct replay *replay, struct part *part, uint32_t index)
{
    const struct trace_node *node = replay_node(replay, index);
    uint32_t r = replay->rank_of[index];
    if (replay_node_is_idle(replay, index, node)) {
        struct index_list passed = {0};
        replay_waits(replay, part, index, node, &passed);
        if (replay->match.after[index] !=
            TRACE_NONE) { /* a message to itself: its send does nothing either */
            const struct index_list *sent = &part->passed[replay->match.after[index] - replay->first[r]];
            for (uint32_t i = 0; i < sent->count; i++)
                replay_wait(part, &passed, index, sent->at[i]);
        }
        part->passed[index - replay->first[r]] = passed;
        replay->slot[index] = TRACE_NONE;
        return true;
    }
    struct op op = replay_operation(replay, index, node);
    uint32_t stream = replay_stream(replay, part, index, node);
    if (stream > STREAMS_MOST)
        return report_error(replay->report, (struct place){replay->trace->ranks.at[r].path, 0, 0},
                            "rank %u has more than %d streams", r, STREAMS_MOST);
    op.stream = (uint16_t)stream;
    if (op.kind != OP_COMPUTE)
        op.group = replay_group_slot(part, replay->match.group[index]);
    if (op.kind == OP_COLLECTIVE) {
        if (!replay_shares_fit(replay, index, node))
            return false;
        op.shares = replay_shares(replay, &replay->trace->ranks.at[r], node);
    }
    op.first_dependency = part->dependencies.count;
    replay_waits(replay, part, index, node, &part->dependencies);
    op.dependency_count = part->dependencies.count - op.first_dependency;
    replay->slot[index] = part->ops.count;
    if (replay->job->steps <= op.step)
        replay->job->steps = op.step + 1;
    struct memory_change taken = {.bytes = node->allocates,
                                  .op = part->ops.count,
                                  .label = op.label,
                                  .category = MEMORY_ACTIVATIONS},
                         given = {.bytes = -node->frees,
                                  .op = part->ops.count,
                                  .label = op.label,
                                  .category = MEMORY_ACTIVATIONS,
                                  .at_end = true};
    if (taken.bytes != 0)
        VECTOR_PUSH(&part->memory, taken);
    if (given.bytes != 0)
        VECTOR_PUSH(&part->memory, given);
    VECTOR_PUSH(&part->ops, op);
    return true;
}

static void replay_finish(struct replay *replay, const struct part *part, uint32_t rank)
{
    struct arena *arena = &replay->job->arena;
    replay->job->programs[rank] = (struct program){
        .ops = arena_copy(arena, part->ops.at, part->ops.count * sizeof *part->ops.at),
        .op_count = part->ops.count,
        .memory = arena_copy(arena, part->memory.at, part->memory.count * sizeof *part->memory.at),
        .memory_count = part->memory.count,
        .dependencies = arena_copy(arena, part->dependencies.at,
                                   part->dependencies.count * sizeof *part->dependencies.at),
        .dependency_count = part->dependencies.count,
        .streams = arena_copy(arena, part->streams.at, part->streams.count * sizeof *part->streams.at),
        .stream_count = part->streams.count};
    replay->job->ranks[rank].first_group = replay->group_table.count;
    for (uint32_t g = 0; g < part->groups.count; g++)
        VECTOR_PUSH(&replay->group_table, part->groups.at[g]);
}

static bool replay_rank(struct replay *replay, uint32_t rank, const uint32_t *nodes)
{
    uint32_t count = replay->trace->ranks.at[rank].nodes.count;
    struct arena scratch;
    arena_init(&scratch);
    struct part part = {.passed = ARENA_ARRAY(&scratch, struct index_list, count),
                        .mark = ARENA_ARRAY(&scratch, uint32_t, count)};
    bool good = true;
    for (uint32_t i = 0; i < count && good; i++)
        good = replay_append(replay, &part, nodes[i]);
    if (good)
        replay_finish(replay, &part, rank);
    for (uint32_t i = 0; i < count; i++)
        VECTOR_FREE(&part.passed[i]);
    VECTOR_FREE(&part.ops);
    VECTOR_FREE(&part.memory);
    VECTOR_FREE(&part.dependencies);
    VECTOR_FREE(&part.groups);
    VECTOR_FREE(&part.streams);
    arena_fini(&scratch);
    return good;
}

/* All programs, from the common order cut into those of the ranks. */
static bool replay_programs(struct replay *replay)
{
    struct job *job = replay->job;
    uint32_t count = replay->first[job->rank_count];
    uint32_t *sorted = ARENA_ARRAY(&replay->arena, uint32_t, count);
    uint32_t *next = arena_copy(&replay->arena, replay->first, job->rank_count * sizeof *next);
    bool good = true;
    for (uint32_t i = 0; i < count; i++)
        sorted[next[replay->rank_of[replay->order[i]]]++] = replay->order[i];
    for (uint32_t r = 0; r < job->rank_count && good; r++)
        good = replay_rank(replay, r, &sorted[replay->first[r]]);
    job->group_table = arena_copy(&job->arena, replay->group_table.at,
                                  replay->group_table.count * sizeof *replay->group_table.at);
    job->group_table_count = replay->group_table.count;
    if (replay->shares.count)
        job->shares =
            arena_copy(&job->arena, replay->shares.at, replay->shares.count * sizeof *replay->shares.at);
    job->share_count = replay->shares.count;
    return good;
}

bool replay_job(struct trace *trace, const struct platform *platform, const struct replay_options *options,
                struct job *job, enum replay_compute *compute, struct report *report)
{
    struct replay replay = {
        .trace = trace, .platform = platform, .options = *options, .job = job, .report = report};
    arena_init(&replay.arena);
    replay_number(&replay);
    job->rank_count = job->program_count = trace->ranks.count;
    job->ranks = ARENA_ARRAY(&job->arena, struct rank, job->rank_count);
    job->programs = ARENA_ARRAY(&job->arena, struct program, job->rank_count);
    job->steps = 1;
    *compute = replay.options.compute = replay_choose(&replay);
    bool good = replay_devices(&replay) && replay_times(&replay) && replay_order(&replay);
    if (good) {
        replay_groups(&replay);
        good = replay_programs(&replay);
    }
    match_fini(&replay.match);
    VECTOR_FREE(&replay.shares);
    VECTOR_FREE(&replay.group_table);
    arena_fini(&replay.arena);
    return good;
}
