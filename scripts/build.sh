#!/usr/bin/env bash
# Builds what is out of date: `scripts/build.sh [--force] [edge] [pkg] [www]`, all three when none is named.
#
# A part is out of date when the content of what it is made from has changed since it was built here; a
# changed clock or a new checkout does not matter. The size of what is built is printed, and held to its budget.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
# shellcheck source=scripts/setup/progress.sh
source "$COMIND_ROOT/scripts/setup/progress.sh"
cd "$COMIND_ROOT"
export progress_prefix=build
stamps=target/stamps

core="Cargo.toml Cargo.lock .cargo src scripts/build.sh scripts/versions scripts/env.sh tests/package-lock.json"
declare -A inputs output
inputs[edge]="$core worker/Cargo.toml worker/src worker/openapi.json"
inputs[pkg]="$core pkg/Cargo.toml pkg/src pkg/contract.rs pkg/build.sh CHANGELOG.md"
inputs[www]="${inputs[pkg]} pkg www/src www/styles www/_headers www/build.mjs www/index.html www/favicon.svg www/package-lock.json"
output[edge]=worker/build/index.js
output[pkg]=pkg/wasm/core_bg.wasm
output[www]=www/dist/index.html

# worker-build keeps the names of all functions in the wasm: a tenth of what a cold start reads.
build_edge() {
  (cd worker && worker-build --release)
  wasm-opt --strip-debug worker/build/index_bg.wasm -o worker/build/index_bg.wasm
}
build_pkg() { pkg/build.sh; }
build_www() { node www/build.mjs; }

# Each fails over its budget; www/build.mjs holds the page to its own.
size_edge() { node scripts/sizes.mjs; }
size_pkg() { node pkg/sizes.mjs 35000; }
size_www() { :; }

# The hash of names and contents of all files in these places; a place that is not there counts as empty.
hash_of() {
  find "$@" -type f -not -name '*.tgz' 2>/dev/null | LC_ALL=C sort | xargs -r sha256sum | sha256sum | cut -d ' ' -f 1
}

force=false
parts=()
for argument in "$@"; do
  case $argument in
    --force) force=true ;;
    edge | pkg | www) parts+=("$argument") ;;
    *) fail "usage: scripts/build.sh [--force] [edge] [pkg] [www]" ;;
  esac
done
[ ${#parts[@]} -gt 0 ] || parts=(edge pkg www)

mkdir -p "$stamps"
# Two jobs at once would write the same files.
exec 9>"$stamps/lock"
flock 9
for part in "${parts[@]}"; do
  # shellcheck disable=SC2086 # a list of words
  hash=$(hash_of ${inputs[$part]})
  if $force || [ ! -e "${output[$part]}" ] || [ "$hash" != "$(cat "$stamps/$part" 2>/dev/null)" ]; then
    step "$part" "build_$part"
    "size_$part"
    echo "$hash" >"$stamps/$part"
  fi
done
