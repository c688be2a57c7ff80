"""Tests as the tables in docs/ name them: how a name is read, and whether there is such a test.

    sync/test-bundle /bundle/wait               a case of a program, or all cases whose paths begin so
    docs/test-readme "links to files that exist"  a case of a script; without a case all of the script
    compat/libdill/pipeline.c                   another file below tests/

Programs are asked for their cases (-l), scripts are read.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import re

import tap

SOURCE_DIR = pathlib.Path(os.environ["SOURCE_DIR"])
BUILD_DIR = pathlib.Path(os.environ["BUILD_DIR"])

NAME = re.compile(r"^(?P<name>[a-z]+/[\w/.-]+)(?: (?P<path>/[\w/.-]+)| \"(?P<case>.+)\")?$")


def tables(text):
    """The tables of a document: for each the heading above it, and its rows as lists of cells, without the head."""
    found = []
    heading = ""
    lines = text.splitlines()
    for line, next_line in zip(lines, lines[1:] + [""]):
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("|---"):
            found.append((heading, []))
        elif line.startswith("|") and not next_line.startswith("|---"):
            found[-1][1].append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def table_rows(text):
    """The rows of all tables of a document."""
    return [cells for _, rows in tables(text) for cells in rows]


def tests_of(cell):
    """The tests that a cell names, as matches of NAME; None for what is no name."""
    return [NAME.match(text) for text in re.findall(r"`([^`]+)`", cell)]


def source_of(name, *endings):
    """The source of a test, or None."""
    paths = [SOURCE_DIR / "tests" / (name + ending) for ending in endings]
    return next((path for path in paths if path.is_file()), None)


def program_of(name):
    """What a build makes of the program NAME: in one folder with all others, or in that of its own meson.build."""
    paths = [BUILD_DIR / "tests" / name.split("/")[1], BUILD_DIR / "tests" / name]
    program = next((path for path in paths if path.is_file()), None)
    if program is None:
        raise tap.Skip("not part of this build")
    return program


def check_program(name, cases):
    there = [line for line in tap.output_of(program_of(name), "-l").splitlines() if line.startswith("/")]
    missing = [case for case in cases if not any((path + "/").startswith(case + "/") for path in there)]
    assert there and not missing, "%s has no %s" % (name, ", ".join(missing))


def check_script(name, cases):
    text = source_of(name, ".py").read_text(encoding="utf-8")
    missing = [case for case in cases if '@tap.case("%s")' % case not in text]
    assert not missing, "%s has no %s" % (name, ", ".join(missing))


def check(name, cases):
    """Fails unless there is a test NAME, with all of CASES."""
    if source_of(name, ".c", ".cc"):
        check_program(name, cases)
    elif source_of(name, ".py"):
        check_script(name, cases)
    else:
        assert pathlib.Path(name).suffix and source_of(name, ""), "there is no tests/%s" % name
