#include "model/onnx_write.h"

#include <ctype.h>
#include <string.h>

static struct arena *onnx_write_arena(const struct onnx_call *call)
{
    return call->infer->arena;
}

static struct value *onnx_write_scalar(const struct onnx_call *call, const char *text)
{
    return value_new_scalar(onnx_write_arena(call), call->writer->place, text, false);
}

/* ---- names ---- */

/* Letters, digits, '_' and '-', starting with a letter; not used before. */
static const char *onnx_write_name(struct onnx_writer *writer, const char *kind, const char *wanted)
{
    enum { LONGEST = 100 };
    struct arena *arena = writer->infer->arena;
    while (*wanted && !isalnum((unsigned char)*wanted))
        wanted++;
    size_t length = strlen(wanted);
    const char *start = length > LONGEST ? wanted + length - LONGEST : wanted;
    bool letter = isalpha((unsigned char)*start) != 0;
    char *name = arena_format(arena, "%s%s%s", letter ? "" : kind, letter || !*start ? "" : "_", start);
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '-')
            *c = '_';
    const char *unique = name;
    for (unsigned i = 2; names_find(&writer->used, unique) != UINT32_MAX; i++)
        unique = arena_format(arena, "%s_%u", name, i);
    names_add(&writer->used, unique);
    return unique;
}

static struct value *onnx_write_new(struct onnx_call *call, const char *kind, const char *name)
{
    struct onnx_writer *writer = call->writer;
    struct value *layer = value_new(onnx_write_arena(call), writer->place, VALUE_MAP);
    value_put(onnx_write_arena(call), layer, kind, writer->place, onnx_write_scalar(call, name));
    value_append(onnx_write_arena(call), writer->layers, layer);
    return layer;
}

struct value *onnx_write_layer(struct onnx_call *call, const char *kind, const char *suffix)
{
    const struct onnx_node *node = call->node;
    const char *name = *node->name ? node->name : node->outputs.count ? node->outputs.at[0] : node->kind;
    if (*suffix)
        name = arena_format(onnx_write_arena(call), "%s_%s", name, suffix);
    return onnx_write_new(call, kind, onnx_write_name(call->writer, node->kind, name));
}

/* ---- keys ---- */

void onnx_write_text(struct onnx_call *call, struct value *layer, const char *key, const char *text)
{
    value_put(onnx_write_arena(call), layer, key, call->writer->place, onnx_write_scalar(call, text));
}

void onnx_write_number(struct onnx_call *call, struct value *layer, const char *key, int64_t number)
{
    onnx_write_text(call, layer, key, arena_format(onnx_write_arena(call), "%lld", (long long)number));
}

void onnx_write_numbers(struct onnx_call *call, struct value *layer, const char *key, const int64_t *numbers,
                        uint32_t count)
{
    struct value *list = value_new(onnx_write_arena(call), call->writer->place, VALUE_LIST);
    for (uint32_t i = 0; i < count; i++)
        value_append(
            onnx_write_arena(call), list,
            onnx_write_scalar(call, arena_format(onnx_write_arena(call), "%lld", (long long)numbers[i])));
    value_put(onnx_write_arena(call), layer, key, call->writer->place, list);
}

/* A size in terms of the batch: it is `size` at the file's batch and `twice` at twice as much. */
static const char *onnx_write_size(struct onnx_call *call, int64_t size, int64_t twice)
{
    int64_t batch = call->infer->batch, slope = (twice - size) / batch, rest = size - slope * batch;
    struct arena *arena = onnx_write_arena(call);
    if (size == twice || (twice - size) % batch || rest < 0)
        return arena_format(arena, "%lld", (long long)size);
    const char *grown = slope == 1 ? "batch" : arena_format(arena, "%lld * batch", (long long)slope);
    return rest ? arena_format(arena, "%lld + %s", (long long)rest, grown) : grown;
}

void onnx_write_dims(struct onnx_call *call, struct value *layer, const char *key,
                     const struct onnx_value *value, const char *const *labels)
{
    onnx_write_cut(call, layer, key, value, 0, NULL, 0, labels);
}

void onnx_write_cut(struct onnx_call *call, struct value *layer, const char *key,
                    const struct onnx_value *value, uint32_t axis, const int64_t *pieces, uint32_t count,
                    const char *const *labels)
{
    struct value *map = value_new(onnx_write_arena(call), call->writer->place, VALUE_MAP);
    const struct onnx_value *twice = NULL;
    if (call->writer->twice)
        twice = &call->writer->twice->values.at[names_find(&call->infer->names, value->name)];
    for (uint32_t i = 0; i < value->shape.rank; i++) {
        int64_t size = value->shape.dims[i], more = twice ? twice->shape.dims[i] : size;
        for (uint32_t k = 0; i == axis && k < count; k++)
            onnx_write_number(call, map, *labels++, pieces[k]);
        if (i != axis || !count)
            value_put(onnx_write_arena(call), map, *labels++, call->writer->place,
                      onnx_write_scalar(call, onnx_write_size(call, size, more)));
    }
    value_put(onnx_write_arena(call), layer, key, call->writer->place, map);
}

void onnx_write_sizes(struct onnx_call *call, struct value *layer, const char *key,
                      const struct onnx_shape *shape, const char *const *labels)
{
    struct value *map = value_new(onnx_write_arena(call), call->writer->place, VALUE_MAP);
    for (uint32_t i = 0; i < shape->rank; i++)
        onnx_write_number(call, map, labels[i], shape->dims[i]);
    value_put(onnx_write_arena(call), layer, key, call->writer->place, map);
}

/* ---- weights ---- */

static bool onnx_write_is_trained(int64_t type)
{
    return type != ONNX_INT16 && type != ONNX_UINT16 && type != ONNX_INT32 && type != ONNX_INT64 &&
           type != ONNX_UINT32 && type != ONNX_UINT64 && type != ONNX_BOOL && type != ONNX_STRING;
}

static struct onnx_value *onnx_write_origin(const struct onnx_call *call, const struct onnx_value *value)
{
    return &call->infer->values.at[names_find(&call->infer->names, value->weight->name)];
}

bool onnx_write_is_own(const struct onnx_call *call, const struct onnx_value *value)
{
    return value->weight && !value->layer && value->readers == 1 && value->shape.rank &&
           onnx_write_origin(call, value)->readers == 1 &&
           names_find(&call->writer->owned, value->weight->name) == UINT32_MAX;
}

bool onnx_write_owns(struct onnx_call *call, const struct onnx_value *value)
{
    if (!value->weight || names_find(&call->writer->owned, value->weight->name) != UINT32_MAX)
        return false;
    names_add(&call->writer->owned, value->weight->name);
    call->writer->parameters += (double)onnx_file_elements(&value->weight->shape);
    return true;
}

bool onnx_write_is_kinds(const struct onnx_call *call, uint32_t input)
{
    const struct onnx_value *value = onnx_call_in(call, input);
    const struct onnx_infer *infer = call->infer;
    uint32_t alike = 0;
    if (!value->weight || value->layer || strcmp(value->weight->name, value->name) != 0 ||
        names_find(&call->writer->owned, value->name) != UINT32_MAX)
        return false;
    for (uint32_t n = call->index; n < infer->nodes.count; n++) {
        const struct onnx_node *node = &infer->nodes.at[n];
        alike += !node->silent && strcmp(node->kind, call->node->kind) == 0 && input < node->inputs.count &&
                 strcmp(node->inputs.at[input], value->name) == 0;
    }
    return alike == value->readers;
}

static const char **onnx_write_owner(const struct onnx_call *call, uint32_t input)
{
    const struct onnx_value *value = onnx_call_in(call, input);
    const struct onnx_value *origin = value->weight ? onnx_write_origin(call, value) : value;
    return &call->writer->owners[origin - call->infer->values.at];
}

const char *onnx_write_keeper(const struct onnx_call *call, uint32_t input)
{
    return *onnx_write_owner(call, input);
}

void onnx_write_keep(struct onnx_call *call, uint32_t input, const char *layer)
{
    *onnx_write_owner(call, input) = layer;
    onnx_write_owns(call, onnx_call_in(call, input));
}

void onnx_write_statistics(struct onnx_call *call, const struct onnx_value *value)
{
    if (!value || !value->weight || names_find(&call->writer->owned, value->weight->name) != UINT32_MAX)
        return;
    names_add(&call->writer->owned, value->weight->name);
    call->writer->statistics += (double)onnx_file_elements(&value->weight->shape);
}

const char *onnx_write_fresh(struct onnx_call *call, const char *const *labels, uint32_t count,
                             const char *wanted)
{
    static const char *const all[] = {"",  "h", "s", "f", "d", "g", "r", "v",
                                      "k", "m", "n", "p", "u", "w", NULL};
    for (int k = 0; all[k]; k++) {
        const char *label = k ? all[k] : wanted;
        bool taken = false;
        for (uint32_t i = 0; i < count; i++)
            taken = taken || strcmp(labels[i], label) == 0;
        if (!taken)
            return label;
    }
    return arena_format(onnx_write_arena(call), "d%u", count);
}

const char *onnx_write_feature(int64_t in, int64_t out, bool sequence)
{
    enum { VOCABULARY = 4096 };
    if (sequence && out >= VOCABULARY && out > 8 * in)
        return "v";
    return out > in ? "f" : sequence ? "h" : "c";
}

static void onnx_write_new_labels(struct onnx_call *call, struct onnx_value *value)
{
    for (uint32_t i = 0; i < value->shape.rank; i++)
        value->labels[i] = onnx_write_fresh(call, value->labels, i,
                                            value->shape.dims[i] == 1 ? "u"
                                            : i == 0                  ? "n"
                                                                      : "h");
}

/* A layer of its own for a weight or a constant. */
static void onnx_write_source(struct onnx_call *call, struct onnx_value *value)
{
    bool trained = value->weight && onnx_write_is_trained(value->weight->type);
    const char *name = onnx_write_name(call->writer, "weight", value->name);
    onnx_write_new_labels(call, value);
    struct value *layer = onnx_write_new(call, trained ? "parameter" : "input", name);
    struct onnx_shape shape = value->shape;
    if (!shape.rank) { /* a number */
        shape = (struct onnx_shape){1, {1}};
        value->labels[0] = "u";
    }
    onnx_write_sizes(call, layer, "dims", &shape, value->labels);
    if (!trained)
        onnx_write_text(call, layer, "batched", "no");
    else
        onnx_write_owns(call, value);
    value->layer = name;
}

/* Makes a layer give the value. */
static void onnx_write_ready(struct onnx_call *call, struct onnx_value *value)
{
    if (value->layer)
        return;
    struct onnx_value *origin = value->weight ? onnx_write_origin(call, value) : value;
    if (!origin->layer)
        onnx_write_source(call, origin);
    if (origin == value)
        return;
    onnx_write_new_labels(call, value);
    const char *name = onnx_write_name(call->writer, "weight", value->name);
    struct value *layer = onnx_write_new(call, "rearrange", name);
    onnx_write_from(call, layer, origin);
    onnx_write_text(call, layer, "free", "yes");
    onnx_write_sizes(call, layer, "dims", &value->shape, value->labels);
    value->layer = name;
}

/* A layer that is made for the sake of another one goes before it. */
void onnx_write_from(struct onnx_call *call, struct value *layer, struct onnx_value *value)
{
    struct value *layers = call->writer->layers;
    uint32_t before = layers->count;
    onnx_write_ready(call, value);
    if (layers->count > before && before && layers->entries[before - 1].value == layer) {
        struct entry mine = layers->entries[before - 1];
        memmove(&layers->entries[before - 1], &layers->entries[before],
                (layers->count - before) * sizeof mine);
        layers->entries[layers->count - 1] = mine;
    }
    struct entry *entry = value_entry(layer, "from");
    struct value *name = onnx_write_scalar(call, value->layer);
    if (!entry) {
        value_put(onnx_write_arena(call), layer, "from", call->writer->place, name);
    } else if (entry->value->kind == VALUE_LIST) {
        value_append(onnx_write_arena(call), entry->value, name);
    } else {
        struct value *list = value_new(onnx_write_arena(call), call->writer->place, VALUE_LIST);
        value_append(onnx_write_arena(call), list, entry->value);
        value_append(onnx_write_arena(call), list, name);
        entry->value = list;
    }
}

void onnx_write_gives(struct onnx_call *call, const struct value *layer, uint32_t output,
                      const char *const *labels)
{
    struct onnx_value *out = onnx_call_out(call, output);
    if (!out)
        return;
    out->layer = layer->entries[0].value->text;
    for (uint32_t i = 0; i < out->shape.rank; i++)
        out->labels[i] = labels[i];
}

struct onnx_value onnx_write_labelled(struct onnx_call *call, struct onnx_value *value,
                                      const char *const *labels, const char *suffix)
{
    bool alike = value->layer != NULL;
    for (uint32_t i = 0; alike && i < value->shape.rank; i++)
        alike = strcmp(value->labels[i], labels[i]) == 0;
    if (alike)
        return *value;
    onnx_write_ready(call, value);
    struct onnx_value copy = *value;
    struct value *layer = onnx_write_layer(call, "reshape", suffix);
    onnx_write_from(call, layer, value);
    onnx_write_dims(call, layer, "dims", value, labels);
    copy.layer = layer->entries[0].value->text;
    for (uint32_t i = 0; i < value->shape.rank; i++)
        copy.labels[i] = labels[i];
    return copy;
}

struct onnx_value onnx_write_repeated(struct onnx_call *call, struct onnx_value *value,
                                      const char *const *labels, uint32_t axis, const char *suffix)
{
    const struct onnx_infer *twice = call->writer->twice;
    const struct onnx_value *out = onnx_call_out(call, 0);
    if (!twice || axis == 0)
        return onnx_write_labelled(call, value, labels, suffix);
    const struct onnx_value *mine = &twice->values.at[names_find(&call->infer->names, value->name)];
    const struct onnx_value *all = &twice->values.at[names_find(&call->infer->names, out->name)];
    if (mine->shape.dims[0] == all->shape.dims[0])
        return onnx_write_labelled(call, value, labels, suffix);
    struct onnx_value copy = *out;
    onnx_write_ready(call, value);
    struct value *layer = onnx_write_layer(call, "rearrange", suffix);
    onnx_write_from(call, layer, value);
    onnx_write_dims(call, layer, "dims", out, labels);
    value_get(layer, "dims")->entries[axis].value = onnx_write_scalar(
        call, arena_format(onnx_write_arena(call), "%lld", (long long)value->shape.dims[axis]));
    copy.layer = layer->entries[0].value->text;
    for (uint32_t i = 0; i < copy.shape.rank; i++)
        copy.labels[i] = labels[i];
    return copy;
}

void onnx_write_stretched(struct onnx_call *call, uint32_t output, const char **labels)
{
    const struct onnx_value *out = onnx_call_out(call, output);
    uint32_t rank = out->shape.rank;
    const char *wanted[ONNX_RANK] = {0};
    for (int pass = 0; pass < 2; pass++) /* sizes that are the output's, then any */
        for (uint32_t k = 0; k < call->node->inputs.count; k++) {
            const struct onnx_value *in = onnx_call_in(call, k);
            for (uint32_t i = 0; in && in->layer && i < in->shape.rank && in->shape.rank <= rank; i++) {
                uint32_t at = rank - in->shape.rank + i;
                if (!wanted[at] && (pass || in->shape.dims[i] == out->shape.dims[at]))
                    wanted[at] = in->labels[i];
            }
        }
    for (uint32_t i = 0; i < rank; i++)
        labels[i] = onnx_write_fresh(call, labels, i, wanted[i] ? wanted[i] : "h");
}

/* Labels of the first input whose dimensions, in order, are some of the output's. */
static void onnx_write_kept(struct onnx_call *call, const struct onnx_value *out, const char **labels)
{
    const struct onnx_value *in = onnx_call_in(call, 0);
    uint32_t k = 0, rank = in && in->layer ? in->shape.rank : 0;
    bool alike = in && rank == out->shape.rank;
    for (uint32_t i = 0; i < out->shape.rank; i++) {
        const char *wanted = "h";
        if (alike) {
            wanted = in->labels[i];
        } else {
            uint32_t at = k;
            while (at < rank && in->shape.dims[at] != out->shape.dims[i])
                at++;
            if (at < rank) {
                wanted = in->labels[at];
                k = at + 1;
            }
        }
        labels[i] = onnx_write_fresh(call, labels, i, wanted);
    }
}

bool onnx_write_rearranged(struct onnx_call *call)
{
    enum { MOST = 8 };
    for (uint32_t k = 0; k < call->node->outputs.count; k++) {
        struct onnx_value *out = onnx_call_out(call, k);
        const char *labels[ONNX_RANK];
        uint32_t given = 0;
        if (!out || !out->readers || out->known)
            continue;
        struct value *layer = onnx_write_layer(
            call, "rearrange",
            call->node->outputs.count > 1 ? arena_format(onnx_write_arena(call), "%u", k) : "");
        for (uint32_t i = 0; i < call->node->inputs.count && given < MOST; i++) {
            struct onnx_value *in = onnx_call_in(call, i);
            bool setting = call->rules && i < 64 && call->rules->settings >> i & 1;
            if (!in || setting || (!in->layer && onnx_file_elements(&in->shape) <= 1))
                continue;
            onnx_write_from(call, layer, in);
            given++;
        }
        onnx_write_kept(call, out, labels);
        onnx_write_dims(call, layer, "dims", out, labels);
        if (!given)
            onnx_write_text(call, layer, "made", "yes");
        if (!call->rules)
            onnx_write_text(call, layer, "free", "yes");
        else if (call->rules->flops > 0)
            onnx_write_number(call, layer, "flops", (int64_t)call->rules->flops);
        onnx_write_gives(call, layer, k, labels);
    }
    return true;
}

/* ---- the graph ---- */

static bool onnx_write_input(struct onnx_writer *writer, const struct onnx_declared *declared)
{
    static const char *const maps[][4] = {{"b"}, {"b", "c"}, {"b", "s", "h"}, {"b", "c", "y", "x"}};
    struct onnx_node node = {.name = declared->name, .kind = "input", .domain = ""};
    struct onnx_call call = {.infer = writer->infer, .writer = writer, .node = &node};
    struct onnx_value *value = onnx_infer_value(writer->infer, declared->name);
    const struct onnx_value *twice =
        writer->twice ? &writer->twice->values.at[value - writer->infer->values.at] : NULL;
    uint32_t rank = value->shape.rank;
    bool discrete = value->type == ONNX_INT64 || value->type == ONNX_INT32;
    bool batched = rank > 1 && rank <= 6 &&
                   (twice ? twice->shape.dims[0] == 2 * value->shape.dims[0]
                          : value->shape.dims[0] == writer->infer->batch);
    if (value->weight || value->layer || !value->readers)
        return true;
    for (uint32_t i = 0; i < rank; i++) {
        const char *wanted = rank >= 1 && rank <= 4 ? maps[rank - 1][i] : i == 0 ? "b" : i == 1 ? "c" : "x";
        bool grows = twice && twice->shape.dims[i] != value->shape.dims[i];
        if (rank == 5)
            wanted = (const char *const[]){"b", "c", "z", "y", "x"}[i];
        if (rank == 2 && discrete && i == 1)
            wanted = "s";
        if (rank == 3 && !batched && i < 2)
            wanted = grows ? "b" : "t";
        if (!batched && !grows && strcmp(wanted, "b") == 0)
            wanted = "s";
        value->labels[i] = onnx_write_fresh(&call, value->labels, i, wanted);
    }
    struct value *layer = onnx_write_layer(&call, "input", "");
    struct onnx_value rest = *value;
    if (batched) {
        struct value *map;
        onnx_write_dims(&call, layer, "dims", value, value->labels);
        map = value_get(layer, "dims");
        memmove(map->entries, map->entries + 1, (map->count - 1) * sizeof *map->entries);
        map->count--;
    } else if (rank) {
        onnx_write_dims(&call, layer, "dims", value, value->labels);
    } else {
        rest.shape = (struct onnx_shape){1, {1}};
        onnx_write_sizes(&call, layer, "dims", &rest.shape, (const char *const[]){"u"});
    }
    if (!batched)
        onnx_write_text(&call, layer, "batched", "no");
    if (discrete)
        onnx_write_text(&call, layer, "discrete", "yes");
    value->layer = layer->entries[0].value->text;
    return true;
}

/* Whether there is nothing to do when the model runs: numbers that are known, or a weight in another
 * arrangement. */
static bool onnx_write_is_constant(const struct onnx_call *call)
{
    bool constant = true;
    for (uint32_t k = 0; k < call->node->outputs.count; k++) {
        const struct onnx_value *out = onnx_call_out(call, k);
        constant = constant && (!out || out->known || out->weight || !out->readers || out->layer);
    }
    return constant || strcmp(call->node->kind, "Constant") == 0;
}

static bool onnx_write_node(struct onnx_call *call)
{
    if (call->node->silent)
        return true;
    for (uint32_t k = 0; k < call->node->outputs.count; k++)
        if (onnx_call_out(call, k) && onnx_file_elements(&onnx_call_out(call, k)->shape) == 0 &&
            onnx_call_out(call, k)->readers && !onnx_call_out(call, k)->known)
            return onnx_call_fail(call, "gives a tensor without elements, %s",
                                  onnx_call_describe(onnx_write_arena(call), &onnx_call_out(call, k)->shape));
    if (onnx_write_is_constant(call))
        return true;
    /* Operators look at the labels of what they read. */
    for (uint32_t i = 0; i < call->node->inputs.count; i++) {
        struct onnx_value *in = onnx_call_in(call, i);
        bool first = i == 0 && call->rules && strcmp(call->node->kind, "Gather") != 0 &&
                     call->rules->write != onnx_write_rearranged;
        if (in && first && !in->layer && onnx_file_elements(&in->shape) > 1)
            onnx_write_ready(call, in);
    }
    if (call->rules && call->rules->write)
        return call->rules->write(call);
    if (!call->rules)
        return onnx_write_rearranged(call);
    struct onnx_value *in = onnx_call_in(call, 0);
    for (uint32_t k = 0; k < call->node->outputs.count; k++) {
        struct onnx_value *out = onnx_call_out(call, k);
        if (!out)
            continue;
        out->layer = in->layer;
        memcpy(out->labels, in->labels, sizeof in->labels);
    }
    return true;
}

bool onnx_write_graph(struct onnx_writer *writer)
{
    const struct onnx_infer *infer = writer->infer;
    const struct onnx_graph *graph = &infer->file->graph;
    struct report *report = infer->report;
    uint32_t errors = report->errors;
    writer->owners = ARENA_ARRAY(infer->arena, const char *, infer->values.count);
    for (uint32_t i = 0; i < graph->inputs.count; i++)
        if (!onnx_write_input(writer, &graph->inputs.at[i]))
            return false;
    for (uint32_t n = 0; n < infer->nodes.count && report->errors == errors; n++) {
        struct onnx_call call = {
            .infer = writer->infer, .writer = writer, .node = &infer->nodes.at[n], .index = n};
        call.rules = onnx_infer_find(call.node);
        if (!onnx_write_node(&call))
            return false;
    }
    return report->errors == errors;
}
