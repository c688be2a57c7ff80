"""The public headers, as installed: each stands alone, in C and in C++, and only the GLib-facing ones need GLib.  What
has to do with sockets, and libdill's raw names, can be kept away.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import re

import tap
from installation import CC, CXX, HAS_SOCKETS, Installation

WITH_GLIB = ("dill-glib.h", "dillipc.h")
STANDARDS = {"c": ("gnu99", "c11", "gnu17"), "c++": ("c++11", "gnu++17")}


def include_name(header):
    return header.name if header.name.startswith("libdill") else "dillipc/" + header.name


def compile_alone(header, language, *options):
    """Compiles a file that includes HEADER, twice; returns what the compiler prints."""
    compiler = CXX if language == "c++" else CC
    if not compiler:
        raise tap.Skip("there is no C++ compiler")
    glib = tap.output_of("pkg-config", "--cflags", "gio-unix-2.0").split() if header.name in WITH_GLIB else []
    # GLib's own headers are not what is tested here.
    glib = [flag.replace("-I", "-isystem", 1) for flag in glib]
    include = "#include <%s>\n" % include_name(header)
    include_path = ["-I", installed.headers]
    return tap.output_of(*compiler, *options, "-x", language, *include_path, *glib, "-", input=2 * include)


def defined_names(header, *options):
    lines = compile_alone(header, "c", "-E", "-dM", *options).splitlines()
    return {line.split()[1].partition("(")[0] for line in lines if line.startswith("#define")}


def add_cases(header):
    for language, standards in STANDARDS.items():

        @tap.case("%s compiles alone as %s" % (header.name, language))
        def alone(language=language, standards=standards):
            for standard in standards:
                compile_alone(header, language, "-std=" + standard, "-Wall", "-Wextra", "-Werror", "-fsyntax-only")

    if header.name in WITH_GLIB:
        return

    @tap.case("%s includes no header of GLib" % header.name)
    def without_glib():
        included = compile_alone(header, "c", "-M").split()
        assert any(name.endswith(header.name) for name in included), included
        others = [name for name in included if "glib" in name or "gio" in name or "gobject" in name]
        assert not others, others


RAW_NAMES = {"now", "go", "yield", "bundle", "coroutine", "hclose", "hmake", "choose", "fdin"}
RAW_SOCKET_NAMES = {"ipc_listen", "IPC_SIZE", "bsend", "msend", "prefix_attach", "iolist", "bsock_vfs", "msock_type"}

with Installation() as installed:
    HEADERS = {header.name: header for header in installed.headers.rglob("*.h")}

    @tap.case("there are public headers, those about sockets exactly if the library was configured with them")
    def there_are():
        assert {"dillipc.h", "dill-config.h", "libdill.h", "libdillimpl.h"} <= set(HEADERS), HEADERS
        about_sockets = {"dill-ipc.h", "dill-message.h", "dill-stream.h"}
        assert set(HEADERS) & about_sockets == (about_sockets if HAS_SOCKETS else set()), HEADERS

    for name in sorted(HEADERS):
        add_cases(HEADERS[name])

    @tap.case("libdillimpl.h defines raw names")
    def raw_names():
        expected = RAW_NAMES | (RAW_SOCKET_NAMES if HAS_SOCKETS else set())
        found = defined_names(HEADERS["libdillimpl.h"]) & (RAW_NAMES | RAW_SOCKET_NAMES)
        assert found == expected, found ^ expected

    @tap.case("libdillimpl.h defines none with DILL_DISABLE_RAW_NAMES")
    def no_raw_names():
        found = defined_names(HEADERS["libdillimpl.h"], "-DDILL_DISABLE_RAW_NAMES")
        assert "DILL_COROUTINE_H" in found and not found & (RAW_NAMES | RAW_SOCKET_NAMES), found

    @tap.case("libdillimpl.h defines none that have to do with sockets with DILL_DISABLE_SOCKETS")
    def no_raw_socket_names():
        found = defined_names(HEADERS["libdillimpl.h"], "-DDILL_DISABLE_SOCKETS")
        assert RAW_NAMES <= found and not found & RAW_SOCKET_NAMES, found

    @tap.case("with DILL_DISABLE_SOCKETS no header about sockets is included, neither of the library nor of GLib")
    def no_socket_headers():
        for name in ("dillipc.h", "libdillimpl.h"):
            included = compile_alone(HEADERS[name], "c", "-M", "-DDILL_DISABLE_SOCKETS").split()
            others = [word for word in included if re.search(r"dill-(ipc|message|stream)\.h|gsocket|gunix|sys/socket", word)]
            assert any(word.endswith("dill-coroutine.h") for word in included) and not others, others

    tap.run()
