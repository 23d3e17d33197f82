#!/usr/bin/env bash
# Formatting, lints and the repository's rules. All are run, however many fail.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
# shellcheck source=scripts/setup/progress.sh
source "$COMIND_ROOT/scripts/setup/progress.sh"
cd "$COMIND_ROOT"
export progress_prefix=lint
passed=0 failed=0

check() {
  if step "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

shell_scripts() { git ls-files '*.sh' .ci/run scripts/dist/comind-edge; }
wasm=wasm32-unknown-unknown

check "repository rules" scripts/rules.sh
check "rustfmt" cargo fmt --all --check
for crate in bench/core bench/edge/load tests/fuzz; do
  check "rustfmt, $crate" cargo fmt --check --manifest-path "$crate/Cargo.toml"
done
check "prettier" prettier --check --log-level warn .
# shellcheck disable=SC2046 # a list of words
check "shellcheck" shellcheck $(shell_scripts)
check "clippy, core" cargo clippy --quiet -p comind --all-targets --features contract -- -D warnings
check "clippy, edge" cargo clippy --quiet -p comind-edge --target $wasm -- -D warnings
check "clippy, edge's tests" cargo clippy --quiet -p comind-edge --all-targets -- -D warnings
check "clippy, client" cargo clippy --quiet -p comind-client --target $wasm -- -D warnings
check "rustdoc, core" env RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps -p comind

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
