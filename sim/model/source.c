/* The model's inputs: tensors that nothing computes. */
#include "model/builder.h"

#include <stddef.h>
#include <string.h>

struct source_keys {
    const struct value *dims;
    bool discrete, batched;
};

/* The batch dimension comes first by itself. */
static bool source_input_build(struct builder *builder, const void *values)
{
    const struct source_keys *keys = values;
    struct tensor tensor = {.layer = builder->layer,
                            .producer = MODEL_NONE,
                            .role = TENSOR_INPUT,
                            .discrete = keys->discrete,
                            .name = builder->model->layers.at[builder->layer].name,
                            .rank = keys->batched};
    if (keys->batched)
        tensor.dims[0] =
            (struct tensor_dim){.label = builder_name(builder, "b"), .size = builder->model->batch};
    if (!fields_want_map(builder->input, keys->dims, builder->place, "`dims`"))
        return !(builder->failed = true);
    if (keys->dims->count == 0 || keys->dims->count + keys->batched > TENSOR_DIMS ||
        (keys->batched && value_get(keys->dims, "b")))
        return builder_error(builder,
                             "needs 1 to %d dimensions besides the batch b, which is added by itself",
                             (int)TENSOR_DIMS - 1);
    for (uint32_t i = 0; i < keys->dims->count; i++) {
        const struct entry *entry = &keys->dims->entries[i];
        int64_t size;
        if (!builder_integer(builder, entry->value, entry->key, 1, &size))
            return false;
        tensor.dims[tensor.rank++] =
            (struct tensor_dim){.label = builder_label(builder, entry->key), .size = (uint64_t)size};
        if (model_elements(&tensor) > 9e18)
            return builder_error(builder, "has more than 9e18 elements");
    }
    builder->model->layers.at[builder->layer].output = builder->model->tensors.count;
    VECTOR_PUSH(&builder->model->tensors, tensor);
    return true;
}

static const struct field source_fields[] = {
    {"dims", FIELD_VALUE, offsetof(struct source_keys, dims), .required = true,
     .about = "labelled sizes without the batch, such as {c: 3, y: 224, x: 224} or {s: sequence}"},
    {"discrete", FIELD_FLAG, offsetof(struct source_keys, discrete),
     .about = "token identities (4-byte integers) rather than numbers; default no"},
    {"batched", FIELD_FLAG, offsetof(struct source_keys, batched),
     .about = "the batch is its first dimension; no: its dimensions are those of `dims`; default yes"},
};
static const struct source_keys source_defaults = {.batched = true};

const struct layer_kind source_input_layer = {
    .name = "input",
    .about = "an input of the model",
    .fields = source_fields,
    .field_count = FIELDS_COUNT(source_fields),
    .build = source_input_build,
    .keys_size = sizeof(struct source_keys),
    .defaults = &source_defaults,
};
