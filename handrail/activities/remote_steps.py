"""Steps at another company: request, release, and void what no stream of ours holds.

The company's protocol (docs/own-business.md): the same key with the same content is answered as it
was first, and a key that was closed has no effect any more, also where its request comes later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar

from temporalio.exceptions import ApplicationError

from handrail.activities.command_activity import (
    DeclinedForGood,
    Handle,
    closed_by,
    serve,
    serve_void,
)
from handrail.activities.command_handler import Aggregate, CommandHandler
from handrail.activities.load_state import state_of
from handrail.errors import DomainError, OutsideAnswerMissing
from handrail.eventstore.store import EventStore, StepClosed
from handrail.kernel import Command
from handrail.replies import Accepted, Declined, Reply
from handrail.sagas.step_keys import NOT_DONE, Answer, StepContext

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

    A command carries what the company replied as `reply`, and is decided after the request.
    `company` is its name in messages to operators.
    """

    def __init__(
        self,
        store: EventStore,
        aggregate: Aggregate[StateT],
        close: Close,
        *,
        company: str = "the company",
    ) -> None:
        self._store = store
        self._aggregate = aggregate
        self._handler = CommandHandler(store, aggregate)
        self._close = close
        self._company = company

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

        return self._with_void(do, handle)

    def checked(
        self, do: type[CommandT], request: Request[CommandT]
    ) -> Sequence[Callable[..., Any]]:
        """Like `retriable`, for an aggregate that other sagas change meanwhile: `do`, and its void.

        Our own rules are decided first, and the company gets a request only where its reply is
        missing. What it did, and no event records in the end, is closed again.
        """

        async def handle(command: CommandT, context: StepContext) -> Answer:
            return await self._request_checked(command, context, request)

        return self._with_void(do, handle)

    def local(self, *commands: type[Command]) -> Sequence[Callable[..., Any]]:
        """The activities of the aggregate's commands that need no other company."""
        return [serve(command, self.handle) for command in commands]

    async def handle(self, command: Command, context: StepContext) -> Answer:
        """Decide and store without a request, as `CommandHandler.handle`."""
        return await self._handler.handle(command, context)

    def _with_void(self, do: type[Command], handle: Handle) -> Sequence[Callable[..., Any]]:
        return [serve(do, handle), serve_void(do, self._void, self._store)]

    async def _request(
        self, command: CommandT, context: StepContext, request: Request[CommandT]
    ) -> Answer:
        await self._void(command, context)
        revealed = await self._store.personal.reveal(command)
        reply = await request(revealed, str(context.key))
        try:
            return await self._handler.handle(_with(command, reply), context)
        except StepClosed:
            if isinstance(reply, Accepted):
                # The compensation has been and gone: release what came after it.
                await self._close_late(command, context)
            raise

    async def _request_checked(
        self, command: CommandT, context: StepContext, request: Request[CommandT]
    ) -> Answer:
        """Raises DeclinedForGood where the company does not release what no event records."""
        if await self._needs_reply(command):
            await self._void(command, context)
            revealed = await self._store.personal.reveal(command)
            command = _with(command, await request(revealed, str(context.key)))
        try:
            answer = await self._handler.handle(command, context)
        except StepClosed:
            await self._release_late(command, context)
            raise
        except DomainError as broken:
            # Earlier keys of this attempt may be in our streams; those of earlier attempts are not.
            await self._void(command, replace(context, closes=()))
            await self._release_late(command, context)
            raise ApplicationError(
                str(broken), NOT_DONE, type=type(broken).__name__, non_retryable=True
            ) from broken
        if not answer.outcome:
            await self._release_late(command, context)
        return answer

    async def _needs_reply(self, command: Command) -> bool:
        """False where the answer is known, or a rule is broken: the handler says which."""
        aggregate, subject = self._aggregate, self._subject(command)
        state = await state_of(
            self._store, aggregate.category, subject, aggregate.initial, aggregate.evolve
        )
        try:
            aggregate.decide(command, {subject: state})
        except OutsideAnswerMissing:
            return True
        except DomainError:
            return False
        return False

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
            self._check_released(reply, subject)
        return reply

    async def _release_late(self, command: Command, context: StepContext) -> None:
        self._check_released(await self._close_late(command, context), str(context.key))

    async def _close_late(self, command: Command, context: StepContext) -> Reply:
        """Close this step's own key, under which the company may have done what is not stored."""
        key = str(context.key)
        return await self._close(key=f"{key}/late", subject=self._subject(command), closes=key)

    def _check_released(self, reply: Reply, released: str) -> None:
        if isinstance(reply, Declined):
            raise DeclinedForGood(f"{self._company} does not release {released}: {reply.code}")

    def _subject(self, command: Command) -> str:
        [subject] = self._aggregate.ids(command)
        return subject


def _with(command: CommandT, reply: Reply | None) -> CommandT:
    return replace(command, reply=reply)  # type: ignore[call-arg]  # each remote command has one
