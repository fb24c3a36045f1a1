#include "plan/workload.h"

#include "cost/cost.h"
#include "input/document.h"
#include "plan/mesh.h"
#include "plan/optimizer.h"
#include "plan/recompute.h"
#include "plan/schedule_csv.h"
#include "plan/scheduled.h"
#include "plan/shard.h"
#include "plan/stages.h"
#include "platform/topology.h"

#include <stdio.h>
#include <string.h>

static const char *const workload_steps[] = {"training", "inference", NULL};

#define AT(member) offsetof(struct workload, member)
const struct field workload_fields[] = {
    {.key = "name", .kind = FIELD_TEXT, .offset = AT(name), .about = "title of the run"},
    {.key = "about",
     .kind = FIELD_TEXT,
     .offset = AT(about),
     .about = "one sentence; shown by `partita list workloads`"},
    {.key = "topology", .kind = FIELD_VALUE, .offset = AT(topology), .about = "a topology's name or file"},
    {.key = "set", .kind = FIELD_VALUE, .offset = AT(set), .about = "values for the topology's parameters"},
    {.key = "model",
     .kind = FIELD_VALUE,
     .offset = AT(model),
     .required = true,
     .about = "a model's name or file, or a map: `name` and values for its parameters"},
    {.key = "trace",
     .kind = FIELD_VALUE,
     .offset = AT(trace),
     .about =
         "instead of model and plan: execution traces to replay, or a map: path, compute, groups, missing"},
    {.key = "step",
     .kind = FIELD_CHOICE,
     .offset = AT(step),
     .choices = workload_steps,
     .about = "training or inference"},
    {.key = "batch",
     .kind = FIELD_VALUE,
     .offset = AT(batch),
     .about = "samples per step, or a map: global, micro, sequence"},
    {.key = "precision",
     .kind = FIELD_VALUE,
     .offset = AT(precision),
     .about =
         "of weights, activations and messages, or a map: weights, activations, gradients, accumulation, "
         "communication, optimizer"},
    {.key = "gradients",
     .kind = FIELD_CHOICE,
     .offset = AT(gradients),
     .choices = precision_names,
     .about = "precision of accumulated and synchronised gradients; fp32 by default"},
    {.key = "optimizer",
     .kind = FIELD_CHOICE,
     .offset = AT(optimizer),
     .choices = optimizer_names,
     .about = "decides the optimizer's memory and the time of its update"},
    {.key = "steps",
     .kind = FIELD_INTEGER,
     .offset = AT(steps),
     .low = 1,
     .high = 1000,
     .about = "steps to simulate; the last one is reported (2 by default for training, 1 for inference)"},
    {.key = "seed",
     .kind = FIELD_INTEGER,
     .offset = AT(seed),
     .low = 0,
     .high = 9e15,
     .about = "of all random streams"},
    {.key = "plan", .kind = FIELD_VALUE, .offset = AT(plan), .about = "what is split how"},
    {.key = "network", .kind = FIELD_VALUE, .offset = AT(network), .about = "how communication is simulated"},
    {.key = "discipline",
     .kind = FIELD_VALUE,
     .offset = AT(discipline),
     .about = "how those who train keep in step, decided during the run; see `partita list disciplines`"},
    {.key = "random", .kind = FIELD_VALUE, .offset = AT(random), .about = "what differs from run to run"},
};
const uint32_t workload_field_count = FIELDS_COUNT(workload_fields);

const char *const workload_levels[] = {"ideal", "alpha-beta", "fluid", "packet", NULL};
static const char *const workload_collectives[] = {"fluid", "steps", NULL};

const struct field workload_network_fields[] = {
    {.key = "collectives",
     .kind = FIELD_CHOICE,
     .offset = AT(collectives),
     .choices = workload_collectives,
     .about =
         "fluid: a collective is one activity on its links; steps: each transfer of its algorithm is a flow"},
    {.key = "algorithm",
     .kind = FIELD_VALUE,
     .offset = AT(algorithm),
     .about =
         "of all collectives (`partita list collectives`), or a map from kinds or group names to algorithms"},
    {.key = "chunk",
     .kind = FIELD_QUANTITY,
     .unit = UNIT_BYTES,
     .offset = AT(chunk),
     .low = 1,
     .high = 1e15,
     .about =
         "collectives are cut into pieces of at most this size, which follow each other; whole by default"},
    {.key = "level",
     .kind = FIELD_CHOICE,
     .offset = AT(level),
     .choices = workload_levels,
     .about = "how closely messages are simulated; see `partita list levels`"},
    {.key = "mtu",
     .kind = FIELD_QUANTITY,
     .unit = UNIT_BYTES,
     .offset = AT(mtu),
     .low = 1,
     .high = 1e9,
     .about = "packet level: bytes of payload in a packet; 4 KiB by default"},
    {.key = "header",
     .kind = FIELD_QUANTITY,
     .unit = UNIT_BYTES,
     .offset = AT(header),
     .low = 0,
     .high = 1e9,
     .about = "packet level: bytes that each packet has besides; none by default"},
    {.key = "buffer",
     .kind = FIELD_QUANTITY,
     .unit = UNIT_BYTES,
     .offset = AT(buffer),
     .low = 1,
     .high = 1e15,
     .about = "packet level: room of a link's queue, at least one packet; 256 KiB by default"},
    {.key = "packets",
     .kind = FIELD_INTEGER,
     .offset = AT(packets),
     .low = 1,
     .high = 1e15,
     .about = "packet level: how many packets to send over links one by one at most; 1e8 by default"},
    {.key = "changes",
     .kind = FIELD_VALUE,
     .offset = AT(changes),
     .about = "a list of {at, link, bandwidth}: capacities that change during the run"},
};
const uint32_t workload_network_field_count = FIELDS_COUNT(workload_network_fields);

static const struct field workload_batch_fields[] = {
    {.key = "global",
     .kind = FIELD_INTEGER,
     .offset = AT(global_batch),
     .low = 1,
     .high = 1e9,
     .required = true},
    {.key = "micro", .kind = FIELD_INTEGER, .offset = AT(micro_batch), .low = 1, .high = 1e9},
    {.key = "sequence", .kind = FIELD_VALUE, .offset = AT(sequence)},
};
#define PRECISION(name, text)                                                                                \
    {                                                                                                        \
        .key = #name, .kind = FIELD_CHOICE, .offset = AT(precisions.name), .choices = precision_names,       \
        .about = text                                                                                        \
    }
const struct field workload_precision_fields[] = {
    PRECISION(weights, "of the weights that kernels read; by default as activations"),
    PRECISION(activations,
              "of activations, their gradients, their messages and of arithmetic; fp32 by default"),
    PRECISION(gradients, "of parameters' gradients; fp32 by default"),
    PRECISION(accumulation, "of gradients' sums over micro-batches; by default as gradients"),
    PRECISION(communication, "in which gradients are synchronised; by default as gradients"),
    PRECISION(optimizer,
              "of the optimizer's moments and of the master copy that narrower weights need; fp32 by "
              "default"),
};
#undef PRECISION
const uint32_t workload_precision_field_count = FIELDS_COUNT(workload_precision_fields);
static const struct field workload_precision_field = {
    .key = "precision", .kind = FIELD_CHOICE, .choices = precision_names};

/* `batch: 64` */
static const struct field workload_batch_field = {
    .key = "batch", .kind = FIELD_INTEGER, .low = 1, .high = 1e9};
#undef AT

struct workload_plan {
    int64_t tensor, data, pipeline, context;
    const struct value *convert;
    int attention;
    bool balanced;
    const char *schedule;
    int64_t chunks, in_flight, time_chunks;
    struct workload_recompute {
        int mode;             /* enum plan_recompute */
        int64_t every, chunk; /* 0: not given */
    } recompute;
    int saved; /* 0 used, 1 produced, -1: produced if sequence-parallel */
    const struct value *recompute_value;
    int64_t zero, group, prefetch;
    int keep; /* enum plan_keep */
    double bucket;
    bool overlap;
    bool lazy, sequence_parallel, barrier, rendezvous, blocking, synchronise_statistics;
    const struct value *stages, *devices, *input, *layers, *order;
    int64_t expert, expert_tensor;
};

static const char *const workload_saved[] = {"used", "produced", NULL};

#define AT(member) offsetof(struct workload_plan, member)
const struct field workload_plan_fields[] = {
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
     .about = "how tensors meet; a map: attention (gather, ulysses, ring)"},
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
     .choices = workload_saved,
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
const uint32_t workload_plan_field_count = FIELDS_COUNT(workload_plan_fields);

static const char *const workload_attention[] = {"gather", "ulysses", "ring", NULL};
static const struct field workload_convert_fields[] = {
    {.key = "attention", .kind = FIELD_CHOICE, .offset = AT(attention), .choices = workload_attention},
};
#undef AT

#define AT(member) offsetof(struct workload_recompute, member)
const struct field workload_recompute_fields[] = {
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
const uint32_t workload_recompute_field_count = FIELDS_COUNT(workload_recompute_fields);
#undef AT
static const struct field workload_recompute_field = {
    .key = "recompute", .kind = FIELD_CHOICE, .choices = recompute_names};

/* `full`, `{every: 2}`, `{chunk: 4}`. */
static bool workload_read_recompute(struct input *input, const struct value *value,
                                    struct workload_recompute *recompute)
{
    if (!value)
        return true;
    if (value->kind != VALUE_MAP)
        return fields_read_one(input, value, &workload_recompute_field, NULL, &recompute->mode);
    recompute->mode = RECOMPUTE_FULL;
    bool good = fields_read(input, value, value->place, "recompute", workload_recompute_fields,
                            workload_recompute_field_count, NULL, recompute);
    if (good && (recompute->every > 0) == (recompute->chunk > 0))
        good = report_error(&input->report, value->place, "recompute wants either 'every' or 'chunk'");
    return good;
}

static bool workload_read_plan(struct input *input, const struct workload *workload,
                               struct workload_plan *plan);

struct workload_carriers {
    struct workload_carrier *at;
    uint32_t count, room;
};

/* One algorithm: its name (a file of steps is looked for beside the workload). */
static bool workload_read_carrier(struct input *input, const struct value *value, const char *group, int kind,
                                  struct workload_carriers *out)
{
    static const struct field field = {.key = "algorithm", .kind = FIELD_TEXT};
    const char *text, *problem = NULL;
    if (!fields_read_one(input, value, &field, NULL, &text))
        return false;
    size_t length = strlen(text);
    if (length > 4 && strcmp(text + length - 4, ".csv") == 0)
        text = document_find(input, "workloads", text, value->place);
    const struct algorithm *algorithm = text ? collective_parse(text, &input->arena, &problem) : NULL;
    if (!algorithm)
        return text ? report_error(&input->report, value->place, "%s", problem) : false;
    if (kind < COLLECTIVE_KIND_COUNT && !(algorithm->kinds >> kind & 1))
        return report_error(&input->report, value->place, "'%s' cannot do %s", algorithm->name,
                            communication_names[kind]);
    VECTOR_PUSH(out, ((struct workload_carrier){group, kind, algorithm, value->place}));
    return true;
}

static int workload_kind(const char *name)
{
    int kind = 0;
    while (kind < COLLECTIVE_KIND_COUNT && strcmp(communication_names[kind], name) != 0)
        kind++;
    return kind;
}

/* `ring`, `{all-reduce: ring, tensor: bruck}`, or `{tensor: {all-reduce: ring}}`. */
static bool workload_read_carrier_map(struct input *input, const struct value *value, const char *group,
                                      struct workload_carriers *out)
{
    if (value->kind != VALUE_MAP)
        return workload_read_carrier(input, value, group, COLLECTIVE_KIND_COUNT, out);
    bool good = true;
    for (uint32_t i = 0; i < value->count; i++) {
        const struct entry *entry = &value->entries[i];
        int kind = workload_kind(entry->key);
        if (kind < COLLECTIVE_KIND_COUNT)
            good = workload_read_carrier(input, entry->value, group, kind, out) && good;
        else if (group)
            good = fields_no_such(input, entry->place, "kind of collective", entry->key, communication_names,
                                  COLLECTIVE_KIND_COUNT);
        else
            good = workload_read_carrier_map(input, entry->value, entry->key, out) && good;
    }
    return good;
}

/* The most specific first: group and kind, group, kind, all. */
static bool workload_read_carriers(struct input *input, struct workload *workload)
{
    struct workload_carriers read = {0};
    bool good = workload_read_carrier_map(input, workload->algorithm, NULL, &read);
    struct workload_carrier *sorted = ARENA_ARRAY(&input->arena, struct workload_carrier, read.count + 1);
    for (uint32_t rank = 0; rank < 4; rank++)
        for (uint32_t i = 0; i < read.count; i++)
            if (rank == (read.at[i].group ? 0u : 2u) + (read.at[i].kind == COLLECTIVE_KIND_COUNT))
                sorted[workload->carrier_count++] = read.at[i];
    workload->carriers = sorted;
    VECTOR_FREE(&read);
    return good;
}

static bool workload_read_network(struct input *input, struct workload *workload)
{
    const struct value *network = workload->network;
    if (!fields_want_map(input, network, network->place, "network") ||
        !fields_read(input, network, network->place, "network", workload_network_fields,
                     workload_network_field_count, NULL, workload))
        return false;
    return !workload->algorithm || workload_read_carriers(input, workload);
}

/* The workload's own keys: a trace stands for the model. */
static bool workload_read_own(struct input *input, const struct value *document, struct workload *workload)
{
    struct field fields[FIELDS_COUNT(workload_fields)];
    for (size_t i = 0; i < FIELDS_COUNT(workload_fields); i++) {
        fields[i] = workload_fields[i];
        fields[i].required = fields[i].required && !value_get(document, "trace");
    }
    return fields_read(input, document, document->place, "workload", fields, FIELDS_COUNT(fields), NULL,
                       workload);
}

bool workload_read(struct input *input, const struct value *document, struct workload *workload)
{
    *workload = (struct workload){.name = "unnamed",
                                  .about = "",
                                  .precisions = {-1, -1, -1, -1, -1, -1},
                                  .gradients = -1,
                                  .global_batch = 1,
                                  .optimizer = OPTIMIZER_SGD,
                                  .level = WORKLOAD_LEVEL_FLUID,
                                  .place = document->place};
    bool good = workload_read_own(input, document, workload);
    if (workload->precision && workload->precision->kind == VALUE_MAP)
        good &= fields_read(input, workload->precision, workload->precision->place, "precision",
                            workload_precision_fields, workload_precision_field_count, NULL, workload);
    else if (workload->precision)
        good &= fields_read_one(input, workload->precision, &workload_precision_field, NULL,
                                &workload->precisions.activations);
    const struct value *batch = workload->batch;
    if (batch && batch->kind == VALUE_MAP)
        good &= fields_read(input, batch, batch->place, "batch", workload_batch_fields,
                            FIELDS_COUNT(workload_batch_fields), NULL, workload);
    else if (batch)
        good &= fields_read_one(input, batch, &workload_batch_field, NULL, &workload->global_batch);
    struct workload_plan plan; /* only checked here, so that its errors come with the others */
    good &= workload_read_plan(input, workload, &plan);
    if (workload->network)
        good &= workload_read_network(input, workload);
    if (!workload->steps)
        workload->steps = workload->step == 0 ? 2 : 1;
    return good;
}

/* Whether a schedule is a file of actions rather than a name. */
static bool workload_file(const char *schedule)
{
    size_t length = strlen(schedule);
    return length > 4 && strcmp(schedule + length - 4, ".csv") == 0;
}

static bool workload_known_schedule(struct input *input, const struct workload *workload,
                                    const struct workload_plan *plan)
{
    if (!plan->schedule || schedule_find(plan->schedule) || workload_file(plan->schedule))
        return true;
    const char *known[64];
    uint32_t count = 0;
    for (; count < 64 && schedule_table[count]; count++)
        known[count] = schedule_table[count]->name;
    return fields_no_such(input, value_get(workload->plan, "schedule")->place, "schedule", plan->schedule,
                          known, count);
}

static bool workload_read_plan(struct input *input, const struct workload *workload,
                               struct workload_plan *plan)
{
    *plan = (struct workload_plan){.tensor = 1,
                                   .pipeline = 1,
                                   .context = 1,
                                   .balanced = true,
                                   .barrier = true,
                                   .saved = -1,
                                   .prefetch = 1,
                                   .overlap = true};
    if (!workload->plan || workload->plan->kind == VALUE_NULL)
        return true;
    bool good = fields_read(input, workload->plan, workload->plan->place, "plan", workload_plan_fields,
                            workload_plan_field_count, NULL, plan);
    good = workload_known_schedule(input, workload, plan) && good;
    if (plan->convert)
        good = fields_want_map(input, plan->convert, plan->convert->place, "convert") &&
               fields_read(input, plan->convert, plan->convert->place, "convert", workload_convert_fields,
                           FIELDS_COUNT(workload_convert_fields), NULL, plan) &&
               good;
    good = workload_read_recompute(input, plan->recompute_value, &plan->recompute) && good;
    if (good && workload->step == 1 && plan->zero)
        good = report_error(
            &input->report, value_get(workload->plan, "zero")->place,
            "plan.zero is about training: in inference every device keeps the parameters that it "
            "uses");
    if (plan->stages && good) {
        static const char *const degrees[] = {"tensor",     "data",    "pipeline",          "context",
                                              "balanced",   "convert", "sequence-parallel", "devices",
                                              "zero-group", "expert",  "expert-tensor",     "order"};
        for (uint32_t i = 0; i < FIELDS_COUNT(degrees); i++)
            if (value_get(workload->plan, degrees[i]))
                good = report_error(
                    &input->report, value_get(workload->plan, degrees[i])->place,
                    "plan.%s cannot stand beside plan.stages: each stage says its own split and devices",
                    degrees[i]);
    }
    return good;
}

/* Devices that a plan of degrees may use; false after reporting. */
static bool workload_devices(struct input *input, const struct workload_plan *plan,
                             const struct platform *platform, struct index_list *devices)
{
    if (plan->devices)
        return topology_select(input, platform, plan->devices, devices);
    platform_list_workers(platform, devices);
    return true;
}

static void workload_degrees(const struct workload_plan *plan, char *text, size_t size)
{
    char context[32] = "";
    if (plan->context > 1)
        snprintf(context, sizeof context, "context %lld x ", (long long)plan->context);
    snprintf(text, size, "tensor %lld x %spipeline %lld", (long long)plan->tensor, context,
             (long long)plan->pipeline);
}

/* The data-parallel degree: as given, or what tensor and pipeline leave of the devices in training. 0 after
 * reporting. */
static int64_t workload_data(struct input *input, const struct workload *workload,
                             const struct workload_plan *plan, const struct index_list *devices)
{
    int64_t count = devices->count, others = plan->tensor * plan->context * plan->pipeline;
    struct place place = workload->plan ? workload->plan->place : workload->place;
    char degrees[96];
    workload_degrees(plan, degrees, sizeof degrees);
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
static int64_t workload_micro(struct input *input, const struct workload *workload, int64_t data,
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

uint64_t workload_model_batch(struct input *input, const struct workload *workload,
                              const struct platform *platform)
{
    struct workload_plan plan;
    if (!workload_read_plan(input, workload, &plan))
        return 0;
    if (plan.stages)
        return (uint64_t)workload_micro(input, workload, 1, plan.stages->count);
    struct index_list devices = {0};
    int64_t data = 0, micro = 0;
    if (workload_devices(input, &plan, platform, &devices))
        data = workload_data(input, workload, &plan, &devices);
    if (data)
        micro = workload_micro(input, workload, data, plan.pipeline);
    VECTOR_FREE(&devices);
    return (uint64_t)(data * micro);
}

static enum precision workload_precision(int given, enum precision otherwise)
{
    return given >= 0 ? (enum precision)given : otherwise;
}

static void workload_precisions(const struct workload *workload, struct plan *plan)
{
    const struct workload_precision *given = &workload->precisions;
    plan_precisions(plan, workload_precision(given->activations, FP32));
    plan->weight_precision = workload_precision(given->weights, plan->precision);
    plan->gradient_precision =
        workload_precision(given->gradients, workload_precision(workload->gradients, FP32));
    plan->accumulation_precision = workload_precision(given->accumulation, plan->gradient_precision);
    plan->communication_precision = workload_precision(given->communication, plan->gradient_precision);
    plan->optimizer_precision = workload_precision(given->optimizer, FP32);
}

static void workload_fill(const struct workload *workload, const struct workload_plan *read,
                          struct plan *plan)
{
    plan->training = workload->step == 0;
    workload_precisions(workload, plan);
    plan->optimizer = (enum plan_optimizer)workload->optimizer;
    plan->attention = (enum plan_attention)read->attention;
    plan->recompute = (enum plan_recompute)read->recompute.mode;
    plan->recompute_every = (uint32_t)read->recompute.every;
    plan->recompute_chunk = (uint32_t)read->recompute.chunk;
    plan->save_produced = read->saved < 0 ? read->sequence_parallel : read->saved == 1;
    plan->zero = (uint32_t)read->zero;
    plan->zero_keep = (enum plan_keep)read->keep;
    plan->zero_prefetch = (uint32_t)read->prefetch;
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
}

static struct place workload_schedule_place(const struct workload *workload)
{
    const struct value *value = workload->plan ? value_get(workload->plan, "schedule") : NULL;
    return value ? value->place : workload->plan ? workload->plan->place : workload->place;
}

/* Reads the order of a file. */
static bool workload_orders(struct input *input, const struct workload *workload, const char *name,
                            struct plan *plan)
{
    struct place place = workload_schedule_place(workload);
    const char *path = document_find(input, "workloads", name, place);
    if (!path)
        return false;
    plan->schedule = &schedule_csv_file;
    plan->orders = vector_grow(NULL, &(uint32_t){0}, sizeof *plan->orders);
    return schedule_csv_read(input, path, plan->training, place, plan->orders);
}

static bool workload_schedule(struct input *input, const struct workload *workload,
                              const struct workload_plan *read, struct plan *plan)
{
    plan->schedule = plan->training ? &one_f_one_b_schedule : &inference_schedule;
    plan->in_flight = (uint32_t)read->in_flight;
    plan->blocking = read->blocking;
    struct place place = workload_schedule_place(workload);
    if (read->schedule && workload_file(read->schedule))
        return workload_orders(input, workload, read->schedule, plan);
    if (read->schedule)
        plan->schedule = schedule_find(read->schedule); /* known: checked when read */
    plan->time_chunks = (uint32_t)read->time_chunks;
    plan->chunks = (uint32_t)read->chunks;
    if (!plan->chunks)
        plan->chunks = plan->schedule->fewest_chunks ? plan->schedule->fewest_chunks : 1;
    if (plan->schedule->training != plan->training)
        return report_error(&input->report, place, "schedule %s is for %s; this step is %s",
                            plan->schedule->name, plan->training ? "inference" : "training",
                            plan->training ? "training" : "inference");
    if (plan->schedule->asynchronous && workload->plan && value_get(workload->plan, "barrier") &&
        read->barrier)
        return report_error(&input->report, value_get(workload->plan, "barrier")->place,
                            "schedule %s never meets before the optimizer: it is asynchronous",
                            plan->schedule->name);
    return true;
}

/* Whether the schedule can be made for these devices and micro-batches. */
static bool workload_schedulable(struct input *input, const struct workload *workload, struct plan *plan)
{
    struct place place = workload_schedule_place(workload);
    struct schedule_shape shape = scheduled_shape(plan);
    char text[128];
    if (plan->orders && plan->orders->micro_batches != plan->micro_batches)
        return report_error(&input->report, place,
                            "this schedule is for %u micro-batches; the step has %u (batch.global, "
                            "batch.micro and plan.data decide)",
                            plan->orders->micro_batches, plan->micro_batches);
    if (plan->orders || !plan->training)
        return true;
    if (shape.devices * shape.chunks * (plan->schedule->placement == SCHEDULE_BOTH ? 2 : 1) !=
        plan->stages.count)
        return report_error(&input->report, place, "%u stages are not a multiple of %u chunks",
                            plan->stages.count, shape.chunks);
    const char *problem = schedule_problem(plan->schedule, &shape, text, sizeof text);
    return !problem ||
           report_error(&input->report, place, "schedule %s %s; there are %u devices and %u micro-batches",
                        plan->schedule->name, problem, shape.devices, shape.micro_batches);
}

static bool workload_input(struct input *input, const struct workload_plan *read, struct plan *plan)
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
static bool workload_computes(struct input *input, const struct workload *workload, const struct plan *plan)
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
static struct mesh_experts workload_experts(const struct workload *workload, const struct workload_plan *read)
{
    if (!read->expert && !read->expert_tensor)
        return (struct mesh_experts){0};
    const char *key = read->expert ? "expert" : "expert-tensor";
    return (struct mesh_experts){.expert = read->expert ? (uint32_t)read->expert : 1,
                                 .tensor =
                                     (uint32_t)(read->expert_tensor ? read->expert_tensor : read->tensor),
                                 .place = value_get(workload->plan, key)->place};
}

/* Shares are made among equal parts of the data-parallel devices, and in training. */
static bool workload_group(struct input *input, const struct workload *workload,
                           const struct workload_plan *read, int64_t data)
{
    if (!read->group || data % read->group == 0)
        return true;
    return report_error(&input->report, value_get(workload->plan, "zero-group")->place,
                        "a group of %lld does not divide the %lld data-parallel devices",
                        (long long)read->group, (long long)data);
}

/* Says so where `balanced: yes` was asked for and changes nothing. */
static void workload_balanced(struct input *input, const struct workload *workload,
                              const struct workload_plan *read, const struct plan *plan)
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

bool workload_plan(struct input *input, const struct workload *workload, struct platform *platform,
                   struct model *model, struct plan *plan)
{
    struct workload_plan read;
    plan->model = model;
    plan->platform = platform;
    if (!workload_read_plan(input, workload, &read))
        return false;
    workload_fill(workload, &read, plan);
    bool good = workload_schedule(input, workload, &read, plan) && workload_input(input, &read, plan);
    if (!good)
        return false;
    if (read.stages) {
        plan->micro_batch = model->batch;
        good = stages_read(input, read.stages, read.lazy, plan, read.layers != NULL) &&
               stages_mirror(input, plan);
    } else {
        struct index_list devices = {0};
        good = workload_devices(input, &read, platform, &devices);
        int64_t data = good ? workload_data(input, workload, &read, &devices) : 0;
        good = data > 0 && workload_group(input, workload, &read, data);
        if (good) {
            plan->micro_batch = model->batch / (uint64_t)data;
            struct stages_degrees degrees = {(uint32_t)data,
                                             (uint32_t)read.context,
                                             (uint32_t)read.tensor,
                                             (uint32_t)read.pipeline,
                                             plan->chunks,
                                             (uint32_t)(read.group ? read.group : data),
                                             read.sequence_parallel,
                                             workload_experts(workload, &read),
                                             read.order,
                                             read.balanced,
                                             read.lazy,
                                             workload->plan ? workload->plan->place : workload->place};
            good = stages_expand(input, &degrees, &devices, plan);
            workload_balanced(input, workload, &read, plan);
        }
        VECTOR_FREE(&devices);
    }
    good = good && (!read.layers || mesh_layers(input, read.layers, plan));
    shard_mark(plan);
    good = good && workload_computes(input, workload, plan);
    plan->micro_batches = (uint32_t)(plan->global_batch / model->batch);
    return good && workload_schedulable(input, workload, plan);
}
