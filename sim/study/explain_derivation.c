#include "study/explain_derivation.h"

#include "plan/fuse.h"
#include "plan/memory.h"
#include "plan/owners.h"
#include "plan/state.h"
#include "study/explain_cost.h"
#include "study/explain_einsum.h"
#include "study/explain_layer.h"
#include "study/explain_reason.h"

#include <string.h>

enum { TEXT = 64, LAYOUT = 256, ROWS = 16 };

static const char *explain_derivation_name(const struct derivation *d, uint32_t name)
{
    return names_text(d->plan->model->names, name);
}

static const struct operand *explain_derivation_operand(const struct layer_op *layer_op, uint32_t index)
{
    return index < layer_op->operand_count ? &layer_op->operands[index] : &layer_op->output;
}

/* "Y is conv1, X is image, W is conv1.weight" */
static void explain_derivation_tensors(const struct derivation *d, const struct layer_op *layer_op, FILE *out)
{
    char letter[EXPLAIN_LETTER];
    fprintf(out, "      ");
    for (uint32_t k = 0; k <= layer_op->operand_count; k++) {
        uint32_t i = k ? k - 1 : layer_op->operand_count;
        const struct operand *operand = explain_derivation_operand(layer_op, i);
        fprintf(out, "%s%s is %s%s", k ? ", " : "",
                explain_einsum_letter(d->plan->model, layer_op, i, letter),
                explain_derivation_name(d, state_tensor(d, operand->tensor)->name),
                operand->feedback ? " of the step before" : "");
    }
    fprintf(out, "\n");
}

/* One line per dimension: size, other names, where it is an index, and what follows. */
static void explain_derivation_dimension(const struct derivation *d, const struct layer_op *layer_op,
                                         uint32_t dim, FILE *out)
{
    const struct model *model = d->plan->model;
    const struct iteration_dim *at = &layer_op->dims[dim];
    char letter[EXPLAIN_LETTER];
    const char *between = " indexes ";
    bool output = explain_einsum_has(model, &layer_op->output, (int)dim);
    fprintf(out, "      %-9s %9llu  ", explain_derivation_name(d, at->names[0]),
            (unsigned long long)at->size);
    for (uint32_t n = 1; n < DIM_NAMES; n++)
        if (at->names[n])
            fprintf(out, " also `%s`;", explain_derivation_name(d, at->names[n]));
    for (uint32_t i = 0; i <= layer_op->operand_count; i++)
        if (explain_einsum_has(model, explain_derivation_operand(layer_op, i), (int)dim)) {
            fprintf(out, "%s%s", between, explain_einsum_letter(model, layer_op, i, letter));
            between = ", ";
        }
    if (layer_op->normalised >> dim & 1)
        fprintf(out, "; statistics are taken over it");
    else if (!output)
        fprintf(out, "; contracted: Y lacks it, so shares of it give partial sums");
    if (layer_op->rereads == dim + 1)
        fprintf(out, "; each of it reads by itself what has no such dimension");
    fprintf(out, "%s%s\n", at->opaque ? "; opaque: its entries are mixed, it is not split" : "",
            at->sequential ? "; its steps follow one another, it is not split" : "");
}

/* "X[b] = b, X[y] = y·2+ky-1": only where an index is more than a dimension's name. */
static void explain_derivation_maps(const struct derivation *d, const struct layer_op *layer_op, FILE *out)
{
    const struct model *model = d->plan->model;
    char letter[EXPLAIN_LETTER];
    fprintf(out, "    index maps\n");
    for (uint32_t i = 0; i <= layer_op->operand_count; i++) {
        const struct operand *operand = explain_derivation_operand(layer_op, i);
        const struct tensor *tensor = state_tensor(d, operand->tensor);
        fprintf(out, "      %-3s ", explain_einsum_letter(model, layer_op, i, letter));
        for (uint32_t k = 0; k < tensor->rank; k++) {
            fprintf(out, "%s%s = ", k ? ", " : "", explain_derivation_name(d, tensor->dims[k].label));
            explain_einsum_index(model, layer_op, operand, k, out);
        }
        fprintf(out, "\n");
    }
}

/* Which of an axis's labels an operator's dimension answers to. */
static uint32_t explain_derivation_label(const uint32_t *labels, const struct iteration_dim *dim)
{
    for (uint32_t l = 0; l < PLAN_LABELS && labels[l]; l++)
        for (uint32_t n = 0; n < DIM_NAMES; n++)
            if (dim->names[n] == labels[l])
                return labels[l];
    return dim->names[0];
}

/* An axis of the operator's mesh that splits dimension `split`, or none. */
static void explain_derivation_axis(const struct derivation *d, uint32_t index, const struct plan_axis *axis,
                                    int split, FILE *out)
{
    const struct layer_op *layer_op = state_operator(d, index);
    const uint32_t *labels = layer_op->attends && axis->within[0] ? axis->within : axis->labels;
    fprintf(out, "      %s (%u) splits ", explain_derivation_name(d, axis->name), axis->size);
    for (uint32_t l = 0; l < PLAN_LABELS && labels[l]; l++)
        fprintf(out, "%s`%s`", l ? ", else " : "", explain_derivation_name(d, labels[l]));
    if (split == ASSIGN_ONE)
        fprintf(out, ": none of these is here to split, so its first device does all");
    else if (split < 0)
        fprintf(out, ": none of these is here to split, so each of its devices does the same");
    else
        fprintf(out, ": here that is `%s`, %llu elements in %u shares%s",
                explain_derivation_name(d, layer_op->dims[split].names[0]),
                (unsigned long long)layer_op->dims[split].size, axis->size,
                axis->owned     ? ", which is whose is given"
                : axis->weights ? " by weight"
                                : "");
    if (split >= 0 &&
        explain_derivation_label(labels, &layer_op->dims[split]) != layer_op->dims[split].names[0])
        fprintf(out, " (it is also called `%s`)",
                explain_derivation_name(d, explain_derivation_label(labels, &layer_op->dims[split])));
    fprintf(out, "\n");
}

static void explain_derivation_axes(const struct derivation *d, uint32_t index, FILE *out)
{
    const struct assignment *assignment = &d->operators.at[index].assignment;
    const struct plan_mesh *mesh = assign_mesh(d->stage, d->plan->model, state_operator(d, index));
    for (uint32_t a = 0; !mesh && a < d->stage->axis_count; a++)
        explain_derivation_axis(d, index, &d->stage->axes[a], assignment->split[a], out);
    for (uint32_t a = 0; mesh && a < mesh->axis_count; a++) {
        uint32_t piece = 0;
        while (!(mesh->parts[a] >> piece & 1))
            piece++;
        explain_derivation_axis(d, index, &mesh->axes[a], assignment->split[piece], out);
    }
}

/* "y 0..55 x 112..223; 925 MFLOP forward in 102 ms": dimensions that are not whole. */
static void explain_derivation_device(const struct derivation *d, uint32_t index, uint32_t member, FILE *out)
{
    const struct layer_op *layer_op = state_operator(d, index);
    struct work work = work_forward(d, index, member);
    char text[TEXT], owned[LAYOUT];
    bool whole = true, idle = false;
    for (uint32_t k = 0; k < layer_op->dim_count; k++) {
        struct interval share = assign_share(d->stage, layer_op, &d->operators.at[index].assignment, k,
                                             layout_coordinates(d->stage, member));
        idle |= share.low >= share.high;
        if (idle || (share.low == 0 && share.high == layer_op->dims[k].size))
            continue;
        const struct owners *owners = layer_op->dims[k].owners;
        fprintf(out, "%s%s ", whole ? "" : " ", explain_derivation_name(d, layer_op->dims[k].names[0]));
        if (owners)
            fprintf(out, "%s", owners_describe(owners, share, owned, LAYOUT));
        else
            fprintf(out, "%llu..%llu", (unsigned long long)share.low, (unsigned long long)share.high - 1);
        whole = false;
    }
    if (idle) {
        fprintf(out, "nothing\n");
        return;
    }
    fprintf(out, "%s: %s forward", whole ? "all" : "", unit_format(work.flops, UNIT_FLOP, text, TEXT));
    fprintf(out, " in %s\n", unit_format(work.seconds, UNIT_SECONDS, text, TEXT));
}

/* The shares of the iteration space, device by device. */
static void explain_derivation_devices(const struct derivation *d, uint32_t index, FILE *out)
{
    const struct assignment *assignment = &d->operators.at[index].assignment;
    uint32_t rows = d->member_count < ROWS ? d->member_count : ROWS;
    bool same = !assignment->shares;
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        same = same && assignment->split[a] == ASSIGN_ALL;
    for (uint32_t m = 0; m < (same ? 1 : rows); m++) {
        uint32_t device = d->stage->devices.at[m];
        fprintf(out, "      %-12s ",
                same ? "each device"
                     : explain_derivation_name(d, d->plan->platform->devices.at[device].name));
        explain_derivation_device(d, index, m, out);
    }
    if (!same && rows < d->member_count)
        fprintf(out, "      ... and %u more devices\n", d->member_count - rows);
}

static const char *explain_derivation_layout(const struct derivation *d, uint32_t tensor,
                                             const struct layout *layout, char text[LAYOUT])
{
    return layout_describe(d->stage, state_tensor(d, tensor), layout, d->plan->model->names, text, LAYOUT);
}

/* One communication: its reason, then layouts and cost. */
static void explain_derivation_step(struct explain_stage *stage, const struct action *action, FILE *out)
{
    const struct derivation *d = stage->d;
    char before[LAYOUT], after[LAYOUT];
    fprintf(out, "        ");
    explain_reason_text(d, action, 1, action->message_count, explain_stage_bytes(d, action), out);
    fprintf(out, "\n          ");
    if (action->kind == ACTION_COLLECTIVE && action->reason != REASON_STATISTICS)
        fprintf(out, "%s becomes %s; ", explain_derivation_layout(d, action->tensor, &action->before, before),
                explain_derivation_layout(d, action->tensor, &action->after, after));
    explain_cost_text(stage, action, out);
    fprintf(out, "\n");
}

/* The conversion sequence of one tensor: what an operator asked for; all of its tiles. Returns its length. */
static uint32_t explain_derivation_steps(struct explain_stage *stage, uint32_t index, bool backward,
                                         uint32_t tensor, bool statistics, FILE *out)
{
    const struct derivation *d = stage->d;
    const struct explain_asked *asked = &stage->asked[backward];
    uint32_t count = 0;
    for (uint32_t o = index; o != MODEL_NONE; o = stage->next_round[o])
        for (uint32_t k = asked->first[o]; k < asked->first[o + 1]; k++) {
            const struct action *action = &(backward ? d->backward.at : d->forward.at)[asked->actions[k]];
            if (action->tensor != tensor || (action->reason == REASON_STATISTICS) != statistics)
                continue;
            explain_derivation_step(stage, action, out);
            count++;
        }
    return count;
}

/* The same of the panels of weights, or of their sums, in the backward pass. */
static void explain_derivation_panels(struct explain_stage *stage, uint32_t index, uint32_t tensor,
                                      int collective, FILE *out)
{
    const struct explain_asked *asked = &stage->asked[true];
    for (uint32_t k = asked->first[index]; k < asked->first[index + 1]; k++) {
        const struct action *action = &stage->d->backward.at[asked->actions[k]];
        if (action->tensor == tensor && action->collective == collective && action->streamed)
            explain_derivation_step(stage, action, out);
    }
}

/* An operand before and in the forward pass. */
static void explain_derivation_input(struct explain_stage *stage, uint32_t index, uint32_t i, FILE *out)
{
    const struct derivation *d = stage->d;
    const struct layer_op *layer_op = state_operator(d, index);
    uint32_t tensor = d->same_as[layer_op->operands[i].tensor], form = d->first_form[tensor];
    struct layout needed = explain_layer_layout(stage, index, i);
    char letter[EXPLAIN_LETTER], text[LAYOUT];
    const char *name = explain_einsum_letter(d->plan->model, layer_op, i, letter);
    if (stage->parameter[tensor] != MODEL_NONE) {
        fprintf(out, "      %s is kept as %s\n", name, explain_derivation_layout(d, tensor, &needed, text));
        explain_derivation_steps(stage, index, false, tensor, false, out);
        return;
    }
    fprintf(out, "      %s is needed as %s", name, explain_derivation_layout(d, tensor, &needed, text));
    if (form != MODEL_NONE)
        fprintf(out, "; it is there as %s",
                explain_derivation_layout(d, tensor, &d->forms.at[form].layout, text));
    fprintf(out, "\n");
    if (explain_derivation_steps(stage, index, false, tensor, false, out))
        return;
    bool same = form != MODEL_NONE && layout_equal(&d->forms.at[form].layout, &needed, d->stage->axis_count);
    fprintf(out, "        %s\n",
            same ? "nothing to convert"
                 : "nothing is sent: a slice of what is there, or converted for an operator before");
}

static void explain_derivation_forward(struct explain_stage *stage, uint32_t index, FILE *out)
{
    const struct derivation *d = stage->d;
    const struct layer_op *layer_op = state_operator(d, index);
    char text[LAYOUT];
    fprintf(out, "    forward\n");
    for (uint32_t i = 0; i < layer_op->operand_count; i++)
        explain_derivation_input(stage, index, i, out);
    explain_derivation_steps(stage, index, false, layer_op->output.tensor, true, out);
    struct layout given = explain_layer_layout(stage, index, layer_op->operand_count);
    fprintf(out, "      Y is given as %s",
            explain_derivation_layout(d, layer_op->output.tensor, &given, text));
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        if (given.place[a] == PLACE_PARTIAL)
            fprintf(out, "; partial over %s, for `%s` is contracted",
                    explain_derivation_name(d, d->stage->axes[a].name),
                    explain_derivation_name(
                        d, layer_op->dims[d->operators.at[index].assignment.split[a]].names[0]));
    fprintf(out, "\n");
}

/* The gradient that one operand gets. */
static void explain_derivation_given(const struct explain_stage *stage, uint32_t index, uint32_t i, FILE *out)
{
    const struct derivation *d = stage->d;
    const struct layer_op *layer_op = state_operator(d, index);
    const struct assignment *assignment = &d->operators.at[index].assignment;
    const struct operand *operand = &layer_op->operands[i];
    struct layout layout = assign_layout(d->stage, d->plan->model, layer_op, assignment, operand, true);
    char text[LAYOUT];
    if (operand->added)
        layout = layout_reduced(layout);
    fprintf(out, "      ");
    explain_einsum_gradient(d->plan->model, layer_op, i, out);
    fprintf(out, ", given as %s", explain_derivation_layout(d, operand->tensor, &layout, text));
    for (uint32_t a = 0; a < d->stage->axis_count; a++)
        if (layout.place[a] == PLACE_PARTIAL)
            fprintf(out, "; partial over %s, for `%s` is split and it lacks that",
                    explain_derivation_name(d, d->stage->axes[a].name),
                    explain_derivation_name(d, layer_op->dims[assignment->split[a]].names[0]));
    fprintf(out, "\n");
}

static void explain_derivation_input_gradient(struct explain_stage *stage, uint32_t index, FILE *out)
{
    const struct derivation *d = stage->d;
    const struct layer_op *layer_op = state_operator(d, index);
    struct layout required = layout_reduced(explain_layer_layout(stage, index, layer_op->operand_count));
    char text[LAYOUT];
    fprintf(out, "    input gradient\n      dY is needed as %s: as Y was computed, sums complete\n",
            explain_derivation_layout(d, layer_op->output.tensor, &required, text));
    if (!explain_derivation_steps(stage, index, true, layer_op->output.tensor, false, out))
        fprintf(out, "        nothing to convert\n");
    explain_derivation_steps(stage, index, true, layer_op->output.tensor, true, out);
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        uint32_t tensor = layer_op->operands[i].tensor;
        if (tensor != layer_op->output.tensor && stage->parameter[tensor] == MODEL_NONE)
            explain_derivation_steps(stage, index, true, d->same_as[tensor], false, out);
        else if (stage->parameter[tensor] != MODEL_NONE)
            explain_derivation_panels(stage, index, tensor, ALL_GATHER, out);
        if (layer_op->operands[i].gradient && d->needs_gradient[tensor] &&
            stage->parameter[tensor] == MODEL_NONE)
            explain_derivation_given(stage, index, i, out);
    }
}

static void explain_derivation_weight_gradient(struct explain_stage *stage, uint32_t index, FILE *out)
{
    const struct derivation *d = stage->d;
    const struct layer_op *layer_op = state_operator(d, index);
    bool title = false;
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        uint32_t parameter = stage->parameter[layer_op->operands[i].tensor];
        if (parameter == MODEL_NONE)
            continue;
        fprintf(out, "%s      ", title ? "" : "    weight gradient\n");
        title = true;
        explain_einsum_gradient(d->plan->model, layer_op, i, out);
        bool panels = d->operators.at[index].panels >> i & 1;
        if (d->parameters.at[parameter].partial_axes || panels)
            fprintf(out, "\n");
        else
            fprintf(out, ": complete on each device\n");
        if (panels)
            explain_derivation_panels(stage, index, layer_op->operands[i].tensor, REDUCE_SCATTER, out);
        if (d->parameters.at[parameter].layer_op == index)
            explain_reason_parameter(d, parameter, "        ", out);
    }
}

static void explain_derivation_parameter(const struct explain_stage *stage, uint32_t parameter, FILE *out)
{
    const struct derivation *d = stage->d;
    double elements = memory_parameter(d, parameter, 0);
    char text[3][TEXT];
    fprintf(out, "      %s: %s of weights",
            explain_derivation_name(d, state_tensor(d, d->parameters.at[parameter].tensor)->name),
            unit_format(elements * precision_bytes(d->plan->weight_precision), UNIT_BYTES, text[0], TEXT));
    if (d->plan->training)
        fprintf(out, ", %s of gradients, %s of optimizer states",
                unit_format(elements * memory_gradient_bytes(d->plan), UNIT_BYTES, text[1], TEXT),
                unit_format(memory_state(d, parameter, 0), UNIT_BYTES, text[2], TEXT));
    fprintf(out, "%s\n", d->parameters.at[parameter].shard_axes ? " (in use; shares are kept)" : "");
}

/* Whether an operator of the layer reads or makes a tensor. */
static bool explain_derivation_touches(const struct model *model, const struct layer *layer, uint32_t tensor)
{
    for (uint32_t o = layer->first_operator; o < layer->first_operator + layer->operator_count; o++)
        for (uint32_t i = 0; i <= model->operators.at[o].operand_count; i++)
            if (explain_derivation_operand(&model->operators.at[o], i)->tensor == tensor)
                return true;
    return false;
}

/* What the first device keeps for this layer. */
static void explain_derivation_memory(const struct explain_stage *stage, uint32_t layer, FILE *out)
{
    const struct derivation *d = stage->d;
    const struct model *model = d->plan->model;
    char text[TEXT], layout[LAYOUT];
    fprintf(out, "  memory of a device\n");
    for (uint32_t p = 0; p < d->parameters.count; p++)
        if (explain_derivation_touches(model, &model->layers.at[layer], d->parameters.at[p].tensor))
            explain_derivation_parameter(stage, p, out);
    for (uint32_t i = 0; i < d->saved.count; i++) {
        const struct stage_saved *saved = &d->saved.at[i];
        const struct tensor *tensor = state_tensor(d, saved->tensor);
        if (saved->unit != model->layers.at[layer].unit || tensor->internal ||
            !explain_derivation_touches(model, &model->layers.at[layer], saved->tensor))
            continue;
        struct box box = derive_box(d, saved->tensor, saved->form, 0);
        double each = saved->extra > 0 ? saved->extra : derive_element_bytes(d->plan, tensor);
        fprintf(out, "      %s%s as %s: %s, %s\n", explain_derivation_name(d, tensor->name),
                saved->extra > 0 ? " (what its backward pass needs besides)" : "",
                explain_derivation_layout(d, saved->tensor, &d->forms.at[saved->form].layout, layout),
                unit_format(layout_volume(tensor, &box) * each, UNIT_BYTES, text, TEXT),
                !saved->kept        ? "made again in the backward pass"
                : saved->first_kept ? "kept for the backward pass"
                                    : "kept for the backward pass, counted where it is kept first");
    }
    explain_layer_kept(stage, layer, "      ", out);
}

static void explain_derivation_operator(struct explain_stage *stage, uint32_t index, FILE *out)
{
    const struct derivation *d = stage->d;
    const struct layer_op *layer_op = state_operator(d, index);
    fprintf(out, "\n  ");
    explain_einsum_text(d->plan->model, layer_op, out);
    fprintf(out, "\n");
    explain_derivation_tensors(d, layer_op, out);
    fprintf(out, "    dimensions\n");
    for (uint32_t k = 0; k < layer_op->dim_count; k++)
        explain_derivation_dimension(d, layer_op, k, out);
    explain_derivation_maps(d, layer_op, out);
    fprintf(out, "    split: ");
    explain_layer_split(d, index, out);
    fprintf(out, "\n");
    const struct fuse_block *block = d->operators.at[index].fused;
    if (block)
        fprintf(
            out,
            "      each tile is grown backwards from what the block gives: `%s` computes what later layers "
            "need of it\n",
            explain_derivation_name(d, d->plan->model->layers.at[layer_op->layer].name));
    if (!block || !block->dealt)
        explain_derivation_axes(d, index, out);
    for (uint32_t o = index; o != MODEL_NONE && layer_op->kind != OPERATOR_VIEW; o = stage->next_round[o]) {
        if (stage->next_round[index] != MODEL_NONE)
            fprintf(out, "     tile %u of each device\n",
                    d->operators.at[o].tile - d->operators.at[index].tile + 1);
        explain_derivation_devices(d, o, out);
    }
    explain_derivation_forward(stage, index, out);
    if (d->plan->training && d->needs_gradient[layer_op->output.tensor]) {
        explain_derivation_input_gradient(stage, index, out);
        explain_derivation_weight_gradient(stage, index, out);
    }
}

void explain_derivation_text(struct explain_stage *stage, uint32_t layer, FILE *out)
{
    uint32_t first, end = explain_stage_operators(stage, layer, &first);
    fprintf(out, "  ");
    explain_layer_title(stage->d->plan->model, layer, 0, first != MODEL_NONE, out);
    for (uint32_t i = first; i < end; i++)
        explain_derivation_operator(stage, i, out);
    if (first != MODEL_NONE) {
        fprintf(out, "\n");
        explain_derivation_memory(stage, layer, out);
    }
}
