"""An App says once what it calls its tenant; what was stored under another word is still read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, Final

import orjson
import pytest
from temporalio.api.common.v1 import Payload

from handrail.activities.command_handler import metadata_of
from handrail.app import App
from handrail.eventstore.codec import Codec
from handrail.eventstore.store import Recorded
from handrail.kernel import Money, TenantId
from handrail.lake.columns import columns_of
from handrail.messaging.cloud_events import EXTENSIONS, message_of
from handrail.sagas.events import SagaStarted
from handrail.sagas.interventions import InterveneInMany, InterventionBegun, Which
from handrail.sagas.options import RunOptions
from handrail.sagas.step_keys import StepContext, StepKey
from handrail.sagas.visibility import begun_as
from handrail.temporal.client import data_converter
from handrail.tenant_word import wrong_with
from handrail.wrongly_declared import WronglyDeclared

WORDS: Final = ("tenant", "merchant", "team")
AT: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
BEGUN: Final = SagaStarted(
    saga="trip-1",
    saga_type="BookTrip",
    shape=1,
    attempt=1,
    tenant=TenantId("sales"),
    at_stake=Money(1, "EUR"),
    actor="ann",
)
ASKED: Final = InterveneInMany(
    intervention="i", which=Which(tenant="sales"), kind="retry", actor="a", reason="r", per_second=1
)
MANY: Final = InterventionBegun(intervention="i", asked=ASKED, found=1, until=AT)
CONTEXT: Final = StepContext(
    key=StepKey(saga="trip-1", attempt=1, step="HoldBudget", opened_on=date(2026, 3, 2)),
    actor="ann",
    tenant="sales",
)


def app_of(word: str) -> App:
    return App(contexts=(), tenant=word)


def stored(codec: Codec, event: object) -> Any:
    return orjson.loads(codec.encode(event).data)


def recorded(data: dict[str, Any], metadata: dict[str, Any]) -> Recorded:
    return Recorded(
        position=1,
        stream="saga-trip-1",
        version=1,
        type="SagaStarted",
        schema=1,
        data=data,
        metadata=metadata,
        recorded_at=AT,
    )


@pytest.mark.parametrize("word", WORDS)
def test_events_have_the_word_as_the_key_of_the_tenant(word: str) -> None:
    codec = app_of(word).codec
    assert stored(codec, BEGUN)[word] == "sales"
    assert stored(codec, MANY)["asked"]["which"][word] == "sales"
    assert not {*WORDS} & stored(codec, BEGUN).keys() - {word}


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("event", [BEGUN, MANY], ids=lambda one: type(one).__name__)
def test_an_event_that_was_stored_before_there_was_a_choice_is_read(
    word: str, event: object
) -> None:
    before = stored(app_of("merchant").codec, event)
    assert app_of(word).codec.decode(type(event).__name__, 1, before) == event


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("value", [CONTEXT, ASKED, ASKED.which], ids=lambda one: type(one).__name__)
async def test_temporal_is_sent_the_word_and_reads_what_was_sent_before(
    word: str, value: Any
) -> None:
    converter = data_converter(app_of(word).codec)
    [sent] = await converter.encode([value])
    assert f'"{word}":"sales"'.encode() in sent.data
    assert await converter.decode([sent], [type(value)]) == [value]
    before = sent.data.replace(f'"{word}":"sales"'.encode(), b'"merchant":"sales"')
    kept = Payload(metadata=sent.metadata, data=before)
    assert await converter.decode([kept], [type(value)]) == [value]


@pytest.mark.parametrize("word", WORDS)
def test_metadata_headers_and_the_lake_have_the_word(word: str) -> None:
    app = app_of(word)
    metadata = dict(metadata_of(CONTEXT, word))
    event = recorded(stored(app.codec, BEGUN), metadata)
    headers, _, _ = message_of(event, app.routing)
    assert metadata[word] == headers[f"ce-{word}"] == "sales"
    [column] = [one for one in columns_of(word) if one.name == word]
    assert column.value(event, app.routing) == "sales"


@pytest.mark.parametrize("word", WORDS)
def test_metadata_that_was_stored_before_is_published_and_exported_under_the_word(
    word: str,
) -> None:
    app = app_of(word)
    event = recorded(stored(app_of("merchant").codec, BEGUN), {"merchant": "sales"})
    headers, _, _ = message_of(event, app.routing)
    assert headers[f"ce-{word}"] == "sales"
    [column] = [one for one in columns_of(word) if one.name == word]
    assert column.value(event, app.routing) == "sales"


def test_an_event_without_a_tenant_has_no_such_header() -> None:
    app = app_of("team")
    event = recorded(stored(app.codec, BEGUN), {"actor": "ann"})
    assert "ce-team" not in message_of(event, app.routing)[0]


@pytest.mark.parametrize("word", WORDS)
def test_the_search_attribute_has_the_word_as_its_name(word: str) -> None:
    app = app_of(word)
    options = app.options_of(app.settings())
    pairs = begun_as("BookTrip", "sales", options).search_attributes
    assert {one.key.name: one.value for one in pairs}[word.capitalize()] == "sales"


def test_a_saga_that_began_before_there_was_a_choice_keeps_its_search_attribute() -> None:
    pairs = begun_as("BookTrip", "sales", RunOptions()).search_attributes
    assert "Merchant" in {one.key.name for one in pairs}


@pytest.mark.parametrize(
    "word", ["", "Team", "a team", "team_id", "2nd", "t" * 21, "saga", "status", "json", "id"]
)
def test_a_word_that_cannot_name_all_that_follows_is_refused(word: str) -> None:
    with pytest.raises(WronglyDeclared, match="give the tenant another word"):
        app_of(word)


def test_every_name_beside_the_tenant_is_refused_as_its_word() -> None:
    """Each place in which the word stands, and the names that stand there already."""
    app = app_of("team")
    board = set(app.saga_board.table.columns.keys()) - {"tenant"}
    lake = {one.name for one in columns_of("team")} - {"team"}
    headers = {
        one.partition("-")[2]
        for one in message_of(recorded(stored(app.codec, BEGUN), {}), app.routing)[0]
    }
    metadata = metadata_of(replace(CONTEXT, traceparent="t"), "team").keys() - {"team"}
    beside = {*board, *lake, *headers, *metadata, *EXTENSIONS, *vars(ASKED.which), *vars(CONTEXT)}
    plain = {one for one in beside - {"tenant"} if one.isalnum()}
    assert {one for one in plain if wrong_with(one) is None} == set()
