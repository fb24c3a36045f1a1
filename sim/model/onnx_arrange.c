/* Each value that comes from weights through arranging operators alone has a list of these weights and of how
 * many of their elements it holds at most. Then the reads of layers are added up weight by weight; weights
 * that must stay are found by going over the reads until nothing changes. Linear in the nodes and the lengths
 * of the lists but for that. */
#include "model/onnx_arrange.h"

#include <string.h>

enum { ARRANGE_MOST = 256 }; /* weights in one value */

struct arrange_part {
    uint32_t weight; /* value */
    double elements; /* of it; sums of hostile sizes have room */
};

struct arrange_made {
    uint32_t count; /* of parts; 0: not from weights alone */
    struct arrange_part *parts;
    bool joined;      /* or cut; else it is a weight as it stands, perhaps turned */
    bool read;        /* by a layer */
    const char *name; /* of the weight that takes its place; or NULL */
};

struct arrange {
    struct onnx_infer *infer;
    struct arrange_made *made; /* by value */
    double *read;              /* by value: elements of a weight that layers read */
    bool *stays;               /* by value: a weight that stays as the file says */
};

/* Where layers read weights: bits of inputs. */
static const struct arrange_reader {
    const char *kind;
    uint32_t inputs;
} arrange_readers[] = {
    {"LSTM", 0x8e},
    {"GRU", 0x0e},
    {"RNN", 0x0e},
    {"Conv", 0x06},
    {"ConvTranspose", 0x06},
    {"ConvInteger", 0x02},
    {"MatMul", 0x02},
    {"MatMulInteger", 0x02},
    {"Gemm", 0x06},
    {"BatchNormalization", 0x1e},
    {"InstanceNormalization", 0x06},
    {"LayerNormalization", 0x06},
    {"GroupNormalization", 0x06},
    {"RMSNormalization", 0x02},
    {"SimplifiedLayerNormalization", 0x02},
    {"Gather", 0x01},
};

static bool arrange_reads_weight(const struct onnx_node *node, uint32_t input)
{
    for (size_t i = 0; i < sizeof arrange_readers / sizeof *arrange_readers; i++)
        if (strcmp(node->kind, arrange_readers[i].kind) == 0)
            return input < 32 && arrange_readers[i].inputs >> input & 1;
    return false;
}

static uint32_t arrange_value(const struct arrange *arrange, const char *name)
{
    return names_find(&arrange->infer->names, name);
}

/* A weight of the file that may be trained. */
static bool arrange_is_weight(const struct onnx_value *value)
{
    return value->weight && !value->unpacked && value->shape.rank &&
           strcmp(value->weight->name, value->name) == 0 &&
           (value->type == ONNX_FLOAT || value->type == ONNX_FLOAT16 || value->type == ONNX_BFLOAT16 ||
            value->type == ONNX_DOUBLE || value->type == ONNX_INT8 || value->type == ONNX_UINT8);
}

/* Adds parts to a value's; those of one weight are one. Returns false when there are too many. */
static bool arrange_add(struct arrange_made *to, const struct arrange_made *from, double most)
{
    for (uint32_t i = 0; i < from->count; i++) {
        uint32_t at = 0;
        double elements = from->parts[i].elements < most ? from->parts[i].elements : most;
        while (at < to->count && to->parts[at].weight != from->parts[i].weight)
            at++;
        if (at == ARRANGE_MOST)
            return false;
        if (at == to->count)
            to->parts[to->count++] = (struct arrange_part){from->parts[i].weight, 0};
        to->parts[at].elements += elements;
    }
    return true;
}

static void arrange_stay(struct arrange *arrange, const struct arrange_made *made)
{
    for (uint32_t i = 0; i < made->count; i++)
        arrange->stays[made->parts[i].weight] = true;
}

/* Which inputs of an arranging node are data; 0: the node computes. */
static uint32_t arrange_data(const struct arrange *arrange, const struct onnx_node *node, bool *joins)
{
    const struct onnx_operator *entry = onnx_infer_find(node);
    *joins = strcmp(node->kind, "Concat") == 0;
    if (*joins)
        return node->inputs.count;
    *joins = strcmp(node->kind, "Slice") == 0 || strcmp(node->kind, "Split") == 0 ||
             (strcmp(node->kind, "Gather") == 0 && node->inputs.count > 1 &&
              arrange->infer->values.at[arrange_value(arrange, node->inputs.at[1])].known);
    return node->inputs.count && entry && (*joins || entry->rearranges);
}

/* The parts of one output. What a cut takes of a value with several parts is not looked at: as much of each
 * as there may be. */
static void arrange_output(struct arrange *arrange, const struct onnx_node *node, uint32_t data, bool joins,
                           uint32_t output)
{
    const struct onnx_value *out = &arrange->infer->values.at[output];
    struct arrange_part parts[ARRANGE_MOST];
    struct arrange_made made = {.parts = parts, .joined = joins};
    double elements = (double)onnx_file_elements(&out->shape);
    bool good = output && out->given && elements > 0;
    for (uint32_t i = 0; good && i < data; i++) {
        const struct arrange_made *in = &arrange->made[arrange_value(arrange, node->inputs.at[i])];
        good = in->count && arrange_add(&made, in, elements);
        made.joined = made.joined || in->joined;
    }
    if (!good || !made.count)
        return;
    if (joins && data == 1 && made.count == 1) /* a Gather may take an element twice */
        made.parts[0].elements = elements;
    made.parts = ARENA_ARRAY(arrange->infer->arena, struct arrange_part, made.count);
    memcpy(made.parts, parts, made.count * sizeof *parts);
    arrange->made[output] = made;
}

/* A read by what does not arrange: a layer's weight, or something that leaves the weights as they are. */
static void arrange_read(struct arrange *arrange, const struct onnx_node *node, uint32_t input)
{
    struct arrange_made *made = &arrange->made[arrange_value(arrange, node->inputs.at[input])];
    if (!made->joined || !arrange_reads_weight(node, input)) {
        arrange_stay(arrange, made);
        return;
    }
    for (uint32_t i = 0; !made->read && i < made->count; i++)
        arrange->read[made->parts[i].weight] += made->parts[i].elements;
    made->read = true;
}

static void arrange_node(struct arrange *arrange, const struct onnx_node *node)
{
    bool joins, arranges = false;
    uint32_t data = arrange_data(arrange, node, &joins);
    if (strcmp(node->kind, "Shape") == 0 || strcmp(node->kind, "Size") == 0)
        return;
    for (uint32_t k = 0; data && k < node->outputs.count; k++) {
        uint32_t output = arrange_value(arrange, node->outputs.at[k]);
        arrange_output(arrange, node, data, joins, output);
        arranges = arranges || arrange->made[output].count;
    }
    for (uint32_t i = 0; !arranges && i < node->inputs.count; i++)
        arrange_read(arrange, node, i);
}

/* A value with a weight that stays is made by the nodes as they are, so its other weights stay too. */
static void arrange_settle(struct arrange *arrange)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t v = 0; v < arrange->infer->values.count; v++) {
            const struct arrange_made *made = &arrange->made[v];
            bool stays = false, all = true;
            for (uint32_t i = 0; made->read && i < made->count; i++) {
                stays = stays || arrange->stays[made->parts[i].weight];
                all = all && arrange->stays[made->parts[i].weight];
            }
            if (stays && !all) {
                arrange_stay(arrange, made);
                changed = true;
            }
        }
    }
}

/* The weight that takes a value's place. It is no initialiser of the file. */
static const char *arrange_weight(struct arrange *arrange, uint32_t id)
{
    struct onnx_infer *infer = arrange->infer;
    struct arrange_made *made = &arrange->made[id];
    if (made->name)
        return made->name;
    const struct onnx_value *value = &infer->values.at[id];
    struct onnx_tensor tensor = {.type = value->type, .shape = value->shape, .external = true};
    const char *name = arena_format(infer->arena, "%s.arranged", value->name);
    while (names_find(&infer->names, name) != UINT32_MAX)
        name = arena_format(infer->arena, "%s.arranged", name);
    onnx_infer_constant(infer, name, &tensor);
    onnx_infer_value(infer, name)->unpacked = true;
    made->name = onnx_infer_value(infer, name)->name;
    return made->name;
}

static void arrange_replace(struct arrange *arrange, struct onnx_node *node, uint32_t known)
{
    for (uint32_t i = 0; i < node->inputs.count; i++) {
        uint32_t id = arrange_value(arrange, node->inputs.at[i]);
        if (id >= known || !arrange->made[id].read || !arrange_reads_weight(node, i) ||
            arrange->stays[arrange->made[id].parts[0].weight])
            continue;
        node->inputs.at[i] = arrange_weight(arrange, id);
        arrange->infer->values.at[arrange_value(arrange, node->inputs.at[i])].readers++;
    }
}

void onnx_arrange_weights(struct onnx_infer *infer)
{
    uint32_t count = infer->values.count;
    struct arrange arrange = {.infer = infer,
                              .made = ARENA_ARRAY(infer->arena, struct arrange_made, count),
                              .read = ARENA_ARRAY(infer->arena, double, count),
                              .stays = ARENA_ARRAY(infer->arena, bool, count)};
    for (uint32_t v = 1; v < count; v++)
        if (arrange_is_weight(&infer->values.at[v])) {
            struct arrange_part *part = ARENA_NEW(infer->arena, struct arrange_part);
            *part = (struct arrange_part){v, (double)onnx_file_elements(&infer->values.at[v].shape)};
            arrange.made[v] = (struct arrange_made){.count = 1, .parts = part};
        }
    for (uint32_t n = 0; n < infer->nodes.count; n++)
        arrange_node(&arrange, &infer->nodes.at[n]);
    for (uint32_t i = 0; i < infer->file->graph.outputs.count; i++)
        arrange_stay(&arrange, &arrange.made[arrange_value(&arrange, infer->file->graph.outputs.at[i].name)]);
    for (uint32_t v = 1; v < count; v++)
        arrange.stays[v] =
            arrange.stays[v] || arrange.read[v] > (double)onnx_file_elements(&infer->values.at[v].shape);
    arrange_settle(&arrange);
    for (uint32_t n = 0; n < infer->nodes.count; n++)
        arrange_replace(&arrange, &infer->nodes.at[n], count);
}
