#!/usr/bin/env python3
"""Parameters and multiplications of random configurations of every architecture, rarely used fields included, against
modules.py, which knows nothing of the program.

usage: check.py PROGRAM [COUNT [SEED]]"""
import json
import os
import random
import subprocess
import sys
import tempfile

import modules

PROGRAM = sys.argv[1]
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 8
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 20240718
PREFIX = {"llama": "Llama", "mistral": "Mistral", "mixtral": "Mixtral", "qwen2": "Qwen2", "qwen2_moe": "Qwen2Moe",
          "qwen3": "Qwen3", "qwen3_moe": "Qwen3Moe", "gemma": "Gemma", "gemma2": "Gemma2", "phi3": "Phi3", "gpt2": "GPT2",
          "gpt_neox": "GPTNeoX", "opt": "OPT", "bloom": "Bloom", "falcon": "Falcon", "deepseek_v2": "DeepseekV2",
          "deepseek_v3": "DeepseekV3", "bert": "Bert", "roberta": "Roberta", "t5": "T5", "vit": "ViT"}
DECODER = ["ForCausalLM", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "Model"]
BERT = ["Model", "ForMaskedLM", "ForSequenceClassification", "ForMultipleChoice", "ForTokenClassification",
        "ForQuestionAnswering"]
CLASSES = {"bert": BERT + ["ForPreTraining", "LMHeadModel", "ForNextSentencePrediction"],
           "roberta": BERT + ["ForCausalLM"],
           "gpt2": ["LMHeadModel"] + DECODER[1:],
           "t5": ["ForConditionalGeneration", "EncoderModel", "Model", "ForSequenceClassification",
                  "ForTokenClassification", "ForQuestionAnswering"],
           "vit": ["Model", "ForImageClassification"]}


class Draw:
    """Fields of one configuration: `maybe` leaves a field out half of the time."""

    def __init__(self, rng, kind):
        self.rng, self.c = rng, {"model_type": kind}

    def put(self, name, *choices):
        self.c[self.rng.choice(name.split("|"))] = self.rng.choice(choices)

    def maybe(self, name, *choices):
        if self.rng.random() < 0.5:
            self.put(name, *choices)


def sizes(draw, heads="num_attention_heads", width="hidden_size", blocks="num_hidden_layers"):
    """Heads that share the width, and the size of one."""
    rng = draw.rng
    count, size = rng.choice([1, 2, 4, 6, 12]), rng.choice([2, 4, 8])
    for names, value in ((heads, count), (width, count * size), (blocks, rng.randint(1, 5))):
        draw.put(names, value)
    draw.put("vocab_size", 97, 128)
    draw.maybe("tie_word_embeddings", True, False)
    return count


def draw_llama_like(draw, kind):
    heads = sizes(draw)
    groups = [g for g in (1, 2, 3, 4, 6, 12) if heads % g == 0]
    draw.put("intermediate_size", 20, 48)
    draw.put("max_position_embeddings", 16, 32)
    draw.put("num_key_value_heads", *groups, None)
    if modules.KV_HEADS[kind] is None or heads % modules.KV_HEADS[kind] == 0:
        if draw.rng.random() < 0.3:
            del draw.c["num_key_value_heads"]
    draw.maybe("head_dim", 6, 16, *([] if kind in ("phi3", "qwen2", "qwen2_moe") else [None]))
    draw.maybe("attention_bias", True, False)
    draw.maybe("mlp_bias", True, False)
    draw.maybe("sliding_window", 3, 8, 64, None)
    draw.maybe("hidden_act", "silu", "gelu_pytorch_tanh")
    draw.maybe("rope_parameters", {"rope_type": "default", "rope_theta": 1e6})
    if kind.startswith("qwen"):
        draw.maybe("use_sliding_window", True, False)
        draw.maybe("max_window_layers", 0, 2, 3)
    if kind in ("gemma2", "qwen2", "qwen3", "qwen2_moe"):
        draw.maybe("layer_types", [draw.rng.choice(["full_attention", "sliding_attention"])
                                   for _ in range(draw.c["num_hidden_layers"])])
    if kind == "mixtral":
        draw.maybe("num_local_experts", 3, 8)
        draw.put("num_experts_per_tok", 1, 2)
    if kind.endswith("_moe"):
        draw.put("num_experts", 0, 4, 8)
        draw.put("num_experts_per_tok", 1, 3)
        draw.put("moe_intermediate_size", 10, 12)
        draw.put("shared_expert_intermediate_size", 14, 28)
        draw.maybe("decoder_sparse_step", 1, 2, 3)
        draw.maybe("mlp_only_layers", [], [0], [1, 3], None)
        draw.maybe("qkv_bias", True, False)


def draw_deepseek(draw, _):
    sizes(draw)
    for names, choices in (("intermediate_size", (20, 48)), ("max_position_embeddings", (16, 32)),
                           ("num_experts_per_tok", (1, 3)), ("moe_intermediate_size", (6, 10)),
                           ("kv_lora_rank", (5, 9)), ("qk_nope_head_dim", (3, 4)), ("qk_rope_head_dim", (2, 4)),
                           ("v_head_dim", (5, 7)), ("q_lora_rank", (None, 6, 11))):
        draw.put(names, *choices)
    draw.put("n_routed_experts", 4, 6, None)
    draw.maybe("n_shared_experts", 1, 2, None)
    draw.maybe("first_k_dense_replace", 0, 1, 2)
    draw.maybe("moe_layer_freq", 1, 2)
    draw.maybe("attention_bias", True, False)
    draw.maybe("num_nextn_predict_layers", 0, 1)


def draw_gpt2(draw, _):
    sizes(draw, "n_head", "n_embd", "n_layer")
    draw.put("n_positions", 16, 32)
    draw.maybe("n_inner", None, 20, 52)
    draw.maybe("add_cross_attention", True, False)


def draw_gpt_neox(draw, _):
    sizes(draw)
    draw.put("intermediate_size", 20, 48)
    draw.put("max_position_embeddings", 16, 32)
    draw.maybe("attention_bias", True, False)
    draw.maybe("use_parallel_residual", True, False)


def draw_opt(draw, _):
    sizes(draw)
    draw.put("ffn_dim", 20, 48)
    draw.put("max_position_embeddings", 16, 32)
    for name in ("enable_bias", "do_layer_norm_before", "_remove_final_layer_norm", "layer_norm_elementwise_affine"):
        draw.maybe(name, True, False)
    draw.maybe("word_embed_proj_dim", 10, None)


def draw_bloom(draw, _):
    sizes(draw, "n_head|num_attention_heads", "hidden_size|n_embed", "n_layer|num_hidden_layers")
    draw.put("seq_length", 16, 32)


def draw_falcon(draw, _):
    heads = sizes(draw)
    draw.put("max_position_embeddings", 16, 32)
    for name in ("new_decoder_architecture", "multi_query", "bias", "alibi", "parallel_attn"):
        draw.maybe(name, True, False)
    draw.maybe("num_ln_in_parallel_attn", 1, 2, None)
    draw.maybe("num_kv_heads|n_head_kv", *[g for g in (1, 2, 3, 6) if heads % g == 0], None)
    draw.maybe("ffn_hidden_size", 30, None)


def draw_bert(draw, kind):
    sizes(draw)
    draw.put("intermediate_size", 20, 48)
    draw.put("max_position_embeddings", 18, 34)
    draw.put("type_vocab_size", *([1, 2] if kind == "bert" else [0, 1]))
    draw.maybe("is_decoder", True, False)
    if draw.c.get("is_decoder"):
        draw.maybe("add_cross_attention", True, False)
    draw.maybe("position_embedding_type", "absolute")


def draw_t5(draw, _):
    sizes(draw, "num_heads", "d_model", "num_layers")
    draw.put("d_ff", 20, 48)
    draw.put("d_kv", 3, 8)
    draw.maybe("num_decoder_layers", 1, 3, None)
    draw.maybe("feed_forward_proj", "relu", "gelu", "gated-gelu", "gated-silu", "gated-gelu_new")
    draw.maybe("relative_attention_num_buckets", 8, 16)


def draw_vit(draw, _):
    sizes(draw)
    draw.put("intermediate_size", 20, 48)
    draw.put("image_size", 32, 50)
    draw.put("patch_size", 8, 16)
    draw.maybe("num_channels", 1, 4)
    draw.maybe("qkv_bias", True, False)
    draw.maybe("pooler_output_size", None, 9)


DRAWS = {**dict.fromkeys(modules.KV_HEADS, draw_llama_like), "deepseek_v2": draw_deepseek, "deepseek_v3": draw_deepseek,
         "gpt2": draw_gpt2, "gpt_neox": draw_gpt_neox, "opt": draw_opt, "bloom": draw_bloom, "falcon": draw_falcon,
         "bert": draw_bert, "roberta": draw_bert, "t5": draw_t5, "vit": draw_vit}


def length(c):
    """The longest sequence that the configuration allows, T5's as it is by default."""
    if c["model_type"] == "t5":
        return 512
    longest = modules.get(c, "max_position_embeddings|n_positions|seq_length", None)
    return longest - 2 if c["model_type"] == "roberta" else longest


def configuration(rng, kind):
    draw = Draw(rng, kind)
    DRAWS[kind](draw, kind)
    draw.maybe("architectures", *[[PREFIX[kind] + suffix] for suffix in CLASSES.get(kind, DECODER)])
    draw.maybe("num_labels", 3, 7)
    draw.maybe("id2label", {str(i): f"LABEL_{i}" for i in range(4)})
    if kind == "roberta" and "architectures" not in draw.c:
        draw.c["architectures"] = ["RobertaModel"]
    return draw.c


def compare(path, c):
    """What is wrong, or None."""
    model = modules.ARCHITECTURES[c["model_type"]](c, length(c))
    with open(path, "w", encoding="utf-8") as file:
        json.dump(c, file)
    done = subprocess.run([PROGRAM, "explain", path, "--json"], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        return done.stderr
    found = json.loads(done.stdout)
    got, wanted = (found["parameters"], found["macs_forward"]), (model.parameters, model.macs)
    if got[0] == wanted[0] and abs(got[1] - wanted[1]) <= 1e-9 * wanted[1]:
        return None
    return f"{got[0]} parameters and {got[1]:.0f} MACs, counted {wanted[0]} and {wanted[1]:.0f}"


def main():
    rng, wrong = random.Random(SEED), 0
    with tempfile.TemporaryDirectory() as folder:
        for kind in modules.ARCHITECTURES:
            for _ in range(COUNT):
                c = configuration(rng, kind)
                fault = compare(os.path.join(folder, "config.json"), c)
                if fault:
                    wrong += 1
                    print(f"{json.dumps(c)}: {fault}")
    print(f"{COUNT} configurations of each of {len(modules.ARCHITECTURES)} architectures, seed {SEED}: {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
