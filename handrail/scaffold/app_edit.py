"""The edit of app.py: an import at its place, and lines above the comments that mark the lists.

Only text is added, and only where the file says so: a comment of its own such as
`# handrail new saga NAME` marks the end of a list. Everything else stays as the team has it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 100
"""Characters of a line, as the formatter allows."""


class NotMarked(Exception):
    """app.py has no place for what is new: the sentence says which comment is missing."""


@dataclass(frozen=True)
class Entry:
    """`line` is written above the comment `marker`, and indented as it is."""

    marker: str
    line: str


def with_entry(source: str, entry: Entry) -> str:
    """Raises NotMarked where the comment is not there, or stands more than once."""
    lines = source.splitlines(keepends=True)
    places = [at for at, line in enumerate(lines) if line.strip() == entry.marker]
    if len(places) != 1:
        raise NotMarked(
            f"has the comment {entry.marker!r} {len(places)} times, and the line {entry.line!r} is"
            " written above it: put the comment at the end of that list, once, alone on its line"
        )
    [place] = places
    indent = lines[place].partition("#")[0]
    return "".join([*lines[:place], f"{indent}{entry.line}\n", *lines[place:]])


def with_import(source: str, package: str, name: str) -> str:
    """With `from package import name` among the imports at the top, in the order of their names.

    Raises NotMarked where app.py imports nothing there.
    """
    lines = source.splitlines(keepends=True)
    imports = [one for one in ast.parse(source).body if isinstance(one, ast.ImportFrom)]
    for one in imports:
        if one.module == package and one.level == 0:
            if any(alias.asname for alias in one.names):
                raise NotMarked(f"imports from {package} under other names: import {name} yourself")
            names = sorted({name, *(alias.name for alias in one.names)})
            end = one.end_lineno or one.lineno
            return "".join([*lines[: one.lineno - 1], _statement(package, names), *lines[end:]])
    top = f"{package.partition('.')[0]}."
    ours = [one for one in imports if (one.module or "").startswith(top)]
    if not ours:
        raise NotMarked(f"imports nothing from {top[:-1]}: import {package}.{name} yourself")
    later = [one.lineno - 1 for one in ours if str(one.module) > package]
    place = min(later) if later else max(one.end_lineno or one.lineno for one in ours)
    return "".join([*lines[:place], _statement(package, [name]), *lines[place:]])


def bound_names(source: str) -> frozenset[str]:
    """What app.py calls something at its top: a module of that name would hide it."""
    found: set[str] = set()
    for node in ast.parse(source).body:
        match node:
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {alias.asname or alias.name.partition(".")[0] for alias in names}
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Assign(targets=targets):
                found |= {one.id for one in targets if isinstance(one, ast.Name)}
            case _:
                pass
    return frozenset(found)


def _statement(package: str, names: list[str]) -> str:
    short = f"from {package} import {', '.join(names)}\n"
    if len(short) <= WIDTH + 1:
        return short
    return "\n".join([f"from {package} import (", *(f"    {one}," for one in names), ")\n"])
