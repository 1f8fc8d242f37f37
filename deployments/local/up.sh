#!/usr/bin/env bash
# up.sh : issuer and edge as two processes with a real redis-server between them and two services behind.
# Everything is on loopback; secrets and data are made in run/ beside this file. Ctrl-C stops all that it has started.
set -euo pipefail
cd "$(dirname "$0")"
bin=$(realpath "${COATCHECK:-../../bin/coatcheck}")
[ -x "$bin" ] || { echo "up: $bin is missing: run 'make build' first" >&2; exit 69; }
command -v redis-server >/dev/null || { echo "up: redis-server is missing: run 'make setup' first" >&2; exit 69; }

mkdir -p run
(umask 077; for f in kek stamp; do [ -s "run/$f" ] || head -c 32 /dev/urandom | base64 > "run/$f"; done
  for f in partner_shop admin; do [ -s "run/$f" ] || openssl rand -hex 32 > "run/$f"; done)

# free PORT : 127.0.0.1 and that port, or the next one on which nobody listens.
free() { local p=$1; while (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null; do p=$((p + 10)); done; echo "127.0.0.1:$p"; }
EDGE=$(free 8090) ISSUER=$(free 8091) ORDERS=$(free 8094) BILLING=$(free 8095) REDIS=$(free 6399)
ISSUER_METRICS=$(free 8092) EDGE_METRICS=$(free 8093) ADMIN=$(free 8096)

pids=()
stop() { kill "${pids[@]}" 2>/dev/null || true; wait; }
trap stop EXIT
trap 'exit 0' INT TERM
start() { local name=$1; shift; "$@" >"run/$name.log" 2>&1 & pids+=($!); }
wait_for() {
  for _ in $(seq 100); do
    for p in "${pids[@]}"; do kill -0 "$p" 2>/dev/null || break 2; done # one that has died will not get ready
    curl -fsS "$1" >/dev/null 2>&1 && return
    sleep 0.1
  done
  echo "up: $1 is not ready; it says:" >&2; curl -sS "$1" >&2 || true; tail -n 5 run/*.log >&2; exit 69
}

data=$PWD/run/redis-${REDIS#*:}; mkdir -p "$data" # one for each port: two servers must not share a log
redis=(redis-server --port "${REDIS#*:}" --bind 127.0.0.1 --dir "$data" --appendonly yes --maxmemory-policy noeviction)
at=(env EDGE="$EDGE" ISSUER="$ISSUER" REDIS="$REDIS" ORDERS="$ORDERS" BILLING="$BILLING" ADMIN="$ADMIN")
issuer=("${at[@]}" METRICS="$ISSUER_METRICS" "$bin" run -c "$PWD/coatcheck.yaml" --role issuer)
edge=("${at[@]}" METRICS="$EDGE_METRICS" "$bin" run -c "$PWD/coatcheck.yaml" --role gateway)
paste() { printf '%q ' "$@"; } # so that a shell reads it as it was
start redis "${redis[@]}"
start issuer "${issuer[@]}"
start edge "${edge[@]}"
start orders "$bin" demo-service --name orders --audience orders-api --issuer "http://$ISSUER" --listen "$ORDERS"
start billing "$bin" demo-service --name billing --audience billing-api --issuer "http://$ISSUER" --listen "$BILLING"
wait_for "http://$ISSUER_METRICS/readyz"
wait_for "http://$EDGE_METRICS/readyz"

cat <<LINES
ready: issuer (pid ${pids[1]}), edge (pid ${pids[2]}), Redis (pid ${pids[0]}); logs in deployments/local/run

  REFERENCE=\$(curl -s -u "partner-shop:$(cat run/partner_shop)" -d grant_type=client_credentials http://$ISSUER/oauth2/token | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  echo "\$REFERENCE"
  curl -s -H "Authorization: Bearer \$REFERENCE" http://$EDGE/orders/42
  curl -s -H "Authorization: Bearer \$REFERENCE" http://$EDGE/invoices/7
  echo "\$REFERENCE" | $bin token revoke --reference-file - --admin http://$ADMIN --admin-token-file $PWD/run/admin
  curl -s -H "Authorization: Bearer \$REFERENCE" http://$EDGE/orders/42

Break it on purpose, one at a time, and start it again in a terminal of its own:

  kill -9 ${pids[2]}    # the edge
  $(paste "${edge[@]}")

  kill ${pids[1]}    # the issuer
  $(paste "${issuer[@]}")

  kill ${pids[0]}    # Redis
  $(paste "${redis[@]}")

Ctrl-C stops what this script has started. What you have started again yourself ends with Ctrl-C in its terminal.
LINES
wait
