#!/usr/bin/env bash
# Runs event-stream vectors natively and in wasm: `scripts/vectors.sh [FILE...]`; default: the two
# files in tests/vectors. A vector passes if it passes on both. Ends with `N passed, M failed`,
# and not with success if one failed or none was found. Format: tests/vectors/README.md.
set -euo pipefail
source "$(dirname "$0")/env.sh"

files=()
for file in "$@"; do
  if [ ! -f "$file" ]; then
    echo "no such file: $file" >&2
    exit 1
  fi
  files+=("$(realpath -- "$file")")
done
cd "$COMIND_ROOT"
if [ ${#files[@]} -eq 0 ]; then
  files=("$COMIND_ROOT/tests/vectors/vectors.json" "$COMIND_ROOT/tests/vectors/vectors-large.json")
fi

target=${CARGO_TARGET_DIR:-$COMIND_ROOT/target}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

cargo build --quiet --release -p comind --test vectors
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+simd128" \
  cargo build --quiet --release -p comind --example vectors_wasm --target wasm32-unknown-unknown

# Neither runner's failure ends the script: both are to be heard. The count says what happened.
VECTORS=$(printf '%s\n' "${files[@]}") cargo test --quiet --release -p comind --test vectors 2>&1 | tee -a "$log" || true
node tests/vectors/run.mjs "$target/wasm32-unknown-unknown/release/examples/vectors_wasm.wasm" \
  "${files[@]}" 2>&1 | tee -a "$log" || true

# A runner that died has no count, and nothing passed on it.
count() { sed -n "s/^$1: \([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p" "$log"; }
read -r native_passed native_failed <<<"$(count native)"
read -r wasm_passed wasm_failed <<<"$(count wasm)"
total=$((${native_passed:-0} + ${native_failed:-0}))
failed=$(grep -P '^FAIL\t' "$log" | cut -f2 | sort -u | wc -l || true) # one that fails on both counts once
if [ -z "${native_passed:-}" ] || [ -z "${wasm_passed:-}" ] ||
  [ "$total" -ne $((wasm_passed + wasm_failed)) ]; then
  echo "a runner died" >&2
  failed=$((total > 0 ? total : 1))
fi
if [ "$total" -eq 0 ]; then echo "no vectors found" >&2; fi
passed=$((total > failed ? total - failed : 0))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$total" -gt 0 ]
