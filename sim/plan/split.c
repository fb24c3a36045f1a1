#include "plan/split.h"

#include "cost/cost.h"
#include "plan/assign.h"
#include "plan/owners.h"

#include <math.h>
#include <string.h>

void split_axis(struct plan *plan, struct plan_stage *stage, const char *name, uint32_t size,
                const char *const *labels)
{
    if (size == 1)
        return;
    struct plan_axis *axis = &stage->axes[stage->axis_count++];
    *axis = (struct plan_axis){.name = names_add(plan->platform->names, name), .size = size};
    for (uint32_t l = 0; labels[l]; l++)
        axis->labels[l] = names_add(plan->platform->names, labels[l]);
}

/* The operators of a stage: [*first, the result). */
static uint32_t split_operators(const struct plan *plan, const struct plan_stage *stage, uint32_t *first)
{
    const struct model *model = plan->model;
    const struct model_unit *low = &model->units.at[stage->first_unit];
    const struct model_unit *high = &model->units.at[stage->first_unit + stage->unit_count - 1];
    uint32_t end = 0;
    *first = model->operators.count;
    for (uint32_t l = low->first_layer; l < high->first_layer + high->layer_count; l++) {
        const struct layer *layer = &model->layers.at[l];
        if (!layer->operator_count)
            continue;
        *first = layer->first_operator < *first ? layer->first_operator : *first;
        end = layer->first_operator + layer->operator_count;
    }
    return end;
}

bool split_used(const struct plan *plan, const struct plan_stage *stage, uint32_t axis)
{
    uint32_t first, end = split_operators(plan, stage, &first);
    for (uint32_t o = first; o < end; o++)
        if (assign_operator(stage, plan->model, &plan->model->operators.at[o]).split[axis] >= 0)
            return true;
    return false;
}

/* Into how many groups the stage's attention divides its queries; 1: every head has its own keys. */
static uint64_t split_groups(const struct plan *plan, const struct plan_stage *stage)
{
    uint32_t first, end = split_operators(plan, stage, &first);
    uint32_t g = names_find(plan->model->names, "g"), r = names_find(plan->model->names, "r");
    for (uint32_t o = first; o < end; o++) {
        const struct layer_op *layer_op = &plan->model->operators.at[o];
        uint64_t groups = 1, queries = 1;
        for (uint32_t d = 0; d < layer_op->dim_count && layer_op->attends; d++) {
            groups = layer_op->dims[d].names[0] == g ? layer_op->dims[d].size : groups;
            queries = layer_op->dims[d].names[0] == r ? layer_op->dims[d].size : queries;
        }
        if (groups > 1 && queries > 1)
            return groups;
    }
    return 1;
}

void split_heads(const struct plan *plan, struct plan_stage *stage)
{
    struct plan_axis *axis = &stage->axes[stage->axis_count - 1];
    uint32_t g = names_find(plan->model->names, "g"), r = names_find(plan->model->names, "r"), at = 0;
    while (at + 1 < PLAN_LABELS && axis->labels[at] && axis->labels[at] != g)
        at++;
    uint64_t ways = axis->size, rest = split_groups(plan, stage);
    while (rest) { /* the greatest common divisor */
        uint64_t next = ways % rest;
        ways = rest;
        rest = next;
    }
    bool fits = at + 1 < PLAN_LABELS && axis->labels[at] == g && axis->labels[at + 1] == r && !axis->weights;
    if (!fits || ways == 1 || ways == axis->size || stage->axis_count == PLAN_AXES)
        return;
    axis[1] = axis[0];
    axis[0].size = (uint32_t)ways;
    axis[1].size /= (uint32_t)ways;
    axis[1].joined = true;
    for (uint32_t l = at + 1; l < PLAN_LABELS; l++)
        axis[0].labels[l] = l + 1 < PLAN_LABELS ? axis[0].labels[l + 1] : 0;
    for (uint32_t l = at; l < PLAN_LABELS; l++)
        axis[1].labels[l] = l + 1 < PLAN_LABELS ? axis[1].labels[l + 1] : 0;
    stage->axis_count++;
}

/* Names of the dimensions that operators of a stage have and may be split along. */
static uint32_t split_dimensions(const struct plan *plan, const struct plan_stage *stage, const char **known,
                                 uint32_t room)
{
    uint32_t count = 0, first, end = split_operators(plan, stage, &first);
    for (uint32_t o = first; o < end; o++) {
        const struct layer_op *layer_op = &plan->model->operators.at[o];
        for (uint32_t i = 0; i < layer_op->dim_count; i++)
            for (uint32_t n = 0; n < DIM_NAMES && !layer_op->dims[i].opaque; n++) {
                const char *name = names_text(plan->model->names, layer_op->dims[i].names[n]);
                bool seen = !*name;
                for (uint32_t k = 0; k < count; k++)
                    seen |= strcmp(known[k], name) == 0;
                if (!seen && count < room)
                    known[count++] = name;
            }
    }
    return count;
}

/* Reports that an axis finds nothing to split: where layers have its dimension, what keeps it whole. */
static bool split_refuse(struct input *input, const struct plan *plan, const struct plan_stage *stage,
                         const char *label, struct place place)
{
    enum { KNOWN = 64 };
    const char *known[KNOWN];
    const struct model *model = plan->model;
    uint32_t first, end = split_operators(plan, stage, &first), name = names_find(model->names, label);
    for (uint32_t o = first; o < end; o++) {
        const struct layer_op *layer_op = &model->operators.at[o];
        const char *one =
            strcmp(label, "b") == 0 ? "has one sample at a time (batch.micro)" : "has one element of it";
        for (uint32_t i = 0; i < layer_op->dim_count; i++)
            for (uint32_t n = 0; n < DIM_NAMES && name; n++)
                if (layer_op->dims[i].names[n] == name)
                    return report_error(
                        &input->report, place, "'%s' cannot be split in these layers: '%s' %s", label,
                        names_text(model->names, model->layers.at[layer_op->layer].name),
                        layer_op->dims[i].opaque ? "mixes its entries, so no device can do without the rest"
                        : layer_op->dims[i].sequential ? "takes its steps one after the other"
                        : layer_op->dims[i].size == 1
                            ? one
                            : "has it inside another dimension, as channels of a group");
    }
    return fields_no_such(input, place, "dimension to split in these layers:", label, known,
                          split_dimensions(plan, stage, known, KNOWN));
}

/* A dimension of `of` need not be in every model, but some model must be able to have it. */
static bool split_known(struct input *input, const struct plan *plan, const char *label, struct place place)
{
    static const char *const usual[] = {"b", "s", "t", "g", "r", "f", "v", "h",
                                        "d", "e", "i", "o", "c", "y", "x"};
    const struct plan_stage all = {.unit_count = plan->model->units.count};
    const char *known[64];
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        if (strcmp(label, usual[i]) == 0)
            return true;
    uint32_t count = split_dimensions(plan, &all, known, 64);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(label, known[i]) == 0)
            return true;
    return fields_no_such(input, place, "dimension", label, known, count);
}

/* What one entry of `split:` says. */
struct split_entry {
    int64_t shares;
    int rounding; /* an index into split_roundings */
    const struct value *weights, *of, *indices;
    const struct owners_list *owned; /* what `indices` says */
};

enum split_rounding { SPLIT_EDGES, SPLIT_UP };
static const char *const split_roundings[] = {"edges", "up", NULL};

static const struct field split_fields[] = {
    {.key = "shares",
     .kind = FIELD_INTEGER,
     .offset = offsetof(struct split_entry, shares),
     .low = 1,
     .high = 1e6},
    {.key = "weights", .kind = FIELD_VALUE, .offset = offsetof(struct split_entry, weights)},
    {.key = "rounding",
     .kind = FIELD_CHOICE,
     .offset = offsetof(struct split_entry, rounding),
     .choices = split_roundings},
    {.key = "of", .kind = FIELD_VALUE, .offset = offsetof(struct split_entry, of)},
    {.key = "indices", .kind = FIELD_VALUE, .offset = offsetof(struct split_entry, indices)},
};

static bool split_by_speed(const struct value *weights)
{
    return weights && weights->text && strcmp(weights->text, "speed") == 0;
}

/* Weights as they stand in a list; NULL after reporting. */
static double *split_weights(struct input *input, const struct value *list)
{
    static const struct field weight = {.key = "weight", .kind = FIELD_NUMBER, .low = 0, .high = 1e12};
    double *weights = ARENA_ARRAY(&input->arena, double, list->count + 1), sum = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        if (!fields_read_one(input, list->entries[i].value, &weight, NULL, &weights[i]))
            return NULL;
        sum += weights[i];
    }
    if (!(sum > 0)) {
        report_error(&input->report, list->place, "expected weights of which one at least is above 0");
        return NULL;
    }
    return weights;
}

/* As many equal weights. */
static const double *split_equal(struct arena *arena, uint32_t count)
{
    double *weights = ARENA_ARRAY(arena, double, count);
    for (uint32_t i = 0; i < count; i++)
        weights[i] = 1;
    return weights;
}

/* `indices`: whose is which. They are as many as there are shares. */
static bool split_indices(struct input *input, struct split_entry *entry)
{
    if (entry->weights)
        return report_error(&input->report, entry->weights->place,
                            "weights say how many each device has; `indices` say that already");
    if (entry->rounding)
        return report_error(&input->report, entry->indices->place,
                            "nothing is rounded where `indices` say what each device has");
    entry->owned = owners_read(input, entry->indices, "indices");
    if (entry->owned && entry->shares && entry->shares != entry->owned->shares)
        return report_error(&input->report, entry->indices->place,
                            "there are %lld shares but %u lists of indices", (long long)entry->shares,
                            entry->owned->shares);
    if (entry->owned)
        entry->shares = entry->owned->shares;
    return entry->owned != NULL;
}

/* Reads the three ways to write an entry into the same form. */
static bool split_entry_read(struct input *input, const struct value *value, const char *key,
                             struct split_entry *entry)
{
    const struct field ways = {.key = key, .kind = FIELD_INTEGER, .low = 1, .high = 1e6};
    *entry = (struct split_entry){0};
    if (value->kind == VALUE_LIST)
        entry->weights = value;
    else if (value->kind != VALUE_MAP)
        return fields_read_one(input, value, &ways, NULL, &entry->shares);
    else if (!fields_read(input, value, value->place, "split", split_fields, FIELDS_COUNT(split_fields), NULL,
                          entry))
        return false;
    if (entry->indices)
        return split_indices(input, entry);
    bool list = entry->weights && entry->weights->kind == VALUE_LIST;
    if (entry->weights && !list && !split_by_speed(entry->weights))
        return report_error(&input->report, entry->weights->place,
                            "expected `speed` or a list of numbers as weights");
    if (!list && !entry->shares)
        return report_error(&input->report, value->place, "expected `shares`: how many there are");
    if (list && entry->shares && entry->shares != entry->weights->count)
        return report_error(&input->report, entry->weights->place, "there are %lld shares but %u weights",
                            (long long)entry->shares, entry->weights->count);
    if (list && !entry->weights->count)
        return report_error(&input->report, entry->weights->place, "expected at least one weight");
    if (list)
        entry->shares = entry->weights->count;
    return true;
}

/* The dimensions of an entry: those of `of`, else its key. NULL after reporting. */
static const char **split_labels(struct input *input, const struct plan *plan,
                                 const struct split_entry *entry, const char *key)
{
    const char **labels = ARENA_ARRAY(&input->arena, const char *, PLAN_LABELS + 1);
    static const struct field label = {.key = "of", .kind = FIELD_TEXT};
    if (!entry->of) {
        labels[0] = key;
        return labels;
    }
    bool list = entry->of->kind == VALUE_LIST;
    uint32_t count = list ? entry->of->count : 1;
    if (!count || count >= PLAN_LABELS) {
        report_error(&input->report, entry->of->place, "expected 1 to %d dimensions", PLAN_LABELS - 1);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct value *value = list ? entry->of->entries[i].value : entry->of;
        if (!fields_read_one(input, value, &label, NULL, &labels[i]) ||
            !split_known(input, plan, labels[i], value->place))
            return NULL;
    }
    return labels;
}

/* One entry of `split:` as an axis. */
static bool split_one(struct input *input, const struct entry *entry, struct plan *plan,
                      struct plan_stage *stage)
{
    struct split_entry read;
    if (!split_entry_read(input, entry->value, entry->key, &read))
        return false;
    const char **labels = split_labels(input, plan, &read, entry->key);
    if (!labels)
        return false;
    if (stage->axis_count == PLAN_AXES)
        return report_error(&input->report, entry->place, "a split has at most %d dimensions", PLAN_AXES);
    uint32_t axis = stage->axis_count;
    split_axis(plan, stage, entry->key, (uint32_t)read.shares, labels);
    if (stage->axis_count == axis)
        return true;
    if (read.weights && read.weights->kind == VALUE_LIST &&
        !(stage->axes[axis].weights = split_weights(input, read.weights)))
        return false;
    stage->axes[axis].owned = read.owned;
    stage->axes[axis].rounds_up = read.rounding == SPLIT_UP;
    if (!read.weights && read.rounding == SPLIT_UP)
        stage->axes[axis].weights = split_equal(&input->arena, (uint32_t)read.shares);
    else if (!read.weights && !read.owned)
        split_heads(plan, stage);
    return split_used(plan, stage, axis) || split_refuse(input, plan, stage, labels[0], entry->place);
}

bool split_read(struct input *input, const struct value *split, struct plan *plan, struct plan_stage *stage)
{
    bool good = fields_want_map(input, split, split->place, "split");
    for (uint32_t i = 0; good && i < split->count; i++)
        good = split_one(input, &split->entries[i], plan, stage);
    return good;
}

/* What one device does of the stage's arithmetic in a second. */
static double split_rate(const struct plan *plan, const struct plan_stage *stage, uint32_t device)
{
    const struct device *where = &plan->platform->devices.at[device];
    uint32_t first, end = split_operators(plan, stage, &first);
    double seconds = 0;
    for (uint32_t o = first; o < end; o++) {
        const struct layer_op *layer_op = &plan->model->operators.at[o];
        struct kernel kernel = {layer_op->kernel, layer_op->flops_per_point * model_points(layer_op), 0, 0};
        if (layer_op->kind == OPERATOR_EINSUM)
            seconds += cost_seconds(&plan->platform->device_types.at[where->type], where->speed,
                                    plan->precision, &kernel);
    }
    return seconds > 0 && isfinite(seconds) ? 1 / seconds : where->speed;
}

void split_weigh(struct input *input, const struct value *split, const struct plan *plan,
                 struct plan_stage *stage)
{
    uint32_t axis = 0;
    for (uint32_t i = 0; i < split->count; i++) {
        uint32_t name = names_add(plan->platform->names, split->entries[i].key);
        if (axis >= stage->axis_count || stage->axes[axis].name != name)
            continue; /* of one share */
        if (split_by_speed(value_get(split->entries[i].value, "weights"))) {
            double *weights = ARENA_ARRAY(&input->arena, double, stage->axes[axis].size);
            for (uint32_t m = 0; m < stage->devices.count; m++)
                weights[layout_coordinates(stage, m).at[axis]] +=
                    split_rate(plan, stage, stage->devices.at[m]);
            stage->axes[axis].weights = weights;
        }
        axis++;
        while (axis < stage->axis_count && stage->axes[axis].joined)
            axis++;
    }
}
