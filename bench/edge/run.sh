#!/usr/bin/env bash
# The edge beside a worker that only forwards, Portkey's gateway and LiteLLM's proxy. Prints Markdown; the same figures
# as JSON: target/bench/edge.json. ROUNDS=3 SECONDS_EACH=1.5 EDGE_PARTS="plain stream".
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/env.sh"
cd "$COMIND_ROOT"
target=${CARGO_TARGET_DIR:-$COMIND_ROOT/target}
mkdir -p "$target/bench"
CARGO_TARGET_DIR=$target/bench-load cargo build --quiet --release --manifest-path bench/edge/load/Cargo.toml
node bench/edge/run.mjs "$target/bench-load/release/load" "$target/bench/edge.json" \
  "${ROUNDS:-3}" "${SECONDS_EACH:-1.5}" "${EDGE_PARTS:-plain stream}"
