"""`handrail contracts`: what is promised of events, and which forms of them may be written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from handrail.cli.command_runner import run_database_job
from handrail.cli.operator_act import OperatorAct
from handrail.cli.options import Json, Wide
from handrail.load_app import the_app
from handrail.messaging.contracts.committed import FOLDER
from handrail.messaging.contracts.diff import Verdict

contracts = App(name="contracts", help="What is promised of events.")
Demanded = Literal["full", "backward", "forward", "none"]


@contracts.default
def compare(
    *,
    write: Annotated[bool, Parameter(negative="", help="Write the files anew.")] = False,
    folder: Annotated[Path, Parameter(help="Where they are.")] = FOLDER,
) -> int:
    """Compare what is promised of events with the schemas and the AsyncAPI document in files."""
    from handrail.cli import contracts as run  # noqa: PLC0415  # it loads what other commands do not

    return run.write(folder, the_app()) if write else run.check(folder, the_app())


@contracts.command
def level(
    event: Annotated[str | None, Parameter(help="One event, by its name. Without: all.")] = None,
    /,
    *,
    to: Annotated[int | None, Parameter(help="Raise it to this version, for ever.")] = None,
    wide: Wide = False,
    json: Json = False,
) -> int:
    """Which forms of events may be written, and which processes hold back newer ones.

    With --to the level is raised, once all live processes can read that version; the exit code is 1
    where one of them cannot. A level is never lowered.
    """
    from handrail.cli import levels as run  # noqa: PLC0415  # it loads psycopg

    app = the_app()
    if to is not None:
        if event is None:
            raise ValueError("--to needs the name of an event")
        return run_database_job(
            "contracts",
            lambda one: run.raise_to(app.codec, one, event, to),
            act=OperatorAct("contracts level", f"{event} v{to}"),
        )
    return run_database_job(
        "contracts", lambda one: run.show(app.codec, one, event, wide=wide, json=json)
    )


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
    from handrail.cli import contract_diff as run  # noqa: PLC0415  # it loads what others do not

    return run.diff(old, new, folder, Verdict(require), except_, json=json, wide=wide)


@contracts.command
def readers(
    event: Annotated[str, Parameter(help="The event, by its name or an earlier one.")],
    *,
    wide: Wide = False,
    json: Json = False,
) -> int:
    """What reads each form of an event: queues by their bindings, consumers, read models and views.

    The exit code is 1 where a queue is bound to a form that the newest cannot be published in.
    """
    from handrail.cli import contract_readers as run  # noqa: PLC0415  # it loads psycopg

    app = the_app()
    return run_database_job(
        "contracts", lambda one: run.readers(app, one, event, json=json, wide=wide)
    )
