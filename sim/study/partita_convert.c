/* Convert: a topology, model or trace of another tool's format as a file of Partita's own. */
#include "partita.h"

#include "model/build.h"
#include "model/hf.h"
#include "model/onnx.h"
#include "model/onnx_file.h"
#include "platform/import.h"
#include "platform/topology.h"
#include "study/convert_trace.h"
#include "trace/trace_export.h"

#include <string.h>

/* `--set` gives the topology's parameters: device=…, topology.device=… and parameters.device=… are the same.
 */
static struct value *convert_set(struct input *input, const char *const *sets, uint32_t count)
{
    static const char *const prefixes[] = {"topology.", "parameters.", "model."};
    struct value *set = value_new(&input->arena, (struct place){"--set", 0, 0}, VALUE_MAP);
    for (uint32_t i = 0; i < count; i++) {
        const char *text = sets[i], *equals = strchr(text, '=');
        if (!equals || equals == text) {
            report_error(&input->report, set->place, "expected key=value; got '%s'", text);
            continue;
        }
        for (size_t p = 0; p < FIELDS_COUNT(prefixes); p++)
            if (strncmp(text, prefixes[p], strlen(prefixes[p])) == 0)
                text += strlen(prefixes[p]);
        if (text > equals)
            text = sets[i];
        document_set(input, set, arena_format(&input->arena, "%.*s", (int)(equals - text), text), equals + 1);
    }
    return set;
}

/* Writes the values given into the document, as its parameters' defaults. */
static void convert_defaults(struct value *document, const struct value *set)
{
    struct value *parameters = value_get(document, "parameters");
    for (uint32_t i = 0; i < set->count; i++) {
        struct entry *entry = value_entry(parameters, set->entries[i].key);
        if (entry)
            entry->value = set->entries[i].value;
    }
}

/* With the topology's name at the top, which a file takes from its own name otherwise. */
static struct value *convert_named(struct input *input, struct value *document, const char *name)
{
    struct value *out = value_new(&input->arena, document->place, VALUE_MAP);
    value_put(&input->arena, out, "name", document->place,
              value_new_scalar(&input->arena, document->place, name, true));
    for (uint32_t i = 0; i < document->count; i++)
        value_put(&input->arena, out, document->entries[i].key, document->entries[i].place,
                  document->entries[i].value);
    return out;
}

/* The topology document of a file, read once with the values given so that it is known to be good; NULL after
 * reporting. */
static struct value *convert_load(struct input *input, const char *path, const struct value *set)
{
    struct names names;
    struct platform platform;
    struct value *document = import_load(input, path, set);
    if (!document)
        return NULL;
    names_init(&names);
    platform_init(&platform, &names);
    bool well = topology_read(input, document, set, &platform);
    if (well && !value_get(document, "name"))
        document = convert_named(input, document, names_text(&names, platform.name));
    platform_fini(&platform);
    names_fini(&names);
    return well ? document : NULL;
}

/* A model of another form; *other if the file is none. */
static struct value *convert_model(struct input *input, const char *path, struct value *set, bool *other)
{
    *other = false;
    if (onnx_file_is(path))
        return onnx_read(input, path, set);
    size_t length = strlen(path);
    *other = length < 5 || strcmp(path + length - 5, ".json") != 0;
    struct value *document = *other ? NULL : document_load(input, path);
    if (*other || !document)
        return NULL;
    *other = !hf_is(document);
    return *other ? NULL : hf_read(input, document);
}

/* `--set` of a converted model: values of its parameters. */
static void convert_parameters(struct input *input, struct value *document, const struct value *set)
{
    struct value *parameters = value_get(document, "parameters");
    for (uint32_t i = 0; i < set->count; i++) {
        struct entry *entry = value_entry(parameters, set->entries[i].key);
        if (entry)
            entry->value = set->entries[i].value;
        else if (!parameters)
            report_error(&input->report, set->entries[i].place, "the model has no parameter '%s'",
                         set->entries[i].key);
        else
            value_put(&input->arena, parameters, set->entries[i].key, set->entries[i].place,
                      set->entries[i].value);
    }
}

/* The model with the values given, known to be good because it was built once. */
static struct value *convert_checked_model(struct input *input, struct value *document,
                                           const struct value *set)
{
    struct names names;
    struct model model;
    convert_parameters(input, document, set);
    names_init(&names);
    model_init(&model, &names);
    struct value *whole = document_complete(input, value_clone(&input->arena, document));
    bool good = whole && !input->report.errors && build_model(input, whole, NULL, 1, &model);
    model_fini(&model);
    names_fini(&names);
    return good ? document : NULL;
}

/* Reads the trace that the options name, and writes it: as Chakra files if there is a prefix, else as YAML.
 */
static enum partita_status convert_trace(struct input *input, const struct value *workload,
                                         const char *prefix, FILE *out, FILE *err)
{
    struct names names;
    struct trace trace;
    const char *problem = NULL;
    names_init(&names);
    trace_init(&trace, &names);
    enum partita_status status = convert_trace_read(input, workload, &trace) ? PARTITA_OK : PARTITA_BAD_INPUT;
    report_print(&input->report, err);
    if (status == PARTITA_OK && prefix && !trace_export_files(&trace, prefix, &problem))
        status = PARTITA_FAILED;
    else if (status == PARTITA_OK && !prefix)
        convert_trace_write(input, workload, &trace, out);
    if (problem)
        fprintf(err, "error: %s\n", problem);
    trace_fini(&trace);
    names_fini(&names);
    return status;
}

/* Whether the options name a trace; then it is written, and the input is released. */
static bool convert_is_trace(struct input *input, const struct partita_options *options, const char *prefix,
                             FILE *out, FILE *err, enum partita_status *status)
{
    bool wrong;
    const struct value *workload =
        convert_trace_find(input, options->topology, options->sets, options->set_count, &wrong);
    if (!workload && !wrong)
        return false;
    *status = PARTITA_BAD_INPUT;
    if (wrong)
        report_print(&input->report, err);
    else
        *status = convert_trace(input, workload, prefix, out, err);
    input_fini(input);
    return true;
}

enum partita_status partita_convert_trace(const struct partita_options *options, const char *prefix,
                                          FILE *err)
{
    struct input input;
    enum partita_status status;
    input_init(&input, partita_data_folder());
    if (convert_is_trace(&input, options, prefix, NULL, err, &status))
        return status;
    fprintf(err, "error: '%s' is no trace: expected files of one, or a workload with `trace:`\n",
            options->topology);
    input_fini(&input);
    return PARTITA_BAD_INPUT;
}

enum partita_status partita_convert(const struct partita_options *options, FILE *out, FILE *err)
{
    struct input input;
    input_init(&input, partita_data_folder());
    enum partita_status traced;
    if (convert_is_trace(&input, options, NULL, out, err, &traced))
        return traced;
    struct value *set = convert_set(&input, options->sets, options->set_count);
    const char *path = document_find(&input, "topologies", options->topology, (struct place){0});
    bool topology = false;
    struct value *document =
        path && !input.report.errors ? convert_model(&input, path, set, &topology) : NULL;
    if (document)
        document = convert_checked_model(&input, document, set);
    else if (topology)
        document = convert_load(&input, path, set);
    report_print(&input.report, err);
    if (document) {
        const char *slash = strrchr(path, '/');
        if (topology)
            convert_defaults(document, set);
        fprintf(out, "# %s, as `partita convert` reads it\n%s\n", slash ? slash + 1 : path,
                value_write(document, &input.arena));
    }
    input_fini(&input);
    return document ? PARTITA_OK : PARTITA_BAD_INPUT;
}
