"""What the shared library shows to the dynamic linker: its name, the public functions, and nothing that runs at load.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import re
import sys

import tap
from installation import CC, HAS_SOCKETS, INCLUDES

LIBRARY = os.environ["LIBDILLIPC"]


def declared_names():
    """The names that the headers declare with DILL_EXPORT, as the preprocessor sees them on this machine."""
    source = "\n".join(
        [
            "#include <dillipc/dill-macros.h>",
            "#undef DILL_EXPORT",
            "#define DILL_EXPORT DECLARED_PUBLIC",
            "#include <dillipc/dillipc.h>",
            "#include <libdill.h>",
            "#include <libdillimpl.h>",
        ]
    )
    glib = tap.output_of("pkg-config", "--cflags", "gio-unix-2.0").split()
    text = tap.output_of(*CC, "-E", "-P", *INCLUDES, *glib, "-x", "c", "-", input=source)
    return set(re.findall(r"DECLARED_PUBLIC\s+[^;(]*?(\w+)\s*[(;]", text))


def exported_names():
    lines = tap.output_of("nm", "--dynamic", "--defined-only", LIBRARY).splitlines()
    return set(line.split()[-1] for line in lines)


@tap.case("exports exactly what the headers declare")
def exports():
    declared = declared_names()
    exported = exported_names()
    assert len(declared) > (40 if HAS_SOCKETS else 20), "the headers were not understood: %s" % sorted(declared)
    assert exported == declared, "declared but not exported: %s; exported but not declared: %s" % (
        sorted(declared - exported),
        sorted(exported - declared),
    )


@tap.case("all exported names begin with dill_")
def names():
    others = [name for name in exported_names() if not name.startswith("dill_")]
    assert not others, others


@tap.case("exports what has to do with sockets exactly if it was configured with them")
def sockets():
    about = re.compile(r"dill_(ipc|[bm]send|[bm]recv|[bm]sock|prefix|suffix)")
    found = sorted(name for name in exported_names() if about.match(name))
    assert len(found) > 30 if HAS_SOCKETS else not found, found


@tap.case("soname is libdillipc-1.0.so.0")
def soname():
    dynamic = tap.output_of("readelf", "--wide", "--dynamic", LIBRARY)
    assert re.findall(r"\(SONAME\).*\[(.*)\]", dynamic) == ["libdillipc-1.0.so.0"], dynamic


@tap.case("needs GLib and the C library only")
def needed():
    dynamic = tap.output_of("readelf", "--wide", "--dynamic", LIBRARY)
    allowed = re.compile(r"lib(glib-2\.0|gobject-2\.0|gio-2\.0|c|pthread|gcc_s)\.so\.\d+$|ld-linux")
    others = [name for name in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic) if not allowed.match(name)]
    assert not others, others


@tap.case("binds what it calls when it is loaded, not on the stack of whoever calls first")
def bound():
    dynamic = tap.output_of("readelf", "--wide", "--dynamic", LIBRARY)
    assert re.search(r"\(FLAGS\).*\bBIND_NOW\b|\(FLAGS_1\).*\bNOW\b", dynamic), dynamic


@tap.case("runs nothing when it is loaded")
def constructors():
    """The one entry of .init_array is the compiler's own frame_dummy (), which is empty here."""
    sections = tap.output_of("readelf", "--wide", "--section-headers", LIBRARY)
    assert not re.search(r"\.(ctors|preinit_array)\s", sections), sections
    address, size = re.search(r"\.init_array\s+INIT_ARRAY\s+(\w+)\s+\w+\s+(\w+)", sections).groups()
    relocations = tap.output_of("readelf", "--wide", "--relocs", LIBRARY)
    functions = tap.output_of("nm", LIBRARY)

    width = 8 if "ELF64" in tap.output_of("readelf", "--file-header", LIBRARY) else 4
    assert int(size, 16) == width, "%d constructors" % (int(size, 16) // width)
    target = re.search(r"^0*%x\s.*_RELATIVE\s+(\w+)$" % int(address, 16), relocations, re.MULTILINE).group(1)
    assert re.search(r"^0*%s t frame_dummy$" % target, functions, re.MULTILINE), target


@tap.case("loading it starts no thread and opens no descriptor")
def load():
    script = "import ctypes, os; count = lambda: [len(os.listdir('/proc/self/' + d)) for d in ('fd', 'task')]; "
    script += "before = count(); ctypes.CDLL(%r); assert count() == before, (before, count())" % LIBRARY
    tap.output_of(sys.executable, "-c", script)


@tap.case("the stack is not executable")
def stack():
    headers = tap.output_of("readelf", "--wide", "--program-headers", LIBRARY)
    flags = re.search(r"GNU_STACK\s+(?:\w+\s+){5}([RWE ]+?)\s+0x", headers)
    assert flags and "E" not in flags.group(1), headers


tap.run()
