#!/bin/sh
# Installs what is missing, builds the library in several ways, and runs the tests in each.
#
# usage: run.sh [--quick] [STAGE...]
#
#   gcc         the default build, with packaging and documentation, and once more by gtester; dill_go () by all compilers
#   clang       the default build by clang
#   poller      with GLib's own polling instead of epoll, and optimised as for a release
#   lto         the layers, optimised as for a release and at link time, as most distributions build packages
#   sanitizers  with AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer
#   tsan        the tests with threads, several contexts, and forks, with clang's ThreadSanitizer
#   valgrind    some programs of each layer under Valgrind's memcheck, with its search for leaks
#   no-sockets  without sockets: coroutines, channels and what else is left
#   ucontext    without assembly, as far as the tests can do without dill_go ()
#   aarch64     for AArch64, with a cross compiler, in qemu's emulator; says why where it cannot be
#   fuzz        with libFuzzer, for some seconds ($FUZZ_SECONDS for each target)
#
# All of them run by default, and the first alone with --quick.  Warnings are errors.  The builds are kept under
# $BUILD_ROOT (./build).  The last line says "N passed, N failed", over test cases and all stages.
#
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

cd "$(dirname "$0")/.."
source_dir=$PWD
build_root=${BUILD_ROOT:-$source_dir/build}
all_stages='gcc clang poller lto sanitizers tsan valgrind no-sockets ucontext aarch64 fuzz'

# What the stages of that name run: it has to be worth its time.  "meson test --setup=NAME" in such a build runs all.
tsan_tests='
  test-await test-await-gio test-await-places test-bundle-close test-canceled test-channel test-choose
  test-connection-source-shared test-context test-context-end test-contexts test-endings test-engine test-engine-threads
  test-fd-waiters test-fork test-fork-context test-gio test-handle test-loops test-member test-nested-loops test-peers
  test-random test-source test-source-callback test-source-contexts test-source-lifetime test-stack-overflow test-stress
  test-thread-end test-threads test-wait
'
valgrind_tests='
  test-stack test-stack-guard test-context
  test-engine test-engine-threads test-poll-function test-source test-timer test-wait
  test-bundle test-bundle-close test-channel test-choose test-context-end test-endings test-fd test-fork
  test-fork-context test-own-stack test-random test-thread-end test-threads
  test-bytestream test-bytestream-failures test-iolist test-iolist-refused test-no-buffers
  test-accept test-close test-close-interrupted test-connection test-descriptor test-listen test-memory test-peers
  test-place
  test-message test-prefix test-suffix test-hostile-peers
  faults/test-faults-channel faults/test-faults-connection
  test-await test-connection-source test-gio test-listener-source test-source-callback test-source-lifetime
'

# What programs print is compared, and read as UTF-8.
export LC_ALL=C.UTF-8
unset LANGUAGE

usage ()
{
  sed -n '/^# usage/,/^# SPDX/ { /SPDX/d; s/^# \{0,1\}//p; }' "$0"
}

now ()
{
  date +%s
}

# Runs a command with its output in LOG, which is shown only when the command fails.
quietly ()
{
  log=$1
  shift
  if "$@" >"$log" 2>&1 </dev/null
  then
    return 0
  fi
  sed 's/^/    | /' "$log"
  return 1
}

record ()
{
  echo "$1 $2" >>"$totals"
}

# skip_stage NAME REASON
skip_stage ()
{
  echo "== $1"
  echo "    skipped: $2"
  n_skipped=$((n_skipped + 1))
}

# configure DIR COMPILER OPTION...  COMPILER is gcc, clang, or cross, for that of a cross file.
configure ()
{
  dir=$1
  compiler=$2
  shift 2
  case $compiler in
    clang) set -- env CC=clang CXX=clang++ meson setup "$@" ;;
    cross) set -- env -u CC -u CXX -u CFLAGS -u LDFLAGS -u PKG_CONFIG_PATH meson setup "$@" ;;
    *) set -- env CC=gcc CXX=g++ meson setup "$@" ;;
  esac
  [ ! -f "$dir/build.ninja" ] || set -- "$@" --reconfigure
  quietly "$build_root/setup.log" "$@" -Dwerror=true "$dir" "$source_dir"
}

# Builds NAME in a folder of its own, and runs the tests.  build_and_test NAME COMPILER "TEST OPTIONS" OPTION...
# With $setup they run in that one of their set-ups, and $targets is all that is built.
build_and_test ()
{
  name=$1
  compiler=$2
  test_options=$3
  shift 3
  dir=$build_root/$name
  started=$(now)

  echo "== $name: $compiler $*"
  # shellcheck disable=SC2086  # a list of words
  if ! configure "$dir" "$compiler" "$@" || ! quietly "$build_root/build.log" ninja -C "$dir" $targets
  then
    echo "    FAILED: it does not build"
    record 0 1
    return 0
  fi
  echo "    built in $(($(now) - started)) s"

  # Meson fails when a test does; the log says more.
  started=$(now)
  log=$dir/meson-logs/testlog${setup:+-$setup}.json
  rm -f "$log"
  # shellcheck disable=SC2086  # a list of words
  meson test -C "$dir" --no-rebuild ${setup:+--setup="$setup"} $test_options >"$build_root/test.log" 2>&1 </dev/null || true
  if [ -s "$log" ]
  then
    python3 tests/tools/count-tap.py "$log" "$totals" || true
  else
    sed 's/^/    | /' "$build_root/test.log"
    echo "    FAILED: no test was run"
    record 0 1
  fi
  echo "    tested in $(($(now) - started)) s"
}

# The programs of a build are GLib tests as any, without Meson.
run_gtester ()
{
  programs=$(find "$build_root/gcc/tests" -maxdepth 1 -type f -name 'test-*' -perm -100 | sort)
  started=$(now)
  # shellcheck disable=SC2086  # a list of paths
  if [ -n "$programs" ] && quietly "$build_root/gtester.log" timeout 300 \
    env G_TEST_SRCDIR="$source_dir/tests" G_TEST_BUILDDIR="$build_root/gcc/tests" gtester -k $programs
  then
    echo "    gtester runs them too, in $(($(now) - started)) s"
    record 1 0
  else
    echo "    FAILED: gtester"
    record 0 1
  fi
}

# Builds some tests only, and runs them under a tool.  run_under SETUP COMPILER "TEST..." OPTION...
run_under ()
(
  setup=$1
  compiler=$2
  tests=$3
  shift 3
  # shellcheck disable=SC2086  # a list of words
  targets=$(printf 'tests/%s ' $tests)
  # shellcheck disable=SC2086
  names=$(printf '%s ' $tests | sed 's|[a-z]*/||g')
  build_and_test "$setup" "$compiler" "$names" -Dexamples=false -Ddocs=disabled "$@"
)

run_fuzzers ()
{
  if [ ! -e "$(clang --print-file-name="libclang_rt.fuzzer-$(uname -m).a")" ]
  then
    skip_stage fuzz 'clang has no libFuzzer here'
    return 0
  fi
  build_and_test fuzz clang '--suite fuzz' -Dfuzzing=true -Db_sanitize=address,undefined -Db_lundef=false \
    -Dexamples=false -Ddocs=disabled
}

# Makes a sysroot for the stage.  Prints nothing, or why the stage cannot be.  prepare_aarch64 SYSROOT
prepare_aarch64 ()
{
  sysroot=$1
  if [ "$(uname -m)" = aarch64 ]
  then
    echo 'this machine is one, so that the other stages are about it'
    return 0
  fi

  for command in aarch64-linux-gnu-gcc qemu-aarch64
  do
    if ! command -v "$command" >/dev/null 2>&1
    then
      echo "there is no $command"
      return 0
    fi
  done

  log=$build_root/sysroot.log
  if ! sh tests/tools/debian-sysroot.sh arm64 "$sysroot" >"$log" 2>&1 </dev/null
  then
    tail -n 1 "$log"
  fi
}

# The options that select the tests of the layers.
layers=$(printf -- '--suite %s ' coroutine engine sync stream ipc message glib)

# The layers, without what is not built for the processor, or is the same for all.
run_aarch64 ()
{
  sysroot=$build_root/sysroots/arm64
  why_not=$(prepare_aarch64 "$sysroot")
  if [ -n "$why_not" ]
  then
    skip_stage aarch64 "$why_not"
    return 0
  fi

  printf "[constants]\nsysroot = '%s'\n" "$sysroot" >"$sysroot.ini"
  build_and_test aarch64 cross "$layers --no-suite compilers" \
    --cross-file "$sysroot.ini" --cross-file tests/cross/aarch64.ini -Dexamples=false -Ddocs=disabled
}

run_stage ()
{
  case $1 in
    gcc)
      (
        export SOAK_SECONDS=${SOAK_SECONDS:-10}
        build_and_test gcc gcc ''
      )
      run_gtester
      ;;
    clang)
      build_and_test clang clang '--no-suite compilers'
      ;;
    poller)
      build_and_test poller gcc '--no-suite packaging --no-suite compilers' -Dpoller=glib --buildtype=release
      ;;
    lto)
      build_and_test lto gcc "$layers --no-suite compilers" -Db_lto=true --buildtype=release -Dexamples=false -Ddocs=disabled
      ;;
    sanitizers)
      (
        export ASAN_OPTIONS=detect_stack_use_after_return=1
        export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
        build_and_test sanitizers gcc '--timeout-multiplier 3' -Db_sanitize=address,undefined
      )
      ;;
    tsan)
      run_under tsan clang "$tsan_tests" -Db_sanitize=thread -Db_lundef=false
      ;;
    valgrind)
      run_under valgrind gcc "$valgrind_tests"
      ;;
    no-sockets)
      build_and_test no-sockets gcc '' -Dsockets=disabled
      ;;
    ucontext)
      build_and_test ucontext gcc '--suite coroutine' -Dcontext=ucontext -Dexamples=false -Ddocs=disabled
      ;;
    aarch64)
      run_aarch64
      ;;
    fuzz)
      run_fuzzers
      ;;
  esac
}

setup=
targets=
stages=
for argument in "$@"
do
  case " $all_stages " in
    *" $argument "*) stages="$stages $argument" ;;
    *)
      case $argument in
        --quick) stages="$stages gcc" ;;
        --help)
          usage
          exit 0
          ;;
        *)
          usage >&2
          exit 2
          ;;
      esac
      ;;
  esac
done

sh tests/tools/install-missing.sh test
mkdir -p "$build_root"
totals=$build_root/totals
: >"$totals"

n_skipped=0
for stage in ${stages:-$all_stages}
do
  run_stage "$stage"
done

# That nothing was run is well only if all of it was skipped.
awk -v n_skipped=$n_skipped \
  '{ passed += $1; failed += $2 }
   END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 || (passed == 0 && (NR > 0 || n_skipped == 0)) }' \
  "$totals"
