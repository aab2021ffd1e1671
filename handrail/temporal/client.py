"""Temporal as Handrail uses it: how messages travel, and who works on what."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import orjson
from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    EncodingPayloadConverter,
)
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import (
    PollerBehaviorAutoscaling,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from handrail.bounds import storable
from handrail.eventstore.codec import UnknownMessage
from handrail.temporal.non_retryable import FinalFailures, Unreadable
from runtime.registry.messages import CODEC
from runtime.registry.sagas import PLAIN, SAGAS

WORKFLOWS: Sequence[type] = [*(one.workflow for one in SAGAS.values()), *PLAIN]

# Everything the workflows import is passed through: a class loaded a second time inside the sandbox
# would be another class, and `isinstance` would be False for a message from the converter.
SANDBOX: Final = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(
        "handrail", "domain", "workflows"
    )
)
"""Refuses what must not be done in a workflow. The tests run in it, and what they let through runs
without: it is entered for each payload of each task (decision 18).
"""


class MessageConverter(EncodingPayloadConverter):
    """Commands and events travel by their registered names, one or a sequence of them.

    So a union of outcomes can never be read as another member that has the same fields.
    """

    @property
    def encoding(self) -> str:
        return "json/message"

    def to_payload(self, value: Any) -> Payload | None:
        many = isinstance(value, tuple | list) and bool(value)
        messages = value if many else [value]
        if not all(CODEC.knows(type(message)) for message in messages):
            return None
        encoded = [CODEC.encode(message) for message in messages]
        body = [
            {"type": one.type, "schema": one.schema, "data": orjson.Fragment(one.data)}
            for one in encoded
        ]
        return Payload(
            metadata={"encoding": self.encoding.encode()},
            data=orjson.dumps(body if many else body[0]),
        )

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:  # noqa: ARG002
        body = orjson.loads(payload.data)
        if isinstance(body, list):
            return tuple(CODEC.decode(one["type"], one["schema"], one["data"]) for one in body)
        return CODEC.decode(body["type"], body["schema"], body["data"])


# The SDK makes a converter for every workflow and activity task, and pydantic's keeps what it has
# learnt of a type to itself: one that is shared learns each type once.
_CONVERTERS: Final = (MessageConverter(), *PydanticPayloadConverter().converters.values())


_LARGEST: Final = 2 * 1024 * 1024
"""Bytes. Temporal ends a workflow that sends more."""
_LONGEST_DETAIL: Final = 300


class PayloadConverter(CompositePayloadConverter):
    """Messages by name; everything else by its type hint, through pydantic.

    What cannot be written, or read, is the same at the next try, and says so. But for a message
    that this process does not know: another one, with newer code, may.
    """

    def __init__(self) -> None:
        super().__init__(*_CONVERTERS)

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        """Raises ApplicationError of the type `Unwritable`, which a workflow can handle: any other
        exception would have its task tried again for ever.
        """
        try:
            payloads = super().to_payloads(values)
        except FailureError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it comes again
            raise _unwritable(str(error)) from None
        for payload in payloads:
            if len(payload.data) > _LARGEST:
                raise _unwritable(f"it takes more than {_LARGEST} bytes")
        return payloads

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        try:
            return super().from_payloads(payloads, type_hints)
        except (FailureError, UnknownMessage):
            raise
        except ValidationError as error:
            raise Unreadable(_in_words(error)) from None
        except Exception as error:
            raise Unreadable(type(error).__name__) from error


def _unwritable(said: str) -> ApplicationError:
    detail = storable(said, _LONGEST_DETAIL)
    return ApplicationError(
        f"this cannot be sent through Temporal: {detail}", type="Unwritable", non_retryable=True
    )


def _in_words(error: ValidationError) -> str:
    """Without the values: what is said here is kept in histories."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found)
    return storable(f"{error.title}: {said}", _LONGEST_DETAIL)


DATA_CONVERTER = dataclasses.replace(
    DataConverter.default,
    payload_converter_class=PayloadConverter,
    failure_converter_class=FinalFailures,
)


async def connect(address: str, namespace: str, *, metrics_port: int | None = None) -> Client:
    """A client; with a port, the SDK's own metrics are served there for Prometheus."""
    runtime = None
    if metrics_port is not None:
        metrics = PrometheusConfig(bind_address=f"0.0.0.0:{metrics_port}")
        runtime = Runtime(telemetry=TelemetryConfig(metrics=metrics))
    return await Client.connect(
        address, namespace=namespace, data_converter=DATA_CONVERTER, runtime=runtime
    )


Activities = Mapping[str, Sequence[Callable[..., Any]]]
"""The activities of each context, by its name."""


def workers(
    client: Client,
    activities: Activities,
    contexts: Sequence[str],
    *,
    queue_prefix: str = "",
    shutdown: timedelta = timedelta(seconds=10),
    workflows: Sequence[type] = WORKFLOWS,
    runner: WorkflowRunner = UnsandboxedWorkflowRunner(),  # noqa: B008  # it holds nothing
) -> Sequence[Worker]:
    """One worker for each task queue. That of the sagas can run every step itself, too."""
    everything = [one for group in activities.values() for one in group]
    return [
        Worker(
            client,
            task_queue=queue_prefix + context,
            workflows=workflows if context == "sagas" else (),
            activities=everything if context == "sagas" else activities[context],
            workflow_runner=runner,
            # A fixed number of pollers leaves most first tasks of sagas to be written to the queue
            # and read back, once several come at a time.
            workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
            # Room for what is under way and for deliveries; a plan that waits for a month is read
            # again from its history.
            max_cached_workflows=300,
            max_concurrent_activities=50,
            # Twice the workflow tasks there can be: waiting for a turn at a stream takes a place
            # here and nothing else, and whoever wants another stream must not wait behind it.
            max_concurrent_local_activities=200,
            graceful_shutdown_timeout=shutdown,
        )
        for context in contexts
    ]
