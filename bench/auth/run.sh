#!/usr/bin/env bash
# What it costs to check a credential: builds the core's checks as the edge is built, runs them beside other
# libraries, prints Markdown. The same figures as JSON: target/bench/auth.json.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/env.sh"
cd "$COMIND_ROOT"

target=${CARGO_TARGET_DIR:-$COMIND_ROOT/target}
module=$target/bench/auth.wasm
mkdir -p "$target/bench"
# .cargo/config.toml adds simd128, as for the edge.
cargo build --quiet --release -p comind --example bench_auth --target wasm32-unknown-unknown
# As worker-build does, with the options that the edge gives it.
read -ra options <<<"$(sed -nE 's/^wasm-opt = \[(.*)\]$/\1/p' worker/Cargo.toml | tr -d '",')"
wasm-opt "${options[@]}" "$target/wasm32-unknown-unknown/release/examples/bench_auth.wasm" -o "$module"
node bench/auth/run.mjs "$module" "$target/bench/auth.json"
