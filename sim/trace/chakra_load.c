#include "trace/chakra.h"
#include "trace/trace_file.h"
#include "trace/trace_format.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { RANK_DIGITS = 7 }; /* of a rank in a file's name */

/* Where the rank begins in a name NAME.RANK.et or NAME.RANK.et.gz; 0: it is none. */
static size_t chakra_load_rank_at(const char *name)
{
    size_t length = strlen(name), end = length;
    if (trace_file_ends(name, ".gz"))
        end -= strlen(".gz");
    if (end < strlen("a.0.et") || strncmp(name + end - 3, ".et", 3) != 0)
        return 0;
    size_t digits = end -= 3;
    while (digits && name[digits - 1] >= '0' && name[digits - 1] <= '9')
        digits--;
    bool rank = digits < end && end - digits <= RANK_DIGITS && digits >= 2 && name[digits - 1] == '.';
    return rank ? digits : 0;
}

/* The first file of a folder that is a rank of a trace: of the trace `base`, or of any (NULL). */
static const char *chakra_load_first(const char *folder, const char *base, struct arena *arena)
{
    DIR *open = opendir(folder);
    const char *found = NULL;
    for (struct dirent *entry; open && (entry = readdir(open));) {
        size_t at = chakra_load_rank_at(entry->d_name);
        if (!at || (base && (strlen(base) != at - 1 || strncmp(base, entry->d_name, at - 1) != 0)))
            continue;
        if (!found || strcmp(entry->d_name, found) < 0) /* whatever order the folder has */
            found = arena_text(arena, entry->d_name);
    }
    if (open)
        closedir(open);
    return found;
}

static const char *chakra_load_prefix(const char *path, struct arena *arena)
{
    size_t length = strlen(path), at = chakra_load_rank_at(trace_file_base(path));
    if (!length)
        return NULL;
    if (trace_file_is_folder(path)) {
        const char *first = chakra_load_first(path, NULL, arena);
        const char *between = path[length - 1] == '/' ? "" : "/";
        return first ? arena_format(arena, "%s%s%.*s", path, between, (int)(chakra_load_rank_at(first) - 1),
                                    first)
                     : NULL;
    }
    if (at) /* one of its files */
        path = arena_format(arena, "%.*s", (int)(trace_file_base(path) - path) + (int)at - 1, path);
    return chakra_load_first(trace_file_folder(path, arena), trace_file_base(path), arena) ? path : NULL;
}

/* All files of a trace. */
static void chakra_load_files(const char *prefix, struct trace *trace)
{
    const char *folder = trace_file_folder(prefix, &trace->arena), *base = trace_file_base(prefix);
    DIR *open = opendir(folder);
    for (struct dirent *entry; open && (entry = readdir(open));) {
        size_t at = chakra_load_rank_at(entry->d_name);
        if (!at || strlen(base) != at - 1 || strncmp(base, entry->d_name, at - 1) != 0)
            continue;
        struct trace_rank rank = {.rank = (uint32_t)strtoul(entry->d_name + at, NULL, 10)};
        rank.path = arena_format(&trace->arena, "%s.%s", prefix, entry->d_name + at);
        VECTOR_PUSH(&trace->ranks, rank);
    }
    if (open)
        closedir(open);
}

/* A folder with files of two traces does not say which one is meant. */
static bool chakra_load_alone(struct input *input, const struct trace_load_options *options,
                              const char *prefix)
{
    if (!trace_file_is_folder(options->path))
        return true;
    DIR *open = opendir(options->path);
    const char *base = trace_file_base(prefix), *other = NULL;
    for (struct dirent *entry; open && !other && (entry = readdir(open));) {
        size_t at = chakra_load_rank_at(entry->d_name);
        if (at && (strlen(base) != at - 1 || strncmp(base, entry->d_name, at - 1) != 0))
            other = arena_format(&input->arena, "%.*s", (int)at - 1, entry->d_name);
    }
    if (open)
        closedir(open);
    return !other || report_error(&input->report, options->place,
                                  "the folder '%s' holds several traces: '%s', '%s'; name one of them",
                                  options->path, base, other);
}

static bool chakra_load(struct input *input, const struct trace_load_options *options, const char *prefix,
                        struct trace *trace)
{
    struct stat about;
    if (!chakra_load_alone(input, options, prefix))
        return false;
    chakra_load_files(prefix, trace);
    const char *beside = arena_format(&trace->arena, "%s.json", prefix), *groups = options->groups;
    if (!groups && !options->group_map && stat(beside, &about) == 0)
        groups = beside;
    bool good = !groups || trace_load_groups(input, trace, groups);
    for (uint32_t r = 0; r < trace->ranks.count; r++) {
        size_t length;
        char *bytes = document_bytes(input, trace->ranks.at[r].path, options->place, &length);
        good = bytes && chakra_read(input, trace, &trace->ranks.at[r], bytes, length) && good;
    }
    return good;
}

static const char *chakra_load_name(const struct trace *trace, const char *prefix, uint32_t rank,
                                    struct arena *arena)
{
    (void)trace;
    return arena_format(arena, "%s.%u.et", prefix, rank);
}

const struct trace_format chakra_load_format = {
    .name = "chakra",
    .about = "execution traces of MLCommons: PREFIX.RANK.et, perhaps .et.gz, one file per rank",
    .find = chakra_load_prefix,
    .load = chakra_load,
    .file = chakra_load_name,
    .expected = "files PREFIX.0.et, PREFIX.1.et … of Chakra",
};
