"""`handrail topology`: what there is at the broker, from the code that declares it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

from cyclopts import App, Parameter

from handrail.cli import topology_commands as run
from handrail.cli.command_runner import run_job
from handrail.cli.operator_act import OperatorAct
from handrail.cli.options import Json, Wide
from handrail.dev.lock import joined
from handrail.load_app import load_settings
from handrail.settings import Settings, require

topology = App(name="topology", help="What there is at the broker, and who may do what.")


@topology.command
def apply(
    *,
    prune: Annotated[
        bool, Parameter(negative="", help="Delete what is there and should not be.")
    ] = False,
) -> int:
    """Make and change at the broker what is not as declared, and see that events come."""
    act = OperatorAct("topology apply", "--prune" if prune else "")
    return _at_the_broker(lambda settings: run.apply(settings, prune=prune), act)


@topology.command
def diff(*, json: Json = False) -> int:
    """What is missing, different or unknown at the broker. The exit code is 1 if something is."""
    return _at_the_broker(lambda settings: run.diff(settings, json=json))


@topology.command
def status(*, wide: Wide = False, json: Json = False) -> int:
    """How events come from one virtual host to the next. The exit code is 1 where they do not, or
    where messages wait for a person.
    """
    return _at_the_broker(lambda settings: run.status(settings, json=json, wide=wide))


@topology.command
def export() -> int:
    """Print the definitions that a fresh broker imports when it begins. They are a secret."""
    settings = joined(load_settings())
    require(settings, *run.NEEDS)
    return run.export(settings)


def _at_the_broker(
    work: Callable[[Settings], Awaitable[int]], act: OperatorAct | None = None
) -> int:
    settings = joined(load_settings())
    require(settings, *run.NEEDS)
    if act is not None and settings.database_url is None:  # where a deployment does it by itself
        print("not stored in the audit: HANDRAIL_DATABASE_URL is not set", file=sys.stderr)
        act = None
    return run_job(settings, "topology", work, act=act)
