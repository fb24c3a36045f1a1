#include "plan/degrees.h"

#include "platform/topology.h"

#include <stdio.h>
#include <string.h>

bool degrees_devices(struct input *input, const struct plan_keys *plan, const struct platform *platform,
                     struct index_list *devices)
{
    if (plan->devices)
        return topology_select(input, platform, plan->devices, devices);
    platform_list_workers(platform, devices);
    return true;
}

static void degrees_text(const struct plan_keys *plan, char *text, size_t size)
{
    char context[32] = "";
    if (plan->context > 1)
        snprintf(context, sizeof context, "context %lld x ", (long long)plan->context);
    snprintf(text, size, "tensor %lld x %spipeline %lld", (long long)plan->tensor, context,
             (long long)plan->pipeline);
}

int64_t degrees_data(struct input *input, const struct workload *workload, const struct plan_keys *plan,
                     const struct index_list *devices)
{
    int64_t count = devices->count, others = plan->tensor * plan->context * plan->pipeline;
    struct place place = workload->plan ? workload->plan->place : workload->place;
    char degrees[96];
    degrees_text(plan, degrees, sizeof degrees);
    if (plan->data == 0 && workload->step == 1)
        return others <= count ? 1
                               : report_error(&input->report, place, "%s needs %lld devices; there are %lld",
                                              degrees, (long long)others, (long long)count);
    if (plan->data == 0 && others > count) {
        report_error(&input->report, place, "%s needs %lld devices; there are %lld", degrees,
                     (long long)others, (long long)count);
        return 0;
    }
    if (plan->data == 0) {
        if (count % others == 0)
            return count / others;
        report_error(&input->report, place,
                     "%s = %lld does not divide the %lld devices; say plan.data or plan.devices", degrees,
                     (long long)others, (long long)count);
        return 0;
    }
    if (plan->data * others > count) {
        report_error(&input->report, place, "data %lld x %s needs %lld devices; there are %lld",
                     (long long)plan->data, degrees, (long long)(plan->data * others), (long long)count);
        return 0;
    }
    return plan->data;
}

/* Samples per micro-batch and data-parallel member; 0 after reporting. */
static int64_t degrees_micro(struct input *input, const struct workload *workload, int64_t data,
                             int64_t pipeline)
{
    int64_t global = workload->global_batch, micro = workload->micro_batch;
    struct place place = workload->batch ? workload->batch->place : workload->place;
    if (global % data) {
        report_error(
            &input->report, place, "a global batch of %lld%s does not divide over %lld data-parallel devices",
            (long long)global, workload->batch ? "" : " (there is no 'batch', so it is 1)", (long long)data);
        return 0;
    }
    if (!micro)
        micro = pipeline > 1 ? 1 : global / data;
    if (global % (data * micro)) {
        report_error(
            &input->report, place,
            "a global batch of %lld is not a whole number of micro-batches of %lld x %lld (micro x data)",
            (long long)global, (long long)micro, (long long)data);
        return 0;
    }
    return micro;
}

/* Stages that may work at the same time: 1 where all name the same devices. */
static int64_t degrees_apart(const struct value *stages)
{
    const struct value *first = stages->count ? value_get(stages->entries[0].value, "devices") : NULL;
    for (uint32_t s = 1; s < stages->count; s++) {
        const struct value *devices = value_get(stages->entries[s].value, "devices");
        bool scalars = first && devices && first->kind == VALUE_SCALAR && devices->kind == VALUE_SCALAR;
        if ((first || devices) && !(scalars && strcmp(first->text, devices->text) == 0))
            return stages->count;
    }
    return 1;
}

uint64_t degrees_batch(struct input *input, const struct workload *workload, const struct platform *platform)
{
    struct plan_keys plan;
    if (!plan_keys_read(input, workload, &plan))
        return 0;
    if (plan.stages)
        return (uint64_t)degrees_micro(input, workload, 1, degrees_apart(plan.stages));
    struct index_list devices = {0};
    int64_t data = 0, micro = 0;
    if (degrees_devices(input, &plan, platform, &devices))
        data = degrees_data(input, workload, &plan, &devices);
    if (data)
        micro = degrees_micro(input, workload, data, plan.pipeline);
    VECTOR_FREE(&devices);
    return (uint64_t)(data * micro);
}
