#include "plan/assign.h"

#include "plan/causal.h"
#include "plan/owners.h"

#include <string.h>

static bool assign_named(const struct iteration_dim *dim, uint32_t label)
{
    for (uint32_t n = 0; n < DIM_NAMES; n++)
        if (dim->names[n] == label)
            return label != 0;
    return false;
}

/* An inner dimension of a merged pair (channels within a group) has no contiguous share of the tensor unless
 * it is alone. */
static bool assign_is_inner(const struct model *model, const struct layer_op *layer_op, uint32_t dim)
{
    for (uint32_t o = 0; o <= layer_op->operand_count; o++) {
        const struct operand *operand =
            o < layer_op->operand_count ? &layer_op->operands[o] : &layer_op->output;
        for (uint32_t d = 0; d < model->tensors.at[operand->tensor].rank; d++)
            if (operand->dims[d].inner == (int)dim && operand->dims[d].dim >= 0 &&
                layer_op->dims[operand->dims[d].dim].size > 1)
                return true;
    }
    return false;
}

/* The dimension that `label` names, or -1 when there is none that this axis may split. */
static int assign_find(const struct model *model, const struct layer_op *layer_op, uint32_t label,
                       uint32_t taken)
{
    for (uint32_t d = 0; d < layer_op->dim_count; d++)
        if (assign_named(&layer_op->dims[d], label) && !layer_op->dims[d].opaque &&
            !layer_op->dims[d].sequential && !(taken >> d & 1) && !assign_is_inner(model, layer_op, d))
            return (int)d;
    return -1;
}

/* The dimension that one axis splits, or -1. `ways`: into how many shares the axes before it split each. */
static int assign_axis(const struct plan_axis *axis, const struct model *model,
                       const struct layer_op *layer_op, const uint64_t *ways)
{
    bool within = layer_op->attends && axis->within[0];
    const uint32_t *labels = within ? axis->within : axis->labels;
    uint32_t taken = 0;
    int fallback = -1;
    for (uint32_t d = 0; d < layer_op->dim_count; d++)
        if (ways[d] > 1 && ((!within && !axis->inside) || layer_op->dims[d].size < ways[d] * axis->size))
            taken |= 1u << d;
    for (uint32_t l = 0; l < PLAN_LABELS && labels[l]; l++) {
        int found = assign_find(model, layer_op, labels[l], taken);
        if (found >= 0 && layer_op->dims[found].size >= axis->size)
            return found;
        if (found >= 0 && fallback < 0 && layer_op->dims[found].size > 1)
            fallback = found;
    }
    return fallback;
}

/* Two joined axes: the first place in their lists where either has a dimension that is large enough counts
 * for both; there they may split one dimension together. */
static void assign_joined(const struct plan_axis *axes, const struct model *model,
                          const struct layer_op *layer_op, uint64_t *ways, int8_t split[2])
{
    uint64_t before[OPERATOR_DIMS];
    bool found = false;
    memcpy(before, ways, sizeof before);
    split[0] = split[1] = -1;
    for (uint32_t l = 0; l < PLAN_LABELS && axes[0].labels[l] && !found; l++)
        for (uint32_t i = 0; i < 2; i++) {
            uint32_t taken = 0;
            for (uint32_t d = 0; d < layer_op->dim_count; d++)
                if ((before[d] > 1 && !axes[i].inside) || layer_op->dims[d].size < ways[d] * axes[i].size)
                    taken |= 1u << d;
            split[i] =
                (int8_t)(axes[i].size > 1 ? assign_find(model, layer_op, axes[i].labels[l], taken) : -1);
            if (split[i] < 0)
                continue;
            ways[split[i]] *= axes[i].size;
            found = true;
        }
}

/* What each axis of a mesh splits. */
static void assign_axes(const struct plan_axis *axes, uint32_t count, const struct model *model,
                        const struct layer_op *layer_op, int8_t chosen[PLAN_AXES])
{
    uint64_t ways[OPERATOR_DIMS];
    for (uint32_t d = 0; d < OPERATOR_DIMS; d++)
        ways[d] = 1;
    for (uint32_t n = 0; n < 2 * count; n++) { /* the core of attention: late axes take what others leave */
        uint32_t a = n < count ? n : n - count;
        const struct plan_axis *axis = &axes[a];
        if ((layer_op->attends && axis->late) != (n >= count))
            continue;
        if (axis->nests && a) {
            chosen[a] = chosen[a - 1];
            continue;
        }
        if (a + 1 < count && axis[1].joined) {
            assign_joined(axis, model, layer_op, ways, &chosen[a]);
            n++;
            continue;
        }
        chosen[a] = (int8_t)(axis->size > 1 ? assign_axis(axis, model, layer_op, ways) : ASSIGN_ALL);
        if (chosen[a] >= 0)
            ways[chosen[a]] *= axis->size;
        else if (axis->size > 1 && axis->combiner)
            chosen[a] = ASSIGN_ONE;
    }
}

const struct plan_mesh *assign_mesh(const struct plan_stage *stage, const struct model *model,
                                    const struct layer_op *layer_op)
{
    return stage->meshes ? &stage->meshes[stage->mesh_of[layer_op - model->operators.at]] : NULL;
}

struct assignment assign_operator(const struct plan_stage *stage, const struct model *model,
                                  const struct layer_op *layer_op)
{
    struct assignment result = {.useful = 1};
    for (uint32_t a = 0; a < PLAN_AXES; a++)
        result.split[a] = ASSIGN_ALL;
    if (!stage->meshes) {
        assign_axes(stage->axes, stage->axis_count, model, layer_op, result.split);
        return result;
    }
    const struct plan_mesh *mesh = assign_mesh(stage, model, layer_op);
    int8_t chosen[PLAN_AXES];
    assign_axes(mesh->axes, mesh->axis_count, model, layer_op, chosen);
    for (uint32_t a = 0; a < mesh->axis_count; a++)
        for (uint32_t part = 0; part < stage->axis_count; part++)
            if (mesh->parts[a] >> part & 1)
                result.split[part] = chosen[a];
    return result;
}

uint32_t assign_sequential(const struct plan_stage *stage, const struct model *model,
                           const struct layer_op *layer_op, uint32_t axis)
{
    const struct plan_axis *around = &stage->axes[axis];
    const struct plan_mesh *mesh = assign_mesh(stage, model, layer_op);
    for (uint32_t a = 0; mesh && a < mesh->axis_count; a++)
        if (mesh->parts[a] >> axis & 1)
            around = &mesh->axes[a];
    for (uint32_t l = 0; l < PLAN_LABELS && around->labels[l]; l++)
        for (uint32_t d = 0; d < layer_op->dim_count && around->size > 1; d++)
            if (layer_op->dims[d].sequential && assign_named(&layer_op->dims[d], around->labels[l]))
                return around->labels[l];
    return 0;
}

/* Whether some axis leaves the work to its first member, and this is another. */
static bool assign_idle(const struct plan_stage *stage, const struct assignment *assignment,
                        struct coordinates member)
{
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (assignment->split[a] == ASSIGN_ONE && member.at[a])
            return true;
    return false;
}

struct interval assign_share(const struct plan_stage *stage, const struct layer_op *layer_op,
                             const struct assignment *assignment, uint32_t dim, struct coordinates member)
{
    if (assignment->shares)
        return assignment->shares[layout_member(stage, member) * OPERATOR_DIMS + dim];
    struct interval share = {0, layer_op->dims[dim].size};
    bool named = false;
    for (uint32_t n = 0; n < DIM_NAMES; n++)
        named |= layout_is_late(stage, layer_op->dims[dim].names[n]);
    for (uint32_t n = 0, end = stage->axis_count * (stage->late ? 2 : 1); n < end;
         n++) { /* late axes after all others */
        uint32_t a = n < stage->axis_count ? n : n - stage->axis_count;
        if (assignment->split[a] == (int)dim && (named && stage->late >> a & 1) == (n >= stage->axis_count))
            share = owners_share(layer_op->dims[dim].owners, stage, a, share, member.at[a]);
    }
    if (assign_idle(stage, assignment, member))
        share.high = share.low;
    return share;
}

bool assign_causal(const struct plan_stage *stage, const struct layer_op *layer_op,
                   const struct assignment *assignment)
{
    for (uint32_t a = 0; a < stage->axis_count && layer_op->causal; a++)
        if (assignment->split[a] >= 0 &&
            (assignment->split[a] == layer_op->query || assignment->split[a] == layer_op->key))
            return true;
    return false;
}

double assign_points(const struct plan_stage *stage, const struct layer_op *layer_op,
                     const struct assignment *assignment, struct coordinates member)
{
    bool causal = assign_causal(stage, layer_op, assignment);
    double points = causal ? 1 : layer_op->fraction;
    for (uint32_t d = 0; d < layer_op->dim_count; d++) {
        struct interval share = assign_share(stage, layer_op, assignment, d, member);
        if (!causal || ((int)d != layer_op->query && (int)d != layer_op->key))
            points *= model_extent(layer_op->dims[d].filling, share);
    }
    if (!causal)
        return points;
    struct interval queries = assign_share(stage, layer_op, assignment, (uint32_t)layer_op->query, member);
    struct interval keys = assign_share(stage, layer_op, assignment, (uint32_t)layer_op->key, member);
    return points * causal_pairs(queries, keys, layer_op->dims[layer_op->query].size, stage->balanced,
                                 layer_op->window);
}

static int assign_tensor_dim(const struct operand *operand, uint32_t rank, int dim)
{
    for (uint32_t d = 0; d < rank; d++)
        if (operand->dims[d].dim == dim || operand->dims[d].inner == dim)
            return (int)d;
    return -1;
}

struct layout assign_layout(const struct plan_stage *stage, const struct model *model,
                            const struct layer_op *layer_op, const struct assignment *assignment,
                            const struct operand *operand, bool output)
{
    struct layout layout = {.late = 0};
    const struct tensor *tensor = &model->tensors.at[operand->tensor];
    for (uint32_t d = 0; d < tensor->rank; d++)
        layout.late |= (uint8_t)(layout_is_late(stage, tensor->dims[d].label) << d);
    for (uint32_t a = 0; a < stage->axis_count; a++) {
        if (assignment->split[a] == ASSIGN_ONE)
            layout.place[a] = PLACE_ONE;
        if (assignment->split[a] < 0)
            continue;
        int d = assign_tensor_dim(operand, model->tensors.at[operand->tensor].rank, assignment->split[a]);
        if (d >= 0) {
            layout.place[a] = PLACE_SPLIT;
            layout.dim[a] = (uint8_t)d;
        } else if ((output || operand->added) && !(layer_op->normalised >> assignment->split[a] & 1)) {
            layout.place[a] = PLACE_PARTIAL;
        }
    }
    return layout;
}

struct box assign_box(const struct plan_stage *stage, const struct model *model,
                      const struct layer_op *layer_op, const struct assignment *assignment,
                      const struct operand *operand, struct coordinates member)
{
    const struct tensor *tensor = &model->tensors.at[operand->tensor];
    struct box box = {0};
    if (assign_idle(stage, assignment, member))
        return box;
    for (uint32_t d = 0; d < tensor->rank; d++) {
        int dim = operand->dims[d].dim;
        if (dim < 0) {
            box.dims[d] = (struct interval){0, tensor->dims[d].size};
            continue;
        }
        struct interval share = assign_share(stage, layer_op, assignment, (uint32_t)dim, member);
        int inner = operand->dims[d].inner;
        if (inner >= 0 &&
            layer_op->dims[dim].size == 1) /* a pair whose outer dimension is trivial is the inner one */
            box.dims[d] = assign_share(stage, layer_op, assignment, (uint32_t)inner, member);
        else
            box.dims[d] = model_needed(model, layer_op, operand, d, share);
    }
    return box;
}

struct box assign_read(const struct plan_stage *stage, const struct model *model,
                       const struct layer_op *layer_op, const struct assignment *assignment,
                       const struct operand *operand, struct coordinates member)
{
    struct box box = assign_box(stage, model, layer_op, assignment, operand, member);
    for (uint32_t d = 0; d < model->tensors.at[operand->tensor].rank; d++) {
        const struct operand_dim *map = &operand->dims[d];
        if (map->dim < 0 || map->kernel < 0)
            continue;
        uint64_t reach = (layer_op->dims[map->kernel].size - 1) * map->dilation + 1;
        if (reach >= map->stride || map->stride > UINT16_MAX)
            continue;
        box.combs[d] =
            (struct comb){(uint16_t)map->stride, (uint16_t)reach, (uint16_t)(map->pad % map->stride)};
        layout_trim(&box, d);
    }
    return box;
}

uint32_t assign_misaligned(const struct plan_stage *stage, const struct model *model,
                           const struct layer_op *layer_op, const struct assignment *assignment,
                           const struct operand *operand)
{
    const struct tensor *tensor = &model->tensors.at[operand->tensor];
    uint32_t axes = 0;
    for (uint32_t a = 0; a < stage->axis_count; a++) {
        if (assignment->split[a] < 0)
            continue;
        int d = assign_tensor_dim(operand, tensor->rank, assignment->split[a]);
        if (d < 0)
            continue;
        const struct operand_dim *map = &operand->dims[d];
        if (map->kernel >= 0 || map->inner >= 0 || map->offset ||
            tensor->dims[d].size != layer_op->dims[map->dim].size)
            axes |= 1u << a;
    }
    return axes;
}

bool assign_aligned(const struct plan_stage *stage, const struct model *model,
                    const struct layer_op *layer_op, const struct assignment *assignment,
                    const struct operand *operand)
{
    return !assignment->shares && !assign_misaligned(stage, model, layer_op, assignment, operand);
}
