/* Decoder-only architectures. Fields and defaults are those of the configuration classes of transformers 4.x
 * (configuration_llama.py and so on), what has a bias or a norm those of the modeling files. */
#include "model/hf_keys.h"

static const struct hf_setting lm_head[] = {{"lm-head", "yes"}, {NULL, NULL}};
static const struct hf_setting no_head[] = {{"lm-head", "no"}, {NULL, NULL}};
static const struct hf_setting class_head[] = {{"lm-head", "no"}, {"classes", "labels"}, {NULL, NULL}};
static const struct hf_setting token_head[] = {
    {"lm-head", "no"}, {"classes", "labels"}, {"score-bias", "yes"}, {NULL, NULL}};
static const struct hf_setting span_head[] = {
    {"lm-head", "no"}, {"classes", "2"}, {"score-bias", "yes"}, {NULL, NULL}};
const struct hf_head hf_decoders_heads[] = {{"ForCausalLM", lm_head},
                                            {"LMHeadModel", lm_head},
                                            {"ForSequenceClassification", class_head},
                                            {"ForTokenClassification", token_head},
                                            {"ForQuestionAnswering", span_head},
                                            {"DoubleHeadsModel", NULL},
                                            {"Model", no_head},
                                            {NULL, NULL}};

bool hf_decoders_sequence(struct hf *hf, const char *field, int64_t otherwise)
{
    int64_t longest;
    if (!hf_number(hf, field, otherwise, &longest))
        return false;
    if (longest < 1)
        return report_error(&hf->input->report, hf_field(hf, field)->place,
                            "expected at least one position; got 0");
    hf_set(hf, "sequence", "%lld", (long long)(longest < 4096 ? longest : 4096));
    return true;
}

/* What all descendants of Llama have in common: sizes, heads of keys and values, a gated MLP. */
#define LLAMA_SIZES HF_BLOCKS, HF_VOCABULARY

static const struct hf_key llama_keys[] = {
    LLAMA_SIZES,
    HF_GROUPS("heads"),
    HF_HEAD(""),
    {"hidden_act", HF_ACTIVATION, "act", "silu"},
    {"attention_bias", HF_FLAG, "qkv-bias", "no"},
    {"attention_bias", HF_FLAG, "out-bias", "no"},
    {"mlp_bias", HF_FLAG, "mlp-bias", "no"},
    {"tie_word_embeddings", HF_FLAG, "tied", "no"},
    HF_END,
};

static bool llama_refine(struct hf *hf)
{
    return hf_decoders_sequence(hf, "max_position_embeddings", 2048);
}

const struct hf_architecture hf_decoders_llama = {
    .type = "llama",
    .about = "Llama 1 to 3 and what has their layers",
    .model = "decoder",
    .keys = llama_keys,
    .heads = hf_decoders_heads,
    .refine = llama_refine,
};

static const struct hf_key mistral_keys[] = {
    LLAMA_SIZES,
    HF_GROUPS("8"),
    HF_HEAD(""),
    {"hidden_act", HF_ACTIVATION, "act", "silu"},
    {"tie_word_embeddings", HF_FLAG, "tied", "no"},
    HF_WINDOW("4096"),
    HF_END,
};

static bool mistral_refine(struct hf *hf)
{
    return hf_decoders_sequence(hf, "max_position_embeddings", 131072);
}

const struct hf_architecture hf_decoders_mistral = {
    .type = "mistral",
    .about = "Mistral 7B and its successors without experts",
    .model = "decoder",
    .keys = mistral_keys,
    .heads = hf_decoders_heads,
    .refine = mistral_refine,
};

static const struct hf_setting qwen2_settings[] = {{"qkv-bias", "yes"}, {NULL, NULL}};
static const struct hf_key qwen2_keys[] = {
    LLAMA_SIZES,
    HF_GROUPS("32"),
    HF_HEAD(""),
    {"hidden_act", HF_ACTIVATION, "act", "silu"},
    {"tie_word_embeddings", HF_FLAG, "tied", "no"},
    HF_WINDOW("4096"),
    HF_END,
};

/* The first blocks see all positions. */
static bool qwen_full(int64_t block, int64_t windows)
{
    return block < windows;
}

static bool qwen_refine(struct hf *hf)
{
    return hf_windows_if_used(hf, qwen_full) && hf_decoders_sequence(hf, "max_position_embeddings", 32768);
}

const struct hf_architecture hf_decoders_qwen2 = {
    .type = "qwen2",
    .about = "Qwen 2 and 2.5: biases on queries, keys and values",
    .model = "decoder",
    .keys = qwen2_keys,
    .settings = qwen2_settings,
    .heads = hf_decoders_heads,
    .refine = qwen_refine,
};

static const struct hf_setting qwen3_settings[] = {{"qk-norm", "yes"}, {NULL, NULL}};
static const struct hf_key qwen3_keys[] = {
    LLAMA_SIZES,
    HF_GROUPS("32"),
    HF_HEAD("128"),
    {"hidden_act", HF_ACTIVATION, "act", "silu"},
    {"attention_bias", HF_FLAG, "qkv-bias", "no"},
    {"attention_bias", HF_FLAG, "out-bias", "no"},
    {"tie_word_embeddings", HF_FLAG, "tied", "no"},
    HF_WINDOW("4096"),
    HF_END,
};

const struct hf_architecture hf_decoders_qwen3 = {
    .type = "qwen3",
    .about = "Qwen 3: norms of each head's queries and keys",
    .model = "decoder",
    .keys = qwen3_keys,
    .settings = qwen3_settings,
    .heads = hf_decoders_heads,
    .refine = qwen_refine,
};

static const struct hf_setting gemma_settings[] = {{"scale-embedding", "yes"}, {NULL, NULL}};
static const struct hf_key gemma_keys[] = {
    LLAMA_SIZES,
    HF_GROUPS("16"),
    HF_HEAD("256"),
    {"hidden_activation|hidden_act", HF_ACTIVATION, "act", "gelu"},
    {"attention_bias", HF_FLAG, "qkv-bias", "no"},
    {"attention_bias", HF_FLAG, "out-bias", "no"},
    {"tie_word_embeddings", HF_FLAG, "tied", "yes"},
    HF_END,
};

static bool gemma_refine(struct hf *hf)
{
    return hf_decoders_sequence(hf, "max_position_embeddings", 8192);
}

const struct hf_architecture hf_decoders_gemma = {
    .type = "gemma",
    .about = "Gemma: heads of 256, a tied and scaled embedding",
    .model = "decoder",
    .keys = gemma_keys,
    .settings = gemma_settings,
    .heads = hf_decoders_heads,
    .refine = gemma_refine,
};

static const struct hf_setting gemma2_settings[] = {
    {"scale-embedding", "yes"}, {"sandwich", "yes"}, {NULL, NULL}};
static const struct hf_key gemma2_keys[] = {
    LLAMA_SIZES,
    HF_GROUPS("4"),
    HF_HEAD("256"),
    {"hidden_activation|hidden_act", HF_ACTIVATION, "act", "gelu"},
    {"attention_bias", HF_FLAG, "qkv-bias", "no"},
    {"attention_bias", HF_FLAG, "out-bias", "no"},
    {"tie_word_embeddings", HF_FLAG, "tied", "yes"},
    HF_WINDOW("4096"),
    HF_END,
};

/* Every second block sees all positions. */
static bool gemma2_full(int64_t block, int64_t unused)
{
    (void)unused;
    return block % 2 == 1;
}

static bool gemma2_refine(struct hf *hf)
{
    return hf_windows(hf, gemma2_full, 0) && gemma_refine(hf);
}

const struct hf_architecture hf_decoders_gemma2 = {
    .type = "gemma2",
    .about = "Gemma 2: norms before and after attention and MLP",
    .model = "decoder",
    .keys = gemma2_keys,
    .settings = gemma2_settings,
    .heads = hf_decoders_heads,
    .refine = gemma2_refine,
};

static const struct hf_key phi3_keys[] = {
    LLAMA_SIZES,
    HF_GROUPS("heads"),
    HF_HEAD(""),
    {"hidden_act", HF_ACTIVATION, "act", "silu"},
    {"tie_word_embeddings", HF_FLAG, "tied", "no"},
    HF_WINDOW(""),
    HF_END,
};

static bool phi3_refine(struct hf *hf)
{
    return hf_decoders_sequence(hf, "max_position_embeddings", 4096);
}

const struct hf_architecture hf_decoders_phi3 = {
    .type = "phi3",
    .about = "Phi-3: as Llama, with its products joined in memory",
    .model = "decoder",
    .keys = phi3_keys,
    .heads = hf_decoders_heads,
    .refine = phi3_refine,
};

/* Layer norms, biases everywhere, a plain MLP. */
#define CLASSIC                                                                                              \
    {"norm-type", "layer"}, {"gated", "no"}, {"qkv-bias", "yes"}, {"out-bias", "yes"},                       \
    {                                                                                                        \
        "mlp-bias", "yes"                                                                                    \
    }

static const struct hf_setting gpt2_settings[] = {
    CLASSIC, {"rotary", "no"}, {"dropout", "yes"}, {NULL, NULL}};
static const struct hf_key gpt2_keys[] = {
    {"n_layer|num_hidden_layers", HF_REPEAT, "layers", NULL},
    {"n_embd|hidden_size", HF_SIZE, "hidden", NULL},
    {"n_head|num_attention_heads", HF_SIZE, "heads", NULL},
    HF_VOCABULARY,
    {"n_inner", HF_SIZE, "inner", "4 * hidden"},
    {"n_positions|max_position_embeddings", HF_SIZE, "positions", "1024"},
    {"activation_function", HF_ACTIVATION, "act", "gelu"},
    {"tie_word_embeddings", HF_FLAG, "tied", "yes"},
    {"add_cross_attention", HF_FLAG, "cross", "no"},
    HF_END,
};

static bool gpt2_refine(struct hf *hf)
{
    return hf_decoders_sequence(hf, "n_positions|max_position_embeddings", 1024);
}

const struct hf_architecture hf_decoders_gpt2 = {
    .type = "gpt2",
    .about = "GPT-2: learned positions, a tied head",
    .model = "decoder",
    .keys = gpt2_keys,
    .settings = gpt2_settings,
    .heads = hf_decoders_heads,
    .refine = gpt2_refine,
};

static const struct hf_setting neox_settings[] = {CLASSIC, {NULL, NULL}};
static const struct hf_key neox_keys[] = {
    HF_BLOCKS,
    HF_VOCABULARY,
    {"hidden_act", HF_ACTIVATION, "act", "gelu"},
    {"attention_bias", HF_FLAG, "qkv-bias", "yes"},
    {"attention_bias", HF_FLAG, "out-bias", "yes"},
    {"use_parallel_residual", HF_FLAG, "parallel", "yes"},
    {"tie_word_embeddings", HF_FLAG, "tied", "no"},
    HF_END,
};

const struct hf_architecture hf_decoders_gpt_neox = {
    .type = "gpt_neox",
    .about = "GPT-NeoX and Pythia: attention and MLP side by side",
    .model = "decoder",
    .keys = neox_keys,
    .settings = neox_settings,
    .heads = hf_decoders_heads,
    .refine = llama_refine,
};

static const struct hf_setting opt_settings[] = {
    {"norm-type", "layer"}, {"gated", "no"}, {"rotary", "no"}, {"dropout", "yes"}, {NULL, NULL}};
static const struct hf_key opt_keys[] = {
    {"num_hidden_layers", HF_REPEAT, "layers", NULL},
    {"hidden_size|d_model", HF_SIZE, "hidden", NULL},
    {"num_attention_heads", HF_SIZE, "heads", NULL},
    {"ffn_dim", HF_SIZE, "inner", NULL},
    HF_VOCABULARY,
    {"word_embed_proj_dim", HF_SIZE, "embedding", "hidden"},
    {"activation_function", HF_ACTIVATION, "act", "relu"},
    {"enable_bias", HF_FLAG, "qkv-bias", "yes"},
    {"enable_bias", HF_FLAG, "out-bias", "yes"},
    {"enable_bias", HF_FLAG, "mlp-bias", "yes"},
    {"do_layer_norm_before", HF_FLAG, "norm-first", "yes"},
    {"layer_norm_elementwise_affine", HF_FLAG, "affine", "yes"},
    {"tie_word_embeddings", HF_FLAG, "tied", "yes"},
    HF_END,
};

/* The table of positions has two rows more than positions. */
static bool opt_refine(struct hf *hf)
{
    int64_t positions;
    bool before, removed;
    if (!hf_number(hf, "max_position_embeddings", 2048, &positions) ||
        !hf_flag(hf, "do_layer_norm_before", true, &before) ||
        !hf_flag(hf, "_remove_final_layer_norm", false, &removed))
        return false;
    hf_set(hf, "positions", "%lld", (long long)positions + 2);
    hf_set(hf, "final-norm", "%s", before && !removed ? "yes" : "no");
    return hf_decoders_sequence(hf, "max_position_embeddings", 2048);
}

const struct hf_architecture hf_decoders_opt = {
    .type = "opt",
    .about = "OPT: learned positions, relu",
    .model = "decoder",
    .keys = opt_keys,
    .settings = opt_settings,
    .heads = hf_decoders_heads,
    .refine = opt_refine,
};

static const struct hf_setting bloom_settings[] = {
    CLASSIC, {"rotary", "no"}, {"embedding-norm", "yes"}, {NULL, NULL}};
static const struct hf_key bloom_keys[] = {
    {"n_layer|num_hidden_layers", HF_REPEAT, "layers", NULL},
    {"hidden_size|n_embed", HF_SIZE, "hidden", NULL},
    {"n_head|num_attention_heads", HF_SIZE, "heads", NULL},
    HF_VOCABULARY,
    {"tie_word_embeddings", HF_FLAG, "tied", "yes"},
    HF_END,
};

static bool bloom_refine(struct hf *hf)
{
    hf_set(hf, "act", "gelu");
    return hf_decoders_sequence(hf, "seq_length", 2048);
}

const struct hf_architecture hf_decoders_bloom = {
    .type = "bloom",
    .about = "BLOOM: positions as a bias of attention, a norm of the embedding",
    .model = "decoder",
    .keys = bloom_keys,
    .settings = bloom_settings,
    .heads = hf_decoders_heads,
    .refine = bloom_refine,
};

static const struct hf_setting falcon_settings[] = {{"norm-type", "layer"}, {"gated", "no"}, {NULL, NULL}};
static const struct hf_key falcon_keys[] = {
    {"num_hidden_layers|n_layer", HF_REPEAT, "layers", NULL},
    {"hidden_size|n_embed", HF_SIZE, "hidden", NULL},
    {"num_attention_heads|n_head", HF_SIZE, "heads", NULL},
    HF_VOCABULARY,
    {"ffn_hidden_size", HF_SIZE, "inner", "4 * hidden"},
    {"activation", HF_ACTIVATION, "act", "gelu"},
    {"bias", HF_FLAG, "qkv-bias", "no"},
    {"bias", HF_FLAG, "out-bias", "no"},
    {"bias", HF_FLAG, "mlp-bias", "no"},
    {"tie_word_embeddings", HF_FLAG, "tied", "yes"},
    HF_END,
};

/* The new architecture has groups of its own and two norms, or one; the old one has one head of keys and
 * values (or as many as of queries), and a second norm only where attention and MLP follow each other. */
static bool falcon_refine(struct hf *hf)
{
    bool modern, single, parallel, alibi;
    int64_t heads, groups, norms;
    if (!hf_flag(hf, "new_decoder_architecture", false, &modern) ||
        !hf_flag(hf, "multi_query", true, &single) || !hf_flag(hf, "parallel_attn", true, &parallel) ||
        !hf_flag(hf, "alibi", false, &alibi) || !hf_number(hf, "num_attention_heads|n_head", 0, &heads) ||
        !hf_number(hf, "num_kv_heads|n_head_kv", heads, &groups) ||
        !hf_number(hf, "num_ln_in_parallel_attn", modern ? 2 : 1, &norms))
        return false;
    hf_set(hf, "groups", "%lld", (long long)(modern ? groups : single ? 1 : heads));
    hf_set(hf, "parallel", "%s", parallel || modern ? "yes" : "no");
    hf_set(hf, "shared-norm", "%s", parallel && norms != 2 ? "yes" : "no");
    hf_set(hf, "rotary", "%s", alibi ? "no" : "yes");
    return hf_decoders_sequence(hf, "max_position_embeddings", 2048);
}

const struct hf_architecture hf_decoders_falcon = {
    .type = "falcon",
    .about = "Falcon: few heads of keys and values, attention and MLP side by side",
    .model = "decoder",
    .keys = falcon_keys,
    .settings = falcon_settings,
    .heads = hf_decoders_heads,
    .refine = falcon_refine,
};
