"""Makes the manual, as man pages and as HTML, of the reStructuredText pages beside it.

One run makes everything: docutils takes longer to start than to convert a page.  A page NAME.SECTION.rst begins with two
comments, the second saying its group, and a title that lists the names it covers.  Each of them gets a man page; all but
the first are aliases.  A name without dill_ is one of <libdill.h>: its dill_ form gets an alias too.

For a library without sockets, text between the comments "sockets:" and "end of sockets" is left out, and that of the
comment "without sockets:" becomes part of the page.

Relies on docutils (python3-docutils in Debian).

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import argparse
import html
import os
import re
import shutil
import sys
import textwrap

import docutils.core
import docutils.nodes
import docutils.writers.html5_polyglot
import docutils.writers.manpage

# The groups of pages, in the order of the index.
GROUPS = {
    "overview": "Overview",
    "connections": "Connections to other processes",
    "streams": "Byte streams",
    "messages": "Messages",
    "coroutines": "Coroutines",
    "channels": "Channels between coroutines",
    "handles": "Handles",
    "time": "Time and descriptors",
    "glib": "Together with GLib",
}
STYLESHEET = "manual.css"

# Its name until docutils 0.18 was another one.
find_all = getattr(docutils.nodes.Node, "findall", None) or docutils.nodes.Node.traverse


def without_sockets(text):
    """The source of a page for a library that was configured without sockets."""
    text = re.sub(r"^\.\. sockets:\n.*?^\.\. end of sockets\n", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(
        r"^\.\. without sockets:\n((?:   .*\n|\n)+)",
        lambda match: textwrap.dedent(match[1]),
        text,
        flags=re.MULTILINE,
    )


class PageError(Exception):
    """A page that does not keep to the form described above."""


class Page:
    """One source page: what it covers, and its text."""

    def __init__(self, path, with_sockets=True):
        self.path = path
        self.name, self.section = os.path.basename(path)[:-len(".rst")].split(".")
        with open(path, encoding="utf-8") as source:
            self.text = source.read()
        if not with_sockets:
            self.text = without_sockets(self.text)
        self.names, self.summary = self._read_titles()
        self.group = self._read_group()
        self.html = self.name + ".html"

    def _read_titles(self):
        match = re.search(r"^\n(\S.*)\n=+\n\n(\S.*)\n~+\n", self.text, re.MULTILINE)
        if match is None:
            raise PageError(f"{self.path}: no title with a subtitle")
        names = match[1].split(", ")
        if names[0] != self.name:
            raise PageError(f"{self.path}: the first name is not {self.name}")
        return names, match[2]

    def _read_group(self):
        match = re.search(r"^\.\. group: (\w+)$", self.text, re.MULTILINE)
        if match is None or match[1] not in GROUPS:
            raise PageError(f"{self.path}: no group")
        return match[1]

    def aliases(self):
        """The other names under which man finds the page."""
        aliases = self.names[1:]
        aliases += ["dill_" + name for name in self.names if not name.startswith("dill")]
        return aliases

    def all_names(self):
        return [self.name] + self.aliases()


class ManTranslator(docutils.writers.manpage.Translator):
    """Names the page after its first function, sets it without hyphens or wide gaps, and in fonts that terminals have."""

    def __init__(self, document):
        super().__init__(document)
        self.defs["literal_block"] = (".sp\n.nf\n", "\n.fi\n")
        self._docinfo["version"] = document.settings.manual_version

    def header(self):
        self._docinfo["title_upper"] = self.document.settings.manual_name
        return super().header().replace(".SH NAME", ".nh\n.ad l\n.ss 12 0\n.SH NAME", 1)


def writer_for_man():
    writer = docutils.writers.manpage.Writer()
    writer.translator_class = ManTranslator
    return writer


def settings(**more):
    """Any remark of docutils about a page is an error."""
    return {
        "halt_level": 1,
        "report_level": 1,
        "output_encoding": "utf-8",
        "input_encoding": "unicode",
        "strip_comments": True,
        "smart_quotes": False,
        **more,
    }


def man_page(page, version):
    return docutils.core.publish_string(
        page.text,
        source_path=page.path,
        writer=writer_for_man(),
        settings_overrides=settings(manual_version=f"dillipc {version}", manual_name=page.name),
    ).decode()


def link_names(document, targets):
    """Makes links of bold names that are followed by () or a section number."""
    for strong in list(find_all(document, docutils.nodes.strong)):
        target = targets.get(strong.astext())
        siblings = strong.parent.children
        after = siblings[siblings.index(strong) + 1:]
        if target is None or not after or not re.match(r"\([37]?\)", after[0].astext()):
            continue
        reference = docutils.nodes.reference("", "", refuri=target)
        strong.replace_self(reference)
        reference += strong


def html_document(text, path, version, targets=None):
    document = docutils.core.publish_doctree(text, source_path=path, settings_overrides=settings())
    for docinfo in list(find_all(document, docutils.nodes.docinfo)):
        docinfo.parent.remove(docinfo)
    if targets is not None:
        link_names(document, targets)
    return docutils.core.publish_from_doctree(
        document,
        writer=docutils.writers.html5_polyglot.Writer(),
        settings_overrides=settings(
            datestamp=None,
            embed_stylesheet=False,
            generator=False,
            initial_header_level="2",
            source_link=False,
            stylesheet=STYLESHEET,
            stylesheet_path=None,
            xml_declaration=False,
        ),
    ).decode()


def add_navigation(page, version):
    line = f'<nav><a href="index.html">dillipc {html.escape(version)}: the manual</a></nav>\n'
    return re.sub(r"(<body[^>]*>\n)", lambda match: match[1] + line, page, count=1)


def index_text(pages):
    """The index as reStructuredText."""
    lines = ["dillipc: the manual", "===================", ""]
    for group, title in GROUPS.items():
        members = [page for page in pages if page.group == group]
        if not members:
            continue
        lines += [title, "-" * len(title), ""]
        for page in members:
            lines += [", ".join(f"`{name}({page.section}) <{page.html}>`__" for name in page.names),
                      "  " + page.summary, ""]
    return "\n".join(lines)


def build(pages, directory, version):
    """Writes the whole manual into a directory and returns the names of the files."""
    targets = {name: page.html for page in pages for name in page.all_names()}
    written = []

    def write(name, text):
        with open(os.path.join(directory, name), "wb") as output:
            output.write(text.encode())
        written.append(name)

    for page in pages:
        write(f"{page.name}.{page.section}", man_page(page, version))
        for alias in page.aliases():
            write(f"{alias}.{page.section}", f".so man{page.section}/{page.name}.{page.section}\n")
        others = {name: target for name, target in targets.items() if target != page.html}
        write(page.html, add_navigation(html_document(page.text, page.path, version, others), version))
    write("index.html", html_document(index_text(pages), "index", version))
    shutil.copyfile(os.path.join(os.path.dirname(os.path.abspath(__file__)), STYLESHEET),
                    os.path.join(directory, STYLESHEET))
    return written + [STYLESHEET]


def main():
    parser = argparse.ArgumentParser(description="Makes the manual.")
    parser.add_argument("--version", required=True, help="of the library, for headers and footers")
    parser.add_argument("--expect", help="the files that must result, separated by commas")
    parser.add_argument("--without-sockets", action="store_true", help="the library was configured without them")
    parser.add_argument("directory", help="where the files go")
    parser.add_argument("pages", nargs="+", metavar="NAME.SECTION.rst")
    arguments = parser.parse_args()
    try:
        pages = [Page(path, not arguments.without_sockets) for path in arguments.pages]
        written = build(pages, arguments.directory, arguments.version)
    except PageError as error:
        sys.exit(f"manual.py: {error}")
    if arguments.expect is not None and sorted(arguments.expect.split(",")) != sorted(written):
        difference = set(arguments.expect.split(",")) ^ set(written)
        sys.exit("manual.py: made other files than expected: " + ", ".join(sorted(difference)))


if __name__ == "__main__":
    main()
