/* Encoders and encoder-decoders: BERT, RoBERTa, T5, ViT. Fields and defaults are those of the configuration
 * classes of transformers 4.x; what a class has besides its layers stands in its modeling file. */
#include "model/hf_keys.h"

#include <string.h>

#define SETTINGS(name, ...) static const struct hf_setting name[] = {__VA_ARGS__, {NULL, NULL}}

SETTINGS(pooled, {"pooler", "yes"});
SETTINGS(masked, {"pooler", "no"}, {"mlm-head", "yes"});
SETTINGS(pretraining, {"pooler", "yes"}, {"mlm-head", "yes"}, {"next-head", "yes"});
SETTINGS(pooled_classes, {"pooler", "yes"}, {"class-head", "yes"}, {"classes", "labels"});
SETTINGS(dense_classes, {"pooler", "no"}, {"dense-head", "yes"}, {"classes", "labels"});
SETTINGS(token_classes, {"pooler", "no"}, {"token-head", "yes"}, {"classes", "labels"});
SETTINGS(pooled_choice, {"pooler", "yes"}, {"class-head", "yes"}, {"classes", "1"});
SETTINGS(next_sentence, {"pooler", "yes"}, {"next-head", "yes"});

#define ENCODER_KEYS                                                                                         \
    HF_BLOCKS,                                                                                               \
    {                                                                                                        \
        "hidden_act", HF_ACTIVATION, "act", "gelu"                                                           \
    }

#define BERT_KEYS                                                                                            \
    HF_VOCABULARY, {"max_position_embeddings", HF_SIZE, "positions", "512"},                                 \
        {"type_vocab_size", HF_COUNT, "types", "2"}, {"tie_word_embeddings", HF_FLAG, "tied", "yes"},        \
    {                                                                                                        \
        "add_cross_attention", HF_FLAG, "cross", "no"                                                        \
    }

static const struct hf_key bert_keys[] = {
    ENCODER_KEYS,
    BERT_KEYS,
    HF_END,
};
static const struct hf_head bert_heads[] = {{"BertModel", pooled},
                                            {"ForPreTraining", pretraining},
                                            {"ForMaskedLM", masked},
                                            {"LMHeadModel", masked},
                                            {"ForSequenceClassification", pooled_classes},
                                            {"ForNextSentencePrediction", next_sentence},
                                            {"ForMultipleChoice", pooled_choice},
                                            {"ForTokenClassification", token_classes},
                                            {"ForQuestionAnswering", token_classes},
                                            {NULL, NULL}};

/* Learned distances between positions would be a table of each block. */
static bool check_positions(struct hf *hf)
{
    const struct value *type = hf_field(hf, "position_embedding_type");
    bool good = !type || (type->kind == VALUE_SCALAR && strcmp(type->text, "absolute") == 0);
    return good || report_error(&hf->input->report, type->place,
                                "position_embedding_type: only 'absolute' is supported; got %s",
                                value_describe(type, &hf->input->arena));
}

/* A sequence of 512 where there are as many positions, without `reserved` ones; and the mask. */
static bool encoder_refine(struct hf *hf, int64_t reserved)
{
    int64_t positions;
    bool causal;
    if (!hf_number(hf, "max_position_embeddings", 512, &positions) || !check_positions(hf) ||
        !hf_flag(hf, "is_decoder", false, &causal))
        return false;
    if (positions <= reserved)
        return report_error(&hf->input->report, hf->config->place,
                            "max_position_embeddings of %lld leaves no position: %lld are reserved",
                            (long long)positions, (long long)reserved);
    hf_set(hf, "sequence", "%lld", (long long)(positions > 512 + reserved ? 512 : positions - reserved));
    hf_set(hf, "mask", "%s", causal ? "causal" : "none");
    return true;
}

static bool bert_refine(struct hf *hf)
{
    return encoder_refine(hf, 0);
}

const struct hf_architecture hf_encoders_bert = {
    .type = "bert",
    .about = "BERT and what has its layers",
    .model = "encoder",
    .keys = bert_keys,
    .heads = bert_heads,
    .refine = bert_refine,
};

static const struct hf_key roberta_keys[] = {
    ENCODER_KEYS,
    BERT_KEYS,
    HF_END,
};
static const struct hf_head roberta_heads[] = {{"RobertaModel", pooled},
                                               {"ForMaskedLM", masked},
                                               {"ForCausalLM", masked},
                                               {"ForSequenceClassification", dense_classes},
                                               {"ForTokenClassification", token_classes},
                                               {"ForMultipleChoice", pooled_choice},
                                               {"ForQuestionAnswering", token_classes},
                                               {NULL, NULL}};

/* Positions count from 2: two rows of the table are never used. */
static bool roberta_refine(struct hf *hf)
{
    return encoder_refine(hf, 2);
}

const struct hf_architecture hf_encoders_roberta = {
    .type = "roberta",
    .about = "RoBERTa: as BERT, one token type",
    .model = "encoder",
    .keys = roberta_keys,
    .heads = roberta_heads,
    .refine = roberta_refine,
};

SETTINGS(t5_lm, {"lm-head", "yes"});
SETTINGS(t5_bare, {"lm-head", "no"});
SETTINGS(t5_encoder, {"lm-head", "no"}, {"decoder-layers", "0"});
SETTINGS(t5_tokens, {"lm-head", "no"}, {"decoder-layers", "0"}, {"token-head", "yes"}, {"classes", "labels"});
SETTINGS(t5_spans, {"lm-head", "no"}, {"token-head", "yes"}, {"classes", "labels"});
SETTINGS(t5_classes, {"lm-head", "no"}, {"dense-head", "yes"}, {"classes", "labels"});
static const struct hf_head t5_heads[] = {{"ForConditionalGeneration", t5_lm},
                                          {"WithLMHeadModel", t5_lm},
                                          {"T5EncoderModel", t5_encoder},
                                          {"ForSequenceClassification", t5_classes},
                                          {"ForTokenClassification", t5_tokens},
                                          {"ForQuestionAnswering", t5_spans},
                                          {"T5Model", t5_bare},
                                          {NULL, NULL}};
static const struct hf_key t5_keys[] = {
    {"num_layers|num_hidden_layers", HF_REPEAT, "layers", NULL},
    {"num_decoder_layers", HF_REPEAT, "decoder-layers", "layers"},
    {"d_model|hidden_size", HF_SIZE, "hidden", NULL},
    {"num_heads|num_attention_heads", HF_SIZE, "heads", NULL},
    {"d_kv", HF_SIZE, "head", "64"},
    {"d_ff", HF_SIZE, "inner", NULL},
    HF_VOCABULARY,
    {"relative_attention_num_buckets", HF_SIZE, "buckets", "32"},
    {"tie_word_embeddings", HF_FLAG, "tied", "yes"},
    HF_END,
};

/* "relu", "gated-gelu", "gated-silu" … */
static bool t5_refine(struct hf *hf)
{
    const struct value *form = hf_field(hf, "feed_forward_proj");
    if (form && form->kind != VALUE_SCALAR)
        return report_error(&hf->input->report, form->place,
                            "expected feed_forward_proj as a text like 'relu' or 'gated-gelu'; got %s",
                            value_describe(form, &hf->input->arena));
    const char *text = form ? form->text : "relu";
    bool gated = strncmp(text, "gated-", 6) == 0;
    hf_set(hf, "gated", "%s", gated ? "yes" : "no");
    return hf_activation(hf, "act", gated ? text + 6 : text, form ? form->place : hf->config->place);
}

const struct hf_architecture hf_encoders_t5 = {
    .type = "t5",
    .about = "T5, versions 1.0 and 1.1",
    .model = "encoder-decoder",
    .keys = t5_keys,
    .heads = t5_heads,
    .refine = t5_refine,
};

SETTINGS(vit_classes, {"classes", "labels"});
SETTINGS(vit_pooled, {"pooler", "yes"});
static const struct hf_head vit_heads[] = {
    {"ForImageClassification", vit_classes}, {"ViTModel", vit_pooled}, {NULL, NULL}};
static const struct hf_key vit_keys[] = {
    ENCODER_KEYS,
    {"image_size", HF_SIZE, "size", "224"},
    {"patch_size", HF_SIZE, "patch", "16"},
    {"num_channels", HF_SIZE, "channels", "3"},
    {"qkv_bias", HF_FLAG, "qkv-bias", "yes"},
    {"pooler_output_size", HF_SIZE, "pooled", "hidden"},
    HF_END,
};

static bool vit_refine(struct hf *hf)
{
    int64_t size, patch;
    const struct value *field = hf_field(hf, "patch_size");
    if (!hf_number(hf, "image_size", 224, &size) || !hf_number(hf, "patch_size", 16, &patch))
        return false;
    return patch <= size || report_error(&hf->input->report, field ? field->place : hf->config->place,
                                         "a patch of %lld pixels is larger than an image of %lld",
                                         (long long)patch, (long long)size);
}

const struct hf_architecture hf_encoders_vit = {
    .type = "vit",
    .about = "the vision transformer",
    .model = "vision",
    .keys = vit_keys,
    .heads = vit_heads,
    .refine = vit_refine,
};
