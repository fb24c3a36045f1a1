#!/usr/bin/env python3
"""Generated text against published times and rates: TensorRT-LLM 0.6.1, FasterTransformer and 4-bit models on single devices.

Called as `inference.py PROGRAM [MEASUREMENTS.csv] [FAMILY...]`. Prints every row that can be simulated as it was measured and generates at most $PARTITA_MOST
tokens (128 by default), then each family's mean error; measured.py says how it ends. A rate is turned into a time first.

What the source does not say is chosen here: attention in one kernel, fp8 (of weights, activations and cache) where the row says fp8, for 4-bit weights fp16
activations and a prompt of 16 tokens.
"""

import os
import tempfile

import measured

BOUND = 3.0
MOST = int(os.environ.get("PARTITA_MOST", "128"))
FAMILIES = ["trtllm_061", "fastertransformer_13b", "llm_single_gpu_decode"]

DECODER = "{{name: hf/decoder, layers: {layers}, hidden: {hidden}, heads: {heads}, vocabulary: {vocab}, norm-type: layer, gated: no, act: gelu, "
MODELS = {
    "LLaMA 7B": "{{name: llama2-7b, attention: causal, flash: yes}}",
    "LLaMA 70B": "{{name: llama2-70b, attention: causal, flash: yes, per-head: yes}}",
    "Llama2-7B": "{{name: llama2-7b, attention: causal, flash: yes}}",
    "Llama2-13B": "{{name: llama2-13b, attention: causal, flash: yes}}",
    "GPT-J 6B": DECODER + "parallel: yes, shared-norm: yes, mlp-bias: yes, head-bias: yes, attention: causal}}",
    "Falcon 180B": DECODER + "groups: 8, per-head: yes, parallel: yes, attention: causal}}",
    "GPT 13B": DECODER + "qkv-bias: yes, out-bias: yes, mlp-bias: yes, rotary: no, positions: 2048, attention: causal}}",
}
TOPOLOGIES = {
    "H100-SXM5-80GB": "dgx-h100\nset: {nodes: 1}",
    "A100-SXM4-80GB": "dgx-a100\nset: {nodes: 1}",
    "A100-SXM4-40GB": "dgx-a100\nset: {nodes: 1, device: a100-sxm4-40gb}",
    "L40S 48GB": "single-device\nset: {type: l40s}",
    "RTX 4090 24GB": "single-device\nset: {type: rtx-4090}",
}
PRECISIONS = {"fp16": "fp16", "fp8": "fp8", "4-bit": "{weights: int4, activations: fp16}"}


def usable(row):
    return (row["model"] in MODELS and row["gpu"] in TOPOLOGIES and row["dtype"] in PRECISIONS
            and int(row["out_tokens"] or 0) <= MOST)


def workload(row):
    fields = dict(row, vocab=row["vocab"] or 51200)
    prompt, batch = int(row["in_tokens"] or 16), int(row["global_batch"])
    return (f"name: {row['id']}\ntopology: {TOPOLOGIES[row['gpu']]}\nmodel: {MODELS[row['model']].format(**fields)}\n"
            f"step: inference\nprecision: {PRECISIONS[row['dtype']]}\n"
            f"batch: {{global: {batch}, sequence: {prompt}, generate: {row['out_tokens']}}}\nplan: {{tensor: {row['tp']}}}\n")


def simulate(program, row):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(workload(row))
        file.flush()
        try:
            return measured.run(program, "run", file.name)
        except RuntimeError as error:
            raise SystemExit(f"{row['id']}:\n{workload(row)}\n{error}") from error


def times(row, run):
    """Measured and simulated seconds of what the row is about."""
    value, unit, generation = float(row["value"]), row["unit"], run["generation"]
    if "decode token" in unit:
        return value / 1e3, generation["time_per_output_token_s"]
    if "tokens/s decode" in unit:
        return 1 / value, generation["time_per_output_token_s"]
    if row["quantity"] == "tokens_per_s_per_gpu":
        return int(row["global_batch"]) * int(row["out_tokens"]) / (value * int(row["n_gpus"])), run["step_time_s"]
    if "prefill" in unit or "first token" in unit:
        return value / 1e3, generation["time_to_first_token_s"]
    return value / 1e3, run["step_time_s"]


def main():
    program, rows = measured.arguments(__doc__, FAMILIES, usable)
    errors = measured.Errors(BOUND)
    for row in rows:
        run = simulate(program, row)
        real, simulated = times(row, run)
        what = row["family"] + ", " + ("first token" if row["out_tokens"] == "1" else row["quantity"])
        print(f"{row['id']:26} {row['model']:12} {row['gpu']:16} TP {row['tp']} {row['dtype']:5} batch {row['global_batch']:>4} {row['in_tokens']:>5} + {row['out_tokens']:>4} "
              f"{1e3 * real:10.2f} ms measured {1e3 * simulated:10.2f} ms simulated {errors.add(what, real, simulated)}{'' if run['fits'] else '  (does not fit)'}")
    errors.end()


if __name__ == "__main__":
    main()
