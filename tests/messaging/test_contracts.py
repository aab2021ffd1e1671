"""What other teams may count on: schemas, the AsyncAPI document, and that nothing breaks."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import orjson
import pytest
from hypothesis import given, settings

from domain.payments.events import PaymentVoided
from handrail.cli import contracts as command
from handrail.eventstore.codec import Codec
from handrail.eventstore.store import Recorded
from handrail.evolution.changes import NewVersion
from handrail.evolution.fields import FieldRenamed
from handrail.kernel import Event, Money
from handrail.messaging.broker.topology import topology
from handrail.messaging.contracts.asyncapi import document
from handrail.messaging.contracts.committed import FOLDER, Contracts
from handrail.messaging.contracts.compatibility import breaks
from handrail.messaging.contracts.examples import example_of
from handrail.messaging.contracts.schemas import Described, Schema, schema_of, tolerant
from runtime.app import HANDRAIL
from tests.eventstore.anything import anything
from tests.inputs import number_of
from tests.messaging.routed import routed

CODEC, EVENTS, EXAMPLES = HANDRAIL.codec, HANDRAIL.events, HANDRAIL.examples
ROOT = Path(__file__).parents[2]
NAMES = [event.__name__ for event in HANDRAIL.events]


def committed(name: str) -> Schema:
    [file] = (ROOT / FOLDER / "events").glob(f"*/{name}.v1.json")
    schema: Schema = json.loads(file.read_text())
    return schema


def jsonschema() -> Any:
    """To import it takes two seconds, also where its tests are only collected."""
    return import_module("jsonschema")


def holds(schema: Schema, instance: Any, whole: Schema | None = None) -> None:
    validator = jsonschema().Draft202012Validator
    definitions = {**(whole or {}), **schema}
    validator(definitions, format_checker=validator.FORMAT_CHECKER).validate(instance)


def contracts(folder: Path, events: list[type[Event]], codec: Codec) -> Contracts:
    """Of events that no consumer wants."""
    return Contracts(folder, events, Described(codec, EXAMPLES), routed(Noted="credit"), [])


def test_the_committed_contracts_are_what_the_code_says() -> None:
    assert command.contracts_of(HANDRAIL, ROOT / FOLDER).differences() == []


@pytest.mark.property
@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_stored_of_an_event_is_as_its_schema_says(name: str) -> None:
    event, schema = HANDRAIL.codec.classes[name], committed(name)
    jsonschema().Draft202012Validator.check_schema(schema)
    for example in schema["examples"]:
        holds(schema, example)
        assert HANDRAIL.codec.encode(HANDRAIL.codec.decode(name, 1, example)).data == orjson.dumps(
            example
        )

    @settings(max_examples=number_of(10, few=3), deadline=None, derandomize=True, database=None)
    @given(anything(event))
    def stored(message: object) -> None:
        holds(schema, orjson.loads(HANDRAIL.codec.encode(message).data))

    stored()


def test_the_writers_schema_knows_no_other_field_and_the_readers_passes_over_it() -> None:
    schema = schema_of(PaymentVoided, HANDRAIL.described)
    of_tomorrow = {"order": "o", "amount": {"amount": 1, "currency": "EUR", "rate": 2}, "why": ""}
    with pytest.raises(jsonschema().ValidationError, match="was unexpected"):
        holds(schema, of_tomorrow)
    holds(tolerant(schema), of_tomorrow)


@dataclass(frozen=True, kw_only=True)
class Noted(Event, context="credit"):
    what: str
    price: Money


def changed(**fields: Any) -> type[Event]:
    """The event with other fields: a type, or a type and a default."""
    described = [
        (name, *(kind if isinstance(kind, tuple) else (kind,))) for name, kind in fields.items()
    ]
    made = dataclasses.make_dataclass("Noted", described, bases=(Event,), frozen=True, kw_only=True)
    assert issubclass(made, Event)
    made.context = Noted.context
    return made


Where = Literal["shop", "web"]
CHANGES: dict[str, tuple[type[Event], type[Event], str]] = {
    "a field is gone": (Noted, changed(price=Money), "what is gone"),
    "a type is another": (Noted, changed(what=int, price=Money), "what was type string"),
    "a part is another": (
        Noted,
        changed(what=str, price=changed(amount=str)),
        "price.amount was type integer",
    ),
    "a new field must be there": (
        Noted,
        changed(what=str, price=Money, by=str),
        "by is new and has no default",
    ),
    "a field may be missing": (
        Noted,
        changed(what=(str, ""), price=Money),
        "what may be missing now",
    ),
    "a field may not be missing any more": (
        changed(what=(str, ""), price=Money),
        Noted,
        "what has no default any more",
    ),
    "a field may be nothing": (Noted, changed(what=str | None, price=Money), "what was type"),
    "one has become many": (Noted, changed(what=tuple[str, ...], price=Money), "what was type"),
    "what there are many of is another": (
        changed(what=tuple[str, ...]),
        changed(what=tuple[int, ...]),
        "what[] was type string",
    ),
    "there is one value more": (
        changed(what=Where),
        changed(what=Literal["shop", "web", "fair"]),
        "what was enum ['shop', 'web']",
    ),
    "of two types one is another": (
        changed(what=date | None),
        changed(what=int | None),
        "what was format date",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_breaks_readers_is_seen_and_not_written_over(
    change: str, tmp_path: Path
) -> None:
    old, new, said = CHANGES[change]
    before = contracts(tmp_path, [old], Codec.of([old]))
    after = contracts(tmp_path, [new], Codec.of([new]))
    assert before.write() == []
    files = {file: file.read_bytes() for file in tmp_path.rglob("*.json")}

    [broken] = after.write()

    assert said in str(broken)
    assert "make it version 2, with a change of version 1" in str(broken)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.json")} == files


def test_a_field_with_a_default_may_be_added(tmp_path: Path) -> None:
    more = changed(what=str, price=Money, by=(str, "nobody"))
    contracts(tmp_path, [Noted], Codec.of([Noted])).write()
    later = contracts(tmp_path, [more], Codec.of([more]))

    assert [one.breaking for one in later.differences()] == [False, False]
    assert later.write() == []
    assert later.differences() == []

    old, new = Codec.of([Noted]), Codec.of([more])
    written = orjson.loads(new.encode(example_of(more, EXAMPLES, "merchant")).data)
    assert old.decode("Noted", 1, written) == example_of(Noted, EXAMPLES, "merchant")
    written = orjson.loads(old.encode(example_of(Noted, EXAMPLES, "merchant")).data)
    assert new.decode("Noted", 1, written).by == "nobody"


def test_a_new_version_leaves_the_old_contract_in_place_and_must_read_it(tmp_path: Path) -> None:
    other = changed(text=str, price=Money)
    lifts = [NewVersion("Noted", 2, (FieldRenamed("text", was="what"),))]
    contracts(tmp_path, [Noted], Codec.of([Noted])).write()
    first = (tmp_path / "events/credit/Noted.v1.json").read_bytes()
    second = contracts(tmp_path, [other], Codec.of([other], lifts))

    assert second.write() == []
    assert (tmp_path / "events/credit/Noted.v1.json").read_bytes() == first
    assert (tmp_path / "events/credit/Noted.v2.json").exists()

    wrong = [NewVersion("Noted", 2, (FieldRenamed("text", was="headline"),))]
    broken, *_ = contracts(tmp_path, [other], Codec.of([other], wrong)).write()
    assert "credit/Noted.v1.json: events of it are stored and cannot be read" in str(broken)

    broken_ones = contracts(tmp_path, [], Codec.of([])).write()
    said = "UnknownMessage", "UnknownMessage", "there is no such change any more"
    assert [one in str(found) for one, found in zip(said, broken_ones, strict=True)] == 3 * [True]


def test_the_command_compares_and_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.check(tmp_path, HANDRAIL) == 1
    said = capsys.readouterr().err
    assert "events/credit/CreditHeld.v1.json: is missing" in said
    assert "`handrail contracts --write` brings them up to date" in said

    assert command.write(tmp_path, HANDRAIL) == 0
    assert command.check(tmp_path, HANDRAIL) == 0
    file = tmp_path / "events/credit/CreditHeld.v1.json"
    file.write_text(file.read_text().replace('"held"', '"hold"'))

    assert (command.check(tmp_path, HANDRAIL), command.write(tmp_path, HANDRAIL)) == (1, 1)
    said = capsys.readouterr().err
    assert said.count("hold is gone, and readers may need it; held is new") == 2
    assert "--write" not in said


def test_what_is_only_said_about_an_event_breaks_nothing() -> None:
    schema = schema_of(PaymentVoided, HANDRAIL.described)
    assert breaks(schema, {**schema, "description": "other words"}) == []


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / FOLDER / "asyncapi.json").read_text())
    return found


def walk(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from walk(one)


def found_at(whole: Any, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        whole = whole[part]
    return whole


def test_every_reference_leads_somewhere_and_every_schema_is_used(asyncapi: dict[str, Any]) -> None:
    references = {node["$ref"] for node in walk(asyncapi) if "$ref" in node}
    for reference in references:
        assert isinstance(found_at(asyncapi, reference), dict), reference
    for kind in ("schemas", "messages"):
        named = {f"#/components/{kind}/{name}" for name in asyncapi["components"][kind]}
        assert named <= references


def test_every_exchange_and_queue_of_the_broker_is_a_channel(asyncapi: dict[str, Any]) -> None:
    found: set[tuple[str, str]] = set()
    for channel in asyncapi["channels"].values():
        binding = channel["bindings"]["amqp"]
        [server] = [found_at(asyncapi, one["$ref"]) for one in channel["servers"]]
        place = binding.get("exchange") or binding["queue"]
        assert server["pathname"] == f"/{place['vhost']}"
        found.add((place["vhost"], place["name"]))
    # what went wrong is nobody's contract
    apart = {"dead", "unrouted"}
    hosts = topology(HANDRAIL.routing, HANDRAIL.consumers).hosts
    exchanges = {(host.name, one.name) for host in hosts for one in host.exchanges}
    queues = {(host.name, one.name) for host in hosts for one in host.queues}
    assert found == {(vhost, name) for vhost, name in exchanges | queues if name not in apart}


def test_every_event_is_in_the_channel_of_each_exchange_it_is_published_to(
    asyncapi: dict[str, Any],
) -> None:
    published: dict[str, set[str]] = {name: set() for name in NAMES}
    for channel in asyncapi["channels"].values():
        binding = channel["bindings"]["amqp"]
        if binding["is"] == "routingKey" and binding["exchange"]["vhost"] == "commerce":
            for name in channel["messages"]:
                published[name].add(binding["exchange"]["name"])
    assert published == {name: set(HANDRAIL.routing.exchanges_of(name)) for name in NAMES}


def test_every_consumer_has_its_queue_with_what_it_wants(asyncapi: dict[str, Any]) -> None:
    for consumer in HANDRAIL.consumers:
        operation = asyncapi["operations"][f"consume.{consumer.name}"]
        channel = found_at(asyncapi, operation["channel"]["$ref"])
        assert set(channel["messages"]) == consumer.types
        assert channel["bindings"]["amqp"]["queue"]["vhost"] == consumer.vhost
        assert channel["address"] == consumer.queue


def test_the_address_of_a_channel_fits_the_routing_keys_of_its_messages(
    asyncapi: dict[str, Any],
) -> None:
    for channel in asyncapi["channels"].values():
        if channel["bindings"]["amqp"]["is"] == "routingKey":
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^.]+)", channel["address"])
            for reference in channel["messages"].values():
                message = found_at(asyncapi, reference["$ref"])
                fits = re.fullmatch(pattern, message["bindings"]["amqp"]["messageType"])
                assert fits is not None
                assert fits["context"] in channel["parameters"]["context"]["enum"]


@pytest.mark.parametrize("name", NAMES)
def test_a_message_and_its_example_are_as_the_document_says(
    name: str, asyncapi: dict[str, Any]
) -> None:
    cloud_events = pytest.importorskip(
        "handrail.messaging.cloud_events", reason="the extra `broker`"
    )
    message = asyncapi["components"]["messages"][name]
    assert message["bindings"]["amqp"]["messageType"] == HANDRAIL.routing.routing_key(name, 1)
    encoded = HANDRAIL.codec.encode(
        example_of(HANDRAIL.codec.classes[name], HANDRAIL.examples, HANDRAIL.tenant)
    )
    data, about = orjson.loads(encoded.data), {"actor": "ann", "correlation": "c", "step": "Do"}
    recorded = Recorded(7, "order-1", 3, name, 1, data, about, datetime.now(UTC))
    headers, body, content_type = cloud_events.message_of(recorded, HANDRAIL.routing)

    assert content_type == message["contentType"]
    [example] = message["examples"]
    for one, other in ((headers, orjson.loads(body)), (example["headers"], example["payload"])):
        holds(message["headers"], one, asyncapi)
        holds(message["payload"], other, asyncapi)
    known = asyncapi["components"]["schemas"]["CloudEventHeaders"]["properties"]
    assert set(headers) <= set(known)


def test_two_things_of_one_name_are_not_mixed_up() -> None:
    other = changed(price=dataclasses.make_dataclass("Money", [("cents", int)]))
    codec = Codec.of([other, PaymentVoided])
    with pytest.raises(ValueError, match="Money stands for two things"):
        document([other, PaymentVoided], Described(codec, EXAMPLES), routed(Noted="credit"), [])
