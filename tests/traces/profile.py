#!/usr/bin/env python3
"""Writes profiles of PyTorch as torch.profiler does, of a job whose timeline is known.

usage: profile.py FOLDER [--ranks N] [--steps N] [--gzip]    a data-parallel training step of four layers; the sample in
                                                              workloads/traces/ddp-2gpus is that of two ranks

A job is the same list of actions on every rank; run() says when everything happens. The rules are few: a task starts
LATENCY after its launch, the end of the task before it in its stream, and the ends of what its stream waits for; a
collective ends `seconds` after its last member has started; the host works between its calls as long as it is told,
and goes on AFTER a wait when what it waited for has ended.
"""
import argparse
import gzip
import json
import os
import random

LATENCY, CALL, AFTER = 2000, 4000, 1000  # nanoseconds
COMPUTE, COMM, COPY = 7, 20, 13          # numbers of CUDA streams
WIDTH = {"Float": 4, "BFloat16": 2, "Half": 2}


class Task:
    """Something on a stream of one rank."""
    def __init__(self, action, stream, launch, start, end):
        self.action, self.stream, self.launch, self.start, self.end = action, stream, launch, start, end


class Rank:
    def __init__(self, host, start=0):
        self.host, self.now, self.free = host, start, {}
        self.tasks, self.calls, self.steps = [], [], []
        self.waits = {}  # stream -> ends of what it waits for
        self.last = {}   # stream -> its last task


def ready(rank, stream):
    """A stream's next task can start then; what was waited for has been waited for."""
    return max([rank.now, rank.free.get(stream, 0)] + rank.waits.pop(stream, [])) + LATENCY


def run(actions, ranks=1, seconds=lambda action: 0, slow=None, start=0):
    """The ranks with their timelines. `seconds`: nanoseconds of a collective; `slow`: factor of each rank's kernels."""
    world = [Rank(r, start) for r in range(ranks)]
    for action in actions:
        begun = []
        for r, rank in enumerate(world):
            kind = action["do"]
            rank.now += action.get("host", 0)
            if kind == "step":
                rank.steps.append(rank.now)
            elif kind in ("kernel", "copy", "collective"):
                stream = action.get("stream", {"kernel": COMPUTE, "copy": COPY, "collective": COMM}[kind])
                begins = ready(rank, stream)
                length = 0 if kind == "collective" else int(action["ns"] * (slow[r] if slow and kind == "kernel" else 1))
                task = Task(action, stream, rank.now, begins, begins + length)
                rank.calls.append(("launch", rank.now, rank.now + CALL, task))
                rank.tasks.append(task)
                rank.last[stream] = task
                rank.free[stream] = task.end
                begun.append(task)
            elif kind == "wait":  # a stream for what another one has to do by now
                on, stream = rank.last.get(action["on"]), action["stream"]
                rank.calls.append(("wait", rank.now, rank.now + CALL // 4, (stream, action["on"])))
                if on:
                    rank.waits.setdefault(stream, []).append(on)
            elif kind == "sync":
                begins = rank.now
                rank.now = max([begins] + [task.end for task in rank.last.values()]) + AFTER
                rank.calls.append(("sync", begins, rank.now, None))
        if action["do"] == "collective":
            end = max(task.start for task in begun) + seconds(action)
            for rank, task in zip(world, begun):
                task.end = rank.free[task.stream] = end
        for rank in world:  # a wait is for the end of a task, which is known now
            rank.waits = {s: [t.end if isinstance(t, Task) else t for t in on] for s, on in rank.waits.items()}
    return world


def us(ns):
    return f"{ns // 1000}.{ns % 1000:03d}"


class Writer:
    """One rank's file, with the keys and the layout of libkineto's output_json.cpp."""
    def __init__(self, rank, number, world, sync_events, kernels_say, style="cuda"):
        self.rank, self.number, self.world, self.sync_events = rank, number, world, sync_events
        self.kernels_say = kernels_say  # else only record_param_comms says what is sent
        # "cuda"; "old": waits without the call that recorded the event, ranks as start and stride; "rocm": HIP's calls and
        # RCCL's kernels, which arrows alone join
        self.style, self.api = style, "hip" if style == "rocm" else "cuda"
        self.events, self.correlation, self.external, self.records = [], 100, 1, {}

    def event(self, category, name, pid, tid, start, end, **args):
        fields = ", ".join(f'"{key.replace("_", " ") if key[0] != "_" else key[1:]}": {json.dumps(value)}'
                           for key, value in args.items())
        text = f'  {{\n    "ph": "X", "cat": "{category}", "name": "{name}", "pid": {pid}, "tid": {tid},\n'
        text += f'    "ts": {us(start)}, "dur": {us(end - start)},\n    "args": {{\n      {fields}\n    }}\n  }}'
        self.events.append(text)

    def arrow(self, phase, number, pid, tid, time):
        end = ', "bp": "e"' if phase == "f" else ""
        self.events.append(f'  {{\n    "ph": "{phase}", "id": {number}, "pid": {pid}, "tid": {tid}, "ts": {us(time)},\n'
                           f'    "cat": "ac2g", "name": "ac2g"{end}\n  }}')

    def collective_args(self, action):
        elements, width = action["elements"], WIDTH[action["dtype"]]
        assert elements % 1 == 0 and width
        ranks = action.get("ranks", list(range(self.world)))
        if self.style == "old":
            return {"Collective_name": action["name"], "In_msg_nelems": elements, "Out_msg_nelems": elements,
                    "Group_size": len(ranks), "dtype": action["dtype"], "Global_rank_start": ranks[0],
                    "Global_rank_stride": ranks[1] - ranks[0] if len(ranks) > 1 else 1}
        return {"Collective_name": action["name"], "In_msg_nelems": elements, "Out_msg_nelems": elements,
                "Group_size": len(ranks), "dtype": action["dtype"], "In_split_size": str(action.get("split", [])),
                "Out_split_size": "[]", "Process_Group_Name": action.get("group", "0"),
                "Process_Group_Description": "default_pg" if len(ranks) == self.world else "mesh",
                "Process_Group_Ranks": str(ranks), "Seq": action["seq"],
                **({"Dst_Rank" if action["name"] == "send" else "Src_Rank": action["peer"]} if "peer" in action else {})}

    def launch(self, begin, end, task):
        pid, action = 4000 + self.number, task.action
        self.correlation += 1
        self.external += 1
        common = {"External_id": self.external}
        if action["do"] == "collective":
            self.event("cpu_op", "record_param_comms", pid, pid, begin - 1, end + 2, **common,
                       **self.collective_args(action), Rank=self.number)
        elif "dims" in action:
            m, k, n = action["dims"]
            self.event("cpu_op", "aten::mm", pid, pid, begin - 1, end + 2, **common,
                       Input_Dims=[[m, k], [k, n]], Input_type=["c10::BFloat16", "c10::BFloat16"], Ev_Idx=self.external)
        else:
            self.event("cpu_op", action.get("op", "aten::add_"), pid, pid, begin - 1, end + 2, **common)
        copy = action["do"] == "copy"
        self.event("cuda_runtime", self.api + ("MemcpyAsync" if copy else "LaunchKernel"), pid, pid, begin, end, **common,
                   cbid=41 if copy else 211, correlation=self.correlation)
        self.arrow("s", self.correlation, pid, pid, begin)
        args = {**common, "device": self.number % 8, "context": 1, "stream": task.stream, "correlation": self.correlation}
        if self.style == "rocm":
            args = dict(common)
        if copy:
            self.event("gpu_memcpy", action["name"], self.number % 8, task.stream, task.start, task.end, **args,
                       bytes=action["bytes"])
        elif action["do"] == "kernel":
            self.event("kernel", action["name"], self.number % 8, task.stream, task.start, task.end, **args, queued=0,
                       registers_per_thread=32, shared_memory=0, grid=[64, 1, 1], block=[128, 1, 1])
        else:
            self.event("kernel", "ncclDevKernel_Generic_1(ncclDevKernelArgsStorage<4096ul>)" if self.style == "rocm" else
                       "ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)",
                       self.number % 8, task.stream, task.start, task.end, **args,
                       **(self.collective_args(action) if self.kernels_say else {}))
        self.arrow("f", self.correlation, self.number % 8, task.stream, task.start)

    def wait(self, begin, end, streams):
        """cudaEventRecord on one stream and cudaStreamWaitEvent on the other, just after one another."""
        pid, middle = 4000 + self.number, (begin + end) // 2
        record, wait = self.correlation + 1, self.correlation + 2
        self.correlation += 2
        self.event("cuda_runtime", self.api + "EventRecord", pid, pid, begin, middle, cbid=135, correlation=record)
        self.event("cuda_runtime", self.api + "StreamWaitEvent", pid, pid, middle, end, cbid=147, correlation=wait)
        told = {} if self.style == "old" else {"_wait_on_cuda_event_record_corr_id": record}
        if self.sync_events:
            self.event("cuda_sync", "Stream Wait Event", self.number % 8, streams[0], middle, middle,
                       _cuda_sync_kind="Stream Wait Event", _wait_on_stream=streams[1],
                       **told, _wait_on_cuda_event_id=record, stream=streams[0],
                       correlation=wait, device=self.number % 8, context=1)

    def sync(self, begin, end):
        self.correlation += 1
        pid = 4000 + self.number
        self.event("cuda_runtime", self.api + "DeviceSynchronize", pid, pid, begin, end, cbid=165, correlation=self.correlation)
        if self.sync_events:
            self.event("cuda_sync", "Context Sync", self.number % 8, 1, begin, end, _cuda_sync_kind="Context Sync",
                       stream=4294967295 if self.style == "old" else -1, correlation=self.correlation, device=self.number % 8, context=1)

    def text(self, groups):
        pid = 4000 + self.number
        ends = self.rank.steps[1:] + [max([call[2] for call in self.rank.calls] + [t.end for t in self.rank.tasks])]
        for i, (begin, end) in enumerate(zip(self.rank.steps, ends)):
            self.event("user_annotation", f"ProfilerStep#{i + 3}", pid, pid, begin, end, External_id=1, Ev_Idx=0)
        for kind, begin, end, what in self.rank.calls:
            if kind == "launch":
                self.launch(begin, end, what)
            elif kind == "wait":
                self.wait(begin, end, what)
            else:
                self.sync(begin, end)
        info = {"backend": "nccl", "rank": self.number, "world_size": self.world, "pg_count": len(groups),
                "pg_config": [{"pg_name": name, "pg_desc": "default_pg" if name == "0" else "mesh",
                               "backend_config": "cuda:nccl", "pg_size": len(ranks), "ranks": ranks}
                              for name, ranks in groups.items()], "nccl_version": "2.21.5"}
        head = '{\n  "schemaVersion": 1,\n  "deviceProperties": [\n    {\n      "id": 0, "name": "NVIDIA H100 80GB HBM3"\n'
        head += f'    }}\n  ],\n  "cupti_version": 24,\n  "distributedInfo": {json.dumps(info)},\n'
        head += '  "displayTimeUnit": "ms",\n  "baseTimeNanoseconds": 1722556320000000000,\n  "traceEvents": [\n'
        meta = f'  {{\n    "name": "process_name", "ph": "M", "ts": 0.000, "pid": {pid}, "tid": 0,\n    "args": {{\n'
        meta += '      "name": "python"\n    }\n  },\n'
        tail = '\n  ],\n  "traceName": "trace.json"\n}'
        return head + meta + ",\n".join(self.events) + tail


def write(folder, world, groups=None, sync_events=True, kernels_say=True, called="rank{}.json", compress=False, style="cuda"):
    os.makedirs(folder, exist_ok=True)
    groups = groups or {"0": list(range(len(world)))}
    for number, rank in enumerate(world):
        text = Writer(rank, number, len(world), sync_events, kernels_say, style).text(groups)
        path = os.path.join(folder, called.format(number) + (".gz" if compress else ""))
        with (gzip.open(path, "wt") if compress else open(path, "w", encoding="utf-8")) as file:
            file.write(text)


def on_cpu(folder, seed, threads=2, count=40):
    """A profile without a GPU: operators within operators on several threads. Returns thread -> [(name, start, end, FLOPs)] of
    the outermost, in nanoseconds."""
    source, events, outermost = random.Random(seed), [], {}

    def event(name, thread, start, end, **args):
        events.append({"ph": "X", "cat": "cpu_op", "name": name, "pid": 9, "tid": thread, "ts": start / 1000,
                       "dur": (end - start) / 1000, "args": {"External id": len(events) + 1, **args}})

    for thread in range(300, 300 + threads):
        now, outermost[thread] = source.randrange(1, 50000), []
        for i in range(count):
            start, length = now + source.choice([0, source.randrange(1, 20000)]), source.randrange(1000, 200000)
            size = [source.randrange(1, 200) for _ in range(3)]
            product = source.random() < 0.5
            name = f"aten::linear_{i}" if product else f"aten::relu_{i}"
            event(name, thread, start, start + length)
            if product:  # two levels deep, of which the inner one says its shapes
                event("aten::matmul", thread, start + 100, start + length - 100)
                event("aten::mm", thread, start + 200, start + length - 200, **{
                    "Input Dims": [[size[0], size[1]], [size[1], size[2]]], "Input type": ["float", "float"]})
            now = start + length
            outermost[thread].append((name, start, now, 2 * size[0] * size[1] * size[2] if product else 0))
    source.shuffle(events)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "rank0.json"), "w", encoding="utf-8") as file:
        json.dump({"schemaVersion": 1, "traceEvents": events}, file)
    return outermost


def training(steps=2, layers=4, tokens=4096, width=2048):
    """Forward; backward with an all-reduce of each layer's gradients beside it; the optimizer after the last one."""
    flops = 2 * tokens * width * width
    gemm = int(flops / 600e12 * 1e9)  # an H100 at 600 TFLOP/s
    actions, seq = [], 0
    for _ in range(steps):
        actions.append({"do": "step", "host": 5000})
        actions.append({"do": "copy", "host": 8000, "name": "Memcpy HtoD (Pinned -> Device)", "ns": 30000,
                        "bytes": 4 * tokens})
        actions.append({"do": "wait", "host": 2000, "stream": COMPUTE, "on": COPY})
        for _ in range(layers):
            actions.append({"do": "kernel", "host": 9000, "name": "sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64",
                            "ns": gemm, "dims": (tokens, width, width)})
            actions.append({"do": "kernel", "host": 6000, "name": "void at::native::vectorized_elementwise_kernel<4, gelu>",
                            "ns": 14000, "op": "aten::gelu"})
        for _ in range(layers):
            for _ in range(2):
                actions.append({"do": "kernel", "host": 9000, "name": "sm90_xmma_gemm_bf16bf16_bf16f32_f32_nt_n_tilesize128x128x64",
                                "ns": gemm, "dims": (tokens, width, width)})
            seq += 1
            actions.append({"do": "wait", "host": 3000, "stream": COMM, "on": COMPUTE})
            actions.append({"do": "collective", "host": 2000, "name": "allreduce", "elements": width * width,
                            "dtype": "BFloat16", "seq": seq})
        actions.append({"do": "wait", "host": 4000, "stream": COMPUTE, "on": COMM})
        actions.append({"do": "kernel", "host": 9000, "name": "void at::native::multi_tensor_apply_kernel<adam>", "ns": 25000,
                        "op": "aten::_fused_adamw_"})
        actions.append({"do": "sync", "host": 7000})
    return actions


def randomly(seed, count=60, collectives=True):
    """Any order of everything."""
    source, actions, seq = random.Random(seed), [{"do": "step", "host": 1000}], 0
    for _ in range(count):
        host, kind = source.randrange(500, 20000), source.random()
        if kind < 0.55:
            actions.append({"do": "kernel", "host": host, "name": f"kernel_{source.randrange(9)}",
                            "ns": source.randrange(1000, 60000), "stream": source.choice([COMPUTE, COMPUTE, COMPUTE, 11])})
        elif kind < 0.65:
            actions.append({"do": "copy", "host": host, "name": "Memcpy DtoD (Device -> Device)",
                            "ns": source.randrange(1000, 30000), "bytes": source.randrange(1, 1 << 20)})
        elif kind < 0.8 and collectives:
            seq += 1
            actions.append({"do": "wait", "host": host, "stream": COMM, "on": COMPUTE})
            actions.append({"do": "collective", "host": 600, "name": source.choice(["allreduce", "_allgather_base"]),
                            "elements": 1024 * source.randrange(1, 900), "dtype": "Float", "seq": seq})
        elif kind < 0.95:
            stream, on = source.sample([COMPUTE, 11, COMM, COPY], 2)
            actions.append({"do": "wait", "host": host, "stream": stream, "on": on})
        else:
            actions.append({"do": "sync", "host": host})
    return actions + [{"do": "kernel", "host": 1000, "name": "last", "ns": 5000}]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--gzip", action="store_true")
    words = parser.parse_args()
    # 8 MiB over a ring of two: 8 MiB in each direction, at 100 GB/s, and two hops of 8 us.
    write(words.folder, run(training(words.steps), words.ranks, lambda action: 84000 + 16000, slow=[1 + 0.02 * r for r in range(words.ranks)]),
          compress=words.gzip)


if __name__ == "__main__":
    main()
