#!/usr/bin/env python3
"""Every YAML and SQL example of docs/*.md is read, run or answered. (tests/readme runs the commands.)"""

import glob
import os
import re
import sqlite3

from harness import SOURCE, check, main

EDGE = "vgg16-four-pis"


def _blocks(language):
    """(page, number, text) of the fenced blocks."""
    for page in sorted(glob.glob(os.path.join(SOURCE, "docs", "*.md"))):
        with open(page, encoding="utf-8") as file:
            found = re.findall(rf"^```{language}\n(.*?)^```$", file.read(), flags=re.S | re.M)
        for number, text in enumerate(found, 1):
            yield os.path.basename(page), number, text


def _shown(page):
    """The lines of a page's first block of printed text."""
    with open(os.path.join(SOURCE, page), encoding="utf-8") as file:
        return re.search(r"^```text\n(.*?)^```$", file.read(), flags=re.S | re.M).group(1).splitlines()


def what_the_pages_show_is_printed(program):
    """In this order; `...` stands for lines that are left out."""
    for page, words in (("README.md", ["run", "gpt3-175b-64gpu"]), ("docs/cli.md", ["explain", "gpt3-175b-64gpu"])):
        printed = (line.strip() for line in program.run(*words).out.splitlines())
        for line in _shown(page):
            check(line.strip() == "..." or line.strip() in printed, f"{page} shows what is not printed (there): {line}")


def yaml_examples_are_right_input(program):
    program.file("one.yaml", "model: mnist-cnn\nstep: inference\n")
    program.file("place.yaml", "devices:\n  device: {type: example}\n")
    done = {"model": 0, "topology": 0, "device": 0, "workload": 0}
    for page, number, text in _blocks("yaml"):
        keys = set(re.findall(r"^([\w-]+):", text, flags=re.M))
        what = "model" if keys & {"layers", "blocks"} else "topology" if keys & {"devices", "links", "overrides"} \
            else "device" if "peak" in keys else "workload" if keys & {"model", "plan", "topology", "network"} else None
        if what == "workload" and "model" not in keys:
            text = f"extends: {EDGE}\n" + text
        if what is None:  # a part of a model that the text is about
            check("parameters" in keys, f"{page}, example {number}: what is it?\n{text}")
            what, text = "model", text + "layers:\n  - {input: x, dims: {h: hidden}}\n  - {fc: fc, out: inner}\n"
        program.file("example.yaml", text)
        words = {"model": ["explain", "example.yaml"], "topology": ["run", "one.yaml", "--topology", "example.yaml"],
                 "device": ["run", "one.yaml", "--topology", "place.yaml"], "workload": ["run", "example.yaml"]}[what]
        try:
            program.json(*words)
        except AssertionError as error:
            if "stderr is not empty" not in str(error) or "error:" in str(error):
                raise AssertionError(f"{page}, example {number}: {error}") from None
        done[what] += 1
    check(all(done.values()), f"examples found: {done}")


def sql_examples_are_answered(program):
    program.run("run", EDGE, "--quiet", "--db", "results.db")
    connection, done = sqlite3.connect(program.file("results.db")), 0
    connection.execute("INSERT INTO run (name, status, started, seed) VALUES ('killed', 'running', 'then', 0)")
    for page, number, text in _blocks("sql"):
        try:
            rows = connection.execute(text.strip().rstrip(";")).fetchall()
        except sqlite3.Error as error:
            raise AssertionError(f"{page}, query {number}: {error}\n{text}") from None
        check(rows, f"{page}, query {number} finds nothing\n{text}")
        done += 1
    connection.close()
    check(done > 5, f"{done} queries found")


def keys_of_the_json_are_those_of_the_manual(program):
    with open(os.path.join(SOURCE, "docs", "cli.md"), encoding="utf-8") as file:
        section = file.read().split("### JSON", 1)[1].split("\n#", 1)[0]
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    documented = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    printed = set(program.json("run", EDGE))
    check(documented == printed, f"only in docs/cli.md: {sorted(documented - printed)};"
                                 f" only printed: {sorted(printed - documented)}")


if __name__ == "__main__":
    main(globals())
