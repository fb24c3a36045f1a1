/* config.json files: parameters exactly those of the released weights (the number of elements that
 * transformers counts, tied tables once), defaults, and what is refused. The configurations are those
 * published with each model, without the fields that are not read. */
#include "hf_sizes.h"
#include "model/hf.h"
#include "model/model_file.h"
#include "model_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct published published[] = {
    {"Llama-2 7B", 6738415616,
     "{'architectures': ['LlamaForCausalLM'], 'model_type': 'llama', 'hidden_size': 4096, "
     "'intermediate_size': 11008, "
     "'num_attention_heads': 32, 'num_hidden_layers': 32, 'num_key_value_heads': 32, 'vocab_size': 32000, "
     "'max_position_embeddings': 4096, 'tie_word_embeddings': false, 'hidden_act': 'silu', 'rope_scaling': "
     "null}"},
    {"Llama-3 8B", 8030261248,
     "{'architectures': ['LlamaForCausalLM'], 'model_type': 'llama', 'hidden_size': 4096, "
     "'intermediate_size': 14336, "
     "'num_attention_heads': 32, 'num_hidden_layers': 32, 'num_key_value_heads': 8, 'vocab_size': 128256}"},
    {"Llama-3.2 1B", 1235814400,
     "{'model_type': 'llama', 'hidden_size': 2048, 'intermediate_size': 8192, 'num_attention_heads': 32, "
     "'num_hidden_layers': 16, 'num_key_value_heads': 8, 'vocab_size': 128256, 'head_dim': 64, "
     "'tie_word_embeddings': true}"},
    {"Mistral 7B", 7241732096,
     "{'architectures': ['MistralForCausalLM'], 'model_type': 'mistral', 'hidden_size': 4096, "
     "'intermediate_size': 14336, 'num_attention_heads': 32, 'num_hidden_layers': 32, 'vocab_size': 32000}"},
    {"Qwen2 0.5B", 494032768,
     "{'architectures': ['Qwen2ForCausalLM'], 'model_type': 'qwen2', 'hidden_size': 896, "
     "'intermediate_size': 4864, "
     "'num_attention_heads': 14, 'num_hidden_layers': 24, 'num_key_value_heads': 2, 'vocab_size': 151936, "
     "'tie_word_embeddings': true, 'use_sliding_window': false}"},
    {"Qwen2 7B", 7615616512,
     "{'architectures': ['Qwen2ForCausalLM'], 'model_type': 'qwen2', 'hidden_size': 3584, "
     "'intermediate_size': 18944, "
     "'num_attention_heads': 28, 'num_hidden_layers': 28, 'num_key_value_heads': 4, 'vocab_size': 152064, "
     "'tie_word_embeddings': false}"},
    {"Qwen3 0.6B", 596049920,
     "{'architectures': ['Qwen3ForCausalLM'], 'model_type': 'qwen3', 'hidden_size': 1024, "
     "'intermediate_size': 3072, "
     "'num_attention_heads': 16, 'num_hidden_layers': 28, 'num_key_value_heads': 8, 'vocab_size': 151936, "
     "'head_dim': 128, 'tie_word_embeddings': true}"},
    {"Qwen3 8B", 8190735360,
     "{'architectures': ['Qwen3ForCausalLM'], 'model_type': 'qwen3', 'hidden_size': 4096, "
     "'intermediate_size': 12288, "
     "'num_attention_heads': 32, 'num_hidden_layers': 36, 'num_key_value_heads': 8, 'vocab_size': 151936}"},
    {"Gemma 2B", 2506172416,
     "{'architectures': ['GemmaForCausalLM'], 'model_type': 'gemma', 'hidden_size': 2048, "
     "'intermediate_size': 16384, "
     "'num_attention_heads': 8, 'num_hidden_layers': 18, 'num_key_value_heads': 1, 'vocab_size': 256000, "
     "'head_dim': 256, 'hidden_act': 'gelu', 'hidden_activation': null}"},
    {"Gemma 7B", 8537680896,
     "{'architectures': ['GemmaForCausalLM'], 'model_type': 'gemma', 'hidden_size': 3072, "
     "'intermediate_size': 24576, "
     "'num_attention_heads': 16, 'num_hidden_layers': 28, 'vocab_size': 256000}"},
    {"Gemma 2 2B", 2614341888,
     "{'architectures': ['Gemma2ForCausalLM'], 'model_type': 'gemma2', 'hidden_size': 2304, "
     "'intermediate_size': 9216, 'num_attention_heads': 8, 'num_hidden_layers': 26, 'num_key_value_heads': "
     "4, "
     "'vocab_size': 256000, 'head_dim': 256}"},
    {"Gemma 2 9B", 9241705984,
     "{'architectures': ['Gemma2ForCausalLM'], 'model_type': 'gemma2', 'hidden_size': 3584, "
     "'intermediate_size': 14336, 'num_attention_heads': 16, 'num_hidden_layers': 42, 'num_key_value_heads': "
     "8, "
     "'vocab_size': 256000, 'head_dim': 256}"},
    {"Phi-3 mini", 3821079552,
     "{'architectures': ['Phi3ForCausalLM'], 'model_type': 'phi3', 'hidden_size': 3072, 'intermediate_size': "
     "8192, "
     "'num_attention_heads': 32, 'num_hidden_layers': 32, 'num_key_value_heads': 32, 'vocab_size': 32064}"},
    {"GPT-2", 124439808,
     "{'architectures': ['GPT2LMHeadModel'], 'model_type': 'gpt2', 'n_embd': 768, 'n_head': 12, 'n_layer': "
     "12, "
     "'n_positions': 1024, 'vocab_size': 50257, 'activation_function': 'gelu_new', 'n_inner': null}"},
    {"GPT-NeoX 20B", 20554567680,
     "{'architectures': ['GPTNeoXForCausalLM'], 'model_type': 'gpt_neox', 'hidden_size': 6144, "
     "'intermediate_size': 24576, 'num_attention_heads': 64, 'num_hidden_layers': 44, 'vocab_size': 50432, "
     "'hidden_act': 'gelu_fast'}"},
    {"Pythia 70M", 70426624,
     "{'architectures': ['GPTNeoXForCausalLM'], 'model_type': 'gpt_neox', 'hidden_size': 512, "
     "'intermediate_size': 2048, 'num_attention_heads': 8, 'num_hidden_layers': 6, 'vocab_size': 50304}"},
    {"OPT 125M", 125239296,
     "{'architectures': ['OPTForCausalLM'], 'model_type': 'opt', 'hidden_size': 768, 'ffn_dim': 3072, "
     "'num_attention_heads': 12, 'num_hidden_layers': 12, 'vocab_size': 50272, 'word_embed_proj_dim': 768}"},
    {"OPT 350M", 331196416,
     "{'architectures': ['OPTForCausalLM'], 'model_type': 'opt', 'hidden_size': 1024, 'ffn_dim': 4096, "
     "'num_attention_heads': 16, 'num_hidden_layers': 24, 'vocab_size': 50272, 'word_embed_proj_dim': 512, "
     "'do_layer_norm_before': false}"},
    {"BLOOM 560M", 559214592,
     "{'architectures': ['BloomForCausalLM'], 'model_type': 'bloom', 'hidden_size': 1024, 'n_layer': 24, "
     "'n_head': 16, 'vocab_size': 250880}"},
    {"Falcon 7B", 6921720704,
     "{'architectures': ['FalconForCausalLM'], 'model_type': 'falcon', 'hidden_size': 4544, "
     "'num_attention_heads': 71, 'num_hidden_layers': 32, 'vocab_size': 65024, 'multi_query': true, "
     "'parallel_attn': true, 'bias': false, 'new_decoder_architecture': false}"},
    {"Falcon 40B", 41303293952,
     "{'architectures': ['FalconForCausalLM'], 'model_type': 'falcon', 'hidden_size': 8192, "
     "'num_attention_heads': 128, 'num_hidden_layers': 60, 'num_kv_heads': 8, 'vocab_size': 65024, "
     "'new_decoder_architecture': true, 'bias': false}"},
    {"Mixtral 8x7B", 46702792704,
     "{'architectures': ['MixtralForCausalLM'], 'model_type': 'mixtral', 'hidden_size': 4096, "
     "'intermediate_size': 14336, 'num_attention_heads': 32, 'num_hidden_layers': 32, 'num_key_value_heads': "
     "8, 'num_local_experts': 8, 'num_experts_per_tok': 2, 'vocab_size': 32000, 'sliding_window': null}"},
    {"Qwen1.5-MoE A2.7B", 14315784192,
     "{'architectures': ['Qwen2MoeForCausalLM'], 'model_type': 'qwen2_moe', 'hidden_size': 2048, "
     "'intermediate_size': 5632, 'num_attention_heads': 16, 'num_hidden_layers': 24, 'num_key_value_heads': "
     "16, 'num_experts': 60, 'num_experts_per_tok': 4, 'moe_intermediate_size': 1408, "
     "'shared_expert_intermediate_size': 5632, 'decoder_sparse_step': 1, 'vocab_size': 151936, "
     "'max_position_embeddings': 8192}"},
    {"Qwen3 30B-A3B", 30532122624,
     "{'architectures': ['Qwen3MoeForCausalLM'], 'model_type': 'qwen3_moe', 'hidden_size': 2048, "
     "'intermediate_size': 6144, 'num_attention_heads': 32, 'num_hidden_layers': 48, 'num_key_value_heads': "
     "4, 'head_dim': 128, 'num_experts': 128, 'num_experts_per_tok': 8, 'moe_intermediate_size': 768, "
     "'mlp_only_layers': [], 'vocab_size': 151936}"},
    {"DeepSeek-V2", 235741434880,
     "{'architectures': ['DeepseekV2ForCausalLM'], 'model_type': 'deepseek_v2', 'hidden_size': 5120, "
     "'intermediate_size': 12288, 'num_attention_heads': 128, 'num_key_value_heads': 128, "
     "'num_hidden_layers': 60, 'first_k_dense_replace': 1, 'moe_layer_freq': 1, 'n_routed_experts': 160, "
     "'n_shared_experts': 2, 'num_experts_per_tok': 6, 'moe_intermediate_size': 1536, 'q_lora_rank': 1536, "
     "'vocab_size': 102400, 'hidden_act': 'silu', 'kv_lora_rank': 512, 'qk_nope_head_dim': 128, "
     "'qk_rope_head_dim': 64, 'v_head_dim': 128}"},
    {"DeepSeek-V2-Lite", 15706484224,
     "{'architectures': ['DeepseekV2ForCausalLM'], 'model_type': 'deepseek_v2', 'hidden_size': 2048, "
     "'intermediate_size': 10944, 'num_attention_heads': 16, 'num_hidden_layers': 27, "
     "'first_k_dense_replace': 1, 'n_routed_experts': 64, 'n_shared_experts': 2, 'num_experts_per_tok': 6, "
     "'moe_intermediate_size': 1408, 'q_lora_rank': null, 'vocab_size': 102400}"},
    {"DeepSeek-V3, without the module that predicts a second token", 671026419200,
     "{'architectures': ['DeepseekV3ForCausalLM'], 'model_type': 'deepseek_v3', 'hidden_size': 7168, "
     "'intermediate_size': 18432, 'num_attention_heads': 128, 'num_hidden_layers': 61, "
     "'first_k_dense_replace': 3, 'n_routed_experts': 256, 'n_shared_experts': 1, 'num_experts_per_tok': 8, "
     "'moe_intermediate_size': 2048, 'q_lora_rank': 1536, 'vocab_size': 129280}"},
    {"BERT-base", 109482240,
     "{'architectures': ['BertModel'], 'model_type': 'bert', 'hidden_size': 768, 'intermediate_size': 3072, "
     "'num_attention_heads': 12, 'num_hidden_layers': 12, 'vocab_size': 30522}"},
    {"BERT-base, masked language model", 109514298,
     "{'architectures': ['BertForMaskedLM'], 'model_type': 'bert', 'hidden_size': 768, 'intermediate_size': "
     "3072, "
     "'num_attention_heads': 12, 'num_hidden_layers': 12, 'vocab_size': 30522, 'type_vocab_size': 2}"},
    {"RoBERTa-base, masked language model", 124697433,
     "{'architectures': ['RobertaForMaskedLM'], 'model_type': 'roberta', 'hidden_size': 768, "
     "'intermediate_size': 3072, 'num_attention_heads': 12, 'num_hidden_layers': 12, 'vocab_size': 50265, "
     "'max_position_embeddings': 514, 'type_vocab_size': 1}"},
    {"T5-small", 60506624,
     "{'architectures': ['T5ForConditionalGeneration'], 'model_type': 't5', 'd_model': 512, 'd_ff': 2048, "
     "'d_kv': 64, 'num_heads': 8, 'num_layers': 6, 'vocab_size': 32128}"},
    {"T5 1.1 small", 76961152,
     "{'architectures': ['T5ForConditionalGeneration'], 'model_type': 't5', 'd_model': 512, 'd_ff': 1024, "
     "'d_kv': 64, 'num_heads': 6, 'num_layers': 8, 'num_decoder_layers': 8, 'vocab_size': 32128, "
     "'feed_forward_proj': 'gated-gelu', 'tie_word_embeddings': false}"},
    {"ViT-B/16", 86567656,
     "{'architectures': ['ViTForImageClassification'], 'model_type': 'vit', 'hidden_size': 768, "
     "'intermediate_size': 3072, 'num_attention_heads': 12, 'num_hidden_layers': 12, 'num_labels': 1000}"},
    {"ViT-B/16 without a head", 86389248,
     "{'architectures': ['ViTModel'], 'model_type': 'vit', 'hidden_size': 768, 'intermediate_size': 3072, "
     "'num_attention_heads': 12, 'num_hidden_layers': 12}"},
};

/* Single quotes stand for double ones. */
static struct value *parse(struct input *input, const char *config)
{
    char *text = arena_text(&input->arena, config);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    struct value *document = document_parse(input, "config.json", text, strlen(text), true);
    assert_non_null(document);
    assert_true(hf_is(document));
    return hf_read(input, document);
}

/* Counts of a model for one sample. */
struct counts {
    uint64_t parameters, active; /* active: that one token uses */
    double macs;
};

static struct counts counts_of(const struct published *one)
{
    struct input input;
    struct names names;
    struct model model;
    input_init(&input, PARTITA_SOURCE);
    names_init(&names);
    model_init(&model, &names);
    struct value *document = parse(&input, one->config);
    if (document)
        document = document_complete(&input, document);
    bool good = document && build_model(&input, document, NULL, 1, &model);
    if (!good)
        fail_msg("%s: %s", one->model, input.report.list.count ? input.report.list.at[0].text : "?");
    struct counts counts = {model_parameters(&model), model_active_parameters(&model), model_macs(&model)};
    model_fini(&model);
    names_fini(&names);
    input_fini(&input);
    return counts;
}

static uint64_t count(const struct published *one)
{
    return counts_of(one).parameters;
}

static uint32_t wrong_sizes(const struct published *list, size_t length)
{
    uint32_t wrong = 0;
    for (size_t i = 0; i < length; i++) {
        uint64_t parameters = count(&list[i]);
        if (parameters != list[i].parameters)
            print_error("%s: %llu parameters, published %llu (%+lld)\n", list[i].model,
                        (unsigned long long)parameters, (unsigned long long)list[i].parameters,
                        (long long)(parameters - list[i].parameters));
        wrong += parameters != list[i].parameters;
    }
    return wrong;
}

static void each_has_exactly_the_released_parameters(void **state)
{
    (void)state;
    assert_int_equal(wrong_sizes(published, sizeof published / sizeof published[0]), 0);
    assert_int_equal(wrong_sizes(further_sizes, sizeof further_sizes / sizeof further_sizes[0]), 0);
}

static void every_architecture_has_a_published_size(void **state)
{
    (void)state;
    for (uint32_t i = 0; hf_architectures[i]; i++) {
        char type[64];
        snprintf(type, sizeof type, "'model_type': '%s'", hf_architectures[i]->type);
        bool found = false;
        for (size_t k = 0; k < sizeof published / sizeof published[0]; k++)
            found |= strstr(published[k].config, type) != NULL;
        if (!found)
            fail_msg("%s", hf_architectures[i]->type);
    }
}

/* Of the released parameters, a token leaves those of the experts that it is not sent to: so many blocks
 * times experts times 3 hidden inner. The publications round these to 12.9, 2.7, 3.3, 21, 2.7 and 37 billion.
 */
static const struct {
    const char *model;
    uint64_t blocks, idle, hidden, inner; /* idle: experts of a block that one token does not use */
    uint64_t others; /* parameters that multiply nothing: the table, norms, corrections of scores */
    uint64_t
        products; /* layers times heads times the sizes of a key and a value: two products for each pair */
} mixtures[] = {
    {"Mixtral 8x7B", 32, 6, 4096, 14336, 32000 * 4096 + 65 * 4096, 32 * 32 * (128 + 128)},
    {"Qwen1.5-MoE A2.7B", 24, 56, 2048, 1408, 151936 * 2048 + 49 * 2048 + 24 * 3 * 2048,
     24 * 16 * (128 + 128)},
    {"Qwen3 30B-A3B", 48, 120, 2048, 768, 151936 * 2048 + 97 * 2048 + 48 * 256, 48 * 32 * (128 + 128)},
    {"DeepSeek-V2", 59, 154, 5120, 1536, 102400UL * 5120 + 121 * 5120 + 60 * (1536 + 512),
     60 * 128 * (192 + 128)},
    {"DeepSeek-V2-Lite", 26, 58, 2048, 1408, 102400 * 2048 + 55 * 2048 + 27 * 512, 27 * 16 * (192 + 128)},
    {"DeepSeek-V3, without the module that predicts a second token", 58, 248, 7168, 2048,
     129280UL * 7168 + 123 * 7168 + 61 * (1536 + 512) + 58 * 256, 61 * 128 * (192 + 128)},
};

static const struct published *called(const char *model)
{
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++)
        if (strcmp(published[i].model, model) == 0)
            return &published[i];
    fail_msg("%s", model);
    return NULL;
}

static void a_token_uses_and_multiplies_with_the_experts_that_it_is_sent_to(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mixtures / sizeof mixtures[0]; i++) {
        const struct published *one = called(mixtures[i].model);
        struct counts counts = counts_of(one);
        uint64_t idle = mixtures[i].blocks * mixtures[i].idle * 3 * mixtures[i].hidden * mixtures[i].inner;
        uint64_t active = one->parameters - idle;
        if (counts.active != active)
            fail_msg("%s: %llu active, expected %llu", one->model, (unsigned long long)counts.active,
                     (unsigned long long)active);
        double sequence = strstr(one->config, "deepseek_v2") ? 2048 : 4096;
        double macs = sequence * (double)(active - mixtures[i].others);
        macs += sequence * sequence * (double)mixtures[i].products;
        if (counts.macs > macs || counts.macs < macs)
            fail_msg("%s: %.0f MACs, expected %.0f", one->model, counts.macs, macs);
    }
}

/* With every second block mixed, half of the blocks have the MLP's parameters instead. */
static void blocks_with_experts_alternate_with_plain_ones(void **state)
{
    (void)state;
    static const char *const form =
        "{'model_type': 'qwen2_moe', 'hidden_size': 32, 'num_hidden_layers': 6, 'num_attention_heads': 4, "
        "'num_key_value_heads': 4, 'intermediate_size': 64, 'vocab_size': 100, 'num_experts': 5, "
        "'moe_intermediate_size': 8, 'shared_expert_intermediate_size': 16, 'decoder_sparse_step': %d}";
    uint64_t mixture = 5 * 3 * 32 * 8 + 3 * 32 * 16 + 32 + 5 * 32, plain = 3 * 32 * 64, all = 0;
    for (int step = 1; step <= 4; step++) {
        char config[512];
        snprintf(config, sizeof config, form, step);
        uint64_t parameters = count(&(struct published){"small", 0, config});
        all = step == 1 ? parameters : all;
        assert_int_equal(parameters, all - (6 - 6 / (uint64_t)step) * (mixture - plain));
    }
}

/* Blocks that `mlp_only_layers` names have an MLP, whatever the step says. */
static void single_blocks_have_no_experts(void **state)
{
    (void)state;
    static const char *const form =
        "{'model_type': 'qwen3_moe', 'hidden_size': 32, 'num_hidden_layers': 6, 'num_attention_heads': 4, "
        "'num_key_value_heads': 4, 'intermediate_size': 64, 'vocab_size': 100, 'num_experts': 5, "
        "'num_experts_per_tok': 2, 'moe_intermediate_size': 8, 'decoder_sparse_step': 2, 'mlp_only_layers': "
        "%s}";
    static const struct {
        const char *list;
        uint64_t mixtures; /* of the blocks 1, 3 and 5 */
    } cases[] = {{"[]", 3}, {"[0, 2]", 3}, {"[3]", 2}, {"[1, 3, 5, 9]", 0}};
    uint64_t mixture = 5 * 3 * 32 * 8 + 5 * 32, plain = 3 * 32 * 64, first = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char config[512];
        snprintf(config, sizeof config, form, cases[i].list);
        uint64_t parameters = count(&(struct published){"small", 0, config});
        first = i ? first : parameters;
        assert_int_equal(parameters + (3 - cases[i].mixtures) * mixture,
                         first + (3 - cases[i].mixtures) * plain);
    }
}

/* The first message about a configuration that is not read. */
static void refuse(const char *config, const char *expected)
{
    struct input input;
    input_init(&input, PARTITA_SOURCE);
    assert_null(parse(&input, config));
    assert_true(input.report.list.count > 0);
    assert_string_equal(input.report.list.at[0].text, expected);
    input_fini(&input);
}

#define SIZES "'num_hidden_layers': 2, 'num_attention_heads': 4, 'intermediate_size': 64, 'vocab_size': 100"

#define TYPES                                                                                                \
    "llama, mistral, qwen2, qwen3, gemma, gemma2, phi3, gpt2, gpt_neox, opt, bloom, falcon, mixtral, "       \
    "qwen2_moe, qwen3_moe, deepseek_v2, deepseek_v3, bert, roberta, t5, vit"

static void what_cannot_be_read_is_refused(void **state)
{
    (void)state;
    refuse("{'model_type': 'llama', " SIZES "}",
           "missing field 'hidden_size', which model_type 'llama' needs (as it does num_hidden_layers, "
           "hidden_size, num_attention_heads, intermediate_size, vocab_size)");
    refuse("{'model_type': 'lama', " SIZES "}",
           "model_type 'lama' is not supported, did you mean 'llama'? Those that are: " TYPES);
    refuse("{'model_type': 'hyena'}", "model_type 'hyena' is not supported. Those that are: " TYPES);
    refuse("{'architectures': ['LlamaForCausalLM'], " SIZES "}",
           "missing field 'model_type', which says what this configuration is of. Supported are: " TYPES);
    refuse("{'model_type': 'llama', 'hidden_size': 30, " SIZES "}",
           "4 heads do not share a width of 30 evenly");
    refuse("{'model_type': 'qwen3', 'hidden_size': 30, 'head_dim': null, " SIZES "}",
           "4 heads do not share a width of 30 evenly");
    refuse("{'model_type': 'llama', 'hidden_size': 32, 'hidden_act': 'silo', " SIZES "}",
           "there is no activation function 'silo'; did you mean 'silu'?");
    refuse("{'model_type': 'bert', 'architectures': ['BertForFun'], 'hidden_size': 32, " SIZES "}",
           "the class 'BertForFun' is not supported for model_type 'bert'; those named ...BertModel, "
           "...ForPreTraining, ...ForMaskedLM, ...LMHeadModel, ...ForSequenceClassification, "
           "...ForNextSentencePrediction, ...ForMultipleChoice, ...ForTokenClassification, "
           "...ForQuestionAnswering are");
}

static void what_is_lost_is_said(void **state)
{
    (void)state;
    struct input input;
    input_init(&input, PARTITA_SOURCE);
    assert_non_null(parse(
        &input, "{'model_type': 'mistral', 'hidden_size': 32, 'sliding_window': 4096, 'quantization_config': "
                "{'bits': 4}, 'num_key_value_heads': 2, " SIZES "}"));
    assert_int_equal(input.report.warnings, 1);
    input_fini(&input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_exactly_the_released_parameters),
        cmocka_unit_test(every_architecture_has_a_published_size),
        cmocka_unit_test(a_token_uses_and_multiplies_with_the_experts_that_it_is_sent_to),
        cmocka_unit_test(blocks_with_experts_alternate_with_plain_ones),
        cmocka_unit_test(single_blocks_have_no_experts),
        cmocka_unit_test(what_cannot_be_read_is_refused),
        cmocka_unit_test(what_is_lost_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
