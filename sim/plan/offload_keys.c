#include "plan/offload_keys.h"

#include "plan/offload.h"
#include "plan/schedule.h"

struct offload_keys {
    int optimizer, gradients, parameters, activations; /* enum plan_place; -1: not said */
    int step;                                          /* 0 host, 1 device, -1: not said */
    int64_t prefetch;
};

static const char *const offload_keys_places[] = {"device", "host", "nvme", NULL};
static const char *const offload_keys_steps[] = {"host", "device", NULL};

#define AT(member) offsetof(struct offload_keys, member)
#define PLACE(name, text)                                                                                    \
    {                                                                                                        \
        .key = #name, .kind = FIELD_CHOICE, .offset = AT(name), .choices = offload_keys_places,              \
        .about = text                                                                                        \
    }
static const struct field offload_keys_fields[] = {
    PLACE(optimizer, "where the optimizer's states are kept"),
    PLACE(gradients, "where gradients are kept; where a host updates, there, else on the device"),
    PLACE(parameters, "where parameters are kept and fetched from for each pass over their unit"),
    PLACE(activations, "where activations are kept between the passes"),
    {.key = "step",
     .kind = FIELD_CHOICE,
     .offset = AT(step),
     .choices = offload_keys_steps,
     .about = "who updates the parameters; the host if it keeps the optimizer's states, or a drive does"},
    {.key = "prefetch",
     .kind = FIELD_INTEGER,
     .offset = AT(prefetch),
     .low = 0,
     .high = 1e6,
     .about = "units ahead of the one at work for which parameters and activations come back; 1 by default"},
};
#undef AT

bool offload_keys_read(struct input *input, const struct value *value, struct plan_offload *offload)
{
    struct offload_keys read = {-1, -1, -1, -1, -1, 1};
    *offload = (struct plan_offload){.prefetch = 1};
    if (!value || value->kind == VALUE_NULL)
        return true;
    if (!fields_want_map(input, value, value->place, "plan.offload") ||
        !fields_read(input, value, value->place, "plan.offload", offload_keys_fields,
                     FIELDS_COUNT(offload_keys_fields), NULL, &read))
        return false;
    bool away = read.optimizer > PLAN_DEVICE;
    offload->host_step = read.step < 0 ? away : read.step == 0;
    if (offload->host_step && !away)
        return report_error(&input->report, value_get(value, "step")->place,
                            "the host updates what it keeps: step: host needs optimizer: host or nvme");
    offload->optimizer = (uint8_t)(away ? read.optimizer : PLAN_DEVICE);
    offload->gradients = (uint8_t)(read.gradients >= 0  ? read.gradients
                                   : offload->host_step ? PLAN_HOST
                                                        : PLAN_DEVICE);
    offload->parameters = (uint8_t)(read.parameters < 0 ? PLAN_DEVICE : read.parameters);
    offload->activations = (uint8_t)(read.activations < 0 ? PLAN_DEVICE : read.activations);
    offload->prefetch = (uint32_t)read.prefetch;
    return true;
}

/* The place of a key that is there, else of the map. */
static struct place offload_keys_place(const struct value *value, const char *key)
{
    const struct value *at = value_get(value, key);
    return at ? at->place : value->place;
}

/* Each device of the plan needs a host, or a drive. */
static bool offload_keys_stores(struct input *input, const struct value *value, const struct plan *plan)
{
    static const char *const what[] = {"host", "drive"};
    for (int place = PLAN_HOST; place <= PLAN_DRIVE; place++)
        for (uint32_t s = 0; s < plan->stages.count && offload_needs(plan, place); s++) {
            uint32_t device = plan->stages.at[s].devices.at[0];
            if (offload_store(plan, device, place) != MODEL_NONE)
                continue;
            const char *name = names_text(plan->platform->names, plan->platform->devices.at[device].name);
            return report_error(
                &input->report, value->place,
                "%s of the topology '%s' has no %s to leave anything with; in a topology that is a "
                "device with role: %s that no stage works on",
                name, names_text(plan->platform->names, plan->platform->name), what[place - 1],
                what[place - 1]);
        }
    return true;
}

bool offload_keys_check(struct input *input, const struct value *value, const char *beside,
                        const struct plan *plan)
{
    const struct plan_offload *to = &plan->offload;
    struct report *report = &input->report;
    if (!value || !offload_any(plan))
        return true;
    if (beside)
        return report_error(report, value->place, "plan.offload cannot stand beside %s", beside);
    if (!plan->training && (to->optimizer || to->gradients || to->activations))
        return report_error(report,
                            offload_keys_place(value, to->optimizer   ? "optimizer"
                                                      : to->gradients ? "gradients"
                                                                      : "activations"),
                            "in inference only parameters can be kept elsewhere");
    if (plan->training && to->parameters && (plan->zero == 1 || plan->zero == 2))
        return report_error(
            report, offload_keys_place(value, "parameters"),
            "parameters that are kept elsewhere are kept whole (zero: 0) or in shares (zero: 3); "
            "zero is %u",
            plan->zero);
    if (plan->training && plan->schedule->asynchronous)
        return report_error(
            report, value->place,
            "schedule %s updates in the middle of a pass, with several versions of the weights; "
            "plan.offload needs a schedule whose steps end with the update",
            plan->schedule->name);
    return offload_keys_stores(input, value, plan);
}
