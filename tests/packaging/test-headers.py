"""The public headers: each stands alone, in C and in C++, and only the GLib-facing ones need GLib.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import tap
from installation import CC, CXX, SOURCE_DIR

HEADERS = sorted((SOURCE_DIR / "dillipc").glob("*.h"))
WITH_GLIB = ("dill-glib.h", "dillipc.h")
INCLUDES = ["-I", SOURCE_DIR, "-I", SOURCE_DIR / "dillipc"]
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
    return tap.output_of(*compiler, *options, "-x", language, *INCLUDES, *glib, "-", input=2 * include)


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


@tap.case("there are public headers")
def there_are():
    assert {"dillipc.h", "dill-ipc.h", "libdill.h", "libdillimpl.h"} <= {header.name for header in HEADERS}


for found in HEADERS:
    add_cases(found)


@tap.case("libdill.h defines no raw names with DILL_DISABLE_RAW_NAMES")
def no_raw_names():
    header = SOURCE_DIR / "dillipc" / "libdillimpl.h"
    raw = {"now", "go", "yield", "bundle", "coroutine", "hclose", "ipc_listen", "IPC_SIZE", "hmake", "bsock_vfs"}

    def defined(*options):
        lines = compile_alone(header, "c", "-E", "-dM", *options).splitlines()
        return {line.split()[1].partition("(")[0] for line in lines if line.startswith("#define")}

    assert raw <= defined(), sorted(raw - defined())
    assert not raw & defined("-DDILL_DISABLE_RAW_NAMES"), sorted(raw & defined("-DDILL_DISABLE_RAW_NAMES"))


tap.run()
