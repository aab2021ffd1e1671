"""What the stores would say had exactly this happened: the evidence of each id."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from consumers import finance
from consumers.ledger import lines_of
from handrail.eventstore.store import Recorded
from handrail.kernel import Event
from handrail.projections.projection import id_of
from handrail.sagas.events import StepCompensated, StepDone
from handrail.verify.evidence import FenceRow, Seen, Workflow
from handrail.verify.saga_facts import facts_of
from runtime.app import HANDRAIL
from runtime.verify.evidence import (
    MENTIONS,
    Evidence,
    Mention,
    Stored,
    folded,
)
from runtime.verify.evidence_reader import sagas_about
from runtime.verify.invariants import INVARIANTS

AT = datetime(2026, 11, 23, tzinfo=UTC)
Happening = tuple[str, Event]
Ledger = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass
class Stores:
    happened: Sequence[Happening]
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    fence: dict[str, list[FenceRow]] = field(default_factory=dict)
    bank: Ledger | None = None
    carrier: Ledger | None = None
    balances: dict[str, Counter[str]] = field(default_factory=dict)
    rows: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    workflows: Mapping[str, Workflow] | None = None
    seen: Seen | None = None

    def evidence(self) -> Sequence[Evidence]:
        found = _ById(self)
        self._tell_what_happened(found)
        for saga, rows in self.fence.items():
            found[saga].fence = rows
        for name in ("bank", "carrier"):
            for about, kind, entry in _entries(getattr(self, name) or {}):
                getattr(found[about], name).setdefault(kind, []).append(entry)
        for id_, balances in self.balances.items():
            found[id_].balances = balances
        for model, by_id in self.rows.items():
            for id_, row in by_id.items():
                found[id_].rows[model] = row
        for id_, one in found.items():
            one.states = {
                category: {id_: states[id_]}
                for category, states in self.states.items()
                if id_ in states
            }
            wanted = sagas_about(one) & found.keys()
            one.sagas = {saga: facts_of(found[saga].story) for saga in wanted if found[saga].story}
        return list(found.values())

    def _tell_what_happened(self, found: _ById) -> None:
        heads = defaultdict[str, int](int)
        for position, (stream, event) in enumerate(self.happened, start=1):
            heads[stream] += 1
            one = found[id_of(stream)]
            one.heads[stream] = heads[stream]
            one.take(stored(position, stream, heads[stream], event), self.seen)
            if type(event) in MENTIONS:
                about = getattr(event, MENTIONS[type(event)])
                found[about].mention(Mention(stream, event))


class _ById(dict[str, Evidence]):
    def __init__(self, stores: Stores) -> None:
        super().__init__()
        self._stores = stores

    def __missing__(self, id_: str) -> Evidence:
        stores = self._stores
        self[id_] = Evidence(
            id_, looked_at=AT, workflows=stores.workflows, projections=HANDRAIL.read_models
        )
        self[id_].bank = None if stores.bank is None else {}
        self[id_].carrier = None if stores.carrier is None else {}
        return self[id_]


def evidence(*happened: Happening) -> Stores:
    """All of it is fenced, and booked by finance."""
    found, states = Stores(happened), Evidence()
    for stream, event in happened:
        folded(states, stream, event)
        if isinstance(event, StepDone | StepCompensated):
            direction = "do" if isinstance(event, StepDone) else "undo"
            row = FenceRow(event.attempt, event.step, direction, answered=True)
            found.fence.setdefault(event.saga, []).append(row)
        if isinstance(event, finance.CONSUMER.wants):
            for line in lines_of(event):
                account = found.balances.setdefault(line.party, Counter())
                account[line.account] += line.money.amount
    found.states = states.states
    return found


def stored(position: int, stream: str, version: int, event: Event) -> Stored:
    message = HANDRAIL.codec.encode(event)
    recorded = Recorded(position, stream, version, message.type, message.schema, {}, {}, AT)
    return Stored(position, recorded, event)


def violations(name: str, stores: Stores) -> list[str]:
    """Those that nobody answers for."""
    return [
        one.text
        for found in stores.evidence()
        for one in INVARIANTS[name](found)
        if one.explained_by(found) is None
    ]


def explained(name: str, stores: Stores) -> list[str]:
    """By which step of which saga."""
    return [
        by
        for found in stores.evidence()
        for one in INVARIANTS[name](found)
        if (by := one.explained_by(found)) is not None
    ]


def _entries(ledger: Ledger) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for kind, several in ledger.items():
        for one in several:
            yield one.get("payout") or one["order"], kind, one
