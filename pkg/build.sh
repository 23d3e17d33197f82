#!/usr/bin/env bash
# Builds what the npm package has of the core into pkg/wasm/, ready for `npm pack`: the core as WebAssembly, the same
# core as JavaScript, and the tables and types that the rest is written against.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=../scripts/env.sh disable=SC1091
. ../scripts/env.sh
target=${CARGO_TARGET_DIR:-$COMIND_ROOT/target}
work=$target/client
out=$PWD/wasm
rm -rf "$out" "$work/simd" "$work/plain"
mkdir -p "$out" "$work"

# The folders of this machine are nobody's business, and would make two builds differ.
remap="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src= --remap-path-prefix=$COMIND_ROOT="
features=(--enable-bulk-memory --enable-bulk-memory-opt --enable-nontrapping-float-to-int --enable-sign-ext
  --enable-mutable-globals --enable-reference-types --enable-multivalue)

# wasm FOLDER RUSTFLAGS...: the core as wasm-bindgen leaves it, as text, without what only JavaScript objects need.
wasm() {
  RUSTFLAGS="${*:2} $remap" wasm-pack --quiet build . --target bundler --profile client --mode no-install --no-opt \
    --no-pack --no-typescript --no-gitignore --out-dir "$1" --out-name core
  wasm-dis --all-features "$1/core_bg.wasm" |
    grep -vE '\(export "(__wbindgen_externrefs|__wbindgen_start|__abort_handler|__instance_terminated)"' >"$1/core.wat"
}

wasm "$work/simd" -C target-feature=+simd128
wasm-opt "$work/simd/core.wat" "${features[@]}" --enable-simd -Oz --converge -o "$out/core_bg.wasm"
cp "$work/simd/core_bg.js" "$out/"

# In a folder of its own: other flags would make Cargo build the first one anew each time.
CARGO_TARGET_DIR=$work/plain-target wasm "$work/plain" -C target-feature=-simd128
wasm-opt "$work/plain/core.wat" "${features[@]}" -Oz --converge \
  --llvm-memory-copy-fill-lowering --llvm-nontrapping-fptoint-lowering --signext-lowering -o "$work/plain/low.wasm"
wasm2js "$work/plain/low.wasm" "${features[@]}" -Oz -o "$work/plain/core_asm.js"
cmp -s "$work/simd/core_bg.js" "$work/plain/core_bg.js" || { echo "the two cores want different glue" >&2; exit 1; }
esbuild --minify --format=esm "$work/plain/core_asm.js" --outfile="$out/core_asm.js" --log-level=error

cargo run --quiet -p comind --features contract --example contract -- "$out"
prettier --log-level warn --write "$out/types.d.ts" "$out/contract.js"
cp ../CHANGELOG.md .
