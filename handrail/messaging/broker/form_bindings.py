"""Which queues are bound to which forms of an event, as the broker's management API says.

A queue of another virtual host gets its messages by federation, whose own binding at home has the
keys of all queues there: so the queues themselves are looked at, wherever the API shows them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from handrail.messaging.broker.plan import BrokerPlan

_OF_FEDERATION: Final = re.compile(r"federation: .+ -> [^:]+:(?P<vhost>.+):[^:]+")


@dataclass(frozen=True)
class Reader:
    """A queue, and all keys that it is bound with at `exchange`. `name` is `virtual host/queue`.

    What cannot be told apart counts as a reader for each key: exchanges that are bound to another,
    and federation to a broker or a virtual host that the API does not show.
    """

    name: str
    exchange: str
    keys: frozenset[str]


def readers_in(bindings: Iterable[Mapping[str, Any]], plan: BrokerPlan) -> tuple[Reader, ...]:
    """`bindings` are all that the API shows."""
    found = [one for one in bindings if one["source"]]
    shown = {one["vhost"] for one in found}
    keys: dict[tuple[str, str], set[str]] = {}
    for one in found:
        if (exchange := _exchange(one, plan)) is None:
            continue
        name, key = f"{one['vhost']}/{one['destination']}", str(one["routing_key"])
        if (by_federation := _OF_FEDERATION.fullmatch(one["destination"])) is not None:
            if by_federation["vhost"] in shown & plan.services.keys():
                continue
            name = f"{name} {key}"
        elif one["destination_type"] != "queue":
            name = f"{name} {key}"
        keys.setdefault((name, exchange), set()).add(key)
    return tuple(
        Reader(name, exchange, frozenset(bound)) for (name, exchange), bound in sorted(keys.items())
    )


def _exchange(binding: Mapping[str, Any], plan: BrokerPlan) -> str | None:
    """The exchange at home whose messages the binding gets; None: of no events."""
    vhost, source = binding["vhost"], binding["source"]
    if vhost == plan.home:
        return source if source in plan.exchange_names else None
    return source if plan.services.get(vhost) == source else None


def matches(pattern: str, key: str) -> bool:
    """As a topic exchange does: `*` is a word, `#` any number of them."""
    return _match(tuple(pattern.split(".")), tuple(key.split(".")))


def _match(pattern: tuple[str, ...], key: tuple[str, ...]) -> bool:
    """For each word of the pattern, the places in the key at which what follows it may begin."""
    places = {0}
    for word in pattern:
        if word == "#":
            places = set(range(min(places), len(key) + 1)) if places else places
        else:
            places = {at + 1 for at in places if at < len(key) and word in {"*", key[at]}}
    return len(key) in places


def bound(keys: Collection[str], key: str) -> bool:
    """Whether a message with this key matches any of these."""
    return any(matches(pattern, key) for pattern in keys)
