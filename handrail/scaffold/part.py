"""A new part of a project: context, saga, projection or consumer, with test and lines in app.py."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from handrail.scaffold.app_edit import Entry, NotMarked, bound_names, with_entry, with_import
from handrail.scaffold.files import Exists, write_new
from handrail.scaffold.names import checked, class_name, slug
from handrail.scaffold.templates import filled

Kind = Literal["context", "saga", "projection", "consumer"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True)
class Edit:
    """Of a file: an import from the project's package `package`, and lines above comments.

    `file` stands beside the module with the App; "": that module itself. `{name}` is the part's.
    """

    package: str
    entries: Sequence[Entry]
    file: str = ""


_EDITS: Final[Mapping[Kind, Sequence[Edit]]] = {
    "context": (
        Edit(
            "contexts",
            (
                Entry(
                    "# handrail new context NAME: its activities",
                    "{name}.CONTEXT.name: {name}.activities(resources.store),",
                ),
                Entry("# handrail new context NAME", "{name}.CONTEXT,"),
            ),
        ),
    ),
    "saga": (
        Edit(
            "sagas",
            (
                Entry("# handrail new saga NAME", "{name}.SAGA,"),
                Entry("# handrail new saga NAME: its scope", '"{slug}:write": "Start {Name}.",'),
                Entry("# handrail new saga NAME: an operator may start it", '"{slug}:write",'),
            ),
        ),
        Edit("routes", (Entry("# handrail new saga NAME: its route", "{name}.router,"),), "api.py"),
    ),
    "projection": (
        Edit("projections", (Entry("# handrail new projection NAME", "{name}.PROJECTION,"),)),
    ),
    "consumer": (Edit("consumers", (Entry("# handrail new consumer NAME", "{name}.CONSUMER,"),)),),
}
_NEEDS: Final[Mapping[Kind, Sequence[str]]] = {
    "context": (),
    "saga": ("Request{}", "Abandon{}", "Hold{}", "Release{}", "Confirm{}", "Announce{}", "{}"),
    "projection": (
        *("{}Requested", "{}Held", "{}Refused", "{}Released", "{}Confirmed", "{}Announced"),
        "{}Abandoned",
    ),
    "consumer": ("{}Confirmed", "{}Released"),
}
"""The classes of a context that the written module or its test uses."""


class NoProject(Exception):
    """The folder has no project, or a context that does not have what is needed."""


@dataclass(frozen=True)
class Project:
    """`app` is the package in `folder`, and `app_file` the module with its App."""

    folder: Path
    app: str
    app_file: Path

    @classmethod
    def at(cls, folder: Path, module: str) -> Project:
        """Where `module` is what pyproject.toml names. Raises NoProject."""
        app, _, rest = module.partition(".")
        file = folder.joinpath(*module.split(".")).with_suffix(".py")
        if not rest or not file.is_file():
            raise NoProject(
                f"{file} is not there, or in no package: `handrail new app NAME` writes a project"
                " that can be added to"
            )
        return cls(folder, app, file)

    def context_file(self, context: str) -> Path:
        return self.folder / self.app / "contexts" / f"{context}.py"


def new_part(project: Project, kind: Kind, name: str, context: str = "") -> Sequence[Path]:
    """The files that were written or edited; all of them, or none.

    `context` is what a saga, projection or consumer is about; "": the first that app.py imports.

    Raises WrongName, Exists, NotMarked, and NoProject where the context has not what is needed.
    """
    checked(name)
    source = project.app_file.read_text(encoding="utf-8")
    about = "" if kind == "context" else _context(project, source, kind, context)
    names = {
        "app": project.app,
        "name": name,
        "slug": slug(name),
        **({"context": about} if about else {}),
    }
    edited = dict(_edited(project, kind, name))
    texts = {
        path: filled(f"{kind}/{template}", **names)
        for path, template in _written(project, kind, name).items()
    }
    write_new(project.folder, texts)
    for file, text in edited.items():
        file.write_text(text, encoding="utf-8")
    return [*(project.folder / path for path in texts), *edited]


def _written(project: Project, kind: Kind, name: str) -> Mapping[str, str]:
    """The template of each new file, by its path in the project."""
    route = {f"{project.app}/routes/{name}.py": "route.py.txt"} if kind == "saga" else {}
    return {
        f"{project.app}/{kind}s/{name}.py": f"{kind}.py.txt",
        f"tests/test_{name}.py": "test.py.txt",
        **route,
    }


def _edited(project: Project, kind: Kind, name: str) -> Iterator[tuple[Path, str]]:
    """Each file that lists the part, with its new text."""
    for edit in _EDITS[kind]:
        file = project.app_file.with_name(edit.file or project.app_file.name)
        if not file.is_file():
            raise NoProject(f"{file} is not there, and a new {kind} is listed in it: write it")
        text = file.read_text(encoding="utf-8")
        if name in bound_names(text):
            raise Exists(f"{file} has the name {name} already: take another name")
        try:
            text = with_import(text, f"{project.app}.{edit.package}", name)
            for entry in edit.entries:
                line = entry.line.format(name=name, slug=slug(name), Name=class_name(name))
                text = with_entry(text, Entry(entry.marker, line))
        except NotMarked as missing:
            raise NotMarked(f"{file} {missing}") from None
        yield file, text


def _context(project: Project, source: str, kind: Kind, wanted: str) -> str:
    context = wanted or _first_context(project, source)
    file = project.context_file(checked(context))
    if not file.is_file():
        raise NoProject(f"{file} is not there: `handrail new context {context}` writes it")
    there = {
        one.name
        for one in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(one, ast.ClassDef)
    }
    needed = [form.format(class_name(context)) for form in _NEEDS[kind]]
    if missing := [one for one in needed if one not in there]:
        raise NoProject(
            f"{file} has no {', '.join(missing)}, which the {kind} that is written uses: write a"
            f" context with `handrail new context NAME`, and name it with --context NAME"
        )
    return context


def _first_context(project: Project, source: str) -> str:
    package = f"{project.app}.contexts"
    for one in ast.parse(source).body:
        if isinstance(one, ast.ImportFrom) and one.module == package:
            return one.names[0].name
    raise NoProject(
        f"{project.app_file} imports nothing from {package}: write a context first, with `handrail"
        " new context NAME`"
    )
