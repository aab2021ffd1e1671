"""`handrail contracts`: what is promised of events, compared with files or other revisions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from handrail.cli.options import Json, Wide
from handrail.load_app import the_app
from handrail.messaging.contracts.committed import FOLDER
from handrail.messaging.contracts.diff import Verdict

# The modules behind the commands are imported inside them: a process loads only what it runs.
# ruff: noqa: PLC0415

contracts = App(
    name="contracts",
    help="What is promised of events: compared with files, and with another revision.",
)
Folder = Annotated[Path, Parameter(help="Where they are.")]
Demanded = Literal["full", "backward", "forward", "none"]


@contracts.default
def compare(
    *,
    write: Annotated[bool, Parameter(negative="", help="Write the files anew.")] = False,
    folder: Folder = FOLDER,
) -> int:
    """Compare what is promised of events with the schemas and the AsyncAPI document in files."""
    from handrail.cli import contracts as run

    return run.write(folder, the_app()) if write else run.check(folder, the_app())


@contracts.command
def diff(
    old: Annotated[str, Parameter(help="A folder of contracts, or a commit of this repository.")],
    new: Annotated[str, Parameter(help="What it is compared with, likewise.")] = str(FOLDER),
    *,
    require: Annotated[
        Demanded, Parameter(help="End with 1 where an event that changed is less than this.")
    ] = "none",
    except_: Annotated[
        tuple[str, ...],
        Parameter(name="--except", help="An event that may be less than required; repeatable."),
    ] = (),
    folder: Annotated[Path, Parameter(help="Where a commit has its contracts.")] = FOLDER,
    wide: Wide = False,
    json: Json = False,
) -> int:
    """Say of each event that changed which way it is compatible, and what reads it.

    `backward`: what NEW deploys reads the events that OLD wrote. `forward`: what OLD deployed reads
    the events that NEW writes. `full` is both, `none` neither. Conversions count where NEW declares
    them: an up-cast is a way backward, a down-cast a way forward.
    """
    from handrail.cli import contract_diff as run

    return run.diff(old, new, folder, Verdict(require), except_, json=json, wide=wide)
