"""Programs for libdill, as compilers of different opinion build them.

Guarantee: programs that use go () with the library compile without a warning and do what they should, with gcc and clang,
at each level of optimisation, without and with the hardening that distributions switch on.  What the macro itself makes
of many more combinations of flags is looked at by coroutine/test-go-matrix.py.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import shutil
import tempfile

import tap
from installation import INCLUDES, SOURCE_DIR

LIBRARY = pathlib.Path(os.environ["LIBDILLIPC"])
DIRECTORY = SOURCE_DIR / "tests" / "compat"
PROGRAMS = [*sorted((DIRECTORY / "programs").glob("*.c")), DIRECTORY / "libdill" / "greeting.c"]
COMPILERS = ("gcc", "clang")
LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os")
FORTIFY = "-D_FORTIFY_SOURCE=2"
VARIANTS = {
    "plain": (),
    "fortified, protected, without frame pointers": (
        FORTIFY,
        "-fstack-clash-protection",
        "-fstack-protector-all",
        "-fcf-protection=full",
        "-fomit-frame-pointer",
        "-fPIE",
        "-pie",
    ),
}


def build_and_run(compiler, level, options, directory):
    # Without optimisation there is nothing to fortify, and glibc warns of it.
    options = [option for option in options if option != FORTIFY or level != "-O0"]
    for source in PROGRAMS:
        program = pathlib.Path(directory, source.stem)
        tap.output_of(
            compiler, "-std=gnu11", "-U_FORTIFY_SOURCE", "-Wall", "-Wextra", "-Werror", level, *options,
            *INCLUDES, "-o", program, source, LIBRARY,
            "-Wl,-rpath," + str(LIBRARY.parent),
        )  # fmt: skip
        tap.output_of(program, pathlib.Path(directory, "socket"), cwd=directory, timeout=60)


def add_case(compiler, level, variant):
    @tap.case("%s %s, %s" % (compiler, level, variant))
    def combination():
        if not shutil.which(compiler):
            raise tap.Skip("there is no " + compiler)
        with tempfile.TemporaryDirectory(prefix="dillipc-") as directory:
            build_and_run(compiler, level, VARIANTS[variant], directory)


@tap.case("there are programs")
def there_are():
    assert {"arguments", "framing", "greeting"} <= {source.stem for source in PROGRAMS}, PROGRAMS


for each_compiler in COMPILERS:
    for each_level in LEVELS:
        for each_variant in VARIANTS:
            add_case(each_compiler, each_level, each_variant)

tap.run()
