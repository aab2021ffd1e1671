"""What an App says of its broker and its consumers is refused where no event could ever come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from consumers import finance, warehouse
from domain.payments.events import PaymentCaptured
from handrail.app import App
from handrail.messaging.broker.plan import BrokerPlan, NoBroker, PartialExchange
from handrail.messaging.broker.topology import topology
from handrail.wrongly_declared import WronglyDeclared
from runtime.app import HANDRAIL
from runtime.broker import BROKER


def shop(**changes: Any) -> App:
    return App(**{"contexts": HANDRAIL.contexts, "broker": BROKER, **changes})


def partial(name: str, *contexts: str) -> PartialExchange:
    return PartialExchange(name=name, contexts=contexts, about="")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"home": "finance"}, "the service finance is named as the virtual host of all events"),
        (
            {"exchanges": (*BROKER.exchanges, partial("money"))},
            "the name of the exchange money is taken: rename it",
        ),
        (
            {"exchanges": (*BROKER.exchanges, partial("unknown"))},
            "the name of the exchange unknown is taken: rename it",
        ),
        (
            {"exchanges": (*BROKER.exchanges, partial("parts", "assembly"))},
            "the exchange parts is for the context assembly, and there is none: name one of credit",
        ),
        (
            {"services": {"finance": "cash"}},
            "the service finance follows the exchange cash, and there is none: name one of events",
        ),
        (
            {"logs": {**BROKER.logs, "cash.log": ("cash",)}},
            "the log cash.log is of the exchange cash, and there is none: name one of events",
        ),
        (
            {"logs": {"events.log": ("events", "sagas"), "money.log": ("money",)}},
            "no log keeps the exchange parcels, and the relay parks what no queue gets: add it",
        ),
    ],
)
def test_a_broker_plan_that_cannot_work_is_refused(changes: Mapping[str, Any], said: str) -> None:
    with pytest.raises(WronglyDeclared, match=said):
        shop(broker=replace(BROKER, **changes))


def test_a_consumer_of_an_event_that_no_context_has_is_refused() -> None:
    ordering, *_ = HANDRAIL.contexts
    with pytest.raises(WronglyDeclared, match="finance wants PaymentCaptured, which no context"):
        shop(contexts=[ordering], broker=None, consumers=[finance.CONSUMER])


def test_a_consumer_whose_service_does_not_follow_its_event_is_refused() -> None:
    misplaced = replace(warehouse.CONSUMER, wants=(PaymentCaptured,))
    with pytest.raises(WronglyDeclared, match="logistics follows parcels, and it is published to"):
        shop(consumers=[misplaced])


def test_a_consumer_of_a_service_that_is_not_there_is_refused() -> None:
    with pytest.raises(WronglyDeclared, match="marketing is no virtual host of finance"):
        shop(consumers=[replace(finance.CONSUMER, vhost="marketing")])


def test_two_consumers_of_one_queue_are_refused() -> None:
    with pytest.raises(WronglyDeclared, match="two queues are named finance/ledger: rename one"):
        shop(consumers=[finance.CONSUMER, replace(finance.CONSUMER, name="audit")])


def test_an_app_without_a_broker_has_consumers_but_no_topology() -> None:
    app = shop(broker=None, consumers=[finance.CONSUMER])

    with pytest.raises(NoBroker, match=r"give it `broker=BrokerPlan\(home=…\)`"):
        topology(app.routing, app.consumers)
    assert app.event_contracts()["channels"] == {}
    assert app.routing.routing_key("PaymentCaptured", 1) == "payments.PaymentCaptured.v1"


def test_the_smallest_plan_has_two_exchanges_and_a_log_that_keeps_both() -> None:
    app = shop(broker=BrokerPlan(home="trips"))

    [home] = topology(app.routing, app.consumers).hosts
    assert [one.name for one in home.exchanges] == ["events", "sagas"]
    assert {one.exchange for one in home.bindings} == {"events", "sagas"}
