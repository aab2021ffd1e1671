"""Who sells, who buys what, and what goes wrong on the way: the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final

# One merchant in five sells in another currency than the rest.
CURRENCIES: Final = ("EUR", "EUR", "EUR", "EUR", "SEK")
GOODS: Final = (
    "boots", "coat", "desk", "drill", "guitar", "helmet", "kettle", "lamp",
    "oven", "phone", "racket", "sofa", "stroller", "tablet", "tent", "watch",
)  # fmt: skip

# What bank and carrier do wrong: answers lost or late, errors that pass, errors that do not.
# `handrail/simulators/fault_injection.py` says what each word does.
FAULTY_CARDS: Final = (
    "card_lost",
    "card_error_2",
    "card_broken",
    "card_capture_lost",
    "card_slow",
    "card_capture_error_2",
    "card_late_1.0",
    "card_capture_declined",
)
UNKNOWN_ADDRESS: Final = "addr_undeliverable"
"""The carrier declines it after the payment was taken: the order waits for a person."""
FAULTY_ADDRESSES: Final = ("addr_lost", "addr_error_2", "addr_slow")
DECLINED_SHARE: Final = 0.04
SECOND_THOUGHTS: Final = 0.03


@dataclass(frozen=True)
class Merchant:
    id: str
    currency: str
    fee_bps: int
    prices: dict[str, int]
    stock: dict[str, int]


@dataclass(frozen=True)
class Customer:
    id: str
    currency: str
    limit: int


@dataclass(frozen=True)
class Order:
    key: str
    body: dict[str, Any]
    cancels: bool
    """The customer thinks better of it at once."""
    repeats: bool
    """The client sends the same request twice."""


@dataclass(frozen=True)
class Plan:
    merchants: Sequence[Merchant]
    customers: Sequence[Customer]
    orders: Sequence[Order]


def make(*, orders: int, merchants: int, faults: float, seed: int, prefix: str = "") -> Plan:
    """`faults` is the share of orders on whose way the bank or the carrier misbehaves.

    `prefix` comes before all ids, for plans that meet in one database.
    """
    chance = random.Random(seed)  # noqa: S311  # a demo, not a secret
    share = orders / merchants
    sellers = [_merchant(chance, prefix, number, share) for number in range(1, merchants + 1)]
    buyers = [_customer(chance, prefix, number) for number in range(1, max(10, orders // 2) + 1)]
    wrong = _misbehaviours(orders, faults, chance)
    return Plan(
        sellers,
        buyers,
        [
            _order(chance, f"{prefix}demo-{seed}-{number}", sellers, buyers, next(wrong))
            for number in range(1, orders + 1)
        ],
    )


def _merchant(chance: random.Random, prefix: str, number: int, orders: float) -> Merchant:
    goods = chance.sample(GOODS, k=chance.randint(4, 8))
    # Prices as shops have them: many small ones, few large, nearly all ending in 90.
    prices = {
        sku: max(990, round(chance.lognormvariate(8.6, 0.8) / 100) * 100 - 10) for sku in goods
    }
    # Enough of most things; one article in six is nearly sold out.
    plenty = max(5, round(orders))
    stock = {sku: chance.choice((1, plenty, plenty, plenty, plenty, plenty)) for sku in goods}
    return Merchant(
        id=f"{prefix}m{number:02d}",
        currency=CURRENCIES[number % len(CURRENCIES)],
        fee_bps=chance.choice((190, 250, 290, 349)),
        prices=prices,
        stock=stock,
    )


def _customer(chance: random.Random, prefix: str, number: int) -> Customer:
    limit = round(chance.lognormvariate(11.0, 0.7) / 5000) * 5000
    return Customer(
        f"{prefix}c{number:04d}", CURRENCIES[number % len(CURRENCIES)], max(5_000, limit)
    )


def _order(
    chance: random.Random,
    key: str,
    merchants: Sequence[Merchant],
    customers: Sequence[Customer],
    means: tuple[str, str],
) -> Order:
    merchant = chance.choice(merchants)
    customer = chance.choice([one for one in customers if one.currency == merchant.currency])
    skus = chance.sample(sorted(merchant.prices), k=chance.choice((1, 1, 1, 2, 2, 3)))
    lines = [
        {
            "sku": sku,
            "quantity": chance.choice((1, 1, 1, 1, 2)),
            "unit_price": {"amount": merchant.prices[sku], "currency": merchant.currency},
        }
        for sku in skus
    ]
    return Order(
        key=key,
        body={
            "customer": customer.id,
            "merchant": merchant.id,
            "lines": lines,
            "instalments": chance.choice((3, 3, 3, 6, 12)),
            "card": means[0],
            "ship_to": means[1],
        },
        cancels=chance.random() < SECOND_THOUGHTS,
        repeats=chance.random() < SECOND_THOUGHTS,
    )


def _misbehaviours(orders: int, faults: float, chance: random.Random) -> Iterator[tuple[str, str]]:
    """Each kind of misbehaviour in turn, so that short runs see many kinds."""
    kinds = cycle(
        [("card_ok", UNKNOWN_ADDRESS)]
        + [(card, "addr_ok") for card in FAULTY_CARDS]
        + [("card_ok", address) for address in FAULTY_ADDRESSES]
    )
    declined = chance.sample(range(orders), k=max(1, round(orders * DECLINED_SHARE)))
    faulty = set(chance.sample(range(orders), k=round(orders * faults)))
    for number in range(orders):
        if number in faulty:
            yield next(kinds)
        else:
            yield ("card_declined" if number in declined else "card_ok", "addr_ok")
