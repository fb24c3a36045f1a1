#include "model/onnx_expand.h"

#include <string.h>

enum {
    EXPAND_DEPTH = 64,           /* of operators inside operators */
    EXPAND_MOST = 200000,        /* nodes of the flat list: bounds what a damaged file can ask for */
    EXPAND_MOST_BYTES = 1 << 29, /* of all copies of nodes, also of those that leave nothing in the list */
    EXPAND_COPY_BYTES = 512,     /* of a copy of a node with short names */
};

const struct onnx_expander *const onnx_expand_tables[] = {
    onnx_control_expanders, onnx_sequence_expanders, onnx_attention_expanders, onnx_contrib_expanders, NULL,
};

/* ---- names ---- */

void onnx_expand_open(struct onnx_scope *scope, struct onnx_scope *around, const char *prefix)
{
    *scope = (struct onnx_scope){.around = around, .prefix = prefix};
    names_init(&scope->inner);
}

void onnx_expand_close(struct onnx_scope *scope)
{
    names_fini(&scope->inner);
    VECTOR_FREE(&scope->outer);
}

void onnx_expand_name(struct onnx_scope *scope, const char *inner, const char *outer)
{
    uint32_t id = names_add(&scope->inner, inner);
    while (scope->outer.count <= id)
        VECTOR_PUSH(&scope->outer, NULL);
    scope->outer.at[id] = outer;
}

/* What a name of this scope stands for; NULL: the scope does not have it. */
static const char *expand_own(const struct onnx_scope *scope, const char *name)
{
    uint32_t id = names_find(&scope->inner, name);
    return id != UINT32_MAX && id < scope->outer.count ? scope->outer.at[id] : NULL;
}

const char *onnx_expand_outer(struct onnx_infer *infer, const struct onnx_scope *scope, const char *name)
{
    if (!*name || !scope)
        return name;
    for (const struct onnx_scope *at = scope; at; at = at->around) {
        const char *outer = expand_own(at, name);
        if (outer)
            return outer;
        if (at->caller) /* a function sees nothing around it */
            return arena_format(infer->arena, "%s/%s", at->prefix, name);
    }
    return name;
}

/* A name that a node of the scope gives. */
static const char *expand_given(struct onnx_infer *infer, struct onnx_scope *scope, const char *name)
{
    if (!*name || !scope)
        return name;
    const char *outer = arena_format(infer->arena, "%s/%s", scope->prefix, name);
    onnx_expand_name(scope, name, outer);
    return outer;
}

/* ---- nodes of the flat list ---- */

/* Inside a function an attribute may stand for one of the caller's, or its default. */
static const struct onnx_attribute *expand_attribute(const struct onnx_scope *scope,
                                                     const struct onnx_attribute *attribute)
{
    if (!attribute->reference)
        return attribute;
    while (scope && !scope->caller)
        scope = scope->around;
    const struct onnx_attribute *found =
        scope ? onnx_file_attribute(scope->caller, attribute->reference) : NULL;
    for (uint32_t i = 0; scope && scope->graph && !found && i < scope->graph->defaults.count; i++)
        if (strcmp(scope->graph->defaults.at[i].name, attribute->reference) == 0)
            found = &scope->graph->defaults.at[i];
    return found;
}

bool onnx_expand_room(struct onnx_infer *infer, const struct onnx_node *node, uint32_t index,
                      const struct onnx_scope *scope)
{
    uint64_t names = 1 + (uint64_t)node->inputs.count + node->outputs.count;
    uint64_t prefix = scope ? strlen(scope->prefix) : 0;
    infer->expanded_bytes += EXPAND_COPY_BYTES + node->attributes.count * sizeof *node->attributes.at +
                             names * (sizeof(char *) + prefix) + strlen(node->name);
    struct onnx_call call = {.infer = infer, .node = node, .index = index};
    return infer->expanded_bytes < EXPAND_MOST_BYTES ||
           onnx_call_fail(&call,
                          "and others around it repeat more than %d MiB of nodes; --set "
                          "model.trips.NAME=NUMBER says fewer trips of a loop",
                          (int)(EXPAND_MOST_BYTES >> 20));
}

/* A copy of a node with the names of the flat list; it shares lists of numbers with the file. */
static struct onnx_node expand_copy(struct onnx_infer *infer, const struct onnx_node *node, uint32_t index,
                                    struct onnx_scope *scope)
{
    const char *name = node->name;
    if (scope)
        name = arena_format(infer->arena, "%s/%s", scope->prefix,
                            *name                 ? name
                            : node->outputs.count ? node->outputs.at[0]
                                                  : node->kind);
    struct onnx_node copy = {.name = name, .kind = node->kind, .domain = node->domain, .origin = index};
    for (uint32_t i = 0; i < node->inputs.count; i++)
        VECTOR_PUSH(&copy.inputs, onnx_expand_outer(infer, scope, node->inputs.at[i]));
    for (uint32_t i = 0; i < node->outputs.count; i++)
        VECTOR_PUSH(&copy.outputs, expand_given(infer, scope, node->outputs.at[i]));
    for (uint32_t i = 0; i < node->attributes.count; i++) {
        const struct onnx_attribute *attribute = expand_attribute(scope, &node->attributes.at[i]);
        if (!attribute)
            continue;
        VECTOR_PUSH(&copy.attributes, *attribute);
        copy.attributes.at[copy.attributes.count - 1].name = node->attributes.at[i].name;
    }
    return copy;
}

static void expand_release(struct onnx_node *node)
{
    VECTOR_FREE(&node->inputs);
    VECTOR_FREE(&node->outputs);
    VECTOR_FREE(&node->attributes);
}

/* A constant tensor is a weight like those beside the nodes; small real ones may still be computed with. */
static bool expand_is_weight(const struct onnx_node *node)
{
    const struct onnx_attribute *value = onnx_file_attribute(node, "value");
    return strcmp(node->kind, "Constant") == 0 && value && value->t && value->t->shape.rank;
}

/* Appends a node whose names are those of the flat list, and finds its shapes. Takes it over. */
static bool expand_append(struct onnx_infer *infer, struct onnx_node *node, uint32_t index)
{
    if (infer->nodes.count >= EXPAND_MOST) {
        struct onnx_call call = {.infer = infer, .node = node, .index = index};
        onnx_call_fail(&call,
                       "repeats more than %d nodes; --set model.trips.NAME=NUMBER says fewer trips of a loop",
                       (int)EXPAND_MOST);
        expand_release(node);
        return false;
    }
    if (expand_is_weight(node)) {
        const char *name = node->outputs.count ? node->outputs.at[0] : "";
        onnx_infer_constant(infer, name, onnx_file_attribute(node, "value")->t);
        onnx_infer_value(infer, name)->constant = true;
        expand_release(node);
        return true;
    }
    onnx_infer_append(infer, node);
    return onnx_infer_node(infer, infer->nodes.count - 1);
}

void onnx_expand_undo(struct onnx_infer *infer, uint32_t count)
{
    while (infer->nodes.count > count) {
        struct onnx_node *node = &infer->nodes.at[--infer->nodes.count];
        for (uint32_t i = 0; i < node->inputs.count; i++)
            onnx_infer_value(infer, node->inputs.at[i])->readers--;
        expand_release(node);
    }
}

/* ---- subgraphs and functions ---- */

void onnx_expand_weights(struct onnx_infer *infer, const struct onnx_graph *graph, struct onnx_scope *scope)
{
    for (uint32_t i = 0; i < graph->weights.count; i++)
        onnx_infer_constant(infer, expand_given(infer, scope, graph->weights.at[i].name),
                            &graph->weights.at[i]);
}

bool onnx_expand_graph(struct onnx_infer *infer, const struct onnx_graph *graph, uint32_t index,
                       struct onnx_scope *scope)
{
    for (uint32_t n = 0; n < graph->nodes.count; n++) {
        const struct onnx_node *node = &graph->nodes.at[n];
        struct onnx_scope *lasting = scope->lasting ? scope->lasting : scope;
        if (expand_is_weight(node) && node->outputs.count && scope->lasting) {
            /* The same in each trip. */
            if (!expand_own(lasting, node->outputs.at[0]) && !onnx_expand_node(infer, node, index, lasting))
                return false;
            continue;
        }
        if (!onnx_expand_node(infer, node, index, scope))
            return false;
    }
    return true;
}

static const struct onnx_function *expand_function(const struct onnx_infer *infer,
                                                   const struct onnx_node *node)
{
    for (uint32_t i = 0; i < infer->file->functions.count; i++) {
        const struct onnx_function *at = &infer->file->functions.at[i];
        if (strcmp(at->domain, node->domain) == 0 && strcmp(at->graph->name, node->kind) == 0)
            return at;
    }
    return NULL;
}

static bool expand_call(struct onnx_expand *expand, const struct onnx_graph *graph)
{
    struct onnx_infer *infer = expand->call.infer;
    const struct onnx_node *node = expand->call.node;
    struct onnx_scope scope;
    onnx_expand_open(&scope, NULL,
                     *node->name           ? node->name
                     : node->outputs.count ? node->outputs.at[0]
                                           : node->kind);
    scope.caller = node;
    scope.graph = graph;
    for (uint32_t i = 0; i < graph->inputs.count; i++)
        onnx_expand_name(&scope, graph->inputs.at[i].name, onnx_expand_in(expand, i));
    bool good = onnx_expand_graph(infer, graph, expand->call.index, &scope);
    for (uint32_t i = 0; good && i < graph->outputs.count; i++)
        if (onnx_expand_wants(expand, i))
            onnx_expand_give(expand, i, "Identity",
                             onnx_expand_outer(infer, &scope, graph->outputs.at[i].name), NULL);
    onnx_expand_close(&scope);
    return good && !expand->failed;
}

static const struct onnx_expander *expand_find(const struct onnx_call *call)
{
    const char *domain = strcmp(call->node->domain, "ai.onnx") == 0 ? "" : call->node->domain;
    for (int t = 0; onnx_expand_tables[t]; t++)
        for (const struct onnx_expander *at = onnx_expand_tables[t]; at->kind; at++)
            if (strcmp(at->kind, call->node->kind) == 0 && strcmp(at->domain, domain) == 0 &&
                (!at->wanted || at->wanted(call)))
                return at;
    return NULL;
}

/* Everything that a composed node reads must be there, and someone to give something to. */
static bool expand_ready(struct onnx_expand *expand)
{
    if (!expand->call.node->outputs.count)
        return onnx_call_fail(&expand->call, "has no outputs");
    for (uint32_t i = 0; i < expand->call.node->inputs.count; i++) {
        const char *name = onnx_expand_in(expand, i);
        const struct onnx_value *value = *name ? onnx_infer_value(expand->call.infer, name) : NULL;
        if (*name && (!value || (!value->given && !value->parts)))
            return onnx_call_fail_missing(&expand->call, name);
    }
    return true;
}

bool onnx_expand_node(struct onnx_infer *infer, const struct onnx_node *node, uint32_t index,
                      struct onnx_scope *scope)
{
    if (scope && !onnx_expand_room(infer, node, index, scope))
        return false;
    struct onnx_node copy = expand_copy(infer, node, index, scope);
    struct onnx_expand expand = {.call = {.infer = infer, .node = &copy, .index = index}, .scope = scope};
    const struct onnx_function *function = expand_function(infer, &copy);
    for (uint32_t i = 0; i < copy.inputs.count; i++)
        onnx_infer_add(infer, copy.inputs.at[i]);
    for (uint32_t i = 0; i < copy.outputs.count; i++)
        onnx_infer_add(infer, copy.outputs.at[i]);
    const struct onnx_expander *expander = function ? NULL : expand_find(&expand.call);
    if (!function && !expander)
        return expand_append(infer, &copy, index);
    bool good = infer->depth < EXPAND_DEPTH ||
                onnx_call_fail(&expand.call, "stands inside more than %d others", (int)EXPAND_DEPTH);
    infer->depth++;
    good = good && expand_ready(&expand) &&
           (function ? expand_call(&expand, function->graph) : expander->expand(&expand));
    infer->depth--;
    expand_release(&expand.next);
    expand_release(&copy);
    return good && !expand.failed;
}

/* ---- making nodes ---- */

static void expand_push(struct onnx_expand *expand, struct onnx_attribute attribute)
{
    VECTOR_PUSH(&expand->next.attributes, attribute);
}

void onnx_expand_int(struct onnx_expand *expand, const char *name, int64_t number)
{
    expand_push(expand, (struct onnx_attribute){.name = name, .i = number});
}

void onnx_expand_float(struct onnx_expand *expand, const char *name, double number)
{
    expand_push(expand, (struct onnx_attribute){.name = name, .f = number});
}

void onnx_expand_text(struct onnx_expand *expand, const char *name, const char *text)
{
    expand_push(expand, (struct onnx_attribute){.name = name, .s = text});
}

/* The numbers are copied into the arena: a flat node does not own them. */
void onnx_expand_ints(struct onnx_expand *expand, const char *name, const int64_t *numbers, uint32_t count)
{
    struct onnx_attribute attribute = {.name = name};
    attribute.ints.at = ARENA_ARRAY(expand->call.infer->arena, int64_t, (size_t)count + 1);
    attribute.ints.count = attribute.ints.room = count;
    for (uint32_t i = 0; i < count; i++)
        attribute.ints.at[i] = numbers[i];
    expand_push(expand, attribute);
}

void onnx_expand_copy(struct onnx_expand *expand, const char *name)
{
    const struct onnx_attribute *attribute = onnx_file_attribute(expand->call.node, name);
    if (attribute)
        expand_push(expand, *attribute);
}

static const char *expand_title(const struct onnx_expand *expand)
{
    const struct onnx_node *node = expand->call.node;
    return *node->name ? node->name : node->outputs.count ? node->outputs.at[0] : node->kind;
}

void onnx_expand_many(struct onnx_expand *expand, const char *kind, const char *const *inputs, uint32_t count,
                      const char **outputs, uint32_t output_count)
{
    struct onnx_infer *infer = expand->call.infer;
    struct onnx_node node = expand->next;
    const char *unique =
        expand->call.node->outputs.count ? expand->call.node->outputs.at[0] : expand_title(expand);
    expand->next = (struct onnx_node){0};
    node.kind = kind;
    node.domain = "";
    node.name = arena_format(infer->arena, "%s/%s%u", expand_title(expand), kind, expand->made++);
    for (uint32_t i = 0; i < count; i++)
        VECTOR_PUSH(&node.inputs, inputs[i]);
    for (uint32_t i = 0; i < output_count; i++) {
        if (!outputs[i])
            outputs[i] = arena_format(infer->arena, "%s/%s%u.%u", unique, kind, expand->made, i);
        VECTOR_PUSH(&node.outputs, outputs[i]);
    }
    expand->failed = expand->failed || !onnx_expand_node(infer, &node, expand->call.index, NULL);
    expand_release(&node);
}

static const char *expand_varied(struct onnx_expand *expand, const char *output, const char *kind,
                                 va_list inputs)
{
    enum { MOST = 16 };
    const char *list[MOST];
    uint32_t count = 0;
    for (const char *input = va_arg(inputs, const char *); input && count < MOST;
         input = va_arg(inputs, const char *))
        list[count++] = input;
    if (expand->failed) {
        expand->next.attributes.count = 0;
        return "";
    }
    onnx_expand_many(expand, kind, list, count, &output, 1);
    return expand->failed ? "" : output;
}

const char *onnx_expand_put(struct onnx_expand *expand, const char *kind, ...)
{
    va_list inputs;
    va_start(inputs, kind);
    const char *output = expand_varied(expand, NULL, kind, inputs);
    va_end(inputs);
    return output;
}

const char *onnx_expand_give(struct onnx_expand *expand, uint32_t output, const char *kind, ...)
{
    va_list inputs;
    va_start(inputs, kind);
    const char *name = onnx_expand_wants(expand, output) ? expand->call.node->outputs.at[output] : NULL;
    name = expand_varied(expand, name, kind, inputs);
    va_end(inputs);
    return name;
}

const char *onnx_expand_list(struct onnx_expand *expand, const int64_t *numbers, uint32_t count)
{
    onnx_expand_ints(expand, "value_ints", numbers, count);
    return onnx_expand_put(expand, "Constant", NULL);
}

const char *onnx_expand_whole(struct onnx_expand *expand, int64_t number)
{
    onnx_expand_int(expand, "value_int", number);
    return onnx_expand_put(expand, "Constant", NULL);
}

const char *onnx_expand_real(struct onnx_expand *expand, double number)
{
    onnx_expand_float(expand, "value_float", number);
    return onnx_expand_put(expand, "Constant", NULL);
}

const char *onnx_expand_in(const struct onnx_expand *expand, uint32_t input)
{
    return input < expand->call.node->inputs.count ? expand->call.node->inputs.at[input] : "";
}

bool onnx_expand_wants(const struct onnx_expand *expand, uint32_t output)
{
    return output < expand->call.node->outputs.count && *expand->call.node->outputs.at[output];
}

struct onnx_shape onnx_expand_shape(const struct onnx_expand *expand, const char *name)
{
    const struct onnx_value *value = *name ? onnx_infer_value(expand->call.infer, name) : NULL;
    return value ? value->shape : (struct onnx_shape){0};
}
