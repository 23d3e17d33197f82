#!/usr/bin/env bash
# What reading a stream costs, in Node and Chromium, beside other packages; what a page loads. Prints Markdown; the
# same figures as JSON: target/bench/client.json. ROUNDS=5.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/env.sh"
cd "$COMIND_ROOT"
target=${CARGO_TARGET_DIR:-$COMIND_ROOT/target}
mkdir -p "$target/bench"
node bench/client/run.mjs "$target/bench/client.json" "${ROUNDS:-5}"
