#!/bin/sh
# Checks the model: the protocol must hold, each variant without one of its safeguards must be caught, and what the
# promise forbids after the answer must be possible before it. Fails on any surprise.
#
#   check.sh          everything; two minutes on two idle cores
#   check.sh short    what CI runs; half a minute
#   check.sh NAME     one row, and how it came to that: the steps of the counterexample
#
# Needs spin and gcc. At most 6 GB of memory and 5 minutes for one row.
set -eu
cd "$(dirname "$0")"
model=$PWD/revocation.pml
mode=${1:-all}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
memory=6000 limit=300 jobs=${JOBS:-2}

# size | name | definitions | verdict expected
# holds: no state breaks the promise. breaks: some state does. seen: the witness can be reached. never: it can not.
rows() {
  grep -v '^#' table.txt | sed 's/ *| */|/g'
}

# one row: spin makes a program of the model, and that visits every state. A counterexample is the shortest there is.
check() {
  IFS='|' read -r size name defines expected <<-ROW
	$1
	ROW
  dir=$work/$name
  mkdir "$dir"
  cd "$dir"
  search=-DBFS
  [ "$expected" != holds ] && [ "$expected" != never ] || search=
  # shellcheck disable=SC2086 # the definitions are words
  spin -a $defines "$model" >spin.log 2>&1 || { cat spin.log; exit 1; }
  gcc -O1 -w -DSAFETY -DMEMLIM=$memory $search -o pan pan.c
  timeout $limit ./pan -E -m1000000 >pan.log 2>&1 || true
  verdict=unknown
  if grep -q 'assertion violated (call<' pan.log; then
    verdict=breaks
  elif grep -q 'assertion violated .*WITNESS\|assertion violated .*!' pan.log; then
    verdict=seen
  elif grep -q 'errors: 0' pan.log && ! grep -Eq 'max search depth|Search not completed' pan.log; then
    verdict=holds
  fi
  [ "$expected,$verdict" != never,holds ] || verdict=never
  states=$(awk '/states, stored/ {print $1}' pan.log)
  steps=$([ ! -f revocation.pml.trail ] || wc -l <revocation.pml.trail)
  mark=$([ "$verdict" = "$expected" ] || echo "  <-- expected: $expected")
  printf '%-26s %10s %6s  %-7s%s\n' "$name" "${states:-?}" "${steps:--}" "$verdict" "$mark" | tee result
  [ -z "$mark" ] || cp pan.log "$work/$name.surprise"
}

if [ "$mode" != all ] && [ "$mode" != short ]; then
  row=$(rows | grep "^[a-z]*|$mode|") || { echo "no row $mode in table.txt" >&2; exit 2; }
  (check "$row")
  cd "$work/$mode"
  # shellcheck disable=SC2086
  [ ! -f revocation.pml.trail ] || spin -k revocation.pml.trail -p -g $(echo "$row" | cut -d'|' -f3) "$model" || true
  exit
fi

printf '%-26s %10s %6s  %s\n' row states steps verdict
running=0
rows >"$work/rows"
while read -r row; do
  case $mode,$row in short,short* | all,*) ;; *) continue ;; esac
  (check "$row") &
  running=$((running + 1))
  [ $running -lt "$jobs" ] || { wait; running=0; }
done <"$work/rows"
wait
surprises=0
for row in "$work"/*/; do
  [ -s "$row/result" ] && ! grep -q expected "$row/result" || surprises=$((surprises + 1))
done
if [ "$surprises" -gt 0 ]; then
  echo "$surprises of the rows did not come out as expected; one row alone, with its steps: check.sh NAME" >&2
  exit 1
fi
