#!/usr/bin/env bash
# Install the peers of other languages, then run all of them against bin/coatcheck.
set -euo pipefail
cd "$(dirname "$0")"
command -v node >/dev/null && command -v npm >/dev/null || ../setup.sh nodejs npm
../setup.sh redis-server jose python3-jwt
if [ ! node/node_modules/.package-lock.json -nt node/package-lock.json ]; then
  (cd node && npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --silent) ||
    { echo "interop: npm ci failed in tools/interop/node: the registry must be reachable once, or its packages in npm's cache" >&2; exit 69; }
fi
exec "${GO:-go}" test -tags nomsgpack -count=1 -timeout 3m . "$@"
