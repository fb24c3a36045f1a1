#!/usr/bin/env python3
"""What a database holds after runs that went well, were killed, or met a full disk."""

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import time

from harness import Skip, check, equal, main

EDGE = "vgg16-four-pis"
LONG = ["run", "gpt3-175b-64gpu", "--set", "model.layers=32", "--quiet", "--db"]  # a database of some ten megabytes


def _canonical(program, database, run=None):
    words = ["--run", str(run)] if run else []
    text = program.run("export", database, "--format", "canonical", *words).out
    check(len(text.splitlines()) > 500, f"the dump has {len(text.splitlines())} lines")
    return text


def _query(path, sql):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def _intact(path):
    equal(_query(path, "PRAGMA integrity_check"), [("ok",)], f"integrity of {path}")


def the_same_run_twice_gives_the_same_dump(program):
    for database in ("a.db", "b.db"):
        program.run("run", EDGE, "--quiet", "--db", database)
    first = _canonical(program, "a.db")
    check(_canonical(program, "b.db") == first, "two runs of one workload differ")
    program.run("run", EDGE, "--quiet", "--db", "a.db")
    check(_canonical(program, "a.db", 2) == first, "a second run in one database differs from the first")
    program.run("run", EDGE, "--quiet", "--db", "a.db", "--set", "links.wifi.bandwidth=54 Mbps")
    check(_canonical(program, "a.db") != first, "another run gives the same dump")


def a_long_run_reports_the_same_without_a_database(program):
    """Without one, only the last steps are written out; they stand for those before."""
    for words in ([EDGE], ["gpt3-175b-64gpu", "--set", "model.layers=8", "--set", "batch.global=16"]):
        words = ["run", *words, "--set", "steps=7"]
        brief, whole = program.json(*words), program.json(*words, "--db", "a.db")
        for run in (brief, whole):
            check(run.pop("wall_s") > 0, "a run takes time")
        equal(brief, whole, f"{words}: summary")


def a_run_in_the_database_can_be_repeated_from_it(program):
    program.run("run", EDGE, "--quiet", "--db", "a.db", "--set", "links.wifi.bandwidth=54 Mbps",
                "--set", "topology.device=raspberry-pi-4b")
    text = _query(program.file("a.db"), "SELECT input FROM run")[0][0].split("\n")
    at = text.index("topology:")
    equal(text[0], "workload:", "first line of the input")
    for name, lines in (("again.yaml", text[1:at]), ("place.yaml", text[at + 1:])):
        program.file(name, "".join(line[2:] + "\n" for line in lines))
    program.run("run", "again.yaml", "--topology", "place.yaml", "--quiet", "--db", "b.db")
    sql = "SELECT name, scope, value FROM metric ORDER BY 1, 2"
    equal(_query(program.file("b.db"), sql), _query(program.file("a.db"), sql), "metrics of the repeated run")


def runs_at_the_same_time_wait_for_each_other(program):
    runs = [program.start("run", EDGE, "--quiet", "--db", "results.db", stderr=subprocess.PIPE) for _ in range(6)]
    for run in runs:
        errors = run.communicate(timeout=120)[1]
        equal((run.returncode, errors), (0, b""), "exit code and messages")
    path = program.file("results.db")
    _intact(path)
    equal(_query(path, "SELECT status, count(*) FROM run GROUP BY status"), [("finished", 6)], "runs")
    check(_canonical(program, path, 1) == _canonical(program, path, 6), "two of the runs differ")


def _running(path):
    return _query(path, "SELECT count(*) FROM run WHERE status = 'running'") != [(0,)]


def a_killed_run_leaves_a_valid_database_that_names_it(program):
    """Several kills, at moments spread over the run: before, while and after the simulation and the writing."""
    path, seed = program.file("results.db"), int(os.environ.get("PARTITA_SEED", time.time_ns() % 1000000))
    draw = random.Random(seed)
    program.run("run", EDGE, "--quiet", "--db", path)
    before = _canonical(program, path)
    started = time.monotonic()
    program.run(*LONG, "whole.db")
    whole = time.monotonic() - started
    unfinished = 0
    for i in range(8):
        process = program.start(*LONG, path, stderr=subprocess.DEVNULL)
        moment = time.monotonic() + whole * (0.2 + 0.1 * i + 0.1 * draw.random())
        while process.poll() is None and (not _running(path) if i == 0 else time.monotonic() < moment):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if i % 2:  # now the program is the first to open what was left
            check(_canonical(program, path, 1) == before, f"the first run changed (seed {seed}, kill {i})")
        _intact(path)
        rows = _query(path, "SELECT id, status FROM run ORDER BY id")
        equal(rows[0], (1, "finished"), f"the first run (seed {seed}, kill {i})")
        check(all(status in ("finished", "running") for _, status in rows), f"seed {seed}, kill {i}: {rows}")
        unfinished += process.returncode == -signal.SIGKILL and rows[-1][1] == "running"
        if rows[-1][1] == "running":
            equal(_query(path, f"SELECT count(*) FROM operation WHERE run = {rows[-1][0]}"), [(0,)],
                  "operations of a run that did not finish")
            result = program.run("export", path, "--run", str(rows[-1][0]), status=2)
            check("running" in result.err, f"the message does not name the state\n{result}")
    check(unfinished > 0, f"no run was killed while it was running (seed {seed})")
    check(_canonical(program, path, 1) == before, f"the first run changed (seed {seed})")


def _limited(size):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return limit


def _fails_when_full(program, path, before, limit):
    result = program.run(*LONG, path, status=1, before=limit)
    check("error: " in result.err and os.path.basename(path) in result.err and not result.out,
          f"the message does not name the database\n{result}")
    check(any(word in result.err for word in ("full", "disk", "I/O", "large")), f"the message does not tell why\n{result}")
    _intact(path)
    rows = _query(path, "SELECT id, status FROM run ORDER BY id")
    equal(rows[0], (1, "finished"), "the earlier run")
    check(all(status in ("running", "failed") for _, status in rows[1:]), f"the run that failed: {rows}")
    check(_canonical(program, path, 1) == before, "the earlier run changed")


def a_file_that_may_not_grow_fails_the_run_and_keeps_the_others(program):
    path = program.file("results.db")
    program.run("run", EDGE, "--quiet", "--db", path)
    before = _canonical(program, path)
    for more in (0, 100000, 4000000):
        _fails_when_full(program, path, before, _limited(os.path.getsize(path) + more))
    program.run("run", EDGE, "--quiet", "--db", path)
    check(_canonical(program, path) == before, "a run after the failures differs")


def a_full_disk_fails_the_run_and_keeps_the_others(program):
    disk = os.path.join(program.folder, "disk")
    os.mkdir(disk)
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], capture_output=True, check=False).returncode == 0
    if not mounted:
        raise Skip("a small disk cannot be mounted here")
    try:
        path = os.path.join(disk, "results.db")
        program.run("run", EDGE, "--quiet", "--db", path)
        _fails_when_full(program, path, _canonical(program, path), None)
    finally:
        subprocess.run(["umount", disk], check=True)


def a_database_that_cannot_be_written_is_named(program):
    program.file("text.db", "this is no database\n" * 100)
    os.mkdir(program.file("folder.db"))
    for name, words in (("no-such-folder/a.db", "does not exist"), ("folder.db", "is a folder"),
                        ("text.db", "not a results database"), ("text.db/a.db", "is not a folder")):
        result = program.run("run", EDGE, "--db", name, status=1)
        check(name in result.err and words in result.err and not result.out, f"{name}\n{result}")
    with open(program.file("text.db"), encoding="utf-8") as file:
        equal(file.read(), "this is no database\n" * 100, "a file that is no database")


def a_database_that_may_only_be_read_is_read_and_not_written(program):
    if os.geteuid() == 0:
        raise Skip("root may write everything")
    path = program.file("results.db")
    program.run("run", EDGE, "--quiet", "--db", path)
    before = _canonical(program, path)
    os.chmod(path, 0o444)
    result = program.run("run", EDGE, "--db", path, status=1)
    check("results.db" in result.err and not result.out, result)
    check(_canonical(program, path) == before, "the run changed")


if __name__ == "__main__":
    main(globals())
