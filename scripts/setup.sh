#!/usr/bin/env bash
# Makes this machine ready: `scripts/setup.sh [part…]`, all parts when none is named.
#
# Each part is done once: what is slow is kept in $COMIND_CACHE (~/.cache/comind-edge), by version. A part
# that is ready prints nothing, so that every job can ask for what it needs, every time.
#
#   base      compiler, Node, Python: checked, or installed by apt where missing
#   wasm      Rust's wasm32 target                     no-std    its thumbv7em target
#   tools     wasm-bindgen, worker-build, wasm-pack    npm       workerd, esbuild, binaryen, …
#   model     llama.cpp's server and a small model     openai    Python: the official client, PyJWT
#   chromium  the browser of the console's tests       lint      shellcheck
#   firefox   the package's other browser              bench     what the benchmarks compare with
#   docs      typedoc                                  deny      cargo-deny
#   schemathesis  the judge of openapi.json            systemd   systemd-analyze
#
# And only where named, for `make test-backends`, `make bench` and `make fuzz`:
#
#   minilm    an embedding model                       ollama    Ollama's server
#   vllm      vLLM for CPU, 6 GB                       litellm   LiteLLM's proxy
#   fuzz      cargo-fuzz and a nightly compiler
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
# shellcheck source=scripts/setup/progress.sh
source "$COMIND_ROOT/scripts/setup/progress.sh"
# shellcheck source=scripts/setup/system.sh
source "$COMIND_ROOT/scripts/setup/system.sh"
# shellcheck source=scripts/setup/rust.sh
source "$COMIND_ROOT/scripts/setup/rust.sh"
# shellcheck source=scripts/setup/packages.sh
source "$COMIND_ROOT/scripts/setup/packages.sh"
# shellcheck source=scripts/setup/backends.sh
source "$COMIND_ROOT/scripts/setup/backends.sh"

all_parts=(base wasm no-std tools npm model openai chromium firefox lint bench docs deny schemathesis systemd)
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=("${all_parts[@]}")

missing=()
for part in "${parts[@]}"; do
  declare -F "has_$part" >/dev/null || fail "There is no part '$part'. Parts: ${all_parts[*]}."
  "has_$part" || missing+=("$part")
done
[ ${#missing[@]} -gt 0 ] || exit 0

# Two jobs at once would both build: the second waits, then finds it done.
mkdir -p "$COMIND_CACHE"
exec 9>"$COMIND_CACHE/lock"
if ! flock -n 9; then
  say "another set-up is at work: waiting for it"
  flock 9
fi
number=0
for part in "${missing[@]}"; do
  number=$((number + 1))
  if "has_$part"; then continue; fi
  progress_of "$number" "${#missing[@]}"
  "add_$part"
  "has_$part" || fail "'$part' is still not ready after its set-up."
done
