#include "model/onnx_recognise.h"

#include <stdarg.h>
#include <string.h>

/* ---- looking ---- */

struct onnx_node *onnx_recognise_node(const struct onnx_recognise *recognise, uint32_t node)
{
    return &recognise->infer->nodes.at[node];
}

struct onnx_value *onnx_recognise_value(const struct onnx_recognise *recognise, const char *name)
{
    return onnx_infer_value(recognise->infer, name);
}

static uint32_t recognise_look(const struct onnx_recognise *recognise, const uint32_t *table,
                               const char *name)
{
    const struct onnx_value *value = *name ? onnx_recognise_value(recognise, name) : NULL;
    return value ? table[value - recognise->infer->values.at] : RECOGNISE_NONE;
}

uint32_t onnx_recognise_from(const struct onnx_recognise *recognise, const char *name)
{
    return recognise_look(recognise, recognise->producer, name);
}

uint32_t onnx_recognise_last(const struct onnx_recognise *recognise, const char *name)
{
    return recognise_look(recognise, recognise->reader, name);
}

uint32_t onnx_recognise_to(const struct onnx_recognise *recognise, const char *name)
{
    const struct onnx_value *value = *name ? onnx_recognise_value(recognise, name) : NULL;
    return value && value->readers == 1 ? recognise_look(recognise, recognise->reader, name) : RECOGNISE_NONE;
}

bool onnx_recognise_is(const struct onnx_recognise *recognise, uint32_t node, const char *kind)
{
    return node != RECOGNISE_NONE && strcmp(onnx_recognise_node(recognise, node)->kind, kind) == 0;
}

const char *onnx_recognise_in(const struct onnx_recognise *recognise, uint32_t node, uint32_t input)
{
    const struct onnx_node *at = onnx_recognise_node(recognise, node);
    return input < at->inputs.count ? at->inputs.at[input] : "";
}

const char *onnx_recognise_out(const struct onnx_recognise *recognise, uint32_t node)
{
    const struct onnx_node *at = onnx_recognise_node(recognise, node);
    return at->outputs.count ? at->outputs.at[0] : "";
}

const char *onnx_recognise_other(const struct onnx_recognise *recognise, uint32_t node, const char *name)
{
    const char *first = onnx_recognise_in(recognise, node, 0),
               *second = onnx_recognise_in(recognise, node, 1);
    if (strcmp(first, name) == 0)
        return second;
    return strcmp(second, name) == 0 ? first : "";
}

bool onnx_recognise_is_inner(const struct onnx_recognise *recognise, const char *name)
{
    const struct onnx_graph *graph = &recognise->infer->file->graph;
    const struct onnx_value *value = *name ? onnx_recognise_value(recognise, name) : NULL;
    bool inner = value && value->readers && !value->decides;
    for (uint32_t i = 0; inner && i < graph->outputs.count; i++)
        inner = strcmp(graph->outputs.at[i].name, name) != 0;
    return inner;
}

bool onnx_recognise_is_number(const struct onnx_recognise *recognise, const char *name)
{
    const struct onnx_value *value = *name ? onnx_recognise_value(recognise, name) : NULL;
    return value && value->given && onnx_file_elements(&value->shape) == 1;
}

bool onnx_recognise_is_own(const struct onnx_recognise *recognise, const char *name)
{
    const struct onnx_value *value = *name ? onnx_recognise_value(recognise, name) : NULL;
    if (!value || !value->weight || value->readers != 1)
        return false;
    const struct onnx_value *origin = onnx_recognise_value(recognise, value->weight->name);
    return origin && origin->readers == 1;
}

bool onnx_recognise_is_vector(const struct onnx_recognise *recognise, const char *name, int64_t size)
{
    const struct onnx_value *value = *name ? onnx_recognise_value(recognise, name) : NULL;
    return value && value->weight && value->readers == 1 && value->shape.rank == 1 &&
           value->shape.dims[0] == size;
}

/* ---- replacing ---- */

static void recognise_inputs(struct onnx_node *node, va_list inputs)
{
    for (const char *input = va_arg(inputs, const char *); input; input = va_arg(inputs, const char *))
        VECTOR_PUSH(&node->inputs, input);
}

struct onnx_node *onnx_recognise_replace(struct onnx_recognise *recognise, uint32_t node, const char *kind,
                                         ...)
{
    struct onnx_node *at = onnx_recognise_node(recognise, node);
    va_list inputs;
    at->kind = kind;
    at->domain = "";
    at->inputs.count = at->attributes.count = 0;
    at->outputs.count = 1;
    va_start(inputs, kind);
    recognise_inputs(at, inputs);
    va_end(inputs);
    return at;
}

struct onnx_node *onnx_recognise_insert(struct onnx_recognise *recognise, uint32_t before, const char *kind,
                                        const char *output, ...)
{
    struct onnx_extra extra = {before, {.name = output, .kind = kind, .domain = ""}};
    va_list inputs;
    extra.node.origin = onnx_recognise_node(recognise, before)->origin;
    va_start(inputs, output);
    recognise_inputs(&extra.node, inputs);
    va_end(inputs);
    VECTOR_PUSH(&extra.node.outputs, output);
    VECTOR_PUSH(&recognise->extra, extra);
    return &recognise->extra.at[recognise->extra.count - 1].node;
}

void onnx_recognise_redirect(struct onnx_recognise *recognise, uint32_t from, const char *name,
                             const char *to)
{
    uint32_t last = onnx_recognise_last(recognise, name);
    for (uint32_t n = from; last != RECOGNISE_NONE && n <= last; n++) {
        struct onnx_node *reader = onnx_recognise_node(recognise, n);
        for (uint32_t i = 0; i < reader->inputs.count; i++)
            if (strcmp(reader->inputs.at[i], name) == 0)
                reader->inputs.at[i] = to;
    }
}

void onnx_recognise_ints(struct onnx_recognise *recognise, struct onnx_node *node, const char *name,
                         const int64_t *numbers, uint32_t count)
{
    struct onnx_attribute attribute = {.name = name};
    attribute.ints.at = ARENA_ARRAY(recognise->infer->arena, int64_t, (size_t)count + 1);
    attribute.ints.count = attribute.ints.room = count;
    memcpy(attribute.ints.at, numbers, count * sizeof *numbers);
    VECTOR_PUSH(&node->attributes, attribute);
}

void onnx_recognise_int(struct onnx_node *node, const char *name, int64_t number)
{
    VECTOR_PUSH(&node->attributes, ((struct onnx_attribute){.name = name, .i = number}));
}

/* ---- one pass ---- */

static void recognise_release(struct onnx_node *node)
{
    VECTOR_FREE(&node->inputs);
    VECTOR_FREE(&node->outputs);
    VECTOR_FREE(&node->attributes);
}

/* Who gives and reads each value. */
static void recognise_map(struct onnx_recognise *recognise)
{
    struct onnx_infer *infer = recognise->infer;
    recognise->producer = ARENA_ARRAY(infer->arena, uint32_t, infer->values.count);
    recognise->reader = ARENA_ARRAY(infer->arena, uint32_t, infer->values.count);
    for (uint32_t i = 0; i < infer->values.count; i++)
        recognise->producer[i] = recognise->reader[i] = RECOGNISE_NONE;
    for (uint32_t n = 0; n < infer->nodes.count; n++) {
        const struct onnx_node *node = &infer->nodes.at[n];
        for (uint32_t i = 0; i < node->outputs.count; i++)
            recognise->producer[names_find(&infer->names, node->outputs.at[i])] = n;
        for (uint32_t i = 0; i < node->inputs.count && !node->silent; i++)
            recognise->reader[names_find(&infer->names, node->inputs.at[i])] = n;
    }
}

/* Puts the new nodes into the list and finds the shapes that they give. */
static bool recognise_merge(struct onnx_recognise *recognise)
{
    struct onnx_infer *infer = recognise->infer;
    uint32_t count = infer->nodes.count, extras = recognise->extra.count, place = count + extras;
    uint32_t *next = ARENA_ARRAY(infer->arena, uint32_t, extras + 1),
             *last = ARENA_ARRAY(infer->arena, uint32_t, count + 1);
    bool good = true;
    for (uint32_t n = 0; n < count; n++)
        last[n] = RECOGNISE_NONE;
    for (uint32_t e = 0; e < extras; e++) {
        next[e] = last[recognise->extra.at[e].before];
        last[recognise->extra.at[e].before] = e;
    }
    VECTOR_RESERVE(&infer->nodes, place);
    infer->nodes.count = place;
    for (uint32_t n = count; n-- > 0;) {
        infer->nodes.at[--place] = infer->nodes.at[n];
        for (uint32_t e = last[n]; e != RECOGNISE_NONE; e = next[e])
            infer->nodes.at[--place] = recognise->extra.at[e].node;
    }
    recognise->extra.count = 0;
    for (uint32_t n = 0; good && extras && n < infer->nodes.count; n++) {
        const struct onnx_node *node = &infer->nodes.at[n];
        const char *name = node->outputs.count ? node->outputs.at[0] : "";
        if (*name && !onnx_infer_add(infer, name)->given)
            good = onnx_infer_node(infer, n);
    }
    return good;
}

/* Whether a node has anything to do when the model runs: someone reads a number that is not known before. */
static bool recognise_works(struct onnx_infer *infer, const struct onnx_node *node)
{
    bool works = false;
    for (uint32_t i = 0; i < node->outputs.count; i++) {
        const struct onnx_value *out = onnx_infer_value(infer, node->outputs.at[i]);
        works = works || (*node->outputs.at[i] && out->readers && !out->known);
    }
    return works;
}

/* From the last node on: counts readers anew, takes away nodes whose outputs nobody needs, and marks those
 * that are needed for their shapes alone. */
static void recognise_prune(struct onnx_infer *infer)
{
    const struct onnx_graph *graph = &infer->file->graph;
    uint32_t kept = infer->nodes.count;
    bool *needed = ARENA_ARRAY(infer->arena, bool, infer->values.count);
    for (uint32_t i = 0; i < infer->values.count; i++)
        infer->values.at[i].readers = 0;
    for (uint32_t i = 0; i < graph->outputs.count; i++) {
        struct onnx_value *out = onnx_infer_value(infer, graph->outputs.at[i].name);
        out->readers++;
        needed[out - infer->values.at] = true;
    }
    for (uint32_t i = 0; i < infer->values.count; i++)
        if (infer->values.at[i].decides) {
            infer->values.at[i].readers++;
            needed[i] = true;
        }
    for (uint32_t n = infer->nodes.count; n-- > 0;) {
        struct onnx_node *node = &infer->nodes.at[n];
        bool keep = false;
        node->silent = !recognise_works(infer, node);
        for (uint32_t i = 0; i < node->outputs.count; i++)
            keep = keep || (*node->outputs.at[i] && needed[names_find(&infer->names, node->outputs.at[i])]);
        for (uint32_t i = 0; keep && i < node->inputs.count; i++) {
            uint32_t id = names_find(&infer->names, node->inputs.at[i]);
            needed[id] = true;
            infer->values.at[id].readers += !node->silent;
        }
        if (keep)
            infer->nodes.at[--kept] = *node;
        else
            recognise_release(node);
    }
    infer->nodes.count -= kept;
    if (infer->nodes.count)
        memmove(infer->nodes.at, infer->nodes.at + kept, infer->nodes.count * sizeof *infer->nodes.at);
}

static bool recognise_pass(struct onnx_infer *infer, const struct onnx_pattern *patterns)
{
    struct onnx_recognise recognise = {.infer = infer};
    recognise_map(&recognise);
    for (uint32_t n = 0; n < infer->nodes.count; n++)
        for (const struct onnx_pattern *at = patterns; at->anchor; at++)
            if (!infer->nodes.at[n].silent && strcmp(at->anchor, infer->nodes.at[n].kind) == 0) {
                at->apply(&recognise, n);
                break;
            }
    bool good = recognise_merge(&recognise);
    VECTOR_FREE(&recognise.extra);
    recognise_prune(infer);
    return good;
}

bool onnx_recognise_all(struct onnx_infer *infer)
{
    static const struct onnx_pattern *const passes[] = {
        onnx_recognise_quantised, onnx_recognise_einsum,      onnx_recognise_products, onnx_recognise_steps,
        onnx_recognise_attention, onnx_recognise_heads_sides, onnx_recognise_heads};
    bool good = true;
    recognise_prune(infer);
    for (size_t i = 0; good && i < sizeof passes / sizeof *passes; i++)
        good = recognise_pass(infer, passes[i]);
    return good;
}
