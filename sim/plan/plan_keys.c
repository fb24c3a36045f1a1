#include "plan/plan_keys.h"

#include "plan/compression_keys.h"
#include "plan/offload_keys.h"
#include "plan/owners.h"
#include "plan/recompute.h"
#include "plan/schedule.h"
#include "plan/shard.h"

#include <string.h>

static const char *const plan_keys_saved[] = {"used", "produced", NULL};
static const char *const plan_keys_attention[] = {"gather", "ulysses", "ring", NULL};
static const char *const plan_keys_product[] = {"gather", "summa", NULL};

#define AT(member) offsetof(struct plan_keys, member)
static const struct field plan_keys_fields[] = {
    {.key = "tensor",
     .kind = FIELD_INTEGER,
     .offset = AT(tensor),
     .low = 1,
     .high = 1e6,
     .about = "devices that split the heads, the inner features and the vocabulary"},
    {.key = "data",
     .kind = FIELD_INTEGER,
     .offset = AT(data),
     .low = 1,
     .high = 1e6,
     .about = "devices that split the batch (by default what the other degrees leave, in training)"},
    {.key = "pipeline",
     .kind = FIELD_INTEGER,
     .offset = AT(pipeline),
     .low = 1,
     .high = 1e5,
     .about = "stages, balanced by predicted time"},
    {.key = "expert",
     .kind = FIELD_INTEGER,
     .offset = AT(expert),
     .low = 1,
     .high = 1e6,
     .about = "devices that divide the experts of a mixture, of those of data and tensor"},
    {.key = "expert-tensor",
     .kind = FIELD_INTEGER,
     .offset = AT(expert_tensor),
     .low = 1,
     .high = 1e6,
     .about = "devices that divide each expert's inner features; by default as many as tensor"},
    {.key = "experts",
     .kind = FIELD_VALUE,
     .offset = AT(experts),
     .about = "which device along expert has which experts: a list of lists of their numbers, such as "
              "[[0, 3..5], [1, 2]]; equal shares in order by default"},
    {.key = "layers",
     .kind = FIELD_VALUE,
     .offset = AT(layers),
     .about = "splits of single layers: a list of {match: PATTERN, split: {dimension: shares}}"},
    {.key = "order",
     .kind = FIELD_VALUE,
     .offset = AT(order),
     .about = "which devices are neighbours: axes, the innermost first; [tensor, data, pipeline] by default"},
    {.key = "context",
     .kind = FIELD_INTEGER,
     .offset = AT(context),
     .low = 1,
     .high = 1e6,
     .about = "devices that split the sequence, also in attention"},
    {.key = "balanced",
     .kind = FIELD_FLAG,
     .offset = AT(balanced),
     .about = "context: under a causal mask every device gets an early and a late part of the sequence, so "
              "that all have as much to do; yes by default"},
    {.key = "convert",
     .kind = FIELD_VALUE,
     .offset = AT(convert),
     .about = "how tensors meet; a map: attention (gather, ulysses, ring), fc (gather, summa), panels"},
    {.key = "lazy",
     .kind = FIELD_FLAG,
     .offset = AT(lazy),
     .about = "partial sums pass through sums, biases and scalings, and are added up as late as possible; by "
              "default at once"},
    {.key = "sequence-parallel",
     .kind = FIELD_FLAG,
     .offset = AT(sequence_parallel),
     .about = "the tensor axis also splits the sequence where nothing else is split"},
    {.key = "schedule",
     .kind = FIELD_TEXT,
     .offset = AT(schedule),
     .about = "order of the passes: see `partita list schedules`; or a CSV file of actions"},
    {.key = "time-chunks",
     .kind = FIELD_INTEGER,
     .offset = AT(time_chunks),
     .low = 1,
     .high = 1e6,
     .about =
         "pieces of the sequence that stages of recurrent layers pass on one by one, so that they work at "
         "the same time; 1 by default"},
    {.key = "chunks",
     .kind = FIELD_INTEGER,
     .offset = AT(chunks),
     .low = 1,
     .high = 1024,
     .about = "stages per device, for schedules that have several; as few as the schedule allows by default"},
    {.key = "in-flight",
     .kind = FIELD_INTEGER,
     .offset = AT(in_flight),
     .low = 1,
     .high = 1e9,
     .about =
         "schedule list: micro-batches whose activations a device may hold; the pipeline degree by default"},
    {.key = "recompute",
     .kind = FIELD_VALUE,
     .offset = AT(recompute_value),
     .about = "none; full: keep only each unit's input and run its forward pass again before its backward "
              "pass; selective: run the attention core again; or {every: N} or {chunk: N}"},
    {.key = "saved",
     .kind = FIELD_CHOICE,
     .offset = AT(saved),
     .choices = plan_keys_saved,
     .about =
         "layout of what is kept for the backward pass: as it was used, or as it was produced and gathered "
         "again; produced if sequence-parallel, else used"},
    {.key = "zero",
     .kind = FIELD_INTEGER,
     .offset = AT(zero),
     .low = 0,
     .high = 3,
     .about = "data-parallel devices keep shares: 1 of optimizer states, 2 also of gradients, 3 also of "
              "parameters (FSDP)"},
    {.key = "zero-group",
     .kind = FIELD_INTEGER,
     .offset = AT(group),
     .low = 1,
     .high = 1e6,
     .about = "data-parallel devices among which shares are made; all by default, fewer for hybrid sharding"},
    {.key = "zero-keep",
     .kind = FIELD_CHOICE,
     .offset = AT(keep),
     .choices = shard_keep_names,
     .about =
         "zero 3: how long gathered parameters stay: for a pass (default), until the micro-batch's backward "
         "pass, or for the step"},
    {.key = "zero-prefetch",
     .kind = FIELD_INTEGER,
     .offset = AT(prefetch),
     .low = 0,
     .high = 1e6,
     .about = "zero 3: units whose parameters are gathered ahead of the one at work; 1 by default"},
    {.key = "offload",
     .kind = FIELD_VALUE,
     .offset = AT(offload_value),
     .about = "what is kept in the host's memory or on its drive; a map: optimizer, gradients, parameters, "
              "activations (device, host, nvme), step (host, device), prefetch"},
    {.key = "compress",
     .kind = FIELD_VALUE,
     .offset = AT(compression_value),
     .about = "how gradients are compressed where they are all-reduced; a map: top (a share), bits or rank"},
    {.key = "bucket",
     .kind = FIELD_QUANTITY,
     .unit = UNIT_BYTES,
     .offset = AT(bucket),
     .low = 1,
     .high = 1e15,
     .about =
         "gradients that are synchronised together, as soon as there are so many bytes; those of a unit by "
         "default"},
    {.key = "overlap",
     .kind = FIELD_FLAG,
     .offset = AT(overlap),
     .about =
         "synchronise gradients during the backward pass, and gather parameters during the forward pass; "
         "yes by default"},
    {.key = "barrier",
     .kind = FIELD_FLAG,
     .offset = AT(barrier),
     .about = "all devices meet before the optimizer (gradient norm, overflow check); yes by default"},
    {.key = "rendezvous",
     .kind = FIELD_FLAG,
     .offset = AT(rendezvous),
     .about = "transfers between stages wait for the receiver; by default they start eagerly"},
    {.key = "blocking",
     .kind = FIELD_FLAG,
     .offset = AT(blocking),
     .about =
         "transfers between stages occupy the compute stream; by default they have streams of their own"},
    {.key = "synchronise-statistics",
     .kind = FIELD_FLAG,
     .offset = AT(synchronise_statistics),
     .about = "batch norm over the whole batch rather than each device's share"},
    {.key = "stages",
     .kind = FIELD_VALUE,
     .offset = AT(stages),
     .about = "explicit stages instead of degrees: a list of {layers, split, devices}"},
    {.key = "devices",
     .kind = FIELD_VALUE,
     .offset = AT(devices),
     .about = "the devices to use, in order; all by default"},
    {.key = "input",
     .kind = FIELD_VALUE,
     .offset = AT(input),
     .about = "the device that the samples come from; by default every device has its own"},
};

static const struct field plan_keys_convert_fields[] = {
    {.key = "attention", .kind = FIELD_CHOICE, .offset = AT(attention), .choices = plan_keys_attention},
    {.key = "fc", .kind = FIELD_CHOICE, .offset = AT(product), .choices = plan_keys_product},
    {.key = "panels", .kind = FIELD_INTEGER, .offset = AT(panels), .low = 1, .high = 1e6},
};
#undef AT

#define AT(member) offsetof(struct plan_keys_recompute, member)
static const struct field plan_keys_recompute_fields[] = {
    {.key = "every",
     .kind = FIELD_INTEGER,
     .offset = AT(every),
     .low = 1,
     .high = 1e6,
     .about = "every n-th unit of a stage recomputes all, the others nothing"},
    {.key = "chunk",
     .kind = FIELD_INTEGER,
     .offset = AT(chunk),
     .low = 1,
     .high = 1e6,
     .about = "n units in a row keep one input and run again together"},
};
#undef AT
static const struct field plan_keys_recompute_field = {
    .key = "recompute", .kind = FIELD_CHOICE, .choices = recompute_names};

/* `full`, `{every: 2}`, `{chunk: 4}`. */
static bool plan_keys_read_recompute(struct input *input, const struct value *value,
                                     struct plan_keys_recompute *recompute)
{
    if (!value)
        return true;
    if (value->kind != VALUE_MAP)
        return fields_read_one(input, value, &plan_keys_recompute_field, NULL, &recompute->mode);
    recompute->mode = RECOMPUTE_FULL;
    bool good = fields_read(input, value, value->place, "recompute", plan_keys_recompute_fields,
                            FIELDS_COUNT(plan_keys_recompute_fields), NULL, recompute);
    if (good && (recompute->every > 0) == (recompute->chunk > 0))
        good = report_error(&input->report, value->place, "recompute wants either 'every' or 'chunk'");
    return good;
}

bool plan_keys_is_file(const char *schedule)
{
    size_t length = strlen(schedule);
    return length > 4 && strcmp(schedule + length - 4, ".csv") == 0;
}

static bool plan_keys_known_schedule(struct input *input, const struct workload *workload,
                                     const struct plan_keys *plan)
{
    if (!plan->schedule || schedule_find(plan->schedule) || plan_keys_is_file(plan->schedule))
        return true;
    const char *known[64];
    uint32_t count = 0;
    for (; count < 64 && schedule_table[count]; count++)
        known[count] = schedule_table[count]->name;
    return fields_no_such(input, value_get(workload->plan, "schedule")->place, "schedule", plan->schedule,
                          known, count);
}

/* Where it is said who owns which experts, there are as many owners. */
static bool plan_keys_read_experts(struct input *input, struct plan_keys *plan)
{
    if (!plan->experts)
        return true;
    plan->owned = owners_read(input, plan->experts, "plan.experts");
    if (plan->owned && plan->expert && plan->expert != plan->owned->shares)
        return report_error(&input->report, plan->experts->place,
                            "plan.experts has %u entries, but plan.expert is %lld: one entry per device, [] "
                            "for none",
                            plan->owned->shares, (long long)plan->expert);
    plan->expert = plan->owned ? plan->owned->shares : 1;
    return plan->owned != NULL;
}

/* Whether keys that exclude each other do not stand together. */
static bool plan_keys_agree(struct input *input, const struct workload *workload,
                            const struct plan_keys *plan)
{
    if (workload->step == 1 && plan->zero)
        return report_error(
            &input->report, value_get(workload->plan, "zero")->place,
            "plan.zero is about training: in inference every device keeps the parameters that it "
            "uses");
    if (plan->product == PRODUCT_SUMMA && plan->time_chunks > 1)
        return report_error(
            &input->report, value_get(plan->convert, "fc")->place,
            "convert.fc: summa cannot stand beside plan.time-chunks: a product comes either in "
            "panels or in chunks of a sequence");
    if (plan->panels && plan->product != PRODUCT_SUMMA)
        return report_error(&input->report, value_get(plan->convert, "panels")->place,
                            "convert.panels is about convert.fc: summa");
    return true;
}

/* Whether nothing is said of degrees where stages say it themselves. */
static bool plan_keys_beside_stages(struct input *input, const struct value *plan)
{
    bool good = true;
    static const char *const degrees[] = {
        "tensor",  "data",       "pipeline", "context",       "balanced", "sequence-parallel",
        "devices", "zero-group", "expert",   "expert-tensor", "order",    "experts"};
    for (uint32_t i = 0; i < FIELDS_COUNT(degrees); i++)
        if (value_get(plan, degrees[i]))
            good = report_error(
                &input->report, value_get(plan, degrees[i])->place,
                "plan.%s cannot stand beside plan.stages: each stage says its own split and devices",
                degrees[i]);
    return good;
}

bool plan_keys_read(struct input *input, const struct workload *workload, struct plan_keys *plan)
{
    *plan = (struct plan_keys){.tensor = 1,
                               .pipeline = 1,
                               .context = 1,
                               .balanced = true,
                               .barrier = true,
                               .saved = -1,
                               .prefetch = 1,
                               .overlap = true};
    if (!workload->plan || workload->plan->kind == VALUE_NULL)
        return true;
    bool good = fields_read(input, workload->plan, workload->plan->place, "plan", plan_keys_fields,
                            FIELDS_COUNT(plan_keys_fields), NULL, plan);
    good = plan_keys_known_schedule(input, workload, plan) && good;
    if (plan->convert)
        good = fields_want_map(input, plan->convert, plan->convert->place, "convert") &&
               fields_read(input, plan->convert, plan->convert->place, "convert", plan_keys_convert_fields,
                           FIELDS_COUNT(plan_keys_convert_fields), NULL, plan) &&
               good;
    good = plan_keys_read_recompute(input, plan->recompute_value, &plan->recompute) && good;
    good = compression_keys_read(input, plan->compression_value, &plan->compression) && good;
    good = offload_keys_read(input, plan->offload_value, &plan->offload) && good;
    good = plan_keys_read_experts(input, plan) && good;
    return good && plan_keys_agree(input, workload, plan) &&
           (!plan->stages || plan_keys_beside_stages(input, workload->plan));
}
