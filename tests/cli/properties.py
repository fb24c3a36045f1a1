#!/usr/bin/env python3
"""What must hold of whole runs whatever the model behind them: orders, identities and cases with a known answer."""

from harness import check, equal, main, near

EDGE, CLOUD = "vgg16-four-pis", "gpt3-175b-64gpu"
SMALL = ["run", CLOUD, "--set", "model.layers=8", "--set", "model.hidden=1024", "--set", "model.heads=16",
         "--set", "batch.global=16"]


def _exposed(run):
    return sum(run["exposed_communication_s"].values())


VARYING = "vgg16-four-pis-varying"


def a_seed_gives_the_same_luck_each_time(program):
    times = [program.json("run", VARYING, "--seed", seed)["step_time_s"] for seed in ("1", "2", "1")]
    equal(times[0], times[2], "two runs of one seed")
    check(times[0] != times[1], "two seeds differ")


def a_replication_is_the_run_of_its_seed(program):
    times = [program.json("run", VARYING, "--seed", str(seed))["step_time_s"] for seed in range(5, 10)]
    metric = program.json("run", VARYING, "--seed", "5", "--replicate", "5")["metrics"]["step_time_s"]
    near(metric["mean"], sum(times) / 5, "mean of five", 1e-12)
    equal([metric["least"], metric["most"]], [min(times), max(times)], "least and greatest")


def luck_without_spread_is_the_plan(program):
    still = "{kernels: 1, stragglers: {probability: 0, factor: 9}, links: {link: wifi, every: 10 ms, factor: 100%}}"
    equal(program.json("run", EDGE, "--set", f"random={still}")["step_time_s"], program.json("run", EDGE)["step_time_s"],
          "step time with factors of one")


def the_same_luck_compares_better_than_other_luck(program):
    """Two networks that differ by a tenth: pairs with the same seed tell them apart, single runs do not."""
    import tempfile
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(f"extends: {VARYING}\nmodel: vgg16\ntopology: raspberry-pi-wifi\nset: {{devices: 3}}\n"
                   "plan: {input: gateway, stages: [{layers: conv1_1..pool5, split: {y: 3}, devices: \"pi[*]\"},"
                   " {layers: flatten..softmax, devices: gateway}]}\n")
        file.flush()
        rows = program.json("compare", VARYING, file.name, "--replicate", "40")
    apart = rows[0]["half_width_95_s"] + rows[1]["half_width_95_s"]
    check(rows[1]["ratio_half_width_95"] * rows[0]["step_time_s"] < apart,
          f"paired interval {rows[1]['ratio_half_width_95']}, separate ones {apart} s")


def more_bandwidth_never_slows_four_pis(program):
    times = [program.json("run", EDGE, "--set", f"links.wifi.bandwidth={rate} Mbps")["step_time_s"]
             for rate in (1, 5, 20, 38, 54, 100, 1000)]
    check(all(a > b for a, b in zip(times, times[1:])), f"seconds from 1 to 1000 Mbps: {times}")


def more_latency_never_speeds_four_pis_up(program):
    times = [program.json("run", EDGE, "--set", f"links.wifi.latency={time}")["step_time_s"]
             for time in ("0 s", "100 us", "1 ms", "10 ms")]
    check(all(a < b for a, b in zip(times, times[1:])), f"seconds from 0 to 10 ms: {times}")


def launch_overhead_only_adds_time(program):
    without = program.json(*SMALL, "--set", "devices.gpu.with={launch: 0 s}")
    some = program.json(*SMALL)
    much = program.json(*SMALL, "--set", "devices.gpu.with={launch: 1 ms}")
    check(without["step_time_s"] < some["step_time_s"] < much["step_time_s"],
          f"{without['step_time_s']}, {some['step_time_s']}, {much['step_time_s']}")
    equal([without["bytes_sent"], without["peak_memory_bytes"]], [much["bytes_sent"], much["peak_memory_bytes"]],
          "bytes sent and held")


def twice_the_speed_halves_the_computing(program):
    """Peak and memory bandwidth scale together, so that without launch overhead every kernel does."""
    for words, name in ((["run", EDGE], "pi"), (SMALL, "gpu")):
        still = [*words, "--set", f"devices.{name}.with={{launch: 0 s}}"]
        if name == "pi":
            still += ["--set", "devices.gateway.with={launch: 0 s}"]
        fast = [*still, "--set", f"devices.{name}.speed=2"] + (["--set", "devices.gateway.speed=2"] if name == "pi" else [])
        near(2 * program.json(*fast)["compute_s"], program.json(*still)["compute_s"], f"{name}: seconds of computing")


def one_device_neither_sends_nor_waits(program):
    for words in (["--set", "step=inference"], ["--set", "step=training"]):
        run = program.json("run", EDGE, "--topology", "single-device", "--set", "set={}", "--set", "plan={}", *words)
        equal([run["devices"], run["bytes_sent"], _exposed(run), run["idle_s"]], [1, 0, 0, 0],
              f"{words}: devices, bytes, exposed and idle seconds")
        near(run["compute_s"], run["step_time_s"], f"{words}: step time", 1e-9)


def rate_and_time_give_the_work_of_the_model(program):
    """FLOPs of a step: 2 per MAC forward, and twice that backward. Recomputation is no work of the model."""
    for words, passes, samples in ((["run", EDGE], 1, 1), ([*SMALL], 3, 16), ([*SMALL, "--set", "plan.recompute=none"], 3, 16)):
        run, model = program.json(*words), program.json("explain", *words[1:])
        near(run["flops_per_device"] * run["devices"] * run["step_time_s"], passes * 2 * model["macs_forward"] * samples,
             f"{words}: FLOPs of the step")
        near(run["samples_per_s"] * run["step_time_s"], samples, f"{words}: samples of the step")


def devices_that_are_not_used_change_nothing(program):
    four = program.json("run", EDGE)
    six = program.json("run", EDGE, "--set", "topology.devices=6", "--set", "plan.stages[0].devices=\"pi[0..3]\"")
    for key in ("step_time_s", "bytes_sent", "peak_memory_bytes", "devices", "mfu"):
        equal(six[key], four[key], key)


def the_order_of_equal_devices_does_not_matter(program):
    one = program.json("run", EDGE)
    other = program.json("run", EDGE, "--set", "plan.stages[0].devices=[\"pi[3]\", \"pi[1]\", \"pi[0]\", \"pi[2]\"]")
    for key in ("step_time_s", "bytes_sent", "compute_s"):
        near(other[key], one[key], key)


def recomputation_trades_time_for_memory(program):
    none, full = program.json(*SMALL, "--set", "plan.recompute=none"), program.json(*SMALL)
    check(full["step_time_s"] > none["step_time_s"], f"{full['step_time_s']} and {none['step_time_s']} seconds")
    check(full["peak_memory_bytes"] < none["peak_memory_bytes"],
          f"{full['peak_memory_bytes']} and {none['peak_memory_bytes']} bytes")


def more_micro_batches_make_the_bubble_smaller(program):
    fractions = [program.json(*SMALL[:-1], f"batch.global={batch}")["bubble_fraction"] for batch in (8, 16, 64)]
    check(all(a > b for a, b in zip(fractions, fractions[1:])), f"bubble with 8, 16, 64 micro-batches: {fractions}")


if __name__ == "__main__":
    main(globals())
