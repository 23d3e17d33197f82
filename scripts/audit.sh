#!/usr/bin/env bash
# What comes from others: licences, sources, unwanted crates, advisories (cargo-deny), and npm's advisories.
#
# Where the data of known vulnerabilities cannot be fetched that is said, and nothing else is claimed.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$COMIND_ROOT"
passed=0 failed=0 log=$(mktemp)
trap 'rm -f "$log"' EXIT

# check "what it is" "what says that it could not be looked at" command…
check() {
  local what=$1 unreachable=$2
  shift 2
  if "$@" >"$log" 2>&1; then
    passed=$((passed + 1))
    echo "$what: ok"
  elif [ -n "$unreachable" ] && grep -qE "$unreachable" "$log"; then
    echo "$what: NOT LOOKED AT, the data cannot be reached from here"
  else
    failed=$((failed + 1))
    echo "$what: FAILED"
    tail -n 40 "$log"
  fi
}

deny() { "$CARGO_DENY_BIN" --config scripts/deny.toml check "$@"; }

for what in licenses bans sources; do check "crates, $what" "" deny "$what"; done
check "crates, advisories" "failed to fetch advisory database|failed to acquire|unable to fetch|git operation" deny advisories
for folder in tests www docs bench; do
  check "npm, $folder" "audit endpoint returned an error|ENOTFOUND|ECONNREFUSED" npm audit --prefix "$folder" --audit-level=high
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
