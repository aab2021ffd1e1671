"""What must be true at every moment, whatever broke: one function each, yielding what is not.

A saga that still runs has not settled yet: only the orders of ended sagas are held to account.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import orjson

from domain.inventory.events import StockReceived
from domain.kernel import OrderId
from domain.ordering.events import OrderPlaced
from domain.sagas.events import (
    SagaEnded,
    SagaEvent,
    SagaStarted,
    StepCompensated,
    StepDone,
    StepRefused,
    StepUnknown,
)
from domain.settlement.events import PayableAccrued, PayableClawedBack
from eventstore.store import shard_of
from projections.projection import Happened, Projection
from runtime.evidence import Evidence


def money_conserved(evidence: Evidence) -> Iterator[str]:
    """What customers paid and owe is what merchants are owed and we earned, order by order."""
    placed = {
        order: event
        for order, event in evidence.events_of("order")
        if isinstance(event, OrderPlaced)
    }
    accrued: defaultdict[str, int] = defaultdict(int)
    for _, event in evidence.events_of("merchant"):
        match event:
            case PayableAccrued(order=order, gross=gross):
                accrued[order] += gross.amount
            case PayableClawedBack(order=order):
                accrued[order] = 0
            case _:
                pass
    for merchant, account in evidence.of("merchant").items():
        owed = sum(net.amount for net in account.unpaid.values())
        if owed != account.balance.amount:
            yield f"merchant {merchant}: {account.balance} owed, but its orders say {owed}"
    debts = {
        order: amount.amount
        for line in evidence.of("credit").values()
        for order, amount in line.debts.items()
    }
    for order, ended in endings(evidence).items():
        if order not in placed:
            continue
        paid = evidence.of("payment").get(order)
        taken = paid.amount.amount if paid and paid.status in {"authorised", "captured"} else 0
        due = placed[order].total.amount if ended == "completed" else 0
        if taken + debts.get(order, 0) != due:
            yield f"order {order} ({ended}): customer pays {taken} + {debts.get(order, 0)} of {due}"
        if accrued[order] != due:
            yield f"order {order} ({ended}): merchant is owed for {accrued[order]} of {due}"


def bank_agrees(evidence: Evidence) -> Iterator[str]:
    """The bank holds and took exactly what our books say, order by order."""
    if evidence.bank is None:
        return
    theirs: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in evidence.bank["authorisations"]:
        theirs[one["order"]][one["state"]] += one["amount"]
    known = evidence.sagas()
    for order in theirs:
        if order not in known:
            yield f"order {order}: the bank knows it, we do not"
    for order, ended in endings(evidence).items():
        payment = evidence.of("payment").get(order)
        ours = payment.amount.amount if payment and payment.status == "captured" else 0
        if theirs[order]["captured"] != ours or theirs[order]["authorised"]:
            yield f"order {order} ({ended}): the bank has {dict(theirs[order])}, we took {ours}"


def carrier_agrees(evidence: Evidence) -> Iterator[str]:
    """The carrier carries one parcel for every completed order, and none for the others."""
    if evidence.carrier is None:
        return
    theirs = Counter(
        one["order"] for one in evidence.carrier["bookings"] if one["state"] == "booked"
    )
    for order, ended in endings(evidence).items():
        if theirs[order] != (ended == "completed"):
            yield f"order {order} ({ended}): the carrier has {theirs[order]} bookings"


def stock_conserved(evidence: Evidence) -> Iterator[str]:
    """Stock is never negative and none is lost: received = available + reserved."""
    received: defaultdict[str, int] = defaultdict(int)
    for item, event in evidence.events_of("stock"):
        if isinstance(event, StockReceived):
            received[item] += event.quantity
        available = getattr(event, "available", 0)
        if available < 0:
            yield f"stock {item}: {available} available after {type(event).__name__}"
    ended = endings(evidence)
    for item, state in evidence.of("stock").items():
        if state.available < 0:
            yield f"stock {item}: {state.available} available"
        if received[item] != state.available + state.reserved:
            yield (
                f"stock {item}: {received[item]} received,"
                f" but {state.available} available and {state.reserved} reserved"
            )
        for order, quantity in state.reservations.items():
            if ended.get(order, "completed") != "completed":
                yield f"stock {item}: {quantity} still reserved for {order} ({ended[order]})"


def credit_exposure(evidence: Evidence) -> Iterator[str]:
    """Exposure is the sum of holds of running sagas and plans of completed ones."""
    ended = endings(evidence)
    for customer, line in evidence.of("credit").items():
        for order in line.holds:
            if order in ended:
                yield f"customer {customer}: credit still held for {order} ({ended[order]})"
        for order in line.debts:
            if ended.get(order, "completed") != "completed":
                yield f"customer {customer}: owes for {order} ({ended[order]})"
        placed = evidence.of("order")
        for order, debt in line.debts.items():
            content = placed[order].content if order in placed else None
            if content and debt > content.total - content.down_payment:
                yield f"customer {customer}: owes {debt} for {order}, more than was financed"


def steps_have_outcomes(evidence: Evidence) -> Iterator[str]:
    """Every step of an ended saga was done and kept, or taken back; the fence agrees on each."""
    told: set[tuple[str, int, str, str]] = set()
    for saga, events in evidence.sagas().items():
        begun, undone = _steps(events)
        told |= {(saga, attempt, step, "undo") for attempt, step in undone}
        for event in events:
            if isinstance(event, StepDone | StepRefused):
                told.add((saga, event.attempt, event.step, "do"))
        for ended in (event for event in events if isinstance(event, SagaEnded)):
            if ended.ending == "completed":
                continue
            for attempt, step in begun - undone:
                shut = (saga, attempt, step) in evidence.never_happened
                if attempt == ended.attempt and not shut:
                    yield f"saga {saga} ({ended.ending}): {step} was not taken back"
        attempts = Counter(event.attempt for event in events if isinstance(event, SagaEnded))
        started = {event.attempt for event in events if isinstance(event, SagaStarted)}
        if any(times > 1 for times in attempts.values()) or not started >= set(attempts):
            yield f"saga {saga}: attempts {sorted(started)} ended {dict(attempts)} times"
    for key in evidence.answered ^ told:
        where = "the fence" if key in evidence.answered else "the saga's stream"
        yield f"step {'/'.join(map(str, key))} is known to {where} only"


def _steps(events: Sequence[SagaEvent]) -> tuple[set[tuple[int, str]], set[tuple[int, str]]]:
    """The steps, by attempt, that were or may have been done, and those that were taken back."""
    begun, undone = set[tuple[int, str]](), set[tuple[int, str]]()
    for event in events:
        if isinstance(event, StepDone) or (
            isinstance(event, StepUnknown) and event.direction == "do"
        ):
            begun.add((event.attempt, event.step))
        elif isinstance(event, StepCompensated):
            undone.add((event.attempt, event.step))
    return begun, undone


def feed_once_in_order(evidence: Evidence) -> Iterator[str]:
    """The feed delivers every stored event once, and each stream in its order without gaps."""
    seen: Counter[int] = Counter(position for position, _, _ in evidence.fed)
    stored = {one.recorded.position for one in evidence.stored}
    yield from (
        f"event {position}: delivered {times} times"
        for position, times in seen.items()
        if times > 1
    )
    yield from (f"event {position}: never delivered" for position in stored - set(seen))
    yield from (f"event {position}: delivered, not stored" for position in set(seen) - stored)
    heads: defaultdict[str, int] = defaultdict(int)
    for _, stream, version in evidence.fed:
        if version != heads[stream] + 1:
            yield f"stream {stream}: version {version} came after {heads[stream]}"
        heads[stream] = version
    for stream, version in evidence.heads.items():
        if heads[stream] != version:
            yield f"stream {stream}: at version {version}, but {heads[stream]} events"


def read_model_equals_fold(
    evidence: Evidence, projection: Projection[Any], rows: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """A read model is the fold of exactly the events that its checkpoints have seen."""
    seen = _seen_by(evidence, projection.name)
    folded: dict[str, Any] = {}
    for one in evidence.stored:
        if projection.reads(one.recorded) and seen(
            one.txid, one.recorded.position, one.recorded.stream
        ):
            happened = Happened.of(one.recorded, one.event)
            folded[happened.id] = projection.evolve(folded.get(happened.id), happened)
    expected = {key: _plain(asdict(row)) for key, row in folded.items() if row is not None}
    found = {key: _plain(row) for key, row in rows.items()}
    for key in expected.keys() | found.keys():
        if expected.get(key) != found.get(key):
            yield f"{projection.name} {key}: {_difference(expected.get(key), found.get(key))}"


INVARIANTS: Final[Mapping[str, Callable[[Evidence], Iterator[str]]]] = {
    "money_conserved": money_conserved,
    "bank_agrees": bank_agrees,
    "carrier_agrees": carrier_agrees,
    "stock_conserved": stock_conserved,
    "credit_exposure": credit_exposure,
    "steps_have_outcomes": steps_have_outcomes,
    "feed_once_in_order": feed_once_in_order,
}


def endings(evidence: Evidence) -> Mapping[OrderId, str]:
    """How each saga ended that has, by the id it shares with its order; the last attempt counts."""
    found: dict[OrderId, str] = {}
    for identity, event in evidence.events_of("saga"):
        match event:
            case SagaStarted():
                found.pop(OrderId(identity), None)
            case SagaEnded(ending=ending):
                found[OrderId(identity)] = ending
            case _:
                pass
    return found


def _seen_by(evidence: Evidence, projection: str) -> Callable[[int, int, str], bool]:
    cursors = {
        row["shard"]: (
            _Snapshot(row["since"]),
            _Snapshot(row["until"]) if row["until"] else None,
            row["after_position"],
        )
        for row in evidence.checkpoints
        if row["projection"] == projection
    }

    def seen(txid: int, position: int, stream: str) -> bool:
        cursor = cursors.get(shard_of(stream))
        if cursor is None:
            return False
        since, until, after = cursor
        return since.sees(txid) or (until is not None and position <= after and until.sees(txid))

    return seen


class _Snapshot:
    """`xmin:xmax:xip,…`, as PostgreSQL writes it."""

    def __init__(self, text: str) -> None:
        _, xmax, running = text.split(":")
        self._xmax = int(xmax)
        self._running = {int(txid) for txid in running.split(",") if txid}

    def sees(self, txid: int) -> bool:
        return txid < self._xmax and txid not in self._running


def _plain(row: Mapping[str, Any]) -> Any:
    return orjson.loads(orjson.dumps(row, option=orjson.OPT_UTC_Z))


def _difference(expected: Any, found: Any) -> str:
    if expected is None or found is None:
        return "missing" if found is None else "not in the events"
    names = [name for name in expected if expected[name] != found.get(name)]
    return ", ".join(f"{name} is {found.get(name)!r}, not {expected[name]!r}" for name in names)[
        :300
    ]
