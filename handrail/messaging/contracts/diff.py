"""Two revisions of the contracts, event by event: compatible which way, and who reads what changed.

Backward: what is deployed with the new revision reads the events that the old one wrote. Forward:
what was deployed with the old revision reads the events that the new one writes. A new version of
an event is read through the conversions that the new revision declares: up-casts make it backward
compatible, and down-casts forward. Where it does not say what it declares, the schemas decide.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from handrail.messaging.contracts.event_readers import EventReaders
from handrail.messaging.contracts.revisions import Contract, Older, Revision
from handrail.messaging.contracts.schema_changes import SchemaChange, changes


class Verdict(StrEnum):
    FULL = "full"
    BACKWARD = "backward"
    FORWARD = "forward"
    NONE = "none"

    @classmethod
    def of(cls, *, backward: bool, forward: bool) -> Verdict:
        if backward:
            return cls.FULL if forward else cls.BACKWARD
        return cls.FORWARD if forward else cls.NONE

    def meets(self, demanded: Verdict) -> bool:
        return self in {demanded, Verdict.FULL} or demanded is Verdict.NONE


@dataclass(frozen=True)
class EventDiff:
    """An event that is not what it was. `event` is its name now, or its last where it is gone.

    `old` and `new` are the forms that are written, empty where there is none. `changes` are the
    differences of their fields, and whether each alone is open both ways; `verdict` is that of the
    event, through its conversions.
    """

    event: str
    context: str
    old: str
    new: str
    verdict: Verdict
    changes: Sequence[SchemaChange]
    conversion: str
    """What its conversions do, in words; empty where it has none."""
    readers: EventReaders

    def as_json(self) -> dict[str, Any]:
        return {
            "event": self.event,
            "context": self.context,
            "old": self.old,
            "new": self.new,
            "verdict": self.verdict,
            "changes": [
                {"said": one.said, "backward": one.backward, "forward": one.forward}
                for one in self.changes
            ],
            "conversion": self.conversion,
            **self.readers.as_json(),
        }


def differences(old: Revision, new: Revision) -> list[EventDiff]:
    """Of all events that changed, by name; those that are the same are left out.

    Raises ValueError for a schema whose references lead nowhere.
    """
    successors = {
        name: _successors(before, new)
        for name, before in old.contracts.items()
        if name not in new.contracts
    }
    followed = {after.name for some in successors.values() for after in some}
    found = [
        *(
            _compared(before, new.contracts[name], old, new)
            for name, before in old.contracts.items()
            if name in new.contracts
        ),
        *(
            _followed(old.contracts[name], some, old, new) if some else _gone(old, name, new)
            for name, some in successors.items()
        ),
        *(
            _added(after)
            for name, after in new.contracts.items()
            if name not in old.contracts and name not in followed
        ),
    ]
    changed = (one for one in found if one is not None)
    return sorted(changed, key=lambda one: (one.event, one.old))


def less_than(demanded: Verdict, found: Sequence[EventDiff], apart: Collection[str]) -> list[str]:
    """The events that are less compatible than that, but for those that are set apart."""
    return [
        one.event for one in found if not one.verdict.meets(demanded) and one.event not in apart
    ]


def _successors(before: Contract, new: Revision) -> Sequence[Contract]:
    """What reads an event of the old revision as its own: under a new name, or as parts."""
    return [one for one in new.contracts.values() if before.form in (one.older or {})]


def _followed(
    before: Contract, successors: Sequence[Contract], old: Revision, new: Revision
) -> EventDiff | None:
    if len(successors) == 1:
        return _compared(before, successors[0], old, new)
    names = [after.name for after in successors]
    converted = SchemaChange(
        f"is split into {', '.join(names)}",
        backward=True,
        forward=all((after.older or {})[before.form].lowers for after in successors),
    )
    kept: dict[SchemaChange, None] = {}
    readers = before.readers
    for after in successors:
        readers |= after.readers
        kept.update(dict.fromkeys(_of_older_forms(before, after, old, new)))
    found = [converted, *kept]
    return EventDiff(
        before.name,
        before.context,
        before.form,
        ", ".join(after.form for after in successors),
        _verdict(found),
        found,
        ""
        if converted.forward
        else f"once its parts are written, queues bound to {before.form} get nothing: they are not"
        " put together again",
        readers,
    )


def _compared(before: Contract, after: Contract, old: Revision, new: Revision) -> EventDiff | None:
    kept = [*_of_context(before, after), *_of_older_forms(before, after, old, new)]
    found = [*kept, *_of_new_form(before, after, old, new)]
    if not found:
        return None
    conversion, verdict = "", _verdict(found)
    if before.form != after.form and after.older is not None:
        older = after.older.get(before.form)
        converted = SchemaChange(
            _said(before.form, older),
            backward=older is not None,
            forward=older is not None and older.lowers,
        )
        conversion, verdict = converted.said, _verdict([*kept, converted])
    return EventDiff(
        after.name,
        after.context,
        before.form,
        after.form,
        verdict,
        found,
        conversion,
        before.readers | after.readers,
    )


def _of_context(before: Contract, after: Contract) -> Iterator[SchemaChange]:
    if before.context != after.context:
        # Old bindings name the context: it is part of the routing key.
        said = f"was of the context {before.context}"
        yield SchemaChange(said, backward=True, forward=False)


def _of_new_form(
    before: Contract, after: Contract, old: Revision, new: Revision
) -> Iterator[SchemaChange]:
    if before.name != after.name:
        yield SchemaChange(f"was called {before.name}", backward=True, forward=False)
    if before.form == after.form:
        return
    made = changes(old.schemas.get(before.form, {}), new.schemas.get(after.form, {}))
    if made or before.name != after.name:
        yield from made
    else:
        yield SchemaChange("has the same fields", backward=True, forward=True)


def _of_older_forms(
    before: Contract, after: Contract, old: Revision, new: Revision
) -> Iterator[SchemaChange]:
    yield from _of_ways(before, after)
    yield from _of_kept_forms(before, after, old, new)


def _of_ways(before: Contract, after: Contract) -> Iterator[SchemaChange]:
    """From and to forms that the old revision read as this event: each stays open."""
    if before.older is None or after.older is None:
        return
    for form, was in before.older.items():
        way = after.older.get(form)
        if way is None and form != after.form:
            yield SchemaChange(
                f"nothing lifts {form} any more, and events of it are stored",
                backward=False,
                forward=True,
            )
        elif way is not None and was.lowers and not way.lowers:
            yield SchemaChange(f"is not lowered to {form} any more", backward=True, forward=False)


def _of_kept_forms(
    before: Contract, after: Contract, old: Revision, new: Revision
) -> Iterator[SchemaChange]:
    """Of those that both revisions have: events of them are stored, and stay what they are."""
    names = {before.name, after.name}
    for contract in (before, after):
        names |= {form.rpartition(".v")[0] for form in contract.older or ()}
    for form, schema in old.schemas.items():
        if form.rpartition(".v")[0] not in names:
            continue
        if form not in new.schemas:
            said = f"{form}.json is gone, and events of it are stored"
            yield SchemaChange(said, backward=False, forward=True)
            continue
        for one in changes(schema, new.schemas[form]):
            said = one.said if form == before.form == after.form else f"in {form} {one.said}"
            yield SchemaChange(said, one.backward, one.forward)


def _gone(old: Revision, name: str, new: Revision) -> EventDiff:
    before = old.contracts[name]
    looks_like = [
        name
        for name, after in new.contracts.items()
        if name not in old.contracts
        and not changes(old.schemas.get(before.form, {}), new.schemas.get(after.form, {}))
    ]
    said = "is gone: stored events cannot be read, and its readers get no more"
    if looks_like:
        said += f"; {' and '.join(sorted(looks_like))} has its fields, and is not said to be it"
    change = SchemaChange(said, backward=False, forward=False)
    return EventDiff(
        before.name, before.context, before.form, "", Verdict.NONE, [change], "", before.readers
    )


def _added(after: Contract) -> EventDiff:
    change = SchemaChange("is new", backward=True, forward=True)
    return EventDiff(
        after.name, after.context, "", after.form, Verdict.FULL, [change], "", after.readers
    )


def _said(form: str, older: Older | None) -> str:
    if older is None:
        return f"nothing lifts {form}"
    if not older.lowers:
        return f"lifted from {form}, and not lowered to it"
    lost = f", which loses {', '.join(older.loses)}" if older.loses else ""
    return f"lifted from {form} and lowered to it{lost}"


def _verdict(found: Sequence[SchemaChange]) -> Verdict:
    return Verdict.of(
        backward=all(one.backward for one in found), forward=all(one.forward for one in found)
    )
