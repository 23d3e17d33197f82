#!/usr/bin/env bash
# `make run`: makes the machine ready, builds what is out of date, starts everything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

parts=(base wasm tools npm)
[ -n "${BACKENDS:-}" ] || parts+=(model)
scripts/setup.sh "${parts[@]}"
scripts/build.sh edge pkg www
# shellcheck source=scripts/env.sh
source scripts/env.sh
# In this shell's place: signals reach it, and its end is the job's end.
exec node scripts/run.mjs
