"""Database roles: for each kind of process a login of its own, and the least it has to do.

The matrix of roles and tables is here and nowhere else; grants (`handrail/eventstore/grants.py`)
and the table in `docs/database.md` follow from it. What is not listed is denied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Right: TypeAlias = Literal["SELECT", "INSERT", "UPDATE", "DELETE"]
Rights: TypeAlias = tuple[Right, ...]

PREFIX: Final = "handrail"
"""What the names of roles begin with, where the settings do not say otherwise."""
STORE: Final = "store"
"""The role that owns `append_events`; it cannot log in."""
OPERATOR: Final = "operator"
CONSUMER: Final = "consumer"
"""What consumers share. Each has a role of its own, `consumer:{name}`."""
DISPATCHER: Final = "dispatcher"
PROCESSES: Final = (
    *("api", "worker", "projector", "relay", "notifier", "lake", DISPATCHER, OPERATOR),
)
"""The roles that log in, beside one for each consumer."""

_PREFIX: Final = re.compile("[a-z][a-z0-9_]{0,19}")
_LONGEST: Final = 63
"""Bytes of a name in PostgreSQL."""
_LETTERS: Final[Mapping[str, Right]] = {
    "S": "SELECT",
    "I": "INSERT",
    "U": "UPDATE",
    "D": "DELETE",
}


def rights(letters: str) -> Rights:
    """`SIUD`, or some of it, as rights."""
    return tuple(_LETTERS[letter] for letter in letters)


_FEED: Final = {
    "events": "S",
    "outbox": "S",
    "followers": "SIUD",
    "newer_code_waits": "SIUD",
    "newer_code_decisions": "S",
}
_FEED_CALLS: Final = ("feed_page", "feed_recent", "feed_history", "event_number")
_EVERY: Final = {
    "alembic_version": "S",
    "store_epochs": "S",
    # Each process announces what it reads, and raises what all can read.
    "event_levels": "SIU",
    "process_versions": "SIUD",
}
_EVERY_CALLS: Final = ("store_identity", "adopt_timeline")

# By role: the tables, and which of SELECT, INSERT, UPDATE and DELETE it has there.
_TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    # UPDATE on streams is also the right to lock a row; nothing of it is in the events.
    STORE: {
        "events": "SI",
        "outbox": "I",
        "streams": "SIU",
        "commands": "SIU",
        "long_attempts": "SI",
        "store_epochs": "S",
    },
    "api": {
        "events": "S",
        "streams": "S",
        "outbox": "S",
        "checkpoints": "S",
        "parked_events": "S",
        "newer_code_waits": "S",
        "newer_code_decisions": "S",
        # It stores that an operator wants a retry; a projector or a relay does it.
        "retry_requests": "SIU",
        "read_models": "S",
        "row_snapshots": "SI",
        "moments": "S",
        "kept_totals": "S",
        "requests": "SIUD",
        "saga_places": "SIUD",
        "webhooks": "SIU",
        "api_keys": "S",
        "api_key_uses": "SIU",
        "subject_keys": "SI",
        "notification_contacts": "SIUD",
        "notifications": "SU",
        "campaigns": "S",
        # An operator has it handle what waits at consumers: it does then what they do.
        "inbox": "SID",
        "parked_streams": "SIUD",
        "parked_messages": "SIUD",
        "consumer_wants": "S",
        "consumer_backfills": "S",
        "form_readers": "S",
        # It stores that an operator wants a read model built anew; the owner's login does it.
        "rebuild_requests": "SIU",
        # The original of a dead message is stored before it is redriven or discarded.
        "dead_message_acts": "SIUD",
        "lake_batches": "S",
        "webhook_endpoints": "SIU",
        "webhook_deliveries": "SIU",
    },
    "worker": {
        "events": "S",
        "snapshots": "SIU",
        "state_snapshots": "SIUD",
        "streams": "S",
        "read_models": "S",
        # It erases: destroys keys, and deletes rows about their subjects.
        "subject_keys": "SIU",
        "notification_contacts": "SD",
        "notifications": "SD",
        "campaign_audience": "SD",
        "webhooks": "SD",
    },
    "projector": {
        **_FEED,
        "checkpoints": "SU",
        "kept_totals": "SI",
        "parked_events": "SIUD",
        "retry_requests": "SUD",
        "read_models": "S",
    },
    "relay": {
        **_FEED,
        "checkpoints": "SIUD",
        "parked_events": "SIUD",
        "retry_requests": "SU",
        "form_readers": "SIUD",
    },
    "notifier": {
        "subject_keys": "S",
        "notifications": "SUD",
        "notification_contacts": "S",
        "campaigns": "SUD",
        "campaign_audience": "SD",
    },
    "lake": {
        **_FEED,
        "checkpoints": "SIUD",
        "lake_batches": "SIUD",
    },
    # It disables an endpoint that is gone, or fails for long; what it signs with is sealed.
    DISPATCHER: {
        **_FEED,
        "checkpoints": "SIUD",
        "subject_keys": "S",
        "webhook_endpoints": "SUD",
        "webhook_deliveries": "SIUD",
    },
    CONSUMER: {
        **_FEED,
        "checkpoints": "SIU",
        "inbox": "SID",
        "parked_streams": "SIUD",
        "parked_messages": "SIUD",
        "consumer_wants": "SI",
        "consumer_backfills": "SIUD",
    },
    # What commands look at and put right: reads all but addresses, and appends its acts alone.
    OPERATOR: {
        **_FEED,
        "newer_code_decisions": "SI",
        "api_keys": "S",
        "api_key_uses": "S",
        "streams": "S",
        "commands": "S",
        "long_attempts": "S",
        "snapshots": "S",
        "state_snapshots": "S",
        "row_snapshots": "S",
        "moments": "S",
        "kept_totals": "S",
        "checkpoints": "SIUD",
        "parked_events": "SIUD",
        "retry_requests": "S",
        "read_models": "S",
        "requests": "S",
        "saga_places": "S",
        "webhooks": "S",
        "inbox": "SID",
        "parked_streams": "SIUD",
        "parked_messages": "SIUD",
        "consumer_wants": "SI",
        "consumer_backfills": "SIUD",
        "lake_batches": "SIUD",
        "form_readers": "S",
        "dead_message_acts": "SIUD",
        "rebuild_requests": "S",
        "notification_channels": "S",
        "webhook_endpoints": "S",
        "webhook_deliveries": "S",
        # It seals the reasons of its acts, where it has the key file.
        "subject_keys": "SI",
        "notifications": "SIU",
        "campaigns": "SIU",
        "campaign_audience": "SI",
    },
}

_CALLS: Final[Mapping[str, tuple[str, ...]]] = {
    STORE: ("store_token",),
    "api": ("store_token", "event_number", "append_audit"),
    "worker": ("append_events", "load_streams", "load_states"),
    "projector": (*_FEED_CALLS, "maintain_partitions()", "prune_tables", "keep_moment"),
    "relay": _FEED_CALLS,
    "notifier": (),
    "lake": _FEED_CALLS,
    DISPATCHER: (*_FEED_CALLS, "append_audit"),
    CONSUMER: _FEED_CALLS,
    OPERATOR: (*_FEED_CALLS, "numbers_ahead", "store_token", "append_audit"),
}

READ_MODEL: Final[Mapping[str, Rights]] = {
    "api": rights("S"),
    "worker": rights("S"),
    "projector": rights("SIUD"),
    OPERATOR: rights("SIUD"),
}
"""Of a table of a read model: also of one that is built beside it."""

_UNLESS_SAID: Final = ("api", "worker", CONSUMER)
"""The roles that have a business's own rights on its tables, where it does not say which have."""


@dataclass(frozen=True)
class Grant:
    """What a role may do with a table beyond what the matrix says, such as a consumer that sends
    messages. `to` is a role of a process, or `consumer:{name}`.
    """

    to: str
    table: str
    rights: Rights


@dataclass(frozen=True)
class OwnTable:
    """A table of the business: `used_by` are the roles with its rights. Empty: the worker, the API
    and all consumers. Operators read it in any case.
    """

    rights: tuple[str, ...]
    used_by: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DatabaseRoles:
    """The roles of one database. `consumers` are the names of those that the App has, `own` its
    tables. Raises ValueError for a prefix that is no name.
    """

    prefix: str = PREFIX
    consumers: Sequence[str] = ()
    grants: Sequence[Grant] = ()
    own: Mapping[str, OwnTable] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError(
                f"{self.prefix!r} cannot begin the names of roles: small letters and _"
            )

    def mistakes(self) -> list[str]:
        """A sentence for each role that is named, and that the App does not have; and for each that
        PostgreSQL could not tell from another.
        """
        names = [self.name(role) for role in self.all]
        unnamed = [
            f"the role {role} would be called {self.name(role)}, which is too long, or taken: give"
            " the consumer another name"
            for role in self.all
            if len(self.name(role).encode()) > _LONGEST or names.count(self.name(role)) > 1
        ]
        named = [(one.table, one.to) for one in self.grants]
        named += [(table, role) for table, one in self.own.items() for role in one.used_by]
        known = ", ".join(self.logins)
        return unnamed + [
            f"the table {table} is for the role {role}, which is not one of {known}"
            for table, role in named
            if role not in self.logins
        ]

    @property
    def logins(self) -> tuple[str, ...]:
        """The roles of processes: each logs in as `name(role)`."""
        return (*PROCESSES, *(f"{CONSUMER}:{name}" for name in self.consumers))

    @property
    def all(self) -> tuple[str, ...]:
        return (STORE, *self.logins)

    def name(self, role: str) -> str:
        """What the role is called in PostgreSQL."""
        return f"{self.prefix}_{role}".replace(":", "_").replace("-", "_")

    def tables_of(self, role: str) -> Mapping[str, Rights]:
        """Without those of read models."""
        kind = role.partition(":")[0]
        found: dict[str, set[str]] = {}
        common = {} if role == STORE else _EVERY
        for table, letters in {**common, **_TABLES[kind]}.items():
            found.setdefault(table, set()).update(rights(letters))
        for table, own in self.own.items():
            if self._works_as(role, own.used_by) or (not own.used_by and kind in _UNLESS_SAID):
                found.setdefault(table, set()).update(own.rights)
            elif kind == OPERATOR:
                found.setdefault(table, set()).add("SELECT")
        for one in self.grants:
            if self._works_as(role, (one.to,)):
                found.setdefault(one.table, set()).update(one.rights)
        return {table: _sorted(some) for table, some in found.items()}

    @staticmethod
    def _works_as(role: str, users: Sequence[str]) -> bool:
        """Whether it is one of them, or the API and one of them is a consumer, for which it handles
        what waits.
        """
        return role in users or (role == "api" and any(one.startswith(CONSUMER) for one in users))

    def calls_of(self, role: str) -> tuple[str, ...]:
        """The functions that it may call; none is for PUBLIC."""
        common = () if role == STORE else _EVERY_CALLS
        return (*common, *_CALLS[role.partition(":")[0]])


def _sorted(some: Iterable[str]) -> Rights:
    return tuple(right for right in _LETTERS.values() if right in some)
