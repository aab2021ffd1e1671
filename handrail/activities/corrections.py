"""A command with some of its fields changed, read as strictly as if it came from outside."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, cast

import orjson
from pydantic import TypeAdapter, ValidationError

from handrail.command_fields import Path, why_not_correctable, wrong_value
from handrail.kernel import Command
from handrail.personal import holds_sealed


class WrongCorrection(Exception):
    """The command has no such field, or the field takes no such value; `path` leads to it."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{'.'.join(map(str, path))}: {message}")
        self.path = path
        self.said = message


def corrected(command: Command, changes: Mapping[str, Any]) -> Command:
    """`changes` are JSON values by the names of fields; a value is replaced as a whole.

    Raises WrongCorrection for the first of them that does not fit: the field may not be corrected,
    or takes no such value, or not within the bounds of a request.
    """
    instead = _read(command, changes)
    changed = [
        one.name
        for one in fields(command)
        if getattr(instead, one.name) != getattr(command, one.name)
    ]
    for name in changed:
        if message := why_not_correctable(type(command), name):
            raise WrongCorrection((name,), message)
        if wrong := wrong_value(instead, name):
            raise WrongCorrection(*wrong)
    return instead


@cache
def _adapter(command: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(command)


def _read(command: Command, changes: Mapping[str, Any]) -> Command:
    adapter = _adapter(cast("Hashable", type(command)))
    for name, value in changes.items():
        try:
            written = orjson.dumps({name: value}).decode()
        except orjson.JSONEncodeError:
            raise WrongCorrection((name,), "holds what cannot be stored") from None
        if holds_sealed(written):
            raise WrongCorrection((name,), "holds a sealed text: say it in clear")
    whole = {**adapter.dump_python(command, mode="json"), **changes}
    try:
        read: Command = adapter.validate_json(orjson.dumps(whole), strict=True, extra="forbid")
    except ValidationError as wrong:
        first = wrong.errors()[0]
        message = first["msg"]
        if first["type"] == "unexpected_keyword_argument":
            message = f"{type(command).__name__} has no such field"
        raise WrongCorrection(first["loc"], message) from None
    return read
