/* A profile is a file, a folder of files, or PREFIX of PREFIX.0.json, PREFIX.1.json …; a file whose name has
 * a rank in it (rank3.json, trace.3.json.gz, run_rank_3.pt.trace.json) stands for all that differ in it only.
 * Which rank a file is of says its distributedInfo, else its name. */
#include "trace/kineto_group.h"
#include "trace/trace_file.h"
#include "trace/trace_format.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { LOAD_DIGITS = 7 };

/* A name around its rank. */
struct pattern {
    const char *before, *after; /* NULL: there is no rank in it */
    uint32_t rank;
};

static bool load_is_json(const char *name)
{
    return trace_file_ends(name, ".json") || trace_file_ends(name, ".json.gz");
}

static struct pattern load_cut(const char *name, size_t at, struct arena *arena)
{
    size_t digits = strspn(name + at, "0123456789");
    if (!digits || digits > LOAD_DIGITS)
        return (struct pattern){0};
    return (struct pattern){arena_format(arena, "%.*s", (int)at, name), arena_text(arena, name + at + digits),
                            (uint32_t)strtoul(name + at, NULL, 10)};
}

/* After the word "rank", else between dots before the endings. */
static struct pattern load_pattern(const char *name, struct arena *arena)
{
    for (size_t i = 0; strlen(name + i) > 4; i++) {
        bool word = (name[i] | 32) == 'r' && (name[i + 1] | 32) == 'a' && (name[i + 2] | 32) == 'n' &&
                    (name[i + 3] | 32) == 'k';
        size_t at =
            i + 4 + (name[i + 4] == '_' || name[i + 4] == '-' || name[i + 4] == '.' || name[i + 4] == '=');
        if (word && isdigit((unsigned char)name[at]))
            return load_cut(name, at, arena);
    }
    static const char *const endings[] = {".pt.trace.json.gz", ".pt.trace.json", ".json.gz", ".json"};
    for (size_t e = 0; e < sizeof endings / sizeof endings[0]; e++) {
        if (!trace_file_ends(name, endings[e]))
            continue;
        size_t at = strlen(name) - strlen(endings[e]);
        while (at && isdigit((unsigned char)name[at - 1]))
            at--;
        return at && name[at - 1] == '.' ? load_cut(name, at, arena) : (struct pattern){0};
    }
    return (struct pattern){0};
}

static int load_name_order(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

struct name_list {
    const char **at;
    uint32_t count, room;
};

/* The JSON files of a folder for which `pattern` (NULL: anything) stands, with the folder, sorted. */
static struct name_list load_list(const char *folder, const struct pattern *pattern, struct arena *arena)
{
    struct name_list list = {0};
    DIR *open = opendir(folder);
    for (struct dirent *entry; open && (entry = readdir(open));) {
        const char *name = entry->d_name;
        size_t before = pattern ? strlen(pattern->before) : 0;
        if (!load_is_json(name) || (pattern && strncmp(name, pattern->before, before) != 0))
            continue;
        size_t digits = pattern ? strspn(name + before, "0123456789") : 0;
        bool ends = !pattern || (digits && digits <= LOAD_DIGITS &&
                                 (pattern->after ? strcmp(name + before + digits, pattern->after) == 0
                                                 : name[before + digits] == '.'));
        if (ends)
            VECTOR_PUSH(&list,
                        arena_format(arena, "%s%s%s", folder, trace_file_ends(folder, "/") ? "" : "/", name));
    }
    if (open)
        closedir(open);
    if (list.count)
        qsort(list.at, list.count, sizeof *list.at, load_name_order);
    return list;
}

/* All files that a text stands for. */
static struct name_list load_files(const char *path, struct arena *arena)
{
    struct name_list list = {0};
    const char *base = trace_file_base(path);
    if (trace_file_is_folder(path))
        return load_list(path, NULL, arena);
    struct pattern pattern = load_is_json(base) ? load_pattern(base, arena)
                                                : (struct pattern){arena_format(arena, "%s.", base), NULL, 0};
    if (pattern.before)
        return load_list(trace_file_folder(path, arena), &pattern, arena);
    VECTOR_PUSH(&list, path);
    return list;
}

static const char *kineto_load_find(const char *path, struct arena *arena)
{
    if (load_is_json(path) && !trace_file_is_folder(path))
        return kineto_read_is(path) ? arena_text(arena, path) : NULL;
    struct name_list list = load_files(path, arena);
    bool is = false;
    for (uint32_t i = 0; i < list.count && !is; i++)
        is = kineto_read_is(list.at[i]);
    VECTOR_FREE(&list);
    return is ? arena_text(arena, path) : NULL;
}

/* Of which rank a profile is. */
static bool load_rank(struct input *input, const struct kineto *kineto, bool alone, struct trace *trace,
                      uint32_t *rank)
{
    struct pattern pattern = load_pattern(trace_file_base(kineto->path), &trace->arena);
    *rank = pattern.before ? pattern.rank : 0;
    if (kineto->rank >= 0 && kineto->rank <= 16777215)
        *rank = (uint32_t)kineto->rank;
    else if (!pattern.before && !alone)
        return report_error(
            &input->report, (struct place){kineto->path, 0, 0},
            "neither 'distributedInfo' nor the file's name says of which rank this is; expected "
            "a name like 'rank0.json'");
    return true;
}

/* One file: a rank. */
static bool load_file(struct input *input, struct trace *trace, const char *path, bool alone,
                      struct place place, struct kineto_counts *counts)
{
    struct kineto kineto = {0};
    struct trace_rank rank = {.path = arena_text(&trace->arena, path)};
    bool good = kineto_read(input, trace->names, rank.path, place, &kineto) &&
                load_rank(input, &kineto, alone, trace, &rank.rank);
    if (good) {
        kineto.rank = rank.rank;
        good = kineto_build(input, trace, &kineto, &rank, counts);
    }
    VECTOR_PUSH(&trace->ranks, rank);
    kineto_fini(&kineto);
    return good;
}

static int unused_order(const void *left, const void *right)
{
    const struct kineto_unused *a = left, *b = right;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return a->name < b->name ? -1 : a->name > b->name;
}

static const char *load_contents(struct trace *trace, const struct kineto_counts *counts)
{
    const char *operators = counts->operators
                                ? arena_format(&trace->arena, "%llu operators of hosts without a GPU",
                                               (unsigned long long)counts->operators)
                                : "";
    if (!counts->kernels && !counts->copies)
        return operators;
    return arena_format(
        &trace->arena,
        "%llu kernels, of which %llu are collectives and %llu messages, %llu copies; the host "
        "launches %llu times and waits %llu times%s%s",
        (unsigned long long)counts->kernels, (unsigned long long)counts->collectives,
        (unsigned long long)counts->messages, (unsigned long long)counts->copies,
        (unsigned long long)counts->launches, (unsigned long long)counts->synchronizations,
        *operators ? "; " : "", operators);
}

static void load_notes(struct input *input, struct trace *trace, struct kineto_counts *counts,
                       struct place place)
{
    struct report *report = &input->report;
    trace->contents = load_contents(trace, counts);
    if (counts->operators)
        report_warning(
            report, place,
            "no kernel of a GPU is recorded: the outermost operators of each of the host's threads "
            "take their recorded time, and start when they did");
    if (counts->inferred_waits)
        report_warning(
            report, place,
            "the profile does not record which stream waits for which: %llu waits are inferred from "
            "calls and times (enable_cuda_sync_events of torch.profiler's experimental_config "
            "records them)",
            (unsigned long long)counts->inferred_waits);
    if (counts->unknown_communications)
        report_warning(report, place,
                       "%llu communications do not say what they send to whom: they take their recorded time",
                       (unsigned long long)counts->unknown_communications);
    if (counts->unlaunched)
        report_warning(report, place,
                       "the launch of %llu kernels and copies is not recorded: they wait for no host",
                       (unsigned long long)counts->unlaunched);
    if (!counts->unused.count)
        return;
    const char *text = "";
    qsort(counts->unused.at, counts->unused.count, sizeof *counts->unused.at, unused_order);
    for (uint32_t i = 0; i < counts->unused.count; i++)
        text = arena_format(&input->arena, "%s%s%llu %s", text, i ? ", " : "",
                            (unsigned long long)counts->unused.at[i].count,
                            names_text(trace->names, counts->unused.at[i].name));
    report_warning(report, place, "not used of the profile: %s", text);
}

static bool kineto_load(struct input *input, const struct trace_load_options *options, const char *found,
                        struct trace *trace)
{
    struct name_list list = load_files(found, &trace->arena);
    struct kineto_counts counts = {0};
    bool good = !options->groups || trace_load_groups(input, trace, options->groups);
    if (trace_file_is_folder(found)) { /* what else lies there is left alone */
        uint32_t kept = 0;
        for (uint32_t i = 0; i < list.count; i++)
            if (kineto_read_is(list.at[i]))
                list.at[kept++] = list.at[i];
        list.count = kept;
    }
    for (uint32_t i = 0; i < list.count && good; i++)
        good = load_file(input, trace, list.at[i], list.count == 1, options->place, &counts);
    if (good) {
        kineto_group_exchange(trace);
        load_notes(input, trace, &counts, (struct place){arena_text(&input->arena, found), 0, 0});
    }
    VECTOR_FREE(&counts.unused);
    VECTOR_FREE(&list);
    return good;
}

static const char *kineto_load_name(const struct trace *trace, const char *found, uint32_t rank,
                                    struct arena *arena)
{
    (void)found;
    const char *path = trace->ranks.at[0].path;
    struct pattern pattern = load_pattern(trace_file_base(path), arena);
    const char *folder = strchr(path, '/') ? trace_file_folder(path, arena) : "";
    return pattern.before ? arena_format(arena, "%s%s%u%s", folder, pattern.before, rank, pattern.after)
                          : arena_format(arena, "%srank%u.json", folder, rank);
}

const struct trace_format kineto_load_format = {
    .name = "pytorch",
    .about = "profiles of PyTorch: RANK in the file's name, .json or .json.gz, one file per rank",
    .find = kineto_load_find,
    .load = kineto_load,
    .file = kineto_load_name,
    .expected = "profiles of PyTorch, PREFIX.0.json … or a folder of them",
};
