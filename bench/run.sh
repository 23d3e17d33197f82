#!/usr/bin/env bash
# `make bench`: every benchmark, or those of PARTS="core auth edge scale client". Tables on stdout, the same figures as
# JSON in target/bench. ROUNDS= and SECONDS_EACH= make it longer or shorter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
parts=${PARTS:-core auth edge scale client}
for part in $parts; do
  [ -e "$part/run.sh" ] || {
    echo "There is no part '$part'. Parts: core auth edge scale client." >&2
    exit 1
  }
done
for part in $parts; do
  printf '## %s\n\n' "$part"
  "$part/run.sh"
  printf '\n'
done
