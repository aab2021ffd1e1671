"""Conversion of stored data between any two forms of one message: upwards, or downwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from handrail.evolution.forms import CannotBeLowered, Data, Form
from handrail.evolution.lineages import Lineages


def convert(lineages: Lineages, form: Form, data: Data, to: Form) -> Data:
    """The data of one form in another of the same message.

    Raises CannotBeLowered where a change between them has no way down, or one of the two is a
    message that was split into the other and more.
    """
    if is_before(lineages, form, to):
        for change in lineages.path(form, to):
            [(_, data)] = change.lift(data)
        return data
    return lineages.lower(form, data, to)


def lifted_to(lineages: Lineages, form: Form, data: Data, to: Form) -> Data | None:
    """The data of a form in a newer one that it became, or became a part of. None where it did not,
    or where the way up leaves that part out.
    """
    if form == to:
        return data
    change = lineages.after.get(form)
    if change is None or not _becomes(lineages, form, to):
        return None
    found = (lifted_to(lineages, *piece, to) for piece in change.lift(data))
    return next((one for one in found if one is not None), None)


def has_way(lineages: Lineages, form: Form, to: Form) -> bool:
    """Whether data of a form can be had in another: as it is, lowered, lifted, or as a part."""
    return form == to or _becomes(lineages, form, to) or can_convert(lineages, form, to)


def _becomes(lineages: Lineages, form: Form, to: Form) -> bool:
    change = lineages.after.get(form)
    return change is not None and any(
        one == to or _becomes(lineages, one, to) for one in change.new
    )


def is_before(lineages: Lineages, old: Form, new: Form) -> bool:
    """Whether the newer form follows from the older one alone."""
    try:
        lineages.path(old, new)
    except CannotBeLowered:
        return False
    return True


def can_convert(lineages: Lineages, form: Form, to: Form) -> bool:
    """Whether the changes between two forms declare a way from one to the other."""
    if is_before(lineages, form, to):
        return True
    if not is_before(lineages, to, form):
        return False
    return all(change.can_be_lowered for change in lineages.path(to, form))


def lost_between(lineages: Lineages, old: Form, new: Form) -> Sequence[str]:
    """The fields that are lost on the way down, as they are named by the changes that lose them."""
    if not is_before(lineages, old, new):
        return ()
    return tuple(dict.fromkeys(name for one in lineages.path(old, new) for name in one.loses))


def related_forms(lineages: Lineages) -> Mapping[Form, Sequence[Form]]:
    """Of each form of every message that has several: the others, the newest first."""
    found: dict[Form, dict[Form, None]] = {}
    for forms in _histories(lineages):
        for one in forms:
            others = (other for other in reversed(forms) if other != one)
            found.setdefault(one, {}).update(dict.fromkeys(others))
    return {form: tuple(others) for form, others in found.items()}


def _histories(lineages: Lineages) -> Iterator[Sequence[Form]]:
    for name in sorted(lineages.names):
        forms = lineages.forms(name)
        if len(forms) > 1:
            yield forms
