"""The manual: it covers the public headers, agrees with them, renders cleanly, and its examples build and run.

Meson runs this with what it needs in the environment: that of installation.py, and LIBDILLIPC, the shared library.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import public_headers
import tap
from installation import CC, INCLUDES, SOURCE_DIR

try:
    import docutils.core
    from docutils import nodes
except ImportError:
    print("1..0 # SKIP this Python has no docutils")
    sys.exit(0)

LIBRARY = pathlib.Path(os.environ["LIBDILLIPC"])
MAN_DIR = SOURCE_DIR / "docs" / "man"
HEADER_DIR = SOURCE_DIR / "dillipc"

sys.path.insert(0, str(MAN_DIR))
import manual  # noqa: E402  (the generator, which knows the form of a page)

PAGES = [manual.Page(str(path)) for path in sorted(MAN_DIR.glob("*.rst"))]
TARGETS = {name: page for page in PAGES for name in page.all_names()}
FUNCTIONS = public_headers.read_functions(HEADER_DIR)
RAW_NAMES = public_headers.read_raw_names(HEADER_DIR)

# libdill's names that are too common to have a page in section 3.
COMMON_WORDS = {"bundle", "coroutine", "go", "msleep", "now", "yield"}

SECTIONS = ["SYNOPSIS", "DESCRIPTION", "PARAMETERS", "RETURN VALUE", "ERRORS", "NOTES", "EXAMPLE", "SEE ALSO"]
OPTIONAL_SECTIONS = {"PARAMETERS", "NOTES"}

# Pages of others in the sections that the manual has pages in.
FOREIGN_PAGES = {"epoll(7)", "sd_listen_fds(3)", "signal(7)", "unix(7)"}

# Of a terminal's 80 columns, what the indentation of a block leaves.
BLOCK_WIDTH = 70
RUN_LIMIT = 30  # seconds that no example comes near


def dill_name(name):
    return name if name.startswith("dill_") else "dill_" + name


class Content:
    """What stands in the sections of a page."""

    def __init__(self, page):
        document = docutils.core.publish_doctree(page.text, settings_overrides=manual.settings())
        self.sections = {node.next_node(nodes.title).astext(): node for node in manual.find_all(document, nodes.section)}

    def blocks(self, section):
        if section not in self.sections:
            return []
        return [node.astext() for node in manual.find_all(self.sections[section], nodes.literal_block)]

    def terms(self, section):
        if section not in self.sections:
            return []
        return [node.astext() for node in manual.find_all(self.sections[section], nodes.term)]

    def parameters(self):
        return {name.strip() for term in self.terms("PARAMETERS") for name in term.split(",")}

    def errnos(self, function):
        """Those that the page gives for a function: "EPROTO (ipc_recvfd)" is about that one alone."""
        found = set()
        for term in self.terms("ERRORS"):
            names, _, limits = term.partition(" (")
            functions = {dill_name(name) for name in limits.rstrip(")").split(", ")} if limits else {function}
            if function in functions:
                found |= set(names.split(", "))
        return found

    def prototypes(self):
        """Everything in the synopsis that ends with a semicolon, on one line each."""
        text = re.sub(r"^#include.*$", "", "\n".join(self.blocks("SYNOPSIS")), flags=re.MULTILINE)
        return {public_headers.one_line(statement) for statement in text.split(";")}


def shown(function, raw):
    """The prototype of a function as a synopsis ought to show it."""
    text = function.prototype
    if raw:
        for name, target in RAW_NAMES.items():
            text = re.sub(r"\b%s\b" % target, name, text)
    return text


def is_shown(function, raw, prototypes):
    """Whether a synopsis has the function: for a macro types are added, and "call" stands for itself."""
    if not function.is_macro:
        return shown(function, raw) in prototypes
    name, _, parameters = shown(function, raw).partition(" (")
    for prototype in prototypes:
        match = re.search(r"\b%s \((.*)\)$" % name, prototype)
        if match and [word.split()[-1].lstrip("*") for word in match[1].split(",")] == parameters.rstrip(")").split(", "):
            return True
        if not parameters and re.match(r"%s\b" % name, prototype):
            return True
    return False


@tap.case("every function that leaves the library has a doc comment")
def documented():
    missing = public_headers.read_exported(HEADER_DIR) - set(FUNCTIONS) - public_headers.INTERNAL
    assert not missing, missing
    assert len(FUNCTIONS) > 40, len(FUNCTIONS)


@tap.case("every function and macro has a page, and no page is about anything else")
def coverage():
    missing = set(FUNCTIONS) - set(TARGETS)
    assert not missing, "without a page: %s" % missing
    unknown = {dill_name(name) for name in TARGETS if name != "dillipc"} - set(FUNCTIONS)
    assert not unknown, "not in the headers: %s" % unknown


@tap.case("raw names have a page exactly if they are not common words")
def raw_names():
    functions = {raw for raw, name in RAW_NAMES.items() if name in FUNCTIONS}
    assert functions - COMMON_WORDS == {name for name in TARGETS if not name.startswith("dill")}
    text = TARGETS["dillipc"].text
    assert all("*%s*" % word in text for word in COMMON_WORDS), "dillipc(7) does not say which"


@tap.case("no name is on two pages")
def unique():
    assert len(TARGETS) == sum(len(page.all_names()) for page in PAGES)


@tap.case("dillipc(7) leads to all pages")
def overview():
    text = TARGETS["dillipc"].text
    missing = [page.name for page in PAGES if page.name != "dillipc" and "**%s**\\ (3)" % page.name not in text]
    assert not missing, missing


def listed_pages(variable):
    """A list of docs/meson.build."""
    text = (SOURCE_DIR / "docs" / "meson.build").read_text()
    block = re.search(r"^%s = \[\n(.*?)^\]" % variable, text, re.MULTILINE | re.DOTALL)[1]
    return re.findall(r"^  '([a-z_]+\.[37])',$", block, re.MULTILINE)


@tap.case("Meson builds all pages")
def listed():
    lists = [listed_pages("pages"), listed_pages("socket_pages")]
    assert all(listing == sorted(listing) for listing in lists), lists
    assert sorted(lists[0] + lists[1]) == sorted("%s.%s" % (page.name, page.section) for page in PAGES), lists


@tap.case("what is shown to those who have no sockets can be done without")
def without_sockets():
    about = re.compile(r"\b(?:dill_)?(?:ipc_|[bm]sendl?\b|[bm]recvl?\b|[bm]sock|(?:pre|suf)fix_|brecv_some)\w*")
    for name in listed_pages("pages"):
        content = Content(manual.Page(str(MAN_DIR / (name + ".rst")), with_sockets=False))
        shown = [block for section in ("SYNOPSIS", "EXAMPLE") for block in content.blocks(section)]
        assert not about.findall("".join(shown)), (name, about.findall("".join(shown)))


@tap.case("architecture.md speaks of files and names that exist")
def architecture():
    words = re.findall(r"`(?:struct )?([\w./-]+)`", (SOURCE_DIR / "docs" / "architecture.md").read_text())
    sources = "".join(path.read_text() for path in sorted(HEADER_DIR.rglob("*.[chS]")))
    files = [word for word in words if re.search(r"/$|\.[chS]$", word)]
    names = [word for word in words if re.match(r"(dill|DILL)_\w+$", word)]
    assert files and all((HEADER_DIR / word).exists() or (SOURCE_DIR / word).exists() for word in files), files
    missing = {word for word in names if not re.search(r"\b%s\b" % word, sources)}
    assert names and not missing, missing


with tempfile.TemporaryDirectory(prefix="dillipc-manual-") as scratch_name:
    SCRATCH = pathlib.Path(scratch_name)
    OUTPUT = SCRATCH / "manual"

    @tap.case("the pages are converted without a remark of docutils")
    def conversion():
        OUTPUT.mkdir()
        written = manual.build(PAGES, str(OUTPUT), "1.2.3")
        assert sorted(written) == sorted(os.listdir(OUTPUT))

    @tap.case("every name of a page is found by man")
    def aliases():
        for name, page in TARGETS.items():
            text = (OUTPUT / ("%s.%s" % (name, page.section))).read_text()
            if name == page.name:
                assert '.TH "%s" %s "" "dillipc 1.2.3"' % (name, page.section) in text, name
            else:
                assert text == ".so man{1}/{0}.{1}\n".format(page.name, page.section), name

    @tap.case("the HTML pages lead to each other and nowhere else")
    def links():
        for page in OUTPUT.glob("*.html"):
            targets = re.findall(r'href="([^"]+)"', page.read_text())
            missing = [target for target in targets if not (OUTPUT / target).exists()]
            assert targets and not missing, (page.name, missing)
        index = (OUTPUT / "index.html").read_text()
        assert all('href="%s"' % page.html in index for page in PAGES)

    @tap.case("text refers to pages that exist")
    def references():
        for page in PAGES:
            for name, section in re.findall(r"\*\*([\w.]+)\*\*\\ \(([37])\)", page.text):
                reference = "%s(%s)" % (name, section)
                known = name in TARGETS and TARGETS[name].section == section
                assert known or reference in FOREIGN_PAGES, (page.name, reference)

    def check_rendering(page):
        source = OUTPUT / ("%s.%s" % (page.name, page.section))
        if not shutil.which("groff"):
            raise tap.Skip("there is no groff")
        command = ["groff", "-man", "-ww", "-Tutf8", "-Kutf8", source]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        assert result.returncode == 0 and result.stderr == b"", result.stderr.decode()
        text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", result.stdout.decode())
        assert "NAME\n       %s" % page.names[0] in text, text[:500]

    def compile_example(page, source, link):
        file = SCRATCH / (page.name + ".c")
        program = SCRATCH / page.name
        file.write_text(source)
        flags = tap.output_of("pkg-config", "--cflags", "--libs", "gio-unix-2.0").split()
        tap.output_of(
            *CC, "-O2", "-Wall", "-Wextra", "-Werror", *INCLUDES, file, "-o", program,
            *([LIBRARY] if link else ["-c"]), *[flag for flag in flags if link or not flag.startswith("-l")],
        )  # fmt: skip
        return program

    def check_example(page, content):
        blocks = content.blocks("EXAMPLE")
        assert len(blocks) == 1, "%d examples" % len(blocks)
        is_program = re.search(r"^main \(", blocks[0], re.MULTILINE) is not None
        program = compile_example(page, blocks[0], is_program)
        if is_program:
            directory = SCRATCH / (page.name + ".run")
            directory.mkdir()
            environment = dict(os.environ, LD_LIBRARY_PATH=str(LIBRARY.parent))
            tap.output_of(program, cwd=directory, env=environment, timeout=RUN_LIMIT)
            assert not list(directory.glob("*.sock")), "it leaves its socket file behind"

    def check_form(page, content):
        expected = SECTIONS if page.section == "3" else ["DESCRIPTION", "ENVIRONMENT", "EXAMPLE", "SEE ALSO"]
        found = [section for section in content.sections if section in expected]
        assert found == [section for section in expected if section in found], found
        assert set(expected) - set(found) <= OPTIONAL_SECTIONS, found
        assert page.section == "7" or found == list(content.sections), list(content.sections)
        wide = [line for node in content.sections.values() for block in manual.find_all(node, nodes.literal_block)
                for line in block.astext().splitlines() if len(line) > BLOCK_WIDTH]  # fmt: skip
        assert not wide, wide

    def check_functions(page, content):
        """Prototypes, parameters and errnos are those of the headers."""
        prototypes = content.prototypes()
        names = {dill_name(name) for name in page.names}
        for function in (FUNCTIONS[name] for name in sorted(names)):
            raw = [name for name, target in RAW_NAMES.items() if target == function.name]
            for is_raw in [False] + [True] * len(raw):
                assert is_shown(function, is_raw, prototypes), (shown(function, is_raw), prototypes)
            missing = set(function.parameters) - content.parameters()
            assert not missing, "%s: not described: %s" % (function.name, missing)
            promised = function.errnos(FUNCTIONS)
            given = content.errnos(function.name)
            assert bool(promised) == function.can_fail(), "%s: the comment is not understood" % function.name
            if function.can_fail() or len(page.names) == 1:
                assert given == promised, "%s: only on the page %s, only in the header %s" % (
                    function.name, sorted(given - promised), sorted(promised - given))  # fmt: skip

    def add_cases(page):
        content = Content(page)
        title = "%s(%s): " % (page.name, page.section)
        tap.case(title + "has the sections of a page, and fits a terminal")(lambda: check_form(page, content))
        tap.case(title + "is rendered without a warning")(lambda: check_rendering(page))
        if page.section == "3":
            tap.case(title + "agrees with the headers")(lambda: check_functions(page, content))
        tap.case(title + "its example builds and runs")(lambda: check_example(page, content))

    for each in PAGES:
        add_cases(each)

    tap.run()
