"""`handrail database`: the roles of the processes, from the code that declares them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from handrail.cli.operator_act import OperatorAct, audited
from handrail.dev.lock import joined
from handrail.load_app import load_settings, the_app
from handrail.refused_settings import require
from handrail.settings import Settings

database = App(name="database", help="Which process may do what in the database.")


@database.command
def roles(
    *,
    passwords: Annotated[
        Path | None,
        Parameter(
            help="A folder with a file for each login whose password is to be set: `worker`, "
            "`consumer-NAME`. The first line of the file is the password."
        ),
    ] = None,
    sql: Annotated[
        bool,
        Parameter(negative="", help="Print what a DBA runs, where the owner may make no roles."),
    ] = False,
) -> int:
    """Make the roles, give each its rights, and say what that changed."""
    from handrail.cli import database_commands as run  # noqa: PLC0415  # it loads SQLAlchemy

    settings = joined(load_settings())
    if settings.owner_url is None:
        require(settings, "database_url")
    if sql:
        return _unless_it_cannot(lambda: run.print_sql(the_app(), settings))
    as_owner = settings.model_copy(
        update={"database_url": settings.owner_url, "database_passwords": (), "database_role": ""}
    )

    async def work(_: Settings) -> int:
        return _unless_it_cannot(lambda: run.roles(the_app(), settings, passwords))

    # It may be what makes that acts can be stored: this one is stored afterwards.
    act = OperatorAct("database roles", str(passwords or ""), first=False)
    return asyncio.run(audited(as_owner, act, work))


def _unless_it_cannot(work: Callable[[], int]) -> int:
    from handrail.cli import database_commands as run  # noqa: PLC0415  # it loads SQLAlchemy

    try:
        return work()
    except run.CANNOT as wrong:
        print(wrong, file=sys.stderr)
        return 1
