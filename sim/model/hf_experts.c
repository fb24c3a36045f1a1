/* Decoder-only architectures with mixtures of experts. Fields and defaults are those of the configuration
 * classes of transformers 4.x. */
#include "model/hf_keys.h"

static const char plain[] =
    "blocks with an MLP of their own are not told apart; all are counted with experts";
static const char ahead[] = "modules that predict further tokens are left out";

#define COMMON                                                                                               \
    HF_BLOCKS, HF_VOCABULARY, {"hidden_act", HF_ACTIVATION, "act", "silu"},                                  \
        {"tie_word_embeddings", HF_FLAG, "tied", "no"}, HF_QUANTISED

static const struct hf_key mixtral_keys[] = {
    COMMON,
    {"num_key_value_heads", HF_SIZE, "groups", "8"},
    {"head_dim", HF_SIZE, "head", ""},
    {"num_local_experts", HF_SIZE, "experts", "8"},
    {"num_experts_per_tok", HF_SIZE, "chosen", "2"},
    {"sliding_window", HF_SIZE, "window", ""},
    HF_END,
};

static bool mixtral_refine(struct hf *hf)
{
    return hf_decoders_sequence(hf, "max_position_embeddings", 131072);
}

const struct hf_architecture hf_experts_mixtral = {
    .type = "mixtral",
    .about = "Mixtral: experts in place of each inner layer",
    .model = "experts",
    .keys = mixtral_keys,
    .heads = hf_decoders_heads,
    .refine = mixtral_refine,
};

static bool qwen_refine(struct hf *hf)
{
    int64_t every;
    if (!hf_number(hf, "decoder_sparse_step", 1, &every))
        return false;
    hf_set(hf, "every", "%lld", (long long)(every > 0 ? every : 1));
    hf_set(hf, "after", "1");
    return hf_decoders_sequence(hf, "max_position_embeddings", 32768);
}

static const struct hf_setting qwen2_settings[] = {{"shared-gate", "yes"}, {NULL, NULL}};
static const struct hf_key qwen2_keys[] = {
    COMMON,
    {"num_key_value_heads", HF_SIZE, "groups", "16"},
    {"qkv_bias", HF_FLAG, "qkv-bias", "yes"},
    {"num_experts", HF_SIZE, "experts", "60"},
    {"num_experts_per_tok", HF_SIZE, "chosen", "4"},
    {"moe_intermediate_size", HF_SIZE, "expert", "1408"},
    {"shared_expert_intermediate_size", HF_SIZE, "shared", "5632"},
    {"mlp_only_layers", HF_IGNORED, NULL, plain},
    HF_WINDOW("use_sliding_window"),
    HF_END,
};

const struct hf_architecture hf_experts_qwen2 = {
    .type = "qwen2_moe",
    .about = "Qwen 1.5 and 2 with experts, one of them shared and gated",
    .model = "experts",
    .keys = qwen2_keys,
    .settings = qwen2_settings,
    .heads = hf_decoders_heads,
    .refine = qwen_refine,
};

static const struct hf_setting qwen3_settings[] = {{"qk-norm", "yes"}, {NULL, NULL}};
static const struct hf_key qwen3_keys[] = {
    COMMON,
    {"num_key_value_heads", HF_SIZE, "groups", "4"},
    {"head_dim", HF_SIZE, "head", ""},
    {"attention_bias", HF_FLAG, "qkv-bias", "no"},
    {"attention_bias", HF_FLAG, "out-bias", "no"},
    {"num_experts", HF_SIZE, "experts", "128"},
    {"num_experts_per_tok", HF_SIZE, "chosen", "8"},
    {"moe_intermediate_size", HF_SIZE, "expert", "768"},
    {"mlp_only_layers", HF_IGNORED, NULL, plain},
    HF_WINDOW("use_sliding_window"),
    HF_END,
};

const struct hf_architecture hf_experts_qwen3 = {
    .type = "qwen3_moe",
    .about = "Qwen 3 with experts",
    .model = "experts",
    .keys = qwen3_keys,
    .settings = qwen3_settings,
    .heads = hf_decoders_heads,
    .refine = qwen_refine,
};

/* Every head has keys of its own, out of the latent vector. */
#define LATENT                                                                                               \
    COMMON, {"kv_lora_rank", HF_SIZE, "key-rank", "512"}, {"q_lora_rank", HF_SIZE, "query-rank", "1536"},    \
        {"qk_nope_head_dim", HF_SIZE, "head", "128"}, {"qk_rope_head_dim", HF_SIZE, "position", "64"},       \
        {"v_head_dim", HF_SIZE, "value", "128"}, {"attention_bias", HF_FLAG, "latent-bias", "no"},           \
        {"moe_layer_freq", HF_SIZE, "every", "1"},                                                           \
    {                                                                                                        \
        "num_nextn_predict_layers", HF_IGNORED, NULL, ahead                                                  \
    }

/* Shared experts are counted in experts. `q_lora_rank: null` is not its absence: queries without a latent
 * vector. */
static bool latent_refine(struct hf *hf, int64_t shared, int64_t sequence)
{
    if (!hf_number(hf, "n_shared_experts", shared, &shared))
        return false;
    hf_set(hf, "shared", "%lld * expert", (long long)shared);
    if (value_get(hf->config, "q_lora_rank") && !hf_field(hf, "q_lora_rank"))
        hf_set(hf, "query-rank", "0");
    return hf_decoders_sequence(hf, "max_position_embeddings", sequence);
}

static const struct hf_key deepseek2_keys[] = {
    LATENT,
    {"n_routed_experts", HF_SIZE, "experts", "64"},
    {"num_experts_per_tok", HF_SIZE, "chosen", NULL},
    {"moe_intermediate_size", HF_SIZE, "expert", "1407"},
    {"first_k_dense_replace", HF_COUNT, "dense-layers", "0"},
    HF_END,
};

static bool deepseek2_refine(struct hf *hf)
{
    return latent_refine(hf, 2, 2048);
}

const struct hf_architecture hf_experts_deepseek2 = {
    .type = "deepseek_v2",
    .about = "DeepSeek-V2: latent attention, shared and routed experts",
    .model = "latent",
    .keys = deepseek2_keys,
    .heads = hf_decoders_heads,
    .refine = deepseek2_refine,
};

static const struct hf_setting deepseek3_settings[] = {{"correction", "yes"}, {NULL, NULL}};
static const struct hf_key deepseek3_keys[] = {
    LATENT,
    {"n_routed_experts", HF_SIZE, "experts", "256"},
    {"num_experts_per_tok", HF_SIZE, "chosen", "8"},
    {"moe_intermediate_size", HF_SIZE, "expert", "2048"},
    {"first_k_dense_replace", HF_COUNT, "dense-layers", "3"},
    HF_END,
};

static bool deepseek3_refine(struct hf *hf)
{
    return latent_refine(hf, 1, 4096);
}

const struct hf_architecture hf_experts_deepseek3 = {
    .type = "deepseek_v3",
    .about = "DeepSeek-V3: as V2, experts chosen by corrected scores",
    .model = "latent",
    .keys = deepseek3_keys,
    .settings = deepseek3_settings,
    .heads = hf_decoders_heads,
    .refine = deepseek3_refine,
};
