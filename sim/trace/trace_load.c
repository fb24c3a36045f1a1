#include "trace/trace_load.h"

#include "trace/trace_format.h"
#include "trace/trace_yaml.h"

#include <stdlib.h>
#include <string.h>

const struct trace_format *const trace_load_formats[] = {&chakra_load_format, &kineto_load_format, NULL};

bool trace_load_groups(struct input *input, struct trace *trace, const char *path)
{
    const struct value *document = document_load(input, path);
    trace->groups_path = arena_text(&trace->arena, path);
    return document && trace_yaml_groups(input, document, trace);
}

/* One more than the highest rank that a file, a group or a message names. */
static uint32_t load_ranks(const struct trace *trace)
{
    uint32_t count = trace->ranks.at[trace->ranks.count - 1].rank + 1;
    if (trace->world > count)
        count = trace->world;
    for (uint32_t g = 0; g < trace->groups.count; g++)
        for (uint32_t m = 0; m < trace->groups.at[g].members.count; m++)
            if (trace->groups.at[g].members.at[m] >= count)
                count = trace->groups.at[g].members.at[m] + 1;
    return count;
}

/* A group that lists nobody is all ranks. */
static void load_whole_groups(struct trace *trace)
{
    for (uint32_t g = 0; g < trace->groups.count; g++) {
        bool whole = !trace->groups.at[g].members.count;
        for (uint32_t rank = 0; whole && rank < trace->ranks.count; rank++)
            VECTOR_PUSH(&trace->groups.at[g].members, rank);
    }
}

/* The group in which rank `to` has the place that rank `from` has in `name`: the same one when both are in
 * it, else one of as many members. TRACE_NONE: there is none. */
static uint32_t load_counterpart(const struct trace *trace, uint32_t name, uint32_t from, uint32_t to)
{
    const struct trace_group *group = trace_group_find(trace, name);
    uint32_t place = 0, found = TRACE_NONE;
    if (!name || !group || !group->members.count)
        return name;
    for (uint32_t m = 0; m < group->members.count; m++) {
        if (group->members.at[m] == to)
            return name;
        place = group->members.at[m] == from ? m : place;
    }
    for (uint32_t g = 0; g < trace->groups.count && found == TRACE_NONE; g++) {
        const struct trace_group *other = &trace->groups.at[g];
        if (other->members.count == group->members.count && other->members.at[place] == to)
            found = other->name;
    }
    return found;
}

static bool load_copy(struct input *input, struct trace *trace, uint32_t rank)
{
    const struct trace_rank *from = &trace->ranks.at[0];
    struct trace_rank to = {.rank = rank, .path = from->path};
    for (uint32_t i = 0; i < from->nodes.count; i++) {
        struct trace_node node = from->nodes.at[i];
        if (node.type == TRACE_SEND || node.type == TRACE_RECEIVE) {
            VECTOR_FREE(&to.nodes);
            return report_error(
                &input->report, (struct place){from->path, 0, 0},
                "%s sends to or receives from one rank: it cannot stand for rank %u, which has "
                "no file",
                trace_node_text(trace, from, &node), rank);
        }
        if (node.type == TRACE_COLLECTIVE)
            node.pg = load_counterpart(trace, node.pg, from->rank, rank);
        if (node.pg == TRACE_NONE) {
            VECTOR_FREE(&to.nodes);
            return report_error(&input->report, (struct place){from->path, 0, 0},
                                "%s: rank %u, which has no file, is in no group like that of this node",
                                trace_node_text(trace, from, &node), rank);
        }
        VECTOR_PUSH(&to.nodes, node);
    }
    for (uint32_t i = 0; i < from->ids.count; i++)
        VECTOR_PUSH(&to.ids, from->ids.at[i]);
    for (uint32_t i = 0; i < from->shares.count; i++)
        VECTOR_PUSH(&to.shares, from->shares.at[i]);
    VECTOR_PUSH(&trace->ranks, to);
    trace->copies++;
    return true;
}

static int load_order(const void *left, const void *right)
{
    const struct trace_rank *a = left, *b = right;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return strcmp(a->path, b->path);
}

/* Ranks are numbered without gaps from 0: others have no file. */
static bool load_complete(struct input *input, const struct trace_load_options *options,
                          const struct trace_format *format, const char *found, struct trace *trace)
{
    uint32_t files = trace->ranks.count, count = load_ranks(trace), at = 0;
    for (uint32_t rank = 0; rank < count; rank++) {
        if (at < files && trace->ranks.at[at].rank == rank) {
            at++;
            if (at < files && trace->ranks.at[at].rank == rank)
                return report_error(&input->report, (struct place){trace->ranks.at[at].path, 0, 0},
                                    "rank %u has another file: '%s'", rank, trace->ranks.at[at - 1].path);
            continue;
        }
        if (!options->copy)
            return report_error(&input->report, options->place,
                                "there is no '%s', but a file or a process group has rank %u of %u; with "
                                "`--set trace.missing=copy` it does what rank %u does",
                                format->file(trace, found, rank, &input->arena), rank, count,
                                trace->ranks.at[0].rank);
        if (options->devices && count > options->devices)
            return report_error(&input->report, options->place,
                                "a file or a process group has rank %u, but this topology has %u devices",
                                count - 1, options->devices);
        if (!load_copy(input, trace, rank))
            return false;
    }
    qsort(trace->ranks.at, trace->ranks.count, sizeof *trace->ranks.at, load_order);
    load_whole_groups(trace);
    return true;
}

static const struct trace_format *load_format(const char *path, struct arena *arena, const char **found)
{
    for (size_t i = 0; trace_load_formats[i]; i++)
        if ((*found = trace_load_formats[i]->find(path, arena)))
            return trace_load_formats[i];
    return NULL;
}

const char *trace_load_find(const char *path, struct arena *arena)
{
    const char *found = NULL;
    return *path && load_format(path, arena, &found) ? found : NULL;
}

static bool load_none(struct input *input, const struct trace_load_options *options)
{
    const char *expected = "";
    for (size_t i = 0; trace_load_formats[i]; i++)
        expected = arena_format(&input->arena, "%s%s%s", expected, i ? ", or " : "",
                                trace_load_formats[i]->expected);
    return report_error(&input->report, options->place, "there is no trace '%s': expected %s", options->path,
                        expected);
}

/* A rank that is not written out is missing like a file. */
static const char *load_written(const struct trace *trace, const char *found, uint32_t rank,
                                struct arena *arena)
{
    (void)trace;
    (void)found;
    return arena_format(arena, "of: %u", rank);
}

static const struct trace_format load_yaml = {.name = "yaml", .file = load_written};

static bool load_from(struct input *input, const struct trace_load_options *options,
                      const struct trace_format **format, const char **found, struct trace *trace)
{
    *found = "";
    *format = options->ranks ? &load_yaml : load_format(options->path, &trace->arena, found);
    if (!*format)
        return load_none(input, options);
    if (options->group_map && !trace_yaml_groups(input, options->group_map, trace))
        return false;
    if (options->ranks && options->groups && !trace_load_groups(input, trace, options->groups))
        return false;
    return options->ranks ? trace_yaml_read(input, options->ranks, trace)
                          : (*format)->load(input, options, *found, trace);
}

bool trace_load(struct input *input, const struct trace_load_options *options, struct trace *trace)
{
    const char *found;
    const struct trace_format *format;
    bool good = load_from(input, options, &format, &found, trace);
    if (trace->ranks.count)
        qsort(trace->ranks.at, trace->ranks.count, sizeof *trace->ranks.at, load_order);
    return good && load_complete(input, options, format, found, trace) && trace_link(trace, &input->report);
}
