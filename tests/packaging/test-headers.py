"""The public headers, as installed: each stands alone, in C and in C++, and only the GLib-facing ones need GLib.  What
has to do with sockets, and libdill's raw names, can be kept away.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import pathlib
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


def own_names(language, *options):
    """The macros that our headers define when libdillimpl.h is included, and the functions that they contain."""
    names = set()
    is_ours = False
    for line in compile_alone(HEADERS["libdillimpl.h"], language, "-E", "-dD", *options).splitlines():
        marker = re.match(r'# \d+ "(.*?)"', line)
        if marker:
            is_ours = pathlib.Path(marker[1]) in HEADERS.values()
        elif is_ours:
            found = re.match(r"#define (\w+)|(?!__)(\w+) \(", line)
            names |= set(filter(None, found.groups())) if found else set()
    return names


def raw_names(language, *options):
    return {name for name in own_names(language, *options) if not re.match("_*(lib)?dill", name, re.IGNORECASE)}


def add_raw_names_case(language):
    @tap.case("no raw names where they are switched off, in %s" % language)
    def no_raw_names():
        if language == "c++" and not CXX:
            raise tap.Skip("there is no C++ compiler")
        left = raw_names(language, "-DDILL_DISABLE_RAW_NAMES")
        assert "DILL_COROUTINE_H" in own_names(language, "-DDILL_DISABLE_RAW_NAMES") and not left, left

        # A program may have names of its own in their place.
        names = sorted(raw_names("c"))
        source = "#define DILL_DISABLE_RAW_NAMES\n#include <libdillimpl.h>\n"
        source += "enum { %s, N_NAMES };\n" % ", ".join(names)
        source += "".join("struct %s { int own; };\n" % name for name in names)
        installed.build("raw-names", source + "int main () { return 0; }\n", CXX if language == "c++" else CC)


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
        about_sockets = {"dill-ipc.h", "dill-ipc-fd.h", "dill-message.h", "dill-stream.h"}
        assert set(HEADERS) & about_sockets == (about_sockets if HAS_SOCKETS else set()), HEADERS

    for name in sorted(HEADERS):
        add_cases(HEADERS[name])

    @tap.case("libdillimpl.h defines raw names")
    def some_raw_names():
        found = raw_names("c")
        expected = RAW_NAMES | (RAW_SOCKET_NAMES if HAS_SOCKETS else set())
        assert expected <= found and len(found) > 3 * len(expected), found
        assert HAS_SOCKETS or not found & RAW_SOCKET_NAMES, found

    for each_language in STANDARDS:
        add_raw_names_case(each_language)

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

    @tap.case("with DILL_DISABLE_SOCKETS they compile in both languages, whether or not it has a value")
    def without_sockets():
        for name in ("dillipc.h", "libdillimpl.h"):
            for language in STANDARDS:
                for definition in ("-DDILL_DISABLE_SOCKETS", "-DDILL_DISABLE_SOCKETS="):
                    compile_alone(HEADERS[name], language, definition, "-Wall", "-Wextra", "-Werror", "-fsyntax-only")

    tap.run()
