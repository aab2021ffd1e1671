"""The bounds of what a workflow is told: a validator refuses what goes beyond them."""

from __future__ import annotations

from typing import Any

from temporalio.exceptions import ApplicationError

from handrail.bounds import Bound, Text


def check_bounds(*values: tuple[Bound, Any]) -> None:
    """Raises ApplicationError of the type `WrongValue`, whose message says why."""
    for bound, value in values:
        if message := bound.wrong_with(value):
            raise ApplicationError(message, type="WrongValue")


def check_texts(*values: tuple[Text, str]) -> None:
    """As `check_bounds`, of texts that may be missing."""
    check_bounds(*((bound, value) for bound, value in values if value))
