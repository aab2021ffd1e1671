"""`handrail new`: write a project, or a part of the project in this folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from cyclopts import App

from handrail.load_app import BAD_APP

# The modules behind the commands are imported inside them: a process loads only what it runs.
# ruff: noqa: PLC0415

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


def _written(work: Callable[[], list[str]]) -> int:
    from handrail.scaffold.files import Exists
    from handrail.scaffold.names import WrongName

    try:
        print(*work(), sep="\n")
    except (Exists, WrongName) as refused:
        print(refused, file=sys.stderr)
        return BAD_APP
    return 0
