#include "model/onnx_infer.h"

#include "base/nearest.h"
#include "model/onnx_expand.h"
#include "model/onnx_input.h"
#include "model/onnx_numbers.h"

#include <string.h>

const struct onnx_operator *const onnx_infer_operators[] = {
    onnx_pointwise_operators,
    onnx_view_operators,
    onnx_pieces_operators,
    onnx_constant_operators,
    onnx_window_operators,
    onnx_matrix_operators,
    onnx_reduce_operators,
    onnx_other_operators,
    onnx_select_operators,
    onnx_attention_operators,
    NULL,
};

const struct onnx_operator *onnx_infer_find(const struct onnx_node *node)
{
    /* ONNX Runtime has standard operators in its own domain too. */
    if (*node->domain && strcmp(node->domain, "ai.onnx") != 0 && strcmp(node->domain, "com.microsoft") != 0)
        return NULL;
    for (const struct onnx_operator *at = onnx_attention_made; at->kind; at++)
        if (at->kind == node->kind)
            return at;
    for (int t = 0; onnx_infer_operators[t]; t++)
        for (const struct onnx_operator *at = onnx_infer_operators[t]; at->kind; at++)
            if (strcmp(at->kind, node->kind) == 0)
                return at;
    return NULL;
}

struct onnx_value *onnx_infer_add(struct onnx_infer *infer, const char *name)
{
    uint32_t id = names_add(&infer->names, name);
    while (infer->values.count <= id)
        VECTOR_PUSH(&infer->values, (struct onnx_value){.name = ""});
    struct onnx_value *value = &infer->values.at[id];
    if (id)
        value->name = names_text(&infer->names, id);
    return value;
}

struct onnx_value *onnx_infer_value(struct onnx_infer *infer, const char *name)
{
    uint32_t id = names_find(&infer->names, name);
    return id != UINT32_MAX && id < infer->values.count ? &infer->values.at[id] : NULL;
}

/* Whole numbers serve as shapes; of real ones only short lists do (factors of Resize), the others are
 * weights. */
static const double *onnx_infer_small(struct onnx_infer *infer, const struct onnx_tensor *tensor)
{
    bool real = tensor->type == ONNX_FLOAT || tensor->type == ONNX_DOUBLE || tensor->type == ONNX_FLOAT16 ||
                tensor->type == ONNX_BFLOAT16;
    if (real && onnx_file_elements(&tensor->shape) > 64)
        return NULL;
    return onnx_numbers(infer->arena, tensor);
}

void onnx_infer_constant(struct onnx_infer *infer, const char *name, const struct onnx_tensor *tensor)
{
    struct onnx_value *value = onnx_infer_add(infer, name);
    struct onnx_tensor *weight = ARENA_NEW(infer->arena, struct onnx_tensor);
    if (!*name || value->given)
        return;
    *weight = *tensor;
    weight->name = value->name;
    value->type = tensor->type;
    value->given = true;
    value->shape = tensor->shape;
    value->weight = weight;
    value->known = onnx_infer_small(infer, tensor);
}

void onnx_infer_append(struct onnx_infer *infer, const struct onnx_node *node)
{
    VECTOR_PUSH(&infer->nodes, *node);
    for (uint32_t i = 0; i < node->inputs.count; i++)
        onnx_infer_add(infer, node->inputs.at[i])->readers++;
}

void onnx_infer_init(struct onnx_infer *infer, struct report *report, struct arena *arena,
                     const struct onnx_file *file, const char *path, const struct onnx_choices *choices)
{
    const struct onnx_graph *graph = &file->graph;
    *infer = (struct onnx_infer){.report = report, .arena = arena, .file = file, .scale = 1};
    if (choices)
        infer->choices = *choices;
    names_init(&infer->names);
    names_init(&infer->asked);
    names_init(&infer->noted);
    onnx_infer_add(infer, "")->name = path; /* nothing has the empty name */
    for (uint32_t i = 0; i < graph->weights.count; i++)
        onnx_infer_constant(infer, graph->weights.at[i].name, &graph->weights.at[i]);
    for (uint32_t i = 0; i < graph->inputs.count; i++)
        onnx_infer_add(infer, graph->inputs.at[i].name);
    for (uint32_t i = 0; i < graph->outputs.count; i++)
        onnx_infer_add(infer, graph->outputs.at[i].name);
}

/* Values keep their identities, so that those of both passes can be compared. */
void onnx_infer_again(struct onnx_infer *infer, struct report *report, const struct onnx_infer *once)
{
    *infer = (struct onnx_infer){.report = report,
                                 .arena = once->arena,
                                 .file = once->file,
                                 .choices = once->choices,
                                 .nodes = once->nodes,
                                 .repeated = true};
    names_init(&infer->names);
    names_init(&infer->asked);
    names_init(&infer->noted);
    for (uint32_t i = 0; i < once->values.count; i++) {
        const struct onnx_value *value = &once->values.at[i];
        onnx_infer_add(infer, names_text(&once->names, i));
        bool own = value->weight && strcmp(value->weight->name, value->name) == 0;
        infer->values.at[i] = own ? *value : (struct onnx_value){.name = value->name};
    }
}

void onnx_infer_fini(struct onnx_infer *infer)
{
    for (uint32_t n = 0; !infer->repeated && n < infer->nodes.count; n++) {
        VECTOR_FREE(&infer->nodes.at[n].inputs);
        VECTOR_FREE(&infer->nodes.at[n].outputs);
        VECTOR_FREE(&infer->nodes.at[n].attributes);
    }
    if (!infer->repeated)
        VECTOR_FREE(&infer->nodes);
    VECTOR_FREE(&infer->values);
    names_fini(&infer->names);
    names_fini(&infer->asked);
    names_fini(&infer->noted);
}

bool onnx_infer_bind(struct onnx_infer *infer, const char *name, const struct onnx_tensor *tensor)
{
    struct onnx_value *value = onnx_infer_value(infer, name);
    if (!value || value->given)
        return false;
    value->given = true;
    value->type = tensor->type;
    value->shape = tensor->shape;
    value->known = onnx_numbers(infer->arena, tensor);
    return true;
}

/* ---- nodes ---- */

/* What an operator that is not known gives: what the file says, or what it reads. */
static bool onnx_infer_ignore(struct onnx_call *call)
{
    const struct onnx_graph *graph = &call->infer->file->graph;
    for (uint32_t k = 0; k < call->node->outputs.count; k++) {
        struct onnx_value *out = onnx_call_out(call, k), *in = onnx_call_in(call, 0);
        if (!out)
            continue;
        struct onnx_shape shape = in ? in->shape : (struct onnx_shape){0};
        int64_t type = in ? in->type : ONNX_FLOAT;
        for (uint32_t i = 0; i < graph->values.count + graph->outputs.count; i++) {
            const struct onnx_declared *at =
                i < graph->values.count ? &graph->values.at[i] : &graph->outputs.at[i - graph->values.count];
            if (strcmp(at->name, out->name) != 0 || !at->shaped)
                continue;
            shape.rank = at->rank;
            type = at->type;
            for (uint32_t d = 0; d < at->rank; d++) {
                int64_t size =
                    at->dims[d].name ? onnx_input_size(call->infer, &at->dims[d]) : at->dims[d].size;
                bool batch = d == 0 && (size < 1 || size == call->infer->batch);
                shape.dims[d] = batch ? call->infer->batch * call->infer->scale : size < 1 ? 1 : size;
            }
        }
        if (!onnx_call_give(call, k, type, &shape))
            return false;
    }
    return true;
}

static bool onnx_infer_unknown(struct onnx_call *call)
{
    const char *known[256], *near = NULL;
    uint32_t count = 0;
    for (int t = 0; onnx_infer_operators[t]; t++)
        for (const struct onnx_operator *at = onnx_infer_operators[t]; at->kind && count < 256; at++)
            known[count++] = at->kind;
    near = nearest_name(call->node->kind, known, count);
    if (call->infer->choices.ignore) {
        if (!call->infer->repeated)
            report_warning(call->infer->report, (struct place){call->infer->values.at[0].name, 0, 0},
                           "node %u '%s': the operator %s%s%s is not known; it counts as free",
                           call->node->origin,
                           *call->node->name           ? call->node->name
                           : call->node->outputs.count ? call->node->outputs.at[0]
                                                       : "",
                           call->node->domain, *call->node->domain ? "." : "", call->node->kind);
        return onnx_infer_ignore(call);
    }
    return onnx_call_fail(call,
                          "is an operator that is not known%s%s%s%s%s; --set model.unknown-ops=ignore counts "
                          "such operators as free",
                          *call->node->domain ? " (domain " : "", call->node->domain,
                          *call->node->domain ? ")"
                          : near              ? " (did you mean "
                                              : "",
                          *call->node->domain || !near ? "" : near, *call->node->domain || !near ? "" : "?)");
}

static bool onnx_infer_can_fold(const struct onnx_call *call)
{
    const struct onnx_value *out = onnx_call_out(call, 0);
    if (!call->rules->fold || !out || !out->given || out->known ||
        onnx_file_elements(&out->shape) > ONNX_KNOWN || call->node->inputs.count == 0)
        return false;
    for (uint32_t i = 0; i < call->node->inputs.count; i++) {
        const struct onnx_value *in = onnx_call_in(call, i);
        bool setting = i < 64 && call->rules->settings >> i & 1;
        if (!setting && (!in || !in->known))
            return false;
        if (in && in->weight && !in->constant && in->shape.rank && in->weight->type == ONNX_FLOAT && !setting)
            return false; /* a small weight is no shape */
    }
    return true;
}

bool onnx_infer_node(struct onnx_infer *infer, uint32_t n)
{
    struct onnx_call call = {.infer = infer, .node = &infer->nodes.at[n], .index = n};
    call.rules = onnx_infer_find(call.node);
    for (uint32_t i = 0; i < call.node->inputs.count; i++) {
        const struct onnx_value *in = onnx_call_in(&call, i);
        if (in && !in->given)
            return onnx_call_fail_missing(&call, in->name);
    }
    if (!call.rules)
        return onnx_infer_unknown(&call);
    for (uint32_t i = 0; i < call.rules->needed; i++)
        if (!onnx_call_in(&call, i))
            return onnx_call_fail(&call, "lacks its input %u", i);
    if (!call.rules->infer(&call))
        return false;
    if (onnx_infer_can_fold(&call))
        call.rules->fold(&call);
    const struct onnx_value *in = onnx_call_in(&call, 0);
    struct onnx_value *out = onnx_call_out(&call, 0);
    if (call.rules->rearranges && in && out && in->weight)
        out->weight = in->weight;
    return true;
}

bool onnx_infer_run(struct onnx_infer *infer, int64_t scale)
{
    const struct onnx_graph *graph = &infer->file->graph;
    infer->scale = scale;
    bool good = onnx_input_shapes(infer);
    for (uint32_t n = 0; good && !infer->repeated && n < graph->nodes.count; n++)
        good = onnx_expand_node(infer, &graph->nodes.at[n], n, NULL);
    for (uint32_t n = 0; good && infer->repeated && n < infer->nodes.count; n++)
        good = onnx_infer_node(infer, n);
    for (uint32_t i = 0; good && i < graph->outputs.count; i++) {
        struct onnx_value *out = onnx_infer_value(infer, graph->outputs.at[i].name);
        out->readers++;
        if (!out->given && !out->parts && !infer->repeated)
            good = report_error(infer->report, (struct place){infer->values.at[0].name, 0, 0},
                                "nothing gives the output '%s'", graph->outputs.at[i].name);
    }
    return good;
}
