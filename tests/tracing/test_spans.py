from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import sampling
from opentelemetry.trace import StatusCode

from handrail import logs
from handrail.settings import Settings
from handrail.tracing import spans
from tests.tracing.recording import recording

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = f"00-{TRACE}-00f067aa0ba902b7-01"
OTHER = f"00-{'ab' * 16}-00f067aa0ba902b8-01"
UNSAMPLED = f"00-{'cd' * 16}-00f067aa0ba902b9-00"
NOW = datetime.now(UTC)


def test_without_an_exporter_there_are_no_spans() -> None:
    assert not spans.is_on()
    with spans.span("append") as span, spans.handling("handle", {spans.TRACEPARENT: SAMPLED}):
        assert not span.is_recording()
        assert spans.traceparent() == ""
        assert spans.stored_traceparent() is None


def test_a_span_without_a_recorded_parent_is_none() -> None:
    with recording() as kept:
        with spans.span("append"):
            pass
        assert not kept.get_finished_spans()


def test_an_exception_marks_a_span_by_its_class_and_never_by_what_it_says() -> None:
    with recording() as kept:
        with (
            pytest.raises(ValueError, match="Elfriede"),
            spans.started("handle", spans.context_of(SAMPLED)),
        ):
            raise ValueError("Elfriede is at home")
        [span] = kept.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert "Elfriede" not in span.to_json()
    assert span.attributes == {"error.type": "ValueError"}


def test_what_is_stored_while_an_event_is_handled_names_the_context_of_the_event() -> None:
    with recording() as kept:
        with spans.handling("handle", {spans.TRACEPARENT: SAMPLED}):
            assert spans.stored_traceparent() == SAMPLED
            assert spans.traceparent() != SAMPLED
        assert spans.stored_traceparent() is None
        assert [one.name for one in kept.get_finished_spans()] == ["handle"]


@pytest.mark.parametrize("header", [None, "", UNSAMPLED, 7, "nonsense"])
def test_an_event_of_no_sampled_trace_is_handled_without_a_span(header: Any) -> None:
    with recording() as kept:
        with spans.handling("handle", {spans.TRACEPARENT: header}):
            assert spans.stored_traceparent() is None
        assert not kept.get_finished_spans()


def test_a_batch_is_a_trace_of_its_own_and_linked_to_that_of_each_event_once() -> None:
    events = [({spans.TRACEPARENT: one}, NOW) for one in (SAMPLED, UNSAMPLED, OTHER, SAMPLED)]
    with recording(sampling.ParentBased(sampling.ALWAYS_OFF)) as kept:
        with spans.batch("project", [*events, ({}, NOW)]):
            assert spans.traceparent()
        [span] = kept.get_finished_spans()
    assert span.parent is None
    assert [f"{one.context.trace_id:032x}" for one in span.links] == [TRACE, "ab" * 16]


def test_a_batch_without_a_sampled_event_has_no_span_though_all_are_sampled() -> None:
    with recording() as kept:
        with spans.batch("project", [({spans.TRACEPARENT: UNSAMPLED}, NOW), ({}, NOW)]):
            pass
        assert not kept.get_finished_spans()


def test_a_batch_has_no_more_links_than_are_kept() -> None:
    events = [({spans.TRACEPARENT: f"00-{n:032x}-00f067aa0ba902b7-01"}, NOW) for n in range(1, 999)]
    with recording() as kept:
        with spans.batch("project", events):
            pass
        [span] = kept.get_finished_spans()
    assert len(span.links) == spans.LINKS


def test_the_spans_of_a_tree_are_exported_once_its_first_has_ended_and_that_one_first() -> None:
    with recording() as kept:
        with spans.started("RunActivity", spans.context_of(SAMPLED)):
            with spans.span("decide"), spans.span("inner"):
                pass
            with spans.span("append"):
                pass
            assert not kept.get_finished_spans()
        names = [one.name for one in kept.get_finished_spans()]
    assert names == ["RunActivity", "append", "decide", "inner"]


def test_a_line_of_the_log_names_the_trace_and_the_span(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = structlog.get_config(), logging.getLogger().handlers, logging.getLogger().level
    logs.configure(Settings(log_format="json"), "test")
    try:
        with recording(), spans.started("handle", spans.context_of(SAMPLED)) as span:
            structlog.get_logger("one").info("inside")
            logging.getLogger("two").warning("inside, too")
            id_ = f"{span.get_span_context().span_id:016x}"
        structlog.get_logger("one").info("outside")
    finally:
        structlog.configure(**before[0])
        structlog.contextvars.clear_contextvars()
        logging.getLogger().handlers = before[1]
        logging.getLogger().setLevel(before[2])
    inside, too, outside = capsys.readouterr().err.splitlines()
    for line in (inside, too):
        assert f'"trace_id": "{TRACE}"' in line
        assert f'"span_id": "{id_}"' in line
    assert "trace_id" not in outside
