#include "field.h"

#include "platform/route.h"

#include <stdlib.h>

static void field_init(struct field *field, uint32_t devices, uint32_t nodes)
{
    *field = (struct field){0};
    names_init(&field->names);
    platform_init(&field->platform, &field->names);
    for (uint32_t n = 0; n < nodes; n++)
        VECTOR_PUSH(&field->platform.nodes, ((struct node){.device = n < devices ? n : UINT32_MAX}));
    for (uint32_t d = 0; d < devices; d++) {
        VECTOR_PUSH(&field->platform.devices, ((struct device){.node = d, .speed = 1}));
        field->platform.nodes.at[d].terminal = true;
    }
    field->job.names = &field->names;
    arena_init(&field->job.arena);
}

void field_fini(struct field *field)
{
    VECTOR_FREE(&field->messages);
    arena_fini(&field->job.arena);
    platform_fini(&field->platform);
    names_fini(&field->names);
}

/* `count` links; returns the first. */
static uint32_t add_links(struct field *field, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        VECTOR_PUSH(&field->platform.links, ((struct link){.bandwidth = field_bandwidth}));
    return field->platform.links.count - count;
}

static void add_arc(struct field *field, uint32_t from, uint32_t to, uint32_t link)
{
    VECTOR_PUSH(&field->platform.arcs, ((struct arc){from, to, link}));
}

static int compare_arcs(const void *a, const void *b)
{
    const struct arc *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

static void sort_arcs(struct field *field)
{
    struct platform *platform = &field->platform;
    qsort(platform->arcs.at, platform->arcs.count, sizeof *platform->arcs.at, compare_arcs);
    uint32_t nodes = platform->nodes.count;
    platform->first_arc = ARENA_ARRAY(&platform->arena, uint32_t, nodes + 1);
    for (uint32_t a = 0; a < platform->arcs.count; a++)
        platform->first_arc[platform->arcs.at[a].from + 1]++;
    for (uint32_t n = 0; n < nodes; n++)
        platform->first_arc[n + 1] += platform->first_arc[n];
}

void field_star(struct field *field, uint32_t hosts, uint32_t planes)
{
    uint32_t devices = hosts * planes;
    field_init(field, devices, devices + planes);
    uint32_t up = add_links(field, devices), down = add_links(field, devices);
    for (uint32_t d = 0; d < devices; d++) {
        add_arc(field, d, devices + d / hosts, up + d);
        add_arc(field, devices + d / hosts, d, down + d);
    }
    sort_arcs(field);
}

void field_leaf_spine(struct field *field, uint32_t leaves, uint32_t per_leaf)
{
    uint32_t hosts = leaves * per_leaf, spines = per_leaf;
    uint32_t leaf = hosts, spine = leaf + leaves, port = spine + spines;
    field_init(field, hosts, port + hosts);
    uint32_t up = add_links(field, hosts), down = add_links(field, hosts);
    uint32_t rise = add_links(field, leaves * spines), fall = add_links(field, leaves * spines);
    for (uint32_t l = 0; l < leaves; l++)
        for (uint32_t s = 0; s < spines; s++)
            add_arc(field, leaf + l, spine + s, rise + l * spines + s);
    for (uint32_t h = 0; h < hosts; h++) {
        uint32_t l = h / per_leaf, s = h % spines;
        add_arc(field, h, leaf + l, up + h);
        add_arc(field, leaf + l, port + h, UINT32_MAX);
        add_arc(field, spine + s, port + h, fall + l * spines + s);
        add_arc(field, port + h, h, down + h);
    }
    sort_arcs(field);
}

void field_fat_tree(struct field *field, uint32_t pods, uint32_t leaves, uint32_t per_leaf)
{
    uint32_t racks = pods * leaves, hosts = racks * per_leaf, middles = pods * per_leaf;
    uint32_t leaf = hosts, middle = leaf + racks, core = middle + middles, high = core + per_leaf * leaves,
             low = high + hosts;
    field_init(field, hosts, low + hosts);
    uint32_t up = add_links(field, hosts), down = add_links(field, hosts);
    uint32_t rise = add_links(field, hosts), fall = add_links(field, hosts);  /* leaf to middle */
    uint32_t top = add_links(field, hosts), bottom = add_links(field, hosts); /* middle to core */
    for (uint32_t r = 0; r < racks; r++)
        for (uint32_t m = 0; m < per_leaf; m++)
            add_arc(field, leaf + r, middle + r / leaves * per_leaf + m, rise + r * per_leaf + m);
    for (uint32_t m = 0; m < middles; m++)
        for (uint32_t c = 0; c < leaves; c++)
            add_arc(field, middle + m, core + m % per_leaf * leaves + c, top + m * leaves + c);
    for (uint32_t h = 0; h < hosts; h++) {
        uint32_t rack = h / per_leaf, m = rack / leaves * per_leaf + h % per_leaf, c = rack % leaves;
        add_arc(field, h, leaf + rack, up + h);
        add_arc(field, leaf + rack, low + h, UINT32_MAX);
        add_arc(field, middle + m, high + h, UINT32_MAX);
        add_arc(field, core + h % per_leaf * leaves + c, high + h, bottom + m * leaves + c);
        add_arc(field, high + h, low + h, fall + rack * per_leaf + h % per_leaf);
        add_arc(field, low + h, h, down + h);
    }
    sort_arcs(field);
}

static void new_programs(struct job *job, uint32_t ranks, uint32_t programs)
{
    job->rank_count = ranks;
    job->program_count = programs;
    job->ranks = ARENA_ARRAY(&job->arena, struct rank, ranks);
    job->programs = ARENA_ARRAY(&job->arena, struct program, programs);
    job->steps = 1;
}

static void new_groups(struct job *job, uint32_t groups, uint32_t members, uint32_t table)
{
    job->group_count = groups;
    job->groups = ARENA_ARRAY(&job->arena, struct group, groups);
    job->member_count = members;
    job->members = ARENA_ARRAY(&job->arena, uint32_t, members);
    job->group_table_count = table;
    job->group_table = ARENA_ARRAY(&job->arena, uint32_t, table);
}

static void new_streams(struct job *job, struct program *program, uint32_t ops, uint32_t streams)
{
    program->ops = ARENA_ARRAY(&job->arena, struct op, ops);
    program->stream_count = streams;
    program->streams = ARENA_ARRAY(&job->arena, struct program_stream, streams);
}

void field_all_reduces(struct field *field, uint32_t ranks, uint32_t count, bool apart, double bytes)
{
    struct job *job = &field->job;
    uint32_t planes = apart ? count : 1, each = apart ? 1 : count;
    new_programs(job, ranks * planes, 1);
    new_groups(job, count, ranks * count, ranks * planes * each);
    new_streams(job, &job->programs[0], each, each);
    job->programs[0].op_count = each;
    for (uint32_t i = 0; i < each; i++)
        job->programs[0].ops[i] = (struct op){.kind = OP_COLLECTIVE,
                                              .collective = ALL_REDUCE,
                                              .group = i,
                                              .stream = (uint16_t)i,
                                              .bytes = bytes};
    for (uint32_t r = 0; r < ranks * planes; r++) {
        job->ranks[r] = (struct rank){.device = r, .first_group = r * each};
        for (uint32_t i = 0; i < each; i++)
            job->group_table[r * each + i] = apart ? r / ranks : i;
    }
    for (uint32_t i = 0; i < ranks && !apart; i++)
        for (uint32_t c = 0; c < count; c++)
            VECTOR_PUSH(&field->messages,
                        ((struct field_message){0, bytes / ranks, i, (i + 1) % ranks, 2 * (ranks - 1)}));
    for (uint32_t g = 0; g < count; g++) {
        job->groups[g] = (struct group){.first_member = g * ranks, .member_count = ranks, .match_count = 1};
        for (uint32_t i = 0; i < ranks; i++)
            job->members[g * ranks + i] = apart ? g * ranks + i : i;
    }
}

struct field_rank {
    double clock; /* of its last message */
    uint32_t sends, receives, slots;
};

enum { STREAM_TIMER, STREAM_RECEIVE, STREAM_SEND };

static uint32_t add_op(struct job *job, uint32_t rank, struct op op)
{
    struct program *program = &job->programs[rank];
    if (op.kind == OP_SEND && op.dependency_count)
        program->dependencies[program->dependency_count++] = program->op_count - 1;
    program->ops[program->op_count] = op;
    return program->op_count++;
}

static void add_send(struct job *job, struct field_rank *rank, uint32_t group,
                     const struct field_message *message)
{
    bool timed = message->start > 0;
    if (timed)
        add_op(job, message->from,
               (struct op){.kind = OP_COMPUTE,
                           .stream = STREAM_TIMER,
                           .group = PROGRAM_NONE,
                           .seconds = message->start - rank->clock});
    rank->clock = message->start;
    job->group_table[job->ranks[message->from].first_group + rank->slots] = group;
    add_op(job, message->from,
           (struct op){.kind = OP_SEND,
                       .stream = (uint16_t)(STREAM_SEND + rank->sends++),
                       .group = rank->slots++,
                       .first_dependency = job->programs[message->from].dependency_count,
                       .dependency_count = timed,
                       .bytes = message->bytes});
}

static void add_receive(struct job *job, struct field_rank *rank, uint32_t group,
                        const struct field_message *message)
{
    job->group_table[job->ranks[message->to].first_group + rank->slots] = group;
    add_op(
        job, message->to,
        (struct op){
            .kind = OP_RECEIVE, .stream = STREAM_RECEIVE, .group = rank->slots++, .bytes = message->bytes});
}

void field_messages(struct field *field)
{
    struct job *job = &field->job;
    const struct field_message *messages = field->messages.at;
    uint32_t count = field->messages.count;
    uint32_t hosts = field->platform.devices.count, slots = 0;
    struct field_rank *ranks = calloc(hosts, sizeof *ranks);
    new_programs(job, hosts, hosts);
    new_groups(job, count, 2 * count, 2 * count);
    for (uint32_t i = 0; i < count; i++) {
        ranks[messages[i].from].sends++;
        ranks[messages[i].to].receives++;
    }
    for (uint32_t h = 0; h < hosts; h++) {
        job->ranks[h] = (struct rank){.device = h, .program = h, .first_group = slots};
        slots += ranks[h].sends + ranks[h].receives;
        uint32_t timers = messages[count - 1].start > 0 ? ranks[h].sends : 0;
        new_streams(job, &job->programs[h], timers + ranks[h].sends + ranks[h].receives,
                    STREAM_SEND + ranks[h].sends);
        job->programs[h].dependencies = ARENA_ARRAY(&job->arena, uint32_t, timers);
        ranks[h] = (struct field_rank){0};
    }
    for (uint32_t i = 0; i < count; i++) {
        job->groups[i] = (struct group){.first_member = 2 * i, .member_count = 2, .match_count = 1};
        job->members[2 * i] = messages[i].from;
        job->members[2 * i + 1] = messages[i].to;
        add_send(job, &ranks[messages[i].from], i, &messages[i]);
        add_receive(job, &ranks[messages[i].to], i, &messages[i]);
    }
    free(ranks);
}

static void describe_route(struct field *field, const struct field_message *message, FILE *file)
{
    uint32_t count;
    const uint32_t *links = route_links(&field->platform, message->from, message->to, &count);
    fprintf(file, "%u %u %u", message->from, message->to, count);
    for (uint32_t i = 0; i < count; i++)
        fprintf(file, " %u", links[i]);
    fprintf(file, "\n");
}

/* The first message between two hosts writes their route. */
static uint32_t pair_of(const struct field *field, const struct field_message *message)
{
    return message->from * field->platform.devices.count + message->to;
}

void field_describe(struct field *field, FILE *file)
{
    uint32_t hosts = field->platform.devices.count, links = field->platform.links.count, routes = 0;
    fprintf(file, "hosts %u links %u\n", hosts, links);
    for (uint32_t l = 0; l < links; l++)
        fprintf(file, "%.17g\n", field->platform.links.at[l].bandwidth);
    uint8_t *seen = calloc((size_t)hosts * hosts, 1);
    for (uint32_t i = 0; i < field->messages.count; i++) {
        routes += !seen[pair_of(field, &field->messages.at[i])];
        seen[pair_of(field, &field->messages.at[i])] = 1;
    }
    fprintf(file, "routes %u\n", routes);
    for (uint32_t i = 0; i < field->messages.count; i++) {
        if (seen[pair_of(field, &field->messages.at[i])])
            describe_route(field, &field->messages.at[i], file);
        seen[pair_of(field, &field->messages.at[i])] = 0;
    }
    free(seen);
    fprintf(file, "flows %u\n", field->messages.count);
    for (uint32_t i = 0; i < field->messages.count; i++) {
        const struct field_message *message = &field->messages.at[i];
        fprintf(file, "%.17g %.17g %u %u %u\n", message->start, message->bytes, message->from, message->to,
                message->hops);
    }
}
