"""The broker as a team declares it: virtual hosts, exchanges, and streams that keep what was sent.

Every event of the business goes to the exchange `events`, what sagas record about themselves to
`sagas`. Further exchanges get the events of some contexts, too, for services that follow no more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

EVENTS: Final = "events"
"""The exchange of all events of the business."""
SAGAS: Final = "sagas"
"""The exchange of what sagas record about themselves, which is not for other services."""
UNKNOWN: Final = "unknown"
"""In the place of an exchange, where it cannot be told: the relay does not know the event."""


class NoBroker(LookupError):
    """The App declares no broker: give it `broker=BrokerPlan(home=…)`."""

    def __str__(self) -> str:
        return type(self).__doc__ or ""


@dataclass(frozen=True, kw_only=True)
class PartialExchange:
    """An exchange that gets the events of these contexts. `about` is said of it in AsyncAPI."""

    name: str
    contexts: tuple[str, ...]
    about: str


@dataclass(frozen=True, kw_only=True)
class BrokerPlan:
    """What the topology is made from, beside the consumers.

    `home` is the virtual host in which events are published; other virtual hosts get them by
    federation.
    """

    home: str
    exchanges: tuple[PartialExchange, ...] = ()
    """Beside `events` and `sagas`, which are always there."""
    services: Mapping[str, str] = field(default_factory=dict)
    """The virtual host of each service, also the name of its user; and the exchange it follows."""
    logs: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {f"{EVENTS}.log": (EVENTS, SAGAS)}
    )
    """Streams that keep what was published for a while, so that every event has a place to go to
    and can be read again; and the exchanges each is bound to."""

    @property
    def exchange_names(self) -> tuple[str, ...]:
        return (EVENTS, *(exchange.name for exchange in self.exchanges), SAGAS)


def mistakes(plan: BrokerPlan, contexts: Collection[str]) -> Iterator[str]:
    """A sentence for each thing in the plan that cannot work. `contexts` are those there are."""
    if plan.home in plan.services:
        yield f"the service {plan.home} is named as the virtual host of all events: rename one"
    yield from _of_exchanges(plan, contexts)
    yield from _of_unknown_exchanges(plan)
    for exchange in plan.exchange_names:
        if not any(exchange in kept for kept in plan.logs.values()):
            yield (
                f"no log keeps the exchange {exchange}, and the relay parks what no queue gets: add"
                " it to one of the logs"
            )


def _of_exchanges(plan: BrokerPlan, contexts: Collection[str]) -> Iterator[str]:
    for exchange in plan.exchanges:
        if exchange.name == UNKNOWN or plan.exchange_names.count(exchange.name) > 1:
            yield f"the name of the exchange {exchange.name} is taken: rename it"
        for context in exchange.contexts:
            if context not in contexts:
                yield (
                    f"the exchange {exchange.name} is for the context {context}, and there is none:"
                    f" name one of {', '.join(sorted(contexts))}"
                )


def _of_unknown_exchanges(plan: BrokerPlan) -> Iterator[str]:
    named = [(f"the service {name} follows", one) for name, one in plan.services.items()]
    named += [(f"the log {name} is of", one) for name, kept in plan.logs.items() for one in kept]
    for said, exchange in named:
        if exchange not in plan.exchange_names:
            yield (
                f"{said} the exchange {exchange}, and there is none: name one of"
                f" {', '.join(plan.exchange_names)}"
            )
