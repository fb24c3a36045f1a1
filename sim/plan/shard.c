#include "plan/shard.h"

#include "plan/state.h"

#include <string.h>

const char *const shard_keep_names[] = {"pass", "micro-batch", "step", NULL};

/* Whether members along an axis work on other samples, or other positions of them, with the same parameters.
 */
static bool shard_is_data(const struct plan *plan, const struct plan_axis *axis)
{
    static const char *const data[] = {"b", "s", "y", "x"};
    for (size_t i = 0; i < sizeof data / sizeof data[0]; i++)
        if (axis->labels[0] && strcmp(names_text(plan->model->names, axis->labels[0]), data[i]) == 0)
            return true;
    return false;
}

static void shard_mark_axes(const struct plan *plan, struct plan_axis *axes, uint32_t count)
{
    for (uint32_t a = 0; a < count; a++)
        axes[a].shards = plan->zero > 0 && shard_is_data(plan, &axes[a]) && axes[a].role != AXIS_REPLICA;
}

void shard_mark(struct plan *plan)
{
    for (uint32_t s = 0; s < plan->stages.count; s++) {
        struct plan_stage *stage = &plan->stages.at[s];
        if (!stage->meshes)
            shard_mark_axes(plan, stage->axes, stage->axis_count);
        for (uint32_t m = 0; stage->meshes && m < stage->mesh_count; m++)
            shard_mark_axes(plan, stage->meshes[m].axes, stage->meshes[m].axis_count);
    }
}

/* The stage's axes (bit set) along which the parameters of an operator may be shared out: its mesh has the
 * marks, but replicas of the other layers are replicas of its own too. */
static uint32_t shard_marked(const struct plan_stage *stage, uint32_t layer_op)
{
    uint32_t axes = 0, replicas = 0;
    for (uint32_t a = 0; a < stage->axis_count && !stage->meshes; a++)
        axes |= stage->axes[a].shards ? 1u << a : 0;
    for (uint32_t m = 0; stage->meshes && m < stage->mesh_count; m++)
        for (uint32_t a = 0; a < stage->meshes[m].axis_count; a++) {
            const struct plan_axis *axis = &stage->meshes[m].axes[a];
            axes |= axis->shards && stage->mesh_of[layer_op] == m ? stage->meshes[m].parts[a] : 0;
            replicas |= axis->role == AXIS_REPLICA ? stage->meshes[m].parts[a] : 0;
        }
    return axes & ~replicas;
}

uint32_t shard_axes(const struct plan_stage *stage, uint32_t layer_op, const struct layout *layout)
{
    uint32_t axes = shard_marked(stage, layer_op);
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (layout->place[a] != PLACE_REPLICATED)
            axes &= ~(1u << a);
    return axes;
}

struct shard_reduction shard_reduction(const struct stage_parameter *parameter)
{
    return (struct shard_reduction){parameter->partial_axes & parameter->shard_axes,
                                    parameter->partial_axes & ~parameter->shard_axes};
}

uint32_t shard_ways(const struct derivation *d, const struct stage_parameter *parameter)
{
    return layout_places(d->stage, parameter->shard_axes);
}

static struct interval shard_cut(struct interval whole, uint64_t ways, uint64_t index)
{
    uint64_t size = whole.high - whole.low;
    return (struct interval){whole.low + size * index / ways, whole.low + size * (index + 1) / ways};
}

struct interval shard_own(const struct derivation *d, const struct stage_parameter *parameter,
                          uint32_t member)
{
    const struct tensor *tensor = state_tensor(d, parameter->tensor);
    struct box box =
        layout_box(d->stage, tensor, &parameter->layout, layout_coordinates(d->stage, member), 0);
    struct interval share = {0, (uint64_t)layout_elements(&box, tensor->rank)};
    uint32_t scatter = shard_reduction(parameter).scatter, rest = parameter->shard_axes & ~scatter;
    share = shard_cut(share, layout_places(d->stage, scatter), layout_place(d->stage, scatter, member));
    return shard_cut(share, layout_places(d->stage, rest), layout_place(d->stage, rest, member));
}
