#!/usr/bin/env bash
# quickstart.sh : do what the README says, in its order, and look whether it happens: start the demonstration, paste
# the lines that it prints, call through it; then issuer and edge as two processes with a real Redis between them.
set -euo pipefail
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
group=
stop() { # what launch started, all of it
  [ -n "$group" ] || return 0
  kill -TERM -- "-$group" 2>/dev/null || true
  wait "$group" 2>/dev/null || true # it ends by a signal
  group=
}
trap 'stop; rm -rf "$tmp"' EXIT
fail() { echo "quickstart: $*" >&2; tail -n 40 "$tmp"/*.log "$tmp"/answers 2>/dev/null >&2; exit 1; }

# block NAME prints the shell block that follows <!-- quickstart: NAME --> in the README.
block() { awk -v mark="<!-- quickstart: $1 -->" '$0==mark {seen=1; next} seen && /^```sh/ {on=1; next} on && /^```/ {exit} on' README.md; }

# launch NAME MARK starts a block of the README in a process group of its own and waits until it prints MARK.
launch() {
  : >"$tmp/$1.log"
  set -m
  bash -c "$(block "$1")" >"$tmp/$1.log" 2>&1 &
  group=$!
  set +m
  for _ in $(seq 600); do
    grep -q "$2" "$tmp/$1.log" && return
    kill -0 "$group" 2>/dev/null || fail "'$(block "$1")' ended early"
    sleep 0.1
  done
  fail "'$(block "$1")' did not print '$2' within a minute"
}

expect() { grep -q "$1" "$tmp/answers" || fail "the pasted lines did not show $1"; }
refuse() { ! grep -q "$1" "$tmp/answers" || fail "the pasted lines showed $1"; }

make --no-print-directory build setup
export PATH="$PWD/bin:$PATH"

echo "quickstart: $(block run)"
launch run 'Ctrl-C'
sed -n "/^: '1\./,/Ctrl-C/p" "$tmp/run.log" | grep -v Ctrl-C > "$tmp/paste"
bash -euo pipefail "$tmp/paste" > "$tmp/answers" 2>&1 || fail "a pasted line failed"
expect '"service": "orders"'
expect '"orders-api"'
expect '"service": "billing"'
expect '"billing-api"'
expect '"code":"invalid_token"' # the jti presented as a reference
expect 'revoked token'
tail -n 1 "$tmp/answers" | grep -q '"status":401' || fail "the revoked reference was not refused"
refuse 'eyJ'                    # a JWT, anywhere in what the client saw
echo "quickstart: $(block call)"
bash -c "$(block call)" > "$tmp/answers" 2>&1 || fail "the call failed"
expect 'orders-api'
echo "quickstart: $(block revoke)"
edge=$(awk '$1 == "edge" {print $2; exit}' "$tmp/run.log") # another port than the README's when that one is taken
{ grep '^REFERENCE=' "$tmp/paste"; block revoke | sed "s|http://127.0.0.1:8080|$edge|"; } > "$tmp/again"
bash -euo pipefail "$tmp/again" > "$tmp/answers" 2>&1 || fail "the revocation failed"
expect 'revoked all of client demo-shop'
tail -n 1 "$tmp/answers" | grep -q '"status":401' || fail "the reference of a revoked client was not refused"
stop

echo "quickstart: check"
bash -c "$(block check)" > "$tmp/answers" 2>&1 || fail "the sample does not load"

echo "quickstart: $(block local)"
launch local 'Ctrl-C stops'
sed -n '/^  REFERENCE=/,/^$/s/^  //p' "$tmp/local.log" > "$tmp/paste"
bash -euo pipefail "$tmp/paste" > "$tmp/answers" 2>&1 || fail "a pasted line failed"
expect '"orders-api"'
expect '"billing-api"'
expect 'revoked token'
tail -n 1 "$tmp/answers" | grep -q '"status":401' || fail "the revoked reference was not refused"
refuse 'eyJ'
stop
echo "quickstart: the README's commands work"
