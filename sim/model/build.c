/* Build: the top of a model file (its parameters, blocks and attributes), and the table of layer kinds. */
#include "model/build.h"

#include "model/expand.h"
#include "model/parameter.h"

#include <stddef.h>
#include <string.h>

const struct layer_kind *const build_kinds[] = {
    &source_input_layer,
    &conv_layer,
    &conv_transposed_layer,
    &conv_pool_layer,
    &fc_layer,
    &norm_layer,
    &pointwise_act_layer,
    &pointwise_add_layer,
    &pointwise_multiply_layer,
    &pointwise_glu_layer,
    &pointwise_dropout_layer,
    &pointwise_scale_layer,
    &pointwise_rotary_layer,
    &view_concat_layer,
    &view_flatten_layer,
    &view_sequence_layer,
    &view_select_layer,
    &view_prepend_layer,
    &resample_reorg_layer,
    &resample_upsample_layer,
    &embedding_layer,
    &embedding_position_layer,
    &attention_layer,
    &recurrent_lstm_layer,
    &recurrent_gru_layer,
    &recurrent_rnn_layer,
    &softmax_layer,
    &softmax_loss_layer,
    &einsum_layer,
    &einsum_reduce_layer,
    &general_elementwise_layer,
    &general_reshape_layer,
    &general_transpose_layer,
    &general_rearrange_layer,
    &general_lookup_layer,
    &general_parameter_layer,
    &moe_layer,
    &tables_layer,
    &tables_pairs_layer,
    NULL,
};

static const char *const build_attentions[] = {"full", "causal", NULL};
static const char *const build_samples[] = {"sample", "image", "sequence", NULL};

struct build_keys {
    const char *name, *about, *source;
    int attention, sample;
    const struct value *parameters, *blocks, *layers;
};

static const struct field build_fields[] = {
    {"name", FIELD_TEXT, offsetof(struct build_keys, name), .about = "what reports call the model"},
    {"about", FIELD_TEXT, offsetof(struct build_keys, about), .about = "one line"},
    {"source", FIELD_TEXT, offsetof(struct build_keys, source), .about = "where its numbers come from"},
    {"sample", FIELD_CHOICE, offsetof(struct build_keys, sample), .choices = build_samples,
     .about = "what one element of the batch is: image, sequence or sample"},
    {"attention", FIELD_CHOICE, offsetof(struct build_keys, attention), .choices = build_attentions,
     .about = "how causal attention is counted: full, or causal (half); default full"},
    {"parameters", FIELD_VALUE, offsetof(struct build_keys, parameters),
     .about = "named numbers and texts for expressions, with defaults"},
    {"blocks", FIELD_VALUE, offsetof(struct build_keys, blocks), .about = "named lists of layers"},
    {"layers", FIELD_VALUE, offsetof(struct build_keys, layers), .required = true,
     .about = "the layers, in order"},
};

struct build_block_keys {
    const struct value *parameters, *inputs, *layers;
    const char *result;
};

static const struct field build_block_fields[] = {
    {"parameters", FIELD_VALUE, offsetof(struct build_block_keys, parameters),
     .about = "named numbers and texts that each use may set, with defaults"},
    {"inputs", FIELD_VALUE, offsetof(struct build_block_keys, inputs),
     .about = "names of its inputs, in the order of `from`; default [input]"},
    {"layers", FIELD_VALUE, offsetof(struct build_block_keys, layers), .required = true,
     .about = "its layers"},
    {"result", FIELD_TEXT, offsetof(struct build_block_keys, result),
     .about = "the layer that it gives; default: the last"},
};

/* Absent is well; present must be a map. */
static bool build_optional_map(struct input *input, const struct value **value, const char *what)
{
    if (*value && (*value)->kind == VALUE_NULL)
        *value = NULL;
    return !*value || fields_want_map(input, *value, (*value)->place, what);
}

/* Whether a key of an item means something else already: then it cannot set a parameter. */
static bool build_is_reserved(const char *key, const char *block)
{
    for (int k = 0; expand_item_keys[k]; k++)
        if (strcmp(key, expand_item_keys[k]) == 0)
            return true;
    return strcmp(key, block) == 0;
}

static bool build_check_parameters(struct input *input, const struct value *parameters, const char *block)
{
    bool well = true;
    for (uint32_t i = 0; parameters && i < parameters->count; i++)
        if (build_is_reserved(parameters->entries[i].key, block))
            well = report_error(&input->report, parameters->entries[i].place,
                                "'%s' cannot be the name of a parameter", parameters->entries[i].key);
    return well;
}

static bool build_check_inputs(struct input *input, const struct value *inputs)
{
    if (!inputs)
        return true;
    if (!fields_want_list(input, inputs, inputs->place, "`inputs`"))
        return false;
    if (inputs->count == 0 || inputs->count > OPERATOR_OPERANDS)
        return report_error(&input->report, inputs->place, "a block has 1 to %d inputs",
                            (int)OPERATOR_OPERANDS);
    for (uint32_t i = 0; i < inputs->count; i++)
        if (!expand_check_name(input, inputs->entries[i].value, "an input"))
            return false;
    return true;
}

static bool build_read_block(struct expand *expand, const struct entry *entry)
{
    struct input *input = expand->builder.input;
    struct build_block_keys keys = {0};
    const char *what = arena_format(&input->arena, "block '%s'", entry->key);
    for (int i = 0; build_kinds[i]; i++)
        if (strcmp(build_kinds[i]->name, entry->key) == 0)
            return report_error(&input->report, entry->place, "block '%s' has the name of a layer kind",
                                entry->key);
    if (!fields_read(input, entry->value, entry->place, what, build_block_fields,
                     FIELDS_COUNT(build_block_fields), NULL, &keys) ||
        !build_optional_map(input, &keys.parameters, "`parameters`") ||
        !build_check_parameters(input, keys.parameters, entry->key) ||
        !build_check_inputs(input, keys.inputs) ||
        !fields_want_list(input, keys.layers, entry->place, "`layers`"))
        return false;
    struct block block = {.name = entry->key,
                          .place = entry->place,
                          .parameters = keys.parameters,
                          .inputs = keys.inputs,
                          .layers = keys.layers,
                          .result = keys.result};
    VECTOR_PUSH(&expand->blocks, block);
    return true;
}

static bool build_read_blocks(struct expand *expand, const struct value *blocks)
{
    bool well = true;
    for (uint32_t i = 0; blocks && i < blocks->count; i++)
        well = build_read_block(expand, &blocks->entries[i]) && well;
    return well;
}

static bool build_read_top(struct input *input, const struct value *document, const struct value *set,
                           struct build_keys *keys)
{
    static const char *const known[] = {"attention", NULL};
    const struct value *attention = value_get(set, "attention");
    return fields_read(input, document, document->place, "a model", build_fields, FIELDS_COUNT(build_fields),
                       NULL, keys) &&
           build_optional_map(input, &keys->parameters, "`parameters`") &&
           build_optional_map(input, &keys->blocks, "`blocks`") &&
           fields_want_list(input, keys->layers, document->place, "`layers`") &&
           (!set || set->kind == VALUE_NULL || fields_want_map(input, set, set->place, "`set`")) &&
           parameter_check(input, keys->parameters, set, known, "the model's parameters") &&
           (!attention || fields_read_one(input, attention, &build_fields[4], NULL, &keys->attention));
}

/* Sequence length of the first input of tokens. */
static double build_tokens(const struct model *model)
{
    uint32_t s = names_find(model->names, "s"), t = names_find(model->names, "t");
    for (uint32_t i = 0; i < model->tensors.count; i++) {
        const struct tensor *tensor = &model->tensors.at[i];
        if (tensor->role != TENSOR_INPUT || !tensor->discrete)
            continue;
        for (uint32_t k = 0; k < tensor->rank; k++)
            if (tensor->dims[k].label == s || tensor->dims[k].label == t)
                return (double)tensor->dims[k].size;
    }
    return 0;
}

static uint32_t build_kind_count(void)
{
    uint32_t count = 0;
    while (build_kinds[count])
        count++;
    return count;
}

/* Whether counts of parameters stay within 64 bits. */
static bool build_check_size(struct input *input, const struct build_keys *keys, const struct model *model)
{
    double elements = 0;
    for (uint32_t i = 0; i < model->tensors.count; i++)
        if (model->tensors.at[i].role == TENSOR_PARAMETER)
            elements += model_elements(&model->tensors.at[i]);
    return elements < 9e18 ||
           report_error(&input->report, keys->layers->place,
                        "the model has %.2g parameters, more than the 9e18 that are counted", elements);
}

static bool build_layers(struct expand *expand, const struct build_keys *keys, const struct value *set)
{
    struct input *input = expand->builder.input;
    struct scope base = {0}, parameters = {.outer = &base};
    struct frame frame = {.prefix = "", .scope = &parameters, .previous = MODEL_NONE};
    scope_bind(&base, "batch", (struct quantity){.number = (double)expand->builder.model->batch});
    expand->parameters = &parameters;
    bool well = build_read_blocks(expand, keys->blocks) &&
                parameter_bind(input, &parameters, keys->parameters, set, &parameters, keys->layers->place) &&
                expand_items(expand, &frame, keys->layers);
    if (well && expand->builder.model->layers.count == 0)
        well = report_error(&input->report, keys->layers->place, "the model has no layers");
    well = well && build_check_size(input, keys, expand->builder.model);
    scope_fini(&parameters);
    scope_fini(&base);
    return well;
}

bool build_model(struct input *input, const struct value *document, const struct value *set, uint64_t batch,
                 struct model *model)
{
    struct build_keys keys = {0};
    struct expand expand = {.builder = {.input = input, .model = model}};
    if (!build_read_top(input, document, set, &keys))
        return false;
    model->name = names_add(model->names, keys.name ? keys.name : "model");
    model->batch = batch;
    model->sample = build_samples[keys.sample];
    model->causal = keys.attention == 1;
    expand.tables = ARENA_ARRAY(&input->arena, struct field *, build_kind_count());
    expand.keys = arena_alloc(&input->arena, 512 + sizeof(void *));
    bool well = build_layers(&expand, &keys, set);
    model->tokens = build_tokens(model);
    VECTOR_FREE(&expand.builder.named);
    VECTOR_FREE(&expand.blocks);
    return well;
}
