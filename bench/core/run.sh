#!/usr/bin/env bash
# What the core's own work costs, natively and in wasm, beside other crates. Prints Markdown; the same figures as JSON:
# target/bench/core.json. ROUNDS=7.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/env.sh"
cd "$COMIND_ROOT/bench/core"
target=${CARGO_TARGET_DIR:-$COMIND_ROOT/target}
folder=$target/bench/core
mkdir -p "$folder"
export CARGO_TARGET_DIR=$target/bench-core
cargo build --quiet --release
cargo build --quiet --release --lib --target wasm32-unknown-unknown
# As worker-build does, with the options that the edge gives it.
read -ra options <<<"$(sed -nE 's/^wasm-opt = \[(.*)\]$/\1/p' "$COMIND_ROOT/worker/Cargo.toml" | tr -d '",')"
wasm-opt "${options[@]}" "$CARGO_TARGET_DIR/wasm32-unknown-unknown/release/bench_core.wasm" -o "$folder/core.wasm"
node run.mjs "$CARGO_TARGET_DIR/release/bench-core" "$folder" "$target/bench/core.json" "${ROUNDS:-7}"
