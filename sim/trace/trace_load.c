#include "trace/trace_load.h"

#include "input/fields.h"

#include "trace/chakra.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { RANK_DIGITS = 7 }; /* of a rank in a file's name */

/* Where the rank begins in a name NAME.RANK.et; 0: it is none. */
static size_t load_rank_at(const char *name)
{
    size_t length = strlen(name);
    if (length < 6 || strcmp(name + length - 3, ".et") != 0)
        return 0;
    size_t digits = length - 3;
    while (digits && name[digits - 1] >= '0' && name[digits - 1] <= '9')
        digits--;
    bool rank =
        digits < length - 3 && length - 3 - digits <= RANK_DIGITS && digits >= 2 && name[digits - 1] == '.';
    return rank ? digits : 0;
}

/* The first file of a folder that is a rank of a trace: of the trace `base`, or of any (NULL). */
static const char *load_first(const char *folder, const char *base, struct arena *arena)
{
    DIR *open = opendir(folder);
    const char *found = NULL;
    for (struct dirent *entry; open && (entry = readdir(open));) {
        size_t at = load_rank_at(entry->d_name);
        if (!at || (base && (strlen(base) != at - 1 || strncmp(base, entry->d_name, at - 1) != 0)))
            continue;
        if (!found || strcmp(entry->d_name, found) < 0) /* whatever order the folder has */
            found = arena_text(arena, entry->d_name);
    }
    if (open)
        closedir(open);
    return found;
}

static const char *load_folder(const char *path, struct arena *arena)
{
    const char *slash = strrchr(path, '/');
    return slash ? arena_format(arena, "%.*s", (int)(slash - path + 1), path) : "./";
}

static const char *load_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *trace_load_prefix(const char *path, struct arena *arena)
{
    struct stat about;
    size_t length = strlen(path), at = load_rank_at(load_base(path));
    if (!length)
        return NULL;
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode)) {
        const char *first = load_first(path, NULL, arena);
        const char *between = path[length - 1] == '/' ? "" : "/";
        return first ? arena_format(arena, "%s%s%.*s", path, between, (int)(load_rank_at(first) - 1), first)
                     : NULL;
    }
    if (at) /* one of its files */
        path = arena_format(arena, "%.*s", (int)(load_base(path) - path) + (int)at - 1, path);
    return load_first(load_folder(path, arena), load_base(path), arena) ? path : NULL;
}

static int load_order(const void *left, const void *right)
{
    const struct trace_rank *a = left, *b = right;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return strcmp(a->path, b->path);
}

/* All files of a trace, by rank. */
static void load_files(const char *prefix, struct trace *trace)
{
    const char *folder = load_folder(prefix, &trace->arena), *base = load_base(prefix);
    DIR *open = opendir(folder);
    for (struct dirent *entry; open && (entry = readdir(open));) {
        size_t at = load_rank_at(entry->d_name);
        if (!at || strlen(base) != at - 1 || strncmp(base, entry->d_name, at - 1) != 0)
            continue;
        struct trace_rank rank = {.rank = (uint32_t)strtoul(entry->d_name + at, NULL, 10)};
        rank.path = arena_format(&trace->arena, "%s.%s", prefix, entry->d_name + at);
        VECTOR_PUSH(&trace->ranks, rank);
    }
    if (open)
        closedir(open);
    if (trace->ranks.count)
        qsort(trace->ranks.at, trace->ranks.count, sizeof *trace->ranks.at, load_order);
}

/* A folder with files of two traces does not say which one is meant. */
static bool load_alone(struct input *input, const struct trace_load_options *options, const char *prefix)
{
    struct stat about;
    if (stat(options->path, &about) != 0 || !S_ISDIR(about.st_mode))
        return true;
    DIR *open = opendir(options->path);
    const char *base = load_base(prefix), *other = NULL;
    for (struct dirent *entry; open && !other && (entry = readdir(open));) {
        size_t at = load_rank_at(entry->d_name);
        if (at && (strlen(base) != at - 1 || strncmp(base, entry->d_name, at - 1) != 0))
            other = arena_format(&input->arena, "%.*s", (int)at - 1, entry->d_name);
    }
    if (open)
        closedir(open);
    return !other || report_error(&input->report, options->place,
                                  "the folder '%s' holds several traces: '%s', '%s'; name one of them",
                                  options->path, base, other);
}

static bool load_members(struct input *input, struct trace *trace, const struct entry *entry,
                         struct trace_group *group)
{
    const struct value *list = entry->value;
    if (!fields_want_list(input, list, entry->place, "ranks of a process group"))
        return false;
    static const struct field field = {.key = "rank", .kind = FIELD_INTEGER, .low = 0, .high = 16777215};
    bool good = true;
    for (uint32_t i = 0; i < list->count; i++) {
        int64_t rank = 0;
        good = fields_read_one(input, list->entries[i].value, &field, NULL, &rank) && good;
        VECTOR_PUSH(&group->members, (uint32_t)rank);
    }
    if (good && !list->count)
        good = report_error(&input->report, entry->place, "process group '%s' has no ranks", entry->key);
    group->path = arena_text(&trace->arena, list->place.file);
    return good;
}

static bool load_groups(struct input *input, struct trace *trace, const char *path)
{
    struct value *document = document_load(input, path);
    bool good = document;
    trace->groups_path = arena_text(&trace->arena, path);
    for (uint32_t i = 0; document && i < document->count; i++) {
        struct trace_group group = {.name = names_add(trace->names, document->entries[i].key)};
        if (load_members(input, trace, &document->entries[i], &group)) {
            VECTOR_PUSH(&trace->groups, group);
        } else {
            VECTOR_FREE(&group.members);
            good = false;
        }
    }
    return good;
}

/* One more than the highest rank that a file, a group or a message names. */
static uint32_t load_ranks(const struct trace *trace)
{
    uint32_t count = trace->ranks.at[trace->ranks.count - 1].rank + 1;
    for (uint32_t g = 0; g < trace->groups.count; g++)
        for (uint32_t m = 0; m < trace->groups.at[g].members.count; m++)
            if (trace->groups.at[g].members.at[m] >= count)
                count = trace->groups.at[g].members.at[m] + 1;
    return count;
}

/* The group in which rank `to` has the place that rank `from` has in `name`: the same one when both are in
 * it, else one of as many members. TRACE_NONE: there is none. */
static uint32_t load_counterpart(const struct trace *trace, uint32_t name, uint32_t from, uint32_t to)
{
    const struct trace_group *group = trace_group_find(trace, name);
    uint32_t place = 0, found = TRACE_NONE;
    if (!name || !group)
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

/* Ranks are numbered without gaps from 0: others have no file. */
static bool load_complete(struct input *input, const struct trace_load_options *options, struct trace *trace)
{
    uint32_t files = trace->ranks.count, count = load_ranks(trace), at = 0;
    const char *prefix = trace->ranks.at[0].path;
    int stem = (int)(strlen(prefix) - strlen(strrchr(prefix, '.'))); /* without .et */
    while (stem && prefix[stem - 1] != '.')
        stem--;
    for (uint32_t rank = 0; rank < count; rank++) {
        if (at < files && trace->ranks.at[at].rank == rank) {
            at++;
            if (at < files && trace->ranks.at[at].rank == rank)
                return report_error(&input->report, (struct place){trace->ranks.at[at].path, 0, 0},
                                    "rank %u has another file: '%s'", rank, trace->ranks.at[at - 1].path);
            continue;
        }
        if (!options->copy)
            return report_error(
                &input->report, options->place,
                "there is no '%.*s%u.et', but a file or a process group has rank %u of %u; with "
                "`--set trace.missing=copy` it does what rank %u does",
                stem, prefix, rank, rank, count, trace->ranks.at[0].rank);
        if (!load_copy(input, trace, rank))
            return false;
    }
    qsort(trace->ranks.at, trace->ranks.count, sizeof *trace->ranks.at, load_order);
    return true;
}

bool trace_load(struct input *input, const struct trace_load_options *options, struct trace *trace)
{
    const char *prefix = trace_load_prefix(options->path, &trace->arena);
    if (!prefix)
        return report_error(&input->report, options->place,
                            "there is no trace '%s': expected files '%s.0.et', '%s.1.et' …", options->path,
                            options->path, options->path);
    if (!load_alone(input, options, prefix))
        return false;
    load_files(prefix, trace);
    struct stat about;
    const char *groups = options->groups;
    const char *beside = arena_format(&trace->arena, "%s.json", prefix);
    if (!groups && stat(beside, &about) == 0)
        groups = beside;
    bool good = !groups || load_groups(input, trace, groups);
    for (uint32_t r = 0; r < trace->ranks.count; r++) {
        size_t length;
        char *bytes = document_bytes(input, trace->ranks.at[r].path, options->place, &length);
        good = bytes && chakra_read(input, trace, &trace->ranks.at[r], bytes, length) && good;
    }
    return good && load_complete(input, options, trace) && trace_link(trace, &input->report);
}
