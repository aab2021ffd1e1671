"""What is declared, before any broker knows of it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from domain.ordering.events import OrderPlaced
from handrail.messaging.broker.definitions import Access, objects_of
from handrail.messaging.broker.topology import NotToBeHad, topology
from runtime.app import HANDRAIL
from tests.messaging.broker.house import EXCHANGES, address_of

HOME, *SERVICES = topology(HANDRAIL.routing, HANDRAIL.consumers).hosts
FINANCE = next(one for one in HANDRAIL.consumers if one.name == "finance")


def test_every_event_has_a_place_by_default() -> None:
    kept = {binding.exchange for binding in HOME.bindings if binding.key == "#"}

    assert kept == {*EXCHANGES}
    assert {place for event in HANDRAIL.events for place in address_of(event)[0]} <= kept


def test_where_the_relay_publishes_nothing_hides_what_is_unroutable() -> None:
    assert not [one for one in HOME.policies if "alternate-exchange" in one.definition]


def test_every_consumer_has_a_queue_that_keeps_what_it_confirmed() -> None:
    for consumer in HANDRAIL.consumers:
        [host] = [one for one in SERVICES if one.name == consumer.vhost]
        [queue] = [one for one in host.queues if one.name == consumer.queue]

        assert queue.kind == "quorum"
        assert queue.one_consumer_at_a_time == consumer.ordered


def test_dead_letters_are_passed_on_at_least_once() -> None:
    for host in SERVICES:
        for queue in (one.name for one in host.queues if one.name not in {"dead", "unrouted"}):
            applied = [
                one.definition
                for one in host.policies
                if one.to == "queues" and re.search(one.pattern, queue)
            ]
            # One policy applies to a queue; with two it would be chance which.
            [policy] = applied
            assert policy["dead-letter-strategy"] == "at-least-once"
            assert policy["overflow"] == "reject-publish"  # else it falls back to at most once
            assert policy["dead-letter-exchange"] in {one.name for one in host.exchanges}


def test_federation_forgets_a_message_once_it_is_confirmed_downstream() -> None:
    declared = topology(HANDRAIL.routing, HANDRAIL.consumers)
    access = Access(dict.fromkeys(declared.users, "x"), "amqp://broker:5672", ("admin", "x"))
    upstreams = [
        value["value"]
        for key, value in objects_of(declared, access).items()
        if key.kind == "upstream"
    ]

    assert len(upstreams) == len(SERVICES)
    for upstream in upstreams:
        assert upstream["ack-mode"] == "on-confirm"  # others lose what is on its way in a crash
        assert not {"expires", "message-ttl", "max-length"} & set(upstream)


def test_a_consumer_cannot_want_what_never_comes_to_its_virtual_host() -> None:
    wanting = replace(FINANCE, wants=(*FINANCE.wants, OrderPlaced))

    with pytest.raises(NotToBeHad, match="finance wants OrderPlaced, but finance follows money"):
        topology(HANDRAIL.routing, [wanting])


def test_a_consumer_has_a_virtual_host_that_is_there() -> None:
    with pytest.raises(NotToBeHad, match="finance: marketing is no virtual host of"):
        topology(HANDRAIL.routing, [replace(FINANCE, vhost="marketing")])
