"""The library under Valgrind's Helgrind, which looks for data races.

Guarantee: threads that use the library, each for itself, do not make Helgrind report an access of the library's own.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import shutil
import tempfile
import xml.etree.ElementTree as ElementTree

import tap

BUILD_DIR = pathlib.Path(os.environ["BUILD_DIR"])
LIBRARY = pathlib.Path(os.environ["LIBDILLIPC"])
PROGRAM = BUILD_DIR / "tests" / "test-threads"


def races():
    """Whose accesses Helgrind reports: pairs of an object file and a function."""
    with tempfile.TemporaryDirectory() as directory:
        report = pathlib.Path(directory) / "report.xml"
        try:
            tap.output_of(
                *("valgrind", "--tool=helgrind", "--xml=yes", "--xml-file=%s" % report),
                *(PROGRAM, "-p", "/threads/four-threads"),
                env=dict(os.environ, G_SLICE="always-malloc"),
            )
        except AssertionError as error:
            if "debuginfo reader" in str(error):
                raise tap.Skip("Valgrind cannot read what this compiler writes for debuggers") from error
            raise
        errors = ElementTree.parse(report).getroot().findall("error")
    innermost = [error.find("stack/frame") for error in errors if error.findtext("kind") == "Race"]
    return [(frame.findtext("obj", ""), frame.findtext("fn", "")) for frame in innermost]


@tap.case("no race of the library's own is reported")
def own():
    if shutil.which("valgrind") is None:
        raise tap.Skip("Valgrind is not installed")
    found = [function for object_, function in races() if LIBRARY.resolve() == pathlib.Path(object_).resolve()]
    assert not found, found


tap.run()
