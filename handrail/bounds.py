"""What every number, date, text and list that comes from outside is bounded by.

Requests, corrections, webhooks and the answers of other companies all read their bounds here, and
`docs/bounds.md` lists which field has which. Events and messages that are stored already are read
without them: a bound that becomes narrower makes nothing unreadable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Final, TypeVar, cast

from handrail.personal import MARK, is_sealed

T = TypeVar("T")

LARGEST_INTEGER: Final = 2**63 - 1
"""What a bigint holds. Larger ones cannot be stored, nor read back as what they were."""
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
"""Stands in a text where a character stood that cannot be stored."""
CUT: Final = "…[cut]"
"""Ends a text that was longer than there is room for."""

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
"""PostgreSQL stores no NUL, and half of a surrogate pair has no UTF-8."""
_FOREIGN: Final = re.compile(f"[\x00{MARK}\ud800-\udfff]")
"""What comes from another company is never taken for a sealed text, either."""


@dataclass(frozen=True, kw_only=True)
class Integer:
    """A whole number from `least` to `most`, both allowed; `unit` is what it counts."""

    least: int
    most: int
    unit: str

    def wrong_with(self, value: Any) -> str | None:
        """Why the value cannot be taken, in words for whoever sent it; None where it can."""
        if not isinstance(value, int) or isinstance(value, bool):
            return "must be a whole number"
        if not self.least <= value <= self.most:
            return f"must be from {self.least} to {self.most}"
        return None

    def __str__(self) -> str:
        return f"{self.unit}, {self.least} to {self.most}"


@dataclass(frozen=True, kw_only=True)
class Never:
    """What a text must not be, though its form allows it: all that `pattern` matches whole.

    `what` names it, and `instead` says to the sender what to send.
    """

    pattern: str
    what: str
    instead: str

    def is_in(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text of `shortest` to `longest` characters. `pattern` has to match all of it, and what is
    `never` sent must not.
    """

    shortest: int
    longest: int
    pattern: str
    says: str
    never: Never | None = None

    def wrong_with(self, value: Any) -> str | None:
        if not isinstance(value, str):
            return "must be a text"
        if is_sealed(value):
            return None  # it was within its bounds before it was sealed
        if not self.shortest <= len(value) <= self.longest:
            return f"must have {self.shortest} to {self.longest} characters"
        if _UNSTORABLE.search(value) or not re.fullmatch(self.pattern, value):
            return f"must be {self.says}"
        if self.never is not None and self.never.is_in(value):
            return self.never.instead
        return None

    def __str__(self) -> str:
        never = f", never {self.never.what}" if self.never else ""
        return f"{self.says}, {self.shortest} to {self.longest} characters{never}"


@dataclass(frozen=True, kw_only=True)
class Day:
    """A date from `earliest` to `latest`."""

    earliest: date
    latest: date

    def wrong_with(self, value: Any) -> str | None:
        if not isinstance(value, date) or isinstance(value, datetime):
            return "must be a date"
        if not self.earliest <= value <= self.latest:
            return f"must be from {self.earliest} to {self.latest}"
        return None

    def __str__(self) -> str:
        return f"a date, {self.earliest} to {self.latest}"


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A point in time from `earliest` to `latest`, with its time zone."""

    earliest: datetime
    latest: datetime

    def wrong_with(self, value: Any) -> str | None:
        if not isinstance(value, datetime) or value.tzinfo is None:
            return "must be a moment with its time zone"
        if not self.earliest <= value <= self.latest:
            return f"must be from {self.earliest:%Y-%m-%d} to {self.latest:%Y-%m-%d}"
        return None

    def __str__(self) -> str:
        return f"a moment, {self.earliest:%Y-%m-%d} to {self.latest:%Y-%m-%d}"


@dataclass(frozen=True, kw_only=True)
class Many:
    """A list of `fewest` to `most` members."""

    fewest: int
    most: int

    def wrong_with(self, value: Any) -> str | None:
        if not isinstance(value, tuple | list) or not self.fewest <= len(value) <= self.most:
            return f"must have {self.fewest} to {self.most} members"
        return None

    def __str__(self) -> str:
        return f"a list, {self.fewest} to {self.most} members"


Bound = Integer | Text | Day | Moment | Many

_NO_CONTROLS: Final = "text without control characters"
_ID: Final = "[A-Za-z0-9][A-Za-z0-9_.-]*"

# Numbers.
AMOUNT: Final = Integer(least=0, most=1_000_000_000_000, unit="minor units of the currency")
"""Sums of many such amounts still fit a bigint, and a JSON number a double."""
PRICE: Final = Integer(least=1, most=AMOUNT.most, unit=AMOUNT.unit)
QUANTITY: Final = Integer(least=1, most=1_000_000, unit="pieces")
DAY_OF_MONTH: Final = Integer(least=0, most=31, unit="a day of the month; 0: that of the date")
BASIS_POINTS: Final = Integer(least=0, most=10_000, unit="hundredths of a percent")
PER_SECOND: Final = Integer(least=1, most=100, unit="a second")
OVERLAP_HOURS: Final = Integer(least=0, most=720, unit="hours")
SECONDS: Final = Integer(least=1, most=1_000_000_000, unit="seconds")
VERSION: Final = Integer(least=1, most=LARGEST_INTEGER, unit="the version of an event")
PAGE: Final = Integer(least=1, most=200, unit="items")

# Texts.
ID: Final = Text(shortest=1, longest=64, pattern=_ID, says="letters, digits and _ . -")
SAGA_ID: Final = Text(shortest=1, longest=128, pattern=_ID, says=ID.says)
"""A saga's id may hold that of what it is about, and more."""
STREAM: Final = Text(
    shortest=3,
    longest=225,
    pattern="[a-z_]{1,32}-[A-Za-z0-9][A-Za-z0-9_.:-]{0,191}",
    says="a category in small letters, a hyphen, and an id",
)
NAME: Final = Text(
    shortest=1, longest=64, pattern="[A-Za-z][A-Za-z0-9_.:~-]*", says="a letter, then _ . : ~ - too"
)
RUN: Final = Text(
    shortest=10,
    longest=20,
    pattern=r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?",
    says="a day, or a moment in UTC",
)
ACTOR: Final = Text(
    shortest=1,
    longest=64,
    pattern="[A-Za-z0-9][A-Za-z0-9_.@:+-]*",
    says="letters, digits and . _ @ : + -",
)
PRINCIPAL: Final = Text(
    shortest=1,
    longest=100,
    pattern="[A-Za-z0-9][A-Za-z0-9_.@:+|/=~-]*",
    says="letters, digits and . _ @ : + | / = ~ -",
)
"""Of a principal, as an identity provider or an API key names it."""
STORED_ACTOR: Final = Text(
    shortest=1,
    longest=200,
    pattern=f"{PRINCIPAL.pattern}( for {PRINCIPAL.pattern})?",
    says=f"{ACTOR.says}, or a principal's kind and subject, and whom it acts for",
)
"""Of what is kept beside an event: an ACTOR, or a principal, or both with ` for ` between them."""
CORRELATION: Final = Text(
    shortest=1,
    longest=200,
    pattern="[A-Za-z0-9][A-Za-z0-9_.:~+/=-]*",
    says="letters, digits and _ . : ~ + / = -",
)
"""What events correlate with: a saga, a single command, or a request."""
CURRENCY: Final = Text(
    shortest=3, longest=3, pattern="[A-Z]{3}", says="three capital letters of ISO 4217"
)
REASON: Final = Text(shortest=1, longest=500, pattern="[^\x00-\x1f]*", says=_NO_CONTROLS)
EVIDENCE: Final = Text(
    shortest=1,
    longest=2_000,
    pattern="[^\x00-\x08\x0e-\x1f]*",
    says="text, in several lines where need be",
)
JSON_TEXT: Final = Text(
    shortest=2, longest=60_000, pattern="(?s)[^\x00]*", says="JSON text without the character NUL"
)
CAUSE: Final = Text(shortest=1, longest=200, pattern="[^\x00-\x1f]*", says=_NO_CONTROLS)
MESSAGE: Final = Text(
    shortest=1, longest=128, pattern="[A-Za-z0-9_:~-]{1,128}", says="letters, digits and _ : ~ -"
)
"""The id of a webhook, without a full stop: that ends it in what is signed."""
TIMESTAMP: Final = Text(shortest=1, longest=12, pattern="[0-9]*", says="whole seconds since 1970")
SIGNATURES: Final = Text(
    shortest=3,
    longest=4_096,
    pattern=r"[a-z0-9]+,[!-+\--~]+(?: [a-z0-9]+,[!-+\--~]+)*",
    says="such as v1,base64, separated by spaces",
)
DEVICE: Final = Text(
    shortest=1, longest=256, pattern="[A-Za-z0-9_.:@-]*", says="letters, digits and _ . : @ -"
)
PHONE: Final = Text(
    shortest=8,
    longest=16,
    pattern=r"\+[1-9][0-9]{6,14}",
    says="a number in the form +4915112345678",
)
MAILBOX: Final = Text(
    shortest=3,
    longest=255,
    pattern=r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,190}",
    says="an e-mail address",
)
TIME_ZONE: Final = Text(
    shortest=1, longest=64, pattern="[A-Za-z0-9_+/-]*", says="a time zone such as Europe/Berlin"
)
LOCAL_TIME: Final = Text(
    shortest=5, longest=5, pattern="([01][0-9]|2[0-3]):[0-5][0-9]", says="a time such as 07:30"
)
SLUG: Final = Text(shortest=1, longest=64, pattern="[a-z][a-z-]*", says="small letters and hyphens")
TOKEN: Final = Text(
    shortest=1,
    longest=29,
    pattern="[0-9]*(?:-[0-9]*)?",
    says="digits, or two numbers with a hyphen between them",
)
EVENT_ID: Final = Text(
    shortest=1,
    longest=28,
    pattern="([1-9][0-9]{0,8}-)?[0-9]{1,18}",
    says="digits, or two numbers with a hyphen between them",
)
CURSOR: Final = Text(
    shortest=1, longest=512, pattern="[A-Za-z0-9_-]*", says="what `next` of the page before says"
)
KEY: Final = Text(
    shortest=1,
    longest=128,
    pattern="[A-Za-z0-9_.:~+/=-]{1,128}",
    says="letters, digits and _ . : ~ + / = -",
)
UPDATE: Final = Text(shortest=1, longest=300, pattern="[^\x00-\x1f]*", says=_NO_CONTROLS)
SOURCE: Final = Text(shortest=1, longest=300, pattern="[^\x00-\x1f]*", says=_NO_CONTROLS)
"""What a message to a recipient is about: the id of an event, or the name of a campaign."""
SUBJECT: Final = CAUSE
BODY: Final = Text(shortest=1, longest=10_000, pattern=EVIDENCE.pattern, says=EVIDENCE.says)
WISH: Final = Text(shortest=1, longest=200, pattern="[A-Za-z0-9_.:~+/=-]*", says=KEY.says)
"""A key, and what was wished for under it."""
OUTSIDE: Final = Text(shortest=1, longest=200, pattern="(?s).*", says="text")
"""A name or a code that another company gave: what does not fit is cut, with a mark."""

ENDPOINT_URL: Final = Text(
    shortest=10,
    longest=500,
    pattern=r"https?://[!#-;=?-\[\]_a-z~]+",
    says="an address that begins with https://",
)
EVENT_FORM: Final = Text(
    shortest=5,
    longest=160,
    pattern=r"[a-z][a-z0-9_-]*\.[A-Za-z][A-Za-z0-9_]*\.v[0-9]{1,5}",
    says="a form of an event, such as context.ThingHappened.v1",
)
DESCRIPTION: Final = Text(shortest=0, longest=200, pattern="[^\x00-\x1f]*", says=_NO_CONTROLS)

# Dates. The calendar ends long before that of Python and PostgreSQL, where time zones overflow.
DAY: Final = Day(earliest=date(2000, 1, 1), latest=date(2100, 1, 1))
MOMENT: Final = Moment(
    earliest=datetime(2000, 1, 1, tzinfo=UTC), latest=datetime(2100, 1, 1, tzinfo=UTC)
)

# Lists.
LINES: Final = Many(fewest=1, most=100)
DOCUMENTS: Final = Many(fewest=0, most=20)
ENDPOINT_EVENTS: Final = Many(fewest=1, most=100)

# What is not known by its fields.
CORRECTED_FIELDS: Final = Many(fewest=1, most=20)
CORRECTION_BYTES: Final = 8 * 1024
REQUEST_BYTES: Final = 256 * 1024
ANSWER_BYTES: Final = 64 * 1024
"""Of an answer of another company; more is not read."""


def is_storable(text: str) -> bool:
    return _UNSTORABLE.search(text) is None


def storable(text: str, most: int = OUTSIDE.longest) -> str:
    """The text as it can be stored: at most so long, and marked where it was changed."""
    clean = _FOREIGN.sub(REPLACEMENT, text)
    return clean if len(clean) <= most else clean[: most - len(CUT)] + CUT


def storable_parts(value: T) -> T:
    """The same, without what PostgreSQL cannot keep in a text, however deep in a dataclass."""
    if isinstance(value, str):
        return cast("T", _UNSTORABLE.sub(REPLACEMENT, value))
    if is_dataclass(value) and not isinstance(value, type):
        parts = {one.name: storable_parts(getattr(value, one.name)) for one in fields(value)}
        return cast("T", replace(value, **parts))
    return value
