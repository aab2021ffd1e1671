"""Steps at another company: request, release, and void what no stream of ours holds.

The company's protocol (docs/own-business.md): the same key with the same content is answered as it
was first, and a key that was closed has no effect any more, also where its request comes later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar

from handrail.activities.command_activity import DeclinedForGood, closed_by, serve, serve_void
from handrail.activities.command_handler import Aggregate, CommandHandler
from handrail.eventstore.store import EventStore, StepClosed
from handrail.kernel import Command
from handrail.replies import Accepted, Declined, Reply
from handrail.sagas.step_keys import Answer, StepContext

StateT = TypeVar("StateT")
CommandT = TypeVar("CommandT", bound=Command)
Request = Callable[[CommandT, str], Awaitable[Reply]]


class Close(Protocol):
    """Closes an idempotency key at the company, under a key of its own."""

    def __call__(self, *, key: str, subject: str, closes: str) -> Awaitable[Reply]:
        """From now on nothing takes effect under the key `closes`; what did is taken back.

        To close a key twice changes nothing.
        """
        ...


class RemoteSteps(Generic[StateT]):
    """The steps of one aggregate whose effect is at another company.

    A command carries what the company replied as `reply`, and is decided after it was asked.
    """

    def __init__(self, store: EventStore, aggregate: Aggregate[StateT], close: Close) -> None:
        self._store = store
        self._aggregate = aggregate
        self._handler = CommandHandler(store, aggregate)
        self._close = close

    def compensatable(
        self, do: type[CommandT], undo: type[Command], request: Request[CommandT]
    ) -> Sequence[Callable[..., Any]]:
        """The activities of a step that can be taken back: `do`, `undo`, and the void of `do`."""
        return [
            *self.retriable(do, request),
            serve(undo, self._release),
        ]

    def retriable(
        self, do: type[CommandT], request: Request[CommandT]
    ) -> Sequence[Callable[..., Any]]:
        """The activities of a step without a compensation: `do`, and its void."""

        async def handle(command: CommandT, context: StepContext) -> Answer:
            return await self._request(command, context, request)

        return [serve(do, handle), serve_void(do, self._void, self._store)]

    async def _request(
        self, command: CommandT, context: StepContext, request: Request[CommandT]
    ) -> Answer:
        await self._void(command, context)
        key = str(context.key)
        reply = await request(await self._store.personal.reveal(command), key)
        try:
            return await self._handler.handle(_with(command, reply), context)
        except StepClosed:
            if isinstance(reply, Accepted):
                # The compensation has been and gone: release what came after it.
                subject = self._subject(command)
                await self._close(key=f"{key}/late", subject=subject, closes=key)
            raise

    async def _release(self, command: Command, context: StepContext) -> Answer:
        """Raises DeclinedForGood where the company does not let go."""
        reply = await self._close_keys(command, context)
        return await self._handler.handle(_with(command, reply), context)

    async def _void(self, command: Command, context: StepContext) -> None:
        """Raises DeclinedForGood where the company does not let go."""
        await self._close_keys(command, context)

    async def _close_keys(self, command: Command, context: StepContext) -> Reply | None:
        """Close each key that this step supersedes or takes back. None where there is none."""
        reply: Reply | None = None
        subject = self._subject(command)
        retried = f"~{context.key.ask}" if context.key.ask > 1 else ""
        for closed in closed_by(context):
            key = f"{replace(closed, direction='undo')}{retried}"
            reply = await self._close(key=key, subject=subject, closes=str(closed))
            if isinstance(reply, Declined):
                raise DeclinedForGood(f"{subject} is not released: {reply.code}")
        return reply

    def _subject(self, command: Command) -> str:
        [subject] = self._aggregate.ids(command)
        return subject


def _with(command: CommandT, reply: Reply | None) -> CommandT:
    return replace(command, reply=reply)  # type: ignore[call-arg]  # each remote command has one
