"""Reads the shop's evidence: beside the library's, bank, carrier, and what finance has booked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from consumers import finance
from handrail.eventstore.store import Recorded
from handrail.kernel import Event
from handrail.verify.evidence import Mention as AnyMention
from handrail.verify.evidence_reader import EvidenceReader, Sources
from handrail.verify.sorted_rows import SortedRows
from runtime.verify.companies import Entry, step_of
from runtime.verify.evidence import MENTIONS, Evidence, Mention, Stored
from runtime.verify.ledger_entries import FINANCE, PASSED_BY_FINANCE
from workflows import (
    collect_instalment,
    pay_merchant,
    return_order,
    settle_early,
    write_off,
)

# An inbox is pruned: that finance has handled an event is also known from its checkpoint, and that
# the event is parked, or was discarded, from what is kept of it.
_UNBOOKED: Final = (
    "(e.type = ANY(%(booked)s)"
    " AND NOT EXISTS (SELECT FROM ledger_lines l WHERE l.event = e.stream || '/' || e.version)"
    " AND (EXISTS (SELECT FROM parked_messages p WHERE p.consumer = %(consumer)s"
    "  AND p.stream = e.stream AND p.version = e.version"
    "  AND (p.settled_as = 'discarded' OR p.settled_at IS NULL))"
    " OR NOT EXISTS (SELECT FROM inbox i WHERE i.consumer = %(consumer)s"
    f"  AND i.id = e.stream || '/' || e.version) AND NOT {PASSED_BY_FINANCE}))"
)
_BOOKED: Final = {"booked": sorted(finance.CONSUMER.types), **FINANCE}

_BALANCES: Final = (
    'SELECT party COLLATE "C" AS id, account, sum(amount)::bigint FROM ledger_lines'
    " WHERE party <> '' GROUP BY party, account ORDER BY 1"
)
Companies = Mapping[str, AsyncIterator[tuple[str, Entry]] | None]


class ShopEvidenceReader(EvidenceReader[Evidence]):
    """`companies` are the entries of `bank` and `carrier`, or None where there is no such one."""

    mentions: ClassVar[Mapping[type[Event], str]] = MENTIONS
    more_of_events: ClassVar[str] = _UNBOOKED
    parameters: ClassVar[Mapping[str, Any]] = _BOOKED

    def __init__(self, sources: Sources, companies: Companies) -> None:
        super().__init__(sources)
        self._companies = {
            name: SortedRows(rows) for name, rows in companies.items() if rows is not None
        }
        self._balances = SortedRows(self.rows("balances", _BALANCES))

    def new(self, id_: str) -> Evidence:
        return Evidence(id_)

    def stored(self, txid: int, recorded: Recorded, event: Event, *more: Any) -> Stored:
        return Stored(txid, recorded, event, *more)

    def mention(self, stream: str, event: Event, *more: Any) -> Mention:
        return Mention(stream, event, *more)

    def more_sources(self) -> Sequence[SortedRows[Any]]:
        return [self._balances, *self._companies.values()]

    async def add_more(self, found: Evidence) -> None:
        found.balances = dict(await self._balances.of(found.id))
        for name, entries in self._companies.items():
            kinds: dict[str, list[Mapping[str, Any]]] = {}
            for kind, entry in await entries.of(found.id):
                kinds.setdefault(kind, []).append(entry)
            setattr(found, name, kinds)

    def sagas_about(self, evidence: Evidence) -> set[str]:
        return sagas_about(evidence)

    def asked_by(self, evidence: Evidence) -> set[str]:
        return _asked_by(evidence)


def sagas_about(evidence: Evidence) -> set[str]:
    """The ids of sagas that may have acted for an id: those that appended its events, asked a
    company for it, or are named after it.
    """
    id_ = evidence.id
    found = {id_, *evidence.acted, *_asked_by(evidence)}
    if "payment" in evidence.states or "order" in evidence.states or "plan" in evidence.states:
        found |= {settle_early.saga_id(id_), write_off.saga_id(id_)}
        found |= {f"{prefix}-{id_}" for prefix in ("dispatch", "delivered", "lost")}
        found |= {return_order.saga_id(one) for one in _returns(evidence)}
        plan = evidence.state("plan")
        for one in plan.instalments if plan else ():
            found.add(collect_instalment.saga_id(id_, one.number))
    if any(_payout_of(one) == id_ for one in evidence.mentions) or "transfer" in evidence.states:
        found.add(pay_merchant.saga_id(id_))
    return found - {""}


def _payout_of(mention: AnyMention) -> str | None:
    return getattr(mention.event, "payout", None)


def _returns(evidence: Evidence) -> Iterable[str]:
    own = (*evidence.of("order"), *evidence.of("plan"))
    events = (*own, *(one.event for one in evidence.mentions))
    return {found for one in events if (found := getattr(one, "return_id", ""))}


def _asked_by(evidence: Evidence) -> set[str]:
    entries = (
        one
        for company in (evidence.bank, evidence.carrier)
        for several in (company or {}).values()
        for one in several
    )
    return {step_of(one).saga for one in entries if "key" in one}
