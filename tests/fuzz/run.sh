#!/usr/bin/env bash
# Fuzzes targets (all of them, or those that are named) for so many seconds each, two at a time, on what earlier runs found
# and on the committed corpora. What is new goes to tests/fuzz/found, a crash to tests/fuzz/artifacts.
#   tests/fuzz/run.sh SECONDS [TARGET ...]
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:?SECONDS}
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(ls corpus)
cargo +nightly fuzz build --fuzz-dir .
run() {
  mkdir -p "found/$1"
  # Twice the longest message that is accepted, where there is one, is long enough.
  cargo +nightly fuzz run --fuzz-dir . "$1" "found/$1" "corpus/$1" -- -max_total_time="$2" -timeout=2 -rss_limit_mb=2048 \
    -max_len=65536 -print_final_stats=1 2>&1 | tail -n 200 > "found/$1.log" || { cat "found/$1.log"; return 1; }
  grep -h -E 'stat::(number_of_executed_units|new_units_added)|^Done' "found/$1.log" | sed "s/^/$1: /"
}
export -f run
printf '%s\n' "${targets[@]}" | xargs -P 2 -I TARGET bash -c "run TARGET $seconds"
