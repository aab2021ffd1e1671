"""Temporal as Handrail uses it: how messages travel, and who works on what."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

import orjson
from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.contrib.pydantic import (
    PydanticJSONPlainPayloadConverter,
    PydanticPayloadConverter,
)
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    EncodingPayloadConverter,
)
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import (
    PollerBehaviorAutoscaling,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from handrail.bounds import storable
from handrail.eventstore.codec import Codec, UnknownMessage
from handrail.evolution.forms import CannotBeLowered
from handrail.sagas.interventions import InterveneInMany, Which
from handrail.sagas.step_keys import StepContext
from handrail.sagas.worker_versions import ANY_VERSION
from handrail.temporal.non_retryable import FinalFailures, Unreadable

if TYPE_CHECKING:
    from handrail.temporal.payload_encryption import PayloadEncryption


def sandbox(packages: Iterable[str]) -> WorkflowRunner:
    """A workflow runner that refuses what must not be done in a workflow.

    `packages` are those of the workflows and the messages. Tests run in it, and what they let
    through runs without: it is entered for each payload of each task (decision 18).
    """
    # Everything the workflows import is passed through: a class loaded a second time inside the
    # sandbox would be another class, and `isinstance` would be False for a message from the
    # converter.
    passed = SandboxRestrictions.default.with_passthrough_modules("handrail", *packages)
    return SandboxedWorkflowRunner(restrictions=passed)


class MessageConverter(EncodingPayloadConverter):
    """Commands and events travel by their registered names, one or a sequence of them.

    So a union of outcomes can never be read as another member that has the same fields.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    @property
    def encoding(self) -> str:
        return "json/message"

    def to_payload(self, value: Any) -> Payload | None:
        many = isinstance(value, tuple | list) and bool(value)
        messages = value if many else [value]
        if not all(self._codec.knows(type(message)) for message in messages):
            return None
        encoded = self._codec.encode_all(messages)
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
            return tuple(
                message
                for one in body
                for message in self._codec.decode_all(one["type"], one["schema"], one["data"])
            )
        return self._codec.decode(body["type"], body["schema"], body["data"])


class TenantConverter(EncodingPayloadConverter):
    """What else travels with a tenant in it: it has the App's word as its key, as events have."""

    _CARRIED: Final = (StepContext, InterveneInMany, Which)

    def __init__(self, codec: Codec) -> None:
        self._plain = PydanticJSONPlainPayloadConverter()
        self._named = {type_: codec.adapter(type_) for type_ in self._CARRIED}

    @property
    def encoding(self) -> str:
        return self._plain.encoding

    def to_payload(self, value: Any) -> Payload | None:
        if (adapter := self._named.get(type(value))) is None:
            return self._plain.to_payload(value)
        return Payload(
            metadata={"encoding": self.encoding.encode()},
            data=adapter.dump_json(value, by_alias=True),
        )

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        if type_hint in self._CARRIED:
            return self._named[type_hint].validate_json(payload.data)
        return self._plain.from_payload(payload, type_hint)


_LARGEST: Final = 2 * 1024 * 1024
"""Bytes. Temporal ends a workflow that sends more."""
_OF_ENCRYPTION: Final = 4096
"""Bytes that a payload may grow by when it is encrypted: nonce, tag, names of key and workflow."""
_LONGEST_DETAIL: Final = 300
ENCODED: Final = "Encoded failure"
"""What the SDK puts in the place of a message that it has moved to where the codec encrypts it."""


class PayloadConverter(CompositePayloadConverter):
    """Messages by name; everything else by its type hint, through pydantic.

    What cannot be written, or read, is the same at the next try, and says so. But for a message
    that this process does not know: another one, with newer code, may.
    """

    largest: ClassVar[int] = _LARGEST

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        """Raises ApplicationError of the type `Unwritable`, which a workflow can handle: any other
        exception would have its task tried again for ever.
        """
        try:
            payloads = super().to_payloads(values)
        except (FailureError, CannotBeLowered):
            raise  # the write level is raised, and then it can be written
        except Exception as error:  # noqa: BLE001  # whatever it is, it comes again
            raise _unwritable(str(error)) from None
        for payload in payloads:
            if len(payload.data) > self.largest:
                raise _unwritable(f"it takes more than {self.largest} bytes")
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


def data_converter(codec: Codec, encryption: PayloadEncryption | None = None) -> DataConverter:
    """The converter of a client whose messages are those of `codec`.

    With `encryption` Temporal sees neither them nor what failures say.
    """
    # The SDK makes a converter for every workflow and activity task, and pydantic's keeps what it
    # has learnt of a type to itself: those that are shared learn each type once.
    plain = (
        TenantConverter(codec) if isinstance(one, PydanticJSONPlainPayloadConverter) else one
        for one in PydanticPayloadConverter().converters.values()
    )
    converters = (MessageConverter(codec), *plain)

    class PayloadConverterOfCodec(PayloadConverter):
        """The SDK wants a class that it can make without arguments."""

        largest = _LARGEST - _OF_ENCRYPTION if encryption else _LARGEST

        def __init__(self) -> None:
            super().__init__(*converters)

    if encryption is None:
        return dataclasses.replace(
            DataConverter.default,
            payload_converter_class=PayloadConverterOfCodec,
            failure_converter_class=FinalFailures,
        )
    # It loads the package of ciphers, which most processes do without.
    from handrail.temporal.payload_encryption import (  # noqa: PLC0415
        EncryptedFailures,
        EncryptingConverter,
    )

    return EncryptingConverter(
        payload_converter_class=PayloadConverterOfCodec,
        payload_codec=encryption,
        failure_converter_class=EncryptedFailures,
    )


async def connect(address: str, namespace: str, codec: Codec) -> Client:
    """A client of a server that is spoken to in clear: one on this machine."""
    return await Client.connect(address, namespace=namespace, data_converter=data_converter(codec))


async def opened(client: Client, payloads: Sequence[Payload]) -> Sequence[Payload]:
    """Payloads of a history, decrypted where the client encrypts.

    Raises UnknownPayloadKey, and Unreadable where they were changed.
    """
    codec = client.data_converter.payload_codec
    return await codec.decode(payloads) if codec else payloads


def words_of(failed: WorkflowQueryFailedError, otherwise: str) -> str:
    """What a workflow said to a query that it refused; `otherwise` where failures are encrypted,
    since Temporal hands on no more than the message.
    """
    return otherwise if str(failed) == ENCODED else str(failed)


_FOR_OTHER_VERSIONS: Final = 20
"""How many activities a worker runs at the same time for sagas of other versions."""
Activities = Mapping[str, Sequence[Callable[..., Any]]]
"""The activities of each context, by its name."""


def _pinned_to(version: WorkerDeploymentVersion | None) -> WorkerDeploymentConfig | None:
    # It stands here and not in the workflows' definitions: a worker without a version fails each
    # task of a workflow whose class says how it is versioned.
    if version is None:
        return None
    return WorkerDeploymentConfig(
        version=version,
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


def workers(
    client: Client,
    activities: Activities,
    contexts: Sequence[str],
    *,
    workflows: Sequence[type],
    queue_prefix: str = "",
    shutdown: timedelta = timedelta(seconds=10),
    runner: WorkflowRunner = UnsandboxedWorkflowRunner(),  # noqa: B008  # it holds nothing
    version: WorkerDeploymentVersion | None = None,
) -> Sequence[Worker]:
    """One worker for each task queue. That of the sagas can run every step itself, too.

    With a `version` they take what is routed to it, and what is begun on it ends on it.
    """
    everything = [one for group in activities.values() for one in group]
    found = [
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
            deployment_config=_pinned_to(version),
        )
        for context in contexts
    ]
    if version is not None and "sagas" in contexts:
        found.append(
            Worker(
                client,
                task_queue=queue_prefix + ANY_VERSION,
                activities=everything,
                max_concurrent_activities=_FOR_OTHER_VERSIONS,
                graceful_shutdown_timeout=shutdown,
            )
        )
    return found
