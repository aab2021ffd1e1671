"""Corrected input for a parked step: what may be changed, and what is kept of the change."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any, get_type_hints

from temporalio.converter import PayloadConverter
from temporalio.exceptions import ApplicationError

from handrail.command_fields import why_not_correctable, wrong_value
from handrail.kernel import Command


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
        if message := why_not_correctable(type(asked), name):
            raise _wrong(f"{name} {message}")
        if wrong := wrong_value(corrected, name):
            path, message = wrong
            raise _wrong(f"{'.'.join(map(str, path))}: {message}")


def in_words(asked: Command, corrected: Command, converter: PayloadConverter) -> str:
    """JSON, one member for each field that was changed, with what it was and what it is now."""
    changed = {
        name: {
            "was": _plain(getattr(asked, name), converter),
            "is": _plain(getattr(corrected, name), converter),
        }
        for name in _changed(asked, corrected)
    }
    return json.dumps(changed, sort_keys=True)


def as_corrected(
    asked: Command, corrections: Iterable[str], converter: PayloadConverter
) -> Command:
    """The command as persons corrected it, each in the words of `in_words`.

    A field is as it is now where it was what the person saw. What is no correction of this command
    changes nothing: it is asked as it is, and waits for a person again if that is wrong.
    """
    for correction in corrections:
        corrected = replace(asked, **_changes(asked, json.loads(correction), converter))
        try:
            check_correction(asked, corrected)
        except ApplicationError:
            continue
        asked = corrected
    return asked


def _changes(asked: Command, words: dict[str, Any], converter: PayloadConverter) -> dict[str, Any]:
    hints = get_type_hints(type(asked))
    changes = {}
    for name in sorted(words.keys() & hints):
        if _plain(getattr(asked, name), converter) != words[name]["was"]:
            continue
        # What code wrote that kept the words of a value, not the value, cannot be read.
        with contextlib.suppress(ValueError):
            now = converter.to_payload(words[name]["is"])
            changes[name] = converter.from_payload(now, hints[name])
    return changes


def _changed(asked: Command, corrected: Command) -> list[str]:
    names = [field.name for field in fields(asked)]
    return [name for name in names if getattr(asked, name) != getattr(corrected, name)]


def _plain(value: Any, converter: PayloadConverter) -> Any:
    return json.loads(converter.to_payload(value).data)


def _wrong(message: str) -> ApplicationError:
    return ApplicationError(message, type="WrongCorrection")
