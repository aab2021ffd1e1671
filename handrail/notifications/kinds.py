"""Kinds of messages and their templates: topic, channels, and how each is silenced.

| | |
|---|---|
| topic | under this the recipient turns channels on and off |
| channels | how it is sent where nothing was chosen; none for campaigns, which need a choice |
| always | channels that cannot be turned off, because the law wants it said |
| urgent | rings in the quiet hours too: it answers what the recipient did a moment ago |
| fresh | how old the event may be; later the message would only confuse |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from handrail.kernel import Money
from handrail.notifications.contacts import LANGUAGES, Channel, Language, Topic

Value = Money | date | int | str
Values = Mapping[str, Value]
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    name: str
    topic: Topic
    channels: frozenset[Channel]
    always: frozenset[Channel] = frozenset()
    urgent: bool = False
    fresh: timedelta = timedelta(days=3)


CAMPAIGN: Final = Kind(name="campaign", topic="campaigns", channels=frozenset())
"""The kind of every message of a campaign, which brings its own texts."""


@dataclass(frozen=True)
class Wording:
    """A subject, and a text short enough for a phone: e-mails have both, push and SMS the text."""

    subject: str
    body: str


Templates = Mapping[str, Mapping[Language, Wording]]


@dataclass(frozen=True, kw_only=True)
class MessageKinds:
    """The kinds of messages by name, that of campaigns included, and the templates of each.

    `recipient` is what the business calls whom a message is for: its name in JSON.
    """

    kinds: Mapping[str, Kind]
    templates: Templates
    recipient: str = "recipient"

    @classmethod
    def of(
        cls, kinds: Iterable[Kind], templates: Templates, *, recipient: str = "recipient"
    ) -> MessageKinds:
        by_name = {one.name: one for one in (*kinds, CAMPAIGN)}
        return cls(kinds=by_name, templates=templates, recipient=recipient)

    def render(self, kind: str, language: Language, values: Values) -> Wording:
        """Raises KeyError for a kind without a template, or a value that it lacks."""
        wording = self.templates[kind][language]
        texts = {name: _text_of(value, language) for name, value in values.items()}
        return Wording(wording.subject.format(**texts), wording.body.format(**texts))


def mistakes(messages: MessageKinds) -> Iterator[str]:
    """A sentence for each kind without its texts, and for texts without a kind."""
    for name in messages.kinds.keys() - {CAMPAIGN.name}:
        for language in LANGUAGES:
            if language not in messages.templates.get(name, {}):
                yield f"messages of the kind {name} have no template in {language}: add one"
    for name in messages.templates.keys() - messages.kinds.keys():
        yield f"there is a template for messages of the kind {name}, and no such kind: add it"


def _text_of(value: Value, language: Language) -> str:
    match value, language:
        case Money(), "de":
            return str(value).replace(".", ",")
        case date(), "de":
            return f"{value.day}.{value.month}.{value.year}"
        case date(), _:
            return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"
        case _:
            return str(value)
