#include "model/onnx.h"

#include "model/onnx_arrange.h"
#include "model/onnx_recognise.h"
#include "model/onnx_write.h"

#include <string.h>

/* The value of a key, taken out of the map: what is left over is for the model's parameters. */
static const struct value *onnx_take(struct value *set, const char *key)
{
    struct entry *entry = set && set->kind == VALUE_MAP ? value_entry(set, key) : NULL;
    if (!entry)
        return NULL;
    const struct value *value = entry->value;
    size_t rest = (size_t)(set->entries + set->count - entry - 1);
    memmove(entry, entry + 1, rest * sizeof *entry);
    set->count--;
    return value;
}

static bool onnx_options(struct input *input, struct value *set, struct onnx_choices *options)
{
    const struct value *unknown = onnx_take(set, "unknown-ops");
    const struct value *flash = onnx_take(set, "flash");
    options->trips = onnx_take(set, "trips");
    options->sequence = onnx_take(set, "sequence");
    options->dims = onnx_take(set, "dims");
    options->ignore = unknown && unknown->kind == VALUE_SCALAR && strcmp(unknown->text, "ignore") == 0;
    bool error = unknown && unknown->kind == VALUE_SCALAR && strcmp(unknown->text, "error") == 0;
    if (unknown && !options->ignore && !error)
        return report_error(&input->report, unknown->place,
                            "unknown-ops: expected `ignore` or `error`; got %s",
                            value_describe(unknown, &input->arena));
    options->flash = flash && flash->kind == VALUE_SCALAR && strcmp(flash->text, "yes") == 0;
    if (flash && !options->flash && (flash->kind != VALUE_SCALAR || strcmp(flash->text, "no") != 0))
        return report_error(&input->report, flash->place, "flash: expected `yes` or `no`; got %s",
                            value_describe(flash, &input->arena));
    if (options->dims && options->dims->kind != VALUE_MAP)
        return report_error(&input->report, options->dims->place,
                            "dims: expected a map of sizes by the names of dimensions; got %s",
                            value_describe(options->dims, &input->arena));
    return true;
}

static void onnx_put(struct input *input, struct value *map, const char *key, const char *text)
{
    value_put(&input->arena, map, key, map->place, value_new_scalar(&input->arena, map->place, text, true));
}

static const char *onnx_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Everything in the file is accounted for, so that its size can be compared with the parameters. */
static const char *onnx_account(struct input *input, const struct onnx_file *file, const char *path,
                                const struct onnx_writer *writer)
{
    const struct onnx_infer *infer = writer->infer;
    double all = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < infer->values.count; i++) {
        const struct onnx_value *value = &infer->values.at[i];
        if (!value->weight || value->unpacked || strcmp(value->weight->name, value->name) != 0)
            continue;
        all += (double)onnx_file_elements(&value->shape);
        count++;
    }
    return arena_format(&input->arena,
                        "%s: operators of version %lld, %u nodes, %u initialisers of %.0f elements: %.0f "
                        "parameters, %.0f running statistics, %.0f constants",
                        onnx_base(path), (long long)file->opset, infer->nodes.count, count, all,
                        writer->parameters, writer->statistics,
                        all - writer->parameters - writer->statistics);
}

static struct value *onnx_document(struct input *input, const struct onnx_file *file, const char *path,
                                   const struct onnx_writer *writer)
{
    struct value *document = value_new(&input->arena, writer->place, VALUE_MAP);
    const char *name = onnx_base(path);
    onnx_put(input, document, "name",
             *file->graph.name ? file->graph.name
                               : arena_format(&input->arena, "%.*s", (int)strcspn(name, "."), name));
    onnx_put(input, document, "source", onnx_account(input, file, path, writer));
    value_put(&input->arena, document, "layers", writer->place, writer->layers);
    return document;
}

/* The shapes at twice the batch; false if the graph does not allow another one. */
static bool onnx_double(struct input *input, const char *path, const struct onnx_infer *once,
                        struct onnx_infer *twice)
{
    struct report ignored;
    report_init(&ignored);
    onnx_infer_again(twice, &ignored, once);
    bool good = onnx_infer_run(twice, 2);
    const char *why = good ? NULL : arena_text(&input->arena, ignored.list.at[0].text);
    twice->report = &input->report;
    report_fini(&ignored);
    for (uint32_t i = 0; good && i < once->values.count; i++)
        good = !twice->values.at[i].given || once->values.at[i].shape.rank == twice->values.at[i].shape.rank;
    if (!good)
        report_warning(&input->report, (struct place){path, 0, 0},
                       "the graph is fixed to a batch of %lld%s%s: use it with that batch",
                       (long long)once->batch, why ? ", because " : "", why ? why : "");
    return good;
}

/* A workload's sequence must mean something. */
static bool onnx_sequence(const struct onnx_infer *infer)
{
    const struct value *sequence = infer->choices.sequence;
    return !sequence || infer->sequence_used ||
           report_error(
               infer->report, sequence->place,
               "the ONNX file has no symbolic dimension that is called like a sequence, so its length "
               "cannot be chosen");
}

static struct value *onnx_translate(struct input *input, const struct onnx_file *file, const char *path,
                                    const struct onnx_choices *options)
{
    struct onnx_infer once, twice;
    struct value *document = NULL;
    onnx_infer_init(&once, &input->report, &input->arena, file, path, options);
    bool good = onnx_infer_run(&once, 1) && onnx_sequence(&once);
    if (good)
        onnx_arrange_weights(&once);
    if (good && onnx_recognise_all(&once)) {
        struct onnx_writer writer = {.infer = &once, .place = {path, 0, 0}};
        bool scales = onnx_double(input, path, &once, &twice);
        writer.twice = scales ? &twice : NULL;
        writer.layers = value_new(&input->arena, writer.place, VALUE_LIST);
        names_init(&writer.used);
        names_init(&writer.owned);
        if (onnx_write_graph(&writer))
            document = onnx_document(input, file, path, &writer);
        names_fini(&writer.used);
        names_fini(&writer.owned);
        onnx_infer_fini(&twice);
    }
    onnx_infer_fini(&once);
    return document;
}

struct value *onnx_read(struct input *input, const char *path, struct value *set)
{
    struct onnx_file file;
    struct onnx_choices options;
    const char *name = arena_text(&input->arena, path);
    if (!onnx_options(input, set, &options))
        return NULL;
    bool good = onnx_file_open(&file, &input->report, &input->arena, name);
    struct value *document = good ? onnx_translate(input, &file, name, &options) : NULL;
    onnx_file_fini(&file);
    return document;
}

struct value *onnx_read_bytes(struct input *input, const char *name, const unsigned char *bytes, size_t size)
{
    struct onnx_file file = {0};
    struct onnx_choices options = {0};
    struct value *document = NULL;
    if (onnx_file_read(&file, &input->report, &input->arena, name, bytes, size))
        document = onnx_translate(input, &file, name, &options);
    onnx_file_fini(&file);
    return document;
}
