"""Webhook sources: the companies whose signed webhooks are taken, and the handler of each type.

A body has the form that Standard Webhooks recommends: `{"type": …, "data": {…}}`. The data is read
by the model of its type; a message that does not fit is kept, and answered as a problem.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from handrail import bounds
from handrail.http.problems import Problem, at, pointer_to
from handrail.http.schemas import Cause
from handrail.wrongly_declared import WronglyDeclared, refuse_two


class Told(BaseModel):
    """Data of a webhook.

    Unlike a client's body it may have fields that are not known here: senders add them.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)


class Envelope(Told):
    """The form that Standard Webhooks recommends for bodies."""

    type: Cause
    data: dict[str, Any] = Field(
        json_schema_extra={"x-bounds": "as its type says; what it does not know is passed over"}
    )


@dataclass(frozen=True, kw_only=True)
class Received:
    """A message whose signature was verified; `id` is its sender's, `actor` asked for it."""

    id: str
    type: str
    actor: str
    data: Any


@dataclass(frozen=True)
class WebhookType:
    """One type of message.

    `handle` gives it its effect, with the `Services` of the API: the same `id` twice must have one
    effect. It raises Problem where there can be none. Without it the message is kept, and has none.
    """

    data: type[Told]
    handle: Callable[[Any, Received], Awaitable[None]] | None = None


@dataclass(frozen=True, kw_only=True)
class WebhookSource:
    """A company that sends webhooks to `/webhooks/{name}`.

    `secrets` is the name of the setting that holds its signing secrets, newest first.
    """

    name: str
    secrets: str
    types: Mapping[str, WebhookType]


def _no_subject(_: Told) -> str | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Webhooks:
    """All webhook sources of a business.

    `subject_of` names what the data of a message is about, such as a business id; it is kept beside
    the message, and `links` are those of a subject. `subject` is its name in JSON. `summary` and
    `example` (a body) describe the reception in OpenAPI. Raises WronglyDeclared.
    """

    sources: Sequence[WebhookSource]
    subject: str = "subject"
    subject_of: Callable[[Any], str | None] = _no_subject
    links: Callable[[str], Mapping[str, str]] = field(default=lambda _: {})
    summary: str = "Receive a webhook"
    example: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse_two("webhook sources", (one.name for one in self.sources))
        for name in self.by_name:
            if bounds.NAME.wrong_with(name):
                raise WronglyDeclared(
                    f"the webhook source {name!r} cannot be part of an address: {bounds.NAME}"
                )

    @cached_property
    def by_name(self) -> Mapping[str, WebhookSource]:
        return {one.name: one for one in self.sources}


@dataclass(frozen=True)
class Message:
    """A body as far as it is understood: with a `problem` instead of `data` where it is not."""

    type: str
    data: Told | None = None
    problem: Problem | None = None


def read(source: WebhookSource, body: bytes) -> Message:
    try:
        envelope = Envelope.model_validate_json(body)
    except ValidationError as error:
        return Message("", problem=_not_understood(error))
    found = source.types.get(envelope.type)
    if found is None:
        said = f"not one of {', '.join(source.types)}"
        problem = Problem("webhook-not-understood", f"#/type: {said}", [at("#/type", said)])
        return Message(envelope.type, problem=problem)
    try:
        return Message(envelope.type, found.data.model_validate(envelope.data))
    except ValidationError as error:
        return Message(envelope.type, problem=_not_understood(error, "data"))


async def act(services: Any, source: WebhookSource, id_: str, message: Message, actor: str) -> None:
    """Give the message its effect; the same `id_` twice has one effect. Raises Problem."""
    if message.data is None:
        assert message.problem is not None
        raise message.problem
    if handle := source.types[message.type].handle:
        await handle(services, Received(id=id_, type=message.type, actor=actor, data=message.data))


def _not_understood(error: ValidationError, *within: str) -> Problem:
    """Names what is wrong and where, and never repeats what was sent."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    items = [at(pointer_to(*within, *one["loc"]), one["msg"]) for one in found]
    first = items[0]
    return Problem("webhook-not-understood", f"{first.pointer}: {first.detail}", items)
