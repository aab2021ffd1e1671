"""`handrail restore`: what a store that was restored has lost, and how it is adopted."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from handrail import bounds
from handrail.cli.api_client import login_name
from handrail.cli.bounded_options import within
from handrail.cli.command_runner import run_database_job
from handrail.cli.operator_act import OperatorAct
from handrail.cli.options import Json
from handrail.load_app import the_app
from handrail.restore import commands as run

restore = App(name="restore", help="A server that was lost, promoted or restored from a backup.")


@restore.command
def check(*, json: Json = False) -> int:
    """Which store this is and was, and what others know that it does not have.

    The exit code is 1 where it is another one, or something is lost. Nothing is changed.
    """
    return run_database_job(
        "restore",
        lambda settings: run.check(
            settings, the_app().codec, event_ids=the_app().event_ids, json=json
        ),
    )


@restore.command
def adopt(
    *,
    because: Annotated[
        str, Parameter(help="Why, for whoever reads it later.", validator=within(bounds.REASON))
    ],
    yes: Annotated[bool, Parameter(negative="", help="Do it. Without it: say what it is.")] = False,
    dry_run: Annotated[
        bool, Parameter(negative="", help="Say what would be done, as without --yes.")
    ] = False,
    same_server: Annotated[
        bool,
        Parameter(negative="", help="Though nothing shows it: its disk was put back, say."),
    ] = False,
    json: Json = False,
) -> int:
    """Begin a new epoch with the store as it is. Without --yes it only says what it would do."""
    return run_database_job(
        "restore",
        lambda settings: run.adopt(
            settings,
            the_app().codec,
            event_ids=the_app().event_ids,
            because=because,
            by=login_name(),
            yes=yes and not dry_run,
            same_server=same_server,
            json=json,
        ),
        act=OperatorAct("restore adopt", "", None, because, first=False)
        if yes and not dry_run
        else None,
    )
