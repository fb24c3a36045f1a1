#include "model/onnx_input.h"

#include "base/nearest.h"
#include "model/onnx_infer.h"
#include "model/onnx_state.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_WRONG = -2, INPUT_UNSAID = -1, INPUT_MOST = 1000000000 };

enum {
    INPUT_IMAGE = 224,   /* height and width */
    INPUT_SECOND = 16000 /* samples of speech, as most networks for it are trained */
};

/* What a symbolic dimension is called, and the size that stands for it where nobody says one. Parts of names,
 * in lower case; the first that fits counts. */
static const struct input_default {
    const char *part;
    bool sequence; /* the workload's `batch.sequence` says it */
    int64_t size;
} input_defaults[] = {
    {"past", false, 1},
    {"total", true, 128},
    {"decoder", true, 128},
    {"encoder", true, 128},
    {"seq", true, 128},
    {"token", true, 128},
    {"length", true, 128},
    {"time", true, 128},
    {"frame", true, 128},
    {"sample", false, INPUT_SECOND},
    {"audio", false, INPUT_SECOND},
    {"height", false, 224},
    {"width", false, 224},
    {"image", false, 224},
    {NULL, false, 1},
};

static const struct input_default *input_default(const char *name)
{
    char lower[64];
    size_t length = strnlen(name, sizeof lower - 1);
    const struct input_default *at = input_defaults;
    for (size_t i = 0; i < length; i++)
        lower[i] = (char)tolower((unsigned char)name[i]);
    lower[length] = '\0';
    while (at->part && !strstr(lower, at->part))
        at++;
    return at;
}

/* The place of an image's height, after which its width stands: an input of four dimensions with as many
 * channels as images have (grey, colour, colour and opacity), before or after them. 0: it is none. */
static uint32_t input_height(const struct onnx_declared *at)
{
    int64_t channels[] = {at->rank == 4 && !at->dims[1].name ? at->dims[1].size : 0,
                          at->rank == 4 && !at->dims[3].name ? at->dims[3].size : 0};
    for (uint32_t last = 0; last < 2; last++)
        if (channels[last] == 1 || channels[last] == 3 || channels[last] == 4)
            return last ? 1 : 2;
    return 0;
}

/* Whether a symbol that says nothing is an image's height or width. */
static bool input_is_image(const struct onnx_infer *infer, const char *name)
{
    const struct onnx_graph *graph = &infer->file->graph;
    for (uint32_t i = 0; i < graph->inputs.count; i++) {
        const struct onnx_declared *at = &graph->inputs.at[i];
        uint32_t height = input_height(at);
        for (uint32_t d = height; height && d < height + 2; d++)
            if (at->dims[d].name && strcmp(at->dims[d].name, name) == 0)
                return true;
    }
    return false;
}

/* Whether an input's last dimension is that of a signal: [batch, samples] of real numbers, or with one or two
 * channels between. Tokens are whole numbers, and features have a fixed size. */
static bool input_has_signal(const struct onnx_declared *at)
{
    bool real = at->type == ONNX_FLOAT || at->type == ONNX_FLOAT16 || at->type == ONNX_DOUBLE;
    bool channels = at->rank == 3 && !at->dims[1].name && (at->dims[1].size == 1 || at->dims[1].size == 2);
    return real && (at->rank == 2 || channels);
}

/* Whether a symbol is the length of signals, and of nothing else. */
static bool input_is_signal(const struct onnx_infer *infer, const char *name)
{
    const struct onnx_graph *graph = &infer->file->graph;
    bool signal = false;
    for (uint32_t i = 0; i < graph->inputs.count; i++)
        for (uint32_t d = 0; d < graph->inputs.at[i].rank; d++) {
            const struct onnx_declared *at = &graph->inputs.at[i];
            if (!at->dims[d].name || strcmp(at->dims[d].name, name) != 0)
                continue;
            if (d + 1 != at->rank || !input_has_signal(at))
                return false;
            signal = true;
        }
    return signal;
}

/* The size of a symbol to which nobody gave one. */
static int64_t input_size(const struct onnx_infer *infer, const char *name)
{
    const struct input_default *at = input_default(name);
    if ((!at->part || at->sequence) && input_is_signal(infer, name))
        return INPUT_SECOND;
    return !at->part && input_is_image(infer, name) ? INPUT_IMAGE : at->size;
}

/* A number that a user gave; INPUT_WRONG if it is none. */
static int64_t input_number(const struct value *value)
{
    char *end;
    long long size = value->kind == VALUE_SCALAR ? strtoll(value->text, &end, 10) : 0;
    return size < 1 || size > INPUT_MOST || *end ? INPUT_WRONG : size;
}

static int64_t input_symbol(struct onnx_infer *infer, const char *name);

/* The past and the new positions together, where the file has symbols for both. */
static int64_t input_total(struct onnx_infer *infer)
{
    const struct onnx_graph *graph = &infer->file->graph;
    const char *past = NULL, *present = NULL;
    for (uint32_t i = 0; i < graph->inputs.count; i++)
        for (uint32_t d = 0; d < graph->inputs.at[i].rank; d++) {
            const char *name = graph->inputs.at[i].dims[d].name;
            if (!name || strpbrk(name, "+-") || strstr(name, "total"))
                continue;
            if (strstr(name, "past"))
                past = name;
            else if (input_default(name)->sequence)
                present = name;
        }
    return past && present ? input_symbol(infer, past) + input_symbol(infer, present) : 0;
}

/* `model.dims.NAME`; NULL: not said. Dots in a name are steps of a path. */
static const struct value *input_chosen(struct onnx_infer *infer, const char *name)
{
    const struct value *dims = infer->choices.dims, *value = dims ? value_get(dims, name) : NULL;
    names_add(&infer->asked, name);
    return value || !dims ? value : value_at(dims, name);
}

/* That, or the workload's sequence. */
static int64_t input_said(struct onnx_infer *infer, const char *name)
{
    const struct onnx_choices *choices = &infer->choices;
    const struct value *value = input_chosen(infer, name);
    int64_t total = !value && strstr(name, "total") ? input_total(infer) : 0;
    if (total > 0)
        return total;
    if (!value && choices->sequence && input_default(name)->sequence) {
        value = choices->sequence;
        infer->sequence_used = true;
    }
    return value ? input_number(value) : INPUT_UNSAID;
}

/* Whether a symbolic dimension is called as the batch usually is. */
static bool input_called_batch(const char *name)
{
    return name && (strstr(name, "batch") || strstr(name, "Batch") || strcmp(name, "N") == 0 ||
                    strcmp(name, "n") == 0);
}

/* Reported once. */
static void input_note(struct onnx_infer *infer, const char *name, const char *as, int64_t size)
{
    if (infer->scale > 1 || names_find(&infer->noted, name) != UINT32_MAX)
        return;
    names_add(&infer->noted, name);
    report_warning(
        infer->report, (struct place){infer->values.at[0].name, 0, 0},
        "nobody says how large the dimension '%s' is: it counts as %s%lld; --set model.dims.%s=SIZE "
        "says another size",
        name, as, (long long)size, name);
}

static int64_t input_unsaid(struct onnx_infer *infer, const char *name)
{
    if (input_called_batch(name))
        return 1;
    int64_t size = input_size(infer, name);
    input_note(infer, name, "", size);
    return size;
}

/* A symbol, or the sum or difference of symbols and numbers from left to right, as exporters write what they
 * know of a length. */
static int64_t input_symbol(struct onnx_infer *infer, const char *name)
{
    int64_t total = 0, sign = 1, whole = input_said(infer, name);
    const char *at = name;
    if (whole != INPUT_UNSAID)
        return whole;
    if (!strstr(name, "+") && !strstr(name, " - "))
        return input_unsaid(infer, name);
    while (*at) {
        const char *start = at + strspn(at, " ");
        size_t span = strcspn(start, "+-");
        at = start + span;
        while (span && start[span - 1] == ' ')
            span--;
        const char *term = arena_format(infer->arena, "%.*s", (int)span, start);
        int64_t size = isdigit((unsigned char)*term) ? strtoll(term, NULL, 10) : input_said(infer, term);
        size = size == INPUT_UNSAID ? input_unsaid(infer, term) : size;
        if (size < 0 || size > INPUT_MOST)
            return INPUT_WRONG;
        total += sign * size;
        sign = *at == '-' ? -1 : 1;
        at += *at != '\0';
    }
    return total < 1 || total > INPUT_MOST ? INPUT_WRONG : total;
}

int64_t onnx_input_size(struct onnx_infer *infer, const struct onnx_dim *dim)
{
    return dim->name ? input_symbol(infer, dim->name) : dim->size;
}

/* What a user may call a dimension that has no name: INPUT.AXIS. */
static const char *input_nameless(struct onnx_infer *infer, const struct onnx_declared *at, uint32_t axis)
{
    const char *name = arena_format(infer->arena, "%s.%u", at->name, axis);
    uint32_t height = input_height(at) ? input_height(at) : 2;
    if (at->rank == 4 && (axis == height || axis == height + 1))
        return arena_format(infer->arena, "%s.%s", at->name, axis == height ? "height" : "width");
    return at->rank == 2 || at->rank == 3 ? arena_format(infer->arena, "%s.length%u", at->name, axis) : name;
}

/* The batch: the symbolic dimension that is called so, or the first dimension of the first input. One that is
 * symbolic is 1 unless it is given. */
static void input_batch(struct onnx_infer *infer, const char **symbol)
{
    const struct onnx_graph *graph = &infer->file->graph;
    *symbol = NULL;
    infer->batch = 1;
    for (uint32_t i = 0; i < graph->inputs.count; i++)
        for (uint32_t d = 0; d < graph->inputs.at[i].rank; d++)
            if (input_called_batch(graph->inputs.at[i].dims[d].name)) {
                *symbol = graph->inputs.at[i].dims[d].name;
                infer->batch = input_said(infer, *symbol);
                infer->batch = infer->batch < 1 ? 1 : infer->batch;
                return;
            }
    for (uint32_t i = 0; i < graph->inputs.count; i++) {
        const struct onnx_declared *at = &graph->inputs.at[i];
        const struct onnx_value *value = onnx_infer_value(infer, at->name);
        if (value->given || at->rank < 1)
            continue;
        *symbol = at->dims[0].name;
        infer->batch = *symbol ? input_said(infer, *symbol) : at->dims[0].size;
        infer->batch = infer->batch < 1 ? 1 : infer->batch;
        return;
    }
}

/* Whether a dimension of an input is the batch. */
static bool input_is_batch(struct onnx_infer *infer, const struct onnx_dim *dim, uint32_t axis,
                           const char *batch)
{
    if (dim->name)
        return batch && strcmp(dim->name, batch) == 0;
    return axis == 0 && (dim->size < 1 || (!batch && dim->size == infer->batch));
}

/* Whether a dimension without a name is the middle one of a recurrent layer's first state [layers, batch,
 * features]. */
static bool input_is_states_batch(const struct onnx_infer *infer, const struct onnx_declared *at,
                                  uint32_t axis)
{
    return axis == 1 && at->rank == 3 && !at->dims[1].name && at->dims[1].size < 1 && at->dims[0].size > 0 &&
           onnx_state_is(infer->file, at->name);
}

/* Its size: the batch, unless someone says another one. */
static int64_t input_states_batch(struct onnx_infer *infer, const char *name)
{
    const struct value *value = input_chosen(infer, name);
    if (!value)
        input_note(infer, name, "the batch, ", infer->batch);
    return value ? input_number(value) : infer->batch;
}

static bool input_dims(struct onnx_infer *infer, const struct onnx_declared *at, const char *batch,
                       struct onnx_shape *shape)
{
    struct place place = {infer->values.at[0].name, 0, 0};
    shape->rank = at->rank;
    for (uint32_t i = 0; i < at->rank; i++) {
        struct onnx_dim dim = at->dims[i];
        bool is_batch = input_is_batch(infer, &dim, i, batch);
        if (!dim.name && dim.size < 1 && !is_batch)
            dim.name = input_nameless(infer, at, i);
        bool state = input_is_states_batch(infer, at, i);
        int64_t size = infer->batch;
        if (state)
            size = input_states_batch(infer, dim.name);
        else if (!is_batch || (dim.name && input_said(infer, dim.name) != INPUT_UNSAID))
            size = onnx_input_size(infer, &dim);
        if (size < 1) {
            const struct value *said = infer->choices.dims ? value_get(infer->choices.dims, dim.name) : NULL;
            return report_error(infer->report, said ? said->place : place,
                                "dims.%s: expected a whole number from 1", dim.name);
        }
        shape->dims[i] = is_batch || state ? size * infer->scale : size;
    }
    return true;
}

static bool input_shape(struct onnx_infer *infer, const struct onnx_declared *at, const char *batch)
{
    struct onnx_value *value = onnx_infer_value(infer, at->name);
    struct place place = {infer->values.at[0].name, 0, 0};
    if (value->given)
        return true;
    if (!at->tensor || (!at->shaped && at->rank == 0 && !at->type))
        return report_error(infer->report, place,
                            "input '%s' is no tensor (a sequence, map or optional), which is not supported",
                            at->name);
    if (!at->shaped)
        return report_error(infer->report, place, "input '%s' has no shape in the file", at->name);
    if (!input_dims(infer, at, batch, &value->shape))
        return false;
    if (onnx_file_elements(&value->shape) < 0)
        return report_error(infer->report, place, "input '%s' has too many elements", at->name);
    value->type = at->type;
    value->given = true;
    return true;
}

/* Every size that a user gives must be one that the file asks for. Names with dots are looked up as paths. */
static bool input_all_asked(struct onnx_infer *infer)
{
    const struct value *dims = infer->choices.dims;
    bool good = true;
    for (uint32_t i = 0; dims && infer->scale == 1 && i < dims->count; i++) {
        const struct entry *entry = &dims->entries[i];
        if (entry->value->kind == VALUE_MAP || names_find(&infer->asked, entry->key) != UINT32_MAX)
            continue;
        uint32_t count = infer->asked.list.count;
        const char *near = count > 1 ? nearest_name(entry->key, infer->asked.list.at + 1, count - 1) : NULL;
        good = report_error(infer->report, entry->value->place,
                            "dims: the file has no symbolic dimension '%s'%s%s%s", entry->key,
                            near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    return good;
}

bool onnx_input_shapes(struct onnx_infer *infer)
{
    const struct onnx_graph *graph = &infer->file->graph;
    const char *batch;
    bool good = true;
    input_batch(infer, &batch);
    for (uint32_t i = 0; i < graph->inputs.count; i++)
        good = input_shape(infer, &graph->inputs.at[i], batch) && good;
    return good && input_all_asked(infer);
}
