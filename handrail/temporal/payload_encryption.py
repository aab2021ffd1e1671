"""Encrypts payloads before they reach Temporal: AES-256-GCM, under the newest key of a key ring.

A payload becomes one of the encoding `binary/encrypted`: a nonce of 96 random bits, then the
ciphertext of the whole payload. Its metadata name the key and the workflow; both, and the
namespace, are authenticated, so that a payload cannot be moved to another workflow. Not encrypted
are what Temporal itself works with: ids and types of workflows and activities, search attributes,
the types of errors.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from cryptography.exceptions import InvalidTag
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import (
    DataConverter,
    PayloadCodec,
    PayloadConverter,
    SerializationContext,
    WithSerializationContext,
)

from handrail.temporal.non_retryable import FinalFailures, Unreadable
from handrail.temporal.payload_keys import KeyRing, UnknownPayloadKey

ENCODING: Final = b"binary/encrypted"
KEY_ID: Final = "encryption-key-id"
WORKFLOW_ID: Final = "encryption-workflow-id"
_NONCE: Final = 12
_FORMAT: Final = b"handrail/1"
_SCHEDULED: Final = re.compile(r"-\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
"""What a schedule puts behind the id that its workflows begin with."""


@dataclass(frozen=True)
class PayloadEncryption(PayloadCodec, WithSerializationContext):
    """`namespace` counts where Temporal's SDK names none. `workflow` is the one whose payloads
    these are; None where the SDK does not say, as for a history that is read event by event.
    """

    keys: KeyRing
    namespace: str
    workflow: str | None = None

    def with_context(self, context: SerializationContext) -> Self:
        workflow = getattr(context, "workflow_id", None)
        namespace = getattr(context, "namespace", self.namespace)
        if (workflow, namespace) == (self.workflow, self.namespace):
            return self
        return type(self)(self.keys, namespace, workflow)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        cipher, workflow = self.keys.encrypting, (self.workflow or "").encode()
        said = self._authenticated(cipher.id, workflow)
        return [self._sealed(one, cipher.aead, cipher.id, workflow, said) for one in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """What is not encrypted stays: it was sent before keys were set.

        Raises UnknownPayloadKey, and Unreadable where what is encrypted is not what it should be.
        """
        return [self.opened(one) for one in payloads]

    def opened(self, payload: Payload) -> Payload:
        """Raises UnknownPayloadKey, Unreadable."""
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        key_id = payload.metadata.get(KEY_ID, b"")
        workflow = payload.metadata.get(WORKFLOW_ID, b"")
        if not self._may_read(workflow):
            raise Unreadable("An encrypted payload belongs to another workflow.")
        cipher = self.keys.decrypting(key_id)
        said = self._authenticated(key_id, workflow)
        try:
            content = cipher.aead.decrypt(payload.data[:_NONCE], payload.data[_NONCE:], said)
        except (InvalidTag, ValueError):
            raise Unreadable("An encrypted payload was changed, or moved.") from None
        return Payload.FromString(content)

    def _sealed(
        self, payload: Payload, aead: Any, key_id: bytes, workflow: bytes, said: bytes
    ) -> Payload:
        nonce = os.urandom(_NONCE)
        return Payload(
            metadata={"encoding": ENCODING, KEY_ID: key_id, WORKFLOW_ID: workflow},
            data=nonce + aead.encrypt(nonce, payload.SerializeToString(), said),
        )

    def _authenticated(self, key_id: bytes, workflow: bytes) -> bytes:
        parts = (_FORMAT, key_id, self.namespace.encode(), workflow)
        return b"".join(len(one).to_bytes(2, "big") + one for one in parts)

    def _may_read(self, workflow: bytes) -> bool:
        """The arguments of a schedule's workflow were encrypted for the schedule."""
        if self.workflow is None:
            return True
        found, mine = workflow.decode(errors="replace"), self.workflow
        if found == mine:
            return True
        rest = mine.removeprefix(found)
        return bool(found) and rest != mine and _SCHEDULED.fullmatch(rest) is not None


class EncryptedFailures(FinalFailures):
    """Puts the messages and stack traces of failures where the payload codec encrypts them."""

    def __init__(self) -> None:
        super().__init__(encode_common_attributes=True)

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        super().to_failure(exception, payload_converter, failure)
        if isinstance(exception.__cause__, UnknownPayloadKey):
            # A saga waits for a worker that has the key: the type says so, the SDK's own does not.
            failure.application_failure_info.type = UnknownPayloadKey.__name__
        # A failure that came from Temporal is sent on as it came, with causes that may be older
        # than the first key.
        cause = failure
        while cause.HasField("cause"):
            cause = cause.cause
            if not cause.HasField("encoded_attributes"):
                _conceal(cause, payload_converter)


def _conceal(failure: Failure, converter: PayloadConverter) -> None:
    said = {"message": failure.message, "stack_trace": failure.stack_trace}
    failure.encoded_attributes.CopyFrom(converter.to_payloads([said])[0])
    failure.message, failure.stack_trace = "Encoded failure", ""


class EncryptingConverter(DataConverter):
    """Takes on a workflow's context without making its converters once more.

    The SDK asks for it for every task of a workflow and of an activity.
    """

    def with_context(self, context: SerializationContext) -> Self:
        codec = self.payload_codec
        if not isinstance(codec, PayloadEncryption):
            return super().with_context(context)
        of_workflow = codec.with_context(context)
        if of_workflow is codec:
            return self
        found = copy.copy(self)
        object.__setattr__(found, "payload_codec", of_workflow)
        return found
