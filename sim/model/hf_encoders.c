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
SETTINGS(spans, {"pooler", "no"}, {"token-head", "yes"}, {"classes", "2"});

#define ENCODER_KEYS                                                                                         \
    HF_BLOCKS,                                                                                               \
    {                                                                                                        \
        "hidden_act", HF_ACTIVATION, "act", "gelu"                                                           \
    }

static const struct hf_key bert_keys[] = {
    ENCODER_KEYS,
    HF_VOCABULARY,
    {"max_position_embeddings", HF_SIZE, "positions", "512"},
    {"type_vocab_size", HF_SIZE, "types", "2"},
    {"is_decoder", HF_IGNORED, NULL, "a causal mask is not applied"},
    {"add_cross_attention", HF_IGNORED, NULL, "cross-attention is left out"},
    HF_END,
};
static const struct hf_head bert_heads[] = {{"BertModel", pooled},
                                            {"ForPreTraining", pretraining},
                                            {"ForMaskedLM", masked},
                                            {"LMHeadModel", masked},
                                            {"ForSequenceClassification", pooled_classes},
                                            {"ForMultipleChoice", pooled_classes},
                                            {"ForTokenClassification", token_classes},
                                            {"ForQuestionAnswering", spans},
                                            {NULL, NULL}};

static bool encoder_sequence(struct hf *hf, int64_t reserved)
{
    int64_t positions;
    if (!hf_number(hf, "max_position_embeddings", 512, &positions))
        return false;
    hf_set(hf, "sequence", "%lld", (long long)(positions > 512 + reserved ? 512 : positions - reserved));
    return true;
}

static bool bert_refine(struct hf *hf)
{
    return encoder_sequence(hf, 0);
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
    HF_VOCABULARY,
    {"max_position_embeddings", HF_SIZE, "positions", "512"},
    {"type_vocab_size", HF_SIZE, "types", "2"},
    {"is_decoder", HF_IGNORED, NULL, "a causal mask is not applied"},
    HF_END,
};
static const struct hf_head roberta_heads[] = {{"RobertaModel", pooled},
                                               {"ForMaskedLM", masked},
                                               {"ForCausalLM", masked},
                                               {"ForSequenceClassification", dense_classes},
                                               {"ForTokenClassification", token_classes},
                                               {"ForQuestionAnswering", spans},
                                               {NULL, NULL}};

/* Positions count from 2: two rows of the table are never used. */
static bool roberta_refine(struct hf *hf)
{
    return encoder_sequence(hf, 2);
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
static const struct hf_head t5_heads[] = {
    {"ForConditionalGeneration", t5_lm}, {"WithLMHeadModel", t5_lm}, {"T5Model", t5_bare}, {NULL, NULL}};
static const struct hf_key t5_keys[] = {
    {"num_layers", HF_SIZE, "layers", NULL},
    {"num_decoder_layers", HF_SIZE, "decoder-layers", "layers"},
    {"d_model", HF_SIZE, "hidden", NULL},
    {"num_heads", HF_SIZE, "heads", NULL},
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
    const char *text = form && form->kind == VALUE_SCALAR ? form->text : "relu";
    bool gated = strncmp(text, "gated-", 6) == 0;
    const char *function = gated ? text + 6 : text;
    hf_set(hf, "gated", "%s", gated ? "yes" : "no");
    if (strcmp(function, "gelu") != 0 && strcmp(function, "relu") != 0 && strcmp(function, "silu") != 0)
        return report_error(
            &hf->input->report, form->place,
            "expected feed_forward_proj as relu, gelu or silu, or gated-gelu and so on; got '%s'", text);
    hf_set(hf, "act", "%s", function);
    return true;
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
    HF_END,
};

const struct hf_architecture hf_encoders_vit = {
    .type = "vit",
    .about = "the vision transformer",
    .model = "vision",
    .keys = vit_keys,
    .heads = vit_heads,
};
