"""How customers are reached and want to be, and what they were told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, time
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Response
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    TypeAdapter,
    model_validator,
)

from api import contact_store
from api.contact_store import State, Told
from consumers.notifications.kinds import Topic
from handrail import bounds
from handrail.http.access import needs
from handrail.http.dependencies import JSON_BODY, ActorDep, Services, ServicesDep
from handrail.http.pagination import Page, PageQuery, page, position
from handrail.http.problems import Problem, responses
from handrail.http.schemas import Asked, Id, Links, Moment, of_row, text
from handrail.notifications.contacts import Channel, Contact, Language, QuietHours
from workflows.customers import subject_of_customer

router = APIRouter(tags=["customers"])

_AFTER: Final[TypeAdapter[tuple[datetime, str, Channel]]] = TypeAdapter(
    tuple[Moment, Annotated[str, StringConstraints(max_length=300)], Channel]
)


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ValueError("no time zone of the IANA database, such as Europe/Berlin") from None
    return name


TimeZone = Annotated[str, text(bounds.TIME_ZONE), AfterValidator(_time_zone)]
LocalTime = Annotated[str, text(bounds.LOCAL_TIME)]
Device = Annotated[str, text(bounds.DEVICE)]
Phone = Annotated[str, text(bounds.PHONE)]
Mailbox = Annotated[str, text(bounds.MAILBOX)]


class Quiet(Asked):
    """From one local time until another, which may be on the next day."""

    begin: LocalTime
    end: LocalTime

    def to_hours(self) -> QuietHours:
        return QuietHours(time.fromisoformat(self.begin), time.fromisoformat(self.end))

    @model_validator(mode="after")
    def _is_a_part_of_the_day(self) -> Quiet:
        if self.begin == self.end:
            raise ValueError("begin and end are the same: use null for no quiet hours")
        return self


class Addresses(Asked):
    """Where there is none, nothing is sent by that channel."""

    push: Device | None = Field(default=None, description="The token of a device.")
    sms: Phone | None = Field(default=None, description="A number in the form +4915112345678.")
    email: Mailbox | None = None


_NIGHT: Final = Quiet(begin="22:00", end="08:00")


class NewContact(Asked):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "language": "de",
                    "time_zone": "Europe/Berlin",
                    "quiet_hours": {"begin": "21:00", "end": "07:30"},
                    "addresses": {"push": "device-7f3a", "email": "ann@example.org"},
                    "choices": {"deliveries": {"sms": True}, "campaigns": {"email": True}},
                }
            ]
        }
    )

    language: Language
    time_zone: TimeZone
    quiet_hours: Quiet | None = Field(
        default=_NIGHT, description="Push and SMS wait until they end. null: there are none."
    )
    addresses: Addresses = Addresses()
    choices: dict[Topic, dict[Channel, StrictBool]] = Field(
        default={}, description="By topic, the channels that are turned on or off."
    )

    def to_contact(self) -> Contact:
        addresses: dict[Channel, str] = self.addresses.model_dump(exclude_none=True)  # type: ignore[assignment]  # its fields are the channels
        return Contact(
            language=self.language,
            time_zone=self.time_zone,
            quiet_hours=None if self.quiet_hours is None else self.quiet_hours.to_hours(),
            addresses=addresses,
            choices={topic: channels for topic, channels in self.choices.items()},  # noqa: C416  # a mapping's keys are invariant
        )


class KnownContact(BaseModel):
    customer: str
    language: Language
    time_zone: str
    quiet_hours: Quiet | None
    addresses: Addresses
    choices: dict[Topic, dict[Channel, bool]]
    links: Links


class Message(BaseModel):
    """`waiting` is sent from `due_at` on. `reason` says why a message is where it is: `withheld`
    because of what the customer chose, `failed` because the provider said no, `parked` because it
    never answered clearly.
    """

    about: str = Field(description="The id of the event, or the campaign.")
    channel: Channel
    kind: str
    state: State
    order: str | None
    subject: str
    text: str
    reason: str | None
    attempts: int
    created_at: datetime
    due_at: datetime
    settled_at: datetime | None
    provider_id: str | None = Field(description="The provider's own name for it.")
    links: Links


class MessagesQuery(PageQuery):
    state: State | None = None
    channel: Channel | None = None


@router.put(
    "/customers/{customer}/contact",
    summary="Say how a customer is reached, and wants to be",
    dependencies=[needs("contacts:write"), *JSON_BODY],
    responses=responses("database-unavailable"),
)
async def put_contact(
    services: ServicesDep, actor: ActorDep, customer: Id, asked: NewContact
) -> KnownContact:
    """All of it: what is left out is as if it had never been said. It counts from the next message
    on that is sent.
    """
    contact = await _sealed(services, customer, asked.to_contact())
    async with services.database.connection() as connection:
        await contact_store.keep(connection, customer, contact, actor)
    return _known(customer, contact)


@router.get(
    "/customers/{customer}/contact",
    summary="How a customer is reached, and wants to be",
    dependencies=[needs("contacts:read")],
    responses=responses("not-found", "database-unavailable"),
)
async def show_contact(services: ServicesDep, customer: Id) -> KnownContact:
    async with services.database.connection() as connection:
        contact = await contact_store.find(connection, customer)
    if contact is None:
        raise Problem("not-found", f"nothing is known of how to reach {customer}")
    return _known(customer, contact)


@router.delete(
    "/customers/{customer}/contact",
    status_code=204,
    summary="Forget how a customer is reached",
    dependencies=[needs("contacts:write")],
    responses=responses("malformed-header", "database-unavailable"),
)
async def forget_contact(services: ServicesDep, customer: Id) -> None:
    """The addresses that messages went to are forgotten, too. What waits is not sent."""
    async with services.database.connection() as connection:
        await contact_store.forget(connection, customer)


@router.get(
    "/customers/{customer}/messages",
    summary="What a customer was told, newest first",
    dependencies=[needs("contacts:read")],
    responses=responses("database-unavailable"),
)
async def list_messages(
    services: ServicesDep,
    response: Response,
    customer: Id,
    query: Annotated[MessagesQuery, Query()],
) -> Page[Message]:
    """And what not, and why. They are kept for 90 days."""
    path = f"/customers/{customer}/messages"
    after = position(path, query, _AFTER)
    async with services.database.connection() as connection:
        found = await contact_store.told(
            connection,
            customer,
            state=query.state,
            channel=query.channel,
            after=after,
            limit=query.limit,
        )
    return page([_message(row) for row in found.rows], found.next, path, query, response)


async def _sealed(services: Services, customer: str, contact: Contact) -> Contact:
    """As it is stored: the notifier opens an address when it sends."""
    subject = subject_of_customer(customer)
    addresses: dict[Channel, str] = {
        channel: await services.personal.seal_text(address, channel, subject)
        for channel, address in contact.addresses.items()
    }
    return replace(contact, addresses=addresses)


def _as_kept(addresses: Mapping[Channel, str]) -> Addresses:
    """Without a check of their form, for they are sealed until they are answered."""
    return Addresses.model_construct(
        push=addresses.get("push"), sms=addresses.get("sms"), email=addresses.get("email")
    )


def _known(customer: str, contact: Contact) -> KnownContact:
    quiet = contact.quiet_hours
    return KnownContact(
        customer=customer,
        language=contact.language,
        time_zone=contact.time_zone,
        quiet_hours=quiet and Quiet(begin=f"{quiet.begin:%H:%M}", end=f"{quiet.end:%H:%M}"),
        addresses=_as_kept(contact.addresses),
        choices={topic: dict(chosen) for topic, chosen in contact.choices.items()},
        links={
            "contact": f"/customers/{customer}/contact",
            "messages": f"/customers/{customer}/messages",
            "customer": f"/customers/{customer}",
        },
    )


def _message(row: Told) -> Message:
    links = {} if row.order_id is None else {"order": f"/orders/{row.order_id}"}
    return of_row(Message, row, about=row.source, order=row.order_id, links=links)
