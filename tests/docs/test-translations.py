"""The message catalogues in po/: complete, for all sources, in all languages.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import tap

SOURCE_DIR = pathlib.Path(os.environ["SOURCE_DIR"])
PO = SOURCE_DIR / "po"

# As in Meson's "glib" preset, as far as it is used here.
XGETTEXT = (
    "xgettext", "--from-code=UTF-8", "--language=C", "--keyword=_", "--keyword=N_", "--keyword=C_:1c,2",
    "--keyword=NC_:1c,2", "--keyword=g_dngettext:2,3",
)  # fmt: skip

# A call of gettext in a source.
MESSAGE = re.compile(r"(?<![\w\"])(_|N_|C_|NC_|ngettext|g_dngettext) ?\(\s*(?:\w+, ?)?\"")


def lines(name):
    """A list in po/, without its comments."""
    text = (PO / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def languages():
    return lines("LINGUAS")


def run(*command):
    """Status and output of a tool of gettext, in English."""
    if not shutil.which(command[0]):
        raise tap.Skip("%s is not installed (Debian's package gettext)" % command[0])
    variables = dict(os.environ, LC_ALL="C.UTF-8")
    variables.pop("LANGUAGE", None)
    result = subprocess.run(
        [str(word) for word in command],
        cwd=SOURCE_DIR, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    return result.returncode, result.stdout


def make_template(directory, *sources):
    """What xgettext finds in the sources."""
    template = pathlib.Path(directory) / "dillipc.pot"
    status, output = run(*XGETTEXT, "-o", template, *sources)
    assert status == 0, output
    return template


@tap.case("LINGUAS names the catalogues that there are, German and French among them")
def linguas():
    assert sorted(languages()) == sorted(path.stem for path in PO.glob("*.po"))
    assert {"de", "fr"} <= set(languages())


@tap.case("POTFILES.in names all sources with messages, and only what exists")
def potfiles():
    named = set(lines("POTFILES.in"))
    sources = [path for top in ("dillipc", "docs") for path in (SOURCE_DIR / top).rglob("*.[ch]")]
    with_messages = {
        str(path.relative_to(SOURCE_DIR)) for path in sources if MESSAGE.search(path.read_text(encoding="utf-8"))
    }
    assert with_messages, "no source has a message"
    assert with_messages <= named, "not in POTFILES.in: %s" % (with_messages - named)
    missing = [name for name in named if not (SOURCE_DIR / name).exists()]
    assert not missing, "in POTFILES.in, but not there: %s" % missing


@tap.case("no catalogue is wrong, fuzzy or incomplete")
def complete():
    for language in languages():
        status, output = run("msgfmt", "--check", "--statistics", "-o", os.devnull, PO / (language + ".po"))
        assert status == 0, output
        assert re.fullmatch(r"\d+ translated messages\.", output.strip()), "%s: %s" % (language, output)


@tap.case("all messages of the sources are in all catalogues")
def current():
    with tempfile.TemporaryDirectory() as directory:
        template = make_template(directory, *lines("POTFILES.in"))
        for language in languages():
            status, output = run("msgcmp", PO / (language + ".po"), template)
            assert status == 0, output


@tap.case("no catalogue has messages that are in no source")
def not_obsolete():
    with tempfile.TemporaryDirectory() as directory:
        template = make_template(directory, *lines("POTFILES.in"))
        for language in languages():
            merged = pathlib.Path(directory) / "merged.po"
            status, output = run("msgmerge", "--quiet", "-o", merged, PO / (language + ".po"), template)
            assert status == 0, output
            status, output = run("msgattrib", "--only-obsolete", "--no-wrap", merged)
            assert status == 0 and output == "", output


@tap.case("a message that is new is noticed")
def noticed():
    with tempfile.TemporaryDirectory() as directory:
        source = pathlib.Path(directory) / "new.c"
        source.write_text('const char *message = N_ ("there is no such message yet");\n', encoding="utf-8")
        assert MESSAGE.search(source.read_text(encoding="utf-8"))
        template = make_template(directory, *lines("POTFILES.in"), source)
        for language in languages():
            status, output = run("msgcmp", PO / (language + ".po"), template)
            assert status != 0, output
            assert "used but not defined" in output, output


tap.run()
