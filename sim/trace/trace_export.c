#include "trace/trace_export.h"

#include "trace/chakra.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char export_version[] = "0.0.4"; /* of the schema */

/* A group of two ranks that exchange messages. */
struct pair {
    uint32_t from, to, group;
};

struct exporter {
    const struct job *job;
    const struct platform *platform;
    struct trace *trace;
    uint32_t *first_tag; /* per group: messages of the same pair in other groups have other tags */
    uint32_t *pg;        /* per group: interned number */
};

static int pair_order(const void *left, const void *right)
{
    const struct pair *a = left, *b = right;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    if (a->to != b->to)
        return a->to < b->to ? -1 : 1;
    return a->group < b->group ? -1 : a->group > b->group;
}

static void export_groups(struct exporter *e)
{
    const struct job *job = e->job;
    struct arena *arena = &e->trace->arena;
    struct pair *pairs = ARENA_ARRAY(arena, struct pair, job->group_count + 1);
    uint32_t count = 0;
    e->first_tag = ARENA_ARRAY(arena, uint32_t, job->group_count + 1);
    e->pg = ARENA_ARRAY(arena, uint32_t, job->group_count + 1);
    for (uint32_t g = 0; g < job->group_count; g++) {
        const struct group *group = &job->groups[g];
        const uint32_t *members = &job->members[group->first_member];
        struct trace_group named = {.name = names_add(e->trace->names, arena_format(arena, "%u", g + 1))};
        e->pg[g] = named.name;
        for (uint32_t m = 0; m < group->member_count; m++)
            VECTOR_PUSH(&named.members, members[m]);
        VECTOR_PUSH(&e->trace->groups, named);
        if (group->member_count == 2)
            pairs[count++] = (struct pair){members[0], members[1], g};
    }
    qsort(pairs, count, sizeof *pairs, pair_order);
    for (uint32_t i = 1; i < count; i++)
        if (pairs[i].from == pairs[i - 1].from && pairs[i].to == pairs[i - 1].to)
            e->first_tag[pairs[i].group] =
                e->first_tag[pairs[i - 1].group] + job->groups[pairs[i - 1].group].match_count;
}

/* Streams are known by their names: of two with one name the second gets a number. */
static uint32_t export_stream(struct exporter *e, const struct program *program, uint32_t stream)
{
    uint32_t name = program->streams[stream].name;
    for (uint32_t i = 0; i < stream; i++)
        if (program->streams[i].name == name)
            return names_add(e->trace->names, arena_format(&e->trace->arena, "%s %u",
                                                           names_text(e->trace->names, name), stream));
    return name;
}

static int64_t export_kind(int collective)
{
    for (int64_t kind = 0; kind < TRACE_COLLECTIVES; kind++)
        if (trace_collectives[kind] == collective)
            return kind;
    return -1;
}

static void export_communication(struct exporter *e, struct trace_rank *to, const struct rank *rank,
                                 const struct op *op, struct trace_node *node)
{
    const struct job *job = e->job;
    uint32_t g = job->group_table[rank->first_group + op->group];
    const struct group *group = &job->groups[g];
    node->label = group->name;
    node->seconds = NAN;
    node->size = op->bytes;
    node->tag = (int64_t)op->match;
    if (op->kind != OP_COLLECTIVE) {
        node->type = op->kind == OP_SEND ? TRACE_SEND : TRACE_RECEIVE;
        node->source = job->members[group->first_member];
        node->target = job->members[group->first_member + 1];
        node->tag += e->first_tag[g];
        node->rendezvous = group->rendezvous;
        return;
    }
    node->type = TRACE_COLLECTIVE;
    node->kind = export_kind(op->collective);
    node->pg = e->pg[g];
    if (op->collective == ALL_GATHER || op->collective == GATHER)
        node->size /= group->member_count; /* Chakra counts what one member has */
    if (op->shares) {
        node->first_share = to->shares.count;
        node->share_count =
            op->collective == ALL_TO_ALL ? group->member_count * group->member_count : group->member_count;
        for (uint32_t i = 0; i < node->share_count; i++)
            VECTOR_PUSH(&to->shares, job->shares[op->shares - 1 + i]);
    }
}

static void export_node(struct exporter *e, struct trace_rank *to, const struct rank *rank, uint32_t slot,
                        uint32_t before)
{
    const struct program *program = &e->job->programs[rank->program];
    const struct op *op = &program->ops[slot];
    struct trace_node node = {.id = slot,
                              .name = op->label,
                              .type = TRACE_COMPUTE,
                              .seconds = op->seconds,
                              .flops = op->flops,
                              .bytes = op->memory_bytes,
                              .model_flops = op->model_flops,
                              .pass = op->pass,
                              .micro_batch = op->micro_batch,
                              .step = op->step,
                              .stream = export_stream(e, program, op->stream),
                              .first_dependency = to->ids.count,
                              .dependency_count = op->dependency_count};
    for (uint32_t i = 0; i < op->dependency_count; i++)
        VECTOR_PUSH(&to->ids, program->dependencies[op->first_dependency + i]);
    if (before != PROGRAM_NONE) {
        VECTOR_PUSH(&to->ids, before);
        node.control_count = 1;
        node.dependency_count++;
    }
    if (op->kind != OP_COMPUTE)
        export_communication(e, to, rank, op, &node);
    VECTOR_PUSH(&to->nodes, node);
}

/* An operation waits for the one before it in its stream, which a trace says in so many words. */
static void export_rank(struct exporter *e, uint32_t index)
{
    const struct rank *rank = &e->job->ranks[index];
    const struct program *program = &e->job->programs[rank->program];
    struct trace_rank to = {.rank = index, .device = e->platform->devices.at[rank->device].name};
    struct index_list last = {0};
    for (uint32_t s = 0; s < program->stream_count; s++)
        VECTOR_PUSH(&last, PROGRAM_NONE);
    for (uint32_t slot = 0; slot < program->op_count; slot++) {
        export_node(e, &to, rank, slot, last.at[program->ops[slot].stream]);
        last.at[program->ops[slot].stream] = slot;
    }
    for (uint32_t i = program->held_count; i < program->memory_count; i++) { /* sums over categories */
        struct trace_node *node = &to.nodes.at[program->memory[i].op];
        *(program->memory[i].at_end ? &node->frees : &node->allocates) +=
            program->memory[i].at_end ? -program->memory[i].bytes : program->memory[i].bytes;
    }
    VECTOR_FREE(&last);
    VECTOR_PUSH(&e->trace->ranks, to);
}

static const char *export_problem(const struct job *job)
{
    if (job->lead)
        return "steps that are simulated but not written out cannot be exported";
    if (job->traffic_count)
        return "classes of traffic with weights or caps cannot be written as Chakra";
    for (uint32_t p = 0; p < job->program_count; p++)
        for (uint32_t i = 0; i < job->programs[p].op_count; i++)
            if (job->programs[p].ops[i].kind == OP_COLLECTIVE &&
                export_kind(job->programs[p].ops[i].collective) < 0)
                return "Chakra has no halo exchange as one collective";
    return NULL;
}

bool trace_export(const struct job *job, const struct platform *platform, struct trace *trace,
                  const char **problem)
{
    struct exporter e = {.job = job, .platform = platform, .trace = trace};
    *problem = export_problem(job);
    if (*problem)
        return false;
    export_groups(&e);
    for (uint32_t r = 0; r < job->rank_count; r++)
        export_rank(&e, r);
    return true;
}

/* As JSON has it; names have no control characters. */
static void export_text(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static bool export_write_groups(const struct trace *trace, FILE *out)
{
    for (uint32_t g = 0; g < trace->groups.count; g++) {
        const struct trace_group *group = &trace->groups.at[g];
        fputs(g ? ",\n " : "{", out);
        export_text(names_text(trace->names, group->name), out);
        fputs(": [", out);
        for (uint32_t m = 0; m < group->members.count; m++)
            fprintf(out, "%s%u", m ? ", " : "", group->members.at[m]);
        fprintf(out, "]");
    }
    fprintf(out, trace->groups.count ? "}\n" : "{}\n");
    return !ferror(out);
}

/* One file, the groups' (NULL) or a rank's: written beside, then moved. */
static bool export_file(struct trace *trace, const struct trace_rank *rank, const char *path,
                        const char **problem)
{
    const char *part = arena_format(&trace->arena, "%s.part", path);
    FILE *out = fopen(part, "wb");
    bool good =
        out && (rank ? chakra_write(trace, rank, export_version, out) : export_write_groups(trace, out));
    int why = errno;
    if (out && fclose(out) != 0) {
        good = false;
        why = errno;
    }
    if (good && rename(part, path) == 0)
        return true;
    *problem = arena_format(&trace->arena, "cannot write '%s': %s", path, strerror(good ? errno : why));
    if (out)
        remove(part);
    return false;
}

bool trace_export_files(struct trace *trace, const char *prefix, const char **problem)
{
    bool good = export_file(trace, NULL, arena_format(&trace->arena, "%s.json", prefix), problem);
    for (uint32_t r = 0; r < trace->ranks.count && good; r++)
        good = export_file(trace, &trace->ranks.at[r], arena_format(&trace->arena, "%s.%u.et", prefix, r),
                           problem);
    return good;
}
