/* Hf: models from the `config.json` of Hugging Face's transformers library. An architecture (`model_type`) is
 * one table entry: which template of workloads/models/hf/ it is an instance of, and which field gives which
 * of the template's parameters. Fields that the library has a default for may be missing; it is taken then.
 * What a template cannot express is reported as a warning. */
#ifndef PARTITA_MODEL_HF_H
#define PARTITA_MODEL_HF_H

#include "input/fields.h"

enum hf_kind {
    HF_SIZE,       /* a whole number from 1 */
    HF_REPEAT,     /* the same of what is written out one by one: blocks, experts */
    HF_COUNT,      /* of these, none is possible */
    HF_FLAG,       /* true or false */
    HF_ACTIVATION, /* a function's name */
    HF_LIST,       /* whole numbers from 0 */
    HF_NULL,       /* only where null is written for the field: `otherwise` then */
    HF_IGNORED,    /* if it is there and not false, 0 or null, `otherwise` says in a warning what is lost */
    HF_REFUSED,    /* the same as an error */
};

struct hf_key {
    const char *field; /* of config.json; names that mean the same stand between '|' */
    enum hf_kind kind;
    const char *parameter; /* of the template; NULL: `refine` uses the field */
    const char *otherwise; /* an expression; NULL: the field must be there; "": the template's default */
};

struct hf_setting {
    const char *parameter, *value;
};

/* What a class of the library has besides the layers, by the end of its name. */
struct hf_head {
    const char *suffix;
    const struct hf_setting *settings; /* ended by a NULL parameter */
};

struct hf {
    struct input *input;
    const struct value *config;
    const struct hf_architecture *architecture;
    struct value *parameters; /* what was found, for the template */
};

struct hf_architecture {
    const char *type, *about, *model; /* model_type, one line, the template */
    const struct hf_key *keys;        /* ended by a NULL field */
    const struct hf_setting *settings;
    const struct hf_head *heads; /* ended by a NULL suffix; the first is meant when the file names no class */
    bool (*refine)(struct hf *hf); /* what depends on several fields; or NULL */
};

extern const struct hf_architecture *const hf_architectures[]; /* NULL-terminated */
extern const struct hf_architecture hf_decoders_llama, hf_decoders_mistral, hf_decoders_qwen2,
    hf_decoders_qwen3, hf_decoders_gemma, hf_decoders_gemma2, hf_decoders_phi3, hf_decoders_gpt2,
    hf_decoders_gpt_neox, hf_decoders_opt, hf_decoders_bloom, hf_decoders_falcon;
extern const struct hf_architecture hf_encoders_bert, hf_encoders_roberta, hf_encoders_t5, hf_encoders_vit;
extern const struct hf_architecture hf_experts_mixtral, hf_experts_qwen2, hf_experts_qwen3,
    hf_experts_deepseek2, hf_experts_deepseek3;
extern const struct hf_head hf_decoders_heads[];

/* Whether a document that was read is a config.json. */
bool hf_is(const struct value *document);

/* The model that it describes, as a model document: `extends` of a template and its parameters. NULL after
 * reporting an unsupported model_type, a missing field or a wrong value. */
struct value *hf_read(struct input *input, const struct value *config);

/* For the architectures' own functions. A field that is there and not null; NULL otherwise. */
const struct value *hf_field(const struct hf *hf, const char *names);
/* The number or flag of a field, or `otherwise`; false after reporting. */
bool hf_number(struct hf *hf, const char *names, int64_t otherwise, int64_t *out);
bool hf_flag(struct hf *hf, const char *names, bool otherwise, bool *out);
void hf_set(struct hf *hf, const char *parameter, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Any value as a parameter; the list is one that the value was made as. */
void hf_set_value(struct hf *hf, const char *parameter, struct value *value);
void hf_append(struct hf *hf, struct value *list, int64_t number);
/* A function's name into a parameter; `place` is its own. */
bool hf_activation(struct hf *hf, const char *parameter, const char *name, struct place place);
/* Whether a block sees all positions before it, rather than a window, where `layer_types` does not say it. */
typedef bool hf_windows_rule(int64_t block, int64_t limit);
/* Sets which blocks do, by the list `layer_types` or else by a rule. */
bool hf_windows(struct hf *hf, hf_windows_rule *full, int64_t limit);
/* The same where `use_sliding_window` asks for it, with `max_window_layers` as the limit; otherwise none has
 * a window. */
bool hf_windows_if_used(struct hf *hf, hf_windows_rule *full);
/* Sets the longest sequence, but 4,096 at most: long ones have to be asked for. */
bool hf_decoders_sequence(struct hf *hf, const char *field, int64_t otherwise);

#endif
