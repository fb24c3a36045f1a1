#include "plan/fuse.h"

#include "plan/state.h"

#include <string.h>

/* The mesh that tiles are counted on: that of the stage, or the grid of tiles that are dealt to its devices.
 */
static struct plan_stage fuse_grid(const struct plan_stage *stage)
{
    struct plan_stage grid = {.axis_count =
                                  stage->tile_axis_count ? stage->tile_axis_count : stage->axis_count};
    for (uint32_t a = 0; a < grid.axis_count; a++)
        grid.axes[a] = stage->tile_axis_count ? stage->tile_axes[a] : stage->axes[a];
    return grid;
}

static uint32_t fuse_tiles(const struct plan_stage *grid)
{
    uint32_t tiles = 1;
    for (uint32_t a = 0; a < grid->axis_count; a++)
        tiles *= grid->axes[a].size;
    return tiles;
}

static bool fuse_has_unit(const struct fuse_block *block, uint32_t unit)
{
    return unit >= block->first_unit && unit - block->first_unit < block->unit_count;
}

static bool fuse_inside(const struct derivation *d, const struct fuse_block *block, uint32_t tensor)
{
    const struct tensor *t = state_tensor(d, tensor);
    return t->producer != MODEL_NONE && fuse_has_unit(block, d->plan->model->layers.at[t->layer].unit);
}

uint32_t fuse_mark(const struct derivation *d, const struct stage_operator *so, uint32_t tensor)
{
    if (!so->fused)
        return 0;
    bool stays = fuse_inside(d, so->fused, tensor) && tensor != so->fused->output;
    return stays || so->fused->dealt ? so->tile : 0;
}

const struct fuse_block *fuse_at(const struct derivation *d, uint32_t unit)
{
    for (uint32_t i = 0; i < d->stage->fused_count; i++)
        if (d->fused[i].first_unit == unit)
            return &d->fused[i];
    return NULL;
}

uint32_t fuse_unit(const struct derivation *d, uint32_t unit)
{
    for (uint32_t i = 0; i < d->stage->fused_count; i++)
        if (d->fused[i].dealt && fuse_has_unit(&d->fused[i], unit))
            return d->fused[i].first_unit;
    return unit;
}

static const char *fuse_layer_name(const struct derivation *d, uint32_t layer_op)
{
    const struct model *model = d->plan->model;
    return names_text(model->names, model->layers.at[model->operators.at[layer_op].layer].name);
}

/* Whether an iteration dimension indexes the output. */
static bool fuse_in_output(const struct derivation *d, const struct layer_op *layer_op, int dim)
{
    for (uint32_t k = 0; k < state_tensor(d, layer_op->output.tensor)->rank; k++)
        if (layer_op->output.dims[k].dim == dim || layer_op->output.dims[k].inner == dim)
            return true;
    return false;
}

/* A fused block is a chain: one tensor leaves it, made by its last operator. Branches may part and join
 * inside. */
static bool fuse_check_chain(const struct derivation *d, struct fuse_block *block, struct report *report)
{
    const struct model *model = d->plan->model;
    bool good = true;
    block->output = model->operators.at[block->operators[block->count - 1]].output.tensor;
    for (uint32_t o = 0; o < model->operators.count; o++) {
        const struct layer_op *layer_op = &model->operators.at[o];
        if (fuse_has_unit(block, model->layers.at[layer_op->layer].unit) ||
            (layer_op->training_only && !d->plan->training))
            continue;
        for (uint32_t i = 0; i < layer_op->operand_count; i++) {
            uint32_t tensor = d->same_as[layer_op->operands[i].tensor];
            if (fuse_inside(d, block, tensor) && tensor != block->output)
                good = report_error(
                    report, block->where->place,
                    "a fused block is a chain of layers, but '%s' inside it is read by '%s' after it",
                    fuse_layer_name(d, state_tensor(d, tensor)->producer), fuse_layer_name(d, o));
        }
    }
    for (uint32_t i = 0; i + 1 < block->count; i++) {
        uint32_t tensor = model->operators.at[block->operators[i]].output.tensor;
        bool read = false;
        for (uint32_t o = 0; o < model->operators.count; o++)
            for (uint32_t k = 0; k < model->operators.at[o].operand_count; k++)
                read |= d->same_as[model->operators.at[o].operands[k].tensor] == tensor;
        if (!read)
            good = report_error(report, block->where->place,
                                "a fused block is a chain of layers, but nothing reads '%s' inside it",
                                fuse_layer_name(d, block->operators[i]));
    }
    return good;
}

/* Every layer of the block has the dimensions that tiles split, and keeps them. */
static bool fuse_check_dimensions(const struct derivation *d, const struct fuse_block *block,
                                  const struct plan_stage *grid, struct report *report)
{
    const struct model *model = d->plan->model;
    for (uint32_t i = 0; i < block->count; i++) {
        const struct layer_op *layer_op = &model->operators.at[block->operators[i]];
        struct assignment assignment = assign_operator(grid, model, layer_op);
        for (uint32_t k = 0; k < layer_op->dim_count; k++)
            if (layer_op->dims[k].sequential)
                return report_error(report, block->where->place,
                                    "'%s' runs step by step, which cannot be fused",
                                    fuse_layer_name(d, block->operators[i]));
        for (uint32_t a = 0; a < grid->axis_count; a++)
            if (assignment.split[a] < 0 || !fuse_in_output(d, layer_op, assignment.split[a]))
                return report_error(
                    report, block->where->place,
                    "tiles split '%s', of which '%s' needs all: it cannot be part of the fused block",
                    names_text(model->names, grid->axes[a].labels[0]),
                    fuse_layer_name(d, block->operators[i]));
    }
    return true;
}

/* What of the iteration space is needed for a box of the output. */
static void fuse_invert(const struct derivation *d, const struct layer_op *layer_op, const struct box *box,
                        struct interval *share)
{
    for (uint32_t k = 0; k < layer_op->dim_count; k++)
        share[k] = (struct interval){0, layer_op->dims[k].size};
    for (uint32_t k = 0; k < state_tensor(d, layer_op->output.tensor)->rank; k++) {
        const struct operand_dim *map = &layer_op->output.dims[k];
        struct interval wanted = box->dims[k];
        if (map->dim < 0)
            continue;
        uint64_t inner = map->inner >= 0 ? layer_op->dims[map->inner].size : 1;
        if (map->inner >= 0 && layer_op->dims[map->dim].size == 1)
            share[map->inner] = wanted;
        else
            share[map->dim] = (struct interval){wanted.low / inner, (wanted.high + inner - 1) / inner};
    }
}

static bool fuse_empty(const struct interval *share, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++)
        if (share[k].low >= share[k].high)
            return true;
    return false;
}

/* The smallest box around two; an empty one adds nothing. */
static void fuse_hull(struct box *sum, const struct box *other, uint32_t rank)
{
    if (layout_elements(other, rank) == 0)
        return;
    bool first = layout_elements(sum, rank) == 0;
    for (uint32_t k = 0; k < rank; k++) {
        if (first)
            sum->combs[k] = other->combs[k];
        else if (memcmp(&sum->combs[k], &other->combs[k], sizeof sum->combs[k]) != 0)
            sum->combs[k] = (struct comb){0}; /* what the two span */
        if (first || other->dims[k].low < sum->dims[k].low)
            sum->dims[k].low = other->dims[k].low;
        if (first || other->dims[k].high > sum->dims[k].high)
            sum->dims[k].high = other->dims[k].high;
    }
}

/* Grows one member's tile of one round backwards, from what the block gives to what it reads. `need`:
 * scratch, per tensor of the model. */
static void fuse_grow(struct derivation *d, const struct fuse_block *block, const struct plan_stage *grid,
                      uint32_t round, uint32_t member, struct box *need)
{
    const struct model *model = d->plan->model;
    struct assignment *assignments = &block->assignments[round * block->count];
    uint32_t tile = round * d->member_count + member;
    struct coordinates at = layout_coordinates(d->stage, member);
    for (uint32_t e = 0; e < block->entry_count; e++)
        need[block->entries[e]] = (struct box){0};
    for (uint32_t i = 0; i < block->count; i++)
        need[model->operators.at[block->operators[i]].output.tensor] = (struct box){0};
    for (uint32_t i = block->count; i-- > 0;) {
        const struct layer_op *layer_op = &model->operators.at[block->operators[i]];
        struct interval *share = &assignments[i].shares[member * OPERATOR_DIMS];
        if (i + 1 == block->count && tile < fuse_tiles(grid)) {
            struct assignment own = assign_operator(grid, model, layer_op);
            for (uint32_t k = 0; k < layer_op->dim_count; k++)
                share[k] = assign_share(grid, layer_op, &own, k, layout_coordinates(grid, tile));
        } else {
            fuse_invert(d, layer_op, &need[layer_op->output.tensor], share);
        }
        if (fuse_empty(share, layer_op->dim_count))
            for (uint32_t k = 0; k < layer_op->dim_count; k++)
                share[k] = (struct interval){0, 0};
        for (uint32_t k = 0; k < layer_op->operand_count; k++) {
            struct box box =
                assign_read(d->stage, model, layer_op, &assignments[i], &layer_op->operands[k], at);
            uint32_t tensor = d->same_as[layer_op->operands[k].tensor];
            if (state_tensor(d, tensor)->role != TENSOR_PARAMETER)
                fuse_hull(&need[tensor], &box, state_tensor(d, tensor)->rank);
        }
    }
    for (uint32_t e = 0; e < block->entry_count; e++)
        block->entry_boxes[round * block->entry_count + e][member] = need[block->entries[e]];
}

/* Which iteration dimension an axis of the stage counts as splitting: the one of its own grid axis; where
 * tiles are dealt, that of the first. */
static void fuse_split(const struct derivation *d, const struct fuse_block *block,
                       const struct plan_stage *grid, uint32_t i, struct assignment *assignment)
{
    const struct model *model = d->plan->model;
    struct assignment own = assign_operator(grid, model, &model->operators.at[block->operators[i]]);
    *assignment = own;
    for (uint32_t a = 0; a < PLAN_AXES && d->stage->tile_axis_count; a++)
        assignment->split[a] = a < d->stage->axis_count ? own.split[0] : (int8_t)-1;
    assignment->shares = ARENA_ARRAY(d->arena, struct interval, (size_t)d->member_count * OPERATOR_DIMS);
}

/* Of an operator's points in all tiles, the part that the undivided operator has. */
static void fuse_useful(const struct derivation *d, const struct fuse_block *block, uint32_t i)
{
    const struct layer_op *layer_op = &d->plan->model->operators.at[block->operators[i]];
    double points = 0;
    for (uint32_t r = 0; r < block->rounds; r++)
        for (uint32_t m = 0; m < d->member_count; m++)
            points += assign_points(d->stage, layer_op, &block->assignments[r * block->count + i],
                                    layout_coordinates(d->stage, m));
    for (uint32_t r = 0; r < block->rounds; r++)
        block->assignments[r * block->count + i].useful = points > 0 ? model_points(layer_op) / points : 1;
}

/* A tile may cut neither what an operator mixes nor what it takes statistics over. */
static bool fuse_check_cuts(const struct derivation *d, const struct fuse_block *block, struct report *report)
{
    for (uint32_t i = 0; i < block->count; i++) {
        const struct layer_op *layer_op = &d->plan->model->operators.at[block->operators[i]];
        bool statistics = !layer_op->statistics_local || d->plan->training;
        for (uint32_t n = 0; n < block->rounds * d->member_count * layer_op->dim_count; n++) {
            uint32_t k = n % layer_op->dim_count, place = n / layer_op->dim_count;
            const struct assignment *assignment =
                &block->assignments[place / d->member_count * block->count + i];
            struct interval share = assignment->shares[place % d->member_count * OPERATOR_DIMS + k];
            if (share.low >= share.high || share.high - share.low == layer_op->dims[k].size)
                continue;
            const char *name = names_text(d->plan->model->names, layer_op->dims[k].names[0]);
            if (layer_op->dims[k].opaque)
                return report_error(report, block->where->place,
                                    "'%s' cannot be cut along '%s' by the tiles of a fused block",
                                    fuse_layer_name(d, block->operators[i]), name);
            if (statistics && layer_op->normalised >> k & 1)
                return report_error(
                    report, block->where->place,
                    "'%s' takes statistics over '%s', of which tiles of a fused block overlap%s",
                    fuse_layer_name(d, block->operators[i]), name,
                    layer_op->statistics_local ? ": in training it cannot be fused" : "");
        }
    }
    return true;
}

static void fuse_entries(struct derivation *d, struct fuse_block *block)
{
    const struct model *model = d->plan->model;
    VECTOR(uint32_t) entries = {0};
    for (uint32_t i = 0; i < block->count; i++) {
        const struct layer_op *layer_op = &model->operators.at[block->operators[i]];
        for (uint32_t k = 0; k < layer_op->operand_count; k++) {
            uint32_t tensor = d->same_as[layer_op->operands[k].tensor], e = 0;
            if (state_tensor(d, tensor)->role == TENSOR_PARAMETER || fuse_inside(d, block, tensor))
                continue;
            while (e < entries.count && entries.at[e] != tensor)
                e++;
            if (e == entries.count)
                VECTOR_PUSH(&entries, tensor);
        }
    }
    block->entry_count = entries.count;
    block->entries = arena_copy(d->arena, entries.at, entries.count * sizeof(uint32_t));
    VECTOR_FREE(&entries);
}

/* The layout that an entry is wanted in: split where all its readers split it alike. */
static struct layout fuse_entry_layout(const struct derivation *d, const struct fuse_block *block,
                                       uint32_t tensor)
{
    const struct model *model = d->plan->model;
    struct layout layout = {.late = 0};
    bool first = true;
    for (uint32_t i = 0; i < block->count; i++) {
        const struct layer_op *layer_op = &model->operators.at[block->operators[i]];
        for (uint32_t k = 0; k < layer_op->operand_count; k++) {
            if (d->same_as[layer_op->operands[k].tensor] != tensor)
                continue;
            struct layout other = assign_layout(d->stage, model, layer_op, &block->assignments[i],
                                                &layer_op->operands[k], false);
            for (uint32_t a = 0; a < d->stage->axis_count && !first; a++)
                if (other.place[a] != layout.place[a] || other.dim[a] != layout.dim[a])
                    other.place[a] = other.dim[a] = 0;
            layout = other;
            first = false;
        }
    }
    return layout;
}

/* The operators of the block's units that run. */
static void fuse_operators(struct derivation *d, struct fuse_block *block)
{
    const struct model *model = d->plan->model;
    block->operators = ARENA_ARRAY(d->arena, uint32_t, model->operators.count);
    for (uint32_t o = 0; o < model->operators.count; o++)
        if (fuse_has_unit(block, model->layers.at[model->operators.at[o].layer].unit) &&
            (d->plan->training || !model->operators.at[o].training_only))
            block->operators[block->count++] = o;
}

static void fuse_tile_all(struct derivation *d, struct fuse_block *block, const struct plan_stage *grid)
{
    block->assignments = ARENA_ARRAY(d->arena, struct assignment, (size_t)block->rounds * block->count);
    block->entry_boxes = ARENA_ARRAY(d->arena, struct box *, (size_t)block->rounds * block->entry_count);
    block->entry_layouts = ARENA_ARRAY(d->arena, struct layout, block->entry_count);
    struct box *need = ARENA_ARRAY(d->arena, struct box, d->plan->model->tensors.count);
    for (uint32_t r = 0; r < block->rounds; r++) {
        for (uint32_t i = 0; i < block->count; i++)
            fuse_split(d, block, grid, i, &block->assignments[r * block->count + i]);
        for (uint32_t e = 0; e < block->entry_count; e++)
            block->entry_boxes[r * block->entry_count + e] =
                ARENA_ARRAY(d->arena, struct box, d->member_count);
        for (uint32_t m = 0; m < d->member_count; m++)
            fuse_grow(d, block, grid, r, m, need);
    }
    for (uint32_t i = 0; i < block->count; i++)
        fuse_useful(d, block, i);
    for (uint32_t e = 0; e < block->entry_count; e++)
        block->entry_layouts[e] = fuse_entry_layout(d, block, block->entries[e]);
}

bool fuse_prepare(struct derivation *d, struct report *report)
{
    bool good = true;
    d->fused = ARENA_ARRAY(d->arena, struct fuse_block, d->stage->fused_count);
    for (uint32_t i = 0; i < d->stage->fused_count; i++) {
        struct fuse_block *block = &d->fused[i];
        struct plan_stage grid = fuse_grid(d->stage);
        *block = (struct fuse_block){.where = &d->stage->fused[i],
                                     .first_unit = d->stage->fused[i].first_unit,
                                     .unit_count = d->stage->fused[i].unit_count,
                                     .dealt = d->stage->tile_axis_count > 0};
        block->rounds = (fuse_tiles(&grid) + d->member_count - 1) / d->member_count;
        fuse_operators(d, block);
        if (!block->count) {
            good = report_error(report, block->where->place, "there is no work to fuse in these layers");
            continue;
        }
        if (!fuse_check_chain(d, block, report) || !fuse_check_dimensions(d, block, &grid, report)) {
            good = false;
            continue;
        }
        fuse_entries(d, block);
        fuse_tile_all(d, block, &grid);
        good = fuse_check_cuts(d, block, report) && good;
    }
    return good;
}
