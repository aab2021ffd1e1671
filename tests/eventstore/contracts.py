"""What is stored of a message: its name, its version, and all its fields down to plain values.

`python -m tests.eventstore.contracts` prints the line of every message as it is now.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, NewType, Union, get_args, get_origin

from handrail.eventstore.codec import Codec
from runtime.app import HANDRAIL


def contract(cls: type, codec: Codec = HANDRAIL.codec) -> str:
    """One line, like `LimitAssigned v1: customer str, held.amount int, held.currency str`."""
    fields = ", ".join(_fields(cls, "", codec))
    return f"{cls.__name__} v{codec.version(cls.__name__)}: {fields}".rstrip(" :")


def contracts(codec: Codec = HANDRAIL.codec) -> list[str]:
    return sorted(contract(cls, codec) for cls in codec.classes.values())


def _fields(cls: type, prefix: str, codec: Codec) -> Iterator[str]:
    hints = typing.get_type_hints(cls)
    keys = {codec.key_of(cls, field.name): field.name for field in dataclasses.fields(cls)}
    for key, field in sorted(keys.items()):
        yield from _values(hints[field], prefix + key, codec)


def _values(annotation: Any, path: str, codec: Codec) -> Iterator[str]:
    arguments = get_args(annotation)
    if isinstance(annotation, NewType):
        yield from _values(annotation.__supertype__, path, codec)
    elif get_origin(annotation) is tuple:
        yield from _values(arguments[0], f"{path}[]", codec)
    elif get_origin(annotation) is Literal:
        yield f"{path} {'|'.join(sorted(arguments))}"
    elif get_origin(annotation) in (Union, types.UnionType):
        for argument in arguments:
            yield from _values(argument, f"{path}?", codec)
    elif dataclasses.is_dataclass(annotation):
        yield from _fields(typing.cast("type", annotation), f"{path}.", codec)
    else:
        yield f"{path} {annotation.__name__}"


if __name__ == "__main__":
    print("\n".join(contracts()))  # noqa: T201
