#include "study/explain_json.h"

#include "plan/generate.h"
#include "plan/memory.h"
#include "plan/mesh.h"
#include "plan/shard.h"
#include "plan/state.h"
#include "study/explain_einsum.h"
#include "study/explain_layer.h"
#include "study/explain_reason.h"

#include <stdlib.h>

enum { AXES = 128 };

static json_t *explain_json_action(const struct derivation *d, const struct action *action)
{
    const struct names *names = d->plan->model->names;
    bool collective = action->kind == ACTION_COLLECTIVE;
    char axes[AXES];
    double bytes =
        collective ? derive_payload(d, action, (struct coordinates){{0}}) : explain_stage_bytes(d, action);
    json_t *item =
        json_pack("{s:s, s:f, s:s, s:s, s:s}", "kind", explain_reason_what(action), "bytes", bytes,
                  "dimension", names_text(names, action->because), "reason", derive_reasons[action->reason],
                  "tensor", names_text(names, state_tensor(d, action->tensor)->name));
    if (collective)
        json_object_set_new(item, "axis",
                            json_string(mesh_name(d->stage, action->axes, names, axes, sizeof axes)));
    if (action->streamed)
        json_object_set_new(item, "streamed", json_true());
    if (action->streamed && d->operators.at[action->layer_op].panels)
        json_object_set_new(item, "panels", json_integer(d->operators.at[action->layer_op].panel_count));
    else if (!action->streamed && action->loop != MODEL_NONE)
        json_object_set_new(item, "steps",
                            json_integer(action->backward ? d->backward_loops.at[action->loop].steps
                                                          : d->forward_loops.at[action->loop].steps));
    return item;
}

static json_t *explain_json_actions(const struct explain_stage *stage, uint32_t first, uint32_t end,
                                    bool backward)
{
    const struct derivation *d = stage->d;
    const struct explain_asked *asked = &stage->asked[backward];
    json_t *list = json_array();
    for (uint32_t i = first; i < end; i++)
        for (uint32_t o = i; o != MODEL_NONE; o = stage->next_round[o])
            for (uint32_t k = asked->first[o]; k < asked->first[o + 1]; k++)
                json_array_append_new(
                    list,
                    explain_json_action(d, &(backward ? d->backward.at : d->forward.at)[asked->actions[k]]));
    return list;
}

/* How gradients of the layer's parameters are synchronised. */
static json_t *explain_json_weights(const struct explain_stage *stage, uint32_t first, uint32_t end)
{
    const struct derivation *d = stage->d;
    const struct names *names = d->plan->model->names;
    json_t *list = json_array();
    char axes[AXES];
    for (uint32_t p = 0; d->plan->training && p < d->parameters.count; p++) {
        const struct stage_parameter *parameter = &d->parameters.at[p];
        struct shard_reduction reduction = shard_reduction(parameter);
        double bytes = memory_parameter(d, p, 0) * precision_bytes(d->plan->communication_precision);
        if (parameter->layer_op < first || parameter->layer_op >= end)
            continue;
        const uint32_t sets[] = {reduction.scatter, reduction.sum};
        for (int k = 0; k < 2; k++)
            if (sets[k])
                json_array_append_new(
                    list, json_pack("{s:s, s:f, s:s, s:s}", "kind",
                                    communication_names[k ? ALL_REDUCE : REDUCE_SCATTER], "bytes",
                                    k ? bytes / layout_places(d->stage, reduction.scatter) : bytes, "axis",
                                    mesh_name(d->stage, sets[k], names, axes, sizeof axes), "tensor",
                                    names_text(names, state_tensor(d, parameter->tensor)->name)));
    }
    return list;
}

static json_t *explain_json_device(const struct explain_stage *stage, uint32_t first, uint32_t end,
                                   json_t *split)
{
    const struct derivation *d = stage->d;
    struct explain_share sum = {0};
    for (uint32_t i = first; i < end; i++) {
        struct explain_share share = explain_stage_share(stage, i, 0);
        sum.forward += share.forward;
        sum.input += share.input;
        sum.weight += share.weight;
        sum.weights += share.weights;
        sum.output = share.output;
        for (uint32_t a = 0; a < d->stage->axis_count; a++) {
            const struct assignment *assignment = &d->operators.at[i].assignment;
            int dim = assignment->split[a];
            char axes[AXES];
            const char *axis = mesh_name(d->stage, state_together(d, assignment, a), d->plan->model->names,
                                         axes, sizeof axes);
            if (dim >= 0 && !json_object_get(split, axis))
                json_object_set_new(
                    split, axis,
                    json_string(names_text(d->plan->model->names, state_operator(d, i)->dims[dim].names[0])));
        }
    }
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "flops_forward", sum.forward, "flops_backward",
                     sum.input + sum.weight, "flops_input_gradient", sum.input, "flops_weight_gradient",
                     sum.weight, "weight_bytes", sum.weights, "output_bytes", sum.output);
}

/* The einsums of a layer as text. */
static json_t *explain_json_einsums(const struct model *model, const struct layer *layer)
{
    json_t *list = json_array();
    for (uint32_t o = 0; o < layer->operator_count; o++) {
        char *text = NULL;
        size_t length = 0;
        FILE *memory = open_memstream(&text, &length);
        explain_einsum_text(model, &model->operators.at[layer->first_operator + o], memory);
        fclose(memory);
        json_array_append_new(list, json_string(text));
        free(text);
    }
    return list;
}

json_t *explain_json_layer(const struct model *model, const struct explain_stage *stage, uint32_t layer)
{
    const struct layer *l = &model->layers.at[layer];
    const struct tensor *output = &model->tensors.at[l->output];
    json_t *shape = json_object();
    for (uint32_t i = 0; i < output->rank; i++)
        json_object_set_new(shape, names_text(model->names, output->dims[i].label),
                            json_integer((json_int_t)output->dims[i].size));
    json_t *item = json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:o, s:I, s:f}", "name", names_text(model->names, l->name), "kind",
        names_text(model->names, l->kind), "part", names_text(model->names, l->part), "unit",
        names_text(model->names, model->units.at[l->unit].name), "output", shape, "operators",
        explain_json_einsums(model, l), "parameters", (json_int_t)model_layer_parameters(model, layer),
        "macs_forward", model_layer_macs(model, layer) / (double)model->batch);
    if (!stage)
        return item;
    uint32_t first, end = explain_stage_operators(stage, layer, &first);
    json_t *split = json_object();
    json_t *device = explain_json_device(stage, first, end, split);
    uint32_t prompts = generate_prompt_stages(stage->d->plan);
    json_object_set_new(item, "stage", json_integer(stage->d->stage_index % prompts));
    if (stage->d->plan->tokens) {
        json_object_set_new(item, "pass", json_string(stage->d->plan->past ? "token" : "prompt"));
        json_object_set_new(device, "cache_bytes", json_real(explain_stage_kept(stage, layer)));
    }
    json_object_set_new(item, "split", split);
    json_object_set_new(item, "per_device", device);
    json_object_set_new(item, "communication",
                        json_pack("{s:o, s:o, s:o}", "forward",
                                  explain_json_actions(stage, first, end, false), "backward",
                                  explain_json_actions(stage, first, end, true), "weight_gradient",
                                  explain_json_weights(stage, first, end)));
    return item;
}
