#!/usr/bin/env bash
# What a request costs as the edge grows: users, backends, models, bodies, open streams. Prints Markdown; the same
# figures as JSON: target/bench/scale.json. ROUNDS=3 SECONDS_EACH=1.5.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/env.sh"
cd "$COMIND_ROOT"
target=${CARGO_TARGET_DIR:-$COMIND_ROOT/target}
mkdir -p "$target/bench"
CARGO_TARGET_DIR=$target/bench-load cargo build --quiet --release --manifest-path bench/edge/load/Cargo.toml
node bench/scale/run.mjs "$target/bench-load/release/load" "$target/bench/scale.json" "${ROUNDS:-3}" "${SECONDS_EACH:-1.5}"
