#!/usr/bin/env bash
# A Rust toolchain with a wasm32 target out of Debian's packages, for machines where rustup cannot
# download one: rustc and cargo from `rustc-web`, the target's std built once from `rust-web-src`.
# rustup, where there is one, then knows it as the toolchain `comind-wasm`.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../env.sh"
# shellcheck source=scripts/setup/progress.sh
source "$COMIND_ROOT/scripts/setup/progress.sh"
# shellcheck source=scripts/setup/system.sh
source "$COMIND_ROOT/scripts/setup/system.sh"
unset RUSTUP_TOOLCHAIN

target=wasm32-unknown-unknown
library=/usr/lib/rustlib/$target/lib

if ! [ -x /usr/bin/rustc ] || ! [ -d /usr/lib/rustlib/src/rust/library/core ] || ! [ -x /usr/bin/cargo-clippy ]; then
  apt_install rustc-web cargo-web rust-web-src rust-web-llvm rust-web-clippy rustfmt-web lld-22
fi

build_std() {
  local folder
  folder=$(mktemp -d)
  mkdir "$folder/src"
  printf '[package]\nname = "empty"\nversion = "0.0.0"\nedition = "2021"\n[profile.release]\npanic = "abort"\n' >"$folder/Cargo.toml"
  printf '#![no_std]\n' >"$folder/src/lib.rs"
  # -Cembed-bitcode: without it the users of this std could not be linked with LTO.
  (cd "$folder" && PATH=/usr/bin:$PATH RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes \
    /usr/bin/cargo build --release --target "$target" -Zbuild-std=std,panic_abort,panic_unwind,proc_macro,test)
  rm -f "$folder/target/$target/release/deps/"libempty-*
  as_root mkdir -p "$library"
  as_root cp "$folder/target/$target/release/deps/"*.rlib "$library/"
  rm -rf "$folder"
}
[ -n "$(find "$library" -name 'libcore-*.rlib' 2>/dev/null)" ] || step "std for $target (a minute, once)" build_std

if command -v rustup >/dev/null; then
  rustup toolchain link comind-wasm /usr
fi
