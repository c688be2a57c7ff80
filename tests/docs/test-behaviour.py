"""docs/behaviour.md: each behaviour in it names tests, and all of these exist.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import named_tests
import tap

DOCUMENT = (named_tests.SOURCE_DIR / "docs" / "behaviour.md").read_text(encoding="utf-8")


def rows():
    """The rows of all tables: the behaviour, and the text of the other cell."""
    for cells in named_tests.table_rows(DOCUMENT):
        yield " | ".join(cells[:-1]), cells[-1]


def all_tests():
    return [test for _, cell in rows() for test in named_tests.tests_of(cell) if test]


@tap.case("every table has rows")
def filled():
    tables = named_tests.tables(DOCUMENT)
    empty = [heading for heading, rows in tables if not rows]
    assert tables and not empty, "no row below: %s" % ", ".join(empty)


@tap.case("every row names its tests")
def form():
    wrong = [behaviour for behaviour, cell in rows() if None in (named_tests.tests_of(cell) or [None])]
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
        named_tests.check(name, cases)


for each_name in sorted({test["name"] for test in all_tests()}):
    add_case(each_name)

tap.run()
