"""The projector: follows the feed and keeps the read models, beside others that do the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from handrail.eventstore.checkpoints import Checkpoint
from handrail.eventstore.codec import Codec
from handrail.eventstore.feed import Page
from handrail.eventstore.pool import Connection, Pool
from handrail.eventstore.store import Recorded
from handrail.eventstore.subscriptions.page_handler import Handled
from handrail.eventstore.subscriptions.subscriber import Subscriber
from handrail.projections.apply_page import apply_page, partition
from handrail.projections.projection import Projection, category_of
from handrail.projections.read_model import read_models
from handrail.tracing import spans


class Runner(Subscriber):
    """What a Follower is, for all read models of `projections` at once. For `options` see there."""

    def __init__(
        self,
        pool: Pool,
        projections: Sequence[Projection[Any]],
        codec: Codec,
        **options: Any,
    ) -> None:
        super().__init__(pool, ReadModelKeeper(projections, codec), **options)


class ReadModelKeeper:
    """Applies pages to the read models that are in use, and to those that are being built."""

    def __init__(self, projections: Sequence[Projection[Any]], codec: Codec) -> None:
        self._models = read_models(projections)
        self._codec = codec
        self._versions = {name: one.projection.version for name, one in self._models.items()}

    @property
    def kind(self) -> str:
        """While versions are exchanged, old and new processes do not count each other."""
        return " ".join(f"{name}@{version}" for name, version in sorted(self._versions.items()))

    async def followers(self, connection: Connection) -> Sequence[str]:
        """A read model of another version belongs to processes of that version."""
        cursor = await connection.execute(
            "SELECT m.name FROM read_models m"
            " JOIN unnest(%s::text[], %s::int[]) AS known (name, version) USING (name, version)",
            (list(self._versions), list(self._versions.values())),
        )
        return [name for (name,) in await cursor.fetchall()]

    def reads(self, type_: str, schema: int) -> bool:
        return self._codec.reads(type_, schema)

    def wants(self, follower: str, event: Recorded) -> bool:
        """An event of a name that this code does not know may be any that the read model folds
        under its newer name: its category alone decides.
        """
        projection = self._models[follower].projection
        is_known = self._codec.reads(event.type, 1)
        return projection.reads(event) or (
            not is_known and category_of(event.stream) in projection.categories
        )

    async def handle(
        self, connection: Connection, group: Sequence[Checkpoint], page: Page, lease: timedelta
    ) -> Handled:
        work = partition(self._models, group, page, self._codec)
        events = ((one.metadata, one.recorded_at) for one in page.events)
        said = {"handrail.events": len(page.events), "handrail.read_models": len(work)}
        with spans.batch("project", events, said):
            return await apply_page(connection, group, page.next, work, lease)
