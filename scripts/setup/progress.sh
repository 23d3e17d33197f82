# shellcheck shell=bash
# What a waiting person sees: one line a step, with its seconds.

progress_prefix=setup

say() { echo "[$progress_prefix] $*"; }

fail() {
  echo "[setup] $*" >&2
  exit 1
}

# progress_of 2 5: the following steps belong to part 2 of 5.
progress_of() { progress_prefix="setup $1/$2"; }

# step "what it does" command…: runs it quietly; its output is shown if it fails.
# On a terminal the line is alive; elsewhere one line every 20 s says how far it is.
step() {
  local label=$1 log start=$SECONDS shown=0 status=0
  shift
  log=$(mktemp)
  # A process group of its own, so that Ctrl-C can end all of it: bash's background jobs ignore SIGINT.
  set -m
  "$@" >"$log" 2>&1 </dev/null 9>&- &
  step_pid=$!
  set +m
  trap 'kill -TERM -- "-$step_pid" 2>/dev/null; exit 130' INT TERM
  [ -t 1 ] || say "$label …"
  while kill -0 "$step_pid" 2>/dev/null; do
    sleep 0.2
    if [ -t 1 ]; then
      printf '\r\033[K[%s] %s … %d s  %.60s' "$progress_prefix" "$label" $((SECONDS - start)) "$(tail -n 1 "$log")"
    elif [ $((SECONDS - start - shown)) -ge 20 ]; then
      shown=$((SECONDS - start))
      say "$label … $shown s  $(tail -n 1 "$log" | cut -c 1-60)"
    fi
  done
  wait "$step_pid" || status=$?
  trap - INT TERM
  [ ! -t 1 ] || printf '\r\033[K'
  if [ "$status" -ne 0 ]; then
    cat "$log" >&2
    rm -f "$log"
    say "$label: failed after $((SECONDS - start)) s" >&2
    return "$status"
  fi
  rm -f "$log"
  say "$label: $((SECONDS - start)) s"
}
