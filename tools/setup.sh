#!/usr/bin/env bash
# setup.sh COMMAND... : see that each command (or python3-MODULE) is there; install the Debian, Fedora, Alpine or Homebrew package of
# that name when it is not. What cannot be installed is a failure that names the remedy, never a skip.
set -euo pipefail

# have: a command, or a module of the system's Python (python3-NAME).
have() {
  case $1 in
    python3-*) /usr/bin/python3 -c "import ${1#python3-}" 2>/dev/null ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

need=()
for c in "$@"; do have "$c" || need+=("$c"); done
[ ${#need[@]} -eq 0 ] && exit 0

root=()
if [ "$(id -u)" -ne 0 ]; then root=(sudo); fi
remedy() { echo "setup: ${need[*]} is missing and could not be installed: $1" >&2; exit 69; }

echo "setup: installing ${need[*]} (needed by the tests)" >&2
if command -v apt-get >/dev/null; then
  "${root[@]}" apt-get update -qq || remedy "run 'apt-get update' and 'apt-get install ${need[*]}' yourself"
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null ||
    remedy "run 'apt-get install ${need[*]}' yourself"
elif command -v dnf >/dev/null; then
  "${root[@]}" dnf install -y -q "${need[@]/redis-server/redis}" || remedy "run 'dnf install redis' yourself"
elif command -v apk >/dev/null; then
  "${root[@]}" apk add -q "${need[@]/redis-server/redis}" || remedy "run 'apk add redis' yourself"
elif command -v brew >/dev/null; then
  brew install -q "${need[@]/redis-server/redis}" || remedy "run 'brew install redis' yourself"
else
  remedy "install it with your system's package manager, then try again"
fi
for c in "${need[@]}"; do have "$c" || remedy "the package was installed, but there is no command '$c'"; done
