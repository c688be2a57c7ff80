"""The library as installed: which files there are, and that programs in C and C++ are built with it by pkg-config.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import re

import tap
from installation import CXX, HAS_SOCKETS, SOURCE_DIR, Installation

# Enough of a program to need the header, the library and a running main loop.
SOCKET_PROGRAM = """
#include <%s>
#include <stdio.h>
#include <string.h>

static void
greet (void *data)
{
  int *s = (int *) data;
  dill_bsend (s[0], "hello", 5, -1);
}

int
main (void)
{
  int s[2];
  int coroutine_handle;
  char text[6] = "";

  if (dill_ipc_pair (s) == -1)
    return 1;
  coroutine_handle = dill_spawn (greet, s);
  if (coroutine_handle == -1 || dill_brecv (s[1], text, 5, dill_now () + 10000) == -1 || strcmp (text, "hello") != 0)
    return 1;
  dill_hclose (coroutine_handle);
  dill_hclose (s[0]);
  dill_hclose (s[1]);
  puts (text);
  return 0;
}
"""

# The same for a library without sockets, of which a program can know: all names but those it has are its own.
CHANNEL_PROGRAM = """
#include <%s>
#include <stdio.h>
#include <string.h>

#if DILL_HAS_SOCKETS
#error "the library was configured without sockets"
#endif

enum { dill_ipc_listen, dill_bsend, dill_msend, dill_ipc_listener_source_new };

static void
greet (void *data)
{
  int *ch = (int *) data;
  dill_chsend (ch[0], "hello", 5, -1);
}

int
main (void)
{
  int ch[2];
  int coroutine_handle;
  char text[6] = "";

  if (dill_chmake (ch) == -1)
    return 1;
  coroutine_handle = dill_spawn (greet, ch);
  if (coroutine_handle == -1 || dill_chrecv (ch[1], text, 5, dill_now () + 10000) == -1 || strcmp (text, "hello") != 0)
    return 1;
  dill_hclose (coroutine_handle);
  dill_hclose (ch[0]);
  dill_hclose (ch[1]);
  puts (text);
  return 0;
}
"""

PROGRAM = SOCKET_PROGRAM if HAS_SOCKETS else CHANNEL_PROGRAM
SOCKET_HEADERS = {"dill-ipc.h", "dill-ipc-fd.h", "dill-message.h", "dill-stream.h"}

with Installation() as installed:

    @tap.case("every public header is installed, and no other")
    def headers():
        there = sorted(str(path.relative_to(installed.headers)) for path in installed.headers.rglob("*.h"))
        public = {path.name for path in (SOURCE_DIR / "dillipc").glob("*.h")} | {"dill-config.h"}
        public -= set() if HAS_SOCKETS else SOCKET_HEADERS
        expected = sorted(name if name.startswith("libdill") else "dillipc/" + name for name in public)
        assert there == expected, there
        assert installed.headers.name == "dillipc-1.0", installed.headers

    @tap.case("the shared library has its links, and the static one is there")
    def libraries():
        folder = installed.library.parent
        names = sorted(path.name for path in folder.glob("libdillipc*"))
        assert names[:3] == ["libdillipc-1.0.a", "libdillipc-1.0.so", "libdillipc-1.0.so.0"], names
        assert re.fullmatch(r"libdillipc-1\.0\.so\.0\.\d+\.\d+", names[3]) and len(names) == 4, names
        assert installed.library.resolve().name == names[3]

    @tap.case("pkg-config knows its version and what it needs")
    def pc_file():
        assert re.fullmatch(r"\d+\.\d+\.\d+", installed.flags("--modversion")[0])
        needed = set(installed.flags("--print-requires"))
        assert "glib-2.0" in needed, needed
        assert ("gio-unix-2.0" in needed) == HAS_SOCKETS, needed
        dynamic = tap.output_of("readelf", "--wide", "--dynamic", installed.library)
        assert ("gio-2.0" in needed) == ("libgio-2.0.so" in dynamic), (needed, dynamic)
        assert "-ldillipc-1.0" in installed.flags("--libs")

    @tap.case("nothing that is installed knows where it was built")
    def relocatable():
        names = [installed.pc_file, *installed.headers.rglob("*.h")]
        strangers = [path for path in names if str(SOURCE_DIR) in path.read_text()]
        assert not strangers, strangers
        dynamic = tap.output_of("readelf", "--wide", "--dynamic", installed.library)
        assert "RPATH" not in dynamic and "RUNPATH" not in dynamic, dynamic

    @tap.case("the manual pages are those of what was built")
    def manual_pages():
        names = {path.name for path in (installed.scratch / "destdir").rglob("man[37]/*.[37]")}
        if not names:
            raise tap.Skip("the manual was not built")
        assert {"dillipc.7", "dill_go.3", "choose.3", "fdin.3", "dill_set_priority.3"} <= names, names
        about = re.compile(r"(dill_)?(ipc_|[bm]send|[bm]recv|prefix_|suffix_)")
        found = sorted(name for name in names if about.match(name))
        assert len(found) > 60 if HAS_SOCKETS else not found, found
        overview = next((installed.scratch / "destdir").rglob("man7/dillipc.7")).read_text()
        assert ("configured without sockets" in overview.partition("functions in short")[0]) != HAS_SOCKETS

    @tap.case("a C program runs with it")
    def c_program():
        for header in ("dillipc/dillipc.h", "libdill.h"):
            program = installed.build("program-c", PROGRAM % header)
            assert tap.output_of(program, env=installed.environment) == "hello\n"

    @tap.case("a C++ program runs with it")
    def cxx_program():
        if not CXX:
            raise tap.Skip("there is no C++ compiler")
        program = installed.build("program-cxx", PROGRAM % "dillipc/dillipc.h", compiler=CXX)
        assert tap.output_of(program, env=installed.environment) == "hello\n"

    @tap.case("a C program runs with the static library")
    def static_program():
        libraries = ["-l:libdillipc-1.0.a" if flag == "-ldillipc-1.0" else flag for flag in installed.flags("--libs")]
        program = installed.build("program-static", PROGRAM % "dillipc/dillipc.h", libraries=[*libraries, "-pthread"])
        assert "libdillipc" not in tap.output_of("readelf", "--wide", "--dynamic", program)
        assert tap.output_of(program, env=installed.environment) == "hello\n"

    tap.run()
