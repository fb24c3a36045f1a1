/* A document is laid together from layers: what it extends lies lowest, then its includes in order, then its
 * own keys. Layers are values of their own; laying one over another changes the lower one in place, which is
 * private to this load. Files being read form a chain on the C stack, along which a cycle is found. */
#include "input/document.h"

#include "base/nearest.h"
#include "input/read_json.h"
#include "input/read_yaml.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

enum { DOCUMENT_FILES = 1000 };

static const char *const document_extensions[] = {"", ".yaml", ".yml", ".json"};
static const char *const document_folders[] = {"topologies/devices", "topologies/links", "topologies",
                                               "workloads", "workloads/models"};
enum {
    DOCUMENT_EXTENSIONS = sizeof document_extensions / sizeof document_extensions[0],
    DOCUMENT_FOLDERS = sizeof document_folders / sizeof document_folders[0]
};

/* A file that is being read, and the one whose reference led to it. */
struct document_open {
    const struct document_open *outer;
    const char *path;
    uint32_t *files; /* read so far by the whole load */
};

static bool document_same_file(const char *a, const char *b)
{
    struct stat first, second;
    return strcmp(a, b) == 0 || (stat(a, &first) == 0 && stat(b, &second) == 0 &&
                                 first.st_dev == second.st_dev && first.st_ino == second.st_ino);
}

static bool document_is_file(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && !S_ISDIR(status.st_mode);
}

/* `folder`/`name` with the first extension that gives a file other than `self`; NULL when none does. */
static const char *document_in(struct input *input, const char *folder, const char *name, const char *self)
{
    const char *base = *name == '/' ? "" : folder, *slash = *base ? "/" : "";
    for (size_t i = 0; i < DOCUMENT_EXTENSIONS; i++) {
        const char *path = arena_format(&input->arena, "%s%s%s%s", base, slash, name, document_extensions[i]);
        if (document_is_file(path) && !(self && document_same_file(path, self)))
            return path;
    }
    return NULL;
}

/* The folder of a file's path; "" for the working directory. */
static const char *document_folder(struct input *input, const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    if (!slash)
        return "";
    char *folder = arena_text(&input->arena, path);
    folder[slash == path ? 1 : slash - path] = '\0';
    return folder;
}

/* Beside the file that refers, in the working directory, then in the shipped folders. A file never finds
 * itself, so that a folder may hold a variant under the name of what it extends. */
static const char *document_search(struct input *input, const char *const *folders, size_t count,
                                   const char *name, const char *from)
{
    if (!*name)
        return NULL;
    const char *path = document_in(input, document_folder(input, from), name, from);
    if (!path)
        path = document_in(input, "", name, from);
    for (size_t i = 0; i < count && !path && input->data_root; i++)
        path = document_in(input, arena_format(&input->arena, "%s/%s", input->data_root, folders[i]), name,
                           from);
    return path;
}

/* What the name may have meant: a shipped file of the folder, or one of the same name in another folder. */
static const char *document_hint(struct input *input, const char *folder, const char *name)
{
    uint32_t count;
    const char *const *shipped = document_list(input, folder, &count);
    const char *near = nearest_name(name, shipped, count);
    if (near && nearest_distance(name, near) == 1)
        return arena_format(&input->arena, "; did you mean '%s'?", near);
    for (size_t i = 0; i < DOCUMENT_FOLDERS; i++) {
        uint32_t others;
        const char *const *other = document_list(input, document_folders[i], &others);
        for (uint32_t j = 0; j < others; j++)
            if (strcmp(other[j], name) == 0)
                return arena_format(&input->arena, "; there is one in %s", document_folders[i]);
    }
    if (near)
        return arena_format(&input->arena, "; did you mean '%s'?", near);
    struct stat status;
    if (input->data_root &&
        stat(arena_format(&input->arena, "%s/topologies", input->data_root), &status) != 0)
        return arena_format(&input->arena, "; the shipped files are not in '%s': PARTITA_DATA says where",
                            input->data_root);
    return "";
}

const char *document_find(struct input *input, const char *folder, const char *name, struct place from)
{
    const char *path = document_search(input, &folder, 1, name, from.file);
    if (path)
        return path;
    report_error(&input->report, from, "there is no '%s' %sin the working directory or in %s%s", name,
                 from.line ? "beside this file, " : "", folder, document_hint(input, folder, name));
    return NULL;
}

const char *document_look(struct input *input, const char *folder, const char *name)
{
    return document_search(input, &folder, 1, name, NULL);
}

static int document_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The length of a file name without a known extension; 0 when it has none or starts with a dot. */
static size_t document_stem(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 1; i < DOCUMENT_EXTENSIONS; i++) {
        size_t tail = strlen(document_extensions[i]);
        if (*name != '.' && length > tail && strcmp(name + length - tail, document_extensions[i]) == 0)
            return length - tail;
    }
    return 0;
}

const char *const *document_list(struct input *input, const char *folder, uint32_t *count)
{
    VECTOR(const char *) list = {0};
    DIR *directory = NULL;
    if (input->data_root)
        directory = opendir(arena_format(&input->arena, "%s/%s", input->data_root, folder));
    for (struct dirent *found; directory && (found = readdir(directory));) {
        size_t length = document_stem(found->d_name);
        if (length)
            VECTOR_PUSH(&list, arena_format(&input->arena, "%.*s", (int)length, found->d_name));
    }
    if (directory)
        closedir(directory);
    if (list.count)
        qsort(list.at, list.count, sizeof *list.at, document_compare);
    const char **names = ARENA_ARRAY(&input->arena, const char *, list.count);
    *count = 0;
    for (uint32_t i = 0; i < list.count; i++)
        if (!*count || strcmp(names[*count - 1], list.at[i]) != 0)
            names[(*count)++] = list.at[i];
    VECTOR_FREE(&list);
    return names;
}

/* Reports what stopped the reading of a file; true if nothing did. */
static bool document_ended(struct input *input, gzFile file, const char *path, struct place from)
{
    int code;
    const char *why = gzerror(file, &code);
    if (code == Z_OK || code == Z_STREAM_END)
        return true;
    return code == Z_BUF_ERROR
               ? report_error(&input->report, from, "cannot unpack '%s': it is cut short", path)
               : report_error(&input->report, from, "cannot read '%s': %s", path,
                              code == Z_ERRNO ? strerror(errno) : why);
}

char *document_bytes(struct input *input, const char *path, struct place from, size_t *length)
{
    const size_t most = 1 << 30; /* at once: zlib counts in int */
    gzFile file = document_is_file(path) ? gzopen(path, "rb") : NULL;
    if (!file) {
        struct stat status;
        int problem = stat(path, &status) == 0 && S_ISDIR(status.st_mode) ? EISDIR : errno;
        report_error(&input->report, from, "cannot read '%s': %s", path, strerror(problem));
        return NULL;
    }
    size_t room = 1 << 14, count = 0;
    char *bytes = arena_alloc(&input->arena, room);
    for (int got;
         (got = gzread(file, bytes + count, (unsigned)(room - count < most ? room - count : most))) > 0;) {
        count += (size_t)got;
        if (count == room) {
            char *grown = arena_alloc(&input->arena, room * 2);
            memcpy(grown, bytes, room);
            bytes = grown;
            room *= 2;
        }
    }
    bool whole = document_ended(input, file, path, from);
    gzclose(file);
    *length = count;
    return whole ? bytes : NULL;
}

/* Lays `over` onto `under`, both maps: maps merge key by key, everything else replaces. */
static void document_lay(struct input *input, struct value *under, const struct value *over)
{
    under->place = over->place;
    for (uint32_t i = 0; i < over->count; i++) {
        const struct entry *entry = &over->entries[i];
        struct entry *lower = value_entry(under, entry->key);
        if (!lower) {
            value_put(&input->arena, under, entry->key, entry->place, entry->value);
        } else if (lower->value->kind == VALUE_MAP && entry->value->kind == VALUE_MAP) {
            lower->place = entry->place;
            document_lay(input, lower->value, entry->value);
        } else {
            lower->place = entry->place;
            lower->value = entry->value;
        }
    }
}

/* The map without one of its keys. */
static struct value *document_without(struct input *input, const struct value *map, const char *key)
{
    struct value *rest = value_new(&input->arena, map->place, VALUE_MAP);
    for (uint32_t i = 0; i < map->count; i++)
        if (strcmp(map->entries[i].key, key) != 0)
            value_put(&input->arena, rest, map->entries[i].key, map->entries[i].place, map->entries[i].value);
    return rest;
}

static struct value *document_read(struct input *input, const char *path, struct place from,
                                   const struct document_open *outer);

/* The name nearest to a mistyped one in all shipped folders; NULL when none is near. */
static const char *document_nearest(struct input *input, const char *name)
{
    VECTOR(const char *) names = {0};
    for (size_t i = 0; i < DOCUMENT_FOLDERS; i++) {
        uint32_t count;
        const char *const *shipped = document_list(input, document_folders[i], &count);
        for (uint32_t j = 0; j < count; j++)
            VECTOR_PUSH(&names, shipped[j]);
    }
    const char *near = nearest_name(name, names.at, names.count);
    VECTOR_FREE(&names);
    return near;
}

/* The document that `reference` (the value of extends, or an item of include) names. */
static struct value *document_refer(struct input *input, const char *key, const struct value *reference,
                                    const struct document_open *open)
{
    struct place place = reference->place;
    if (reference->kind != VALUE_SCALAR) {
        report_error(&input->report, place, "expected the name of a file to %s; got %s", key,
                     value_describe(reference, &input->arena));
        return NULL;
    }
    const char *path =
        document_search(input, document_folders, DOCUMENT_FOLDERS, reference->text, open->path);
    if (path)
        return document_read(input, path, place, open);
    if (document_in(input, document_folder(input, open->path), reference->text, NULL)) {
        report_error(&input->report, place, "a file cannot %s itself", key);
        return NULL;
    }
    const char *near = document_nearest(input, reference->text);
    report_error(&input->report, place, "there is no file '%s' to %s%s", reference->text, key,
                 near ? arena_format(&input->arena, "; did you mean '%s'?", near) : "");
    return NULL;
}

static struct value *document_resolve(struct input *input, struct value *value,
                                      const struct document_open *open);

/* The documents that `include` names, in order, and `map` (which has that key) over them. */
static struct value *document_include(struct input *input, const struct value *map,
                                      const struct document_open *open)
{
    const struct value *names = value_get(map, "include");
    struct value *result = value_new(&input->arena, map->place, VALUE_MAP);
    uint32_t count = names->kind == VALUE_LIST ? names->count : 1;
    for (uint32_t i = 0; i < count; i++) {
        const struct value *name = names->kind == VALUE_LIST ? names->entries[i].value : names;
        const struct value *layer = document_refer(input, "include", name, open);
        if (!layer)
            return NULL;
        document_lay(input, result, layer);
    }
    document_lay(input, result, document_without(input, map, "include"));
    return result;
}

/* Resolves the includes of every map in the value. NULL after an error. */
static struct value *document_resolve(struct input *input, struct value *value,
                                      const struct document_open *open)
{
    for (uint32_t i = 0; i < value->count; i++) {
        struct entry *entry = &value->entries[i];
        if (value->kind == VALUE_MAP && strcmp(entry->key, "include") == 0)
            continue;
        entry->value = document_resolve(input, entry->value, open);
        if (!entry->value)
            return NULL;
    }
    return value_get(value, "include") ? document_include(input, value, open) : value;
}

static struct value *document_layers(struct input *input, struct value *root,
                                     const struct document_open *open)
{
    if (!root)
        return NULL;
    if (root->kind != VALUE_MAP) {
        report_error(&input->report, root->place, "expected a map; got %s",
                     root->kind == VALUE_NULL ? "an empty file" : value_describe(root, &input->arena));
        return NULL;
    }
    const struct value *reference = value_get(root, "extends");
    if (!reference)
        return document_resolve(input, root, open);
    struct value *base = document_refer(input, "extend", reference, open);
    struct value *own = document_resolve(input, document_without(input, root, "extends"), open);
    if (base && own)
        document_lay(input, base, own);
    return own ? base : NULL;
}

static bool document_is_json(const char *path)
{
    size_t length = strlen(path);
    return length > 5 && strcmp(path + length - 5, ".json") == 0;
}

static struct value *document_read(struct input *input, const char *path, struct place from,
                                   const struct document_open *outer)
{
    for (const struct document_open *open = outer; open; open = open->outer)
        if (open->path && document_same_file(open->path, path)) {
            report_error(&input->report, from, "'%s' is being read already: extends and include form a cycle",
                         path);
            return NULL;
        }
    uint32_t files = 0;
    struct document_open open = {outer, arena_text(&input->arena, path), outer ? outer->files : &files};
    if (++*open.files > DOCUMENT_FILES) {
        report_error(&input->report, from, "more than %d files are included", DOCUMENT_FILES);
        return NULL;
    }
    size_t length;
    const char *bytes = document_bytes(input, open.path, from, &length);
    if (!bytes)
        return NULL;
    struct value *root = document_is_json(open.path) ? read_json_text(input, open.path, bytes, length)
                                                     : read_yaml_text(input, open.path, bytes, length);
    return document_layers(input, root, &open);
}

struct value *document_load(struct input *input, const char *path)
{
    return document_read(input, path, (struct place){0}, NULL);
}

struct value *document_parse(struct input *input, const char *name, const char *text, size_t length,
                             bool json)
{
    uint32_t files = 1;
    struct document_open open = {NULL, arena_text(&input->arena, name), &files};
    struct value *root = json ? read_json_text(input, open.path, text, length)
                              : read_yaml_text(input, open.path, text, length);
    return document_layers(input, root, &open);
}

struct value *document_complete(struct input *input, struct value *root)
{
    uint32_t files = 1;
    struct document_open open = {NULL, root->place.file, &files};
    return document_layers(input, root, &open);
}

/* The next step of a dotted path from a value. */
struct document_step {
    const char *key; /* of a map; NULL: an index of a list */
    uint32_t index;
    const char *rest; /* of the path */
};

/* A key of the map that the path starts with (the longest), else the path up to its next dot or bracket. */
static const char *document_path_key(struct input *input, const struct value *map, const char *path)
{
    char *key = arena_text(&input->arena, path);
    for (size_t length = strlen(path); length > 0; length--) {
        if (path[length] && path[length] != '.' && path[length] != '[')
            continue;
        key[length] = '\0';
        if (value_get(map, key))
            return key;
    }
    key[strcspn(path, ".[")] = '\0';
    return key;
}

static bool document_step(struct input *input, const struct value *value, const char *path,
                          struct document_step *step)
{
    *step = (struct document_step){0};
    if (*path == '[') {
        char *end;
        unsigned long index = strtoul(path + 1, &end, 10);
        if (end == path + 1 || path[1] == '-' || *end != ']' || index > UINT32_MAX)
            return false;
        step->index = (uint32_t)index;
        step->rest = end + 1;
    } else {
        step->key = document_path_key(input, value, path);
        step->rest = path + strlen(step->key);
        if (!*step->key)
            return false;
    }
    if (*step->rest == '.')
        return *++step->rest != '\0' && *step->rest != '[';
    return *step->rest == '\0' || *step->rest == '[';
}

/* The slot that a step leads to; a missing key is made, with no value yet. NULL after reporting. */
static struct entry *document_slot(struct input *input, struct value *value, const struct document_step *step,
                                   struct place place)
{
    const char *found = value_describe(value, &input->arena);
    if (!step->key) {
        if (value->kind == VALUE_LIST && step->index < value->count)
            return &value->entries[step->index];
        if (value->kind == VALUE_LIST)
            report_error(&input->report, place, "there is no item [%u]: the list has %u (they count from 0)",
                         step->index, value->count);
        else
            report_error(&input->report, place, "expected a list before [%u]; got %s", step->index, found);
        return NULL;
    }
    if (value->kind == VALUE_NULL)
        value->kind = VALUE_MAP;
    if (value->kind != VALUE_MAP) {
        report_error(&input->report, place, "expected a map to hold '%s'; got %s%s", step->key, found,
                     value->kind == VALUE_LIST ? " (its first item is [0])" : "");
        return NULL;
    }
    value_put(&input->arena, value, step->key, place, value_new(&input->arena, place, VALUE_NULL));
    return value_entry(value, step->key);
}

bool document_set(struct input *input, struct value *root, const char *path, const char *text)
{
    return document_set_as(input, root, path, path, text);
}

bool document_set_as(struct input *input, struct value *root, const char *typed, const char *path,
                     const char *text)
{
    struct place place = {.file = arena_format(&input->arena, "--set %s", typed)};
    struct value *value = read_yaml_option(input, place.file, text);
    if (!value)
        return false;
    struct entry *slot = NULL;
    struct document_step step = {.rest = path};
    for (struct value *at = root; !slot || *step.rest; at = slot->value) {
        if (!document_step(input, at, step.rest, &step))
            return report_error(
                &input->report, place,
                "expected a dotted path such as links.wifi.bandwidth or plan.stages[0].devices");
        slot = document_slot(input, at, &step, place);
        if (!slot)
            return false;
    }
    slot->place = place;
    slot->value = value;
    return true;
}
