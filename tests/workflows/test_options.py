"""The options of sagas: what the library and the shop declare travels as one JSON object."""

from __future__ import annotations

import json

from handrail.sagas.options import RunOptions
from tests.temporal import DATA_CONVERTER
from workflows.dunning import Terms
from workflows.options import ShopOptions

CONVERTER = DATA_CONVERTER.payload_converter
RECORDED = {
    "steps": "queues",
    "queue_prefix": "q.",
    "first_try_seconds": 1.0,
    "deadline_seconds": 60.0,
    "patience_seconds": 2.0,
    "shape": 1,
    "review_above": 50_00,
    "review_seconds": 3600.0,
    "terms": {"again_after_days": [1], "late_fee": 7},
    "keys_kept_seconds": 9.0,
    "traceparent": "00-1-2-01",
}
"""As histories hold them from before the library and the shop were parted."""
READ = ShopOptions(
    steps="queues",
    queue_prefix="q.",
    first_try_seconds=1,
    deadline_seconds=60,
    patience_seconds=2,
    shape=1,
    review_above=50_00,
    review_seconds=3600,
    terms=Terms(again_after_days=(1,), late_fee=7),
    keys_kept_seconds=9,
    traceparent="00-1-2-01",
)


def test_options_in_a_history_are_read_whole() -> None:
    [payload] = CONVERTER.to_payloads([RECORDED])
    assert CONVERTER.from_payloads([payload], [ShopOptions]) == [READ]


def test_options_are_written_as_they_were() -> None:
    [payload] = CONVERTER.to_payloads([READ])
    assert json.loads(payload.data) == {**RECORDED, "tenant_word": "merchant"}


def test_a_workflow_that_knows_only_the_options_of_every_saga_reads_those() -> None:
    [payload] = CONVERTER.to_payloads([READ])
    [read] = CONVERTER.from_payloads([payload], [RunOptions])
    assert type(read) is RunOptions
    assert (read.queue_prefix, read.traceparent) == ("q.", "00-1-2-01")


def test_a_saga_that_begins_keeps_the_options_of_the_shop() -> None:
    class Newest:
        shape = 4

    begun = READ.of(Newest)
    assert (begun.shape, begun.terms) == (4, READ.terms)
