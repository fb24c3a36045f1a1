#include "model/hf.h"

#include "base/nearest.h"
#include "model/activation.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { HF_MOST = 1000000000, HF_MOST_REPEATED = 4096 };

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
    static const char *const signs[] = {"model_type",  "architectures", "transformers_version",
                                        "hidden_size", "vocab_size",    "n_embd",
                                        "d_model"};
    bool other = value_get(document, "layers") || value_get(document, "model");
    for (size_t i = 0; !other && i < FIELDS_COUNT(signs); i++)
        if (value_get(document, signs[i]))
            return true;
    return false;
}

/* Whether the null that JSON writes; a YAML reader would call it nothing as well. */
static bool is_null(const struct value *value)
{
    return value->kind == VALUE_NULL ||
           (value->kind == VALUE_SCALAR && !value->quoted && value_is_null_word(value->text));
}

/* The entry of a field, whatever is in it; NULL: there is none. */
static const struct entry *find_entry(const struct hf *hf, const char *names, bool null)
{
    while (*names) {
        size_t length = strcspn(names, "|");
        for (uint32_t i = 0; i < hf->config->count; i++) {
            const struct entry *entry = &hf->config->entries[i];
            if (strlen(entry->key) == length && strncmp(entry->key, names, length) == 0 &&
                is_null(entry->value) == null)
                return entry;
        }
        names += length + (names[length] == '|');
    }
    return NULL;
}

const struct value *hf_field(const struct hf *hf, const char *names)
{
    const struct entry *entry = find_entry(hf, names, false);
    return entry ? entry->value : NULL;
}

static const char *first_name(struct hf *hf, const char *names)
{
    return arena_format(&hf->input->arena, "%.*s", (int)strcspn(names, "|"), names);
}

/* JSON's own numbers and flags only: texts that look like them are a mistake. */
static bool is_plain(struct hf *hf, const struct value *value, const char *names, const char *expected)
{
    return (value->kind == VALUE_SCALAR && !value->quoted) ||
           report_error(&hf->input->report, value->place, "expected %s for %s; got %s", expected,
                        first_name(hf, names), value_describe(value, &hf->input->arena));
}

static bool whole_number(struct hf *hf, const struct value *value, const char *names, double low, double high,
                         int64_t *out)
{
    const struct field field = {
        .key = first_name(hf, names), .kind = FIELD_INTEGER, .low = low, .high = high};
    return is_plain(hf, value, names, "a whole number") &&
           fields_read_one(hf->input, value, &field, NULL, out);
}

bool hf_number(struct hf *hf, const char *names, int64_t otherwise, int64_t *out)
{
    const struct value *value = hf_field(hf, names);
    *out = otherwise;
    return !value || whole_number(hf, value, names, 0, HF_MOST, out);
}

bool hf_flag(struct hf *hf, const char *names, bool otherwise, bool *out)
{
    const struct value *value = hf_field(hf, names);
    const struct field field = {.key = first_name(hf, names), .kind = FIELD_FLAG};
    *out = otherwise;
    return !value || (is_plain(hf, value, names, "true or false") &&
                      fields_read_one(hf->input, value, &field, NULL, out));
}

/* Replaces what was set before. */
void hf_set_value(struct hf *hf, const char *parameter, struct value *value)
{
    struct entry *entry = value_entry(hf->parameters, parameter);
    if (entry)
        entry->value = value;
    else
        value_put(&hf->input->arena, hf->parameters, parameter, hf->config->place, value);
}

void hf_set(struct hf *hf, const char *parameter, const char *format, ...)
{
    struct arena *arena = &hf->input->arena;
    va_list arguments;
    va_start(arguments, format);
    const char *text = arena_vformat(arena, format, arguments);
    va_end(arguments);
    hf_set_value(hf, parameter, value_new_scalar(arena, hf->config->place, text, false));
}

static void set_all(struct hf *hf, const struct hf_setting *settings)
{
    for (; settings && settings->parameter; settings++)
        hf_set(hf, settings->parameter, "%s", settings->value);
}

/* The library's names of activation functions; those that cost alike are one here. */
bool hf_activation(struct hf *hf, const char *parameter, const char *name, struct place place)
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
        {"gelu_python", ACTIVATION_GELU}, {"gelu_python_tanh", ACTIVATION_GELU},
        {"relu6", ACTIVATION_RELU6},      {"quick_gelu", ACTIVATION_SILU},
        {"sigmoid", ACTIVATION_SIGMOID},  {"leaky_relu", ACTIVATION_LEAKY_RELU},
        {"linear", ACTIVATION_IDENTITY},
    };
    const char *names[FIELDS_COUNT(known)];
    for (size_t i = 0; i < FIELDS_COUNT(known); i++) {
        names[i] = known[i].name;
        if (strcmp(name, known[i].name) == 0) {
            hf_set(hf, parameter, "%s", activation_names[known[i].activation]);
            return true;
        }
    }
    return fields_no_such(hf->input, place, "activation function", name, names, FIELDS_COUNT(known));
}

static bool set_activation(struct hf *hf, const struct hf_key *key, const struct value *value)
{
    return hf_activation(hf, key->parameter,
                         value->kind == VALUE_SCALAR ? value->text : value_describe(value, &hf->input->arena),
                         value->place);
}

static bool set_flag(struct hf *hf, const struct hf_key *key, const struct value *value)
{
    bool flag;
    (void)value;
    if (!hf_flag(hf, key->field, false, &flag))
        return false;
    hf_set(hf, key->parameter, "%s", flag ? "yes" : "no");
    return true;
}

static bool set_number(struct hf *hf, const struct hf_key *key, const struct value *value)
{
    double low = key->kind == HF_COUNT ? 0 : 1, high = key->kind == HF_SIZE ? HF_MOST : HF_MOST_REPEATED;
    int64_t number;
    if (!whole_number(hf, value, key->field, low, high, &number))
        return false;
    hf_set(hf, key->parameter, "%lld", (long long)number);
    return true;
}

void hf_append(struct hf *hf, struct value *list, int64_t number)
{
    struct arena *arena = &hf->input->arena;
    const char *text = arena_format(arena, "%lld", (long long)number);
    value_append(arena, list, value_new_scalar(arena, list->place, text, false));
}

static bool set_list(struct hf *hf, const struct hf_key *key, const struct value *value)
{
    struct value *list = value_new(&hf->input->arena, value->place, VALUE_LIST);
    bool good = fields_want_list(hf->input, value, value->place, first_name(hf, key->field));
    for (uint32_t i = 0; good && i < value->count; i++) {
        int64_t number;
        good = whole_number(hf, value->entries[i].value, key->field, 0, HF_MOST, &number);
        hf_append(hf, list, number);
    }
    hf_set_value(hf, key->parameter, list);
    return good;
}

static bool set_nothing(struct hf *hf, const struct hf_key *key, const struct value *value)
{
    (void)hf, (void)key, (void)value;
    return true;
}

/* Whether the field asks for what is not modelled. */
static bool is_on(const struct value *value)
{
    if (value->kind != VALUE_SCALAR)
        return value->count > 0;
    return strcmp(value->text, "false") != 0 && strcmp(value->text, "0") != 0;
}

static bool warn(struct hf *hf, const struct hf_key *key, const struct value *value)
{
    if (is_on(value))
        report_warning(&hf->input->report, value->place, "%s: %s", first_name(hf, key->field),
                       key->otherwise);
    return true;
}

static bool refuse(struct hf *hf, const struct hf_key *key, const struct value *value)
{
    return !is_on(value) || report_error(&hf->input->report, value->place, "%s: %s",
                                         first_name(hf, key->field), key->otherwise);
}

/* What a field of each kind does that is there and not null, and whether `otherwise` is a value for one that
 * is not. */
static const struct {
    bool (*set)(struct hf *hf, const struct hf_key *key, const struct value *value);
    bool defaults;
} kinds[] = {
    [HF_SIZE] = {set_number, true},           [HF_REPEAT] = {set_number, true},
    [HF_COUNT] = {set_number, true},          [HF_FLAG] = {set_flag, true},
    [HF_ACTIVATION] = {set_activation, true}, [HF_LIST] = {set_list, true},
    [HF_NULL] = {set_nothing, false},         [HF_IGNORED] = {warn, false},
    [HF_REFUSED] = {refuse, false},
};

/* For a message: the fields that must be there. */
static const char *needed_fields(struct hf *hf)
{
    const char *text = "";
    for (const struct hf_key *key = hf->architecture->keys; key->field; key++)
        if (!key->otherwise)
            text = arena_format(&hf->input->arena, "%s%s%s", text, *text ? ", " : "",
                                first_name(hf, key->field));
    return text;
}

/* One field into one parameter. */
static bool read_key(struct hf *hf, const struct hf_key *key)
{
    const struct value *value = hf_field(hf, key->field);
    if (value)
        return kinds[key->kind].set(hf, key, value);
    if (!key->otherwise)
        return report_error(&hf->input->report, hf->config->place,
                            "missing field '%s', which model_type '%s' needs (as it does %s)",
                            first_name(hf, key->field), hf->architecture->type, needed_fields(hf));
    bool wanted = kinds[key->kind].defaults || (key->kind == HF_NULL && find_entry(hf, key->field, true));
    if (wanted && *key->otherwise)
        hf_set(hf, key->parameter, "%s", key->otherwise);
    return true;
}

/* The outputs of a classifier: as many as there are names, or two unless the file says otherwise. */
static bool read_classes(struct hf *hf)
{
    const struct value *labels = hf_field(hf, "id2label");
    int64_t classes;
    if (!hf_number(hf, "num_labels", 2, &classes))
        return false;
    if (labels && labels->kind == VALUE_MAP)
        classes = labels->count;
    hf_set(hf, "classes", "%lld", (long long)classes);
    return true;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), end = strlen(suffix);
    return length >= end && strcmp(text + length - end, suffix) == 0;
}

/* The head of a class by its name; NULL after reporting that there is none. */
static const struct hf_head *find_head(struct hf *hf, const struct value *name)
{
    const char *text = name->kind == VALUE_SCALAR ? name->text : value_describe(name, &hf->input->arena);
    const struct hf_head *head = hf->architecture->heads;
    while (head->suffix && !ends_with(text, head->suffix))
        head++;
    if (head->suffix && head->settings)
        return head;
    const char *known = "";
    for (head = hf->architecture->heads; head->suffix; head++)
        if (head->settings)
            known = arena_format(&hf->input->arena, "%s%s...%s", known, *known ? ", " : "", head->suffix);
    report_error(&hf->input->report, name->place,
                 "the class '%s' is not supported for model_type '%s'; those named %s are", text,
                 hf->architecture->type, known);
    return NULL;
}

static bool read_head(struct hf *hf)
{
    const struct value *classes = hf_field(hf, "architectures");
    if (classes && !fields_want_list(hf->input, classes, classes->place, "architectures"))
        return false;
    const struct hf_head *head =
        classes && classes->count ? find_head(hf, classes->entries[0].value) : hf->architecture->heads;
    bool good = head != NULL;
    for (const struct hf_setting *s = good ? head->settings : NULL; s && s->parameter; s++)
        if (strcmp(s->value, "labels") == 0)
            good = read_classes(hf) && good;
        else
            hf_set(hf, s->parameter, "%s", s->value);
    return good;
}

/* A parameter as a number; 0: there is none, or it is an expression of others. */
static long long parameter_number(const struct hf *hf, const char *name)
{
    const struct value *value = value_get(hf->parameters, name);
    return value && value->kind == VALUE_SCALAR ? strtoll(value->text, NULL, 10) : 0;
}

/* Heads of attention must share the width evenly unless their size is given. */
static bool check_heads(struct hf *hf)
{
    static const char width[] = "hidden_size|n_embd|d_model|n_embed",
                      heads[] = "num_attention_heads|n_head|num_heads";
    int64_t hidden, count;
    const struct value *value = hf_field(hf, heads);
    if (!value || parameter_number(hf, "head") > 0)
        return true;
    if (!hf_number(hf, width, 0, &hidden) || !hf_number(hf, heads, 1, &count))
        return false;
    if (count < 1 || hidden % count == 0)
        return true;
    return report_error(&hf->input->report, value->place, "%lld heads do not share a width of %lld evenly",
                        (long long)count, (long long)hidden);
}

/* Nor may there be heads of keys and values for a part of a head, or more experts for a token than there are.
 */
static bool check_parts(struct hf *hf)
{
    long long heads = parameter_number(hf, "heads"), groups = parameter_number(hf, "groups"),
              experts = parameter_number(hf, "experts"), chosen = parameter_number(hf, "chosen");
    const struct value *field = hf_field(hf, "num_key_value_heads|num_kv_heads|n_head_kv");
    if (groups > 0 && heads % groups)
        return report_error(&hf->input->report, field ? field->place : hf->config->place,
                            "%lld heads do not share %lld heads of keys and values evenly%s", heads, groups,
                            field ? ""
                                  : ", which is how many there are where num_key_value_heads is missing");
    field = hf_field(hf, "num_experts_per_tok");
    if (experts > 1 && chosen > experts) /* 1 stands for none as well */
        return report_error(&hf->input->report, field ? field->place : hf->config->place,
                            "num_experts_per_tok is %lld, but there are %lld experts", chosen, experts);
    return true;
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
    struct arena *arena = &hf->input->arena;
    const struct value *type = hf_field(hf, "model_type");
    const char *known[64], *text = "", *all = "";
    uint32_t count = 0;
    if (type)
        text = type->kind == VALUE_SCALAR ? type->text : value_describe(type, arena);
    for (; hf_architectures[count]; count++) {
        known[count] = hf_architectures[count]->type;
        all = arena_format(arena, "%s%s%s", all, count ? ", " : "", known[count]);
        if (strcmp(known[count], text) == 0)
            return hf_architectures[count];
    }
    const char *near = nearest_name(text, known, count);
    if (!type)
        report_error(
            &hf->input->report, hf->config->place,
            "missing field 'model_type', which says what this configuration is of. Supported are: %s", all);
    else if (!is_of_parts(hf, type))
        report_error(&hf->input->report, type->place, "model_type '%s' is not supported%s Those that are: %s",
                     text, near ? arena_format(arena, ", did you mean '%s'?", near) : ".", all);
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

/* The narrower precision that a quantisation leaves the weights in, for a message; NULL: not known. */
static const char *quantised(const struct value *config)
{
    const struct value *method = value_get(config, "quant_method"), *bits = value_get(config, "bits");
    const struct value *four = value_get(config, "load_in_4bit"), *eight = value_get(config, "load_in_8bit");
    if (method && method->text && strstr(method->text, "fp8"))
        return "fp8";
    if ((bits && bits->text && strcmp(bits->text, "4") == 0) || (four && is_on(four)))
        return "int4";
    return (bits && bits->text && strcmp(bits->text, "8") == 0) || (eight && is_on(eight)) ? "int8" : NULL;
}

/* A precision is the workload's; that a file's weights are narrower is said. */
static void say_quantised(struct hf *hf)
{
    const struct value *config = hf_field(hf, "quantization_config");
    const char *narrow = config ? quantised(config) : NULL;
    if (narrow)
        report_warning(
            &hf->input->report, config->place,
            "quantization_config: weights are stored as %s; --set 'precision={weights: %s, activations: "
            "bf16}' counts them so",
            narrow, narrow);
    else if (config && is_on(config))
        report_warning(&hf->input->report, config->place,
                       "quantization_config: weights are counted in the workload's `precision`");
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
    good = good && check_heads(&hf) && check_parts(&hf);
    say_quantised(&hf);
    return good ? model_document(&hf) : NULL;
}
