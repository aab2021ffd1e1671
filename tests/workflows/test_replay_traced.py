"""Workers that export spans replay the histories of those that did not, and say nothing of them."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from handrail.tracing.temporal import HEADER, TracingInterceptor, header_of, traceparent_in
from runtime.app import HANDRAIL
from tests.temporal import DATA_CONVERTER, SANDBOX
from tests.tracing.recording import recording
from tests.workflows.test_replay import SAVED

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.thorough
async def test_every_saved_history_replays_with_the_interceptor_and_without_a_span() -> None:
    replayer = Replayer(
        workflows=HANDRAIL.all_workflows,
        data_converter=DATA_CONVERTER,
        workflow_runner=SANDBOX,
        interceptors=[TracingInterceptor()],
    )
    with recording() as kept:
        for path in SAVED:
            await replayer.replay_workflow(WorkflowHistory.from_json(path.stem, path.read_text()))
        assert not kept.get_finished_spans()


async def test_a_history_with_the_header_replays_with_the_interceptor_and_without_it() -> None:
    path = next(one for one in SAVED if one.stem == "Checkout-2-completed")
    history = WorkflowHistory.from_json(path.stem, path.read_text())
    for event in history.events:
        for attributes in (
            event.workflow_execution_started_event_attributes,
            event.activity_task_scheduled_event_attributes,
        ):
            if attributes.ByteSize():
                attributes.header.fields[HEADER].CopyFrom(header_of(TRACE)[HEADER])
    with recording() as kept:
        for interceptors in ([], [TracingInterceptor()]):
            replayer = Replayer(
                workflows=HANDRAIL.all_workflows,
                data_converter=DATA_CONVERTER,
                workflow_runner=SANDBOX,
                interceptors=interceptors,
            )
            await replayer.replay_workflow(history)
        assert not kept.get_finished_spans()


def test_a_header_of_another_form_is_passed_over() -> None:
    assert traceparent_in(header_of(TRACE)) == TRACE
    assert traceparent_in({}) == ""
    broken = header_of(TRACE)[HEADER]
    broken.data = b"{"
    assert traceparent_in({HEADER: broken}) == ""
