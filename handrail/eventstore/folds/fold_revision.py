"""The revision of a fold: two processes have the same one where they fold events to the same state.

It is derived from the form of the state, from the code that folds, and from how the events are read
that it is given; nothing of it is kept by hand. Where anything of that changes, states that were
kept are folded again. Another version of Python makes another revision of the same code.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, get_args

from pydantic import TypeAdapter

from handrail.eventstore.codec import Codec
from handrail.eventstore.folds.code_digest import CodeDigest
from handrail.kernel import Event

_ADDRESS: Final = re.compile(r":\d+")
_REFERENCES: Final = frozenset({"ref", "schema_ref"})


def revision_of(codec: Codec, initial: Any, evolve: Callable[[Any, Any], Any]) -> str:
    """The form of the state and the revision of its fold: `9f31c2aa-0b44…`, 8 and 32 digits."""
    packages = packages_of(codec, (type(initial), evolve))
    state = TypeAdapter(type(initial)).core_schema
    form = CodeDigest(packages)
    _add_schema(form, state)
    fold = CodeDigest(packages)
    fold.add(evolve)
    fold.add(initial)
    _add_schema(fold, state)
    add_events(fold, codec, given_to(evolve, codec))
    return f"{form.hexdigest()[:8]}-{fold.hexdigest()}"


def packages_of(codec: Codec, more: Iterable[Any] = ()) -> Collection[str]:
    """The packages of the messages, of their changes, and of these functions and classes: their
    code is followed wherever they are installed.
    """
    of = [*codec.classes.values(), *map(type, codec.changes), *more]
    return {str(getattr(one, "__module__", "")).partition(".")[0] for one in of} - {"builtins", ""}


def given_to(evolve: Callable[[Any, Any], Any], codec: Codec) -> Collection[type]:
    """The events that a fold says it takes, by the annotation of its last parameter; all that there
    are where it says nothing that can be looked up.
    """
    try:
        *_, last = inspect.signature(evolve, eval_str=True).parameters.values()
    except Exception:  # noqa: BLE001  # what is annotated may not even be importable
        said: tuple[type, ...] = (Event,)
    else:
        found = _classes_in(last.annotation)
        said = tuple(found) if found and all(issubclass(one, Event) for one in found) else (Event,)
    return [one for one in codec.classes.values() if issubclass(one, said)]


def add_events(digest: CodeDigest, codec: Codec, events: Iterable[type]) -> None:
    """How these events are read: their fields, and the changes from the forms before."""
    for one in sorted(events, key=lambda cls: cls.__name__):
        digest.add(one.__name__)
        _add_schema(digest, codec.adapter(one).core_schema)
        for form in codec.forms(one.__name__):
            if (change := codec.lineages.after.get(form)) is not None:
                digest.add(change)


def _classes_in(annotation: Any) -> list[type]:
    """Of `A | B`, or of a name for it; nothing for what is no event, such as Any."""
    if annotation is inspect.Parameter.empty:
        return []
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation]
    return [found for one in get_args(annotation) for found in _classes_in(one)]


def _add_schema(digest: CodeDigest, schema: Any) -> None:
    """A core schema of pydantic, without the addresses in its references."""
    digest.add(_stable(schema))


def _stable(schema: Any) -> Any:
    match schema:
        case Mapping():
            return {
                key: _ADDRESS.sub("", value) if key in _REFERENCES else _stable(value)
                for key, value in schema.items()
                if key != "metadata"
            }
        case list() | tuple():
            return [_stable(one) for one in schema]
        case _:
            return schema
