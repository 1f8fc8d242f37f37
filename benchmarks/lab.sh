#!/usr/bin/env bash
# lab.sh run [ROUNDS]   everything: install, up, measure interleaved, print and keep the table, down
# lab.sh up             start the upstream, Redis and the issuer on the load core; make the references
# lab.sh down           stop them, by the pids that up wrote
# All traffic stays on 127.0.0.1. Files are made in run/ (or $LAB_RUN). Needs two cores: the system under test on
# core 0, everything else on core 1.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
run=${LAB_RUN:-$here/run}
refs=${LAB_REFS_N:-10000}
load_core=${LAB_LOAD_CORE:-1}
mkdir -p "$run"
cd "$run"

install() {
  local missing=() p
  for p in wrk nginx libnginx-mod-http-ndk libnginx-mod-http-lua lua-resty-core lua-resty-lrucache redis-server python3; do
    dpkg -s "$p" >/dev/null 2>&1 || command -v "$p" >/dev/null || missing+=("$p")
  done
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || { echo "lab: needs ${missing[*]}; the lab knows only Debian's packages" >&2; exit 69; }
  echo "lab: installing ${missing[*]}" >&2
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

render() {
  ln -sfn "$(dirname "$(dpkg -L libnginx-mod-http-lua | grep '_lua_module\.so$')")" modules
  local body f
  body=$(python3 -c 'print(",".join("{\"id\":%d,\"sku\":\"SKU-%06d\",\"qty\":%d,\"price\":\"%d.00\",\"state\":\"shipped\"}"%(i,i*37,i,i*3) for i in range(1,16)))')
  for f in "$here"/conf/*.conf; do
    sed -e "s|@HERE@|$here|g; s|@RUN@|$run|g" -e "s|@BODY@|${body//&/\\&}|g" "$f" > "$(basename "$f")"
  done
  edge() { sed -e "s|@PORT@|$2|; s|@METRICS@|$3|" "$here/conf/coatcheck.yaml" > "$1"; }
  edge edge.yaml 8110 8130
  edge issuer.yaml 8112 8132
}

secrets() {
  umask 077
  for f in kek stamp lab-secret; do [ -s "$f" ] || head -c 32 /dev/urandom | base64 > "$f"; done
}

start() { # name command...
  local name=$1; shift
  [ -f "$name.pid.lab" ] && kill -0 "$(cat "$name.pid.lab")" 2>/dev/null && return
  setsid taskset -c "$load_core" "$@" >"$name.log" 2>&1 </dev/null &
  echo $! > "$name.pid.lab"
}

wait_for() { # what command...
  local what=$1 _; shift
  for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
  echo "lab: $what did not come up; see $run/*.log" >&2; exit 69
}

up() {
  install
  [ -x "$here/../bin/coatcheck" ] || { echo "lab: bin/coatcheck is missing: run 'make build' first" >&2; exit 69; }
  render
  secrets
  start upstream nginx -p "$run" -c "$run/upstream.conf"
  start redis redis-server --port 6390 --bind 127.0.0.1 --save '' --appendonly no --daemonize no --dir "$run"
  wait_for Redis redis-cli -p 6390 ping
  start issuer "$here/../bin/coatcheck" run -c "$run/issuer.yaml" --role issuer
  wait_for "the issuer" curl -fsS http://127.0.0.1:8132/readyz
  python3 "$here/gen_tokens.py" "$refs" "$run"
  redis-cli -p 6390 --pipe < load.resp | tail -1
  python3 "$here/mint.py" http://127.0.0.1:8120 lab-secret "$refs" coatcheck-refs.txt
}

down() {
  local f
  for f in *.pid.lab; do
    [ -f "$f" ] || continue
    kill "$(cat "$f")" 2>/dev/null || true
    rm -f "$f"
  done
}

case "${1:-}" in
up) up ;;
down) down ;;
run)
  trap down EXIT
  up
  rm -f results.jsonl
  python3 "$here/measure.py" matrix "$here/systems.json" --rounds "${2:-3}" --base nginx-lua-cache-10k | tee matrix.txt
  ;;
*) sed -n '2,7s/^# \?//p' "$0"; exit 64 ;;
esac
