"""The library as a Meson subproject: configured, built and used by a project that has it in its subprojects folder.

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

PROGRAM = """
#include <dillipc/dillipc.h>
#include <libdill.h>

int
main (void)
{
  int s[2];

  return ipc_pair (s) == 0 && bsend (s[0], "x", 1, now () + 10000) == 0 && hclose (s[0]) == 0 && hclose (s[1]) == 0 ? 0 : 1;
}
"""

with tempfile.TemporaryDirectory(prefix="dillipc-") as scratch:
    project = pathlib.Path(scratch)
    build = project / "build"
    (project / "subprojects").mkdir()
    (project / "subprojects" / "dillipc").symlink_to(SOURCE_DIR)
    (project / "meson.build").write_text(MESON_BUILD)
    (project / "program.c").write_text(PROGRAM)

    @tap.case("a project configures it")
    def configure():
        output = tap.output_of(
            "env", "CC=" + " ".join(CC),
            "meson", "setup", "--force-fallback-for=dillipc-1.0,dillipc", build, project,
        )  # fmt: skip
        assert "Executing subproject dillipc" in output, output

    @tap.case("nothing but the library is built")
    def targets():
        names = tap.output_of("meson", "introspect", "--targets", build, "--indent")
        assert "dillipc-1.0" in names
        assert "test-" not in names, names

    @tap.case("a program of the project is built with it, and runs")
    def program():
        tap.output_of("ninja", "-C", build, "-j2", "program")
        # Not the library of the build that is being tested, which Meson has put there.
        environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
        tap.output_of(build / "program", env=environment)

    tap.run()
