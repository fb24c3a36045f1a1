#!/usr/bin/env python3
"""The program on whole networks, damaged files and a file of 3 GB.

usage: check.py PROGRAM

Needs python3-onnx for the networks (without it the test is skipped: 77); what they have is counted by networks.py,
which knows nothing of the program."""
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile

try:
    import numpy
    import onnx
    import arranged
    import composed
    import divided
    import exported
    import masked
    import networks
    import quantised
except ImportError:
    print("skipped: python3-onnx is not installed")
    sys.exit(77)

PROGRAM, SEED = sys.argv[1], 20240611
failures = []
# What networks were made of before their exporter took it apart.
LAYERS = {"bert_base": {"attention": 12, "norm": 25, "fc": 6 * 12 + 1, "einsum": 0, "reduce": 0},
          "vit_tiny": {"attention": 12, "norm": 25, "fc": 6 * 12 + 1, "einsum": 0},
          "optimised_bert": {"attention": 6, "norm": 13, "fc": 6 * 6, "einsum": 0},
          "decoder_4bit": {"attention": 3, "norm": 7, "fc": 7 * 3 + 1, "einsum": 0},
          "llama": {"attention": 2, "norm": 5, "fc": 7 * 2 + 1, "einsum": 0},
          "gpt2": {"attention": 2, "norm": 5, "fc": 6 * 2 + 1, "einsum": 0},  # the last is with the table of tokens
          "cross_attention": {"attention": 2, "fc": 8, "einsum": 0},
          "arranged_gates": {"lstm": 1, "gru": 1, "fc": 1, "parameter": 0, "concat": 0},
          "shared_gates": {"lstm": 2, "parameter": 0},
          "arranged_products": {"conv": 1, "norm": 1, "fc": 3, "parameter": 0, "einsum": 0},
          "windows": {"attention": 2, "norm": 5, "fc": 13, "softmax": 0},  # learned distances are added
          "relative": {"attention": 2, "fc": 8, "softmax": 0},
          "detector": {"norm": 0, "upsample": 1},
          "fused_split": {"attention": 2, "fc": 15}, "fused_slices": {"attention": 2, "fc": 15},  # q, k, v, out, gate, up, down
          "decoder_with_caches": {"attention": 4, "fc": 17, "einsum": 0}, "einstein": {"attention": 1, "fc": 4, "einsum": 0},
          "rows": {"attention": 2, "fc": 12, "parameter": 0}, "speech_encoder": {"attention": 2, "fc": 12, "conv": 2},
          **{name: {"attention": count, "fc": 5} for name, (count, _) in masked.wanted.items()}}


def explain(path, *words):
    return subprocess.run([PROGRAM, "explain", path, "--json", *words], capture_output=True, text=True, errors="replace",
                          timeout=120)


def check(good, text):
    if not good:
        failures.append(text)


def words_of(dims):
    return [w for key, size in dims.items() for w in ("--set", f"model.dims.{key}={size}")]


def sizes(done):
    found = json.loads(done.stdout) if done.returncode == 0 else {}
    return found.get("parameters"), found.get("macs_forward")


def counted():
    """Names, models, sizes of dimensions and what they have, counted by rules of networks.py or by their builder."""
    for name, (make, dims) in networks.networks.items():
        model = make()
        yield name, model, dims, (networks.parameters(model), networks.macs(model, networks.shapes_of(model, dims)))
    for name, (make, dims) in [*composed.composed.items(), *exported.exported.items(), *arranged.arranged.items(),
                               *masked.masked.items()]:
        model, *wanted = make()
        yield name, model, dims, tuple(wanted)
    for name, (make, dims) in divided.divided.items():
        model, parameters, macs, _ = make()
        yield name, model, dims, (parameters, macs)


def whole_networks(folder):
    for name, model, dims, wanted in counted():
        path = os.path.join(folder, name + ".onnx")
        onnx.save(model, path)
        words = words_of(dims)
        done = explain(path, *words)
        check(sizes(done) == wanted, f"{name}: {sizes(done)}, counted {wanted}; {done.stderr}")
        text = subprocess.run([PROGRAM, "convert", path, *words], capture_output=True, text=True, check=False)
        with open(os.path.join(folder, name + ".yaml"), "w", encoding="utf-8") as file:
            file.write(text.stdout)
        for kind, count in LAYERS.get(name, {}).items():
            found = layers(text.stdout, kind)
            check(found == count, f"{name}: {found} layers of kind {kind}, made of {count}")
        again = sizes(explain(file.name))
        check(again == wanted, f"{name}: {again} after conversion, counted {wanted}; {text.stderr}")
        print(name, *wanted)


def layers(text, kind):
    return text.count("\n- %s: " % kind) + text.count("\n- {%s: " % kind)


def masks(folder):
    """Which masks are causal: not distances of which some are after the query (relative)."""
    for name, causal in [*((n, c) for n, (_, c) in masked.wanted.items()), ("relative", 0), ("fused_split", 2)]:
        with open(os.path.join(folder, name + ".yaml"), encoding="utf-8") as file:
            found = file.read().count("mask: causal")
        check(found == causal, f"{name}: {found} causal masks, made of {causal}")


def quantisers(folder):
    """A network that is quantised has the parameters, products and layers that it had before."""
    networks_by_name = {name: rest for name, *rest in counted()}
    for name in ("vit_tiny", "llama", "gpt2", "windows"):
        model, dims, wanted = networks_by_name[name]
        words = words_of(dims)
        with open(os.path.join(folder, name + ".yaml"), encoding="utf-8") as file:
            before = file.read()
        for how, quantise in quantised.quantisers.items():
            path = os.path.join(folder, f"{name}_{how}.onnx")
            onnx.save(quantise(model), path)
            check(sizes(explain(path, *words)) == wanted, f"{name}, {how}: {explain(path, *words)}, counted {wanted}")
            after = subprocess.run([PROGRAM, "convert", path, *words], capture_output=True, text=True, check=False).stdout
            for kind in ("attention", "fc", "conv", "norm", "einsum", "softmax"):
                check(layers(after, kind) == layers(before, kind),
                      f"{name}, {how}: {layers(after, kind)} layers of kind {kind}, before {layers(before, kind)}")


def further_networks():
    """Files that somebody has: every .onnx file below the folders of PARTITA_ONNX_NETWORKS, with all symbolic dimensions
    but the batch at 64. Products are counted where shape inference finds all their shapes."""
    folders = [f for f in os.environ.get("PARTITA_ONNX_NETWORKS", "").split(":") if f]
    if not folders:
        print("no further networks: PARTITA_ONNX_NETWORKS names no folder")
    for path in sorted(os.path.join(at, f) for folder in folders for at, _, files in os.walk(folder) for f in files
                       if f.endswith(".onnx")):
        model = onnx.load(path, load_external_data=False)
        names = {d.dim_param for i in model.graph.input for d in i.type.tensor_type.shape.dim if d.dim_param.isidentifier()}
        dims = {n: 1 if "batch" in n.lower() or n in "Nn" else 64 for n in names}
        words = [w for n, size in dims.items() for w in ("--set", f"model.dims.{n}={size}")]
        done, wanted = explain(path, *words), networks.parameters(model)
        found, macs = sizes(done)
        check(done.returncode == 0, f"{path}: {done.stderr}")
        check(found in (None, wanted), f"{path}: {found} parameters, counted {wanted}")
        try:
            counted_macs = networks.macs(model, networks.shapes_of(model, dims))
        except (KeyError, IndexError, ValueError):
            counted_macs = None
        check(counted_macs is None or macs in (None, counted_macs), f"{path}: {macs} MACs, counted {counted_macs}")
        print(path, found, macs, "" if counted_macs else "(products not counted)")


WORKLOAD = """topology: dgx-a100
set: {{nodes: 1}}
model: {{name: {path}}}
step: {step}
batch: {{global: 8, micro: 1{more}}}
precision: fp16
plan: {{{plan}}}
"""


def run(folder, name, step, plan, *words, more=""):
    path = os.path.join(folder, "workload.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(WORKLOAD.format(path=os.path.join(folder, name + ".onnx"), step=step, plan=plan, more=more))
    return subprocess.run([PROGRAM, "run", path, *words], capture_output=True, text=True, check=False)


def sent(database):
    with sqlite3.connect(database) as results:
        return results.execute("select value from metric where name = 'bytes_sent'").fetchone()[0]


def plans(folder):
    """Networks are split over devices in the usual ways."""
    split = {"bert_base", "vit_tiny", "optimised_bert", "decoder_4bit", "llama", "gpt2",
             "cross_attention", "windows", "relative"}  # have heads and inner features
    for name in [*networks.networks, *composed.composed, *exported.exported, *arranged.arranged]:
        for step in ("training", "inference"):
            for plan in ("data: 2", "pipeline: 2", "tensor: 2, pipeline: 2, data: 2"):
                if name not in split and "tensor" in plan:
                    continue
                done = run(folder, name, step, plan)
                check(done.returncode == 0, f"{name}, {step}, {plan}: {done.stderr}")
    # The workload's sequence is the symbolic dimension: both give the same, and without either a warning tells the size.
    said = run(folder, "bert_base", "inference", "data: 2", "--set", "model.dims.sequence=64")
    followed = run(folder, "bert_base", "inference", "data: 2", more=", sequence: 64")
    guessed = run(folder, "bert_base", "inference", "data: 2")
    check(said.stdout == followed.stdout and said.stdout, f"batch.sequence: {followed.stderr}")
    check("'sequence'" in guessed.stderr and "counts as 128" in guessed.stderr, f"no sequence: {guessed.stderr}")
    check("warning" not in said.stderr + followed.stderr, f"sequence: {said.stderr}{followed.stderr}")
    for name, (make, dims) in divided.divided.items():
        database = os.path.join(folder, name + ".db")
        done = run(folder, name, "inference", "tensor: 2", "--set", "batch.global=1", "--db", database, *words_of(dims))
        check(done.returncode == 0, f"{name}, tensor 2: {done.stderr}")
        check(sent(database) == make()[3], f"{name}, tensor 2: {sent(database)} bytes sent, by the closed form {make()[3]}")
    # Two all-reduces of the activations per block, each of 2 (p - 1) / p of them per member: Shoeybi et al. 2019.
    database = os.path.join(folder, "vit.db")
    done = run(folder, "vit_tiny", "inference", "tensor: 3", "--db", database)
    check(done.returncode == 0, f"vit_tiny, tensor 3: {done.stderr}")
    wanted = 8 * 12 * 2 * 2 * (3 - 1) * 197 * 192 * 2
    check(sent(database) == wanted, f"vit_tiny, tensor 3: {sent(database)} bytes sent, by the closed form {wanted}")


def halos(folder):
    """A map that is enlarged, divided by rows over two devices: each sends the other the rows that interpolation reads beyond its
    own: none, one or two (Keys 1981), as wide as the map was before it was enlarged."""
    for mode, rows in (("nearest", 0), ("linear", 1), ("cubic", 2)):
        m = composed.Counted(mode)
        x = m.convolution(m.input("image", ["batch", 3, 32, 24]), 32 * 24, 3, 8, 1, 1)
        x = m.node("Resize", x, "", m.constant([1, 1, 2, 3], numpy.float32), mode=mode)
        x = m.node("Resize", x, "", m.constant([1, 1, 2, 1], numpy.float32), mode=mode)
        onnx.save(m.model(m.convolution(x, 128 * 72, 8, 4, 1, 1)), os.path.join(folder, mode + ".onnx"))
        first, *_, last = [layer["unit"] for layer in json.loads(explain(os.path.join(folder, mode + ".onnx")).stdout)["layers"]]
        database = os.path.join(folder, mode + ".db")
        stage = f'stages: [{{layers: "{first}..{last}", split: {{y: 2}}, devices: "gpu[0, 0..1]"}}]'
        done = run(folder, mode, "inference", stage, "--set", "batch.global=1", "--db", database)
        wanted = 2 * rows * 8 * (24 + 72) * 2
        check(done.returncode == 0, f"{mode}: {done.stderr}")
        check(sent(database) == wanted, f"{mode} by rows: {sent(database)} bytes sent, by the closed form {wanted}")


def guesses(folder):
    """What nobody says has a size by how it is used, which a warning tells; recurrent layers share all weights or none."""
    warned = explain(os.path.join(folder, "unnamed_images.onnx")).stderr
    for name in ("DynamicDimension.1", "DynamicDimension.2", "grey.height", "grey.width"):
        check(f"'{name}' is: it counts as 224" in warned, f"unnamed_images, {name}: {warned}")
    small = explain(os.path.join(folder, "unnamed_images.onnx"), "--set", "model.dims.grey.height=112", "--set",
                    "model.dims.grey.width=112")
    wanted = 112 * 112 * 8 * 27 + 56 * 56 * 8 * 9 + 160
    check(sizes(small)[1] == wanted and "grey" not in small.stderr, f"unnamed_images, 112: {sizes(small)}; {small.stderr}")
    warned = explain(os.path.join(folder, "arranged_gates.onnx")).stderr
    check("'state.length1' is: it counts as the batch, 1" in warned, f"arranged_gates: {warned}")
    path = os.path.join(folder, "mixed_gates.onnx")
    onnx.save(arranged.shared_gates(mixed=True)[0], path)
    done = explain(path)
    check(done.returncode == 2 and "something else reads too" in done.stderr, f"mixed_gates: {done.stderr}")


def in_order(folder):
    """A graph that goes in a circle, and one whose weight is missing: the node is named, and what it lacks."""
    for change, wanted in (("circle", "go in a circle"), ("missing", "which nothing before it gives")):
        model = networks.resnet50()
        if change == "circle":
            model.graph.node[3].input[0] = model.graph.node[10].output[0]
        else:
            del model.graph.initializer[4]
        path = os.path.join(folder, change + ".onnx")
        onnx.save(model, path)
        done = explain(path)
        check(done.returncode == 2 and wanted in done.stderr and "node " in done.stderr, f"{change}: {done.stderr}")


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def tower():
    """40 functions, each of which calls the next one twice: 2^40 calls, none of which leaves a node."""
    value = field(11, field(1, b"x") + field(2, field(1, b"\x08\x01" + field(2, field(1, b"\x08\x01")))))
    call = lambda i: field(1, b"x") + field(2, b"y") + field(4, b"F%d" % i) + field(7, b"local")
    functions = b"".join(field(25, field(1, b"F%d" % i) + field(4, b"x") + field(10, b"local") + field(
        7, call(i + 1)) + field(7, call(i + 1))) for i in range(40))
    leaf = field(25, field(1, b"F40") + field(4, b"x") + field(10, b"local"))
    return field(7, field(1, call(0)) + value) + functions + leaf


def damaged(folder):
    """Truncated files, wrong lengths and deep graphs must be errors; a flipped bit may also leave a model."""
    with open(os.path.join(folder, "quantised.onnx"), "rb") as file:
        whole = file.read()
    draw = random.Random(SEED)
    graph = field(1, field(4, b"If"))
    for _ in range(40):
        graph = field(1, field(4, b"If") + field(5, field(1, b"then_branch") + field(6, graph)))
    start = whole.index(b"\x0a", 8)
    cases = [("deep", field(7, graph), True), ("tower", tower(), True), ("empty", b"", True), ("text", b"no model\n" * 9, True)]
    cases += [("cut", whole[:draw.randrange(1, len(whole))], True) for _ in range(60)]
    for _ in range(37):  # the length of a field that holds the whole rest
        cases.append(("long", whole[:start] + field(7, whole)[:-draw.randrange(1, len(whole))], True))
    for name in ("quantised", "detector", "tagger", "decoder_with_caches", "gpt2_dynamic"):
        with open(os.path.join(folder, name + ".onnx"), "rb") as file:
            whole = file.read()
        for _ in range(30):
            at, bytes_ = draw.randrange(len(whole)), bytearray(whole)
            bytes_[at] ^= 1 << draw.randrange(8)
            cases.append((f"bit at byte {at} of {name}", bytes(bytes_), False))
    path, errors = os.path.join(folder, "damaged.onnx"), 0
    for name, data, wrong in cases:
        with open(path, "wb") as file:
            file.write(data)
        done = explain(path)
        known = done.returncode in (0, 2) and "Sanitizer" not in done.stderr and "runtime error" not in done.stderr
        check(known, f"damaged ({name}, seed {SEED}): status {done.returncode}: {done.stderr[-500:]}")
        check(done.returncode == 0 or "error: " in done.stderr, f"damaged ({name}): fails without a message")
        check(not wrong or done.returncode == 2, f"damaged ({name}, seed {SEED}): accepted")
        errors += done.returncode == 2
    print(len(cases), "damaged files,", errors, "errors")
    check(len(cases) >= 200, "fewer than 200 damaged files")


def large(folder):
    """48 products of 64 MiB of weights each, which lie in holes of the file."""
    path, size, side = os.path.join(folder, "large.onnx"), 64 << 20, 4096
    parts, length = [], 0

    def add(data, hole=0):
        nonlocal length
        parts.append((data, hole))
        length += len(data) + hole

    value = lambda name: field(1, name) + field(2, field(1, b"\x08\x01" + field(2, field(1, b"\x08\x01") + field(
        1, b"\x08" + varint(side)))))
    for i in range(48):
        head = b"\x08" + varint(side) + b"\x08" + varint(side) + b"\x10\x01" + field(8, b"w%d" % i)
        head += varint(9 << 3 | 2) + varint(size)
        add(varint(5 << 3 | 2) + varint(len(head) + size) + head, size)
        add(field(1, field(1, b"x%d" % i) + field(1, b"w%d" % i) + field(2, b"x%d" % (i + 1)) + field(4, b"MatMul")))
    add(field(11, value(b"x0")) + field(12, value(b"x48")))
    with open(path, "wb") as file:
        file.write(b"\x08\x08" + field(8, b"\x10\x0d") + varint(7 << 3 | 2) + varint(length))
        for data, hole in parts:
            file.write(data)
            file.seek(hole, os.SEEK_CUR)
        file.truncate()
    script = ("import resource, subprocess, sys; r = subprocess.run(sys.argv[1:], capture_output=True, text=True);"
              "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); print(r.stdout + r.stderr)")
    done = subprocess.run([sys.executable, "-c", script, PROGRAM, "explain", path], capture_output=True, text=True,
                          check=False)
    most, _, text = done.stdout.partition("\n")
    print(os.path.getsize(path), "bytes walked with", most, "KiB of memory")
    check(os.path.getsize(path) > 3e9, "the large file is too small")
    check(f"{48 * side * side} parameters" in text, f"large file: {text[:300]}")
    check(int(most) < 100 * 1024, f"large file: {most} KiB of memory")


with tempfile.TemporaryDirectory() as place:
    whole_networks(place)
    masks(place)
    quantisers(place)
    guesses(place)
    plans(place)
    halos(place)
    further_networks()
    in_order(place)
    damaged(place)
    large(place)
for failure in failures:
    print("FAILED:", failure)
sys.exit(bool(failures))
