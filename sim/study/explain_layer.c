#include "study/explain_layer.h"

#include "base/unit.h"
#include "plan/memory.h"
#include "plan/mesh.h"
#include "plan/shard.h"
#include "plan/state.h"
#include "plan/work.h"

#include <assert.h>
#include <string.h>

enum { TEXT = 64 };

static const char *explain_layer_dim(const struct model *model, const struct operator* operator, int dim)
{
    return dim < 0 ? "*" : names_text(model->names, operator->dims[dim].names[0]);
}

static void explain_layer_operand(const struct model *model, const struct operator* operator,
                                  const struct operand * operand, const char *letter, FILE *out)
{
    fprintf(out, "%s[", letter);
    for (uint32_t d = 0; d < model->tensors.at[operand->tensor].rank; d++) {
        const struct operand_dim *map = &operand->dims[d];
        fprintf(out, "%s%s", d ? "," : "", explain_layer_dim(model, operator, map->dim));
        if (map->inner >= 0)
            fprintf(out, "·%s", explain_layer_dim(model, operator, map->inner));
        if (map->kernel >= 0)
            fprintf(out, "+%s", explain_layer_dim(model, operator, map->kernel));
    }
    fprintf(out, "]");
}

void explain_layer_einsum(const struct model *model, const struct operator* operator, FILE * out)
{
    static const char *const kinds[OPERATOR_KIND_COUNT] = {"einsum", "point-wise", "pool", "look-up", "view"};
    static const char *const letters[] = {"A", "B", "C", "D", "E", "F", "G", "H"};
    const char *name = names_text(model->names, operator->name);
    fprintf(out, "%s%s%s ", kinds[operator->kind], *name ? " " : "", name);
    explain_layer_operand(model, operator, & operator->output, "Y", out);
    fprintf(out, operator->kind == OPERATOR_EINSUM ? " += " : " = ");
    uint32_t inputs = 0;
    for (uint32_t i = 0; i < operator->operand_count; i++) {
        bool parameter = model->tensors.at[operator->operands[i].tensor].role == TENSOR_PARAMETER;
        const char *letter = parameter ? "W" : operator->operand_count> 2 ? letters[inputs % 8] : "X";
        inputs += !parameter;
        fprintf(out, "%s", i ? " " : "");
        explain_layer_operand(model, operator, & operator->operands[i], letter, out);
    }
    fprintf(out, "   ");
    for (uint32_t d = 0; d < operator->dim_count; d++)
        fprintf(out, " %s=%llu", explain_layer_dim(model, operator,(int) d),
                (unsigned long long)operator->dims[d].size);
}

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

/* Index of a layer's first operator in the derivation; UINT32_MAX when none of it runs. */
static uint32_t explain_layer_first(const struct derivation *d, uint32_t layer)
{
    for (uint32_t i = 0; i < d->operators.count; i++)
        if (state_operator(d, i)->layer == layer)
            return i;
    return UINT32_MAX;
}

static bool explain_layer_asks(const struct derivation *d, const struct action *action, uint32_t layer)
{
    return action->kind != ACTION_KERNEL &&
           action->operator!= MODEL_NONE && state_operator(d, action->operator)->layer == layer;
}

/* Bytes of all messages of an action. */
static double explain_layer_bytes(const struct derivation *d, const struct action *action)
{
    double elements = 0;
    for (uint32_t k = 0; k < action->message_count; k++)
        elements += d->messages.at[action->first_message + k].elements;
    return elements * action->element_bytes;
}

static const char *explain_layer_what(const struct action *action)
{
    if (action->kind == ACTION_COLLECTIVE)
        return communication_names[action->collective];
    return action->kind == ACTION_EXCHANGE ? "exchange" : action->kind == ACTION_SEND ? "send" : "receive";
}

static void explain_layer_action(const struct derivation *d, const struct action *action, FILE *out)
{
    const struct names *names = d->plan->model->names;
    char text[TEXT], axes[128];
    fprintf(out, "        %-8s %s", action->backward ? "backward" : "forward", explain_layer_what(action));
    if (action->kind == ACTION_COLLECTIVE)
        fprintf(out, " over %s of %s", mesh_name(d->stage, action->axes, names, axes, sizeof axes),
                unit_format(derive_payload(d, action, (struct coordinates){{0}}), UNIT_BYTES, text, TEXT));
    else
        fprintf(out, ", %u messages, %s in all", action->message_count,
                unit_format(explain_layer_bytes(d, action), UNIT_BYTES, text, TEXT));
    if (action->because)
        fprintf(out, ": dimension %s %s", names_text(names, action->because), derive_reasons[action->reason]);
    else if (action->reason == REASON_STAGE)
        fprintf(out, ": it %s", derive_reasons[action->reason]);
    else if (action->reason == REASON_CONTRACTED)
        fprintf(out, ": partial sums of the gradient are added");
    fprintf(out, "\n");
}

static void explain_layer_split(const struct derivation *d, uint32_t index, FILE *out)
{
    const struct operator* operator= state_operator(d, index);
    const struct names *names = d->plan->model->names;
    uint32_t done = 0;
    for (uint32_t a = 0; a < d->stage->axis_count; a++) {
        int split = d->operators.at[index].assignment.split[a];
        char axes[TEXT];
        uint32_t together = state_together(d, &d->operators.at[index].assignment, a), ways = 1;
        if (split < 0 || done >> a & 1)
            continue;
        for (uint32_t b = 0; b < d->stage->axis_count; b++)
            ways *= together >> b & 1 ? d->stage->axes[b].size : 1;
        fprintf(out, "%s%s over %s (%u)", done ? ", " : "", names_text(names, operator->dims[split].names[0]),
                mesh_name(d->stage, together, names, axes, sizeof axes), ways);
        done |= together;
    }
    if (!done)
        fprintf(out, d->member_count > 1 ? "nothing: every device does all of it" : "nothing");
}

/* Elements of the parameters of one operator that a device holds. */
static double explain_layer_weights(const struct derivation *d, uint32_t index, uint32_t member)
{
    const struct operator* operator= state_operator(d, index);
    double elements = 0;
    for (uint32_t i = 0; i < operator->operand_count; i++)
        for (uint32_t p = 0; p < d->parameters.count; p++)
            if (d->parameters.at[p].tensor == operator->operands[i].tensor)
                elements += memory_parameter(d, p, member);
    return elements;
}

static void explain_layer_operator(const struct derivation *d, uint32_t index, FILE *out)
{
    const struct operator* operator= state_operator(d, index);
    char text[4][TEXT];
    fprintf(out, "      ");
    explain_layer_einsum(d->plan->model, operator, out);
    if (operator->kind == OPERATOR_VIEW) {
        fprintf(out, "\n");
        return;
    }
    fprintf(out, "\n        split    ");
    explain_layer_split(d, index, out);
    struct work forward = work_forward(d, index, 0);
    fprintf(out, "; a device: %s forward", unit_format(forward.flops, UNIT_FLOP, text[0], TEXT));
    if (d->plan->training && d->needs_gradient[operator->output.tensor])
        fprintf(out, ", %s backward",
                unit_format(work_backward(d, index, 0).flops, UNIT_FLOP, text[1], TEXT));
    double weights = explain_layer_weights(d, index, 0) * precision_bytes(d->plan->weight_precision);
    if (weights > 0)
        fprintf(out, ", weights %s", unit_format(weights, UNIT_BYTES, text[2], TEXT));
    const struct tensor *tensor = state_tensor(d, operator->output.tensor);
    struct box box = assign_box(d->stage, d->plan->model, operator, & d->operators.at[index].assignment,
                                &operator->output, layout_coordinates(d->stage, 0));
    fprintf(out, ", output %s\n",
            unit_format(layout_volume(tensor, &box) * derive_element_bytes(d->plan, tensor), UNIT_BYTES,
                        text[3], TEXT));
}

/* One line for each set of axes over which the layer's parameters do something. */
static void explain_layer_axes(const struct derivation *d, uint64_t sets, const char *before,
                               const char *after, FILE *out)
{
    char axes[TEXT];
    static_assert(PLAN_AXES <= 6, "the set of axis sets fits 64 bits");
    for (uint32_t set = 1; set < 1u << PLAN_AXES; set++)
        if (sets >> set & 1)
            fprintf(out, "        weights  %s %s%s\n", before,
                    mesh_name(d->stage, set, d->plan->model->names, axes, sizeof axes), after);
}

/* How a layer's parameters and their gradients are synchronised. */
static void explain_layer_weights_text(const struct derivation *d, uint32_t layer, FILE *out)
{
    uint64_t scatter = 0, sum = 0, shared = 0; /* bit sets over sets of axes */
    for (uint32_t p = 0; d->plan->training && p < d->parameters.count; p++) {
        const struct stage_parameter *parameter = &d->parameters.at[p];
        if (state_tensor(d, parameter->tensor)->layer != layer)
            continue;
        scatter |= (uint64_t)1 << shard_reduction(parameter).scatter;
        sum |= (uint64_t)1 << shard_reduction(parameter).sum;
        shared |= (uint64_t)1 << parameter->shard_axes;
    }
    const char *often =
        d->plan->zero >= 2 ? ": reduce-scatter in each micro-batch" : ": reduce-scatter once per step";
    explain_layer_axes(d, sum, "gradients are partial over", ": all-reduce once per step", out);
    explain_layer_axes(d, scatter, "gradients are partial over", often, out);
    explain_layer_axes(d, shared, "are kept in shares over",
                       d->plan->zero >= 3 ? ": all-gather before use" : ": all-gather after the update", out);
}

void explain_layer_text(const struct derivation *d, uint32_t layer, size_t prefix, FILE *out)
{
    const struct model *model = d->plan->model;
    const struct layer *l = &model->layers.at[layer];
    const char *name = names_text(model->names, l->name);
    if (strlen(name) > prefix + 1 && name[prefix] == '.')
        name += prefix + 1;
    uint32_t first = explain_layer_first(d, layer);
    fprintf(out, "    %s (%s) -> ", name, names_text(model->names, l->kind));
    explain_layer_shape(model, &model->tensors.at[l->output], out);
    uint64_t parameters = model_layer_parameters(model, layer);
    double macs = model_layer_macs(model, layer) / (double)model->batch;
    if (parameters)
        fprintf(out, ", %llu parameters", (unsigned long long)parameters);
    if (macs > 0)
        fprintf(out, ", %.0f MACs per %s", macs, model->sample);
    fprintf(out, "%s\n", first == UINT32_MAX ? l->operator_count ? ", only in training" : "" : "");
    for (uint32_t i = 0; i < d->forward.count; i++)
        if (explain_layer_asks(d, &d->forward.at[i], layer))
            explain_layer_action(d, &d->forward.at[i], out);
    for (uint32_t i = first; i < d->operators.count && state_operator(d, i)->layer == layer; i++)
        explain_layer_operator(d, i, out);
    for (uint32_t i = 0; i < d->backward.count; i++)
        if (explain_layer_asks(d, &d->backward.at[i], layer))
            explain_layer_action(d, &d->backward.at[i], out);
    explain_layer_weights_text(d, layer, out);
}

static json_t *explain_layer_actions(const struct derivation *d, uint32_t layer, bool backward)
{
    json_t *list = json_array();
    uint32_t count = backward ? d->backward.count : d->forward.count;
    for (uint32_t i = 0; i < count; i++) {
        const struct action *action = backward ? &d->backward.at[i] : &d->forward.at[i];
        if (!explain_layer_asks(d, action, layer))
            continue;
        bool collective = action->kind == ACTION_COLLECTIVE;
        char axes[128];
        double bytes = collective ? derive_payload(d, action, (struct coordinates){{0}})
                                  : explain_layer_bytes(d, action);
        json_t *item = json_pack("{s:s, s:f, s:s, s:s}", "kind", explain_layer_what(action), "bytes", bytes,
                                 "dimension", names_text(d->plan->model->names, action->because), "reason",
                                 derive_reasons[action->reason]);
        if (collective)
            json_object_set_new(
                item, "axis",
                json_string(mesh_name(d->stage, action->axes, d->plan->model->names, axes, sizeof axes)));
        json_array_append_new(list, item);
    }
    return list;
}

static json_t *explain_layer_device(const struct derivation *d, uint32_t layer, json_t *split)
{
    double forward = 0, backward = 0, weights = 0;
    for (uint32_t i = explain_layer_first(d, layer);
         i < d->operators.count && state_operator(d, i)->layer == layer; i++) {
        forward += work_forward(d, i, 0).flops;
        if (d->plan->training && d->needs_gradient[state_operator(d, i)->output.tensor])
            backward += work_backward(d, i, 0).flops;
        weights += explain_layer_weights(d, i, 0);
        for (uint32_t a = 0; a < d->stage->axis_count; a++) {
            int dim = d->operators.at[i].assignment.split[a];
            const char *axis = names_text(d->plan->model->names, d->stage->axes[a].name);
            if (dim >= 0 && !json_object_get(split, axis))
                json_object_set_new(
                    split, axis,
                    json_string(names_text(d->plan->model->names, state_operator(d, i)->dims[dim].names[0])));
        }
    }
    return json_pack("{s:f, s:f, s:f}", "flops_forward", forward, "flops_backward", backward, "weight_bytes",
                     weights * precision_bytes(d->plan->weight_precision));
}

json_t *explain_layer_json(const struct model *model, const struct derivation *d, uint32_t layer)
{
    const struct layer *l = &model->layers.at[layer];
    const struct tensor *output = &model->tensors.at[l->output];
    json_t *shape = json_object();
    for (uint32_t i = 0; i < output->rank; i++)
        json_object_set_new(shape, names_text(model->names, output->dims[i].label),
                            json_integer((json_int_t)output->dims[i].size));
    json_t *item =
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:I, s:f}", "name", names_text(model->names, l->name), "kind",
                  names_text(model->names, l->kind), "part", names_text(model->names, l->part), "unit",
                  names_text(model->names, model->units.at[l->unit].name), "output", shape, "parameters",
                  (json_int_t)model_layer_parameters(model, layer), "macs_forward",
                  model_layer_macs(model, layer) / (double)model->batch);
    if (!d)
        return item;
    json_t *split = json_object();
    json_t *device = explain_layer_device(d, layer, split);
    json_object_set_new(item, "stage", json_integer(d->stage_index));
    json_object_set_new(item, "split", split);
    json_object_set_new(item, "per_device", device);
    json_object_set_new(item, "communication",
                        json_pack("{s:o, s:o}", "forward", explain_layer_actions(d, layer, false), "backward",
                                  explain_layer_actions(d, layer, true)));
    return item;
}
