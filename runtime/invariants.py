"""What must be true at every moment, whatever broke: one function each, yielding what is not.

A saga that still runs has not settled yet: only the orders of ended sagas are held to account.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import orjson

from domain.credit.events import CreditConsumed, CreditRestored, DebtWrittenOff
from domain.inventory.events import StockReceived, StockReturned, StockShipped
from domain.kernel import Money, OrderId, ReturnId
from domain.ordering.events import OrderPlaced, ReturnAccepted
from domain.sagas.events import (
    SagaEnded,
    SagaEvent,
    SagaResumed,
    SagaStarted,
    StepCompensated,
    StepDone,
    StepRefused,
    StepUnknown,
)
from domain.sagas.interventions import SagaTold
from domain.settlement.events import (
    PayableAccrued,
    PayableClawedBack,
    PayoutCancelled,
    PayoutPrepared,
)
from domain.settlement.merchant_account import MerchantAccount, evolve
from eventstore.store import shard_of
from projections.projection import Happened, Projection
from runtime.endings import endings
from runtime.evidence import Evidence
from runtime.invariants_of_ledger import ledger_agrees, nothing_parked
from runtime.invariants_of_money import bank_agrees, instalments, returns


def money_conserved(evidence: Evidence) -> Iterator[str]:
    """What customers paid and owe is what merchants are owed and we earned, order by order."""
    placed = {
        order: event
        for order, event in evidence.events_of("order")
        if isinstance(event, OrderPlaced)
    }
    accrued: defaultdict[str, int] = defaultdict(int)
    for _, event in evidence.events_of("merchant"):
        if isinstance(event, PayableAccrued):
            accrued[event.order] += event.gross.amount
    yield from _balances(evidence)
    yield from _clawed_back(evidence)
    debts: defaultdict[str, int] = defaultdict(int)
    for _, event in evidence.events_of("credit"):
        if isinstance(event, CreditConsumed):
            debts[event.order] += event.amount.amount
    for order, ended in endings(evidence).items():
        if order not in placed:
            continue
        paid = evidence.of("payment").get(order)
        taken = paid.amount.amount if paid and paid.status in {"authorised", "captured"} else 0
        due = placed[order].total.amount if ended == "completed" else 0
        if taken + debts[order] != due:
            yield f"order {order} ({ended}): customer pays {taken} + {debts[order]} of {due}"
        if accrued[order] != due:
            yield f"order {order} ({ended}): merchant is owed for {accrued[order]} of {due}"


def _balances(evidence: Evidence) -> Iterator[str]:
    """A balance is what was accrued, less what came back, is on its way and was paid out."""
    owed: defaultdict[str, int] = defaultdict(int)
    for merchant, event in evidence.events_of("merchant"):
        match event:
            case PayableAccrued(gross=gross, fee=fee):
                owed[merchant] += (gross - fee).amount
            case PayableClawedBack(amount=amount) | PayoutPrepared(amount=amount):
                owed[merchant] -= amount.amount
            case PayoutCancelled(amount=amount):
                owed[merchant] += amount.amount
            case _:
                pass
        said = getattr(event, "balance", None)
        if said is not None and said.amount != owed[merchant]:
            yield (
                f"merchant {merchant}: {said} owed after {type(event).__name__},"
                f" but its events say {owed[merchant]}"
            )
    for merchant, account in evidence.of("merchant").items():
        if owed[merchant] != account.balance.amount:
            yield f"merchant {merchant}: {account.balance} owed, its events say {owed[merchant]}"


def _clawed_back(evidence: Evidence) -> Iterator[str]:
    """Only what came back is taken back from the merchant, once, less the fee that was on it; and
    of an order that came back in pieces, the fees on these come to that on all of them.
    """
    accepted = {
        (event.order, event.return_id): event.value
        for _, event in evidence.events_of("order")
        if isinstance(event, ReturnAccepted)
    }
    seen: set[tuple[OrderId, ReturnId]] = set()
    accounts: dict[str, MerchantAccount] = {}
    for merchant, event in evidence.events_of("merchant"):
        before = accounts.get(merchant, MerchantAccount())
        accounts[merchant] = evolve(before, event)  # type: ignore[arg-type]  # of its stream
        if not isinstance(event, PayableClawedBack):
            continue
        key = (event.order, event.return_id)
        value = accepted.get(key)
        if value is None:
            yield f"merchant {merchant}: {event.amount} taken back, nothing came back of {key}"
        elif event.amount != value - _fee_back(before, event, value):
            yield f"merchant {merchant}: {event.amount} taken back for {key}, worth {value}"
        if key in seen:
            yield f"merchant {merchant}: {key} was taken back twice"
        seen.add(key)


def _fee_back(account: MerchantAccount, event: PayableClawedBack, value: Money) -> Money:
    """Each piece was rounded alone as long as events did not say what it was sold for."""
    if event.gross is None:
        return account.fee_of(value)
    return account.fee_back(event.order, value)


def carrier_agrees(evidence: Evidence) -> Iterator[str]:
    """The carrier carries one parcel for every completed order, and none for the others."""
    if evidence.carrier is None:
        return
    theirs = Counter(
        one["order"] for one in evidence.carrier["bookings"] if one["state"] != "cancelled"
    )
    for order, ended in endings(evidence).items():
        if theirs[order] != (ended == "completed" and order in evidence.of("order")):
            yield f"order {order} ({ended}): the carrier has {theirs[order]} bookings"


def stock_conserved(evidence: Evidence) -> Iterator[str]:
    """Stock is never negative and none is lost: what was received and came back is available,
    reserved or shipped.
    """
    yield from _came_and_left(evidence)
    ended = endings(evidence)
    for item, state in evidence.of("stock").items():
        if state.available < 0:
            yield f"stock {item}: {state.available} available"
        for order, quantity in state.reservations.items():
            if ended.get(order, "completed") != "completed":
                yield f"stock {item}: {quantity} still reserved for {order} ({ended[order]})"


def _came_and_left(evidence: Evidence) -> Iterator[str]:
    inside, outside = Counter[str](), Counter[tuple[str, OrderId]]()
    for item, event in evidence.events_of("stock"):
        match event:
            case StockReceived(quantity=quantity):
                inside[item] += quantity
            case StockShipped(order=order, quantity=quantity):
                inside[item] -= quantity
                outside[item, order] += quantity
            case StockReturned(order=order, quantity=quantity):
                inside[item] += quantity
                outside[item, order] -= quantity
            case _:
                pass
        available = getattr(event, "available", 0)
        if available < 0:
            yield f"stock {item}: {available} available after {type(event).__name__}"
    for item, state in evidence.of("stock").items():
        if inside[item] != state.available + state.reserved:
            yield (
                f"stock {item}: {inside[item]} came and did not leave,"
                f" but {state.available} available and {state.reserved} reserved"
            )
    for (item, order), quantity in outside.items():
        if quantity < 0:
            yield f"stock {item}: {-quantity} more came back of {order} than was shipped"


def credit_exposure(evidence: Evidence) -> Iterator[str]:
    """Exposure is the sum of holds of running sagas and plans of completed ones."""
    yield from _debts(evidence)
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


def _debts(evidence: Evidence) -> Iterator[str]:
    """A debt becomes smaller by what came back or was written off, and by nothing else."""
    owed: Counter[tuple[str, OrderId]] = Counter()
    for customer, event in evidence.events_of("credit"):
        match event:
            case CreditConsumed():
                owed[customer, event.order] += event.amount.amount
            case CreditRestored() | DebtWrittenOff():
                owed[customer, event.order] -= event.amount.amount
            case _:
                pass
    lines, used = evidence.of("credit"), Counter[str]()
    for (customer, order), amount in owed.items():
        used[customer] += amount
        debt = lines[customer].debts.get(order)
        if amount != (debt.amount if debt else 0):
            yield f"customer {customer}: owes {debt} for {order}, but the events say {amount}"
    for customer, line in lines.items():
        if line.used.amount != used[customer]:
            yield f"customer {customer}: {line.used} used, but the events say {used[customer]}"


def steps_have_outcomes(evidence: Evidence) -> Iterator[str]:
    """Every step of an ended saga was done and kept, or taken back; the fence agrees on each."""
    told: set[tuple[str, int, str, str]] = set()
    sagas = evidence.sagas()
    for saga, events in sagas.items():
        begun, undone = _steps(events)
        told |= {(saga, attempt, step, "undo") for attempt, step in undone}
        for event in events:
            if isinstance(event, StepDone | StepRefused):
                told.add((saga, event.attempt, event.step, "do"))
        for ended in (event for event in events if isinstance(event, SagaEnded)):
            if ended.ending == "completed":
                continue
            for attempt, step in begun - undone - _settled_by_hand(events):
                shut = (saga, attempt, step) in evidence.never_happened
                if attempt == ended.attempt and not shut:
                    yield f"saga {saga} ({ended.ending}): {step} was not taken back"
        attempts = Counter(event.attempt for event in events if isinstance(event, SagaEnded))
        started = {event.attempt for event in events if isinstance(event, SagaStarted)}
        if any(times > 1 for times in attempts.values()) or not started >= set(attempts):
            yield f"saga {saga}: attempts {sorted(started)} ended {dict(attempts)} times"
    # Whoever asks a context without a saga has a key at the fence, and no stream of its own.
    answered = {key for key in evidence.answered if key[0] in sagas}
    for key in answered ^ told:
        where = "the fence" if key in answered else "the saga's stream"
        yield f"step {'/'.join(map(str, key))} is known to {where} only"


def _settled_by_hand(events: Sequence[SagaEvent]) -> set[tuple[int, str]]:
    """The steps, by attempt, that a person answers for, and said why."""
    return {
        (event.attempt, event.step)
        for event in events
        if isinstance(event, SagaResumed) and event.kind in {"skip", "resolve"} and event.evidence
    }


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


def interventions(evidence: Evidence) -> Iterator[str]:
    """What a saga is said to have been told is in its own stream, once, with actor and reason."""
    heard = Counter[tuple[str, str]]()
    for saga, event in evidence.events_of("saga"):
        if isinstance(event, SagaResumed):
            heard[saga, event.intervention] += 1
            if not (event.actor and event.reason):
                yield f"saga {saga}: {event.intervention} has no actor or no reason"
    for intervention, event in evidence.events_of("intervention"):
        if isinstance(event, SagaTold) and event.heard == "accepted":
            times = heard[event.saga, f"{intervention}:{event.saga}"]
            if times != 1:
                yield f"saga {event.saga}: heard {intervention} {times} times"


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
    "instalments": instalments,
    "returns": returns,
    "stock_conserved": stock_conserved,
    "credit_exposure": credit_exposure,
    "steps_have_outcomes": steps_have_outcomes,
    "interventions": interventions,
    "feed_once_in_order": feed_once_in_order,
    "ledger_agrees": ledger_agrees,
    "no_message_parked": nothing_parked,
}


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
