#!/usr/bin/env bash
# libFuzzer on each reader of foreign bytes, with the address sanitizer: `scripts/fuzz.sh [target…]`, SECONDS_EACH=600.
#
# What it learns is kept in target/fuzz/corpus; tests/fuzz/corpus is where it begins. Needs a nightly compiler.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$COMIND_ROOT/tests/fuzz"
seconds=${SECONDS_EACH:-600}
export RUSTUP_TOOLCHAIN=nightly CARGO_TARGET_DIR=$COMIND_ROOT/target/fuzz
PATH=${CARGO_FUZZ_BIN%/*}:$PATH
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cd targets && basename -s .rs -- *.rs)

cargo fuzz build --fuzz-dir .
passed=0 failed=0
for target in "${targets[@]}"; do
  learned=$COMIND_ROOT/target/fuzz/corpus/$target
  log=$COMIND_ROOT/target/fuzz/$target.log
  mkdir -p "$learned"
  if cargo fuzz run --fuzz-dir . "$target" "$learned" "corpus/$target" -- \
    -max_total_time="$seconds" -max_len=4096 -timeout=5 -print_final_stats=1 >"$log" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    tail -n 30 "$log"
  fi
  runs=$(sed -nE 's/^stat::number_of_executed_units: *//p' "$log")
  covered=$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1)
  echo "$target: ${runs:-?} runs in $seconds s, $covered"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
