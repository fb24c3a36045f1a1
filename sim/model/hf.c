#include "model/hf.h"

#include "model/activation.h"

#include <stdarg.h>
#include <string.h>

const struct hf_architecture *const hf_architectures[] = {&hf_decoders_llama,    &hf_decoders_mistral,
                                                          &hf_decoders_qwen2,    &hf_decoders_qwen3,
                                                          &hf_decoders_gemma,    &hf_decoders_gemma2,
                                                          &hf_decoders_phi3,     &hf_decoders_gpt2,
                                                          &hf_decoders_gpt_neox, &hf_decoders_opt,
                                                          &hf_decoders_bloom,    &hf_decoders_falcon,
                                                          &hf_experts_mixtral,   &hf_experts_qwen2,
                                                          &hf_experts_qwen3,     &hf_experts_deepseek2,
                                                          &hf_experts_deepseek3, &hf_encoders_bert,
                                                          &hf_encoders_roberta,  &hf_encoders_t5,
                                                          &hf_encoders_vit,      NULL};

bool hf_is(const struct value *document)
{
    return document && value_get(document, "model_type") && !value_get(document, "layers");
}

/* Whether the null that JSON writes; a YAML reader would call it nothing as well. */
static bool is_null(const struct value *value)
{
    return value->kind == VALUE_NULL ||
           (value->kind == VALUE_SCALAR && !value->quoted && value_is_null_word(value->text));
}

const struct value *hf_field(const struct hf *hf, const char *names)
{
    while (*names) {
        size_t length = strcspn(names, "|");
        for (uint32_t i = 0; i < hf->config->count; i++) {
            const struct entry *entry = &hf->config->entries[i];
            if (strlen(entry->key) == length && strncmp(entry->key, names, length) == 0 &&
                !is_null(entry->value))
                return entry->value;
        }
        names += length + (names[length] == '|');
    }
    return NULL;
}

static const char *first_name(struct hf *hf, const char *names)
{
    return arena_format(&hf->input->arena, "%.*s", (int)strcspn(names, "|"), names);
}

static bool whole_number(struct hf *hf, const struct value *value, const char *names, double low,
                         int64_t *out)
{
    const struct field field = {
        .key = first_name(hf, names), .kind = FIELD_INTEGER, .low = low, .high = 1e12};
    return fields_read_one(hf->input, value, &field, NULL, out);
}

bool hf_number(struct hf *hf, const char *names, int64_t otherwise, int64_t *out)
{
    const struct value *value = hf_field(hf, names);
    *out = otherwise;
    return !value || whole_number(hf, value, names, 0, out);
}

bool hf_flag(struct hf *hf, const char *names, bool otherwise, bool *out)
{
    const struct value *value = hf_field(hf, names);
    const struct field field = {.key = first_name(hf, names), .kind = FIELD_FLAG};
    *out = otherwise;
    return !value || fields_read_one(hf->input, value, &field, NULL, out);
}

/* Replaces what was set before. */
void hf_set(struct hf *hf, const char *parameter, const char *format, ...)
{
    struct arena *arena = &hf->input->arena;
    va_list arguments;
    va_start(arguments, format);
    const char *text = arena_vformat(arena, format, arguments);
    va_end(arguments);
    struct value *value = value_new_scalar(arena, hf->config->place, text, false);
    struct entry *entry = value_entry(hf->parameters, parameter);
    if (entry)
        entry->value = value;
    else
        value_put(arena, hf->parameters, parameter, hf->config->place, value);
}

static void set_all(struct hf *hf, const struct hf_setting *settings)
{
    for (; settings && settings->parameter; settings++)
        hf_set(hf, settings->parameter, "%s", settings->value);
}

/* The library's names of activation functions; those that cost alike are one here. */
static bool set_activation(struct hf *hf, const char *parameter, const struct value *value)
{
    static const struct {
        const char *name;
        enum activation activation;
    } known[] = {
        {"relu", ACTIVATION_RELU},        {"silu", ACTIVATION_SILU},
        {"swish", ACTIVATION_SILU},       {"gelu", ACTIVATION_GELU},
        {"gelu_new", ACTIVATION_GELU},    {"gelu_fast", ACTIVATION_GELU},
        {"tanh", ACTIVATION_TANH},        {"gelu_pytorch_tanh", ACTIVATION_GELU},
        {"gelu_10", ACTIVATION_GELU},     {"gelu_accurate", ACTIVATION_GELU},
        {"gelu_python", ACTIVATION_GELU}, {"quick_gelu", ACTIVATION_SILU},
        {"sigmoid", ACTIVATION_SIGMOID},  {"leaky_relu", ACTIVATION_LEAKY_RELU},
        {"relu6", ACTIVATION_RELU6},      {"linear", ACTIVATION_IDENTITY},
    };
    const char *names[FIELDS_COUNT(known)];
    for (size_t i = 0; i < FIELDS_COUNT(known); i++) {
        names[i] = known[i].name;
        if (value->kind == VALUE_SCALAR && strcmp(value->text, known[i].name) == 0) {
            hf_set(hf, parameter, "%s", activation_names[known[i].activation]);
            return true;
        }
    }
    return fields_no_such(hf->input, value->place, "activation function",
                          value->kind == VALUE_SCALAR ? value->text
                                                      : value_describe(value, &hf->input->arena),
                          names, FIELDS_COUNT(known));
}

static bool set_field(struct hf *hf, const struct hf_key *key, const struct value *value)
{
    int64_t number;
    bool flag;
    if (key->kind == HF_ACTIVATION)
        return set_activation(hf, key->parameter, value);
    if (key->kind == HF_FLAG) {
        if (!hf_flag(hf, key->field, false, &flag))
            return false;
        if (key->parameter)
            hf_set(hf, key->parameter, "%s", flag ? "yes" : "no");
        return true;
    }
    if (!whole_number(hf, value, key->field, key->kind == HF_SIZE, &number))
        return false;
    if (key->parameter)
        hf_set(hf, key->parameter, "%lld", (long long)number);
    return true;
}

static void warn_ignored(struct hf *hf, const struct hf_key *key, const struct value *value)
{
    bool off = value->kind == VALUE_SCALAR && strcmp(value->text, "false") == 0;
    if (!off && (value->kind == VALUE_SCALAR || value->count))
        report_warning(&hf->input->report, value->place, "%s: %s", first_name(hf, key->field),
                       key->otherwise);
}

/* One field into one parameter. */
static bool read_key(struct hf *hf, const struct hf_key *key)
{
    const struct value *value = hf_field(hf, key->field);
    if (key->kind == HF_IGNORED) {
        if (value)
            warn_ignored(hf, key, value);
        return true;
    }
    if (value)
        return set_field(hf, key, value);
    if (!key->otherwise)
        return report_error(&hf->input->report, hf->config->place,
                            "missing field '%s', which model_type '%s' needs", first_name(hf, key->field),
                            hf->architecture->type);
    if (*key->otherwise && key->parameter)
        hf_set(hf, key->parameter, "%s", key->otherwise);
    return true;
}

/* The outputs of a classifier: two unless the file says otherwise. */
static bool read_classes(struct hf *hf)
{
    const struct value *labels = hf_field(hf, "id2label");
    int64_t classes;
    if (!hf_number(hf, "num_labels", labels && labels->kind == VALUE_MAP ? labels->count : 2, &classes))
        return false;
    hf_set(hf, "classes", "%lld", (long long)classes);
    return true;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), end = strlen(suffix);
    return length >= end && strcmp(text + length - end, suffix) == 0;
}

static bool read_head(struct hf *hf)
{
    const struct value *classes = hf_field(hf, "architectures");
    const struct hf_head *head = hf->architecture->heads;
    if (classes && classes->kind == VALUE_LIST && classes->count) {
        const struct value *name = classes->entries[0].value;
        const char *text = name->kind == VALUE_SCALAR ? name->text : "";
        while (head->suffix && !ends_with(text, head->suffix))
            head++;
        if (!head->suffix) {
            const char *known = "";
            for (const struct hf_head *h = hf->architecture->heads; h->suffix; h++)
                known = arena_format(&hf->input->arena, "%s%s...%s", known, *known ? ", " : "", h->suffix);
            return report_error(&hf->input->report, name->place,
                                "the class '%s' is not supported for model_type '%s'; those named %s are",
                                text, hf->architecture->type, known);
        }
    }
    bool good = true;
    for (const struct hf_setting *s = head->settings; s->parameter; s++)
        if (strcmp(s->value, "labels") == 0)
            good = read_classes(hf) && good;
        else
            hf_set(hf, s->parameter, "%s", s->value);
    return good;
}

/* Heads of attention must share the width evenly unless their size is given. */
static bool check_heads(struct hf *hf)
{
    static const char width[] = "hidden_size|n_embd|d_model|n_embed",
                      heads[] = "num_attention_heads|n_head|num_heads";
    int64_t hidden, count;
    const struct value *value = hf_field(hf, heads);
    if (!value || value_get(hf->parameters, "head"))
        return true;
    if (!hf_number(hf, width, 0, &hidden) || !hf_number(hf, heads, 1, &count))
        return false;
    if (count < 1 || hidden % count == 0)
        return true;
    return report_error(&hf->input->report, value->place, "%lld heads do not share a width of %lld evenly",
                        (long long)count, (long long)hidden);
}

/* A model of several parts (pictures and text) keeps the language model's fields in `text_config`. */
static bool is_of_parts(struct hf *hf, const struct value *type)
{
    const struct value *part = value_get(hf->config, "text_config");
    const struct value *inner = part && part->kind == VALUE_MAP ? value_get(part, "model_type") : NULL;
    for (uint32_t i = 0; inner && inner->kind == VALUE_SCALAR && hf_architectures[i]; i++)
        if (strcmp(hf_architectures[i]->type, inner->text) == 0) {
            report_error(
                &hf->input->report, type->place,
                "model_type '%s' is a model of several parts, which is not supported; its `text_config`, a "
                "%s, can be given as a file of its own",
                type->text ? type->text : "", inner->text);
            return true;
        }
    return false;
}

static const struct hf_architecture *find_architecture(struct hf *hf)
{
    const struct value *type = value_get(hf->config, "model_type");
    const char *known[64], *text = type->kind == VALUE_SCALAR ? type->text : "";
    uint32_t count = 0;
    for (; hf_architectures[count]; count++) {
        known[count] = hf_architectures[count]->type;
        if (strcmp(known[count], text) == 0)
            return hf_architectures[count];
    }
    if (!is_of_parts(hf, type))
        fields_no_such(hf->input, type->place, "supported model_type", text, known, count);
    return NULL;
}

static struct value *model_document(struct hf *hf)
{
    struct arena *arena = &hf->input->arena;
    struct place place = hf->config->place;
    struct value *out = value_new(arena, place, VALUE_MAP);
    const struct value *name = hf_field(hf, "_name_or_path|name_or_path");
    const char *text =
        name && name->kind == VALUE_SCALAR && *name->text ? name->text : hf->architecture->type;
    const char *slash = strrchr(text, '/');
    if (slash && slash[1])
        text = slash + 1;
    value_put(arena, out, "extends", place,
              value_new_scalar(arena, place, arena_format(arena, "hf/%s", hf->architecture->model), false));
    value_put(arena, out, "name", place, value_new_scalar(arena, place, text, true));
    value_put(arena, out, "about", place, value_new_scalar(arena, place, hf->architecture->about, true));
    value_put(arena, out, "parameters", place, hf->parameters);
    return out;
}

struct value *hf_read(struct input *input, const struct value *config)
{
    struct hf hf = {.input = input, .config = config};
    hf.architecture = find_architecture(&hf);
    if (!hf.architecture)
        return NULL;
    hf.parameters = value_new(&input->arena, config->place, VALUE_MAP);
    bool good = true;
    set_all(&hf, hf.architecture->settings);
    for (const struct hf_key *key = hf.architecture->keys; key->field; key++)
        good = read_key(&hf, key) && good;
    good = good && (!hf.architecture->refine || hf.architecture->refine(&hf));
    good = read_head(&hf) && good;
    good = good && check_heads(&hf);
    return good ? model_document(&hf) : NULL;
}
