/* Further published sizes of the architectures of config.json files: parameters of the released weights,
 * tables that are tied once. */
#ifndef PARTITA_TESTS_HF_SIZES_H
#define PARTITA_TESTS_HF_SIZES_H

#include <stdint.h>

struct published {
    const char *model;
    uint64_t parameters;
    const char *config; /* single quotes stand for double ones */
};

static const struct published further_sizes[] = {
    {"Llama-2 70B", 68976648192,
     "{'model_type': 'llama', 'hidden_size': 8192, 'intermediate_size': 28672, "
     "'num_attention_heads': 64, 'num_hidden_layers': 80, 'vocab_size': 32000, "
     "'num_key_value_heads': 8}"},
    {"Llama-3 70B", 70553706496,
     "{'model_type': 'llama', 'hidden_size': 8192, 'intermediate_size': 28672, "
     "'num_attention_heads': 64, 'num_hidden_layers': 80, 'vocab_size': 128256, "
     "'num_key_value_heads': 8}"},
    {"Llama-3.1 405B", 405853388800,
     "{'model_type': 'llama', 'hidden_size': 16384, 'intermediate_size': 53248, "
     "'num_attention_heads': 128, 'num_hidden_layers': 126, 'vocab_size': 128256, "
     "'num_key_value_heads': 8, 'rope_scaling': {'rope_type': 'llama3', 'factor': 8.0}}"},
    {"Llama-3.2 3B", 3212749824,
     "{'model_type': 'llama', 'hidden_size': 3072, 'intermediate_size': 8192, "
     "'num_attention_heads': 24, 'num_hidden_layers': 28, 'vocab_size': 128256, "
     "'num_key_value_heads': 8, 'head_dim': 128, 'tie_word_embeddings': true}"},
    {"Mistral 7B v0.3", 7248023552,
     "{'model_type': 'mistral', 'hidden_size': 4096, 'intermediate_size': 14336, "
     "'num_attention_heads': 32, 'num_hidden_layers': 32, 'vocab_size': 32768, "
     "'num_key_value_heads': 8, 'sliding_window': null}"},
    {"Mistral Nemo 12B", 12247782400,
     "{'model_type': 'mistral', 'hidden_size': 5120, 'intermediate_size': 14336, "
     "'num_attention_heads': 32, 'num_hidden_layers': 40, 'vocab_size': 131072, "
     "'num_key_value_heads': 8, 'head_dim': 128, 'sliding_window': null}"},
    {"Mixtral 8x22B", 140620634112,
     "{'model_type': 'mixtral', 'hidden_size': 6144, 'intermediate_size': 16384, "
     "'num_attention_heads': 48, 'num_hidden_layers': 56, 'vocab_size': 32000, "
     "'num_key_value_heads': 8, 'num_local_experts': 8, 'num_experts_per_tok': 2}"},
    {"Qwen2.5 3B", 3085938688,
     "{'model_type': 'qwen2', 'hidden_size': 2048, 'intermediate_size': 11008, "
     "'num_attention_heads': 16, 'num_hidden_layers': 36, 'vocab_size': 151936, "
     "'num_key_value_heads': 2, 'tie_word_embeddings': true}"},
    {"Qwen2.5 72B", 72706203648,
     "{'model_type': 'qwen2', 'hidden_size': 8192, 'intermediate_size': 29568, "
     "'num_attention_heads': 64, 'num_hidden_layers': 80, 'vocab_size': 152064, "
     "'num_key_value_heads': 8, 'tie_word_embeddings': false}"},
    {"Qwen3 4B", 4022468096,
     "{'model_type': 'qwen3', 'hidden_size': 2560, 'intermediate_size': 9728, "
     "'num_attention_heads': 32, 'num_hidden_layers': 36, 'vocab_size': 151936, "
     "'num_key_value_heads': 8, 'head_dim': 128, 'tie_word_embeddings': true}"},
    {"Qwen3 14B", 14768307200,
     "{'model_type': 'qwen3', 'hidden_size': 5120, 'intermediate_size': 17408, "
     "'num_attention_heads': 40, 'num_hidden_layers': 40, 'vocab_size': 151936, "
     "'num_key_value_heads': 8, 'head_dim': 128, 'tie_word_embeddings': false}"},
    {"Qwen3 32B", 32762123264,
     "{'model_type': 'qwen3', 'hidden_size': 5120, 'intermediate_size': 25600, "
     "'num_attention_heads': 64, 'num_hidden_layers': 64, 'vocab_size': 151936, "
     "'num_key_value_heads': 8, 'head_dim': 128, 'tie_word_embeddings': false}"},
    {"Qwen3 235B-A22B", 235093634560,
     "{'model_type': 'qwen3_moe', 'hidden_size': 4096, 'intermediate_size': 12288, "
     "'num_attention_heads': 64, 'num_hidden_layers': 94, 'vocab_size': 151936, "
     "'num_key_value_heads': 4, 'head_dim': 128, 'num_experts': 128, 'num_experts_per_tok': 8, "
     "'moe_intermediate_size': 1536, 'mlp_only_layers': [], 'decoder_sparse_step': 1}"},
    {"Gemma 2 27B", 27227128320,
     "{'model_type': 'gemma2', 'hidden_size': 4608, 'intermediate_size': 36864, "
     "'num_attention_heads': 32, 'num_hidden_layers': 46, 'vocab_size': 256000, "
     "'num_key_value_heads': 16, 'head_dim': 128}"},
    {"Phi-3 medium", 13960238080,
     "{'model_type': 'phi3', 'hidden_size': 5120, 'intermediate_size': 17920, "
     "'num_attention_heads': 40, 'num_hidden_layers': 40, 'vocab_size': 32064, "
     "'num_key_value_heads': 10}"},
    {"Phi-3.5 mini", 3821079552,
     "{'model_type': 'phi3', 'hidden_size': 3072, 'intermediate_size': 8192, "
     "'num_attention_heads': 32, 'num_hidden_layers': 32, 'vocab_size': 32064, "
     "'num_key_value_heads': 32, 'rope_scaling': {'type': 'longrope', 'short_factor': [1.0], "
     "'long_factor': [1.0]}, 'original_max_position_embeddings': 4096, "
     "'max_position_embeddings': 131072}"},
    {"Phi-4", 14659507200,
     "{'model_type': 'phi3', 'hidden_size': 5120, 'intermediate_size': 17920, "
     "'num_attention_heads': 40, 'num_hidden_layers': 40, 'vocab_size': 100352, "
     "'num_key_value_heads': 10}"},
    {"GPT-2 XL", 1557611200,
     "{'model_type': 'gpt2', 'n_embd': 1600, 'n_head': 25, 'n_layer': 48, 'vocab_size': 50257, "
     "'n_positions': 1024, 'n_ctx': 1024}"},
    {"Pythia 160M", 162322944,
     "{'model_type': 'gpt_neox', 'hidden_size': 768, 'intermediate_size': 3072, "
     "'num_attention_heads': 12, 'num_hidden_layers': 12, 'vocab_size': 50304}"},
    {"Pythia 1B", 1011781632,
     "{'model_type': 'gpt_neox', 'hidden_size': 2048, 'intermediate_size': 8192, "
     "'num_attention_heads': 8, 'num_hidden_layers': 16, 'vocab_size': 50304}"},
    {"Pythia 6.9B", 6857302016,
     "{'model_type': 'gpt_neox', 'hidden_size': 4096, 'intermediate_size': 16384, "
     "'num_attention_heads': 32, 'num_hidden_layers': 32, 'vocab_size': 50432}"},
    {"Pythia 12B", 11846072320,
     "{'model_type': 'gpt_neox', 'hidden_size': 5120, 'intermediate_size': 20480, "
     "'num_attention_heads': 40, 'num_hidden_layers': 36, 'vocab_size': 50688}"},
    {"OPT 1.3B", 1315758080,
     "{'model_type': 'opt', 'hidden_size': 2048, 'ffn_dim': 8192, 'num_attention_heads': 32, "
     "'num_hidden_layers': 24, 'vocab_size': 50272, 'word_embed_proj_dim': 2048}"},
    {"BLOOM 1B1", 1065314304,
     "{'model_type': 'bloom', 'hidden_size': 1536, 'n_layer': 24, 'n_head': 16, 'vocab_size': "
     "250880}"},
    {"BLOOM 7B1", 7069016064,
     "{'model_type': 'bloom', 'n_embed': 4096, 'n_layer': 30, 'num_attention_heads': 32, "
     "'vocab_size': 250880}"},
    {"BLOOM 176B", 176247271424,
     "{'model_type': 'bloom', 'n_embed': 14336, 'n_layer': 70, 'num_attention_heads': 112, "
     "'vocab_size': 250880}"},
    {"Falcon RW 1B", 1311625216,
     "{'model_type': 'falcon', 'hidden_size': 2048, 'num_attention_heads': 32, "
     "'num_hidden_layers': 24, 'vocab_size': 50304, 'alibi': true, 'bias': true, 'multi_query': "
     "false, 'parallel_attn': false, 'new_decoder_architecture': false}"},
    {"BERT-large", 335141888,
     "{'model_type': 'bert', 'hidden_size': 1024, 'intermediate_size': 4096, "
     "'num_attention_heads': 16, 'num_hidden_layers': 24, 'vocab_size': 30522, 'architectures': "
     "['BertModel']}"},
    {"RoBERTa-large", 355412057,
     "{'model_type': 'roberta', 'hidden_size': 1024, 'intermediate_size': 4096, "
     "'num_attention_heads': 16, 'num_hidden_layers': 24, 'vocab_size': 50265, "
     "'max_position_embeddings': 514, 'type_vocab_size': 1, 'architectures': "
     "['RobertaForMaskedLM']}"},
    {"T5-3B", 2851598336,
     "{'model_type': 't5', 'd_model': 1024, 'd_ff': 16384, 'd_kv': 128, 'num_heads': 32, "
     "'num_layers': 24, 'vocab_size': 32128}"},
    {"T5-11B", 11307321344,
     "{'model_type': 't5', 'd_model': 1024, 'd_ff': 65536, 'd_kv': 128, 'num_heads': 128, "
     "'num_layers': 24, 'vocab_size': 32128}"},
    {"Flan-T5 XL", 2849757184,
     "{'model_type': 't5', 'd_model': 2048, 'd_ff': 5120, 'd_kv': 64, 'num_heads': 32, "
     "'num_layers': 24, 'vocab_size': 32128, 'feed_forward_proj': 'gated-gelu', "
     "'tie_word_embeddings': false}"},
    {"Flan-T5 XXL", 11135332352,
     "{'model_type': 't5', 'd_model': 4096, 'd_ff': 10240, 'd_kv': 64, 'num_heads': 64, "
     "'num_layers': 24, 'vocab_size': 32128, 'feed_forward_proj': 'gated-gelu', "
     "'tie_word_embeddings': false}"},
    {"ViT-L/16", 304326632,
     "{'model_type': 'vit', 'architectures': ['ViTForImageClassification'], 'hidden_size': 1024, "
     "'intermediate_size': 4096, 'num_attention_heads': 16, 'num_hidden_layers': 24, "
     "'num_labels': 1000}"},
    {"ViT-H/14", 632045800,
     "{'model_type': 'vit', 'architectures': ['ViTForImageClassification'], 'hidden_size': 1280, "
     "'intermediate_size': 5120, 'num_attention_heads': 16, 'num_hidden_layers': 32, "
     "'patch_size': 14, 'image_size': 224, 'num_labels': 1000}"},
};

#endif
