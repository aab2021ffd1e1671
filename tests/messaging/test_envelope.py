"""What is stored is what is received, event by event, over a broker or without."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handrail.eventstore.codec import UnknownMessage
from handrail.eventstore.store import Recorded
from handrail.kernel import Event
from handrail.messaging.cloud_events import NotAnEvent, Unpublishable, message_of, received
from handrail.messaging.envelope import received_from_store
from runtime.app import HANDRAIL
from tests.eventstore.anything import anything
from tests.inputs import number_of

CODEC, EVENTS = HANDRAIL.codec, HANDRAIL.events

CREDIT_HELD = {"customer": "ann", "order_id": "o1"}
METADATA: Mapping[str, Any] = {
    "actor": "customer ann",
    "correlation": "checkout-o1",
    "causation": "checkout-o1/1/hold-credit/do",
    "attempt": 1,
    "step": "hold-credit",
    "direction": "do",
}


def recorded(event: Any = None, **changed: Any) -> Recorded:
    encoded = HANDRAIL.codec.encode(event) if event is not None else None
    plain = Recorded(
        position=17,
        stream="credit-ann",
        version=3,
        type=encoded.type if encoded else "CreditHeld",
        schema=encoded.schema if encoded else 1,
        data=orjson.loads(encoded.data) if encoded else CREDIT_HELD,
        metadata=METADATA,
        recorded_at=datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC),
    )
    return dataclasses.replace(plain, **changed)


@pytest.mark.property
@pytest.mark.parametrize("cls", HANDRAIL.events, ids=lambda cls: cls.__name__)
def test_what_is_published_is_received(cls: type) -> None:
    @settings(max_examples=number_of(10, few=3), deadline=None, derandomize=True, database=None)
    @given(anything(cls), st.dictionaries(st.text(max_size=9), st.text()))
    def holds(event: Any, metadata: Mapping[str, Any]) -> None:
        stored = recorded(event, metadata=metadata)
        headers, body, _ = message_of(stored, HANDRAIL.routing)

        assert received(headers, body, CODEC) == received_from_store(stored, CODEC)
        assert received(headers, body, CODEC).event == event

    holds()


def test_a_message_is_a_cloud_event_that_says_who_why_and_where() -> None:
    headers, body, content_type = message_of(recorded(), HANDRAIL.routing)

    assert content_type == "application/json"
    assert orjson.loads(body) == CREDIT_HELD
    assert orjson.loads(headers.pop("ce-metadata")) == METADATA
    assert headers == {
        "ce-specversion": "1.0",
        "ce-id": "credit-ann/3",
        "ce-source": "/handrail/credit",
        "ce-type": "credit.CreditHeld.v1",
        "ce-subject": "credit-ann",
        "ce-time": "2026-02-03T04:05:06.000789Z",
        "ce-stream": "credit-ann",
        "ce-streamversion": "3",
        "ce-position": "17",
        "ce-schema": "1",
        "ce-step": "hold-credit",
        "ce-correlation": "checkout-o1",
        "ce-causation": "checkout-o1/1/hold-credit/do",
        "ce-actor": "customer ann",
    }


def test_a_time_is_the_same_whatever_zone_it_was_read_in() -> None:
    berlin = timezone(timedelta(hours=1))
    headers, _, _ = message_of(
        recorded(recorded_at=datetime(2026, 2, 3, 5, tzinfo=berlin)), HANDRAIL.routing
    )

    assert headers["ce-time"] == "2026-02-03T04:00:00Z"


def test_headers_of_others_are_passed_over() -> None:
    headers, body, _ = message_of(recorded(), HANDRAIL.routing)
    among_others = {**headers, "x-death": [{"count": 1}], "x-received-from": None, "retry": 3}

    assert received(among_others, body, CODEC) == received_from_store(recorded(), CODEC)


def _without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda headers: headers.pop(name)


def _with(**changed: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda headers: headers.update({f"ce-{name}": to for name, to in changed.items()})


@pytest.mark.parametrize(
    "spoil",
    [
        dict.clear,
        _without("ce-id"),
        _without("ce-type"),
        _without("ce-time"),
        _without("ce-metadata"),
        _without("ce-stream"),
        _with(id="credit-ann/4"),
        _with(type="CreditHeld"),
        _with(type="credit.CreditHeld.vx"),
        _with(time="yesterday"),
        _with(time=12),
        _with(metadata="[]"),
        _with(metadata="{"),
        _with(position="first"),
        _with(specversion="0.3"),
    ],
)
def test_a_message_of_somebody_else_is_told_apart(
    spoil: Callable[[dict[str, Any]], Any],
) -> None:
    headers, body, _ = message_of(recorded(), HANDRAIL.routing)
    spoil(headers)

    with pytest.raises(NotAnEvent):
        received(headers, body, CODEC)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe"])
def test_a_body_that_is_no_object_is_told_apart(body: bytes) -> None:
    headers, _, _ = message_of(recorded(), HANDRAIL.routing)

    with pytest.raises(NotAnEvent):
        received(headers, body, CODEC)


def test_data_that_do_not_fit_are_received_and_cannot_be_decoded() -> None:
    headers, body, _ = message_of(recorded(data={"customer": 4}), HANDRAIL.routing)

    with pytest.raises(ValueError, match="validation error"):
        _ = received(headers, body, CODEC).event


def test_an_event_of_a_newer_schema_is_received_and_cannot_be_decoded() -> None:
    headers, body, _ = message_of(recorded(schema=99), HANDRAIL.routing)

    with pytest.raises(UnknownMessage):
        _ = received(headers, body, CODEC).event


@pytest.mark.parametrize("too_large", ["data", "metadata"])
def test_what_no_broker_takes_is_not_tried(too_large: str) -> None:
    with pytest.raises(Unpublishable, match="at most"):
        message_of(recorded(**{too_large: {"text": "x" * 17_000_000}}), HANDRAIL.routing)


def test_an_event_this_code_does_not_know_has_no_message() -> None:
    with pytest.raises(UnknownMessage):
        message_of(recorded(type="CreditSeized"), HANDRAIL.routing)


def test_every_event_belongs_to_the_context_whose_package_declares_it() -> None:
    for one in HANDRAIL.events:
        assert issubclass(one, Event)
        assert one.context == HANDRAIL.routing.context_of(one.__name__)


@pytest.mark.parametrize(
    ("event_type", "exchanges"),
    [
        ("OrderPlaced", ("events",)),
        ("CreditHeld", ("events", "money")),
        ("PaymentCaptured", ("events", "money")),
        ("PayableAccrued", ("events", "money")),
        ("StockReserved", ("events", "parcels")),
        ("ShipmentBooked", ("events", "parcels")),
        ("StepDone", ("sagas",)),
    ],
)
def test_an_event_goes_where_its_context_is_the_business_of_others(
    event_type: str, exchanges: tuple[str, ...]
) -> None:
    assert HANDRAIL.routing.exchanges_of(event_type) == exchanges


def test_a_key_names_the_context_the_event_and_its_schema() -> None:
    assert HANDRAIL.routing.routing_key("CreditHeld", 2) == "credit.CreditHeld.v2"
