"""What there is at the broker: virtual hosts, exchanges, queues, and who may do what.

Events are published in one virtual host, the plan's `home`. Each other one belongs to one service:
its exchange is fed by federation from that of the same name, with what its queues are bound to and
no more. `docs/broker.md` has the picture, `docs/decisions/0014-topology-as-code.md` the reasons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from handrail.messaging.broker.plan import BrokerPlan
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.relay.routing import Routing

RELAY: Final = "relay"
"""The user that publishes."""

OPERATOR: Final = "operator"
"""The user that looks at queues, and redrives or discards what lies in `dead` and `unrouted`."""

DEAD, UNROUTED = "dead", "unrouted"
"""Where messages go that no consumer could take, and those that no queue is bound to."""

_DELIVERIES: Final = 20
"""How often a message is delivered that ends its consumer each time."""
_ANY: Final = 1_000_000
"""Dead letters are looked at as often as somebody likes."""
_LOG_BYTES: Final = 2 * 1024**3
_LOG_AGE: Final = "7D"


class NotToBeHad(ValueError):
    """A consumer wants an event that never reaches its virtual host."""


@dataclass(frozen=True)
class Exchange:
    name: str
    kind: Literal["topic", "fanout"] = "topic"


@dataclass(frozen=True)
class Queue:
    name: str
    kind: Literal["quorum", "stream"] = "quorum"
    one_consumer_at_a_time: bool = False
    """The others stand by, so that the order of the queue is that of the work."""


@dataclass(frozen=True)
class Binding:
    exchange: str
    queue: str
    key: str = "#"


@dataclass(frozen=True)
class Policy:
    """What may change without a queue or exchange being made anew. One of them applies to each."""

    name: str
    pattern: str
    to: Literal["queues", "exchanges"]
    definition: Mapping[str, Any]


@dataclass(frozen=True)
class Upstream:
    """Another virtual host that exchanges here are fed from, and the user who fetches."""

    name: str
    vhost: str
    user: str


@dataclass(frozen=True)
class VirtualHost:
    name: str
    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]
    policies: tuple[Policy, ...]
    follows: str = ""
    """The exchange that is fed by federation."""
    upstreams: tuple[Upstream, ...] = ()


@dataclass(frozen=True)
class Permission:
    """Patterns of the names that a user may make, put into, and take from. `^$` is none."""

    user: str
    vhost: str
    configure: str = "^$"
    write: str = "^$"
    read: str = "^$"


@dataclass(frozen=True)
class Topology:
    hosts: tuple[VirtualHost, ...]
    permissions: tuple[Permission, ...]

    @property
    def users(self) -> tuple[str, ...]:
        """Each needs a password."""
        return tuple(dict.fromkeys(permission.user for permission in self.permissions))


def topology(
    routing: Routing, consumers: Sequence[Consumer], *, operator: bool = False
) -> Topology:
    """What is declared at the broker for these consumers; `operator`: with the user for what lies
    in `dead` and `unrouted`. Raises NotToBeHad, NoBroker.
    """
    plan = routing.broker
    for consumer in consumers:
        _check(consumer, routing, plan)
    return Topology(
        hosts=(
            _home(plan),
            *(_service(name, plan, routing, consumers) for name in plan.services),
        ),
        permissions=(
            *_permissions(plan, consumers),
            *(_of_operator(plan) if operator else ()),
        ),
    )


def federation_user(service: str) -> str:
    return f"{service}-federation"


def keys_of(consumer: Consumer, routing: Routing) -> tuple[str, ...]:
    """What its queue is bound with: each event it wants, in any version."""
    return tuple(sorted({_key(name, routing) for name in consumer.types}))


def _key(event: str, routing: Routing) -> str:
    return f"{routing.context_of(event)}.{event}.*"


def _home(plan: BrokerPlan) -> VirtualHost:
    """Without an alternate exchange: it would take what the relay has to hear of as unroutable."""
    return VirtualHost(
        name=plan.home,
        exchanges=tuple(Exchange(name) for name in plan.exchange_names),
        queues=tuple(Queue(name, "stream") for name in plan.logs),
        bindings=tuple(
            Binding(exchange, queue)
            for queue, exchanges in plan.logs.items()
            for exchange in exchanges
        ),
        policies=(
            Policy(
                "logs",
                _exactly(plan.logs),
                "queues",
                {"max-age": _LOG_AGE, "max-length-bytes": _LOG_BYTES},
            ),
        ),
    )


def _service(
    name: str, plan: BrokerPlan, routing: Routing, consumers: Sequence[Consumer]
) -> VirtualHost:
    exchange = plan.services[name]
    here = [consumer for consumer in consumers if consumer.vhost == name]
    return VirtualHost(
        name=name,
        exchanges=(Exchange(exchange), Exchange(DEAD, "fanout"), Exchange(UNROUTED, "fanout")),
        queues=(
            *(Queue(one.queue, one_consumer_at_a_time=one.ordered) for one in here),
            Queue(DEAD),
            Queue(UNROUTED),
        ),
        bindings=(
            *(Binding(exchange, one.queue, key) for one in here for key in keys_of(one, routing)),
            Binding(DEAD, DEAD),
            Binding(UNROUTED, UNROUTED),
        ),
        policies=(
            Policy(
                "federated",
                _exactly([exchange]),
                "exchanges",
                {"federation-upstream": plan.home, "alternate-exchange": UNROUTED},
            ),
            # At least once, which a queue does that refuses messages rather than dropping its
            # oldest. None has a limit of its length: federation has no answer to a refusal.
            Policy(
                "consumed",
                _exactly(one.queue for one in here),
                "queues",
                {
                    "dead-letter-exchange": DEAD,
                    "dead-letter-strategy": "at-least-once",
                    "overflow": "reject-publish",
                    "delivery-limit": _DELIVERIES,
                },
            ),
            Policy("kept", _exactly([DEAD, UNROUTED]), "queues", {"delivery-limit": _ANY}),
        ),
        follows=exchange,
        upstreams=(Upstream(plan.home, plan.home, federation_user(name)),),
    )


def _check(consumer: Consumer, routing: Routing, plan: BrokerPlan) -> None:
    if consumer.vhost not in plan.services:
        known = ", ".join(plan.services)
        raise NotToBeHad(f"{consumer.name}: {consumer.vhost} is no virtual host of {known}")
    exchange = plan.services[consumer.vhost]
    for event in consumer.wants:
        if exchange not in (there := routing.exchanges_of(event.__name__)):
            raise NotToBeHad(
                f"{consumer.name} wants {event.__name__}, but {consumer.vhost} follows {exchange},"
                f" and it is published to {' and '.join(there)}"
            )


def _permissions(plan: BrokerPlan, consumers: Sequence[Consumer]) -> Iterable[Permission]:
    yield Permission(RELAY, plan.home, write=_exactly(plan.exchange_names))
    for service, exchange in plan.services.items():
        queues = [consumer.queue for consumer in consumers if consumer.vhost == service]
        yield Permission(service, service, read=_exactly(queues))
        yield Permission(RELAY, service)  # it sees what queues there are bound to, and that is all
        # Federation makes an exchange and a queue of its own upstream, named after both ends.
        own = rf"federation: {exchange} -> [^:]+:{service}:{exchange}( [AB])?"
        yield Permission(
            federation_user(service), plan.home, f"^{own}$", f"^{own}$", f"^({exchange}|{own})$"
        )


def _of_operator(plan: BrokerPlan) -> Iterable[Permission]:
    """It may put a message into any queue of a service, as to redrive one is; and enter the home,
    where the buffers of federation are seen.
    """
    yield Permission(OPERATOR, plan.home)
    for service in plan.services:
        yield Permission(
            OPERATOR, service, write=_exactly(["amq.default"]), read=_exactly([DEAD, UNROUTED])
        )


def _exactly(names: Iterable[str]) -> str:
    return f"^({'|'.join(re.escape(name) for name in names)})$"
