"""What is to go wrong with each order, and who thinks better of it: the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from runtime.demo import scenario
from runtime.demo.scenario import Order, Plan

CARDS: Final = (
    "card_lost",
    "card_error_2",
    "card_slow",
    "card_late_4",
    "card_capture_lost",
    "card_capture_error_2",
    "card_capture_declined",
    "card_capture_broken",
    "card_capture_down_25",
    "card_capture_late_14",
    "card_void_declined_1",
    "card_void_down_25",
    "card_void_broken",
    "card_charge_lost",
    "card_charge_down_25",
    "card_charge_declined_1",
    "card_refund_lost",
    "card_refund_down_25",
    "card_refund_declined_1",
)
ADDRESSES: Final = (
    "addr_undeliverable",
    "addr_undeliverable",
    "addr_lost",
    "addr_error_2",
    "addr_late_14",
    "addr_down_25",
    "addr_parcel_lost",
    "addr_parcel_twice",
)
TROUBLED: Final = 0.45
"""The share of orders on whose way the bank or the carrier misbehaves."""
TERMINATED: Final = 0.3
TERMINATED_AGAIN: Final = 0.4
MOST_ATTEMPTS: Final = 4
CANCELLED_AT_ONCE: Final = 0.15
CANCELLED_LATER: Final = 0.08
STOPPED_IN_TIME: Final = 0.8  # seconds: longer than a checkout that nothing disturbs takes


@dataclass(frozen=True)
class Fate:
    """Seconds after its beginning: of the order, or of the attempt. None: it is left alone.

    `terminated_after` has one for each attempt that is terminated, and `again_after` how long it
    takes until somebody has the next one begun.
    """

    order: Order
    cancelled_after: float | None
    terminated_after: Sequence[float]
    again_after: Sequence[float]

    @property
    def undisturbed(self) -> bool:
        """By people: their clients wait for the decision."""
        return self.cancelled_after is None and not self.terminated_after


def plan(*, orders: int, seed: int) -> Plan:
    """The means of payment and the addresses are those of `fates`."""
    return scenario.make(orders=orders, merchants=8, faults=0, seed=seed, prefix="thrown-")


def fates(plan: Plan, *, seed: int) -> Sequence[Fate]:
    return [
        _fate(random.Random(f"{seed}-{number}"), order, number)
        for number, order in enumerate(plan.orders)
    ]


def _fate(chance: random.Random, order: Order, number: int) -> Fate:
    means = {"card": "card_ok", "ship_to": "addr_ok"}
    if chance.random() < TROUBLED:
        # Each kind in turn, so that short runs see many kinds.
        if chance.random() < 0.6:
            means["card"] = CARDS[number % len(CARDS)]
        else:
            means["ship_to"] = ADDRESSES[number % len(ADDRESSES)]
    ends = []
    if chance.random() < TERMINATED:
        ends.append(chance.uniform(0, STOPPED_IN_TIME))
        while len(ends) < MOST_ATTEMPTS - 1 and chance.random() < TERMINATED_AGAIN:
            ends.append(chance.uniform(0, STOPPED_IN_TIME))
    cancelled = None
    # Who cannot let go of a payment shows it only on the way back.
    goes_back = "_void_" in means["card"] or "_refund_" in means["card"]
    luck = chance.random() * (0.3 if goes_back else 1)
    if luck < CANCELLED_AT_ONCE:
        cancelled = chance.uniform(0, STOPPED_IN_TIME / 2)
    elif luck < CANCELLED_AT_ONCE + CANCELLED_LATER:
        cancelled = chance.uniform(3, 15)
    return Fate(
        order=replace(order, body={**order.body, **means}),
        cancelled_after=cancelled,
        terminated_after=ends,
        again_after=[chance.uniform(0, 4) for _ in ends],
    )
