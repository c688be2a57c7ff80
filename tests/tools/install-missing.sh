#!/bin/sh
# Installs the packages that building (and testing) needs and that are missing.
#
# usage: install-missing.sh build|test|benchmark
#
# On Debian and its kin by apt-get, as root or through sudo.  For other distributions it names the packages to the best of
# its knowledge, untested, and stops.  Says what it does, and nothing when all is there.
#
# With "test" it tries to install optional packages, too.  Those that cannot be had are named, and that is all: the
# tests that need them are skipped.
#
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

# Who needs it, how to tell that it is there, and the packages of Debian, Fedora, Arch Linux and openSUSE that have it.
# What is optional is for Debian only: the others have no C library for other processors.
table='
build command:gcc gcc gcc gcc gcc
build header:stdio.h libc6-dev glibc-devel glibc glibc-devel
build command:meson meson meson meson meson
build command:ninja ninja-build ninja-build ninja ninja
build command:pkg-config pkg-config pkgconf-pkg-config pkgconf pkgconf-pkg-config
build module:gio-unix-2.0 libglib2.0-dev glib2-devel glib2 glib2-devel
build command:glib-compile-resources libglib2.0-dev-bin glib2-devel glib2-devel glib2-devel
build command:msgfmt gettext gettext gettext gettext-tools
build command:python3 python3 python3 python python3
build command:rst2man python3-docutils python3-docutils python-docutils python3-docutils
test command:clang clang clang clang clang
test clang-runtime:fuzzer libclang-rt-14-dev compiler-rt compiler-rt clang
test command:g++ g++ gcc-c++ gcc gcc-c++
test command:gtester libglib2.0-dev-bin glib2-devel glib2-devel glib2-devel
test command:ld.lld lld lld lld lld
test command:gdb gdb gdb gdb gdb
test command:groff groff-base groff-base groff groff
test command:strace strace strace strace strace
test command:valgrind valgrind valgrind valgrind valgrind
test header:valgrind/valgrind.h valgrind valgrind-devel valgrind valgrind-devel
test command:groff groff-base groff groff groff
test command:nm binutils binutils binutils binutils
test file:/usr/share/i18n/locales/de_DE locales glibc-locale-source glibc glibc-i18ndata
test command:systemd-socket-activate systemd systemd systemd systemd
optional command:qemu-aarch64 qemu-user - - -
optional command:aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu - - -
optional file:/usr/aarch64-linux-gnu/include/stdio.h libc6-dev-arm64-cross - - -
optional command:arm-linux-gnueabihf-gcc gcc-arm-linux-gnueabihf - - -
optional file:/usr/arm-linux-gnueabihf/include/stdio.h libc6-dev-armhf-cross - - -
optional command:i686-linux-gnu-gcc gcc-i686-linux-gnu - - -
optional file:/usr/i686-linux-gnu/include/stdio.h libc6-dev-i386-cross - - -
optional command:riscv64-linux-gnu-gcc gcc-riscv64-linux-gnu - - -
optional file:/usr/riscv64-linux-gnu/include/stdio.h libc6-dev-riscv64-cross - - -
benchmark command:gnuplot gnuplot-nox gnuplot gnuplot gnuplot
benchmark command:strace strace strace strace strace
benchmark command:taskset util-linux util-linux-core util-linux util-linux
benchmark header:nng/nng.h libnng-dev nng-devel nng libnng-devel
benchmark header:uv.h libuv1-dev libuv-devel libuv libuv-devel
benchmark header:zmq.h libzmq3-dev zeromq-devel zeromq zeromq-devel
'

is_there ()
{
  case $1 in
    clang-runtime:*) [ -e "$(clang --print-file-name="libclang_rt.${1#*:}-$(uname -m).a" 2>/dev/null)" ] ;;
    command:*) command -v "${1#*:}" >/dev/null 2>&1 ;;
    file:*) [ -e "${1#*:}" ] ;;
    header:*) echo "#include <${1#*:}>" | gcc -E - >/dev/null 2>&1 ;;
    module:*) pkg-config --exists "${1#*:} >= 2.66" 2>/dev/null ;;
  esac
}

# The packages that are missing for PURPOSES, for the column of one distribution.  missing_packages COLUMN PURPOSES
missing_packages ()
{
  # shellcheck disable=SC2034  # the one that $1 names is used
  echo "$table" | while read -r purpose check debian fedora arch suse
  do
    case " $2 " in
      *" $purpose "*) ;;
      *) continue ;;
    esac
    if ! is_there "$check"
    then
      eval "echo \"\$$1\""
    fi
  done | sort -u | tr '\n' ' '
}

stop ()
{
  echo "$0: $*" >&2
  exit 1
}

as_root=
knows_packages= # "yes" or "no" after an attempt to update the lists

update_by_apt ()
{
  [ -z "$knows_packages" ] || return 0
  knows_packages=yes
  # shellcheck disable=SC2086  # a list of words
  if ! $as_root apt-get -q $patience update >"$log" 2>&1 </dev/null
  then
    knows_packages=no
    cat "$log"
    echo "$0: apt-get update failed; trying with the lists that are there" >&2
  fi
}

install_by_apt ()
{
  # shellcheck disable=SC2086  # a list of words
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y $patience --no-install-recommends install "$@" \
    >"$log" 2>&1 </dev/null
}

install_needed ()
{
  packages=$(missing_packages debian "build $wanted")
  [ -n "$packages" ] || return 0

  if [ "$(id -u)" -ne 0 ]
  then
    command -v sudo >/dev/null 2>&1 || stop "this needs root (there is no sudo): apt-get install $packages"
    as_root='sudo'
  fi
  patience=

  echo "Installing: $packages"
  update_by_apt
  # shellcheck disable=SC2086  # a list of words
  if ! install_by_apt $packages
  then
    cat "$log"
    stop "apt-get could not install: $packages"
  fi

  packages=$(missing_packages debian "build $wanted")
  [ -z "$packages" ] || stop "still missing, though installed: what the packages $packages should have brought"
}

# Asks nobody for a password, and does not wait long for a network that is not there.
install_optional ()
{
  packages=$(missing_packages debian optional)
  [ -n "$packages" ] || return 0

  if [ "$(id -u)" -eq 0 ] || sudo -n true >/dev/null 2>&1
  then
    [ "$(id -u)" -eq 0 ] || as_root='sudo -n'
    patience='-o Acquire::Retries=0 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20'

    echo "Installing, if they can be had: $packages"
    update_by_apt
    # One that cannot be had must not keep out the others.
    # shellcheck disable=SC2086  # a list of words
    if ! install_by_apt $packages && [ "$knows_packages" = yes ]
    then
      for package in $packages
      do
        install_by_apt "$package" || true
      done
    fi
    packages=$(missing_packages debian optional)
  fi
  [ -z "$packages" ] || echo "Not installed, and what needs them is skipped: $packages"
}

wanted=${1:-}
case $wanted in
  build | test | benchmark) ;;
  *) stop "usage: $0 build|test|benchmark" ;;
esac

if command -v apt-get >/dev/null 2>&1
then
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  install_needed
  [ "$wanted" != test ] || install_optional
  exit 0
fi

for distribution in 'dnf fedora dnf install' 'pacman arch pacman -S' 'zypper suse zypper install'
do
  # shellcheck disable=SC2086  # a list of words
  set -- $distribution
  command -v "$1" >/dev/null 2>&1 || continue
  packages=$(missing_packages "$2" "build $wanted")
  [ -n "$packages" ] || exit 0
  shift 2
  stop "these packages are missing (names to the best of our knowledge): $* $packages"
done

packages=$(missing_packages debian "build $wanted")
[ -z "$packages" ] || stop "what these packages of Debian have is missing; please install it: $packages"
