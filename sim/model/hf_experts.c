/* Decoder-only architectures with mixtures of experts. Fields and defaults are those of the configuration
 * classes of transformers 4.x. */
#include "model/hf_keys.h"

static const char ahead[] = "modules that predict further tokens are left out";

#define COMMON                                                                                               \
    HF_BLOCKS, HF_VOCABULARY, {"hidden_act", HF_ACTIVATION, "act", "silu"},                                  \
    {                                                                                                        \
        "tie_word_embeddings", HF_FLAG, "tied", "no"                                                         \
    }

static const struct hf_key mixtral_keys[] = {
    COMMON,
    HF_GROUPS("8"),
    HF_HEAD(""),
    {"num_local_experts|num_experts", HF_REPEAT, "experts", "8"},
    {"num_experts_per_tok", HF_SIZE, "chosen", "2"},
    HF_WINDOW(""),
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

/* Without experts at all, every block has an MLP. */
static bool qwen_refine(struct hf *hf)
{
    int64_t experts;
    if (!hf_number(hf, "num_experts|num_local_experts", 1, &experts))
        return false;
    if (experts == 0) {
        hf_set(hf, "experts", "1");
        hf_set(hf, "dense-layers", "layers");
    }
    hf_set(hf, "after", "1");
    return hf_decoders_sequence(hf, "max_position_embeddings", 32768);
}

/* Of the first blocks every second one has a window. */
static bool qwen2_full(int64_t block, int64_t windows)
{
    return block % 2 == 1 || block >= windows;
}

static bool qwen2_refine(struct hf *hf)
{
    return hf_windows_if_used(hf, qwen2_full) && qwen_refine(hf);
}

/* All blocks have a window, or none. */
static bool qwen3_full(int64_t block, int64_t windows)
{
    (void)block, (void)windows;
    return false;
}

static bool qwen3_refine(struct hf *hf)
{
    return hf_windows_if_used(hf, qwen3_full) && qwen_refine(hf);
}

static const struct hf_setting qwen2_settings[] = {{"shared-gate", "yes"}, {NULL, NULL}};
static const struct hf_key qwen2_keys[] = {
    COMMON,
    HF_GROUPS("16"),
    HF_HEAD(""),
    {"qkv_bias", HF_FLAG, "qkv-bias", "yes"},
    {"num_experts|num_local_experts", HF_COUNT, "experts", "60"},
    {"num_experts_per_tok", HF_SIZE, "chosen", "4"},
    {"moe_intermediate_size", HF_SIZE, "expert", "1408"},
    {"shared_expert_intermediate_size", HF_SIZE, "shared", "5632"},
    {"mlp_only_layers", HF_LIST, "plain", ""},
    {"decoder_sparse_step", HF_SIZE, "every", "1"},
    HF_WINDOW("4096"),
    HF_END,
};

const struct hf_architecture hf_experts_qwen2 = {
    .type = "qwen2_moe",
    .about = "Qwen 1.5 and 2 with experts, one of them shared and gated",
    .model = "experts",
    .keys = qwen2_keys,
    .settings = qwen2_settings,
    .heads = hf_decoders_heads,
    .refine = qwen2_refine,
};

static const struct hf_setting qwen3_settings[] = {{"qk-norm", "yes"}, {NULL, NULL}};
static const struct hf_key qwen3_keys[] = {
    COMMON,
    HF_GROUPS("4"),
    HF_HEAD(""),
    {"attention_bias", HF_FLAG, "qkv-bias", "no"},
    {"attention_bias", HF_FLAG, "out-bias", "no"},
    {"num_experts|num_local_experts", HF_COUNT, "experts", "128"},
    {"num_experts_per_tok", HF_SIZE, "chosen", "8"},
    {"moe_intermediate_size", HF_SIZE, "expert", "768"},
    {"mlp_only_layers", HF_LIST, "plain", ""},
    {"decoder_sparse_step", HF_SIZE, "every", "1"},
    HF_WINDOW("4096"),
    HF_END,
};

const struct hf_architecture hf_experts_qwen3 = {
    .type = "qwen3_moe",
    .about = "Qwen 3 with experts",
    .model = "experts",
    .keys = qwen3_keys,
    .settings = qwen3_settings,
    .heads = hf_decoders_heads,
    .refine = qwen3_refine,
};

#define ROUTED "n_routed_experts|num_experts|num_local_experts"

/* Every head has keys of its own, out of the latent vector. Null is not absence: queries without a latent
 * vector, no shared expert, no experts at all. */
#define LATENT(routed, first)                                                                                \
    COMMON, {"kv_lora_rank", HF_SIZE, "key-rank", "512"}, {"q_lora_rank", HF_SIZE, "query-rank", "1536"},    \
        {"q_lora_rank", HF_NULL, "query-rank", "0"}, {"qk_nope_head_dim", HF_SIZE, "head", "128"},           \
        {"qk_rope_head_dim", HF_SIZE, "position", "64"}, {"v_head_dim", HF_SIZE, "value", "128"},            \
        {"attention_bias", HF_FLAG, "latent-bias", "no"}, {"moe_layer_freq", HF_SIZE, "every", "1"},         \
        {ROUTED, HF_REPEAT, "experts", routed}, {ROUTED, HF_NULL, "experts", "1"},                           \
        {"first_k_dense_replace", HF_COUNT, "dense-layers", first},                                          \
        {ROUTED, HF_NULL, "dense-layers", "layers"},                                                         \
        {"mlp_bias", HF_REFUSED, NULL, "biases of experts are not supported"},                               \
    {                                                                                                        \
        "num_nextn_predict_layers", HF_IGNORED, NULL, ahead                                                  \
    }

/* Shared experts are counted in experts. */
static bool latent_refine(struct hf *hf, int64_t shared, int64_t sequence)
{
    const struct entry *none = value_entry(hf->config, "n_shared_experts");
    if (!hf_number(hf, "n_shared_experts", none ? 0 : shared, &shared))
        return false;
    hf_set(hf, "shared", "%lld * expert", (long long)shared);
    return hf_decoders_sequence(hf, "max_position_embeddings", sequence);
}

static const struct hf_key deepseek2_keys[] = {
    LATENT("64", "0"),
    {"num_experts_per_tok", HF_SIZE, "chosen", NULL},
    {"moe_intermediate_size", HF_SIZE, "expert", "1407"},
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
    LATENT("256", "3"),
    {"num_experts_per_tok", HF_SIZE, "chosen", "8"},
    {"moe_intermediate_size", HF_SIZE, "expert", "2048"},
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
