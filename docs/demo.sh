#!/bin/sh
# demo.sh: the main job of dillipc, on real files: a daemon computes digests for several clients at once.
#
# Usage: sh docs/demo.sh [DIRECTORY]
#
# Installs what is missing, builds the library and the programs in docs/examples/, starts the daemon dill-digestd, and
# has several clients digest the files of DIRECTORY at the same time (this repository's files unless told otherwise).
# Most send the bytes of each file, one passes open descriptors.  Fails if sha256sum disagrees with a single digest, if
# the daemon's main loop was ever held up, or if the daemon does not end cleanly on SIGTERM.
#
# BUILD_ROOT in the environment says where to build: in $BUILD_ROOT/demo instead of build/demo in the repository.
#
# Relies on Linux, and on tests/tools/install-missing.sh, which installs on Debian and names the packages elsewhere.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

# The order of names and the way numbers are written shall not depend on the user's language.
LC_ALL=C
export LC_ALL

SENDING_CLIENTS=3
MAX_FILES=2000
MAX_MEBIBYTES=256

# The timer ticks every 10 ms.  On an idle machine the latest tick is 1 or 2 ms late; there is room for a busy one.
MAX_DELAY=500

# No step takes longer than this many seconds, whatever goes wrong.
STEP_LIMIT=120

source_root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
build=${BUILD_ROOT:-$source_root/build}/demo
mkdir -p "$build"
build=$(CDPATH='' cd -- "$build" && pwd -P)
examples=$build/docs/examples

scratch=
daemon=
clients=

newline='
'

say ()
{
  printf '%s\n' "$*"
}

fail ()
{
  printf 'demo.sh: FAILED: %s\n' "$*" >&2
  if [ -n "$scratch" ] && [ -s "$scratch/daemon.err" ]
  then
    say 'The daemon said:' >&2
    cat "$scratch/daemon.err" >&2
  fi
  exit 1
}

# Whatever happens, no process and no file stays behind.
clean_up ()
{
  trap '' INT TERM HUP
  for pid in $clients
  do
    kill -TERM "$pid" 2>/dev/null || :
  done
  if [ -n "$daemon" ]
  then
    kill -KILL "$daemon" 2>/dev/null || :
  fi
  wait
  if [ -n "$scratch" ]
  then
    rm -rf "$scratch"
  fi
}

# Runs a command whose output is of interest only if it fails.
quietly ()
{
  if ! "$@" >"$scratch/log" 2>&1 </dev/null
  then
    cat "$scratch/log" >&2
    fail "this command failed: $*"
  fi
}

### The programs

build_programs ()
{
  say "Building in $build ..."
  quietly meson setup "$build" "$source_root" -Dtests=false -Ddocs=disabled -Dexamples=true
  quietly meson compile -C "$build"
}

### The data

# Prints the files to digest, one a line.  Names with a newline in them are left to the tests.
find_files ()
{
  if [ "$(pwd -P)" = "$source_root" ]
  then
    find . \( -path './build*' -o -path ./.git \) -prune -o -type f ! -path "*$newline*" -print
  else
    find . -xdev -type f ! -path "*$newline*" -print
  fi
}

only_readable ()
{
  while IFS= read -r file
  do
    if [ -r "$file" ]
    then
      printf '%s\n' "$file"
    fi
  done
}

# Leaves in $scratch: "files", a name a line; "files0", the same with zero bytes; "amount": files, bytes, left out.
select_files ()
{
  find_files | only_readable | sort | tr '\n' '\0' >"$scratch/found0"
  xargs -0 -r stat -c '%s %n' <"$scratch/found0" >"$scratch/sizes" 2>/dev/null || : # some have vanished meanwhile

  awk -v max_files="$MAX_FILES" -v max_bytes="$((MAX_MEBIBYTES * 1024 * 1024))" -v amount="$scratch/amount" '
    n == max_files || bytes + $1 > max_bytes { left++; next }
    { n++; bytes += $1; sub (/^[0-9]+ /, ""); print }
    END { printf "%d %d %d\n", n, bytes, left > amount }
  ' "$scratch/sizes" >"$scratch/files"
  tr '\n' '\0' <"$scratch/files" >"$scratch/files0"

  read -r n_files n_bytes n_left <"$scratch/amount"
  [ "$n_files" -gt 0 ] || fail "no file beneath $PWD can be read, or is small enough"

  say "Files: $n_files with $n_bytes bytes, from $PWD"
  if [ "$n_left" -gt 0 ]
  then
    say "(No more than $MAX_FILES files and $MAX_MEBIBYTES MiB are taken: $n_left files are left out.)"
  fi
}

# The independent tool's word.  What it says of files that have vanished, or changed their mode, is of no interest.
sum_files ()
{
  { xargs -0 sha256sum -- <"$scratch/files0" 2>/dev/null || :; } | sort >"$1"
}

### Daemon and clients

start_daemon ()
{
  # The daemon's output comes through a FIFO: its first line says that it listens, the end of it that it has ended.
  mkfifo "$scratch/daemon.out"
  LC_ALL=C.UTF-8 "$examples/dill-digestd" --socket="$scratch/socket" >"$scratch/daemon.out" 2>"$scratch/daemon.err" &
  daemon=$!
  exec 3<"$scratch/daemon.out"

  first_line=$(timeout "$STEP_LIMIT" head -n 1 <&3) || :
  [ "$first_line" = "listening on $scratch/socket" ] || fail "the daemon did not start: $first_line"
  descriptors=$(count_descriptors)
}

count_descriptors ()
{
  set -- "/proc/$daemon/fd"/*
  echo $#
}

start_client ()
{
  output=$1
  shift
  timeout "$STEP_LIMIT" "$examples/dill-digest" --socket="$scratch/socket" --files0-from="$scratch/files0" "$@" \
    >"$scratch/$output" 2>"$scratch/$output.err" &
  clients="$clients $!"
}

seconds_since_boot ()
{
  read -r uptime _ </proc/uptime
  echo "$uptime"
}

run_clients ()
{
  started=$(seconds_since_boot)
  outputs=passing-client
  start_client passing-client --pass-descriptor
  for i in $(seq "$SENDING_CLIENTS")
  do
    outputs="$outputs sending-client-$i"
    start_client "sending-client-$i"
  done

  trouble=
  for pid in $clients
  do
    wait "$pid" || trouble="$trouble $?"
  done
  clients=
  elapsed=$(awk -v a="$started" -v b="$(seconds_since_boot)" 'BEGIN { printf "%.2f", b - a }')
  say "Clients: $SENDING_CLIENTS that send bytes and 1 that passes descriptors, all at once, were done in $elapsed s"
}

# Somebody may be working on the files.  The digests that sha256sum found both before and after the clients are those
# that every client must have found, too.
compare_digests ()
{
  comm -12 "$scratch/before" "$scratch/after" >"$scratch/expected"
  n_expected=$(wc -l <"$scratch/expected")
  n_changed=$((n_files - n_expected))

  for output in $outputs
  do
    sort "$scratch/$output" >"$scratch/$output.sorted"
    comm -23 "$scratch/expected" "$scratch/$output.sorted" >"$scratch/wrong"
    if [ -s "$scratch/wrong" ]
    then
      { head -n 5 "$scratch/wrong"; cat "$scratch/$output.err"; } >&2
      fail "$output does not confirm $(wc -l <"$scratch/wrong") digests of sha256sum"
    fi
  done

  if [ "$n_changed" -gt 0 ]
  then
    say "($n_changed files changed or vanished meanwhile, and are not compared.)"
    [ "$n_expected" -gt 0 ] || fail 'no file is left to compare'
  elif [ -n "$trouble" ]
  then
    fail "clients ended with status$trouble"
  fi
  say "Digests: those of $n_expected files, and of every client, are what sha256sum says"
}

# A client is done a moment before the daemon closes its end of the connection.
check_descriptors ()
{
  for i in $(seq 50)
  do
    now_open=$(count_descriptors)
    [ "$now_open" -gt "$descriptors" ] || return 0
    sleep 0.1
  done
  fail "the daemon leaks descriptors: it had $descriptors open before the first client, and now has $now_open"
}

stop_daemon ()
{
  sleep 0.1 # a few ticks, however few the files
  kill -TERM "$daemon"
  timeout "$STEP_LIMIT" cat <&3 >"$scratch/account" || fail 'the daemon did not end on SIGTERM'
  status=0
  wait "$daemon" || status=$?
  daemon=

  [ "$status" -eq 0 ] || fail "the daemon ended with status $status"
  [ ! -e "$scratch/socket" ] || fail 'the daemon left its socket file behind'
  [ ! -s "$scratch/daemon.err" ] || fail 'the daemon complained'
  say 'Daemon: ended cleanly on SIGTERM, with status 0 and without its socket file; no descriptor was lost.  It says:'
  sed 's/^/  /' "$scratch/account"
}

check_ticks ()
{
  delay=$(sed -n 's/^ticks: [1-9][0-9]*, .* worst delay \([0-9]*\)\.[0-9] ms$/\1/p' "$scratch/account")
  [ -n "$delay" ] || fail 'the daemon did not tell of its ticks'
  [ "$delay" -le "$MAX_DELAY" ] || fail "the main loop was held up for $delay ms (at most $MAX_DELAY are accepted)"
}

### The whole

[ $# -le 1 ] || fail 'usage: sh docs/demo.sh [DIRECTORY]'
cd -- "${1:-$source_root}" 2>/dev/null || fail "$1 is not a directory that can be entered"

trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
scratch=$(mktemp -d)

sh "$source_root/tests/tools/install-missing.sh" build
build_programs
select_files
sum_files "$scratch/before"
start_daemon
run_clients
check_descriptors
sum_files "$scratch/after"
compare_digests
stop_daemon
check_ticks
say 'Result: passed'
