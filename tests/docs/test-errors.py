"""docs/errors.md: every errno of the manual has a test that provokes it, and the test is run to see that it does.

With TEST_ERRNOS in the environment test programs print which errnos they have seen from which functions (test-errnos.h).
The cases that the table names are run that way, and what they print is compared with it.  What the manual says is read
from the doc comments in the headers, with which test-manual.py compares it.

    test-errors.py           checks, and prints TAP
    test-errors.py --write   runs all programs, and makes the tables anew: "meson compile -C build errors" does that

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import collections
import concurrent.futures
import itertools
import os
import re
import subprocess
import sys

import named_tests
import public_headers
import tap
from named_tests import BUILD_DIR, SOURCE_DIR

DOCUMENT = SOURCE_DIR / "docs" / "errors.md"
FUNCTIONS = public_headers.read_functions(SOURCE_DIR / "dillipc")
DOCUMENTED = {(name, errno) for name, function in FUNCTIONS.items() for errno in function.errnos(FUNCTIONS)}

# What objects of the tests' own set, which the library hands on, and never sets itself.
FOREIGN = {"EBADMSG", "EXDEV"}

# The tables begin behind this line.
MARKER = "<!-- What follows is written by tests/docs/test-errors.py. -->\n"
HEAD = "| function | errno | test | how |\n|---|---|---|---|\n"
KERNEL, INJECTION = "kernel", "injection"

LIMIT = 200  # seconds, which no program comes near
N_AT_ONCE = 2  # programs


# What a case has seen: how is KERNEL or INJECTION.
Note = collections.namedtuple("Note", "function errno how")


class Run:
    """What test cases of a program have printed."""

    def __init__(self, name, output):
        self.name = name
        self.notes = {}  # of each case that has passed
        self.skipped = {}  # the reasons
        self.failed = []
        notes, how = set(), KERNEL
        for line in output.splitlines():
            if line == "# errno injection":
                how = INJECTION
            elif match := re.match(r"# errno (\w+) (\w+)$", line):
                notes.add(Note(match[1], match[2], how))
            elif match := re.match(r"(not ok|ok) \d+ (/\S+)(?: # SKIP ?(.*))?$", line):
                self._add(match, notes)
                notes, how = set(), KERNEL

    def _add(self, match, notes):
        case = match[2]
        if match[1] == "not ok":
            self.failed.append(case)
        elif match[3] is not None:
            self.skipped[case] = match[3]
        else:
            # What is seen both before and after something was injected is the kernel's.
            self.notes[case] = {note for note in notes if note._replace(how=KERNEL) not in notes - {note}}

    def undocumented(self):
        for case, notes in self.notes.items():
            for note in notes:
                if note.function in FUNCTIONS and note[:2] not in DOCUMENTED and note.errno not in FOREIGN:
                    yield "%s from %s in %s" % (note.errno, note.function, case)


def run_program(name, cases):
    """Runs cases of a program, or all of them if none is named."""
    selection = [word for case in cases for word in ("-p", case)]
    result = subprocess.run(
        [named_tests.program_of(name), "--tap", "-k", *selection],
        env=dict(os.environ, TEST_ERRNOS="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LIMIT,
        check=False,
    )
    run = Run(name, result.stdout)
    assert result.returncode == 0 or run.failed, "%s: exit status %d\n%s" % (name, result.returncode, result.stdout)
    return run


# A row of the table: test is a match of named_tests.NAME.
Row = collections.namedtuple("Row", "function errno test how")


def read_rows():
    rows = []
    for cells in named_tests.table_rows(DOCUMENT.read_text(encoding="utf-8").partition(MARKER)[2]):
        function, errno, test, how = cells
        rows.append(Row(function.strip("`"), errno, *named_tests.tests_of(test), how))
    return rows


def rendered(rows):
    """The tables: one for each header, in the order of its functions."""
    order = list(FUNCTIONS)
    rows = sorted(rows, key=lambda row: (order.index(row.function), row.errno))
    text = ""
    for header, group in itertools.groupby(rows, lambda row: FUNCTIONS[row.function].header):
        text += "\n## %s\n\n%s" % (header, HEAD)
        text += "".join("| `%s` | %s | `%s` | %s |\n" % (row.function, row.errno, row.test[0], row.how) for row in group)
    return text


# --- Writing ---


def all_programs():
    """The names of all programs of this build that are tests."""
    names = [str(path.relative_to(SOURCE_DIR / "tests"))[:-2] for path in (SOURCE_DIR / "tests").glob("*/test-*.c")]
    for name in sorted(names):
        try:
            named_tests.program_of(name)
        except tap.Skip:
            continue
        yield name


def candidates(runs):
    """For each function and errno the tests that provoke it, as (how, name and path of the case)."""
    found = collections.defaultdict(set)
    for run in runs:
        for case, notes in run.notes.items():
            for note in notes:
                found[note[:2]].add((note.how, "%s %s" % (run.name, case)))
    return found


def choose(key, found, old):
    """The old test, if it still will do, or one of the function's own layer, if there is one, that provokes this errno from
    the most functions.  None with injection unless there is nothing else."""
    how = max(way for way, _ in found[key])  # KERNEL, if there is one
    tests = sorted(test for way, test in found[key] if way == how)
    if old and old.test[0] in tests:
        return Row(*key, old.test, how)
    reach = collections.Counter(
        test for other, ways in found.items() for way, test in ways if other[1] == key[1] and way == how
    )
    layer = FUNCTIONS[key[0]].header[len("dill-") : -len(".h")]
    best = min(tests, key=lambda test: (not test.startswith(layer + "/"), -reach[test], len(test), test))
    return Row(*key, named_tests.NAME.match(best), how)


def write():
    with concurrent.futures.ThreadPoolExecutor(N_AT_ONCE) as pool:
        runs = list(pool.map(lambda name: run_program(name, []), all_programs()))
    found = candidates(runs)
    old = {(row.function, row.errno): row for row in read_rows()}
    missing = sorted(DOCUMENTED - set(found))
    rows = [choose(key, found, old.get(key)) for key in sorted(DOCUMENTED & set(found))]
    text = DOCUMENT.read_text(encoding="utf-8").partition(MARKER)[0]
    DOCUMENT.write_text(text + MARKER + rendered(rows), encoding="utf-8")
    problems = ["no test provokes %s from %s" % (errno, function) for function, errno in missing]
    problems += ["the manual does not have %s" % text for run in runs for text in run.undocumented()]
    problems += ["%s %s fails" % (run.name, case) for run in runs for case in run.failed]
    print("\n".join(problems) or "%d rows written to %s" % (len(rows), DOCUMENT))
    sys.exit(1 if problems else 0)


if sys.argv[1:] == ["--write"]:
    write()


# --- Checking ---

ROWS = read_rows()


@tap.case("the tables are as --write makes them")
def form():
    assert DOCUMENT.read_text(encoding="utf-8").partition(MARKER)[2] == rendered(ROWS)


@tap.case("every errno of the manual has a row, and nothing else has")
def complete():
    keys = [(row.function, row.errno) for row in ROWS]
    assert len(keys) > 400 and len(keys) == len(set(keys)), len(keys)
    assert set(keys) == DOCUMENTED, "without a row: %s; not in the manual: %s" % (
        sorted(DOCUMENTED - set(keys)),
        sorted(set(keys) - DOCUMENTED),
    )


def arguments(text, position):
    """The arguments of the call whose parenthesis opens at a position, strings and characters aside."""
    found, depth, start = [], 0, position + 1
    for match in re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|[(){},]').finditer(text, position):
        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(match[0], 0)
        if depth == 0 or (depth == 1 and match[0] == ","):
            found.append(text[start : match.start()].strip())
            start = match.end()
        if depth == 0:
            return found
    return []


@tap.case("no test expects an errno that the manual does not have")
def expected():
    n_found, wrong = 0, []
    for path in sorted((SOURCE_DIR / "tests").rglob("*.[ch]*")):
        text = path.read_text(encoding="utf-8") if path.suffix in (".c", ".h", ".cc") else ""
        for match in re.finditer(r"\btest_assert_(?:null_)?errno \(", text):
            words = arguments(text, match.end() - 1)
            function, errno = re.match(r"dill_[a-z_]+", words[0]), words[-1]
            if function and function[0] in FUNCTIONS and re.fullmatch("E[A-Z0-9]+", errno):
                n_found += 1
                if (function[0], errno) not in DOCUMENTED and errno not in FOREIGN:
                    wrong.append("%s: %s from %s" % (path, errno, function[0]))
    assert n_found > 400 and not wrong, "%d; %s" % (n_found, "\n".join(wrong))


def check_run(run, rows):
    assert not run.failed, "failed: %s" % ", ".join(run.failed)
    assert not list(run.undocumented()), "not in the manual: %s" % ", ".join(run.undocumented())
    ran = [row for row in rows if row.test["path"] not in run.skipped]
    seen = {case: {Note(*note) for note in notes} for case, notes in run.notes.items()}
    wrong = [row for row in ran if Note(row.function, row.errno, row.how) not in seen.get(row.test["path"], set())]
    assert not wrong, "does not provoke: %s" % ", ".join(
        "%s from %s (%s, %s)" % (row.errno, row.function, row.test["path"], row.how) for row in wrong
    )
    if not ran:
        raise tap.Skip(next(iter(run.skipped.values())))


def add_case(name, future, rows):
    @tap.case("%s provokes what the table says" % name)
    def provokes():
        check_run(future.result(), rows)


with concurrent.futures.ThreadPoolExecutor(N_AT_ONCE) as pool:
    for each in sorted({row.test["name"] for row in ROWS}):
        its_rows = [row for row in ROWS if row.test["name"] == each]
        its_cases = sorted({row.test["path"] for row in its_rows})
        add_case(each, pool.submit(run_program, each, its_cases), its_rows)
    tap.run()
