#!/usr/bin/env bash
# Runs event-stream vectors natively, in wasm, and in the JavaScript that this wasm becomes where there is none:
# `scripts/vectors.sh [FILE...]`; default: the two files in tests/vectors. A vector passes if it passes on all. Ends with `N passed, M failed`,
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

# As pkg/build.sh makes the package's core for pages without WebAssembly.
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=-simd128" CARGO_TARGET_DIR=$target/client/plain-target \
  cargo build --quiet --release -p comind --example vectors_wasm --target wasm32-unknown-unknown
features=(--enable-bulk-memory --enable-bulk-memory-opt --enable-nontrapping-float-to-int --enable-sign-ext
  --enable-mutable-globals --enable-reference-types --enable-multivalue)
mkdir -p "$target/vectors"
wasm-opt "$target/client/plain-target/wasm32-unknown-unknown/release/examples/vectors_wasm.wasm" "${features[@]}" -O2 \
  --llvm-memory-copy-fill-lowering --llvm-nontrapping-fptoint-lowering --signext-lowering -o "$target/vectors/plain.wasm"
wasm2js "$target/vectors/plain.wasm" "${features[@]}" -O2 -o "$target/vectors/plain.mjs"

# Neither runner's failure ends the script: both are to be heard. The count says what happened.
VECTORS=$(printf '%s\n' "${files[@]}") cargo test --quiet --release -p comind --test vectors 2>&1 | tee -a "$log" || true
node tests/vectors/run.mjs "$target/wasm32-unknown-unknown/release/examples/vectors_wasm.wasm" \
  "${files[@]}" 2>&1 | tee -a "$log" || true
node tests/vectors/run.mjs "$target/vectors/plain.mjs" "${files[@]}" 2>&1 | tee -a "$log" || true

# A runner that died has no count, and nothing passed on it.
count() { sed -n "s/^$1: \([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p" "$log"; }
read -r native_passed native_failed <<<"$(count native)"
read -r wasm_passed wasm_failed <<<"$(count wasm)"
read -r js_passed js_failed <<<"$(count javascript)"
total=$((${native_passed:-0} + ${native_failed:-0}))
failed=$(grep -P '^FAIL\t' "$log" | cut -f2 | sort -u | wc -l || true) # one that fails on several counts once
if [ -z "${native_passed:-}" ] || [ -z "${wasm_passed:-}" ] || [ -z "${js_passed:-}" ] ||
  [ "$total" -ne $((wasm_passed + wasm_failed)) ] || [ "$total" -ne $((js_passed + js_failed)) ]; then
  echo "a runner died" >&2
  failed=$((total > 0 ? total : 1))
fi
if [ "$total" -eq 0 ]; then echo "no vectors found" >&2; fi
passed=$((total > failed ? total - failed : 0))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$total" -gt 0 ]
