#!/bin/sh
# run.sh [TIER|TIER/PART ...]: runs the tests in dist/test and ends with one line, `N passed, N failed, N skipped`.
#
# Tiers: unit, integration and kubernetes (no root), kernel and netns (root).  TIER/PART runs the files of a tier whose path contains
# PART.  The root tiers change the machine, so only one such run goes on at a time, one file after the other, and what a
# test leaves behind is shown, removed and counted as a failure.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
FILE_TIMEOUT_MS=${PODWIRE_TEST_FILE_MS:-300000}
RUN_SECONDS=${PODWIRE_TEST_RUN_SECONDS:-2700}
REPORTER=./dist/test/support/count-reporter.js

is_root() { [ "$(id -u)" = 0 ]; }
now() { date +%s; }
count() { grep -c "^$1 " "$work/counts" || true; }

[ -e $REPORTER ] || {
  echo "run.sh: nothing is built: npm run build" >&2
  exit 2
}
[ $# -gt 0 ] || set -- unit integration kubernetes kernel netns
for arg in "$@"; do
  case ${arg%%/*} in unit | integration | kubernetes | kernel | netns) ;; *)
    echo "run.sh: no tier '${arg%%/*}': unit, integration, kubernetes, kernel, netns" >&2
    exit 2
    ;;
  esac
done

work=$(mktemp -d)
touch "$work/counts"
run=$$-$(now)
deadline=$(($(now) + RUN_SECONDS))
child=
stop() {
  [ -z "$child" ] || kill "$child" 2>/dev/null || true
  echo "fail interrupted" >>"$work/counts"
  deadline=0
}
trap 'rm -rf "$work"' EXIT
trap stop INT TERM HUP

# Files of TIER whose source is still there: tsc does not remove what it once wrote.
files_of() {
  tier=${1%%/*}
  part=${1#"$tier"}
  find "dist/test/$tier" -name '*.test.js' 2>/dev/null | sort | while read -r file; do
    source=${file#dist/}
    case $file in *"${part#/}"*) [ ! -e "${source%.js}.ts" ] || echo "$file" ;; esac
  done
}

# run_tier TIER CONCURRENCY FILE...
run_tier() {
  tier=$1
  concurrency=$2
  shift 2
  seconds=$((deadline - $(now)))
  if [ $seconds -le 0 ]; then
    echo "run.sh: no time left for $tier"
    echo "fail $tier: no time left" >>"$work/counts"
    return 0
  fi
  echo "run.sh: $tier, $# files"
  : >"$work/$tier"
  env -u NODE_TEST_CONTEXT PODWIRE_TEST_RUN="$run" timeout -k 20 $seconds \
    node --enable-source-maps --test --test-concurrency="$concurrency" --test-timeout="$FILE_TIMEOUT_MS" \
    --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=$REPORTER --test-reporter-destination="$work/$tier" "$@" </dev/null 9>&- &
  child=$!
  status=0
  wait $child || status=$?
  # A signal ends the first wait before the child has ended.
  if kill -0 $child 2>/dev/null; then wait $child || status=$?; fi
  child=
  cat "$work/$tier" >>"$work/counts"
  if [ $status = 124 ] || [ $status = 137 ]; then
    echo "run.sh: $tier did not end within $RUN_SECONDS s"
    echo "fail $tier: whole-run bound" >>"$work/counts"
  elif [ $status != 0 ] && ! grep -q '^fail ' "$work/$tier"; then
    echo "fail $tier: node ended with $status" >>"$work/counts"
  fi
}

# What root tests make, one `kind name` per line.  Only those two prefixes, podwire-test-* and podwire* pins are ours.
machine_state() {
  ip netns list | awk '$1 ~ /^pw[tb]-/ { print "netns", $1 }'
  ip -o link show | awk -F': ' '$2 ~ /^pw[tb]/ { sub(/@.*/, "", $2); print "link", $2 }'
  awk '$3 == "cgroup2" { print $2 }' /proc/mounts | while read -r root; do
    find "$root" -depth -type d -name 'podwire-test-*' 2>/dev/null
  done | sort -ru | sed 's/^/cgroup /'
  find /sys/fs/bpf -maxdepth 1 -name 'podwire*' | sort | sed 's/^/pin /'
}

# Processes of this run, known by a variable they inherited; nginx and Redis overwrite theirs, the namespaces have them.
stray_processes() {
  grep -lszx "PODWIRE_TEST_RUN=$run" /proc/[0-9]*/environ 2>/dev/null | while read -r file; do
    pid=${file#/proc/}
    echo "process ${pid%/environ}"
  done
}

# Names carry the pid of their maker; one that lives after the tests of this run have ended is not of this run.
is_of_another_run() {
  owner=$(echo "$1" | sed -n 's,^\(.*/\)*[a-z-]*-\([0-9][0-9]*\)-[^/]*$,\2,p')
  [ -n "$owner" ] && kill -0 "$owner" 2>/dev/null
}

leftovers() {
  machine_state >"$work/after"
  sort -u "$work/before" >"$work/known"
  grep -vxFf "$work/known" "$work/after" | while read -r kind name; do
    is_of_another_run "$name" || echo "$kind $name"
  done
  stray_processes
}

remove_leftover() {
  case $1 in
    process) kill -9 "$2" ;;
    netns)
      # shellcheck disable=SC2046
      kill -9 $(ip netns pids "$2") 2>/dev/null || true
      ip netns delete "$2"
      ;;
    link) ip link delete "$2" ;;
    cgroup)
      find "$2" -name cgroup.procs -exec cat {} + | while read -r pid; do kill -9 "$pid" || true; done
      sleep 0.2
      find "$2" -depth -type d -exec rmdir {} +
      ;;
    pin) rm -rf "$2" ;;
  esac 2>/dev/null || true
}

check_leftovers() {
  # A process that was told to end may need a moment.
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    left=$(leftovers)
    [ -n "$left" ] || return 0
    sleep 0.3
  done
  echo "run.sh: $1 left these behind (now removed):"
  echo "$left" | while read -r kind name; do
    case $kind in process) detail=$(tr '\0' ' ' <"/proc/$name/cmdline" 2>/dev/null || true) ;; *) detail= ;; esac
    echo "  $kind $name $detail"
    remove_leftover "$kind" "$name"
  done
  echo "fail $1: leftovers" >>"$work/counts"
}

# The root tiers of two runs would count each other's pods and connections.
lock_machine() {
  exec 9>/run/lock/podwire-test.lock
  if ! flock -n 9; then
    echo "run.sh: waiting for another run of the root tiers"
    flock -w "$RUN_SECONDS" 9 &
    child=$!
    wait $child || {
      echo "run.sh: gave up: the other run has not ended" >&2
      exit 1
    }
    child=
    deadline=$(($(now) + RUN_SECONDS))
  fi
  machine_state >"$work/before"
  if [ -s "$work/before" ]; then
    echo "run.sh: left alone, there before this run: $(tr '\n' ';' <"$work/before")"
  fi
}

unwanted_skips=
# File names have no blanks: $files is split into words on purpose.
# shellcheck disable=SC2086
for arg in "$@"; do
  tier=${arg%%/*}
  files=$(files_of "$arg")
  if [ -z "$files" ]; then
    echo "run.sh: $arg has no test files"
    continue
  fi
  case $tier in
    unit | integration) run_tier "$tier" "$(nproc)" $files ;;
    # Every file has an API server or two, which take a core each to start.
    kubernetes) run_tier "$tier" 1 $files ;;
    *)
      if ! is_root; then
        echo "run.sh: $tier SKIPPED: its $(echo "$files" | wc -l) files need root (sudo npm test)"
        echo "$files" | sed 's/^/skip /' | tee "$work/$tier" >>"$work/counts"
        [ -z "${CI:-}" ] || unwanted_skips="$unwanted_skips $tier"
        continue
      fi
      [ -e "$work/before" ] || lock_machine
      run_tier "$tier" 1 $files
      if grep '^skip ' "$work/$tier" >"$work/skips" 2>/dev/null; then
        sed "s/^skip/run.sh: $tier must not skip:/" "$work/skips"
        unwanted_skips="$unwanted_skips $tier"
      fi
      check_leftovers "$tier"
      ;;
  esac
done

[ -z "$unwanted_skips" ] || echo "run.sh: FAILED, because tests were skipped that CI and root must run:$unwanted_skips"
echo "$(count pass) passed, $(count fail) failed, $(count skip) skipped"
[ "$(count fail)" = 0 ] && [ "$(count pass)$(count skip)" != 00 ] && [ -z "$unwanted_skips" ]
