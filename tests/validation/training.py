#!/usr/bin/env python3
"""Training steps of large language models against published iteration times.

Called as `training.py PROGRAM [MEASUREMENTS.csv] [FAMILY...]`. Prints every row that can be simulated as it was measured (all sizes and degrees
known, DGX A100 nodes, at most $PARTITA_MOST devices, 100 by default), then each family's mean error; measured.py says how it ends.
"""

import os

import measured

BOUND = 1.6
MOST = int(os.environ.get("PARTITA_MOST", "100"))
FAMILIES = ["korthikanti2022"]
NEEDED = ["layers", "hidden", "heads", "seq", "vocab", "global_batch", "micro_batch", "tp", "pp", "dp", "n_gpus"]


def usable(row):
    whole = all(row[key].isdigit() for key in NEEDED)
    return (row["quantity"] == "iteration_time_s" and whole and "A100" in row["gpu"]
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
    try:
        return measured.run(program, "run", "gpt3-175b-64gpu", *settings(row))["step_time_s"]
    except RuntimeError as error:
        raise SystemExit(f"{row['id']}: {error}") from error


def main():
    program, rows = measured.arguments(__doc__, FAMILIES, usable)
    errors = measured.Errors(BOUND)
    for row in rows:
        real, simulated = float(row["value"]), simulate(program, row)
        print(f"{row['id']:24} {row['model']:12} {row['n_gpus']:>5} devices  {row['recompute']:9} SP {row['seq_parallel']:3} "
              f"{real:8.3f} s measured {simulated:8.3f} s simulated {errors.add(row['family'], real, simulated)}")
    errors.end()


if __name__ == "__main__":
    main()
