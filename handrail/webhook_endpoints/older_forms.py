"""Personal texts in older forms of an event, which no name in its newest form stands for: of fields
that were removed, and of those that have another name since the event was split or replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from handrail.evolution.changes import NewVersion
from handrail.evolution.fields import FieldRemoved
from handrail.evolution.forms import Data, Form
from handrail.evolution.lineages import Lineages
from handrail.webhook_endpoints.message import WITHHELD


def without_older_texts(
    lineages: Lineages, form: Form, data: Data, personal: AbstractSet[str]
) -> Data:
    """Data in this form without texts that are about a person by what is declared since.

    `personal` are the names of personal fields in newest forms. A text of a field that was removed
    is what readers of the form get of today's events. Raises what a conversion raises.
    """
    if form not in lineages.after:
        return data
    gone = {name for name in removed_later(lineages, form) if any(_texts(data.get(name)))}
    if gone:
        lowered = _to_and_fro(lineages, form, data)
        data = {
            name: lowered.get(name, _without(value, None)) if name in gone else value
            for name, value in data.items()
        }
    known = _under_new_names(lineages, form, data, personal)
    return {name: _without(value, known) for name, value in data.items()} if known else data


def removed_later(lineages: Lineages, form: Form) -> frozenset[str]:
    """The fields of a form that a newer one does not have, and that may be personal."""
    change = lineages.after.get(form)
    if change is None:
        return frozenset()
    gone = frozenset[str]().union(*(removed_later(lineages, one) for one in change.new))
    for one in reversed(change.fields) if isinstance(change, NewVersion) else ():
        if isinstance(one, FieldRemoved):
            gone |= {one.field} if one.personal else set()
        elif gone & set(one.new):
            gone = (gone - set(one.new)) | set(one.old)
    return gone


def _to_and_fro(lineages: Lineages, form: Form, data: Data) -> Data:
    """Lifted as far as there is a way back, and brought back."""
    newest = form
    while (change := lineages.after.get(newest)) and change.can_be_lowered and len(change.new) == 1:
        [(newest, data)] = change.lift(data)
    return lineages.lower(newest, data, form)


def _under_new_names(
    lineages: Lineages, form: Form, data: Data, personal: AbstractSet[str]
) -> frozenset[str]:
    """Texts that are personal where another event took the place of this one: which of its fields
    they come from is known to the function that makes it alone.
    """
    if not _is_replaced(lineages, form):
        return frozenset()
    return frozenset(
        text
        for _, lifted in lineages.lift(form, data)
        for value in _values(lifted, personal)
        for text in _texts(value)
    )


def _is_replaced(lineages: Lineages, form: Form) -> bool:
    change = lineages.after.get(form)
    if change is None:
        return False
    if not isinstance(change, NewVersion):
        return True
    return _is_replaced(lineages, change.marker)


def _values(value: Any, names: AbstractSet[str]) -> Iterator[Any]:
    """What stands under these names, however deep."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name in names:
                yield inner
            else:
                yield from _values(inner, names)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _values(inner, names)


def _texts(value: Any) -> Iterator[str]:
    """All texts within a value that are not empty."""
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)


def _without(value: Any, texts: AbstractSet[str] | None) -> Any:
    """The value without these texts; None: without any."""
    if isinstance(value, str):
        return WITHHELD if value and (texts is None or value in texts) else value
    if isinstance(value, Mapping):
        return {name: _without(inner, texts) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without(inner, texts) for inner in value]
    return value
