#!/usr/bin/env python3
"""Profiles of PyTorch, replayed: when everything happens is compared with a simulation of the same job that shares
nothing with the program (profile.py)."""
import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
import profile as job  # noqa: E402
from harness import SOURCE, check, main  # noqa: E402

COLLECTIVES = "allreduce", "_allgather_base"
SEEDS, RING = 8, {"bandwidth": 100e9, "latency": 8e-6}

# Two devices and one cable: an all-reduce by a ring is two rounds of half the bytes.
PAIR = """devices:
  gpu: {{type: h100-sxm5-80gb, count: {count}}}
switches:
  switch: {{}}
links:
  wire: {{bandwidth: 100 GB/s, latency: 4 us, from: "gpu[i]", to: switch}}
"""


def _write(program, name, world, **more):
    folder = program.file(name)
    shutil.rmtree(folder, ignore_errors=True)
    job.write(folder, world, **more)
    return folder


def _topology(program, count):
    program.file("pair.yaml", PAIR.format(count=count))
    return "pair.yaml"


def _operations(program, trace, count, *words):
    """(rank, stream, label) -> [(start, end)] in order, of a replay."""
    if os.path.exists(program.file("out.db")):
        os.remove(program.file("out.db"))
    program.run("run", trace, "--topology", _topology(program, count), "--quiet", "--db", "out.db", *words)
    found = {}
    with sqlite3.connect(program.file("out.db")) as connection:
        for rank, stream, label, start, end in connection.execute(
                "SELECT rank, stream, label, start, end FROM timeline ORDER BY start"):
            found.setdefault((rank, stream, label), []).append((start, end))
    return found


def _assert_same(got, world, what):
    """Every task of the job happens when the job's own simulation says."""
    compared = 0
    for number, rank in enumerate(world):
        origin = min(rank.steps[0], rank.tasks[0].start)
        streams = {}
        for task in rank.tasks:
            if task.action["do"] == "kernel":
                streams[task.stream] = streams.get(task.stream, 0) + task.end - task.start
        most = max(sorted(streams), key=lambda stream: streams[stream])
        wanted = {}
        for task in rank.tasks:
            key = number, "compute" if task.stream == most else f"stream {task.stream}", task.action["name"]
            wanted.setdefault(key, []).append(((task.start - origin) / 1e9, (task.end - origin) / 1e9))
        for key, times in wanted.items():
            check(key in got and len(got[key]) == len(times), f"{what}: {key} happens {len(got.get(key, []))} times")
            for (start, end), (begins, ends) in zip(got[key], sorted(times)):
                if key[2] in COLLECTIVES:  # recorded from its last member's start
                    begins = start
                check(abs(start - begins) < 1e-12 and abs(end - ends) < 1e-12,
                      f"{what}: {key} from {start:.12f} to {end:.12f}, expected {begins:.12f} to {ends:.12f}")
                compared += 1
    check(compared > 20, f"{what}: {compared} tasks compared")


def a_profile_without_communication_happens_as_it_was_recorded(program):
    for seed in range(SEEDS):
        for sync in (True, False):  # what waits for what is recorded, or inferred
            world = job.run(job.randomly(seed, collectives=False), 1, start=7000 * seed)
            folder = _write(program, "alone", world, sync_events=sync)
            _assert_same(_operations(program, folder, 1), world, f"seed {seed}, sync events {sync}")


def a_profile_on_an_ideal_network_is_the_job_without_the_time_of_its_collectives(program):
    for seed in range(SEEDS):
        actions = job.randomly(seed)
        recorded = job.run(actions, 2, seconds=lambda action: 70000 + action["elements"] // 10, slow=[1, 1.25])
        wanted = job.run(actions, 2, slow=[1, 1.25])  # collectives take no time
        folder = _write(program, "ideal", recorded)
        got = _operations(program, folder, 2, "--set", "network.level=ideal", "--set", "links.wire.latency=0 s")
        _assert_same(got, wanted, f"seed {seed}")


def collectives_of_a_profile_take_the_time_of_the_network(program):
    def ring(action):  # two ranks: 2 (n-1)/n of the bytes in 2 (n-1) rounds
        return int(round(1e9 * (action["elements"] * job.WIDTH[action["dtype"]] / RING["bandwidth"] + 2 * RING["latency"])))
    actions = job.training(steps=1)
    folder = _write(program, "ring", job.run(actions, 2, seconds=lambda action: 500000))
    wanted = job.run(actions, 2, seconds=ring)
    got = _operations(program, folder, 2, "--set", "network.collectives=steps", "--set", "network.algorithm=ring")
    for number, rank in enumerate(wanted):
        for task, (start, end) in zip([t for t in rank.tasks if t.action["do"] == "collective"],
                                      got[number, "stream 20", "allreduce"]):
            check(abs(end - start - ring(task.action) / 1e9) < 2e-9, f"{end - start} for {ring(task.action)} ns")
    makespan = max(end for times in got.values() for _, end in times)
    origin = wanted[0].steps[0]
    ends = max(rank.now for rank in wanted) - origin
    check(abs(makespan - ends / 1e9) < 1e-7, f"makespan {makespan}, expected {ends} ns")


def profiles_of_amd_and_of_older_versions_happen_as_they_were_recorded(program):
    """Kernels that only an arrow joins with their launch; waits that do not say where the event was recorded; and ranks of a
    group as the first one and a step."""
    for seed in range(SEEDS):
        for style in ("rocm", "old"):
            world = job.run(job.randomly(seed, collectives=False), 1, start=7000 * seed)
            folder = _write(program, "styled", world, style=style)
            said = program.run("run", folder, "--topology", _topology(program, 1), "--quiet").err
            check("is not recorded" not in said and "inferred" not in said, f"{style}: {said}")
            _assert_same(_operations(program, folder, 1), world, f"{style}, seed {seed}")
    for style in ("rocm", "old"):
        actions = job.training(steps=1)
        recorded = job.run(actions, 2, seconds=lambda action: 70000)
        folder = _write(program, "styled", recorded, style=style)
        got = _operations(program, folder, 2, "--set", "network.level=ideal", "--set", "links.wire.latency=0 s")
        _assert_same(got, job.run(actions, 2), f"{style} of two ranks")


def a_profile_without_a_gpu_is_what_the_threads_of_the_host_did(program):
    for seed in range(SEEDS):
        shutil.rmtree(program.file("cpu"), ignore_errors=True)
        outermost = job.on_cpu(program.file("cpu"), seed)
        said = program.run("run", "cpu", "--topology", _topology(program, 1)).err
        check("no kernel of a GPU is recorded" in said, said)
        got = _operations(program, "cpu", 1)
        origin = min(operators[0][1] for operators in outermost.values())
        most = max(sorted(outermost), key=lambda thread: sum(end - start for _, start, end, _ in outermost[thread]))
        for thread, operators in outermost.items():
            stream = "compute" if thread == most else f"thread {thread}"
            for name, start, end, _ in operators:
                ((begins, ends),) = got[0, stream, name]
                check(abs(begins - (start - origin) / 1e9) < 1e-12 and abs(ends - (end - origin) / 1e9) < 1e-12,
                      f"seed {seed}: {stream} {name} from {begins} to {ends}, recorded {start - origin} to {end - origin} ns")
        with sqlite3.connect(program.file("out.db")) as connection:
            (flops,), = connection.execute("SELECT sum(flops) FROM timeline")
        wanted = sum(operator[3] for operators in outermost.values() for operator in operators)
        check(flops == wanted, f"{flops} FLOPs, expected {wanted}")


def times_with_a_sign_or_an_exponent_are_times(program):
    """As other programs write them that have had the profile in their hands."""
    events = [{"ph": "X", "cat": "kernel", "name": "first", "pid": 0, "tid": 7, "ts": "-5.5", "dur": "2e0", "args": {"stream": 7}},
              {"ph": "X", "cat": "kernel", "name": "second", "pid": 0, "tid": 7, "ts": "1.25e1", "dur": "3", "args": {"stream": 7}},
              {"ph": "X", "cat": "overhead", "name": "unfinished", "pid": 0, "tid": 0, "ts": "1", "dur": "-1"}]
    text = json.dumps({"traceEvents": events})
    for event in events:
        for key in ("ts", "dur"):
            text = text.replace(f'"{key}": "{event[key]}"', f'"{key}": {event[key]}')
    program.file("signs.json", text)
    got = _operations(program, "signs.json", 1)
    ((start, end),), ((begins, ends),) = got[0, "compute", "first"], got[0, "compute", "second"]
    wrong = [got - wanted for got, wanted in zip((start, end, begins, ends), (0, 2e-6, 18e-6, 21e-6)) if abs(got - wanted) > 1e-12]
    check(not wrong, f"{start} {end} {begins} {ends}")


def groups_that_a_profile_does_not_list_can_be_said(program):
    world = job.run(job.training(steps=1), 2, seconds=lambda action: 100000)
    for rank in world:
        for task in rank.tasks:
            if task.action["do"] == "collective":
                task.action = dict(task.action, group="7")
    folder = _write(program, "unlisted", world, groups={"7": []})
    whole = program.run("run", folder, "--topology", _topology(program, 2), "--json").out
    for number in range(2):
        path = os.path.join(folder, f"rank{number}.json")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        text = text.replace('"Process Group Ranks": "[0, 1]", ', "").replace('"world_size": 2', '"world_size": 3')
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("default_pg", "mine").replace('"pg_name": "7"', '"pg_name": "8"'))
    # Of three ranks, the third does nothing: only the groups say that two of them are in this one.
    with open(os.path.join(folder, "rank2.json"), "w", encoding="utf-8") as file:
        json.dump({"distributedInfo": {"rank": 2}, "traceEvents": [
            {"ph": "X", "cat": "kernel", "name": "idle", "pid": 0, "tid": 7, "ts": 0, "dur": 1, "args": {"stream": 7}}]}, file)
    said = program.run("run", folder, "--topology", _topology(program, 3), status=2).err
    check("`trace.groups` can" in said, said)
    listed = program.run("run", folder, "--topology", _topology(program, 3), "--json", "--set", 'trace.groups={"7": [0, 1]}').out
    got, wanted = json.loads(listed)["bytes_sent"], json.loads(whole)["bytes_sent"]
    check(got == wanted, f"{got} bytes sent, expected {wanted}")


def computing_and_exposed_communication_add_up(program):
    actions = job.training(steps=1)
    world = job.run(actions, 2, seconds=lambda action: 100000)
    folder = _write(program, "sums", world)
    found = json.loads(program.run("run", folder, "--topology", _topology(program, 2), "--json").out)
    computing = sum(t.end - t.start for t in world[0].tasks if t.stream == job.COMPUTE)
    check(abs(found["compute_s"] - computing / 1e9) < 1e-12, f"compute {found['compute_s']}, recorded {computing} ns")
    parts = found["compute_s"] + found["bubble_s"] + found["idle_s"] + sum(found["exposed_communication_s"].values())
    check(abs(parts - found["window_s"]) < 1e-9, f"{parts} of {found['window_s']}")
    sent = 2 * 4 * 2048 * 2048 * 2  # four all-reduces of 2048 x 2048 in BF16; of two ranks each sends every byte once
    check(abs(found["bytes_sent"] - sent) < 1, f"{found['bytes_sent']} bytes sent, {sent} expected")


def a_kernel_that_begins_before_its_launch_begins_with_it(program):
    """Clocks of host and GPU differ by half a microsecond here; by a millisecond it is another kernel."""
    for early, launched in ((0.5, True), (1000, False)):
        events = [{"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 1, "tid": 1, "ts": 2000, "dur": 4,
                   "args": {"correlation": 5}},
                  {"ph": "X", "cat": "kernel", "name": "early", "pid": 0, "tid": 7, "ts": 2000 - early, "dur": 2000,
                   "args": {"stream": 7, "correlation": 5}}]
        program.file("early.json", json.dumps({"schemaVersion": 1, "traceEvents": events}))
        said = program.run("run", "early.json", "--topology", _topology(program, 1)).err
        check(("is not recorded" in said) != launched, f"{early} us early: {said}")
        (start, _), = _operations(program, "early.json", 1)[0, "compute", "early"]
        check(abs(start - (early * 1e-6 if launched else 0)) < 1e-12, f"it starts at {start}")



def one_slow_rank_makes_the_other_wait(program):
    actions = job.training(steps=1)
    folder = _write(program, "slow", job.run(actions, 2, seconds=lambda action: 100000, slow=[1, 3]))
    got = _operations(program, folder, 2)
    early, late = got[0, "stream 20", "allreduce"][0], got[1, "stream 20", "allreduce"][0]
    check(abs(early[1] - late[1]) < 1e-12, f"the members end at {early[1]} and {late[1]}")
    check(early[0] >= 2 * 3 * 4096 * 2048 * 2048 / 600e12, f"they start at {early[0]}")


def shapes_of_products_give_their_time_on_another_device(program):
    actions = job.training(steps=1)
    folder = _write(program, "roofline", job.run(actions, 2, seconds=lambda action: 100000))
    times = {}
    for device in ("h100-sxm5-80gb", "a100-sxm4-80gb"):
        got = _operations(program, folder, 2, "--compute", "roofline", "--set", f"devices.gpu.type={device}",
                         "--set", "precision=bf16")
        gemm = next(key for key in got if key[0] == 0 and "gemm" in key[2])
        gelu = next(key for key in got if key[0] == 0 and "gelu" in key[2])
        times[device] = got[gemm][0][1] - got[gemm][0][0]
        length = got[gelu][0][1] - got[gelu][0][0]
        check(abs(length - 14e-6) < 1e-12, f"a kernel without FLOPs takes {length} s, recorded 14 us")
    flops = 2 * 4096 * 2048 * 2048
    check(flops / 989.4e12 < times["h100-sxm5-80gb"] < times["a100-sxm4-80gb"] < 4 * flops / 312e12, str(times))


def compressed_files_prefixes_and_single_files_are_the_same_trace(program):
    world = job.run(job.training(steps=1), 2, seconds=lambda action: 100000)
    plain = _write(program, "plain", world)
    packed = _write(program, "packed", world, compress=True)
    named = _write(program, "named", world, called="run.{}.json")
    handler = _write(program, "handler", world, called="node{}_4711.1722556320.pt.trace.json")
    answers = {path: json.loads(program.run("run", path, "--topology", _topology(program, 2), "--json").out)["step_time_s"]
               for path in (plain, packed, os.path.join(plain, "rank1.json"), os.path.join(packed, "rank0.json.gz"),
                            os.path.join(named, "run"), os.path.join(named, "run.0.json"), handler)}
    check(len(set(answers.values())) == 1, str(answers))


def groups_of_a_mesh_are_kept_apart(program):
    """Four ranks: tensor groups [0,1] [2,3], data groups [0,2] [1,3]; all on one process group each."""
    groups = {"0": [0, 1, 2, 3], "1": [0, 1], "2": [2, 3], "3": [0, 2], "4": [1, 3]}
    actions, of = [{"do": "step", "host": 1000}], {}
    for seq in range(3):
        actions.append({"do": "kernel", "host": 2000, "name": "gemm", "ns": 50000})
        for axis in ("tensor", "data"):
            actions.append({"do": "wait", "host": 1000, "stream": 20 if axis == "tensor" else 24, "on": job.COMPUTE})
            actions.append({"do": "collective", "host": 1000, "name": "allreduce", "elements": 1 << 20, "dtype": "BFloat16",
                            "seq": seq, "stream": 20 if axis == "tensor" else 24, "axis": axis})
    world = job.run(actions, 4, seconds=lambda action: 90000)
    for number, rank in enumerate(world):
        of[number] = {"tensor": str(1 + number // 2), "data": str(3 + number % 2)}
        for task in rank.tasks:
            if "axis" in task.action:
                group = of[number][task.action["axis"]]
                task.action = dict(task.action, group=group, ranks=groups[group])
    folder = _write(program, "mesh", world, groups=groups)
    found = json.loads(program.run("run", folder, "--topology", _topology(program, 4), "--json").out)
    sent = 4 * 2 * 3 * (1 << 20) * 2
    check(abs(found["bytes_sent"] - sent) < 1, f"{found['bytes_sent']} bytes sent, {sent} expected")


def unequal_parts_of_an_exchange_are_sent(program):
    """An all-to-all of which each rank knows its own row."""
    rows = [[100, 700], [300, 500]]
    actions = [{"do": "step", "host": 1000}, {"do": "kernel", "host": 1000, "name": "router", "ns": 5000},
               {"do": "collective", "host": 1000, "name": "all_to_allv", "elements": 800, "dtype": "Float", "seq": 1}]
    world = job.run(actions * 12, 2, seconds=lambda action: 30000)
    for number, rank in enumerate(world):
        for task in rank.tasks:
            if task.action["do"] == "collective":
                task.action = dict(task.action, split=rows[number])
    folder = _write(program, "exchange", world)
    found = json.loads(program.run("run", folder, "--topology", _topology(program, 2), "--json",
                                   "--set", "network.collectives=steps").out)
    sent = (700 + 300) * 4
    check(abs(found["bytes_sent"] - sent) < 1e-6, f"{found['bytes_sent']} bytes sent in the last step, {sent} expected")


def what_is_missing_or_does_not_match_is_said(program):
    world = job.run(job.training(steps=1), 2, seconds=lambda action: 100000)
    net = _topology(program, 2)

    def refused(name, change, *words):
        folder = _write(program, name, world)
        change(folder)
        said = program.run("run", folder, "--topology", net, status=2).err
        for word in words:
            check(word in said, f"{name}: expected '{word}' in\n{said}")

    def edit(folder, file, old, new, count=1):
        path = os.path.join(folder, file)
        with open(path, encoding="utf-8") as source:
            text = source.read()
        check(old in text, f"'{old}' is not in {path}")
        with open(path, "w", encoding="utf-8") as target:
            target.write(text.replace(old, new, count))

    def cut(folder):
        with open(os.path.join(folder, "rank1.json"), "r+", encoding="utf-8") as file:
            file.truncate(30000)

    def pack_and_cut(folder):
        path = os.path.join(folder, "rank1.json")
        with open(path, "rb") as file:
            packed = gzip.compress(file.read())
        os.remove(path)
        with open(path + ".gz", "wb") as file:
            file.write(packed[:len(packed) // 2])

    refused("missing", lambda f: os.remove(os.path.join(f, "rank1.json")), "there is no", "rank1.json", "rank 1 of 2")
    refused("cut", cut, "rank1.json:", "the file is cut short", "is not closed")
    refused("packed-cut", pack_and_cut, "rank1.json.gz:", "the file is cut short")
    refused("size", lambda f: edit(f, "rank1.json", '"In msg nelems": 4194304', '"In msg nelems": 4194305', 2),
            "rank 1", "allreduce", "of another kind or size")
    refused("kind", lambda f: edit(f, "rank0.json", '"Collective name": "allreduce"', '"Collective name": "_allgather_base"', 2),
            "of another kind or size", "'_allgather_base'")
    refused("lost", lambda f: edit(f, "rank0.json", '"cat": "kernel", "name": "ncclDev', '"cat": "gone", "name": "ncclDev'),
            "only some ranks join", "allreduce")
    refused("comma", lambda f: edit(f, "rank0.json", '"ph": "X", "cat": "kernel"', '"ph": "X" "cat": "kernel"'),
            "rank0.json:", "expected ',' or '}'")
    refused("time", lambda f: edit(f, "rank0.json", '"ts": 15.000', '"ts": "soon"'), "expected a time in microseconds")
    refused("cpu", lambda f: edit(f, "rank0.json", '"cat": "kernel"', '"cat": "cpu"', 999) or
            edit(f, "rank0.json", '"cat": "gpu_memcpy"', '"cat": "cpu"', 999) or
            edit(f, "rank0.json", '"cat": "cpu_op"', '"cat": "cpu"', 999), "neither a kernel of a GPU nor an operator")
    same = _write(program, "same", world)
    shutil.copy(os.path.join(same, "rank0.json"), os.path.join(same, "rank1.json"))
    said = program.run("run", same, "--topology", net, status=2).err
    check("rank 0 has another file" in said, said)


def a_rank_without_a_file_can_do_what_another_one_does(program):
    world = job.run(job.training(steps=1), 2, seconds=lambda action: 100000)
    folder = _write(program, "copy", world)
    net = _topology(program, 2)
    whole = json.loads(program.run("run", folder, "--topology", net, "--json").out)["step_time_s"]
    os.remove(os.path.join(folder, "rank1.json"))
    copied = json.loads(program.run("run", folder, "--topology", net, "--json", "--set", "trace.missing=copy").out)
    check(abs(copied["step_time_s"] - whole) < 1e-12, f"{copied['step_time_s']} instead of {whole}")


def what_is_not_used_is_counted(program):
    world = job.run(job.training(steps=1), 2, seconds=lambda action: 100000)
    said = program.run("run", _write(program, "counted", world), "--topology", _topology(program, 2)).err
    check("not used of the profile: 88 ac2g" in said, said)
    inferred = program.run("run", _write(program, "inferred", world, sync_events=False), "--topology",
                           _topology(program, 2)).err
    check("waits are inferred from calls and times" in inferred, inferred)


def _peak(program, *words):
    """Bytes that a run of the program occupied at most."""
    child = program.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    check(status == 0, f"{words}: exit code {status}")
    return usage.ru_maxrss * 1024


def a_large_file_is_read_in_little_memory(program):
    """60 MB of what is not used, among it lists that are 100 deep, beside a small profile."""
    world = job.run(job.training(steps=1), 1)
    folder = _write(program, "large", world)
    words = "run", folder, "--topology", _topology(program, 1), "--quiet"
    small = _peak(program, *words)
    path = os.path.join(folder, "rank0.json")
    with open(path, encoding="utf-8") as file:
        head, tail = file.read().split('"traceEvents": [\n', 1)
    event = ('{"ph": "X", "cat": "python_function", "name": "torch/nn/modules/module.py(1501): _call_impl", "pid": 4000, '
             '"tid": 4000, "ts": 5.000, "dur": 1.000, "args": {"Python id": 7, "Deep": ' + "[" * 100 + "]" * 100 + "}},\n")
    with open(path, "w", encoding="utf-8") as file:
        file.write(head + '"traceEvents": [\n')
        for _ in range(60_000_000 // len(event) // 1000 + 1):
            file.write(event * 1000)
        file.write(tail)
    large = _peak(program, *words)
    check(large - small < 10e6, f"{large / 1e6} MB for a large file, {small / 1e6} MB for a small one")


def messages_of_a_profile_are_sent(program):
    actions = []
    for seq in range(8):
        actions += [{"do": "step", "host": 1000}] if seq == 0 else []
        actions.append({"do": "kernel", "host": 2000, "name": "gemm", "ns": 50000})
        actions.append({"do": "wait", "host": 500, "stream": job.COMM, "on": job.COMPUTE})
        actions.append({"do": "collective", "host": 500, "name": "send", "elements": 1 << 20, "dtype": "Half", "seq": seq})
    world = job.run(actions, 2, seconds=lambda action: 60000)
    for number, rank in enumerate(world):
        for task in rank.tasks:
            if task.action["do"] == "collective":
                task.action = dict(task.action, name=("send", "recv")[number], peer=1 - number)
    folder = _write(program, "messages", world)
    found = json.loads(program.run("run", folder, "--topology", _topology(program, 2), "--json").out)
    check(abs(found["bytes_sent"] - 8 * 2 * (1 << 20)) < 1, f"{found['bytes_sent']} bytes sent")
    got = _operations(program, folder, 2)
    for (start, end), (_, arrived) in zip(got[0, "stream 20", "send"], got[1, "stream 20", "recv"]):
        check(abs(end - start - (2 * (1 << 20) / 100e9 + 8e-6)) < 1e-9, f"a message takes {end - start} s")
        check(arrived >= end - 1e-12, f"received at {arrived}, sent until {end}")


def what_only_the_operator_says_is_sent_as_well(program):
    world = job.run(job.training(steps=1), 2, seconds=lambda action: 100000)
    net = _topology(program, 2)
    answers = [json.loads(program.run("run", _write(program, f"says{says}", world, kernels_say=says), "--topology", net,
                                      "--json").out) for says in (True, False)]
    for key in ("step_time_s", "bytes_sent", "exposed_communication_s"):
        check(answers[0][key] == answers[1][key], f"{key}: {answers[0][key]}, {answers[1][key]}")



def _timeline(program, *words):
    """What happens when: (rank, kind, label, start, end), sorted; slots, and names of streams, may differ."""
    if os.path.exists(program.file("when.db")):
        os.remove(program.file("when.db"))
    program.run("run", *words, "--quiet", "--db", "when.db")
    with sqlite3.connect(program.file("when.db")) as connection:
        return sorted(connection.execute("SELECT rank, kind, label, start, end FROM timeline"))


def _assert_same_timeline(got, wanted, what):
    check(len(got) == len(wanted) > 0, f"{what}: {len(got)} operations, expected {len(wanted)}")
    most = max(row[4] for row in wanted)
    for mine, its in zip(got, wanted):
        check(mine[:3] == its[:3] and all(abs(a - b) <= 1e-12 * most for a, b in zip(mine[3:], its[3:])),
              f"{what}: {mine}, expected {its}")


SHIPPED = [("vgg16-four-pis", []), ("gpt3-175b-64gpu", ["--set", "topology.nodes=2", "--set", "plan.pipeline=2",
                                                        "--set", "batch.global=4"])]


def conversions_there_and_back_keep_the_timeline(program):
    """Any form -> YAML -> Chakra -> YAML: each replays alike, and the second YAML is the first."""
    world = job.run(job.randomly(5), 2, seconds=lambda action: 70000, slow=[1, 1.25])
    cases = [(_write(program, "there", world), _topology(program, 2), []),
             ("trace-by-hand", "dgx-h100", []), ("trace-by-hand", "dgx-a100", ["--compute", "roofline"])]
    for number, (workload, sets) in enumerate(SHIPPED):
        program.run("export", workload, "--format", "chakra", "--output", f"plan{number}", *sets)
        size = ["--set", "topology.devices=4"] if number == 0 else ["--set", "topology.nodes=2"]
        cases.append((f"plan{number}", "raspberry-pi-wifi" if number == 0 else "dgx-a100", size))
    shared = os.path.join(SOURCE, "..", "shared", "traces", "chakra")
    for name in ("custom_ring_allreduce_8npus_1MB", "microbenchmarks/all_reduce/8npus_1MB", "stg_gpt_dp8"):
        if os.path.isdir(os.path.join(shared, name)):
            cases.append((os.path.join(shared, name), "dgx-h100", ["--compute", "roofline", "--set", "precision=bf16",
                                                                      "--set", "trace.missing=copy"]))
    for trace, topology, words in cases:
        words = ["--topology", topology, *words]
        wanted = _timeline(program, trace, *words)
        program.run("convert", trace, "--output", "there.yaml", *words[words.index("precision=bf16") + 1:][:2]
                    if "precision=bf16" in words else [])
        _assert_same_timeline(_timeline(program, "there.yaml", *words), wanted, f"{trace} as YAML")
        program.run("convert", "there.yaml", "--format", "chakra", "--output", "back")
        _assert_same_timeline(_timeline(program, "back", *words), wanted, f"{trace} as Chakra")
        program.run("convert", "back", "--output", "again.yaml")
        with open(program.file("there.yaml"), encoding="utf-8") as first, \
                open(program.file("again.yaml"), encoding="utf-8") as second:
            texts = [[line.replace(", order: [", ", after: [") for line in file] for file in (first, second)]
        texts = [[line for line in text if not line.startswith(("name:", "about:", "topology:"))] for text in texts]
        check(len(texts[0]) == len(texts[1]), f"{trace}: {len(texts[0])} lines, then {len(texts[1])}")
        for name in os.listdir(program.folder):
            if name.startswith("back."):
                os.remove(program.file(name))


def a_run_exported_from_its_database_replays_with_its_timeline(program):
    for number, (workload, sets) in enumerate(SHIPPED):
        size = ["--set", "topology.devices=4"] if number == 0 else ["--set", "topology.nodes=2"]
        topology = ["--topology", "raspberry-pi-wifi" if number == 0 else "dgx-a100", *size]
        for random in ([], ["--set", "random.kernels={distribution: lognormal, mean: 1, sd: 0.05}"]):
            wanted = _timeline(program, workload, *sets, *random)
            os.replace(program.file("when.db"), program.file("done.db"))
            program.run("export", "done.db", "--format", "chakra", "--output", "done")
            _assert_same_timeline(_timeline(program, "done", *topology), wanted, f"{workload} {random}")
    said = program.run("export", "done.db", "--format", "chakra", "--output", "done", "--set", "batch=2", status=2).err
    check("cannot change it" in said, said)



ASTRA_NETWORK = """topology: [ Ring, Ring ]
npus_count: [ 4, 2 ]
bandwidth: [ 100.0, 10.0 ]
latency: [ 500.0, 2000.0 ]
"""
ASTRA_SYSTEM = {"scheduling-policy": "LIFO", "endpoint-delay": 10, "active-chunks-per-dimension": 1,
                "preferred-dataset-splits": 1, "all-reduce-implementation": ["ring", "ring"],
                "all-gather-implementation": ["ring", "direct"], "reduce-scatter-implementation": ["ring", "ring"],
                "all-to-all-implementation": ["oneDirect", "oneDirect"], "collective-optimization": "localBWAware",
                "local-mem-bw": 50, "peak-perf": 2, "roofline-enabled": 1}


def _astra(program, nodes, *words, **changes):
    """The makespan of eight NPUs that do the same, and what was said."""
    program.file("network.yml", ASTRA_NETWORK)
    program.file("system.json", json.dumps({**ASTRA_SYSTEM, **changes}))
    program.file("npus.yaml", "trace:\n  system: system.json\n  ranks:\n    - of: [0, 1, 2, 3, 4, 5, 6, 7]\n      nodes:\n"
                 + "".join(f"        - {{{node}}}\n" for node in nodes))
    done = program.run("run", "npus.yaml", "--topology", "network.yml", "--json", *words)
    return json.loads(done.out)["step_time_s"], done.err


def a_system_of_astra_sim_says_how_collectives_go_and_how_fast_npus_are(program):
    size = 64e6
    got, said = _astra(program, ["all-reduce: gradients, bytes: 64 MB"])
    # Reduce-scatter in the ring of four, all-reduce of a quarter in the ring of two, all-gather in the ring of four.
    # Every message costs its receiver 10 ns besides.
    inner, outer = 3 * (510e-9 + size / 4 / 100e9), 2 * (2010e-9 + size / 4 / 2 / 10e9)
    check(abs(got - (2 * inner + outer)) < 1e-12, f"{got}, expected {2 * inner + outer}")
    got_all = got
    for key in ("scheduling-policy", "active-chunks-per-dimension", "collective-optimization"):
        check(f"'{key}'" in said, f"'{key}' is not named: {said}")
    check("'peak-perf'" not in said and "implementation'" not in said, said)
    for flops, memory in ((4e9, 1e6), (4e9, 400e6)):  # bound by arithmetic, by memory
        got, _ = _astra(program, [f"compute: layer, flops: {flops:.0f}, memory: {memory:.0f} B, recorded: 7 s"])
        check(abs(got - max(flops / 2e12, memory / 50e9)) < 1e-12, f"{got} for {flops} FLOPs and {memory} bytes")
    got, _ = _astra(program, ["compute: layer, flops: 1e9, takes: 3 ms"], **{"roofline-enabled": 0})
    check(abs(got - 3e-3) < 1e-12, f"{got}, recorded 3 ms")
    split, _ = _astra(program, ["all-reduce: gradients, bytes: 64 MB"], **{"preferred-dataset-splits": 4})
    pieces, _ = _astra(program, ["all-reduce: gradients, bytes: 64 MB"], "--set", "network.pieces=4")
    check(split == pieces and split < 2 * inner + outer, f"{split}, {pieces} with pieces, {2 * inner + outer} without")
    # Six messages of the inner rings and two of the outer one.
    late, _ = _astra(program, ["all-reduce: gradients, bytes: 64 MB"], **{"endpoint-delay": 10000})
    check(abs(late - got_all - 8 * 9990e-9) < 1e-12, f"{late}, {got_all} without a delay")
    _, said = _astra(program, ["all-reduce: gradients, bytes: 64 MB"], **{"scheduling-policy": "FIFO"})
    check("'scheduling-policy'" not in said, said)
    own, _ = _astra(program, ["all-reduce: gradients, bytes: 64 MB"], "--set", "network.algorithm=direct")
    check(own != 2 * inner + outer, "what the workload says does not go before")


if __name__ == "__main__":
    main(globals())
