#!/bin/sh
# Unpacks Debian's packages of GLib for another architecture, with all that they depend on, into a folder.
#
# usage: debian-sysroot.sh ARCHITECTURE DIR
#
# ARCHITECTURE is Debian's name for it.  It comes from the same mirrors as the packages of this machine, whose own set of
# packages and architectures stays as it is: apt-get works on a state of its own, inside DIR, and nothing is installed.
# That needs no root either.  DIR becomes a sysroot for compilers and qemu; when it is complete, nothing is done.
#
# On failure the last line of standard error says why.
#
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

stop ()
{
  echo "$*" >&2
  exit 1
}

[ $# -eq 2 ] || stop "usage: $0 ARCHITECTURE DIR"
architecture=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)

[ ! -e "$dir/complete" ] || exit 0
command -v apt-get >/dev/null 2>&1 || stop 'there is no apt-get to fetch packages with'

apt=$dir/apt
mkdir -p "$apt/lists/partial" "$apt/archives/partial"
: >"$apt/status"

foreign_apt_get ()
{
  timeout 120 apt-get -q -y -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" \
    -o APT::Install-Recommends=false -o APT::Sandbox::User=root -o Acquire::Languages=none \
    -o Acquire::Retries=1 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 \
    -o Dir::State="$apt" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" "$@" </dev/null
}

# One of several sources may lack the architecture, or be out of order just now.
foreign_apt_get update >&2 || true
foreign_apt_get --download-only install libc6-dev libglib2.0-dev >&2 \
  || stop "the packages of GLib for $architecture cannot be had from the sources of apt-get here"

for package in "$apt"/archives/*.deb
do
  dpkg-deb -x "$package" "$dir"
done

# Newer packages leave this one to the system.
[ -e "$dir/lib" ] || ln -s usr/lib "$dir/lib"

# Links to /lib and the like would lead out of it.
find "$dir/usr/lib" "$dir/lib" -type l -lname '/*' | while read -r link
do
  ln -snrf "$dir$(readlink "$link")" "$link"
done

rm -r "$apt"
: >"$dir/complete"
