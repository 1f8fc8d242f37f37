#!/usr/bin/env bash
# fuzz.sh TIME : run every fuzz target of the module for TIME, one after another. Reads GO and TAGS.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:?usage: fuzz.sh TIME, for example 10s}
ran=0
while IFS=: read -r file target; do
  echo "fuzz $target ($file)"
  ${GO:-go} test ${TAGS:-} -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$(dirname "$file")"
  ran=$((ran + 1))
done < <(git grep -hoE --full-name -H '^func (Fuzz[A-Za-z0-9_]+)' -- '*_test.go' | sed 's/func //')
[ "$ran" -gt 0 ] || { echo "fuzz: no target found" >&2; exit 1; }
echo "$ran fuzz targets ran for $time each"
