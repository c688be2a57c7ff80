"""What the public headers declare, and what their doc comments promise: for comparing the manual with.

A doc comment says its errnos in items ("- EINVAL: @addr is NULL"), and may refer to those of another function in one of
a few set phrases; see Function.errnos().

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import re

# Exported for macros alone, those of dill-go.h and DILL_AWAIT_INIT.
INTERNAL = {"dill_await_number", "dill_go_begin", "dill_go_end", "dill_go_function"}

COMMENT = re.compile(r"/\*\*\n(.*?)\*/\n", re.DOTALL)
ERRNO = re.compile(r"\bE[A-Z0-9]{2,}\b")


def one_line(text):
    return " ".join(text.split())


class Function:
    """A function, or a macro, with a doc comment."""

    def __init__(self, name, comment, declaration, header):
        self.name = name
        self.header = header
        self.comment = comment
        self.is_macro = declaration.startswith("#define")
        self.prototype = self._read_prototype(declaration)
        self.parameters = re.findall(r"^@(\w+):", comment, re.MULTILINE)

    def _read_prototype(self, declaration):
        """A declaration as the manual shows it; of a macro only "NAME (PARAMETER, PARAMETER)"."""
        if self.is_macro:
            parameters = re.match(r"#define \w+\((.*?)\)", declaration)
            return "%s (%s)" % (self.name, parameters[1]) if parameters else self.name
        text = declaration.replace("DILL_EXPORT", "")
        text = re.sub(r"^#ifdef __cplusplus.*?^#endif\n", "", text, flags=re.DOTALL | re.MULTILINE)
        return one_line(text).replace(" )", ")")

    def can_fail(self):
        return "errno" in self.comment or bool(self._references())

    def _own_errnos(self):
        found = set()
        for item in re.findall(r"^ - ((?:E[A-Z0-9]+(?:, )?)+):", self.comment, re.MULTILINE):
            found |= set(item.split(", "))
        for sentence in re.findall(r"\bErrors are (.*?)(?:\.|$)", one_line(self.comment)):
            found |= set(ERRNO.findall(sentence.partition(" - ")[0]))
        return found

    def _references(self):
        text = one_line(self.comment)
        names = re.findall(r"\b(?:Errors are those|errno) of (dill_\w+)\(\)", text)
        names += re.findall(r"\bReturns: as (dill_\w+)\(\)", text)
        names += re.findall(r"\berrno as (dill_\w+)\(\) sets it", text)
        if "Errors are the same" in text:
            names += re.findall(r"^(dill_\w+)\(\) ", self.comment, re.MULTILINE)[:1]
        return names

    def errnos(self, functions):
        """All values of errno, those of functions that the comment refers to included."""
        found = self._own_errnos()
        for name in self._references():
            found |= functions[name].errnos(functions)
        return found


def read_comment(text):
    """The lines of a comment without their stars."""
    return "\n".join(re.sub(r"^ \* ?", "", line) for line in text.splitlines())


def declaration_after(text, position):
    """The declaration or definition that stands at a position."""
    if text.startswith("#define", position):
        return text[position : text.index("\n", position)]
    return text[position : text.index(";", position)]


def read_functions(directory):
    """The functions and function-like macros with doc comments in all headers, by name."""
    functions = {}
    for header in sorted(directory.glob("dill-*.h")):
        text = header.read_text()
        for match in COMMENT.finditer(text):
            comment = read_comment(match[1])
            name = re.match(r"(dill_\w+):", comment)
            if name is None:
                continue
            start = re.compile(r"^(DILL_EXPORT|#define %s\b)" % name[1], re.MULTILINE).search(text, match.end())
            declaration = declaration_after(text, start.start())
            functions[name[1]] = Function(name[1], comment, declaration, header.name)
    return functions


def read_exported(directory):
    """The names of all functions that leave the library."""
    names = set()
    for header in directory.glob("dill-*.h"):
        names |= set(re.findall(r"^DILL_EXPORT [^;]*?\b(dill_\w+) \(", header.read_text(), re.MULTILINE))
    return names


def read_raw_names(directory):
    """libdill's names, and the dill_ names that they stand for."""
    names = {}
    for header in ("libdill.h", "libdillimpl.h"):
        text = (directory / header).read_text()
        names.update(re.findall(r"^#define (\w+) (dill_\w+)$", text, re.MULTILINE))
        # Functions of their own call the one that they stand for.
        names.update(re.findall(r"^static inline \w+\n(\w+) \(.*\)\n{\n  return (dill_\w+) \(", text, re.MULTILINE))
    return names
