#!/usr/bin/env python3
"""Traces from one form into another and back: Chakra's files, Partita's YAML, profiles. What is converted happens at the same
times, bit for bit, and what comes back to a form in which it was is the same file."""
import glob
import json
import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
from harness import SOURCE, Skip, check, main  # noqa: E402

# A workload, what makes it small, and the words for the topology that its trace is replayed on.
PLANS = [
    ("gpt3-175b-64gpu", ("model.layers=4", "plan.pipeline=2", "plan.tensor=4", "batch.global=8", "topology.nodes=2"), "dgx-a100"),
    ("gpt3-175b-64gpu", ("model.layers=2", "plan.pipeline=1", "plan.tensor=1", "plan.zero=3", "topology.nodes=1"), "dgx-a100"),
    ("mixtral-8x7b-32gpu", ("model.layers=2", "topology.nodes=4"), "dgx-h100"),
    ("llama3-70b-chat", ("model.layers=2", "batch.generate=3", "batch.sequence=64"), "dgx-h100"),
    ("dlrm-16gpu", ("topology.nodes=2",), "dgx-a100"),
    ("gnmt-8-wavefront", (), "dgx-1-v100"),
    ("vgg16-four-pis", ("topology.devices=4",), "raspberry-pi-wifi"),
    ("zero-offload-10b", ("model.layers=2", "batch.global=16"), "offload-box"),
]
NOT_WRITTEN = ["federated-mnist-phones", "resnet50-async-parameter-server"]
OF_TOPOLOGY = "topology.", "network.", "links.", "devices."
SAMPLES = os.path.join(SOURCE, "..", "shared", "traces", "chakra")


def _sets(sets):
    return [word for one in sets for word in ("--set", one)]


def _timeline(program, *words):
    """Every operation with its times as they are stored, in the order of rank, stream and start."""
    path = program.file("timeline.db")
    if os.path.exists(path):
        os.remove(path)
    program.run("run", *words, "--quiet", "--db", path)
    with sqlite3.connect(path) as connection:
        return sorted(connection.execute("SELECT rank, stream, start, end, label, flops, bytes FROM timeline").fetchall())


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _files(prefix):
    return {path[len(prefix):]: _read(path) for path in glob.glob(prefix + ".*.et") + [prefix + ".json"]}


def _body(path):
    """A trace in YAML without its name, which is that of the file that it was read from."""
    return _read(path).split(b"\ntrace:\n", 1)[1]


def _around(program, trace, words, what):
    """trace -> YAML -> Chakra -> YAML -> Chakra: the same times, then the same files. Returns the timeline."""
    first = _timeline(program, trace, *words)
    check(len(first) > 0, f"{what}: nothing happens")
    program.run("convert", trace, "--output", "a.yaml")
    program.run("convert", "a.yaml", "--format", "chakra", "--output", "b")
    program.run("convert", "b", "--output", "c.yaml")
    program.run("convert", "c.yaml", "--format", "chakra", "--output", "d")
    for form in ("a.yaml", "b", "c.yaml", "d"):
        check(_timeline(program, form, *words) == first, f"{what}: as {form} it happens at other times")
    check(_body(program.file("a.yaml")) == _body(program.file("c.yaml")), f"{what}: the YAML that comes back differs")
    check(_files(program.file("b")) == _files(program.file("d")), f"{what}: the files that come back differ")
    for path in glob.glob(program.file("[bd].*")):
        os.remove(path)
    return first


def plans_go_around_and_happen_at_the_same_times(program):
    for workload, sets, topology in PLANS:
        what = f"{workload} {' '.join(sets)}"
        whole = json.loads(program.run("run", workload, "--json", *_sets(sets)).out)
        program.run("export", workload, "--format", "chakra", "--output", "plan", *_sets(sets))
        words = ["--topology", topology, *_sets(one for one in sets if one.startswith(OF_TOPOLOGY))]
        files = _files(program.file("plan"))
        _around(program, "plan", words, what)
        replayed = json.loads(program.run("run", "plan", *words, "--json").out)
        for key in ("step_time_s", "window_s", "compute_s", "bytes_sent"):
            check(abs(whole[key] - replayed[key]) <= 1e-11 * whole[key], f"{what}: {key} {replayed[key]}, planned {whole[key]}")
        program.run("convert", "plan", "--output", "plan.yaml")
        program.run("convert", "plan.yaml", "--format", "chakra", "--output", "back")
        check(_files(program.file("back")) == files, f"{what}: files of the export do not come back as they were")
        for path in glob.glob(program.file("plan.*")) + glob.glob(program.file("back.*")):
            os.remove(path)


def what_cannot_be_written_says_why(program):
    for workload in NOT_WRITTEN:
        said = program.run("export", workload, "--format", "chakra", "--output", "none", status=2).err
        check("a discipline has no program that can be written as a trace" in said, said)
        check(not glob.glob(program.file("none*")), "files were written")


def shipped_traces_go_around(program):
    for trace in ("traces/ddp-2gpus", "traces/two-stages", "trace-by-hand"):
        _around(program, trace, ["--topology", "dgx-h100"], trace)


def collectives_along_dimensions_go_around(program):
    program.file("along.yaml", """name: along
trace:
  ranks:
    - of: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
      nodes:
        - {all-reduce: within, bytes: 64 MB, without: [1]}
        - {all-gather: across, bytes: 1 MB, without: [0], after: [0]}
""")
    timeline = _around(program, "along.yaml", ["--topology", "dgx-h100", "--set", "topology.nodes=2"], "along dimensions")
    check({row[1] for row in timeline} == {"all ranks, without dimension 1", "all ranks, without dimension 0"}, str(timeline[0]))


def sample_traces_go_around(program):
    if not os.path.isdir(SAMPLES):
        raise Skip("the sample traces are not there")
    for folder in ("microbenchmarks/all_gather/4npus_1MB", "microbenchmarks/all_to_all/4npus_1MB", "custom_ring_allreduce_8npus_1MB"):
        _around(program, os.path.join(SAMPLES, folder), ["--topology", "dgx-h100"], folder)


if __name__ == "__main__":
    main(globals())
