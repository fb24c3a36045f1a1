#!/usr/bin/env python3
"""Training steps of large language models against published iteration times.

Called as `training.py PROGRAM [MEASUREMENTS.csv] [FAMILY...]`. Prints every row that can be simulated as it was measured (all sizes and degrees
known, DGX A100 nodes, at most $PARTITA_MOST devices, 100 by default), then each family's mean error. Exit code 77 when the measurements are absent, 1 when a row cannot be
run or is off by more than a factor of BOUND: a bound against regressions, not an aim. The error of a row is simulated / measured - 1.
"""

import csv
import json
import os
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BOUND = 1.6
MOST = int(os.environ.get("PARTITA_MOST", "100"))
FAMILIES = ["korthikanti2022"]
NEEDED = ["layers", "hidden", "heads", "seq", "vocab", "global_batch", "micro_batch", "tp", "pp", "dp", "n_gpus"]


def usable(row, families):
    whole = all(row[key].isdigit() for key in NEEDED)
    return (row["family"] in families and row["quantity"] == "iteration_time_s" and whole and "A100" in row["gpu"]
            and int(row["n_gpus"]) <= MOST and row["recompute"] in ("none", "selective", "full"))


def settings(row):
    """The shipped GPT-3 scenario with the row's numbers; heads and inner features follow from them."""
    chunks = int(row["vpp"] or 1)
    nodes = (int(row["n_gpus"]) + 7) // 8
    values = {"model.layers": row["layers"], "model.hidden": row["hidden"], "model.heads": row["heads"],
              "model.vocabulary": row["vocab"], "batch.sequence": row["seq"], "batch.global": row["global_batch"],
              "batch.micro": row["micro_batch"], "plan.tensor": row["tp"], "plan.pipeline": row["pp"],
              "plan.data": row["dp"], "plan.recompute": row["recompute"],
              "plan.sequence-parallel": "yes" if row["seq_parallel"] == "yes" else "no", "topology.nodes": nodes}
    if chunks > 1:
        values.update({"plan.schedule": "interleaved", "plan.chunks": chunks})
    return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


def simulate(program, row):
    words = [program, "run", "gpt3-175b-64gpu", "--json", *settings(row)]
    environment = dict(os.environ, PARTITA_DATA=SOURCE, LC_ALL="C")
    result = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=900)
    if result.returncode != 0:
        raise SystemExit(f"{row['id']}: {' '.join(words)}\n{result.stderr}")
    return json.loads(result.stdout)["step_time_s"]


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    path = sys.argv[2] if len(sys.argv) > 2 else ""
    if not os.path.exists(path):
        print(f"the measurements are not there: {path or 'no file given'}")
        raise SystemExit(77)
    families, errors, far = sys.argv[3:] or FAMILIES, {}, 0
    with open(path, encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if usable(row, families)]
    if not rows:
        raise SystemExit("no row can be simulated: the measurements have changed their form")
    for row in rows:
        measured, simulated = float(row["value"]), simulate(sys.argv[1], row)
        error = simulated / measured - 1
        errors.setdefault(row["family"], []).append(error)
        far += not 1 / BOUND < simulated / measured < BOUND
        print(f"{row['id']:24} {row['model']:12} {row['n_gpus']:>5} devices  {row['recompute']:9} SP {row['seq_parallel']:3} "
              f"{measured:8.3f} s measured {simulated:8.3f} s simulated {100 * error:+6.1f} %")
    for family, values in errors.items():
        print(f"{family}: {len(values)} rows, mean magnitude {100 * sum(map(abs, values)) / len(values):.1f} %")
    raise SystemExit(1 if far else 0)


if __name__ == "__main__":
    main()
