"""Programs that were written for libdill: they build with <libdill.h> and nothing else, and do what they should.

Each stands in the folder libdill/, and exits with another status than 0 if something is not as libdill documents it.
Each is built by every compiler there is, without and with optimisation: go() begins in the middle of a function.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import re
import shutil
import tempfile

import tap
from installation import HAS_SOCKETS, INCLUDES, SOURCE_DIR

LIBRARY = pathlib.Path(os.environ["LIBDILLIPC"])
USES_SOCKETS = re.compile(r"\b(ipc_|[bm]send|[bm]recv)")
PROGRAMS = [
    source
    for source in sorted((SOURCE_DIR / "tests" / "compat" / "libdill").glob("*.c"))
    if HAS_SOCKETS or not USES_SOCKETS.search(source.read_text())
]
FLAGS = ("-std=gnu11", "-Wall", "-Wextra", "-Werror")
COMPILERS = ("gcc", "clang")
LEVELS = ("-O0", "-O2")
RUN_LIMIT = 60  # seconds that no program comes near


@tap.case("there are ten programs, or five that can do without sockets")
def there_are():
    assert len(PROGRAMS) >= (10 if HAS_SOCKETS else 5), PROGRAMS


def build(source, compiler, level, directory):
    if not shutil.which(compiler):
        raise tap.Skip("there is no " + compiler)
    program = directory / source.stem
    tap.output_of(
        compiler, level, *FLAGS, *INCLUDES, "-o", program, source, LIBRARY,
    )  # fmt: skip
    return program


def add_case(source, compiler, level):
    @tap.case("%s by %s %s" % (source.stem, compiler, level))
    def build_and_run():
        with tempfile.TemporaryDirectory(prefix="dillipc-compat-") as name:
            program = build(source, compiler, level, pathlib.Path(name))
            environment = dict(os.environ, LD_LIBRARY_PATH=str(LIBRARY.parent))
            output = tap.output_of(program, cwd=name, env=environment, timeout=RUN_LIMIT)
            assert output == "", output
            assert os.listdir(name) == [source.stem], "it leaves something behind: %s" % os.listdir(name)


for program_source in PROGRAMS:
    for each_compiler in COMPILERS:
        for each_level in LEVELS:
            add_case(program_source, each_compiler, each_level)

tap.run()
