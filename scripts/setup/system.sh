# shellcheck shell=bash
# What comes from Debian: the parts base, chromium, firefox and lint.

# apt_install package…: with sudo when not root.
apt_install() {
  command -v apt-get >/dev/null || fail "Please install: $*. (There is no apt-get here to do it.)"
  step "apt-get install $*" install_or_refresh "$@"
}

# The list of packages may be absent or old: it is fetched when installing fails without.
install_or_refresh() {
  apt_get install --no-install-recommends "$@" || { apt_get update && apt_get install --no-install-recommends "$@"; }
}

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 "$@"; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    command -v sudo >/dev/null || fail "Please run as root: $*"
    sudo "$@"
  fi
}

# at_least 1.95 1.96.1: whether the second version is the first or later.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# Runs a command with the Node that the machine has, not the one that npm brings.
with_system_node() { PATH=${PATH#*"$COMIND_ROOT"/tests/node_modules/.bin:} "$@"; }
system_node() { with_system_node node --version 2>/dev/null; }

has_base() {
  local command
  for command in gcc curl flock npm python3; do
    command -v "$command" >/dev/null || return 1
  done
  at_least "v$MINIMUM_NODE" "$(system_node || echo v0)" || return 1
  python3 -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

add_base() {
  local packages=()
  command -v gcc >/dev/null || packages+=(gcc libc6-dev)
  command -v curl >/dev/null || packages+=(curl ca-certificates)
  command -v flock >/dev/null || packages+=(util-linux)
  python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3 python3-venv)
  { command -v node && command -v npm; } >/dev/null || packages+=(nodejs npm)
  [ ${#packages[@]} -eq 0 ] || apt_install "${packages[@]}"
  at_least "v$MINIMUM_NODE" "$(system_node || echo v0)" || fail "Node $MINIMUM_NODE or later is needed; this is $(system_node)."
  has_base || fail "Python 3.10 or later with its venv module is needed."
}

has_chromium() { command -v chromium >/dev/null; }
add_chromium() { apt_install chromium; }

has_firefox() { command -v firefox-esr >/dev/null; }
add_firefox() { apt_install firefox-esr; }

has_systemd() { command -v systemd-analyze >/dev/null; }
add_systemd() { apt_install systemd; }

has_lint() { command -v shellcheck >/dev/null; }
add_lint() { apt_install shellcheck; }
