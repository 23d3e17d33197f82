#!/usr/bin/env bash
# Runs test files with Node's own runner: `scripts/node-test.sh [--concurrency=N] FILE…`. None found is a failure.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$COMIND_ROOT"
concurrency=1
case ${1:-} in --concurrency=*) concurrency=${1#*=} && shift ;; esac
[ -e "${1:-}" ] || {
  echo "No test files: ${*:-none named}." >&2
  exit 1
}
# A failed test may leave a socket open or wait for ever: neither may hold up the rest.
exec node --test --test-reporter=spec --test-concurrency="$concurrency" \
  --test-force-exit --test-timeout=600000 "$@"
