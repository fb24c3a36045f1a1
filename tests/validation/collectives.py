#!/usr/bin/env python3
"""Collectives against published measurements: nccl-tests and the like on NVLink, InfiniBand, EFA and Omni-Path.

Called as `collectives.py PROGRAM [MEASUREMENTS.csv]`. Prints every row, then each family's mean errors from 1 MiB up and below. Exit code 77
when the measurements are absent, 1 when a row cannot be run or is farther off than BOUND. The error of a row is that of the
time, simulated / measured - 1; a bandwidth is turned into a time first.
"""

import math
import os
import sys

import measured
from measured import MIB, SOURCE

# A regression bound, not an aim: a time off by more than this factor either way fails, in a row the model claims. Reduction in NVSwitches has
# a time per collective that the model lacks.
BOUND = 5.0

# Rows that no ideal network can give, with the reason; they are printed and bounded by nothing.
OUTSIDE = {
    "Vidur A100 over IB, 2-4": "they reach a quarter of the card's rate: no GPUDirect (unknown)",
    "nccl B200 over EFA": "the smallest sizes take tens of milliseconds: start-up of the fabric",
    "Jean Zay": "one row beyond NVLink's nominal rate, the others a fault of NCCL on Omni-Path",
}

ALL_REDUCE = {n: 2 * (n - 1) / n for n in range(2, 1024)}

# A family's function says of a row: the group of the table, what to run (kind, topology, settings, algorithm, bytes), and the measured seconds.


def nodes(count, gpus, *more):
    return [f"parameters.nodes={count}", f"parameters.gpus={gpus}", *more]


def vtrain(row):
    """The value is a time in ns, whatever the unit says."""
    return "vTrain A100", ("all-reduce", "dgx-a100", nodes(1, int(row["n_gpus"])), "ring", float(row["msg_bytes"])), float(row["value"]) * 1e-9


def vidur(row):
    n, size = int(row["n_gpus"]), float(row["msg_bytes"])
    across = row["inter_node_net"].startswith("cross-node")
    each = int(row["notes"].split("devices_per_node=")[1].split(";")[0])
    kind = "all-reduce"
    if row["model"] != "all_reduce":  # one message: a halo exchange of two, whose buffer is one half for each neighbour
        kind, size = "halo-exchange", 2 * size
    group = "Vidur A100 inside" if not across else "Vidur A100 over IB, 8-16" if n >= 8 else "Vidur A100 over IB, 2-4"
    # Between nodes one ring over one card, as no more than its rate was measured; short messages take trees (the size is assumed).
    algorithm = "direct" if kind != "all-reduce" else "hierarchical" if across and each > 1 and size < MIB else "ring"
    return group, (kind, "dgx-a100", nodes(n // each, each), algorithm, size), float(row["value"]) * 1e-3


def jean_zay(row):
    n, size = int(row["n_gpus"]), float(row["msg_bytes"])
    each, link = (4, "nvlink2") if row["gpu"].startswith("V100") else (8, "nvlink3")
    device = "v100-sxm2-32gb" if each == 4 else "a100-sxm4-80gb"
    # Four cards per node: of eight GPUs two share one.
    settings = nodes(n // each, each, f"parameters.device={device}", f"parameters.nvlink={link}", "parameters.network=omni-path-100")
    if each == 8:
        settings.append("links.rail.bandwidth=50%")
    algorithm = "hierarchical" if n > each else "ring"
    return "Jean Zay", ("all-reduce", "rail-pod", settings, algorithm, size), size / (float(row["value"]) * 1e9)


def deepep(row):
    n, size, value = int(row["n_gpus"]), float(row["msg_bytes"]), float(row["value"])
    settings = nodes(max(1, n // 8), 8, "parameters.device=h800-sxm-80gb", "links.nvlink.bandwidth=200 GB/s")
    if row["quantity"] == "latency_ms":  # every copy of a token is in the size
        return "DeepEP low latency", ("all-to-all", "dgx-h100-superpod", settings, "direct", size), value * 1e-3
    # A token goes once to each node (or GPU) that has one of its experts: at most the four groups that routing allows.
    size *= 4
    far = (n - 8) / n if n > 8 else (n - 1) / n
    return "DeepEP", ("all-to-all", "dgx-h100-superpod", settings, "direct", size), size * far / (value * 1e9)


def nccl(row):
    n, size, gpu = int(row["n_gpus"]), float(row["msg_bytes"]), row["gpu"]
    kind = row["model"].split()[0].replace("_", "-")
    seconds = size * (ALL_REDUCE[n] if kind == "all-reduce" else (n - 1) / n) / (float(row["value"]) * 1e9)
    if gpu.startswith("A100"):
        return "nccl A100", (kind, "dgx-a100", nodes(1, n), "ring", size), seconds
    if gpu.startswith("H200"):
        in_switch = kind == "all-reduce" and "NVLS off" not in row["model"]
        settings = nodes(1, n, "parameters.device=h200-sxm-141gb")
        return "nccl H200", (kind, "dgx-h100", settings, "ring,in-network" if in_switch else "ring", size), seconds
    if n > 8:
        settings = ["parameters.instances=4", "parameters.device=b200-sxm", "parameters.inside=nvlink5", "parameters.network=aws-efa-v4-p6-b200",
                    "links.pcie.type=pcie5-x16"]
        return "nccl B200 over EFA", (kind, "cloud-cluster", settings, "hierarchical", size), seconds
    settings = nodes(1, n, "parameters.device=b200-sxm", "links.nvlink.type=nvlink5")
    return "nccl B200", (kind, "dgx-h100", settings, "ring,in-network", size), seconds


FAMILIES = {"vtrain_ar_a100": vtrain, "vidur_net_a100_dgx": vidur, "jz_allreduce": jean_zay, "deepep_alltoall": deepep, "nccl_stas_h200_b200_a100": nccl}


def run(program, kind, topology, settings, algorithm, size):
    words = ["collective", kind, "--topology", topology, "--algorithm", algorithm, "--size", f"{size:.0f}B"]
    answers = measured.run(program, *words, *(word for setting in settings for word in ("--set", setting)))["results"]
    if len(answers) != len(algorithm.split(",")):
        raise RuntimeError(f"{' '.join(words)}: another algorithm took over")
    return min(answers, key=lambda one: one["time_s"])


def mean(errors):
    return f"{100 * sum(map(abs, errors)) / len(errors):.0f} %" if errors else "-"


def means(found):
    """Number of rows, mean errors from 1 MiB up and below: columns of the table."""
    return f"{len(found)} | {mean([e for s, e, _ in found if s >= MIB])} | {mean([e for s, e, _ in found if s < MIB])}"


def main():
    program = sys.argv[1]
    path = sys.argv[2] if len(sys.argv) > 2 else os.path.join(SOURCE, "..", "shared", "validation", "measurements.csv")
    rows = [(row, FAMILIES[row["family"]](row)) for row in measured.rows(path) if row["family"] in FAMILIES]
    groups, faults = {}, []
    print("row                            group                    kind         algorithm    protocol  n        bytes   measured  simulated   error")
    for row, (group, words, seconds) in rows:
        try:
            answer = run(program, *words)
        except RuntimeError as error:
            faults.append(f"{row['id']}: {error}")
            continue
        simulated = answer["time_s"]
        error = simulated / seconds - 1
        print(f"{row['id']:30} {group:24} {words[0]:12} {answer['algorithm']:12} {answer.get('protocol', ''):6} {row['n_gpus']:>4} {words[4]:12.0f} {seconds * 1e6:10.1f} {simulated * 1e6:10.1f} "
              f"{100 * error:+6.0f} %")
        groups.setdefault(group, []).append((words[4], error, row))
        if group not in OUTSIDE and abs(math.log(simulated / seconds)) > math.log(BOUND):
            faults.append(f"{row['id']}: off by more than a factor of {BOUND:g}")
    print("\n| family | rows | mean error from 1 MiB | below | worst row |\n|---|---|---|---|---|")
    for group, found in groups.items():
        size, error, row = max(found, key=lambda one: abs(math.log(1 + one[1])))
        print(f"| {group} | {means(found)} | {row['n_gpus']} GPUs, {size / 1024:.0f} KiB: {100 * error:+.0f} % |")
    inside = [one for group, found in groups.items() if group not in OUTSIDE for one in found]
    print(f"| all inside | {means(inside)} | |")
    every = [one for found in groups.values() for one in found]
    print(f"| all | {means(every)} | |")
    for group, why in OUTSIDE.items():
        print(f"outside: {group}: {why}")
    print(f"regression bound: a factor of {BOUND:g} either way, for every row inside")
    for fault in faults:
        print("FAILED", fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
