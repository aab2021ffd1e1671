"""Corrected input for a parked step: what may be changed, and what is kept of the change."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from temporalio.exceptions import ApplicationError

from domain.command_fields import why_not_correctable, wrong_value
from domain.kernel import Command


def check_correction(asked: Command, corrected: Command | None) -> None:
    """Another command, or one about other things, or other money, is no correction; nor is what
    no request may say.

    Raises ApplicationError of the type `WrongCorrection`, whose message names the field.
    """
    if type(corrected) is not type(asked):
        got = "nothing" if corrected is None else type(corrected).__name__
        raise _wrong(f"a correction of {type(asked).__name__} is one, not {got}")
    if corrected == asked:
        raise _wrong("the correction changes nothing: use retry")
    for name in _changed(asked, corrected):
        if said := why_not_correctable(type(asked), name):
            raise _wrong(f"{name} {said}")
        if wrong := wrong_value(corrected, name):
            path, said = wrong
            raise _wrong(f"{'.'.join(map(str, path))}: {said}")


def in_words(asked: Command, corrected: Command) -> str:
    """JSON, one member for each field that was changed, with what it was and what it is now."""
    changed = {
        name: {"was": _plain(getattr(asked, name)), "is": _plain(getattr(corrected, name))}
        for name in _changed(asked, corrected)
    }
    return json.dumps(changed, sort_keys=True)


def _changed(asked: Command, corrected: Command) -> list[str]:
    names = [field.name for field in fields(asked)]
    return [name for name in names if getattr(asked, name) != getattr(corrected, name)]


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _wrong(said: str) -> ApplicationError:
    return ApplicationError(said, type="WrongCorrection")
