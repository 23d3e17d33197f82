# shellcheck shell=bash
# The environment of every job: `source scripts/env.sh`. Installs nothing (that is setup.sh) and
# prints nothing; sourcing it twice changes nothing.

COMIND_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
COMIND_CACHE=${COMIND_CACHE:-$HOME/.cache/comind-edge}
# shellcheck source=scripts/versions
source "$COMIND_ROOT/scripts/versions"

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) platform=x64 workerd_platform=linux-64 ;;
  Linux-aarch64 | Linux-arm64) platform=arm64 workerd_platform=linux-arm64 ;;
  *)
    echo "co-mind edge is built on Linux (x86_64 or aarch64); this is $(uname -sm). A Debian container does." >&2
    exit 1
    ;;
esac

modules=$COMIND_ROOT/tests/node_modules
tools=$COMIND_CACHE/tools

# worker-build and wasm-pack would download these; told where they are, they do not.
export WASM_BINDGEN_BIN=$tools/wasm-bindgen-cli-$WASM_BINDGEN_VERSION/bin/wasm-bindgen
export WORKER_BUILD_BIN=$tools/worker-build-$WORKER_BUILD_VERSION/bin/worker-build
export WASM_PACK_BIN=$tools/wasm-pack-$WASM_PACK_VERSION/bin/wasm-pack
export CARGO_FUZZ_BIN=$tools/cargo-fuzz-$CARGO_FUZZ_VERSION/bin/cargo-fuzz
export CARGO_DENY_BIN=$tools/cargo-deny-$CARGO_DENY_VERSION/bin/cargo-deny
export WASM_OPT_BIN=$modules/.bin/wasm-opt
# The packages' own programs, not their launchers, which npm's install scripts would have to finish.
export ESBUILD_BIN=$modules/@esbuild/linux-$platform/bin/esbuild
export WORKERD_BIN=$modules/@cloudflare/workerd-$workerd_platform/bin/workerd
export COMIND_ROOT COMIND_CACHE
export COMIND_MODEL=$COMIND_CACHE/model-$MODEL_PACKAGE_VERSION/smollm2-135m.gguf
export COMIND_PYTHON=$COMIND_CACHE/python-xllamacpp-$XLLAMACPP_VERSION/bin/python
export COMIND_MINILM=$COMIND_CACHE/minilm-$MINILM_VERSION/minilm.gguf
export COMIND_OLLAMA=$COMIND_CACHE/ollama-$OLLAMA_WHEEL_VERSION
export COMIND_VLLM=$COMIND_CACHE/vllm-$VLLM_VERSION
export COMIND_LITELLM=$COMIND_CACHE/python-litellm-$LITELLM_VERSION/bin/litellm
export COMIND_SCHEMATHESIS=$COMIND_CACHE/python-schemathesis-$SCHEMATHESIS_VERSION/bin/schemathesis
export COMIND_OPENAI_PYTHON=$COMIND_CACHE/python-openai-$OPENAI_PY_VERSION/bin/python
export WRANGLER_SEND_METRICS=false WRANGLER_HIDE_BANNER=true DO_NOT_TRACK=1

# npm's Node comes first: the system's may be too old for wrangler and vite.
comind_path=$modules/node-linux-$platform/bin:$modules/.bin
comind_path+=:${WASM_BINDGEN_BIN%/*}:${WORKER_BUILD_BIN%/*}:${WASM_PACK_BIN%/*}
case $PATH in
  "$comind_path":*) ;;
  *) export PATH=$comind_path:$PATH ;;
esac

# Where rustup could not fetch the wasm target, setup.sh linked Debian's toolchain under this name.
if [ -e "$COMIND_CACHE/wasm-toolchain-debian" ] || [ "${COMIND_WASM_TOOLCHAIN:-}" = debian ]; then
  export RUSTUP_TOOLCHAIN=comind-wasm
fi
unset platform workerd_platform modules tools comind_path
