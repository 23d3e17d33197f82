#!/usr/bin/env bash
# Builds the npm package: wasm and glue into pkg/wasm/, ready for `npm pack`. Prints sizes; fails over the budget.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=../scripts/env.sh disable=SC1091
. ../scripts/env.sh

BUDGET_BYTES=60000 # wasm + JavaScript, gzipped: what a page loads

# The folders of this machine are nobody's business, and would make two builds differ.
export RUSTFLAGS="-C target-feature=+simd128"
RUSTFLAGS+=" --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src= --remap-path-prefix=$COMIND_ROOT="

wasm-pack --quiet build . --target web --profile client --mode no-install \
  --no-pack --no-typescript --no-gitignore --out-dir wasm --out-name core

node sizes.mjs "$BUDGET_BYTES"
