# shellcheck shell=bash
# What comes from Rust: the parts wasm, no-std and tools.

has_target() { [ -n "$(find "$(rustc --print target-libdir --target "$1" 2>/dev/null)" -name 'libcore-*.rlib' 2>/dev/null)" ]; }

has_wasm() { at_least "$MINIMUM_RUST" "$(rust_version)" && has_target wasm32-unknown-unknown; }

rust_version() { rustc --version 2>/dev/null | cut -d ' ' -f 2 || true; }

add_wasm() {
  local version
  version=$(rust_version)
  if [ "${COMIND_WASM_TOOLCHAIN:-}" != debian ]; then
    if [ -n "$version" ] && ! at_least "$MINIMUM_RUST" "$version"; then
      fail "Rust $MINIMUM_RUST or later is needed; this is $version. \`rustup update stable\` brings it."
    fi
    if step "rustup target add wasm32-unknown-unknown" timeout 180 rustup target add wasm32-unknown-unknown; then
      return
    fi
    say "rustup could not fetch the target: Debian's toolchain instead"
  fi
  "$COMIND_ROOT/scripts/setup/debian-toolchain.sh"
  [ "${COMIND_WASM_TOOLCHAIN:-}" = debian ] || touch "$COMIND_CACHE/wasm-toolchain-debian"
  # From here on as every later job will see it.
  source "$COMIND_ROOT/scripts/env.sh"
}

# Without a ready-made core, its source does: scripts/no-std.sh builds it.
has_no-std() { has_target thumbv7em-none-eabi || has_library_source; }
has_library_source() { [ -d "$(rustc --print sysroot)/lib/rustlib/src/rust/library/core" ]; }
add_no-std() {
  step "rustup target add thumbv7em-none-eabi" timeout 180 rustup target add thumbv7em-none-eabi \
    || fail "The no_std check needs the target thumbv7em-none-eabi, or the library's source (rustup component add rust-src)."
}

tool_binaries() { echo "$WASM_BINDGEN_BIN" "$WORKER_BUILD_BIN" "$WASM_PACK_BIN"; }

has_tools() {
  local binary
  for binary in $(tool_binaries); do
    [ -x "$binary" ] || return 1
  done
}

add_tools() {
  cargo_tool wasm-bindgen-cli "$WASM_BINDGEN_VERSION" "$WASM_BINDGEN_BIN"
  cargo_tool worker-build "$WORKER_BUILD_VERSION" "$WORKER_BUILD_BIN"
  cargo_tool wasm-pack "$WASM_PACK_VERSION" "$WASM_PACK_BIN"
  rm -rf "$COMIND_CACHE/tools/build"
}

has_fuzz() { [ -x "$CARGO_FUZZ_BIN" ] && has_nightly; }
has_nightly() { rustup run nightly rustc --version >/dev/null 2>&1; }
add_fuzz() {
  has_nightly || step "rustup toolchain install nightly" timeout 600 rustup toolchain install --profile minimal nightly
  command -v g++ >/dev/null || apt_install g++
  cargo_tool cargo-fuzz "$CARGO_FUZZ_VERSION" "$CARGO_FUZZ_BIN"
}

has_deny() { [ -x "$CARGO_DENY_BIN" ]; }
add_deny() { cargo_tool cargo-deny "$CARGO_DENY_VERSION" "$CARGO_DENY_BIN"; }

# One build folder for all of them: they share most of their dependencies.
cargo_tool() {
  [ -x "$3" ] || step "cargo install $1 $2 (minutes, once)" cargo_install "$1" "$2"
}

# The tool's own lock file first. One that is newer than the registry's view is no use: then without.
cargo_install() {
  local arguments=(install --force --root "$COMIND_CACHE/tools/$1-$2" "$1@$2")
  export CARGO_TARGET_DIR=$COMIND_CACHE/tools/build
  # They run for seconds: a quick build of them is worth more than a quick tool.
  export CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG=0
  cd /
  cargo "${arguments[@]}" --locked || cargo "${arguments[@]}"
}
