"""Put messages into the queue: one row for each source and channel, whatever comes twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from typing import Final

from handrail.eventstore.pool import Connection
from handrail.notifications.contacts import CHANNELS, Channel, Contact
from handrail.notifications.kinds import Kind, MessageKinds, Values
from handrail.notifications.send_policy import Decision, SendFrom, Withhold, decide, uses
from handrail.notifications.tables import ABOUT, RECIPIENT
from handrail.tracing.spans import stored_traceparent


@dataclass(frozen=True)
class Row:
    """A new message: its fields are columns of the table, two of them under other names."""

    source: str
    channel: Channel
    kind: str
    recipient: str
    about: str
    language: str
    subject: str
    body: str
    state: str
    due_at: datetime
    expires_at: datetime
    reason: str | None
    traceparent: str | None = None


@dataclass(frozen=True, kw_only=True)
class Message:
    """What is said; it may become several rows, one for each channel."""

    source: str
    kind: Kind
    values: Values
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """`about` is the id of what is written about."""

    id: str
    about: str
    contact: Contact


_TYPES: Final = {"due_at": "timestamptz", "expires_at": "timestamptz"}
_CALLED: Final = {"recipient": RECIPIENT, "about": ABOUT}
_COLUMNS: Final = ", ".join(_CALLED.get(field.name, field.name) for field in fields(Row))
_ARRAYS: Final = ", ".join(f"%s::{_TYPES.get(field.name, 'text')}[]" for field in fields(Row))


def rows_now(message: Message, to: Recipient, now: datetime, kinds: MessageKinds) -> Sequence[Row]:
    """What is to be sent from now on; where the recipient does not want it, that is noted."""
    return [
        _row(message, channel, to, decided, now=now, kinds=kinds)
        for channel in CHANNELS
        if uses(message.kind, channel, to.contact)
        for decided in [decide(message.kind, channel, to.contact, now, message.expires_at)]
    ]


def rows_later(
    message: Message, to: Recipient, due_at: datetime, kinds: MessageKinds
) -> Sequence[Row]:
    """What is to be sent at `due_at`: whether the recipient wants it is decided then."""
    return [
        _row(message, channel, to, SendFrom(due_at), now=due_at, kinds=kinds)
        for channel in CHANNELS
        if uses(message.kind, channel, to.contact)
    ]


async def write(connection: Connection, rows: Sequence[Row]) -> None:
    if not rows:
        return
    await connection.execute(
        f"INSERT INTO notifications (lane, {_COLUMNS}, settled_at)"
        f" SELECT 'transactional', r.*,"
        " CASE WHEN r.state = 'withheld' THEN clock_timestamp() END"
        f" FROM unnest({_ARRAYS}) AS r ({_COLUMNS})"
        " ON CONFLICT (lane, source, channel) DO NOTHING",
        [list(column) for column in zip(*map(astuple, rows), strict=True)],
    )


def _row(
    message: Message,
    channel: Channel,
    to: Recipient,
    decided: Decision,
    *,
    now: datetime,
    kinds: MessageKinds,
) -> Row:
    language = to.contact.language
    wording = kinds.render(message.kind.name, language, message.values)
    match decided:
        case SendFrom(at=at):
            state, due_at, reason = "waiting", at, None
        case Withhold(reason=reason):
            state, due_at = "withheld", now
    return Row(
        source=message.source,
        channel=channel,
        kind=message.kind.name,
        recipient=to.id,
        about=to.about,
        language=language,
        subject=wording.subject,
        body=wording.body,
        state=state,
        due_at=due_at,
        expires_at=message.expires_at,
        reason=reason,
        traceparent=stored_traceparent(),
    )
