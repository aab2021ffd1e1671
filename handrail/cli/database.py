"""`handrail database`: the roles of the processes, from the code that declares them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from handrail.dev.lock import joined
from handrail.load_app import load_settings, the_app
from handrail.settings import require

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
    try:
        return (
            run.print_sql(the_app(), settings) if sql else run.roles(the_app(), settings, passwords)
        )
    except run.CANNOT as wrong:
        print(wrong, file=sys.stderr)
        return 1
