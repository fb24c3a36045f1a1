"""What the comparisons with published measurements share: the rows, running the program, and how far off it is.

A comparison is called as `SCRIPT PROGRAM [MEASUREMENTS.csv] [FAMILY...]`. Exit code 77 when the measurements are absent, 1 when a row cannot be run or is off
by more than the comparison's bound. The error of a row is that of its time, simulated / measured - 1.
"""

import csv
import json
import os
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MIB = 1 << 20


def rows(path):
    """The measurements, or the end of a script that has none."""
    if not os.path.exists(path):
        print(f"skipped: the measurements are absent: {path or 'no file given'}")
        raise SystemExit(77)
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def arguments(usage, families, usable):
    """The program, and the rows of the wanted families that `usable` accepts."""
    if len(sys.argv) < 2:
        raise SystemExit(usage)
    wanted = sys.argv[3:] or families
    found = [row for row in rows("".join(sys.argv[2:3])) if row["family"] in wanted and usable(row)]
    if not found:
        raise SystemExit("no row can be simulated: the measurements have changed their form")
    return sys.argv[1], found


def run(program, *words):
    """What the program answers, as JSON. Raises RuntimeError with its message."""
    environment = dict(os.environ, PARTITA_DATA=SOURCE, LC_ALL="C")
    done = subprocess.run([program, *words, "--json"], capture_output=True, text=True, env=environment, timeout=900, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


class Errors:
    """The errors of families of rows, bounded by a factor either way: a bound against regressions, not an aim."""

    def __init__(self, bound):
        self.bound, self.families, self.far = bound, {}, 0

    def add(self, family, measured, simulated):
        """The error of one more row, as text."""
        error = simulated / measured - 1
        self.families.setdefault(family, []).append(error)
        self.far += not 1 / self.bound < simulated / measured < self.bound
        return f"{100 * error:+6.1f} %"

    def end(self):
        """Prints each family's means and ends the script."""
        for family, errors in self.families.items():
            size, mean = sum(map(abs, errors)) / len(errors), sum(errors) / len(errors)
            print(f"{family}: {len(errors)} rows, mean magnitude {100 * size:.1f} %, mean {100 * mean:+.1f} %")
        raise SystemExit(1 if self.far else 0)
