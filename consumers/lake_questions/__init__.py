"""The ready questions: each is a file of SQL, which may be copied and changed."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from handrail.lake.plan import Question

REFUSALS: Final = Question(__name__, "refusals", "Refusals by reason and merchant")
DELIVERY: Final = Question(__name__, "delivery", "Time from order to delivery")
ARREARS: Final = Question(__name__, "arrears", "Instalment arrears by cohort")
VINTAGES: Final = Question(
    __name__, "vintages", "Arrears by cohort and months since the plans were opened"
)

QUESTIONS: Final = (REFUSALS, DELIVERY, ARREARS, VINTAGES)
VIEWS: Final = {"instalments": (files(__name__) / "instalments.sql").read_text()}
"""What the questions ask, beside the views of events."""
