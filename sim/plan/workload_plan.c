#include "plan/workload_plan.h"

#include "cost/cost.h"
#include "plan/compression_keys.h"
#include "plan/degrees.h"
#include "plan/mesh.h"
#include "plan/offload_keys.h"
#include "plan/owners.h"
#include "plan/shard.h"
#include "plan/stages.h"
#include "plan/workload_schedule.h"
#include "platform/topology.h"

#include <stdio.h>
#include <string.h>

static enum precision workload_plan_precision(int given, enum precision otherwise)
{
    return given >= 0 ? (enum precision)given : otherwise;
}

static void workload_plan_precisions(const struct workload *workload, struct plan *plan)
{
    const struct workload_precision *given = &workload->precisions;
    plan_precisions(plan, workload_plan_precision(given->activations, FP32));
    plan->weight_precision = workload_plan_precision(given->weights, plan->precision);
    plan->gradient_precision =
        workload_plan_precision(given->gradients, workload_plan_precision(workload->gradients, FP32));
    plan->accumulation_precision = workload_plan_precision(given->accumulation, plan->gradient_precision);
    plan->communication_precision = workload_plan_precision(given->communication, plan->gradient_precision);
    plan->optimizer_precision = workload_plan_precision(given->optimizer, FP32);
    plan->cache_precision = workload_plan_precision(given->cache, plan->precision);
}

static void workload_plan_fill(const struct workload *workload, const struct plan_keys *read,
                               struct plan *plan)
{
    plan->training = workload->step == 0;
    workload_plan_precisions(workload, plan);
    plan->optimizer = (enum plan_optimizer)workload->optimizer;
    plan->attention = (enum plan_attention)read->attention;
    plan->product = (enum plan_product)read->product;
    plan->panels = (uint32_t)read->panels;
    plan->recompute = (enum plan_recompute)read->recompute.mode;
    plan->recompute_every = (uint32_t)read->recompute.every;
    plan->recompute_chunk = (uint32_t)read->recompute.chunk;
    plan->save_produced = read->saved < 0 ? read->sequence_parallel : read->saved == 1;
    plan->zero = (uint32_t)read->zero;
    plan->zero_keep = (enum plan_keep)read->keep;
    plan->zero_prefetch = (uint32_t)read->prefetch;
    plan->offload = read->offload;
    plan->compression = read->compression;
    plan->bucket = read->bucket;
    plan->no_overlap = !read->overlap;
    plan->barrier = read->barrier;
    plan->rendezvous = read->rendezvous;
    plan->synchronise_statistics = read->synchronise_statistics;
    plan->steps = (uint32_t)workload->steps;
    plan->global_batch = (uint64_t)workload->global_batch;
    plan->carriers = workload->carriers;
    plan->carrier_count = workload->carrier_count;
    plan->chunk = workload->chunk;
    plan->pieces = workload->pieces;
}

static bool workload_plan_input(struct input *input, const struct plan_keys *read, struct plan *plan)
{
    if (!read->input)
        return true;
    struct index_list devices = {0};
    bool good = topology_select(input, plan->platform, read->input, &devices);
    if (good && devices.count != 1)
        good = report_error(&input->report, read->input->place, "expected one device as plan.input; got %u",
                            devices.count);
    if (good)
        plan->input_device = devices.at[0];
    VECTOR_FREE(&devices);
    return good;
}

/* Every device of every stage must be able to compute in the plan's precision, or in a wider one. */
static bool workload_plan_computes(struct input *input, const struct workload *workload,
                                   const struct plan *plan)
{
    const struct platform *platform = plan->platform;
    struct place place = workload->place;
    for (uint32_t s = 0; s < plan->stages.count; s++)
        for (uint32_t m = 0; m < plan->stages.at[s].devices.count; m++) {
            const struct device *device = &platform->devices.at[plan->stages.at[s].devices.at[m]];
            const struct device_type *type = &platform->device_types.at[device->type];
            if (cost_peak(type, plan->precision) > 0)
                continue;
            char has[128] = "";
            for (int p = 0; p < PRECISION_COUNT; p++)
                if (type->peak[p] > 0)
                    snprintf(has + strlen(has), sizeof has - strlen(has), "%s%s", *has ? ", " : "",
                             precision_names[p]);
            return report_error(
                &input->report, place,
                "%s (%s) cannot compute in %s or wider; it has %s: say `precision:` in the workload",
                names_text(platform->names, device->name), names_text(platform->names, type->name),
                precision_names[plan->precision], has);
        }
    return true;
}

/* The mesh of experts: as the keys say it, none when neither does. */
static struct mesh_experts workload_plan_experts(const struct workload *workload,
                                                 const struct plan_keys *read)
{
    if (!read->expert && !read->expert_tensor)
        return (struct mesh_experts){0};
    const char *key = read->owned ? "experts" : read->expert ? "expert" : "expert-tensor";
    return (struct mesh_experts){.owned = read->owned,
                                 .expert = read->expert ? (uint32_t)read->expert : 1,
                                 .tensor =
                                     (uint32_t)(read->expert_tensor ? read->expert_tensor : read->tensor),
                                 .place = value_get(workload->plan, key)->place};
}

/* Shares are made among equal parts of the data-parallel devices, and in training. */
static bool workload_plan_group(struct input *input, const struct workload *workload,
                                const struct plan_keys *read, int64_t data)
{
    if (!read->group || data % read->group == 0)
        return true;
    return report_error(&input->report, value_get(workload->plan, "zero-group")->place,
                        "a group of %lld does not divide the %lld data-parallel devices",
                        (long long)read->group, (long long)data);
}

/* Says so where `balanced: yes` was asked for and changes nothing. */
static void workload_plan_balanced(struct input *input, const struct workload *workload,
                                   const struct plan_keys *read, const struct plan *plan)
{
    const struct value *asked = workload->plan ? value_get(workload->plan, "balanced") : NULL;
    if (!asked || !read->balanced)
        return;
    for (uint32_t s = 0; s < plan->stages.count; s++)
        if (plan->stages.at[s].balanced)
            return;
    report_warning(&input->report, asked->place, "balanced has no effect: %s",
                   read->context < 2 ? "plan.context divides no sequence"
                   : plan->attention == ATTENTION_ULYSSES
                       ? "Ulysses divides attention by heads, which are alike"
                       : "no attention of this model has a causal mask, or "
                         "a layer reads neighbours along the sequence");
}

/* Heads take the place of shares of the sequence, if any stage has such. */
static bool workload_plan_heads(struct input *input, const struct workload *workload, const struct plan *plan)
{
    for (uint32_t s = 0; s < plan->stages.count; s++)
        if (plan->stages.at[s].late)
            return true;
    return plan->attention != ATTENTION_ULYSSES ||
           report_error(&input->report, value_get(value_get(workload->plan, "convert"), "attention")->place,
                        "convert.attention: ulysses goes from shares of the sequence to heads, but no stage "
                        "splits the sequence: say split: {s: WAYS}");
}

/* Stages as the user lists them. */
static bool workload_plan_stages(struct input *input, const struct plan_keys *read, struct plan *plan)
{
    plan->micro_batch = plan->model->batch;
    return stages_read(input, read->stages, read->lazy, plan, read->layers != NULL) &&
           stages_mirror(input, plan);
}

/* Stages that follow from degrees. */
static bool workload_plan_degrees(struct input *input, const struct workload *workload,
                                  const struct plan_keys *read, struct plan *plan)
{
    struct index_list devices = {0};
    bool good = degrees_devices(input, read, plan->platform, &devices);
    int64_t data = good ? degrees_data(input, workload, read, &devices) : 0;
    good = data > 0 && workload_plan_group(input, workload, read, data);
    if (good) {
        plan->micro_batch = plan->model->batch / (uint64_t)data;
        struct stages_degrees degrees = {
            .data = (uint32_t)data,
            .context = (uint32_t)read->context,
            .tensor = (uint32_t)read->tensor,
            .pipeline = (uint32_t)read->pipeline,
            .chunks = plan->chunks,
            .group = (uint32_t)(read->group ? read->group : data),
            .sequence_parallel = read->sequence_parallel,
            .experts = workload_plan_experts(workload, read),
            .order = read->order,
            .balanced = read->balanced,
            .lazy = read->lazy,
            .place = workload->plan ? workload->plan->place : workload->place,
        };
        good = stages_expand(input, &degrees, &devices, plan);
        workload_plan_balanced(input, workload, read, plan);
    }
    VECTOR_FREE(&devices);
    return good;
}

bool workload_plan(struct input *input, const struct workload *workload, struct platform *platform,
                   struct model *model, struct plan *plan)
{
    struct plan_keys read;
    plan->model = model;
    plan->platform = platform;
    if (!plan_keys_read(input, workload, &read))
        return false;
    workload_plan_fill(workload, &read, plan);
    if (!workload_schedule(input, workload, &read, plan) || !workload_plan_input(input, &read, plan))
        return false;
    bool good = read.stages ? workload_plan_stages(input, &read, plan)
                            : workload_plan_degrees(input, workload, &read, plan);
    good = good && (!read.layers || mesh_layers(input, read.layers, plan)) && owners_apply(input, plan);
    good = good && (!read.stages || workload_plan_heads(input, workload, plan));
    shard_mark(plan);
    good = good && workload_plan_computes(input, workload, plan);
    plan->micro_batches = (uint32_t)(plan->global_batch / model->batch);
    const char *beside = workload->discipline ? "a discipline" : NULL;
    good = good && offload_keys_check(input, read.offload_value, beside, plan) &&
           compression_keys_check(input, read.compression_value, beside, plan);
    return good && workload_schedule_fits(input, workload, &read, plan);
}
