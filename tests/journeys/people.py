"""Operators and risk officers: they look at what waits for them, and say how it goes on.

What they say is true: as done they resolve only what the other company's ledger shows, or what was
done by hand, and documented so.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from runtime.verify.companies import step_of
from tests.journeys.calls import post, sagas, slug
from tests.journeys.unrest import Terminations

Said = Mapping[str, Any]
BY_HAND: Final = "by telephone, ticket 88"
_MOVES: Final[Mapping[str, tuple[str, str]]] = {
    "RefundPayment": ("refunds", "paid"),
    "CollectInstalment": ("charges", "captured"),
    "TransferPayout": ("payouts", "paid"),
}
"""Pivots that move money, and where the bank's ledger shows that."""


@dataclass
class People:
    """`calm`: they only say what leads to an end, and nobody terminates what waits any more."""

    client: httpx.AsyncClient
    bank_url: str
    carrier_url: str
    terminations: Terminations
    seed: int
    said: Counter[str] = field(default_factory=Counter)
    """By kind and answer, such as `retry BookShipment: taken`."""
    compensated: set[str] = field(default_factory=set)
    """The sagas that an operator had taken back."""
    calm: bool = False
    _busy: set[tuple[str, str]] = field(default_factory=set)
    _times: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    async def look(self) -> int:
        """Once at everything that waits; how much there was."""
        waiting = [
            (saga["saga"], saga["saga_type"], one)
            for status in ("parked", "awaiting")
            for saga in await sagas(self.client, f"&status={status}")
            for one in saga["waiting"]
        ]
        async with asyncio.TaskGroup() as group:
            for saga, saga_type, one in waiting:
                if (saga, one["step"]) not in self._busy:
                    group.create_task(self._see_to(saga, saga_type, one))
        return len(waiting)

    async def _see_to(self, saga: str, saga_type: str, one: Said) -> None:
        self._busy.add(place := (saga, one["step"]))
        try:
            self._times[place] += 1
            times = self._times[place]
            chance = random.Random(f"{self.seed}-{saga}-{one['step']}-{times}")
            if one["kind"] == "awaiting":
                await self._answer(saga, one, chance)
            elif not self.calm and chance.random() < 0.12:
                await self.terminations.terminate(saga, f"{saga_type}, parked")
            else:
                await self._step_in(saga, one, chance, times)
        finally:
            self._busy.discard(place)

    async def _answer(self, saga: str, one: Said, chance: random.Random) -> None:
        """A few are never answered: no answer is a no in time."""
        luck = chance.random()
        if luck < 0.5 and not self.calm:
            return
        first = luck < 0.85
        answers = [first, not first] if chance.random() < 0.2 else [first]
        async with asyncio.TaskGroup() as group:
            for approved in answers:
                group.create_task(self._tell_answer(saga, one["step"], approved=approved))

    async def _tell_answer(self, saga: str, step: str, *, approved: bool) -> None:
        times = self._times[saga, step]
        id_ = f"answer-{times}-{approved}"
        body = {
            "id": id_,
            "step": step,
            "approved": approved,
            "reason": "looked at",
            "actor": "risk",
        }
        answer = await post(self.client, f"/sagas/{saga}/answers", body)
        self.said[f"answer {'yes' if approved else 'no'}: {slug(answer)}"] += 1

    async def _step_in(self, saga: str, one: Said, chance: random.Random, times: int) -> None:
        """Sometimes two at once, who know nothing of each other."""
        ways = await self._ways(saga, one, times)
        first = ways[-1] if self.calm else chance.choice(ways)
        chosen = [first]
        if not self.calm and chance.random() < 0.2:
            chosen.append(chance.choice(ways))
        async with asyncio.TaskGroup() as group:
            for number, way in enumerate(chosen):
                id_ = f"{one['step']}-{times}-{number}"
                group.create_task(self._tell(saga, {**way, "id": id_, "step": one["step"]}))

    async def _tell(self, saga: str, way: Said) -> None:
        if way["kind"] == "compensate":
            self.compensated.add(saga)
        body = {"reason": "the journey has it so", "actor": "ops", **way}
        answer = await post(self.client, f"/sagas/{saga}/interventions", body)
        kind = "resolve, not happened" if way.get("happened") is False else way["kind"]
        self.said[f"{kind} {way['step']}: {slug(answer)}"] += 1

    async def _ways(self, saga: str, one: Said, times: int) -> Sequence[Said]:
        """What can truly be said; the last one leads to an end."""
        retry: Said = {"kind": "retry"}
        skip: Said = {"kind": "skip", "evidence": f"let go of {BY_HAND}"}
        step = one["step"]
        if one["direction"] == "undo":
            # The first tries are declined, or come while the bank is away; one card never works.
            return [retry, retry, skip] if times > 2 else [retry]
        if step == "BookShipment":
            return await self._ways_of_booking(saga, skip)
        if step == "CapturePayment":
            found = await self._found_at_the_bank(saga, "authorisations", "captured")
            return [retry, retry, {"kind": "compensate"}, found]
        if step in _MOVES:
            # While nobody knows, there is no way back: that is refused.
            found = await self._found_at_the_bank(saga, *_MOVES[step])
            return [{"kind": "compensate"}, retry, found, retry]
        if step in {"RecordDispatch", "RecordDelivery", "RecordLoss"}:
            # Our books know no booking where that was skipped, or done by hand.
            return [retry, {"kind": "resolve", "evidence": f"the carrier said so {BY_HAND}"}]
        return [retry, retry, skip] if times > 4 else [retry]

    async def _ways_of_booking(self, saga: str, skip: Said) -> Sequence[Said]:
        ledger = await self._ledger(self.carrier_url)
        booked = [
            one["reference"]
            for one in ledger["bookings"]
            if one["order"] == saga and one["state"] == "booked"
        ]
        if booked:
            done = {"kind": "resolve", "evidence": f"the carrier has {booked[0]}"}
            return [done, {"kind": "retry"}, {"kind": "retry"}]
        done = {"kind": "resolve", "evidence": f"booked {BY_HAND}"}
        correct = {"kind": "correct", "correction": {"ship_to": "addr_ok"}}
        return [{"kind": "retry"}, skip, done, correct, correct]

    async def _found_at_the_bank(self, saga: str, kind: str, state: str) -> Said:
        """In good faith: what the bank does not have yet may come in later."""
        ledger = await self._ledger(self.bank_url)
        for one in ledger[kind]:
            if one["state"] == state and step_of(one).saga == saga:
                return {"kind": "resolve", "evidence": f"the bank has {one['reference']}"}
        return {"kind": "resolve", "happened": False, "evidence": "the bank knows nothing of it"}

    async def _ledger(self, url: str) -> Said:
        async with httpx.AsyncClient(timeout=60) as client:
            found: Said = (await client.get(f"{url}/ledger")).raise_for_status().json()
            return found
