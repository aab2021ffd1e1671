"""`handrail new`: write a project, or a part of the project in this folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from handrail.load_app import BAD_APP

if TYPE_CHECKING:
    from handrail.scaffold.part import Kind

# The modules behind the commands are imported inside them: a process loads only what it runs.
# ruff: noqa: PLC0415

About = Annotated[
    str, Parameter(help="The context that it is about. Without it, the first one in app.py.")
]

new = App(name="new", help="Write a project, or a part of one.")


@new.command
def app(name: str) -> int:
    """Write a project that runs, in a new folder NAME: one context, saga, projection, resource."""
    from handrail.scaffold.project import new_project

    return _written(
        lambda: [
            f"{new_project(name, Path.cwd())} is written.",
            f"cd {name} && make demo",
        ]
    )


@new.command
def context(name: str) -> int:
    """Add a context: commands, events and a decider, with its test."""
    return _part("context", name)


@new.command
def saga(name: str, *, context: About = "") -> int:
    """Add a saga over the commands of a context, with every failure at every step as its test."""
    return _part("saga", name, context)


@new.command
def projection(name: str, *, context: About = "") -> int:
    """Add a read model of the events of a context, with its test."""
    return _part("projection", name, context)


@new.command
def consumer(name: str, *, context: About = "") -> int:
    """Add a consumer of the events of a context, with its test."""
    return _part("consumer", name, context)


def _part(kind: Kind, name: str, context: str = "") -> int:
    from handrail.load_app import named_app
    from handrail.scaffold.part import Project, new_part

    def work() -> list[str]:
        folder, module = named_app(Path.cwd())
        files = new_part(Project.at(folder, module), kind, name, context)
        return [f"{file.relative_to(folder)} is written." for file in files]

    return _written(work)


def _written(work: Callable[[], list[str]]) -> int:
    """What was written, or the sentence that says why nothing was."""
    from handrail.load_app import NoApp
    from handrail.scaffold.app_edit import NotMarked
    from handrail.scaffold.files import Exists
    from handrail.scaffold.names import WrongName
    from handrail.scaffold.part import NoProject

    try:
        print(*work(), sep="\n")
    except (Exists, NoApp, NoProject, NotMarked, WrongName) as refused:
        print(refused, file=sys.stderr)
        return BAD_APP
    return 0
