/* List: the names of what can be used, each with a line about it. */
#include "partita.h"

#include "base/nearest.h"

#include "collective/collective.h"
#include "discipline/discipline.h"
#include "engine/network_model.h"
#include "figure/figure.h"
#include "input/document.h"
#include "model/build.h"
#include "model/hf.h"
#include "plan/schedule.h"
#include "platform/import.h"
#include "record/export.h"
#include "study/explain.h"
#include "trace/trace_format.h"

#include <jansson.h>
#include <string.h>

/* One kind of thing: files of a folder, or the entries of a table (then `folder` is NULL). */
struct list_kind {
    const char *name;
    const char *folder;
    void (*entries)(json_t *out); /* appends {name, about} */
};

static void list_add(json_t *out, const char *name, const char *about)
{
    json_array_append_new(out, json_pack("{s:s, s:s}", "name", name, "about", about ? about : ""));
}

static void list_schedules(json_t *out)
{
    for (uint32_t i = 0; schedule_table[i]; i++)
        list_add(out, schedule_table[i]->name, schedule_table[i]->about);
}

static void list_disciplines(json_t *out)
{
    for (uint32_t i = 0; discipline_table[i]; i++)
        list_add(out, discipline_table[i]->name, discipline_table[i]->about);
}

static void list_collectives(json_t *out)
{
    for (uint32_t i = 0; collective_algorithms[i]; i++)
        list_add(out, collective_algorithms[i]->name, collective_algorithms[i]->about);
    list_add(out, collective_automatic.name, collective_automatic.about);
}

static void list_levels(json_t *out)
{
    for (uint32_t i = 0; network_model_table[i]; i++)
        list_add(out, network_model_table[i]->name, network_model_table[i]->about);
}

static void list_architectures(json_t *out)
{
    for (int i = 0; hf_architectures[i]; i++)
        list_add(out, hf_architectures[i]->type, hf_architectures[i]->about);
}

static void list_layers(json_t *out)
{
    for (uint32_t i = 0; build_kinds[i]; i++)
        list_add(out, build_kinds[i]->name, build_kinds[i]->about);
}

static void list_figures(json_t *out)
{
    for (uint32_t i = 0; figure_kinds[i]; i++)
        list_add(out, figure_kinds[i]->name, figure_kinds[i]->about);
}

static void list_exports(json_t *out)
{
    for (uint32_t i = 0; export_formats[i]; i++)
        list_add(out, export_formats[i]->name, export_formats[i]->about);
    list_add(out, "chakra", "what is planned for a workload, as execution traces that other tools replay");
}

static void list_imports(json_t *out)
{
    for (uint32_t i = 0; import_formats[i]; i++)
        list_add(out, import_formats[i]->name, import_formats[i]->about);
    for (size_t i = 0; trace_load_formats[i]; i++)
        list_add(out, trace_load_formats[i]->name, trace_load_formats[i]->about);
}

static const struct list_kind list_kinds[] = {
    {.name = "workloads", .folder = "workloads"},
    {.name = "topologies", .folder = "topologies"},
    {.name = "devices", .folder = "topologies/devices"},
    {.name = "links", .folder = "topologies/links"},
    {.name = "models", .folder = "workloads/models"},
    {.name = "layers", .entries = list_layers},
    {.name = "schedules", .entries = list_schedules},
    {.name = "disciplines", .entries = list_disciplines},
    {.name = "collectives", .entries = list_collectives},
    {.name = "levels", .entries = list_levels},
    {.name = "figures", .entries = list_figures},
    {.name = "architectures", .entries = list_architectures},
    {.name = "exports", .entries = list_exports},
    {.name = "imports", .entries = list_imports},
};
enum { LIST_KINDS = sizeof list_kinds / sizeof list_kinds[0] };

/* Shipped files of a folder, with their `about:` (or `name:`). Files named base-… are what others extend. */
static void list_files(const char *folder, json_t *out)
{
    struct input input;
    input_init(&input, partita_data_folder());
    uint32_t count;
    const char *const *names = document_list(&input, folder, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (strncmp(names[i], "base-", 5) == 0)
            continue;
        const char *path = document_find(&input, folder, names[i], (struct place){NULL, 0, 0});
        const struct value *document = path ? document_load(&input, path) : NULL;
        const struct value *about = document ? value_get(document, "about") : NULL;
        if (document && !about)
            about = value_get(document, "name");
        list_add(out, names[i], about && about->kind == VALUE_SCALAR ? about->text : "");
    }
    input_fini(&input);
}

static void list_print(json_t *entries, FILE *out)
{
    size_t i;
    json_t *entry;
    json_array_foreach(entries, i, entry)
        fprintf(out, "%-26s %s\n", json_string_value(json_object_get(entry, "name")),
                json_string_value(json_object_get(entry, "about")));
}

enum partita_status partita_list(const char *what, bool json, FILE *out, FILE *err)
{
    const char *known[LIST_KINDS];
    json_t *entries = json_array();
    const struct list_kind *kind = NULL;
    for (uint32_t i = 0; i < LIST_KINDS; i++) {
        known[i] = list_kinds[i].name;
        if (what && strcmp(what, known[i]) == 0)
            kind = &list_kinds[i];
    }
    if (what && !kind) {
        nearest_unknown("list of", what, known, LIST_KINDS, err);
        json_decref(entries);
        return PARTITA_BAD_INPUT;
    }
    if (!what)
        for (uint32_t i = 0; i < LIST_KINDS; i++)
            list_add(entries, known[i],
                     list_kinds[i].folder ? "files that come with Partita, or your own by path" : "built in");
    else if (kind->folder)
        list_files(kind->folder, entries);
    else
        kind->entries(entries);
    enum partita_status status = PARTITA_OK;
    if (!json_array_size(entries)) {
        fprintf(err, "error: there are no %s in '%s': PARTITA_DATA says where the shipped files are\n", what,
                partita_data_folder());
        status = PARTITA_BAD_INPUT;
    } else if (json) {
        json_dumpf(entries, out, JSON_INDENT(1));
        fputc('\n', out);
    } else {
        list_print(entries, out);
    }
    json_decref(entries);
    return status;
}
