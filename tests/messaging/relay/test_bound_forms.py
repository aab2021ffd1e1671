"""In which forms an event is published: the stored one, and those that only other queues get."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from handrail.eventstore.store import Recorded
from handrail.evolution.forms import Form
from handrail.messaging.broker.form_bindings import Reader, matches, readers_in
from handrail.messaging.broker.plan import BrokerPlan
from handrail.messaging.relay.bound_forms import Bindings, BoundForms
from handrail.messaging.relay.publisher import Counted
from handrail.messaging.relay.relay import partition
from tests.evolution.new_release import NEW

PLAN = BrokerPlan(home="house", services={"desk": "events", "kitchen": "events"})
APP = replace(NEW, broker=PLAN)


@pytest.mark.parametrize(
    ("pattern", "keys", "others"),
    [
        ("inn.RoomBooked.v1", ["inn.RoomBooked.v1"], ["inn.RoomBooked.v2", "inn.RoomBooked"]),
        ("inn.RoomBooked.*", ["inn.RoomBooked.v1", "inn.RoomBooked.v2"], ["inn.RoomBooked"]),
        ("inn.#", ["inn.RoomBooked.v1", "inn"], ["out.RoomBooked.v1"]),
        ("#", ["inn.RoomBooked.v1"], []),
        ("#.v1", ["inn.RoomBooked.v1", "v1"], ["inn.RoomBooked.v2"]),
        ("inn.#.v1.#", ["inn.v1", "inn.A.v1.x"], ["inn.A.v2"]),
        ("*.*.v1", ["inn.RoomBooked.v1"], ["inn.v1"]),
        ("", [], ["inn.RoomBooked.v1"]),
    ],
)
def test_a_binding_matches_as_a_topic_exchange_does(
    pattern: str, keys: list[str], others: list[str]
) -> None:
    assert [key for key in keys if not matches(pattern, key)] == []
    assert [key for key in others if matches(pattern, key)] == []


def binding(vhost: str, source: str, to: str, key: str, kind: str = "queue") -> dict[str, Any]:
    return {
        "vhost": vhost,
        "source": source,
        "destination": to,
        "destination_type": kind,
        "routing_key": key,
    }


def test_the_keys_of_a_queue_are_taken_together() -> None:
    found = readers_in(
        [
            binding("house", "events", "log", "#"),
            binding("house", "events", "theirs", "inn.RoomBooked.v1"),
            binding("house", "events", "theirs", "inn.RoomBooked.v2"),
            binding("house", "", "theirs", "theirs"),
            binding("house", "elsewhere", "theirs", "#"),
            binding("unrelated", "events", "queue", "#"),
        ],
        PLAN,
    )
    assert found == (
        Reader("house/log", "events", frozenset({"#"})),
        Reader("house/theirs", "events", frozenset({"inn.RoomBooked.v1", "inn.RoomBooked.v2"})),
    )


def test_queues_behind_federation_are_readers_and_the_federations_own_is_none() -> None:
    own = "federation: events -> rabbit@here:desk:events B"
    found = readers_in(
        [
            binding("house", "events", own, "inn.RoomBooked.v1", "exchange"),
            binding("house", "events", own, "inn.RoomBooked.*", "exchange"),
            binding("desk", "events", "old", "inn.RoomBooked.v1"),
            binding("desk", "events", "new", "inn.RoomBooked.*"),
            binding("desk", "dead", "dead", "#"),
        ],
        PLAN,
    )
    assert [(one.name, set(one.keys)) for one in found] == [
        ("desk/new", {"inn.RoomBooked.*"}),
        ("desk/old", {"inn.RoomBooked.v1"}),
    ]


def test_what_lies_behind_a_federation_that_is_not_shown_counts_key_by_key() -> None:
    elsewhere = "federation: events -> rabbit@far:lake:events"
    found = readers_in(
        [
            binding("house", "events", elsewhere, "a.B.v1"),
            binding("house", "events", elsewhere, "a.B.*"),
            binding("house", "events", "further", "a.B.v1", "exchange"),
        ],
        PLAN,
    )
    assert [set(one.keys) for one in found] == [{"a.B.*"}, {"a.B.v1"}, {"a.B.v1"}]


def forms(*keys: str) -> BoundForms:
    """Of queues that are each bound to one key."""
    readers = [
        Reader(f"house/{number}", "events", frozenset(key.split(" ")))
        for number, key in enumerate(keys)
    ]
    return BoundForms(APP.codec, APP.routing, Bindings(readers), Counted())


BOOKED = [Form("RoomBooked", 1), Form("RoomBooked", 2)]
KEY = [Form("KeyHandedOver", 1), Form("KeyGiven", 2)]


@pytest.mark.parametrize(
    ("keys", "stored", "wanted"),
    [
        ([], BOOKED[1], []),
        (["#"], BOOKED[1], []),
        (["inn.RoomBooked.*"], BOOKED[1], []),
        (["inn.RoomBooked.v2"], BOOKED[1], []),
        (["inn.RoomBooked.v1"], BOOKED[1], [BOOKED[0]]),
        (["inn.RoomBooked.v1", "#"], BOOKED[1], [BOOKED[0]]),
        (["inn.RoomBooked.v1 inn.RoomBooked.v2"], BOOKED[1], []),
        (["inn.RoomBooked.v1"], BOOKED[0], []),
        (["inn.RoomBooked.v2"], BOOKED[0], [BOOKED[1]]),
        (["inn.KeyHandedOver.*"], KEY[1], [KEY[0]]),
        (["inn.KeyHandedOver.* inn.KeyGiven.*"], KEY[1], []),
        (["inn.KeyGiven.*"], KEY[0], [KEY[1]]),
        (["inn.GuestLeft.v7"], Form("GuestLeft"), []),
    ],
)
def test_a_queue_that_does_not_get_the_stored_form_gets_the_newest_it_is_bound_to(
    keys: list[str], stored: Form, wanted: list[Form]
) -> None:
    assert list(forms(*keys).wanted("events", stored)) == wanted


def test_a_queue_of_another_exchange_is_none_of_this_one() -> None:
    assert list(forms("inn.RoomBooked.v1").wanted("sagas", BOOKED[1])) == []


def test_while_the_bindings_are_unknown_every_other_form_is_wanted() -> None:
    found = forms("#")
    assert list(found.wanted("events", BOOKED[1])) == []
    found.bindings.readers = None
    assert list(found.wanted("events", BOOKED[1])) == [BOOKED[0]]
    assert list(found.wanted("events", Form("GuestLeft"))) == []
    found.bindings.readers = [Reader("a", "events", frozenset({"#"}))]
    assert list(found.wanted("events", BOOKED[1])) == []


def recorded(form: Form, **data: Any) -> Recorded:
    about = {"actor": "ann", "correlation": "c"}
    return Recorded(7, "room-1", 3, form.name, form.version, data, about, datetime.now(UTC))


def test_a_copy_is_the_same_event_in_another_form_under_its_own_key() -> None:
    event = recorded(BOOKED[1], guest="g", amount=5, floor=2)
    [copy] = forms("inn.RoomBooked.v1").copies("events", event)
    assert copy.key == "inn.RoomBooked.v1"
    assert copy.properties.message_id == "room-1/3"
    assert orjson.loads(copy.body) == {"guest": "g", "sum": 5}
    assert event.data == {"guest": "g", "amount": 5, "floor": 2}


def test_an_event_that_is_stored_in_an_old_form_is_lifted_for_a_queue_that_is_ahead() -> None:
    [copy] = forms("inn.RoomBooked.v2").copies("events", recorded(BOOKED[0], guest="g", sum=5))
    assert copy.key == "inn.RoomBooked.v2"
    assert orjson.loads(copy.body) == {"guest": "g", "amount": 5, "floor": 0}


def test_a_renamed_event_is_published_under_its_earlier_name() -> None:
    [copy] = forms("inn.KeyHandedOver.*").copies("events", recorded(KEY[1], guest="g", room=9))
    assert (copy.key, orjson.loads(copy.body)) == (
        "inn.KeyHandedOver.v1",
        {"guest": "g", "room": 9},
    )


def test_copies_follow_their_event_in_the_order_of_the_stream() -> None:
    events = [
        recorded(BOOKED[1], guest="g", amount=1, floor=0),
        replace(recorded(Form("GuestLeft"), guest="g"), version=4, position=8),
    ]
    work = partition(events, set(), APP.routing, forms=forms("inn.RoomBooked.v1"))
    [chain] = work.chains.values()
    assert [(position, message.key) for position, message in chain] == [
        (7, "inn.RoomBooked.v2"),
        (7, "inn.RoomBooked.v1"),
        (8, "inn.GuestLeft.v1"),
    ]


@pytest.mark.parametrize(
    ("bound_to", "event"),
    [
        ("inn.GuestMoved.v1", recorded(Form("AddressChanged"), guest="g", street="s")),
        ("inn.BellRung.v1", recorded(Form("HelpAsked"), guest="g", how="loudly")),
        ("inn.StayMeasured.v1", recorded(Form("StayMeasured", 2), guest="g", seconds="many")),
    ],
)
def test_what_cannot_be_brought_to_a_form_is_left_out_counted_and_said_once(
    bound_to: str, event: Recorded
) -> None:
    counted = Counted()
    readers = [Reader("house/old", "events", frozenset({bound_to}))]
    found = BoundForms(APP.codec, APP.routing, Bindings(readers), counted)
    with capture_logs() as said:
        assert list(found.copies("events", event)) == []
        assert list(found.copies("events", event)) == []
    assert counted.unconverted == 2
    [once] = said
    assert (once["log_level"], once["readers"]) == ("error", ["house/old"])
    assert once["stored"] == str(Form(event.type, event.schema))


def test_nothing_is_said_of_forms_that_maybe_no_queue_is_bound_to() -> None:
    counted = Counted()
    found = BoundForms(APP.codec, APP.routing, Bindings(), counted)
    moved = recorded(Form("AddressChanged"), guest="g", street="s")
    with capture_logs() as said:
        assert list(found.copies("events", moved)) == []
    assert (said, counted.unconverted) == ([], 0)


def test_an_event_that_never_changed_costs_no_look_at_bindings() -> None:
    found = forms("#")
    assert list(found.copies("events", recorded(Form("GuestLeft"), guest="g"))) == []
    assert found._wanted == {}
