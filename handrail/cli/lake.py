"""`handrail lake`: export the events to the data lake, and ask it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter, validators

from handrail.cli.command_runner import run_database_job, run_service
from handrail.cli.operator_act import OperatorAct
from handrail.cli.options import Json, Wide
from handrail.load_app import load_settings, the_app
from handrail.optional_deps import require_extra
from handrail.processes import lake_exporter as run

lake = App(name="lake", help="The data lake: the same events, to be asked anything.")
AsOf = Annotated[
    datetime | None,
    Parameter(help="What was known then, such as 2026-03-02T12:00; in UTC. Without it: now."),
]


@lake.command
def export(
    *,
    once: Annotated[bool, Parameter(negative="", help="End when all is exported.")] = False,
) -> int:
    """Write the events to the lake, each once, as long as it runs."""
    run.require_it()
    if once:
        return run_database_job("lake", run.catch_up, role="lake")
    return run_service("lake", run.export, "database_url")


@lake.command
def forget(
    *,
    yes: Annotated[
        bool, Parameter(negative="", help="Do it, and do not only say what it means.")
    ] = False,
    json: Json = False,
) -> int:
    """Forget what was exported: nothing more is kept for the lake; it stays, and gets no more.

    The next export begins with the first event, in an empty folder. Without --yes it only says so;
    the exit code is 1 then.
    """
    return run_database_job(
        "lake",
        lambda settings: run.forget(settings, yes=yes, json=json),
        act=OperatorAct("lake forget") if yes else None,
    )


@lake.command
def questions() -> int:
    """Which questions are ready to be asked by their name."""
    for one in the_app().lake().questions:
        print(f"{one.name:<12} {one.title}")
    return 0


@lake.command
def query(
    sql: Annotated[str, Parameter(help="A SELECT, or the name of a ready question.")],
    *,
    as_of: AsOf = None,
    seconds: Annotated[
        float,
        Parameter(
            help="How long the answer may take.", validator=validators.Number(gt=0, lte=86_400)
        ),
    ] = 300.0,
    wide: Wide = False,
    json: Json = False,
) -> int:
    """Ask the lake. Its tables: `events`, and one for each kind of event: `saga_started`."""
    run.require_it()
    from handrail.cli.lake_output import answer  # noqa: PLC0415  # it needs the extra

    folder, at = load_settings().lake_folder, _in_utc(as_of)
    return answer(the_app(), folder, sql, at, json=json, seconds=seconds, wide=wide)


@lake.command
def report(
    file: Annotated[Path, Parameter(help="The file to write.")] = Path("handrail-report.html"),
    *,
    as_of: AsOf = None,
) -> int:
    """Write what the events say as one HTML file, with charts."""
    run.require_it()
    require_extra("report", "matplotlib")
    from handrail.cli.lake_output import write_report  # noqa: PLC0415  # it needs the extra

    return write_report(the_app(), load_settings().lake_folder, file, _in_utc(as_of))


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
