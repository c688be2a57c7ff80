"""The library as a Meson subproject: configured, built and used by a project that has it in its subprojects folder.

Once as it comes, and once without sockets.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import tempfile

import tap
from installation import CC, SOURCE_DIR

MESON_BUILD = """
project('user', 'c', default_options: ['c_std=gnu11', 'werror=true', 'warning_level=2'])
dillipc_dep = dependency('dillipc-1.0', fallback: 'dillipc')
program = executable('program', 'program.c', dependencies: dillipc_dep)
test('program', program)
"""

SOCKET_PROGRAM = """
#include <dillipc/dillipc.h>
#include <libdill.h>

int
main (void)
{
  int s[2];

  return ipc_pair (s) == 0 && bsend (s[0], "x", 1, now () + 10000) == 0 && hclose (s[0]) == 0 && hclose (s[1]) == 0 ? 0 : 1;
}
"""

CHANNEL_PROGRAM = """
#include <dillipc/dillipc.h>
#include <libdill.h>

enum { ipc_pair, bsend, dill_ipc_pair, dill_bsend };

int
main (void)
{
  int ch[2];

  return chmake (ch) == 0 && chdone (ch[0]) == 0 && hclose (ch[0]) == 0 && hclose (ch[1]) == 0 ? ipc_pair : 1;
}
"""


class Project:
    """A project with the library in it, in a directory of its own."""

    def __init__(self, directory, program):
        self.source = directory
        self.build = directory / "build"
        (directory / "subprojects").mkdir(parents=True)
        (directory / "subprojects" / "dillipc").symlink_to(SOURCE_DIR)
        (directory / "meson.build").write_text(MESON_BUILD)
        (directory / "program.c").write_text(program)

    def configure(self, *options):
        return tap.output_of(
            "env", "CC=" + " ".join(CC),
            "meson", "setup", "--force-fallback-for=dillipc-1.0,dillipc", *options, self.build, self.source,
        )  # fmt: skip

    def build_and_run(self):
        tap.output_of("ninja", "-C", self.build, "-j2", "program")
        # Not the library of the build that is being tested, which Meson has put there.
        environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
        tap.output_of(self.build / "program", env=environment)


with tempfile.TemporaryDirectory(prefix="dillipc-") as scratch:
    project = Project(pathlib.Path(scratch, "user"), SOCKET_PROGRAM)
    project_without = Project(pathlib.Path(scratch, "user-without-sockets"), CHANNEL_PROGRAM)

    @tap.case("a project configures it")
    def configure():
        output = project.configure()
        assert "Executing subproject dillipc" in output, output

    @tap.case("nothing but the library is built")
    def targets():
        names = tap.output_of("meson", "introspect", "--targets", project.build, "--indent")
        assert "dillipc-1.0" in names
        assert "test-" not in names, names

    @tap.case("a program of the project is built with it, and runs")
    def program():
        project.build_and_run()

    @tap.case("a project without sockets configures it so, and its program knows nothing of them")
    def without_sockets():
        project_without.configure("-Ddillipc:sockets=disabled")
        project_without.build_and_run()

    tap.run()
