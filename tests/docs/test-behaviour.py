"""docs/behaviour.md: each behaviour in it names tests, and all of these exist.

Programs are asked for their cases (-l), scripts are read.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import re

import tap

SOURCE_DIR = pathlib.Path(os.environ["SOURCE_DIR"])
BUILD_DIR = pathlib.Path(os.environ["BUILD_DIR"])
DOCUMENT = (SOURCE_DIR / "docs" / "behaviour.md").read_text(encoding="utf-8")

# "sync/test-bundle /bundle/wait", "docs/test-readme "links to files that exist"", "compat/libdill/pipeline.c"
TEST = re.compile(r"^(?P<name>[a-z]+/[\w/.-]+)(?: (?P<path>/[\w/.-]+)| \"(?P<case>.+)\")?$")


def rows():
    """The rows of all tables, without their heads: the behaviour, and the text of the other cell."""
    for line in DOCUMENT.splitlines():
        if line.startswith("|") and not line.startswith("|---") and line != "| behaviour | tests |":
            behaviour, _, tests = line.strip("|").rpartition(" | ")
            yield behaviour.strip(), tests.strip()


def tests_of(cell):
    return [TEST.match(text) for text in re.findall(r"`([^`]+)`", cell)]


def all_tests():
    return [test for _, cell in rows() for test in tests_of(cell) if test]


def source_of(name, *endings):
    """The source of a test, or None."""
    paths = [SOURCE_DIR / "tests" / (name + ending) for ending in endings]
    return next((path for path in paths if path.is_file()), None)


def check_program(name, cases):
    """Asks the program NAME, which the build puts into one folder with all others."""
    program = BUILD_DIR / "tests" / name.split("/")[1]
    if not program.exists():
        raise tap.Skip("not part of this build")

    there = [line for line in tap.output_of(program, "-l").splitlines() if line.startswith("/")]
    missing = [case for case in cases if not any((path + "/").startswith(case + "/") for path in there)]
    assert there and not missing, "%s has no %s" % (name, ", ".join(missing))


def check_script(name, cases):
    text = source_of(name, ".py").read_text(encoding="utf-8")
    missing = [case for case in cases if '@tap.case("%s")' % case not in text]
    assert not missing, "%s has no %s" % (name, ", ".join(missing))


def check(name, cases):
    if source_of(name, ".c", ".cc"):
        check_program(name, cases)
    elif source_of(name, ".py"):
        check_script(name, cases)
    else:
        assert pathlib.Path(name).suffix and source_of(name, ""), "there is no tests/%s" % name


@tap.case("every row names its tests")
def form():
    wrong = [behaviour for behaviour, cell in rows() if not tests_of(cell) or None in tests_of(cell)]
    assert not wrong, "\n".join(wrong)


@tap.case("no behaviour stands there twice")
def twice():
    behaviours = [behaviour for behaviour, _ in rows()]
    repeated = {behaviour for behaviour in behaviours if behaviours.count(behaviour) > 1}
    assert behaviours and not repeated, "\n".join(repeated)


def add_case(name):
    mentions = [test for test in all_tests() if test["name"] == name]
    cases = sorted({test["path"] or test["case"] for test in mentions} - {None})

    @tap.case(name)
    def exists():
        check(name, cases)


for each_name in sorted({test["name"] for test in all_tests()}):
    add_case(each_name)

tap.run()
