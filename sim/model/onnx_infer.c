#include "model/onnx_infer.h"

#include "base/nearest.h"
#include "input/fields.h"

#include <stdlib.h>
#include <string.h>

const struct onnx_operator *const onnx_infer_operators[] = {
    onnx_pointwise_operators,
    onnx_view_operators,
    onnx_window_operators,
    onnx_matrix_operators,
    onnx_reduce_operators,
    onnx_other_operators,
    NULL,
};

const struct onnx_operator *onnx_infer_find(const struct onnx_node *node)
{
    if (*node->domain && strcmp(node->domain, "ai.onnx") != 0)
        return NULL;
    for (int t = 0; onnx_infer_operators[t]; t++)
        for (const struct onnx_operator *at = onnx_infer_operators[t]; at->kind; at++)
            if (strcmp(at->kind, node->kind) == 0)
                return at;
    return NULL;
}

static struct onnx_value *onnx_infer_add(struct onnx_infer *infer, const char *name)
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
    return onnx_file_numbers(infer->arena, tensor);
}

void onnx_infer_init(struct onnx_infer *infer, struct report *report, struct arena *arena,
                     const struct onnx_file *file, const char *path, const struct value *dims)
{
    const struct onnx_graph *graph = &file->graph;
    *infer = (struct onnx_infer){.report = report, .arena = arena, .file = file, .dims = dims, .scale = 1};
    names_init(&infer->names);
    onnx_infer_add(infer, "")->name = path; /* nothing has the empty name */
    for (uint32_t i = 0; i < graph->weights.count; i++) {
        const struct onnx_tensor *tensor = &graph->weights.at[i];
        struct onnx_value *value = onnx_infer_add(infer, tensor->name);
        if (!*tensor->name)
            continue;
        *value = (struct onnx_value){.name = value->name,
                                     .type = tensor->type,
                                     .given = true,
                                     .shape = tensor->shape,
                                     .weight = tensor,
                                     .known = onnx_infer_small(infer, tensor)};
    }
    for (uint32_t i = 0; i < graph->inputs.count; i++)
        onnx_infer_add(infer, graph->inputs.at[i].name);
    for (uint32_t n = 0; n < graph->nodes.count; n++) {
        for (uint32_t i = 0; i < graph->nodes.at[n].inputs.count; i++)
            onnx_infer_add(infer, graph->nodes.at[n].inputs.at[i])->readers++;
        for (uint32_t i = 0; i < graph->nodes.at[n].outputs.count; i++)
            onnx_infer_add(infer, graph->nodes.at[n].outputs.at[i]);
    }
    for (uint32_t i = 0; i < graph->outputs.count; i++)
        onnx_infer_add(infer, graph->outputs.at[i].name)->readers++;
}

void onnx_infer_fini(struct onnx_infer *infer)
{
    VECTOR_FREE(&infer->values);
    names_fini(&infer->names);
}

bool onnx_infer_bind(struct onnx_infer *infer, const char *name, const struct onnx_tensor *tensor)
{
    struct onnx_value *value = onnx_infer_value(infer, name);
    if (!value || value->given)
        return false;
    value->given = true;
    value->type = tensor->type;
    value->shape = tensor->shape;
    value->known = onnx_file_numbers(infer->arena, tensor);
    return true;
}

/* ---- the graph's inputs ---- */

/* A symbolic dimension's size: `model.dims.NAME`. Dots in a name are steps of a path. */
static int64_t onnx_infer_symbol(struct onnx_infer *infer, const char *name)
{
    const struct value *value = infer->dims ? value_get(infer->dims, name) : NULL;
    if (!value && infer->dims)
        value = value_at(infer->dims, name);
    if (!value || value->kind != VALUE_SCALAR)
        return -1;
    char *end;
    long long size = strtoll(value->text, &end, 10);
    return *end || size < 1 || size > 1000000000 ? -2 : size;
}

/* Whether a symbolic dimension is called as the batch usually is. */
static bool onnx_infer_called_batch(const char *name)
{
    return name && (strstr(name, "batch") || strstr(name, "Batch") || strcmp(name, "N") == 0 ||
                    strcmp(name, "n") == 0);
}

static int64_t onnx_infer_given(struct onnx_infer *infer, const char *symbol)
{
    int64_t size = onnx_infer_symbol(infer, symbol);
    return size < 1 ? 1 : size;
}

/* The batch: the symbolic dimension that is called so, or the first dimension of the first input. One that is
 * symbolic is 1 unless it is given. */
static void onnx_infer_batch(struct onnx_infer *infer, const char **symbol)
{
    const struct onnx_graph *graph = &infer->file->graph;
    *symbol = NULL;
    infer->batch = 1;
    for (uint32_t i = 0; i < graph->inputs.count; i++)
        for (uint32_t d = 0; d < graph->inputs.at[i].rank; d++)
            if (onnx_infer_called_batch(graph->inputs.at[i].dims[d].name)) {
                *symbol = graph->inputs.at[i].dims[d].name;
                infer->batch = onnx_infer_given(infer, *symbol);
                return;
            }
    for (uint32_t i = 0; i < graph->inputs.count; i++) {
        const struct onnx_declared *at = &graph->inputs.at[i];
        const struct onnx_value *value = onnx_infer_value(infer, at->name);
        if (value->given || at->rank < 1)
            continue;
        *symbol = at->dims[0].name;
        infer->batch = at->dims[0].name ? onnx_infer_symbol(infer, at->dims[0].name) : at->dims[0].size;
        if (infer->batch < 1)
            infer->batch = 1;
        return;
    }
}

static bool onnx_infer_input(struct onnx_infer *infer, const struct onnx_declared *at, const char *batch)
{
    struct onnx_value *value = onnx_infer_value(infer, at->name);
    struct place place = {infer->values.at[0].name, 0, 0};
    if (value->given)
        return true;
    if (!at->tensor || (!at->shaped && at->rank == 0 && !at->type))
        return report_error(infer->report, place,
                            "input '%s' is no tensor (a sequence, map or optional), which "
                            "is not supported",
                            at->name);
    if (!at->shaped)
        return report_error(infer->report, place, "input '%s' has no shape in the file", at->name);
    value->shape.rank = at->rank;
    value->type = at->type;
    for (uint32_t i = 0; i < at->rank; i++) {
        const struct onnx_dim *dim = &at->dims[i];
        int64_t size = dim->name ? onnx_infer_symbol(infer, dim->name) : dim->size;
        bool is_batch =
            dim->name ? batch && strcmp(dim->name, batch) == 0 : i == 0 && !batch && size == infer->batch;
        if (i == 0 && !dim->name && size < 1)
            is_batch = true;
        if (size == -2)
            return report_error(infer->report, place, "model.dims.%s: expected a whole number from 1",
                                dim->name);
        if (is_batch && size < 1)
            size = infer->batch;
        if (size < 1 && dim->name)
            return report_error(
                infer->report, place,
                "input '%s' has a dimension '%s' without a size; say it with --set model.dims.%s=SIZE",
                at->name, dim->name, dim->name);
        if (size < 1)
            return report_error(infer->report, place, "input '%s' has a dimension without a size or name",
                                at->name);
        value->shape.dims[i] = is_batch ? size * infer->scale : size;
    }
    if (onnx_file_elements(&value->shape) < 0)
        return report_error(infer->report, place, "input '%s' has too many elements", at->name);
    value->given = true;
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
                    at->dims[d].name ? onnx_infer_symbol(call->infer, at->dims[d].name) : at->dims[d].size;
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
    if (call->infer->ignore) {
        if (call->infer->scale == 1)
            report_warning(call->infer->report, (struct place){call->infer->values.at[0].name, 0, 0},
                           "node %u '%s': the operator %s%s%s is not known; it counts as free", call->index,
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
    if (!call->operator->fold || !out || !out->given || out->known ||
            onnx_file_elements(&out->shape) > ONNX_KNOWN ||
        call->node->inputs.count == 0)
        return false;
    for (uint32_t i = 0; i < call->node->inputs.count; i++) {
        const struct onnx_value *in = onnx_call_in(call, i);
        bool setting = i < 64 && call->operator->settings>> i & 1;
        if (!setting && (!in || !in->known))
            return false;
        if (in && in->weight && in->shape.rank && in->weight->type == ONNX_FLOAT && !setting)
            return false; /* a small weight is no shape */
    }
    return true;
}

static bool onnx_infer_node(struct onnx_infer *infer, uint32_t n)
{
    struct onnx_call call = {.infer = infer, .node = &infer->file->graph.nodes.at[n], .index = n};
    call.operator= onnx_infer_find(call.node);
    for (uint32_t i = 0; i < call.node->inputs.count; i++) {
        const struct onnx_value *in = onnx_call_in(&call, i);
        if (in && !in->given)
            return onnx_call_fail(&call, "reads '%s', which nothing before it gives", in->name);
    }
    if (!call.operator)
        return onnx_infer_unknown(&call);
    for (uint32_t i = 0; i < call.operator->needed; i++)
        if (!onnx_call_in(&call, i))
            return onnx_call_fail(&call, "lacks its input %u", i);
    if (!call.operator->infer(&call))
        return false;
    if (onnx_infer_can_fold(&call))
        call.operator->fold(&call);
    const struct onnx_value *in = onnx_call_in(&call, 0);
    struct onnx_value *out = onnx_call_out(&call, 0);
    if (call.operator->rearranges && in && out && in->weight)
        out->weight = in->weight;
    return true;
}

bool onnx_infer_run(struct onnx_infer *infer, int64_t scale)
{
    const struct onnx_graph *graph = &infer->file->graph;
    const char *batch;
    bool good = true;
    infer->scale = scale;
    onnx_infer_batch(infer, &batch);
    for (uint32_t i = 0; i < graph->inputs.count; i++)
        good = onnx_infer_input(infer, &graph->inputs.at[i], batch) && good;
    for (uint32_t n = 0; good && n < graph->nodes.count; n++)
        good = onnx_infer_node(infer, n);
    for (uint32_t i = 0; good && i < graph->outputs.count; i++)
        if (!onnx_infer_value(infer, graph->outputs.at[i].name)->given)
            good = report_error(infer->report, (struct place){infer->values.at[0].name, 0, 0},
                                "nothing gives the output '%s'", graph->outputs.at[i].name);
    return good;
}
