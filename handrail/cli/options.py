"""Options that many commands have."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from handrail import bounds
from handrail.cli.bounded_options import within

Json = Annotated[
    bool, Parameter(negative="", help="Print one JSON object as the last line of the output.")
]
"""The option `--json`: one JSON object as the last line of the output."""
Reason = Annotated[
    str | None,
    Parameter(help="Why: it is stored in the audit.", validator=within(bounds.REASON)),
]
"""The option `--reason` of an act whose reason is stored in the audit alone."""
Wide = Annotated[
    bool, Parameter(negative="", help="Show all columns of tables, however narrow the terminal is.")
]
"""The option `--wide`: all columns of tables."""
Broker = Annotated[
    bool, Parameter(negative="", help="Start a RabbitMQ, too, where the settings name none.")
]
