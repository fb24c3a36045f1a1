#include "plan/workload.h"

#include "plan/optimizer.h"
#include "plan/plan_keys.h"
#include "plan/workload_network.h"

#include <string.h>

/* With things kept elsewhere, the second step still meets the first update: the third is like those after it.
 */
enum { WORKLOAD_OFFLOAD_STEPS = 3 };

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
     .about = "samples per step, or a map: global, micro, sequence, generate"},
    {.key = "precision",
     .kind = FIELD_VALUE,
     .offset = AT(precision),
     .about =
         "of weights, activations and messages, or a map: weights, activations, gradients, accumulation, "
         "communication, optimizer, cache"},
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

static const struct field workload_batch_fields[] = {
    {.key = "global",
     .kind = FIELD_INTEGER,
     .offset = AT(global_batch),
     .low = 1,
     .high = 1e9,
     .required = true},
    {.key = "micro", .kind = FIELD_INTEGER, .offset = AT(micro_batch), .low = 1, .high = 1e9},
    {.key = "sequence", .kind = FIELD_VALUE, .offset = AT(sequence)},
    {.key = "generate", .kind = FIELD_INTEGER, .offset = AT(generate), .low = 1, .high = 1e6},
};

/* `batch: 64` */
static const struct field workload_batch_field = {
    .key = "batch", .kind = FIELD_INTEGER, .low = 1, .high = 1e9};

#define PRECISION(name, text)                                                                                \
    {                                                                                                        \
        .key = #name, .kind = FIELD_CHOICE, .offset = AT(precisions.name), .choices = precision_names,       \
        .about = text                                                                                        \
    }
static const struct field workload_precision_fields[] = {
    PRECISION(weights, "of the weights that kernels read; by default as activations"),
    PRECISION(activations,
              "of activations, their gradients, their messages and of arithmetic; fp32 by default"),
    PRECISION(gradients, "of parameters' gradients; fp32 by default"),
    PRECISION(accumulation, "of gradients' sums over micro-batches; by default as gradients"),
    PRECISION(communication, "in which gradients are synchronised; by default as gradients"),
    PRECISION(optimizer,
              "of the optimizer's moments and of the master copy that narrower weights need; fp32 by "
              "default"),
    PRECISION(cache, "of keys and values that are kept for later tokens; by default as activations"),
};
#undef PRECISION

static const struct field workload_precision_field = {
    .key = "precision", .kind = FIELD_CHOICE, .choices = precision_names};

#undef AT

/* The workload's own keys: a trace stands for the model. */
static bool workload_own(struct input *input, const struct value *document, struct workload *workload)
{
    struct field fields[FIELDS_COUNT(workload_fields)];
    for (size_t i = 0; i < FIELDS_COUNT(workload_fields); i++) {
        fields[i] = workload_fields[i];
        fields[i].required = fields[i].required && !value_get(document, "trace");
    }
    return fields_read(input, document, document->place, "workload", fields, FIELDS_COUNT(fields), NULL,
                       workload);
}

/* A number is checked here, so that the message names it and not a dimension of the model. */
static bool workload_sequence(struct input *input, const struct value *sequence)
{
    static const struct field field = {.key = "sequence", .kind = FIELD_INTEGER, .low = 1, .high = 1e9};
    int64_t number;
    bool plain = sequence && sequence->kind == VALUE_SCALAR &&
                 strspn(sequence->text, "+-.0123456789") == strlen(sequence->text);
    return !plain || fields_read_one(input, sequence, &field, NULL, &number);
}

bool workload_read(struct input *input, const struct value *document, struct workload *workload)
{
    *workload = (struct workload){.name = "unnamed",
                                  .about = "",
                                  .precisions = {-1, -1, -1, -1, -1, -1, -1},
                                  .gradients = -1,
                                  .global_batch = 1,
                                  .optimizer = OPTIMIZER_SGD,
                                  .level = WORKLOAD_NETWORK_FLUID,
                                  .place = document->place};
    bool good = workload_own(input, document, workload);
    if (workload->precision && workload->precision->kind == VALUE_MAP)
        good &=
            fields_read(input, workload->precision, workload->precision->place, "precision",
                        workload_precision_fields, FIELDS_COUNT(workload_precision_fields), NULL, workload);
    else if (workload->precision)
        good &= fields_read_one(input, workload->precision, &workload_precision_field, NULL,
                                &workload->precisions.activations);
    const struct value *batch = workload->batch;
    if (batch && batch->kind == VALUE_MAP)
        good &= fields_read(input, batch, batch->place, "batch", workload_batch_fields,
                            FIELDS_COUNT(workload_batch_fields), NULL, workload);
    else if (batch)
        good &= fields_read_one(input, batch, &workload_batch_field, NULL, &workload->global_batch);
    good &= workload_sequence(input, workload->sequence);
    struct plan_keys plan; /* only checked here, so that its errors come with the others */
    good &= plan_keys_read(input, workload, &plan);
    if (workload->network)
        good &= workload_network_read(input, workload);
    if (!workload->steps)
        workload->steps = workload->step == 1 ? 1 : good && plan.offload_value ? WORKLOAD_OFFLOAD_STEPS : 2;
    return good;
}
