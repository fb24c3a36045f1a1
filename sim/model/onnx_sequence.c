/* Onnx_sequence: sequences of tensors and optional values. A sequence is a list of names, known once its
 * graph is flat: operators on it choose, join or list tensors and leave nothing to do of their own. */
#include "model/onnx_expand.h"

#include <string.h>

static const struct onnx_parts *sequence_parts(struct onnx_expand *expand, uint32_t input)
{
    const char *name = onnx_expand_in(expand, input);
    const struct onnx_value *value = *name ? onnx_infer_value(expand->call.infer, name) : NULL;
    if (!value || !value->parts)
        onnx_call_fail(&expand->call, "reads '%s', which is no sequence that is known before it runs", name);
    return value ? value->parts : NULL;
}

static bool sequence_give(struct onnx_expand *expand, const char **names, uint32_t count)
{
    struct onnx_parts *parts = ARENA_NEW(expand->call.infer->arena, struct onnx_parts);
    *parts = (struct onnx_parts){count, names};
    if (onnx_expand_wants(expand, 0))
        onnx_infer_value(expand->call.infer, expand->call.node->outputs.at[0])->parts = parts;
    return true;
}

static const char **sequence_names(struct onnx_expand *expand, uint32_t count)
{
    return ARENA_ARRAY(expand->call.infer->arena, const char *, count + 1);
}

static bool sequence_empty(struct onnx_expand *expand)
{
    return sequence_give(expand, sequence_names(expand, 0), 0);
}

static bool sequence_construct(struct onnx_expand *expand)
{
    uint32_t count = expand->call.node->inputs.count;
    const char **names = sequence_names(expand, count);
    for (uint32_t i = 0; i < count; i++)
        names[i] = onnx_expand_in(expand, i);
    return sequence_give(expand, names, count);
}

/* A position from −count on; `otherwise` when the input is left out. */
static bool sequence_place(struct onnx_expand *expand, uint32_t input, uint32_t count, int64_t otherwise,
                           int64_t *place)
{
    const int64_t *numbers;
    int64_t number_count;
    *place = otherwise;
    if (*onnx_expand_in(expand, input)) {
        if (!onnx_call_numbers(&expand->call, input, &number_count, &numbers))
            return false;
        *place = number_count == 1 ? numbers[0] : -1 - (int64_t)count;
        *place = *place < 0 ? *place + count : *place;
    }
    return (*place >= 0 && *place <= count) ||
           onnx_call_fail(&expand->call, "names a place that a sequence of %u does not have", count);
}

static bool sequence_at(struct onnx_expand *expand)
{
    const struct onnx_parts *parts = sequence_parts(expand, 0);
    int64_t place;
    if (!parts || !sequence_place(expand, 1, parts->count, 0, &place))
        return false;
    if (place >= parts->count)
        return onnx_call_fail(&expand->call, "names a place that a sequence of %u does not have",
                              parts->count);
    onnx_expand_give(expand, 0, "Identity", parts->names[place], NULL);
    return !expand->failed;
}

static bool sequence_length(struct onnx_expand *expand)
{
    const struct onnx_parts *parts = sequence_parts(expand, 0);
    if (!parts)
        return false;
    onnx_expand_int(expand, "value_int", parts->count);
    onnx_expand_give(expand, 0, "Constant", NULL);
    return !expand->failed;
}

static bool sequence_insert(struct onnx_expand *expand)
{
    const struct onnx_parts *parts = sequence_parts(expand, 0);
    int64_t place;
    if (!parts || !sequence_place(expand, 2, parts->count, parts->count, &place))
        return false;
    const char **names = sequence_names(expand, parts->count + 1);
    for (uint32_t i = 0; i <= parts->count; i++)
        names[i] = i == place ? onnx_expand_in(expand, 1) : parts->names[i - (i > place)];
    return sequence_give(expand, names, parts->count + 1);
}

static bool sequence_erase(struct onnx_expand *expand)
{
    const struct onnx_parts *parts = sequence_parts(expand, 0);
    int64_t place;
    if (!parts || !sequence_place(expand, 1, parts->count, (int64_t)parts->count - 1, &place))
        return false;
    if (place >= parts->count)
        return onnx_call_fail(&expand->call, "names a place that a sequence of %u does not have",
                              parts->count);
    const char **names = sequence_names(expand, parts->count);
    for (uint32_t i = 0; i + 1 < parts->count; i++)
        names[i] = parts->names[i + (i >= place)];
    return sequence_give(expand, names, parts->count - 1);
}

static bool sequence_concat(struct onnx_expand *expand)
{
    const struct onnx_parts *parts = sequence_parts(expand, 0);
    int64_t axis = onnx_call_int(&expand->call, "axis", 0);
    bool new_axis = onnx_call_int(&expand->call, "new_axis", 0) != 0;
    if (!parts)
        return false;
    if (!parts->count)
        return onnx_call_fail(&expand->call, "joins an empty sequence");
    const char **names = sequence_names(expand, parts->count), *out = expand->call.node->outputs.at[0];
    for (uint32_t i = 0; i < parts->count; i++) {
        names[i] = parts->names[i];
        if (!new_axis)
            continue;
        onnx_expand_ints(expand, "axes", &axis, 1);
        names[i] = onnx_expand_put(expand, "Unsqueeze", names[i], NULL);
    }
    if (expand->failed)
        return false;
    onnx_expand_int(expand, "axis", axis);
    onnx_expand_many(expand, "Concat", names, parts->count, &out, 1);
    return !expand->failed;
}

/* The sizes of the pieces: a list, or one size that is repeated. */
static bool sequence_pieces(struct onnx_expand *expand, int64_t size, int64_t **pieces, uint32_t *count)
{
    enum { MOST = 100000 };
    struct onnx_shape given = onnx_expand_shape(expand, onnx_expand_in(expand, 1));
    const int64_t *numbers, one = 1;
    int64_t number_count = 1;
    if (!*onnx_expand_in(expand, 1))
        numbers = &one;
    else if (!onnx_call_numbers(&expand->call, 1, &number_count, &numbers))
        return false;
    bool repeated = !given.rank;
    int64_t pieces_count =
        repeated ? (numbers[0] > 0 ? (size + numbers[0] - 1) / numbers[0] : -1) : number_count;
    if (pieces_count < 1 || pieces_count > MOST)
        return onnx_call_fail(&expand->call, "splits %lld elements in a way that cannot be", (long long)size);
    *pieces = ARENA_ARRAY(expand->call.infer->arena, int64_t, (size_t)pieces_count);
    *count = (uint32_t)pieces_count;
    for (uint32_t i = 0; i < *count; i++) {
        int64_t left = size - i * numbers[0];
        (*pieces)[i] = !repeated ? numbers[i] : left < numbers[0] ? left : numbers[0];
    }
    return true;
}

static bool sequence_split(struct onnx_expand *expand)
{
    const char *x = onnx_expand_in(expand, 0);
    struct onnx_shape shape = onnx_expand_shape(expand, x);
    bool keep = *onnx_expand_in(expand, 1) || onnx_call_int(&expand->call, "keepdims", 1) != 0;
    uint32_t axis, count = 0;
    int64_t *pieces = NULL;
    if (!onnx_call_axis(&expand->call, onnx_call_int(&expand->call, "axis", 0), shape.rank, &axis) ||
        !sequence_pieces(expand, shape.dims[axis], &pieces, &count))
        return false;
    const char **names = sequence_names(expand, count), *inputs[2] = {x, ""};
    int64_t wide = axis;
    for (uint32_t i = 0; i < count; i++)
        names[i] = NULL;
    inputs[1] = onnx_expand_list(expand, pieces, count);
    if (expand->failed)
        return false;
    onnx_expand_int(expand, "axis", wide);
    onnx_expand_many(expand, "Split", inputs, 2, names, count);
    for (uint32_t i = 0; !keep && i < count && !expand->failed; i++) {
        onnx_expand_ints(expand, "axes", &wide, 1);
        names[i] = onnx_expand_put(expand, "Squeeze", names[i], NULL);
    }
    return !expand->failed && sequence_give(expand, names, count);
}

/* The same tensor or sequence. */
static bool sequence_same(struct onnx_expand *expand)
{
    const char *name = onnx_expand_in(expand, 0);
    const struct onnx_value *value = *name ? onnx_infer_value(expand->call.infer, name) : NULL;
    if (!value)
        return onnx_call_fail(&expand->call, "holds nothing");
    if (value->parts)
        return sequence_give(expand, value->parts->names, value->parts->count);
    onnx_expand_give(expand, 0, "Identity", name, NULL);
    return !expand->failed;
}

static bool sequence_has(struct onnx_expand *expand)
{
    onnx_expand_int(expand, "value_int", *onnx_expand_in(expand, 0) != '\0');
    onnx_expand_give(expand, 0, "Constant", NULL);
    return !expand->failed;
}

static bool sequence_is(const struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    return x && x->parts;
}

const struct onnx_expander onnx_sequence_expanders[] = {
    {"", "SequenceEmpty", sequence_empty, NULL},
    {"", "SequenceConstruct", sequence_construct, NULL},
    {"", "SequenceAt", sequence_at, NULL},
    {"", "SequenceLength", sequence_length, NULL},
    {"", "SequenceInsert", sequence_insert, NULL},
    {"", "SequenceErase", sequence_erase, NULL},
    {"", "ConcatFromSequence", sequence_concat, NULL},
    {"", "SplitToSequence", sequence_split, NULL},
    {"", "Optional", sequence_same, NULL},
    {"", "OptionalGetElement", sequence_same, NULL},
    {"", "OptionalHasElement", sequence_has, NULL},
    {"", "Identity", sequence_same, sequence_is},
    {.kind = NULL},
};
