#include "study/explain_layer.h"

#include "plan/fuse.h"
#include "plan/generate.h"
#include "plan/mesh.h"
#include "plan/state.h"
#include "study/explain_einsum.h"
#include "study/explain_reason.h"

#include <string.h>

enum { TEXT = 64, LAYOUT = 256 };

void explain_layer_shape(const struct model *model, const struct tensor *tensor, FILE *out)
{
    bool first = true;
    for (uint32_t d = 0; d < tensor->rank; d++) {
        if (strcmp(names_text(model->names, tensor->dims[d].label), "b") == 0)
            continue;
        fprintf(out, "%s%llu", first ? "" : " x ", (unsigned long long)tensor->dims[d].size);
        first = false;
    }
    if (first)
        fprintf(out, "1");
}

void explain_layer_title(const struct model *model, uint32_t layer, size_t prefix, bool runs, FILE *out)
{
    const struct layer *l = &model->layers.at[layer];
    const char *name = names_text(model->names, l->name);
    if (prefix && strlen(name) > prefix + 1 && name[prefix] == '.')
        name += prefix + 1;
    uint64_t parameters = model_layer_parameters(model, layer);
    double macs = model_layer_macs(model, layer) / (double)model->batch;
    fprintf(out, "%s (%s) -> ", name, names_text(model->names, l->kind));
    explain_layer_shape(model, &model->tensors.at[l->output], out);
    if (parameters)
        fprintf(out, ", %llu parameters", (unsigned long long)parameters);
    if (macs > 0)
        fprintf(out, ", %.0f MACs per %s", macs, model->sample);
    fprintf(out, "%s\n", runs || !l->operator_count ? "" : ", only in training");
}

void explain_layer_range(double least, double most, enum unit unit, FILE *out)
{
    char text[TEXT];
    if (most > least * (1 + 1e-12)) {
        const char *low = unit_format(least, unit, text, TEXT);
        fprintf(out, "%s to ", low);
    }
    fprintf(out, "%s", unit_format(most, unit, text, TEXT));
}

/* "y (2), x (3); fused: …": of tiles that are dealt to the devices. */
static void explain_layer_dealt(const struct derivation *d, FILE *out)
{
    for (uint32_t a = 0; a < d->stage->tile_axis_count; a++)
        fprintf(out, "%s%s (%u)", a ? ", " : "",
                names_text(d->plan->model->names, d->stage->tile_axes[a].name), d->stage->tile_axes[a].size);
    fprintf(out, "; fused: tiles overlap, dealt to the devices in turn");
}

void explain_layer_split(const struct derivation *d, uint32_t index, FILE *out)
{
    const struct layer_op *layer_op = state_operator(d, index);
    const struct names *names = d->plan->model->names;
    const struct stage_operator *so = &d->operators.at[index];
    const char *between = "";
    char text[LAYOUT];
    if (so->fused && so->fused->dealt) {
        explain_layer_dealt(d, out);
        return;
    }
    for (uint32_t a = 0, done = 0; a < d->stage->axis_count; a++) {
        int split = so->assignment.split[a];
        uint32_t together = state_together(d, &so->assignment, a);
        const char *axis = mesh_name(d->stage, together, names, text, sizeof text);
        if (done >> a & 1 || split == ASSIGN_ALL)
            continue;
        done |= together;
        if (split >= 0)
            fprintf(out, "%s%s over %s (%u)", between, names_text(names, layer_op->dims[split].names[0]),
                    axis, layout_places(d->stage, together));
        else
            fprintf(out, "%sthe first device of %s alone", between, axis);
        between = ", ";
    }
    if (!*between)
        fprintf(out, d->member_count > 1 ? "nothing: every device does all of it" : "nothing");
    if (so->fused)
        fprintf(out, "; fused: tiles overlap");
}

struct layout explain_layer_layout(const struct explain_stage *stage, uint32_t index, uint32_t operand)
{
    const struct derivation *d = stage->d;
    const struct layer_op *layer_op = state_operator(d, index);
    const struct assignment *assignment = &d->operators.at[index].assignment;
    bool output = operand == layer_op->operand_count;
    const struct operand *at = output ? &layer_op->output : &layer_op->operands[operand];
    uint32_t parameter = stage->parameter[at->tensor];
    if (parameter != MODEL_NONE)
        return d->parameters.at[parameter].layout;
    return assign_layout(d->stage, d->plan->model, layer_op, assignment, at, output);
}

/* "X tensor:P → tensor:R": where the tensor was made or came in another layout, both. */
static void explain_layer_operand(const struct explain_stage *stage, uint32_t index, uint32_t operand,
                                  FILE *out)
{
    const struct derivation *d = stage->d;
    const struct layer_op *layer_op = state_operator(d, index);
    bool output = operand == layer_op->operand_count;
    uint32_t tensor = output ? layer_op->output.tensor : layer_op->operands[operand].tensor;
    struct layout needed = explain_layer_layout(stage, index, operand);
    uint32_t form =
        output || stage->parameter[tensor] != MODEL_NONE ? MODEL_NONE : d->first_form[d->same_as[tensor]];
    char letter[EXPLAIN_LETTER], text[LAYOUT];
    const struct tensor *t = state_tensor(d, tensor);
    const struct names *names = d->plan->model->names;
    fprintf(out, "%s ", explain_einsum_letter(d->plan->model, layer_op, operand, letter));
    bool panels =
        !output && stage->parameter[tensor] != MODEL_NONE && d->operators.at[index].panels >> operand & 1;
    if (panels) { /* kept in shares of what it is multiplied as */
        fprintf(out, "%s → ", layout_describe(d->stage, t, &needed, names, text, sizeof text));
        needed = assign_layout(d->stage, d->plan->model, layer_op, &d->operators.at[index].assignment,
                               &layer_op->operands[operand], false);
    }
    if (form != MODEL_NONE && !layout_equal(&d->forms.at[form].layout, &needed, d->stage->axis_count))
        fprintf(out, "%s → ",
                layout_describe(d->stage, t, &d->forms.at[form].layout, names, text, sizeof text));
    fprintf(out, "%s", layout_describe(d->stage, t, &needed, names, text, sizeof text));
}

static void explain_layer_layouts(const struct explain_stage *stage, uint32_t index, FILE *out)
{
    const struct layer_op *layer_op = state_operator(stage->d, index);
    if (!stage->d->stage->axis_count)
        return;
    fprintf(out, "        layouts          ");
    for (uint32_t i = 0; i < layer_op->operand_count; i++) {
        fprintf(out, i ? ", " : "");
        explain_layer_operand(stage, index, i, out);
    }
    fprintf(out, " gives ");
    explain_layer_operand(stage, index, layer_op->operand_count, out);
    fprintf(out, "\n");
}

static bool explain_layer_same(const struct action *a, const struct action *b)
{
    return a->kind == b->kind && a->collective == b->collective && a->axes == b->axes &&
           a->tensor == b->tensor && a->reason == b->reason && a->because == b->because;
}

/* The letter of an action's tensor: of the gradient of the output, or of what the backward pass reads again.
 */
static void explain_layer_letter(const struct derivation *d, uint32_t index, const struct action *action,
                                 FILE *out)
{
    const struct layer_op *layer_op = state_operator(d, index);
    char letter[EXPLAIN_LETTER];
    bool saved = action->reason == REASON_SAVED, statistics = action->reason == REASON_STATISTICS;
    bool panels = action->streamed && d->operators.at[index].panels;
    saved |= panels;
    if (panels && action->collective == REDUCE_SCATTER)
        fputc('d', out);
    for (uint32_t i = 0; i < layer_op->operand_count; i++)
        if ((!action->backward || saved) && !statistics &&
            d->same_as[layer_op->operands[i].tensor] == action->tensor) {
            fprintf(out, "%s: ", explain_einsum_letter(d->plan->model, layer_op, i, letter));
            return;
        }
    fprintf(out, action->backward && !saved ? "dY: " : "Y: ");
}

/* Whether an action of the backward pass is there for the gradient of weights: their own panels' sums, and
 * the panels that they are made of. */
static bool explain_layer_of_weights(const struct explain_stage *stage, const struct action *action)
{
    bool weights = stage->parameter[action->tensor] != MODEL_NONE;
    return action->backward && action->streamed && stage->d->operators.at[action->layer_op].panels &&
           weights == (action->collective == REDUCE_SCATTER);
}

uint32_t explain_layer_communications(const struct explain_stage *stage, uint32_t index, bool backward,
                                      uint32_t tensor, const char *before, FILE *out)
{
    const struct derivation *d = stage->d;
    const struct explain_asked *asked = &stage->asked[backward];
    const struct action *actions = backward ? d->backward.at : d->forward.at;
    struct index_list list = {0};
    for (uint32_t o = index; o != MODEL_NONE; o = stage->next_round[o])
        for (uint32_t k = asked->first[o]; k < asked->first[o + 1]; k++)
            if (tensor == MODEL_NONE || actions[asked->actions[k]].tensor == tensor)
                VECTOR_PUSH(&list, asked->actions[k]);
    bool tiles = stage->next_round[index] != MODEL_NONE;
    uint32_t printed = 0;
    for (uint32_t i = 0; i < list.count; i++) {
        const struct action *action = &actions[list.at[i]];
        uint32_t times = 0, messages = 0, first = i;
        double bytes = 0;
        for (uint32_t k = 0; k < list.count; k++) {
            const struct action *other = &actions[list.at[k]];
            if (k != i && !(tiles && explain_layer_same(action, other)))
                continue;
            first = k < first ? k : first;
            times++;
            messages += other->message_count;
            bytes += explain_stage_bytes(d, other);
        }
        if (first < i)
            continue;
        bool weights = tensor == MODEL_NONE && explain_layer_of_weights(stage, action);
        fprintf(out, "%s", weights ? "        weight gradient  " : before);
        explain_layer_letter(d, index, action, out);
        explain_reason_text(d, action, times, messages, bytes, out);
        fprintf(out, "\n");
        printed++;
    }
    VECTOR_FREE(&list);
    return printed;
}

/* "12.5 %: ", where the operator's work is divided. */
static void explain_layer_part(const struct explain_shares *shares, const struct layer_op *layer_op,
                               FILE *out)
{
    double all = layer_op->flops_per_point * model_points(layer_op);
    if (layer_op->kind == OPERATOR_LOOKUP || all <= 0)
        return;
    double least = 100 * shares->least.forward / all, most = 100 * shares->most.forward / all;
    if (most > least * (1 + 1e-12))
        fprintf(out, "%.3g to ", least);
    fprintf(out, "%.3g %%: ", most);
}

static void explain_layer_flops(const struct explain_shares *shares, bool backward, FILE *out)
{
    explain_layer_range(shares->least.forward, shares->most.forward, UNIT_FLOP, out);
    fprintf(out, " forward");
    if (!backward)
        return;
    fprintf(out, ", ");
    explain_layer_range(shares->least.input, shares->most.input, UNIT_FLOP, out);
    fprintf(out, " input gradient");
    if (shares->most.weight <= 0)
        return;
    fprintf(out, ", ");
    explain_layer_range(shares->least.weight, shares->most.weight, UNIT_FLOP, out);
    fprintf(out, " weight gradient");
}

static void explain_layer_shares(const struct explain_stage *stage, uint32_t index, FILE *out)
{
    const struct derivation *d = stage->d;
    struct explain_shares shares = explain_stage_shares(stage, index);
    uint32_t rounds = explain_stage_rounds(stage, index);
    fprintf(out, "        %-16s ", shares.all ? "each device" : "the first device");
    if (d->member_count > 1)
        explain_layer_part(&shares, state_operator(d, index), out);
    explain_layer_flops(&shares,
                        d->plan->training && d->needs_gradient[state_operator(d, index)->output.tensor], out);
    if (shares.most.weights > 0) {
        fprintf(out, "; weights ");
        explain_layer_range(shares.least.weights, shares.most.weights, UNIT_BYTES, out);
    }
    fprintf(out, "; activations ");
    explain_layer_range(shares.least.inputs, shares.most.inputs, UNIT_BYTES, out);
    fprintf(out, " in, ");
    explain_layer_range(shares.least.output, shares.most.output, UNIT_BYTES, out);
    fprintf(out, " out");
    if (rounds > 1)
        fprintf(out, ", in %u tiles", rounds);
    fprintf(out, "\n");
}

/* How a parameter and its gradient are synchronised; said at the first operator that uses it. */
static void explain_layer_weights(const struct explain_stage *stage, uint32_t index, FILE *out)
{
    const struct derivation *d = stage->d;
    const struct layer_op *layer_op = state_operator(d, index);
    char letter[EXPLAIN_LETTER], before[TEXT];
    for (uint32_t i = 0; d->plan->training && i < layer_op->operand_count; i++) {
        uint32_t parameter = stage->parameter[layer_op->operands[i].tensor];
        if (parameter == MODEL_NONE || d->parameters.at[parameter].layer_op != index)
            continue;
        snprintf(before, sizeof before, "        weight gradient  d%s: ",
                 explain_einsum_letter(d->plan->model, layer_op, i, letter));
        explain_reason_parameter(d, parameter, before, out);
    }
}

static void explain_layer_operator(const struct explain_stage *stage, uint32_t index, FILE *out)
{
    const struct derivation *d = stage->d;
    const struct layer_op *layer_op = state_operator(d, index);
    fprintf(out, "      ");
    explain_einsum_text(d->plan->model, layer_op, out);
    fprintf(out, "   ");
    explain_einsum_sizes(d->plan->model, layer_op, out);
    fprintf(out, "\n");
    if (layer_op->kind != OPERATOR_VIEW) {
        fprintf(out, "        split            ");
        explain_layer_split(d, index, out);
        fprintf(out, "\n");
        explain_layer_layouts(stage, index, out);
        explain_layer_shares(stage, index, out);
    }
    explain_layer_communications(stage, index, false, MODEL_NONE, "        forward          ", out);
    explain_layer_communications(stage, index, true, MODEL_NONE, "        input gradient   ", out);
    explain_layer_weights(stage, index, out);
}

void explain_layer_kept(const struct explain_stage *stage, uint32_t layer, const char *before, FILE *out)
{
    double bytes = explain_stage_kept(stage, layer);
    char text[2][TEXT];
    if (bytes <= 0)
        return;
    const struct plan *plan = stage->d->plan;
    uint64_t past = generate_past(plan, plan->tokens > 1 ? plan->tokens - 1 : 1);
    fprintf(out, "%scache on a device %s for %llu earlier positions", before,
            unit_format(bytes, UNIT_BYTES, text[0], TEXT), (unsigned long long)past);
    fprintf(out, " (%s per micro-batch and position)\n",
            unit_format(bytes / (double)past, UNIT_BYTES, text[1], TEXT));
}

void explain_layer_text(const struct explain_stage *stage, uint32_t layer, size_t prefix, FILE *out)
{
    uint32_t first, end = explain_stage_operators(stage, layer, &first);
    fprintf(out, "    ");
    explain_layer_title(stage->d->plan->model, layer, prefix, first != MODEL_NONE, out);
    for (uint32_t i = first; i < end; i++)
        explain_layer_operator(stage, i, out);
    explain_layer_kept(stage, layer, "        kept             ", out);
}

void explain_layer_boundary(const struct explain_stage *stage, uint32_t layer, FILE *out)
{
    const struct derivation *d = stage->d;
    uint32_t nobody = d->operators.count;
    bool title = false;
    for (uint32_t backward = 0; backward < 2; backward++)
        for (uint32_t k = stage->asked[backward].first[nobody]; k < stage->asked[backward].first[nobody + 1];
             k++) {
            const struct action *action =
                &(backward ? d->backward.at : d->forward.at)[stage->asked[backward].actions[k]];
            const struct tensor *tensor = state_tensor(d, action->tensor);
            if (layer != MODEL_NONE && tensor->layer != layer)
                continue;
            if (!title)
                fprintf(out, "  between stages\n");
            title = true;
            fprintf(out, "    %-8s %s%s: ", backward ? "backward" : "forward", backward ? "gradient of " : "",
                    names_text(d->plan->model->names, tensor->name));
            explain_reason_text(d, action, 1, action->message_count, explain_stage_bytes(d, action), out);
            fprintf(out, "\n");
        }
}
