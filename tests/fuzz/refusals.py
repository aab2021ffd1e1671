"""A check for Schemathesis: a request that fits the document is refused for a reason that the
document cannot say, and for no other.
"""

from __future__ import annotations

import re
from typing import Any, Final

import schemathesis

_FORM: Final = ("malformed-request", "invalid-request", "malformed-header")
"""Problems of a request's form, which the document describes."""
_WITHOUT_A_WORD: Final = tuple(
    map(
        re.compile,
        (
            # An opaque text that an answer of ours gave out before.
            r"Handrail-Token: not a token that a write was answered with",
            r"Last-Event-ID: not the id of an event of this saga",
            # JSON Schema has no bounds of dates (the document has `formatMinimum` and
            # `formatMaximum`), no time zones, and takes 1.0 for an integer.
            r"\S+: Input should be (greater|less) than or equal to [0-9T:Z-]+",
            r"\S+: Input should be a valid integer",
            r"\S+: Input should be less than or equal to 9223372036854775807",
            r"#/time_zone: no time zone of the IANA database, such as Europe/Berlin",
            # Fields that have to fit each other.
            r"#/correction: (retry|skip|resolve|compensate) corrects nothing",
            r"#/correction: correct needs the fields to change",
            r"#/happened: \w+ says nothing about what happened",
            r"#/evidence: (skip|resolve) needs evidence: what it rests on",
            r"#/filter(/step)?: .+",
            r"#/quiet_hours: .*begin and end are the same.*",
        ),
    )
)


@schemathesis.check
def refused_for_a_reason(_ctx: Any, response: Any, case: Any) -> None:
    """Problems that are no matter of form are about what there is in the stores."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if response.status_code not in {400, 422}:
        return
    problem = response.json()
    if problem["type"].rpartition("/")[2] not in _FORM:
        return
    for one in problem["errors"] or [problem]:
        said = f"{one.get('pointer') or one.get('parameter') or one.get('header')}: {one['detail']}"
        assert any(fits.fullmatch(said) for fits in _WITHOUT_A_WORD), (
            f"it fits the document, and is refused: {said}"
        )
