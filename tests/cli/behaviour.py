#!/usr/bin/env python3
"""The commands, their options, outputs and exit codes."""

import json
import os
import shutil

from harness import SOURCE, Skip, check, equal, main, near

EDGE, CLOUD = "vgg16-four-pis", "gpt3-175b-64gpu"
# A transformer small enough to be simulated at once.
SMALL = ["run", CLOUD, "--set", "model.layers=8", "--set", "model.hidden=1024", "--set", "model.heads=16",
         "--set", "batch.global=16"]


def _parts(run):
    return run["compute_s"] + sum(run["exposed_communication_s"].values()) + run["bubble_s"] + run["idle_s"]


def json_of_a_run_has_its_keys_with_their_types(program):
    number, whole, text = (int, float), int, str
    keys = {"name": text, "model": text, "topology": text, "step": text, "step_time_s": number, "window_s": number,
            "samples_per_s": number, "tokens_per_s": number, "flops_per_device": number, "mfu": number,
            "bubble_fraction": number, "compute_s": number, "bubble_s": number, "idle_s": number,
            "exposed_communication_s": dict, "peak_memory_bytes": number, "bytes_sent": number, "devices": whole,
            "events": whole, "wall_s": number, "fits": bool, "stages": list, "parameters": whole}
    for workload in (EDGE, CLOUD):
        run = program.json("run", workload)
        for key, kind in keys.items():
            check(key in run, f"{workload}: there is no '{key}' in {sorted(run)}")
            check(isinstance(run[key], kind) and (kind is bool or not isinstance(run[key], bool)),
                  f"{workload}: {key} is {run[key]!r}")
        for group, seconds in run["exposed_communication_s"].items():
            check(isinstance(seconds, float) and seconds >= 0, f"{workload}: exposed {group} is {seconds!r}")
        for key in ("step_time_s", "samples_per_s", "flops_per_device", "peak_memory_bytes", "bytes_sent", "devices",
                    "events", "wall_s"):
            check(run[key] > 0, f"{workload}: {key} is {run[key]!r}")
        check(0 < run["mfu"] < 1 and 0 <= run["bubble_fraction"] < 1, f"{workload}: {run}")


def parts_of_the_time_sum_to_the_window(program):
    for words in (["run", EDGE], ["run", CLOUD], SMALL, [*SMALL, "--set", "plan.schedule=gpipe"],
                  [*SMALL, "--set", "plan.recompute=none"]):
        run = program.json(*words)
        near(_parts(run), run["window_s"], f"{words}: sum of the parts")


def json_of_a_run_has_tokens_only_where_the_model_has(program):
    equal(program.json("run", EDGE)["tokens_per_s"], 0, "tokens of images")
    run = program.json(*SMALL)
    near(run["tokens_per_s"], 2048 * run["samples_per_s"], "tokens per second of sequences of 2048")


def explain_counts_a_bare_model(program):
    model = program.json("explain", "vgg16")
    equal(model["parameters"], 138357544, "parameters of VGG-16")
    equal(model["macs_forward"], 15470264320, "MACs of VGG-16")
    names = [layer["name"] for layer in model["layers"]]
    check(names[:2] == ["image", "conv1_1"] and names[-1] == "softmax", f"layers are {names}")
    equal(sum(layer["parameters"] for layer in model["layers"]), model["parameters"], "sum over layers")
    near(sum(layer["macs_forward"] for layer in model["layers"]), model["macs_forward"], "sum of MACs over layers")


def explain_counts_a_workload_as_its_model(program):
    model, workload = program.json("explain", "vgg16"), program.json("explain", EDGE)
    for key in ("parameters", "macs_forward", "model"):
        equal(workload[key], model[key], key)
    equal(len(workload["layers"]), len(model["layers"]), "layers")
    check(workload["fits"] is True, f"fits is {workload['fits']!r}")


def explain_finds_a_file_with_and_without_its_ending(program):
    program.file("tiny.yaml", "layers:\n  - {input: x, dims: {c: 4}}\n  - {fc: fc, out: 3}\n")
    for name in ("tiny", "tiny.yaml", "./tiny.yaml"):
        equal(program.json("explain", name)["parameters"], 15, f"parameters of {name}")


def explain_shows_one_layer(program):
    all_of_it, one = program.run("explain", EDGE).out, program.run("explain", EDGE, "--layer", "conv3_1").out
    check("conv3_1 (conv)" in one and "conv3_2" not in one and "conv3_2" in all_of_it, one)
    equal(len(program.json("explain", "vgg16", "--layer", "fc6")["layers"]), 1, "layers")


def set_changes_the_plan(program):
    eight, four = program.json(*SMALL), program.json(*SMALL, "--set", "plan.tensor=4")
    equal([eight["stages"][0]["devices"], four["stages"][0]["devices"]], [8, 8], "devices of a stage")
    check(four["peak_memory_bytes"] > 1.5 * eight["peak_memory_bytes"],
          f"half the tensor shares hold {four['peak_memory_bytes']} bytes, all of them {eight['peak_memory_bytes']}")
    equal(four["devices"], 64, "devices: the other half became data-parallel")


def set_changes_a_link(program):
    slow, fast = program.json("run", EDGE), program.json("run", EDGE, "--set", "links.wifi.bandwidth=54 Mbps")
    check(fast["step_time_s"] < slow["step_time_s"], f"54 Mbps: {fast['step_time_s']}, 38 Mbps: {slow['step_time_s']}")
    near(fast["compute_s"], slow["compute_s"], "seconds of computing, which the link does not change")


def set_gives_the_topology_its_parameters(program):
    for key in ("parameters.nodes", "topology.nodes", "set.nodes"):
        equal(program.json(*SMALL, "--set", f"{key}=16")["devices"], 128, f"devices with --set {key}=16")
    several = program.json(*SMALL, "--set", "topology.nodes=16", "--set", "topology.nodes=8")
    equal(several["devices"], 64, "devices: the last --set counts")


def set_gives_the_model_its_parameters(program):
    whole, half = program.json(*SMALL), program.json(*SMALL, "--set", "model.sequence=1024")
    check(half["step_time_s"] < whole["step_time_s"], f"{half['step_time_s']} and {whole['step_time_s']}")
    equal(program.json("explain", CLOUD, "--set", "model.layers=8", "--set", "model.hidden=1024", "--set",
                       "model.heads=16")["parameters"], whole["parameters"], "parameters")
    equal(program.json("explain", "gpt3-175b", "--set", "layers=8", "--set", "model.hidden=1024", "--set",
                       "heads=16")["parameters"], whole["parameters"], "parameters of the bare model")


def set_replaces_a_whole_value(program):
    run = program.json("run", EDGE, "--set", "model=vgg19", "--set",
                       "plan.stages=[{layers: conv1_1..pool5, split: {y: 2}, devices: \"pi[0..1]\"},"
                       " {layers: flatten..softmax, devices: gateway}]")
    equal([run["model"], run["devices"]], ["VGG-19", 3], "model and devices")
    run = program.json("run", EDGE, "--set", "plan.stages[0].split={x: 4}")
    equal(run["devices"], 5, "devices with columns instead of rows")


def set_reaches_into_what_a_workload_writes_short(program):
    # The workload says `batch: 1` and `precision: fp32`.
    one, two = program.json("run", EDGE), program.json("run", EDGE, "--set", "batch.global=2", "--set", "batch.micro=1")
    check(two["step_time_s"] > one["step_time_s"], f"two images behind each other: {two['step_time_s']} s")
    narrow = program.json("run", EDGE, "--set", "precision.weights=int8")
    for before, after in zip(one["stages"], narrow["stages"]):
        equal(4 * after["memory_bytes"]["parameters"], before["memory_bytes"]["parameters"], "bytes of the weights")
        equal(after["memory_bytes"]["activations"], before["memory_bytes"]["activations"], "bytes of the activations")


def topology_option_replaces_the_topology(program):
    run = program.json("run", EDGE, "--topology", "device-edge-cloud", "--set", "set={}", "--set", "plan={}")
    equal([run["topology"], run["devices"]], ["Device, edge and cloud", 1], "topology and devices")


def every_list_has_entries(program):
    kinds = program.json("list")
    names = [kind["name"] for kind in kinds]
    for kind in ("workloads", "topologies", "devices", "links", "models", "layers", "schedules", "collectives",
                 "levels", "figures", "exports", "imports"):
        check(kind in names, f"there is no list of {kind} in {names}")
    for kind in names:
        entries, text = program.json("list", kind), program.run("list", kind).out
        check(entries and all(entry["name"] for entry in entries), f"list {kind}: {entries}")
        equal(len(text.splitlines()), len(entries), f"lines of list {kind}")
        for entry in entries:
            check(entry["name"] in text, f"list {kind} does not print {entry['name']}")


def _is_trace(workload):
    """Whether a shipped workload replays a trace, which has no layers to explain."""
    with open(os.path.join(SOURCE, "workloads", workload + ".yaml"), encoding="utf-8") as file:
        return any(line.startswith("trace:") for line in file)


def every_listed_topology_and_workload_can_be_used(program):
    program.file("one.yaml", "model: mnist-cnn\nstep: inference\nprecision: bf16\n")
    for topology in program.json("list", "topologies"):
        run = program.json("run", "one.yaml", "--topology", topology["name"])
        check(run["step_time_s"] > 0, f"{topology}: {run}")
    for workload in program.json("list", "workloads"):
        if _is_trace(workload["name"]):
            check(program.json("run", workload["name"])["step_time_s"] > 0, workload)
        else:
            check(program.json("explain", workload["name"])["parameters"] > 0, workload)


def every_command_has_help(program):
    text = program.run("help").out
    equal(program.run("--help").out, text, "--help")
    for command in ("run", "explain", "compare", "plot", "list", "export"):
        check(f"partita {command}" in text, f"help does not name {command}: {text}")
        long = program.run("help", command).out
        equal(program.run(command, "--help").out, long, f"{command} --help")
        check(long.startswith(f"usage: partita {command} ") and "--" in long, long)


def version_is_one_line(program):
    words = program.run("--version").out.split()
    check(len(words) == 2 and words[0] == "partita" and words[1].count(".") == 2, words)


def exit_codes_tell_bad_input_from_a_failed_run(program):
    for words in ([], ["nothing"], ["run"], ["run", "nothing"], ["run", EDGE, "--nothing"], ["list", "nothing"],
                  ["help", "nothing"], ["run", EDGE, "--set", "nothing=1"], ["export", "nothing.db"]):
        result = program.run(*words, status=2)
        check(result.err and not result.out, f"a message on stderr is expected\n{result}")
    result = program.run("run", EDGE, "--db", "no-such-folder/x.db", status=1)
    check("no-such-folder" in result.err and not result.out, result)


def a_wrong_data_folder_is_named(program):
    program.environment["PARTITA_DATA"] = "/no-such-folder"
    for words in (["run", EDGE], ["list", "models"]):
        result = program.run(*words, status=2)
        check("/no-such-folder" in result.err and "PARTITA_DATA" in result.err, result)


def notes_go_to_stderr(program):
    result = program.run("run", EDGE, "--json", "--verbose")
    json.loads(result.out)
    for phase in ("read and plan", "simulate", "whole run"):
        check(phase in result.err, f"--verbose does not tell {phase}\n{result}")
    program.file("spare.yaml", "extends: raspberry-pi-wifi\ndevices:\n  spare: {type: device}\n")
    result = program.run("run", EDGE, "--topology", "spare", "--json")
    json.loads(result.out)
    check("warning" in result.err and "spare" in result.err, f"a device without a link is not warned of\n{result}")


def quiet_runs_print_nothing(program):
    result = program.run("run", EDGE, "--quiet")
    equal(result.out + result.err, "", "output")


def output_that_cannot_be_written_is_an_error(program):
    if not os.path.exists("/dev/full"):
        raise Skip("there is no /dev/full")
    program.run("run", EDGE, "--quiet", "--db", "results.db")
    for words in (["run", EDGE], ["run", EDGE, "--json"], ["explain", "vgg16"], ["list", "models"], ["help"],
                  ["help", "run"], ["--version"], ["export", "results.db", "--format", "csv"]):
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = program.run(*words, status=1, stdout=full)
        check("cannot write" in result.err, f"the message does not tell\n{result}")
    result = program.run("export", "results.db", "--output", "/dev/full", status=1)
    check("cannot write" in result.err, result)


def an_export_that_fails_leaves_the_file_as_it_was(program):
    program.run("run", EDGE, "--quiet", "--db", "results.db")
    path = program.file("kept.csv", "what was there\n")
    program.run("export", "results.db", "--run", "7", "--output", "kept.csv", status=2)
    with open(path, encoding="utf-8") as file:
        equal(file.read(), "what was there\n", "the file")
    program.run("export", "results.db", "--output", "kept.csv")
    with open(path, encoding="utf-8") as file:
        check(len(file.read().splitlines()) > 100, "the timeline has few lines")
    equal(sorted(os.listdir(program.folder)), ["kept.csv", "results.db"], "files")


def figures_are_drawn_by_their_ending(program):
    if not shutil.which("gnuplot"):
        raise Skip("there is no gnuplot")
    program.run("run", EDGE, "--quiet", "--db", "results.db")
    for kind in program.json("list", "figures"):
        for ending, start in ((".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF")):
            name = kind["name"] + ending
            program.run("plot", kind["name"], "results.db", "--output", name)
            with open(program.file(name), "rb") as file:
                check(file.read(5).startswith(start[:4]), f"{name} is no {ending}")
    program.run("run", "trace-by-hand", "--quiet", "--db", "trace.db")
    result = program.run("plot", "memory", "trace.db", "--output", "x.svg", status=1)
    check("nothing of memory" in result.err, result)
    result = program.run("plot", "timeline", "results.db", "--output", "x.gif", status=1)
    check(".svg" in result.err, result)
    result = program.run("plot", "timeline", "results.db", "--output", "no-such-folder/x.svg", status=1)
    check("no-such-folder" in result.err, result)


def a_bare_model_gets_a_plan_that_fits(program):
    config = program.file("config.json", json.dumps({
        "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
        "num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 128256}))
    for model, parameters in ((config, 8030261248), ("vgg16", 138357544)):
        run = program.json("run", model, "--topology", "dgx-h100", "--set", "topology.nodes=2")
        check(run["fits"] and "plan: {" in run["chosen"], f"{model}: {run}")
        equal([run["parameters"], run["devices"]], [parameters, 16], model)


def a_model_that_fits_nowhere_is_split_as_far_as_it_goes(program):
    run = program.json("run", "gpt3-175b", "--topology", "dgx-a100", "--set", "topology.nodes=1")
    check(not run["fits"] and "tensor: 8" in run["chosen"] and "recompute: full" in run["chosen"], str(run["chosen"]))


def what_is_set_goes_before_what_is_chosen(program):
    run = program.json("run", "gpt2", "--topology", "dgx-h100", "--set", "topology.nodes=1", "--set", "plan.tensor=4",
                       "--set", "batch.global=6", "--set", "precision=fp32")
    equal(run["samples_per_s"] * run["step_time_s"], 6, "samples per step")
    split = program.json("explain", "gpt2", "--set", "sequence=1024")
    equal(run["parameters"], split["parameters"], "parameters")


def what_would_fit_is_named_and_fits(program):
    words = ["run", CLOUD, "--set", "batch.global=16", "--set", "plan.recompute=none", "--set", "plan.tensor=4"]
    first = program.run(*words)
    check("DOES NOT FIT" in first.out and "what would fit" in first.out, first)
    lines = [line.split() for line in first.out.split("what would fit")[1].splitlines()[1:]]
    check(1 <= len(lines) <= 3, first)
    work = [float(line[line.index("x") - 1]) for line in lines]
    check(work == sorted(work), first)
    check(not program.json(*words)["fits"], first)
    for line in lines:
        check(program.json(*words, *line[:line.index("needs")])["fits"], line)


def samples_that_come_from_a_device_do_not_begin_steps(program):
    path = os.path.join(program.folder, "samples.yaml")
    with open(path, "w") as file:
        file.write("topology: raspberry-pi-wifi\nset: {devices: 4}\nmodel: mnist-cnn\nbatch: 8\nprecision: fp32\nplan:\n"
                   "  stages:\n    - {layers: conv1..softmax, split: {b: 4}, devices: 'pi[*]'}\n")
    there = program.json("run", path)["step_time_s"]
    for steps in (2, 3, 6):
        # The next step's samples are sent while this one runs, 25 KB beside 40 MB of gradients.
        sent = program.json("run", path, "--set", "plan.input=gateway", "--set", f"steps={steps}")
        near(sent["step_time_s"], there, f"the period of {steps} steps", 0.01)
        near(_parts(sent), sent["window_s"], "the parts of a step")



def experts_by_number_may_leave_devices_and_stages_without(program):
    few = ["run", "mixtral-8x7b-32gpu", "--quiet", "--set", "model.layers=2"]  # of four stages two have a mixture
    program.run(*few, "--set", "plan.experts=[[0..6], [7], [], [], [], [], [], []]")
    lists = [[expert] for expert in range(8)] + [[]] * 8
    program.run(*few, "--set", "plan.pipeline=2", "--set", "plan.data=8", "--set", "plan.expert=16", "--set",
                f"plan.experts={lists}")


def what_must_fit_and_does_not_ends_with_a_code_of_its_own(program):
    large = ["run", CLOUD, "--set", "batch.global=16", "--set", "plan.recompute=none", "--set", "plan.tensor=4"]
    for words in (["--quiet"], ["--json"], []):
        result = program.run(*large, "--must-fit", *words, status=3)
        check("memory does not fit" in result.err, result)
        equal(result.out == "", "--quiet" in words, "output is empty")
    program.run(*large, "--quiet")
    program.run("run", EDGE, "--quiet", "--must-fit")


if __name__ == "__main__":
    main(globals())
