"""The laws of changes, and messages to try them on.

What was lowered and lifted again is what it was, but for the fields that the change declares to
lose; and what was lowered, lifted and lowered again is what was lowered. A personal text may be
sealed: a change passes it on as it is.
"""

from __future__ import annotations

import dataclasses
import random
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal, NewType, get_args, get_origin

import orjson

from handrail.eventstore.codec import Codec
from handrail.evolution.changes import Change
from handrail.evolution.forms import CannotBeLowered, Data, Form, Piece, same_but_for
from handrail.personal import MARK, SEALED, Personal, holds_sealed

_WORDS: Final = (
    *("", "a", "É ß", "two words", "7", "null", "\U0001f511"),
    *(" padded ", "two\nlines", "e\u0301", 100 * "long "),
)
_SEALED: Final = tuple(f"{MARK}sealed:{one * 32}:field:{one * 40};" for one in "0a")
_REMAINS: Final = re.compile(rf"{MARK}|sealed:", re.IGNORECASE)
_NUMBERS: Final = (0, 1, -1, 7, 59, 60, 61, 999, -1_000, 2**31, 2**53 + 1, 2**63 - 1)
_DAY: Final = date(2026, 1, 31)
_MOMENT: Final = datetime(2026, 1, 31, 23, 59, 59, 1, tzinfo=UTC)
_PLAIN: Final[Mapping[Any, Callable[[random.Random], Any]]] = {
    str: lambda seed: seed.choice(_WORDS),
    int: lambda seed: seed.choice(_NUMBERS),
    bool: lambda seed: seed.choice((False, True)),
    date: lambda seed: _DAY + timedelta(days=seed.randrange(400)),
    datetime: lambda seed: _MOMENT + timedelta(seconds=seed.randrange(10**7)),
    type(None): lambda _: None,
}


def random_message(cls: type, seed: random.Random) -> Any:
    """A message of this class with some value in each field: the same one for the same seed."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return cls(**{one.name: _value(hints[one.name], seed) for one in dataclasses.fields(cls)})


def _value(annotation: Any, seed: random.Random, *, personal: bool = False) -> Any:
    while isinstance(annotation, NewType):
        annotation = annotation.__supertype__
    if annotation in _PLAIN:
        is_sealed = personal and annotation is str and seed.randrange(3) == 0
        return seed.choice(_SEALED) if is_sealed else _PLAIN[annotation](seed)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None:
        return random_message(annotation, seed)
    if origin is Literal:
        return seed.choice(arguments)
    if origin is tuple:
        some = range(seed.randrange(5))
        return tuple(_value(arguments[0], seed, personal=personal) for _ in some)
    if origin is typing.Annotated:
        chosen, *marks = arguments
        personal = personal or any(isinstance(one, Personal) for one in marks)
    else:
        chosen = seed.choice(arguments)
    return _value(chosen, seed, personal=personal)


def tried_on(codec: Codec, change: Change, seed: random.Random) -> Sequence[Piece]:
    """Data in the newer forms of a change, made from messages of the classes that they became.

    Empty where a later change has no way down to them, or a wrong one, which is named by itself.
    """
    pieces: list[Piece] = []
    shared: Data = {}
    for form in change.new:
        data = _tried_in(codec, form, seed)
        if data is None:
            return ()
        # Parts of one event agree in what they share, such as the id of its stream.
        data = {key: shared.get(key, value) for key, value in data.items()}
        shared |= data
        pieces.append((form, data))
    return pieces


def _tried_in(codec: Codec, form: Form, seed: random.Random) -> Data | None:
    if (after := codec.lineages.after.get(form)) is None:
        cls = codec.classes[form.name]
        message = random_message(cls, seed)
        data: Data = orjson.loads(codec.adapter(cls).dump_json(message, by_alias=True))
        return data
    pieces = tried_on(codec, after, seed)
    if not pieces or not after.can_be_lowered:
        return None
    try:
        return after.lower(pieces)
    except Exception:  # noqa: BLE001  # the functions of a change may raise anything
        return None


def broken_on(codec: Codec, change: Change, pieces: Sequence[Piece]) -> Iterator[str]:
    """What a change does to data that it should not, one sentence for each."""
    if not change.can_be_lowered or not pieces:
        return
    name = f"{change.marker} ({'; '.join(change.said())})"
    try:
        old = change.lower(pieces)
        again = change.lift(old)
        if not same_but_for(change.loses, again, pieces):
            yield (
                f"{name}: lowered and lifted again it is not what it was: {_shown(pieces)} became"
                f" {_shown(again)}. Mend `up` or `down`, or name the field in `loses`"
            )
        elif cut := _cut(pieces, [(change.old, old), *again]):
            yield (
                f"{name}: cuts into a text that is sealed, since it is personal: {_shown(cut)}."
                " Such a text is passed on as it is, beside others or alone"
            )
        elif change.lower(again) != old:
            yield f"{name}: lowered again it is not what it was: {_shown([(change.old, old)])}"
        codec.decode_all(change.old.name, change.old.version, old)
    except CannotBeLowered as error:
        yield f"{name}: {error}"
    except Exception as error:  # noqa: BLE001  # the functions of a change may raise anything
        yield f"{name}: {_shown(pieces)} raises {error!r}"


def _cut(given: Sequence[Piece], made: Sequence[Piece]) -> Sequence[Piece]:
    """Those that have a part of a sealed text, made of data that have it whole."""
    if not any(holds_sealed(text) for _, data in given for text in _texts(data)):
        return ()
    return [
        (form, data)
        for form, data in made
        if any(_REMAINS.search(SEALED.sub("", text)) for text in _texts(data))
    ]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(one)


def broken_laws(codec: Codec, *, cases: int, seed: int = 0) -> Sequence[str]:
    """The first thing that is wrong with each change, tried on so many messages each."""
    found = []
    for change in codec.changes:
        source = random.Random(f"{seed} {change.marker}")  # noqa: S311  # no secret
        for _ in range(cases):
            said = next(broken_on(codec, change, tried_on(codec, change, source)), None)
            if said is not None:
                found.append(said)
                break
    return found


def _shown(pieces: Sequence[Piece]) -> str:
    return ", ".join(f"{form} {orjson.dumps(data).decode()}" for form, data in pieces)[:500]
