#!/usr/bin/env bash
# Proves two promises of the core: it needs no std, and it names no clock, dice, I/O or JavaScript.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$COMIND_ROOT"
target=thumbv7em-none-eabi

# Outside tests: everything after a file's `#[cfg(test)]`, and files named tests.rs, are theirs.
names='std::|extern crate std|rand::|rand_core|getrandom|js_sys|web_sys|wasm_bindgen|gloo|tokio|Instant|SystemTime|println!|print!'
# shellcheck disable=SC2016 # awk's own variables
outside_tests='
  FNR == 1 { test = 0 }
  /#\[cfg\(test\)\]/ { test = 1 }
  !test && $0 !~ /^[[:space:]]*\/\// && $0 ~ "(^|[^A-Za-z0-9_])(" names ")" { print FILENAME ":" FNR ": " $0 }
'
found=$(find src -name '*.rs' -not -name tests.rs -not -path '*/tests/*' | LC_ALL=C sort \
  | xargs awk -v names="$names" "$outside_tests")
if [ -n "$found" ]; then
  echo "The core names a clock, dice, I/O or JavaScript:"
  echo "$found"
  exit 1
fi

if [ -n "$(find "$(rustc --print target-libdir --target "$target")" -name 'libcore-*.rlib' 2>/dev/null)" ]; then
  cargo build --quiet -p comind --target "$target"
else
  # No ready-made core for it here: built from its source, which stable compilers do for RUSTC_BOOTSTRAP.
  RUSTC_BOOTSTRAP=1 cargo build --quiet -p comind --target "$target" -Zbuild-std=core,alloc
fi
echo "2 passed, 0 failed"
