#!/bin/sh
# Installs what the benchmarks need and is missing, builds them, and measures.
#
# usage: run.sh [--quick] [--write]
#
#   --quick  ends within a minute, and is less exact
#   --write  puts the results into docs/performance.md, instead of printing them
#
# The build is kept in $BUILD_ROOT/benchmark (./build/benchmark).
#
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

cd "$(dirname "$0")/../.."
build=${BUILD_ROOT:-build}/benchmark

sh tests/tools/install-missing.sh benchmark
if [ ! -f "$build/build.ninja" ]
then
  meson setup --buildtype=release -Db_lto=true -Db_ndebug=true -Dexamples=false -Ddocs=disabled "$build" >/dev/null
fi
ninja -C "$build" benchmark-programs >/dev/null
exec python3 -B tests/benchmark/run.py "$@" "$build/tests/benchmark"
