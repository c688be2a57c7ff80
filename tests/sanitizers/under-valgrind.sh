#!/bin/sh
# Runs a test under Valgrind's memcheck: what "meson test --setup=valgrind" puts before each of them.
#
# usage: under-valgrind.sh VALGRIND PROGRAM [ARGUMENT...]
#
# A test fails by an error, in the program or in a child that it forks, and by memory that is lost for certain when the
# program ends.  GLib is clean enough for that without suppressions.  Threads take turns: Valgrind runs one at a time, and
# would leave the others to one that never waits.
#
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

valgrind=$1
shift
case ${1##*/} in
  python*)
    echo '1..0 # SKIP under Valgrind: it is a script, and Valgrind would watch the interpreter'
    exit 0
    ;;
esac

exec "$valgrind" --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite \
  --errors-for-leak-kinds=definite --fair-sched=try --num-callers=25 "$@"
