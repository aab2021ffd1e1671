"""`handrail new`: write a project, or a part of the project in this folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from handrail.load_app import BAD_APP

if TYPE_CHECKING:
    from handrail.scaffold.part import Kind

# The modules behind the commands are imported inside them: a process loads only what it runs.
# ruff: noqa: PLC0415

About = Annotated[
    str, Parameter(help="The context that it is about. Without it, the first one in app.py.")
]

_NEXT: Final = {
    "context": """\
{module}: change its commands, its events, and what it decides
python -m pytest {test}
handrail new saga NAME --context {name}   # a saga over its commands, and a route that starts it""",
    "saga": """\
{module}: change its steps, and what takes each of them back
python -m pytest {test} --saga-coverage   # every failure at every step
handrail sagas explain {saga}   # its steps, and what each leads to when it goes wrong
handrail up                     # then: PUT /{slug}/KEY with {{"quantity": 2}} starts it""",
    "projection": """\
{module}: change its columns, and how each event changes a row
python -m pytest {test}
handrail up   # makes its table, and keeps it up to date; a route reads it""",
    "consumer": """\
{module}: change what it wants, and what it does with it
python -m pytest {test}
handrail up   # runs it, beside all else""",
}
"""What can be done with a new part, by its kind."""

new = App(name="new", help="Write a project, or a part of one.")


@new.command
def app(name: str) -> int:
    """Write a project that runs, in a new folder NAME: one context, saga, projection, resource."""
    from handrail.scaffold.project import new_project

    return _written(
        lambda: [
            f"{new_project(name, Path.cwd())} is written.",
            "",
            "Next:",
            f"  cd {name}",
            "  make demo                   # everything on this machine, and the proof",
            "  make test                   # every failure at every step of every saga",
            "  handrail new context NAME   # commands, events, and what decides about them",
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
    from handrail.scaffold.names import class_name, slug
    from handrail.scaffold.part import Project, new_part

    def work() -> list[str]:
        folder, module = named_app(Path.cwd())
        files = new_part(Project.at(folder, module), kind, name, context)
        module, test, *more = (str(file.relative_to(folder)) for file in files)
        next_steps = _NEXT[kind].format(
            name=name, module=module, test=test, saga=class_name(name), slug=slug(name)
        )
        written = [f"{file} is written." for file in (module, test, *more)]
        return [*written, "", "Next:", indent(next_steps, "  ")]

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
