"""An installation of the library as a user has it, in a directory of its own, found through pkg-config.

Meson runs the test scripts with what this needs in the environment:
BUILD_DIR, SOURCE_DIR: the build and the tree; CC, CXX: the compilers (CXX is not set where there is none); HAS_SOCKETS:
1 or 0, whether the library was configured with sockets.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import shlex
import tempfile

import tap

BUILD_DIR = pathlib.Path(os.environ["BUILD_DIR"])
SOURCE_DIR = pathlib.Path(os.environ["SOURCE_DIR"])
CC = shlex.split(os.environ["CC"])
CXX = shlex.split(os.environ.get("CXX", ""))
HAS_SOCKETS = os.environ["HAS_SOCKETS"] == "1"

# For the public headers, one of which is generated, without installing them.
INCLUDES = [word for top in (BUILD_DIR, SOURCE_DIR) for word in ("-I", top, "-I", top / "dillipc")]


class Installation:
    """Installs on creation, and is gone after the "with" block."""

    def __init__(self):
        self._directory = tempfile.TemporaryDirectory(prefix="dillipc-")
        self.scratch = pathlib.Path(self._directory.name)
        destdir = self.scratch / "destdir"
        tap.output_of("meson", "install", "-C", BUILD_DIR, "--no-rebuild", "--destdir", destdir)
        self.pc_file = next(destdir.rglob("dillipc-1.0.pc"))
        self.library = next(destdir.rglob("libdillipc-1.0.so"))
        self.headers = next(destdir.rglob("libdill.h")).parent
        self._relocate(destdir)

    def _relocate(self, destdir):
        """Turns the prefix, and it alone, into where the files are for now."""
        lines = self.pc_file.read_text().splitlines()
        assert lines[0].startswith("prefix=/"), "the .pc file does not begin with its prefix"
        self.prefix = lines[0].partition("=")[2]
        assert not any(self.prefix in line for line in lines[1:]), "the .pc file says its prefix twice"
        lines[0] = "prefix=%s%s" % (destdir, self.prefix)
        self.pc_file.write_text("\n".join(lines) + "\n")

        paths = [str(self.pc_file.parent), os.environ.get("PKG_CONFIG_PATH", "")]
        self.environment = dict(
            os.environ,
            PKG_CONFIG_PATH=":".join(filter(None, paths)),
            LD_LIBRARY_PATH=str(self.library.parent),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._directory.cleanup()

    def flags(self, *options):
        """What pkg-config says about the library."""
        return tap.output_of("pkg-config", *options, "dillipc-1.0", env=self.environment).split()

    def build(self, name, source, compiler=None, options=(), libraries=None):
        """Compiles and links a program, without warnings; returns where it is."""
        compiler = compiler or CC
        language = "c++" if compiler is CXX else "c"
        program = self.scratch / name
        file = self.scratch / (name + (".cc" if language == "c++" else ".c"))
        file.write_text(source)
        tap.output_of(
            *compiler, "-O2", "-Wall", "-Wextra", "-Werror", *options, *self.flags("--cflags"),
            "-o", program, file, *(libraries or self.flags("--libs")),
            env=self.environment,
        )  # fmt: skip
        return program
