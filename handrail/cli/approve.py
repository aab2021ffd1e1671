"""`handrail approve`: what another person has proposed, shown and done."""

from __future__ import annotations

from typing import Annotated

import orjson
from cyclopts import Parameter
from rich.console import Console

from handrail import bounds
from handrail.cli.api_client import Api
from handrail.cli.bounded_options import within
from handrail.cli.bulk import Result
from handrail.cli.options import Json
from handrail.cli.sagas import run_with_api


def approve(
    proposal: Annotated[
        str, Parameter(help="The proposal, as its proposer was told.", validator=within(bounds.ID))
    ],
    /,
    *,
    yes: Annotated[
        bool, Parameter(negative="", help="Approve it, and do not only show what it does.")
    ] = False,
    json: Json = False,
) -> int:
    """Show what another person has proposed and, with --yes, approve it: it is done then."""

    def work(api: Api, console: Console) -> Result:
        found = api.get(f"/proposals/{proposal}")
        console.print(f"{found['proposed_by']} proposes {found['action']}", markup=False)
        console.print(orjson.dumps(found["body"]).decode(), markup=False)
        if not yes:
            console.print("nothing is done: --yes approves it")
            return 0, found
        done = api.approve(proposal, found["action"], found["body"])
        console.print("approved, and done")
        return 0, {**found, "answer": done}

    return run_with_api(work, json=json)
