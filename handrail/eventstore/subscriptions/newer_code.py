"""Where a page stops: before events of newer code, which wait for a process that reads them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from handrail.eventstore.checkpoints import Checkpoint
from handrail.eventstore.feed import Cursor, Page
from handrail.eventstore.newer_code_decisions import Form, parked_forms
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import Recorded, shard_of
from handrail.eventstore.subscriptions.page_handler import PageHandler


@dataclass(frozen=True)
class Stop:
    """`checkpoints` can be moved over `page`, which ends before `event`, and no further."""

    checkpoints: Sequence[Checkpoint]
    page: Page
    event: Recorded


@dataclass(frozen=True)
class Divided:
    """A page by what is to become of it: `rest` has the checkpoints that can be moved over it."""

    rest: Sequence[Checkpoint]
    page: Page
    stops: Sequence[Stop]


@dataclass
class NewerCode:
    """Finds the first event of each checkpoint that the code of `handler` cannot read."""

    handler: PageHandler
    _known: set[Form] = field(default_factory=set)
    """No more than the code knows: that these can be read was asked for before."""

    async def divided(
        self, connection: Connection, group: Sequence[Checkpoint], page: Page
    ) -> Divided | None:
        """None where nothing stops: without a statement, but where events are of newer code that
        are for a subscriber of the group.
        """
        forms = {(event.type, event.schema) for event in page.events} - self._known
        if not forms:
            return None
        self._known |= {form for form in forms if self.handler.reads(*form)}
        if not (forms := forms - self._known):
            return None
        unread = self._wanted(group, [one for one in page.events if _form(one) in forms])
        if not unread:
            return None
        parked = await parked_forms(
            connection,
            {name for name, _ in unread},
            {_form(e) for es in unread.values() for e in es},
        )
        first = {
            key: waits[0]
            for key, events in unread.items()
            if (waits := [one for one in events if (key[0], *_form(one)) not in parked])
        }
        return _divide(group, page, first) if first else None

    def _wanted(
        self, group: Sequence[Checkpoint], events: Sequence[Recorded]
    ) -> Mapping[tuple[str, int], Sequence[Recorded]]:
        found: dict[tuple[str, int], list[Recorded]] = defaultdict(list)
        for event in events:
            shard = shard_of(event.stream)
            for one in group:
                if one.shard == shard and self.handler.wants(one.projection, event):
                    found[one.key].append(event)
        return found


def _divide(
    group: Sequence[Checkpoint], page: Page, first: Mapping[tuple[str, int], Recorded]
) -> Divided:
    shards = defaultdict[int, list[Recorded]](list)
    for event in page.events:
        shards[shard_of(event.stream)].append(event)
    stopped: dict[int, list[Checkpoint]] = defaultdict(list)
    for one in group:
        if one.key in first:
            stopped[first[one.key].position].append(one)
    rest = [one for one in group if one.key not in first]
    open_shards = {one.shard for one in rest}
    return Divided(
        rest,
        replace(page, events=[e for e in page.events if shard_of(e.stream) in open_shards]),
        [
            Stop(
                checkpoints,
                Page(
                    [one for one in shards[checkpoints[0].shard] if one.position < position],
                    _before(group[0].cursor, page, position),
                ),
                first[checkpoints[0].key],
            )
            for position, checkpoints in stopped.items()
        ],
    )


def _before(cursor: Cursor, page: Page, position: int) -> Cursor:
    """Within the batch of the page, behind all that comes before the position."""
    until = page.next.until or page.next.since
    return Cursor(cursor.since, until, position - 1, page.next.server)


def _form(event: Recorded) -> Form:
    return event.type, event.schema
