#include "plan/owners.h"

#include "plan/assign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

/* A number, or FIRST..LAST. */
static bool owners_read_range(struct input *input, const struct value *value, struct owners_range *range)
{
    static const struct field number = {.key = "index", .kind = FIELD_INTEGER, .low = 0, .high = 1e6};
    const char *dots = value->text ? strstr(value->text, "..") : NULL;
    int64_t low, high;
    if (!dots) {
        if (!fields_read_one(input, value, &number, NULL, &low))
            return false;
        high = low;
    } else {
        char *end;
        low = strtoll(value->text, &end, 10);
        bool good = end == dots && dots != value->text;
        high = strtoll(dots + 2, &end, 10);
        good = good && !*end && dots[2];
        if (!good || low < 0 || high < low || high > 1000000)
            return report_error(&input->report, value->place,
                                "expected a number or a range such as 0..3, the smaller number first; got "
                                "'%s'",
                                value->text);
    }
    range->low = (uint32_t)low;
    range->high = (uint32_t)high;
    range->place = value->place;
    return true;
}

struct owners_list *owners_read(struct input *input, const struct value *list, const char *key)
{
    if (!fields_want_list(input, list, list->place, key))
        return NULL;
    uint32_t room = 1;
    bool good = list->count > 0;
    for (uint32_t i = 0; i < list->count; i++)
        room += list->entries[i].value->kind == VALUE_LIST ? list->entries[i].value->count : 1;
    struct owners_list *read = ARENA_NEW(&input->arena, struct owners_list);
    *read = (struct owners_list){.ranges = ARENA_ARRAY(&input->arena, struct owners_range, room),
                                 .shares = list->count,
                                 .key = key,
                                 .place = list->place};
    if (!good)
        report_error(&input->report, list->place,
                     "expected one entry per device: a list of numbers, [] for none");
    for (uint32_t i = 0; i < list->count; i++) {
        const struct value *share = list->entries[i].value;
        bool many = share->kind == VALUE_LIST;
        for (uint32_t k = 0; k < (many ? share->count : 1); k++) {
            struct owners_range *range = &read->ranges[read->range_count++];
            good = owners_read_range(input, many ? share->entries[k].value : share, range) && good;
            range->share = i;
        }
    }
    return good ? read : NULL;
}

/* ---- checking ---- */

/* What is counted, for messages. */
static const char *owners_noun(const struct model *model, const struct iteration_dim *dim)
{
    uint32_t e = names_find(model->names, "e"), table = names_find(model->names, "table");
    return dim->names[0] == e ? "expert" : dim->names[0] == table ? "table" : "index";
}

/* One dimension that is to be dealt out. */
struct owners_case {
    struct input *input;
    const struct owners_list *list;
    const char *layer, *noun;
    uint64_t size;
};

/* Fills in whose each index is, + 1. */
static bool owners_assign(const struct owners_case *c, uint32_t *owner)
{
    for (uint32_t r = 0; r < c->list->range_count; r++) {
        const struct owners_range *range = &c->list->ranges[r];
        if (range->high >= c->size)
            return report_error(&c->input->report, range->place,
                                "there is no %s %u: '%s' has %llu, counted from 0", c->noun,
                                range->low >= c->size ? range->low : (uint32_t)c->size, c->layer,
                                (unsigned long long)c->size);
        for (uint32_t i = range->low; i <= range->high; i++) {
            if (owner[i])
                return report_error(&c->input->report, range->place,
                                    "%s %u is owned twice: entry %u has it already, and here entry %u",
                                    c->noun, i, owner[i], range->share + 1);
            owner[i] = range->share + 1;
        }
    }
    for (uint32_t i = 0; i < c->size; i++) {
        uint32_t last = i;
        while (!owner[i] && last + 1 < c->size && !owner[last + 1])
            last++;
        if (!owner[i] && last > i)
            return report_error(&c->input->report, c->list->place,
                                "nobody owns %ss %u to %u of the %llu of '%s'", c->noun, i, last,
                                (unsigned long long)c->size, c->layer);
        if (!owner[i])
            return report_error(&c->input->report, c->list->place, "nobody owns %s %u of the %llu of '%s'",
                                c->noun, i, (unsigned long long)c->size, c->layer);
    }
    return true;
}

/* NULL after reporting. */
static struct owners *owners_make(const struct owners_case *c, uint32_t axes)
{
    uint32_t *owner = ARENA_ARRAY(&c->input->arena, uint32_t, c->size + 1), at = 0;
    if (!owners_assign(c, owner))
        return NULL;
    uint32_t *order = ARENA_ARRAY(&c->input->arena, uint32_t, c->size + 1);
    uint64_t *edge = ARENA_ARRAY(&c->input->arena, uint64_t, c->list->shares + 1);
    for (uint32_t s = 0; s < c->list->shares; s++) {
        for (uint32_t i = 0; i < c->size; i++)
            if (owner[i] == s + 1)
                order[at++] = i;
        edge[s + 1] = at;
    }
    struct owners *made = ARENA_NEW(&c->input->arena, struct owners);
    *made = (struct owners){axes, c->list->shares, edge, order, c->list};
    return made;
}

/* ---- renumbering ---- */

/* A dimension's filling in the new order of its positions. */
struct owners_filling {
    const struct owners *owners;
    const struct filling *before, *after;
};

struct owners_fillings {
    struct owners_filling *at;
    uint32_t count, room;
};

/* The same list for as many indices on the same axes, made for another operator; NULL when there is none. */
static const struct owners *owners_made(const struct owners_fillings *fillings,
                                        const struct owners_list *list, uint32_t axes, uint64_t size)
{
    for (uint32_t i = 0; i < fillings->count; i++) {
        const struct owners *owners = fillings->at[i].owners;
        if (owners->given == list && owners->axes == axes && owners->edge[owners->shares] == size)
            return owners;
    }
    return NULL;
}

static void owners_refill(struct input *input, const struct owners *owners, uint64_t size,
                          const struct filling *before, struct owners_fillings *out)
{
    for (uint32_t i = 0; i < out->count; i++)
        if (out->at[i].owners == owners && out->at[i].before == before)
            return;
    struct filling *after = ARENA_NEW(&input->arena, struct filling);
    uint64_t *sums = ARENA_ARRAY(&input->arena, uint64_t, size + 1);
    for (uint64_t i = 0; i < size; i++)
        sums[i + 1] = sums[i] + before->before[owners->order[i] + 1] - before->before[owners->order[i]];
    *after = *before;
    after->before = sums;
    VECTOR_PUSH(out, ((struct owners_filling){owners, before, after}));
}

/* What makes the indices of a dimension differ: tokens of experts, rows of tables. NULL: nothing. */
static const struct filling *owners_differ(const struct model *model, const struct layer_op *layer_op,
                                           int split)
{
    if (layer_op->dims[split].filling)
        return layer_op->dims[split].filling;
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        const struct tensor *tensor = &model->tensors.at[layer_op->operands[i].tensor];
        for (uint32_t d = 0; d < tensor->rank; d++)
            if (layer_op->operands[i].dims[d].dim == split && tensor->dims[d].filling &&
                tensor->role == TENSOR_PARAMETER)
                return tensor->dims[d].filling;
    }
    return NULL;
}

/* The operators of a stage that this mesh of it is for deal out what they split along one of its axes. */
static bool owners_axis(struct input *input, struct plan *plan, const struct plan_stage *stage, uint32_t mesh,
                        const struct plan_axis *axis, uint32_t parts, struct owners_fillings *out)
{
    struct model *model = plan->model;
    uint32_t piece = 0;
    while (!(parts >> piece & 1))
        piece++;
    for (uint32_t o = 0; o < model->operators.count; o++) {
        struct layer_op *layer_op = &model->operators.at[o];
        const struct layer *layer = &model->layers.at[layer_op->layer];
        if (layer->unit < stage->first_unit || layer->unit - stage->first_unit >= stage->unit_count ||
            (stage->meshes && stage->mesh_of[o] != mesh))
            continue;
        int split = assign_operator(stage, model, layer_op).split[piece];
        const struct filling *filling = split < 0 ? NULL : owners_differ(model, layer_op, split);
        if (!filling)
            continue;
        struct iteration_dim *dim = &layer_op->dims[split];
        if (dim->owners && dim->owners->given == axis->owned && dim->owners->axes == parts)
            continue;
        const struct owners_case c = {input, axis->owned, names_text(model->names, layer->name),
                                      owners_noun(model, dim), dim->size};
        if (dim->owners)
            return report_error(&input->report, axis->owned->place,
                                "the %ss of '%s' are dealt out in another way already", c.noun, c.layer);
        dim->owners = owners_made(out, axis->owned, parts, dim->size);
        if (!dim->owners && !(dim->owners = owners_make(&c, parts)))
            return false;
        owners_refill(input, dim->owners, dim->size, filling, out);
    }
    return true;
}

/* Whether some dimension was dealt out by a list. A stage may be without mixtures, but not all of them. */
static bool owners_used(const struct model *model, const struct owners_list *list)
{
    for (uint32_t o = 0; o < model->operators.count; o++)
        for (uint32_t d = 0; d < model->operators.at[o].dim_count; d++)
            if (model->operators.at[o].dims[d].owners && model->operators.at[o].dims[d].owners->given == list)
                return true;
    return false;
}

static bool owners_check_axes(struct input *input, const struct model *model, const struct plan_axis *axes,
                              uint32_t count)
{
    for (uint32_t a = 0; a < count; a++)
        if (axes[a].owned && !owners_used(model, axes[a].owned))
            return report_error(&input->report, axes[a].owned->place,
                                "no layer that this split is for has experts or tables along it, and "
                                "elsewhere all indices are alike: say how many each device has, as [3, 2, "
                                "1]");
    return true;
}

/* Every list must deal something out. */
static bool owners_check(struct input *input, const struct plan *plan)
{
    for (uint32_t s = 0; s < plan->stages.count; s++) {
        const struct plan_stage *stage = &plan->stages.at[s];
        if (!stage->meshes && !owners_check_axes(input, plan->model, stage->axes, stage->axis_count))
            return false;
        for (uint32_t m = 0; m < stage->mesh_count && stage->meshes; m++)
            if (!owners_check_axes(input, plan->model, stage->meshes[m].axes, stage->meshes[m].axis_count))
                return false;
    }
    return true;
}

static bool owners_stage(struct input *input, struct plan *plan, const struct plan_stage *stage,
                         struct owners_fillings *out)
{
    bool good = true;
    for (uint32_t a = 0; !stage->meshes && a < stage->axis_count; a++)
        if (stage->axes[a].owned)
            good = owners_axis(input, plan, stage, 0, &stage->axes[a], 1u << a, out) && good;
    for (uint32_t m = 0; m < stage->mesh_count && stage->meshes; m++)
        for (uint32_t a = 0; a < stage->meshes[m].axis_count; a++)
            if (stage->meshes[m].axes[a].owned)
                good = owners_axis(input, plan, stage, m, &stage->meshes[m].axes[a],
                                   stage->meshes[m].parts[a], out) &&
                       good;
    return good;
}

/* Carries the owners of a dimension between an operator and one of its tensors. True when that was news. */
static bool owners_carry(struct model *model, struct layer_op *layer_op, const struct operand *operand)
{
    struct tensor *tensor = &model->tensors.at[operand->tensor];
    bool news = false;
    for (uint32_t d = 0; d < tensor->rank; d++) {
        const struct operand_dim *map = &operand->dims[d];
        if (map->dim < 0 || map->inner >= 0 || map->kernel >= 0 || map->offset)
            continue;
        struct iteration_dim *dim = &layer_op->dims[map->dim];
        if (dim->size != tensor->dims[d].size || dim->owners == tensor->dims[d].owners ||
            (dim->owners && tensor->dims[d].owners))
            continue;
        const struct owners *owners = dim->owners ? dim->owners : tensor->dims[d].owners;
        dim->owners = tensor->dims[d].owners = owners;
        news = true;
    }
    return news;
}

/* Everyone who reads or makes what is dealt out counts in the same order: routers, what they give, weights.
 */
static void owners_spread(struct model *model)
{
    for (bool news = true; news;) {
        news = false;
        for (uint32_t o = 0; o < model->operators.count; o++) {
            struct layer_op *layer_op = &model->operators.at[o];
            for (uint32_t i = 0; i < layer_op->operand_count; i++)
                news |= owners_carry(model, layer_op, &layer_op->operands[i]);
            news |= owners_carry(model, layer_op, &layer_op->output);
        }
    }
}

static const struct filling *owners_filled(const struct owners_fillings *fillings,
                                           const struct owners *owners, const struct filling *before)
{
    for (uint32_t i = 0; owners && i < fillings->count; i++)
        if (fillings->at[i].owners == owners && fillings->at[i].before == before)
            return fillings->at[i].after;
    return before;
}

bool owners_apply(struct input *input, struct plan *plan)
{
    struct model *model = plan->model;
    struct owners_fillings fillings = {0};
    bool good = true;
    for (uint32_t s = 0; s < plan->stages.count; s++)
        good = owners_stage(input, plan, &plan->stages.at[s], &fillings) && good;
    if (fillings.count)
        owners_spread(model);
    for (uint32_t o = 0; o < model->operators.count && fillings.count; o++)
        for (uint32_t d = 0; d < model->operators.at[o].dim_count; d++) {
            struct iteration_dim *dim = &model->operators.at[o].dims[d];
            dim->filling = owners_filled(&fillings, dim->owners, dim->filling);
        }
    for (uint32_t t = 0; t < model->tensors.count && fillings.count; t++)
        for (uint32_t d = 0; d < model->tensors.at[t].rank; d++) {
            struct tensor_dim *dim = &model->tensors.at[t].dims[d];
            dim->filling = owners_filled(&fillings, dim->owners, dim->filling);
        }
    VECTOR_FREE(&fillings);
    return good && owners_check(input, plan);
}

/* ---- shares ---- */

/* How many shares each device along an axis has: all those of the axes inside it. */
static uint32_t owners_span(const struct owners *owners, const struct plan_stage *stage, uint32_t axis)
{
    uint32_t span = 1;
    for (uint32_t a = axis + 1; a < stage->axis_count; a++)
        span *= owners->axes >> a & 1 ? stage->axes[a].size : 1;
    return span;
}

struct interval owners_share(const struct owners *owners, const struct plan_stage *stage, uint32_t axis,
                             struct interval whole, uint32_t index)
{
    if (!owners || !(owners->axes >> axis & 1))
        return layout_share(whole, &stage->axes[axis], index);
    uint32_t span = owners_span(owners, stage, axis), block = span * stage->axes[axis].size;
    for (uint32_t i = 0; i + block <= owners->shares; i += block)
        if (owners->edge[i] == whole.low && owners->edge[i + block] == whole.high)
            return (struct interval){owners->edge[i + index * span], owners->edge[i + (index + 1) * span]};
    return layout_share(whole, &stage->axes[axis], index); /* an inner axis without the outer ones */
}

uint64_t owners_largest(const struct owners *owners, const struct plan_stage *stage, uint32_t axis,
                        uint64_t size)
{
    const uint32_t ways = stage->axes[axis].size;
    if (!(owners->axes >> axis & 1))
        return (size + ways - 1) / ways;
    uint32_t span = owners_span(owners, stage, axis);
    uint64_t largest = 0;
    for (uint32_t i = 0; i + span <= owners->shares; i += span) {
        uint64_t share = owners->edge[i + span] - owners->edge[i];
        largest = share > largest ? share : largest;
    }
    return largest < size ? largest : size;
}

char *owners_describe(const struct owners *owners, struct interval positions, char *buffer, size_t size)
{
    size_t used = 0;
    uint64_t end = positions.high;
    snprintf(buffer, size, "none");
    for (uint64_t i = positions.low; i < end && used < size;) {
        uint64_t last = i;
        while (last + 1 < end && owners->order[last + 1] == owners->order[last] + 1)
            last++;
        int written = snprintf(buffer + used, size - used, "%s%u", used ? ", " : "", owners->order[i]);
        used += (size_t)written;
        if (last > i && used < size)
            used += (size_t)snprintf(buffer + used, size - used, "%s%u", last > i + 1 ? ".." : ", ",
                                     owners->order[last]);
        i = last + 1;
    }
    return buffer;
}
