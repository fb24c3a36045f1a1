#include "model/onnx_call.h"

#include <string.h>

bool onnx_call_fail(struct onnx_call *call, const char *format, ...)
{
    const struct onnx_node *node = call->node;
    va_list arguments;
    va_start(arguments, format);
    const char *text = arena_vformat(call->infer->arena, format, arguments);
    va_end(arguments);
    const char *name = *node->name ? node->name : node->outputs.count ? node->outputs.at[0] : "";
    return report_error(call->infer->report, (struct place){call->infer->values.at[0].name, 0, 0},
                        "node %u '%s' (%s) %s", node->origin, name, node->kind, text);
}

bool onnx_call_fail_missing(struct onnx_call *call, const char *name)
{
    const struct onnx_graph *graph = &call->infer->file->graph;
    bool later = false;
    for (uint32_t n = 0; n < graph->nodes.count; n++)
        for (uint32_t i = 0; i < graph->nodes.at[n].outputs.count; i++)
            later = later || strcmp(graph->nodes.at[n].outputs.at[i], name) == 0;
    return later ? onnx_call_fail(call,
                                  "reads '%s', which only itself or a later node gives: the nodes are out of "
                                  "order, or go in a circle",
                                  name)
                 : onnx_call_fail(call, "reads '%s', which nothing before it gives", name);
}

struct onnx_value *onnx_call_in(const struct onnx_call *call, uint32_t index)
{
    if (index >= call->node->inputs.count || !*call->node->inputs.at[index])
        return NULL;
    return &call->infer->values.at[names_find(&call->infer->names, call->node->inputs.at[index])];
}

struct onnx_value *onnx_call_out(const struct onnx_call *call, uint32_t index)
{
    if (index >= call->node->outputs.count || !*call->node->outputs.at[index])
        return NULL;
    return &call->infer->values.at[names_find(&call->infer->names, call->node->outputs.at[index])];
}

int64_t onnx_call_int(const struct onnx_call *call, const char *name, int64_t otherwise)
{
    const struct onnx_attribute *attribute = onnx_file_attribute(call->node, name);
    return attribute ? attribute->i : otherwise;
}

double onnx_call_float(const struct onnx_call *call, const char *name, double otherwise)
{
    const struct onnx_attribute *attribute = onnx_file_attribute(call->node, name);
    return attribute ? attribute->f : otherwise;
}

const char *onnx_call_text(const struct onnx_call *call, const char *name, const char *otherwise)
{
    const struct onnx_attribute *attribute = onnx_file_attribute(call->node, name);
    return attribute && attribute->s ? attribute->s : otherwise;
}

uint32_t onnx_call_ints(const struct onnx_call *call, const char *name, const int64_t **list)
{
    const struct onnx_attribute *attribute = onnx_file_attribute(call->node, name);
    *list = attribute ? attribute->ints.at : NULL;
    return attribute ? attribute->ints.count : 0;
}

bool onnx_call_axis(struct onnx_call *call, int64_t axis, uint32_t rank, uint32_t *out)
{
    *out = 0;
    if (axis < -(int64_t)rank || axis >= (int64_t)rank)
        return onnx_call_fail(call, "has axis %lld, but its input has %u dimensions", (long long)axis, rank);
    *out = (uint32_t)(axis < 0 ? axis + rank : axis);
    return true;
}

int64_t onnx_call_whole(double number)
{
    if (!(number > -9e18))
        return -INT64_MAX;
    return number < 9e18 ? (int64_t)number : INT64_MAX;
}

bool onnx_call_numbers(struct onnx_call *call, uint32_t input, int64_t *count, const int64_t **numbers)
{
    const struct onnx_value *value = onnx_call_in(call, input);
    *count = value ? onnx_file_elements(&value->shape) : 0;
    *numbers = NULL;
    if (!value)
        return true;
    if (!value->known)
        return onnx_call_fail(call,
                              "gives a shape that depends on the numbers of '%s', which are not known "
                              "before it runs",
                              value->name);
    int64_t *list = ARENA_ARRAY(call->infer->arena, int64_t, (size_t)*count + 1);
    for (int64_t i = 0; i < *count; i++)
        list[i] = onnx_call_whole(value->known[i]);
    *numbers = list;
    return true;
}

bool onnx_call_axes(struct onnx_call *call, int input, uint32_t rank, uint32_t *bits)
{
    int64_t count;
    const int64_t *list;
    *bits = 0;
    if (input >= 0 && onnx_call_in(call, (uint32_t)input)) {
        if (!onnx_call_numbers(call, (uint32_t)input, &count, &list))
            return false;
    } else {
        count = onnx_call_ints(call, "axes", &list);
    }
    for (int64_t i = 0; i < count; i++) {
        uint32_t axis;
        if (!onnx_call_axis(call, list[i], rank, &axis))
            return false;
        *bits |= 1u << axis;
    }
    return true;
}

const char *onnx_call_describe(struct arena *arena, const struct onnx_shape *shape)
{
    const char *text = "[";
    for (uint32_t i = 0; i < shape->rank; i++)
        text = arena_format(arena, "%s%s%lld", text, i ? ", " : "", (long long)shape->dims[i]);
    return arena_format(arena, "%s]", text);
}

bool onnx_call_give(struct onnx_call *call, uint32_t output, int64_t type, const struct onnx_shape *shape)
{
    struct onnx_value *value = onnx_call_out(call, output);
    if (onnx_file_elements(shape) < 0)
        return onnx_call_fail(call, "would give a tensor of %s",
                              onnx_call_describe(call->infer->arena, shape));
    if (!value)
        return true;
    if (value->given)
        return onnx_call_fail(call, "gives '%s', which something before it gives", value->name);
    value->given = true;
    value->type = type;
    value->shape = *shape;
    return true;
}

bool onnx_call_give_alike(struct onnx_call *call, uint32_t output)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    return onnx_call_give(call, output, x->type, &x->shape);
}

void onnx_call_know(struct onnx_call *call, uint32_t output, const double *numbers)
{
    struct onnx_value *value = onnx_call_out(call, output);
    if (value)
        value->known = numbers;
}

bool onnx_call_broadcast(struct onnx_call *call, struct onnx_shape *into, const struct onnx_shape *with)
{
    struct onnx_shape result = {.rank = into->rank > with->rank ? into->rank : with->rank};
    for (uint32_t i = 1; i <= result.rank; i++) {
        int64_t a = i <= into->rank ? into->dims[into->rank - i] : 1;
        int64_t b = i <= with->rank ? with->dims[with->rank - i] : 1;
        if (a != b && a != 1 && b != 1)
            return onnx_call_fail(call, "combines tensors of %s and %s, which do not fit each other",
                                  onnx_call_describe(call->infer->arena, into),
                                  onnx_call_describe(call->infer->arena, with));
        result.dims[result.rank - i] = a == 1 ? b : a;
    }
    *into = result;
    return true;
}

bool onnx_call_shape(struct onnx_call *call, uint32_t input, struct onnx_shape *shape)
{
    const int64_t *list;
    int64_t count;
    if (!onnx_call_numbers(call, input, &count, &list))
        return false;
    if (count > ONNX_RANK)
        return onnx_call_fail(call, "wants more than %d dimensions", (int)ONNX_RANK);
    shape->rank = (uint32_t)count;
    for (int64_t i = 0; i < count; i++)
        shape->dims[i] = list[i];
    return true;
}
