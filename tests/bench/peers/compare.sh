#!/bin/sh
# compare.sh BUILD_FOLDER [CASE…]: runs each case through the engine and through SimGrid, one after the other,
# and prints the ratio of their processor seconds and peak memory. SimGrid runs with both of its network
# optimisations where that takes a minute; the faster one counts. Both must agree on the makespan.
set -eu
build=$1
shift
[ $# -gt 0 ] || set -- ring equal random poisson
simgrid=$build/tests/bench/peers/simgrid
[ -x "$simgrid" ] || { echo "skipped: SimGrid is not installed"; exit 77; }
case_file=$(mktemp)
trap 'rm -f "$case_file"' EXIT
# NAME OUTPUT -> "seconds megabytes makespan"
figures() { sed -n 's/.*\(^\| \)\([0-9.]*\) s CPU \([0-9.]*\) MB peak  makespan \([0-9.e+-]*\) s.*/\2 \3 \4/p'; }
for name in "$@"; do
    "$build/tests/bench/network" --small --describe "$name" >"$case_file"
    own=$("$build/tests/bench/network" --small "$name" | figures)
    best=
    for optim in Lazy Full; do
        # Full solves everything at every completion: hours for two million flows.
        [ "$optim" = Lazy ] || [ "$name" = random ] || [ "$name" = poisson ] || continue
        other=$("$simgrid" "$case_file" $optim | figures)
        best=$(printf '%s %s\n%s\n' "$other" "$optim" "$best" | sort -g | sed '/^$/d' | head -1)
    done
    echo "$name $own $best" | awk '{
        gap = $4 > $7 ? $4 - $7 : $7 - $4
        printf "%-8s %9.3f s %7.1f MB   SimGrid (%s) %9.3f s %7.1f MB   %6.1f x faster, %.2f of the memory", \
               $1, $2, $3, $8, $5, $6, $5 / $2, $3 / $6
        printf "%s\n", gap <= 1e-6 * $4 ? "" : sprintf("   MAKESPANS DIFFER: %s and %s", $4, $7)
        exit gap > 1e-6 * $4 }'
done
