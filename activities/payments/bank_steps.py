"""How the bank is asked: doors shut before, and let go what our books do not hold in the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Generic, TypeVar

from temporalio.exceptions import ApplicationError

from activities.payments.gateway import Bank
from domain.payments.commands import BankReply, Declined
from handrail.activities.command_activity import DeclinedForGood, closed_by, serve_void
from handrail.activities.command_handler import Aggregate, CommandHandler
from handrail.activities.load_state import state_of
from handrail.errors import DomainError, OutsideAnswerMissing
from handrail.eventstore.store import EventStore, StepClosed
from handrail.kernel import Command
from handrail.sagas.step_keys import NOT_DONE, Answer, StepContext

StateT = TypeVar("StateT")


async def shut(bank: Bank, context: StepContext, order: str) -> BankReply | None:
    """Shut at the bank every door that is shut here, each under a key of its own.

    Answers what the bank said last: it is asked no further after a no.
    """
    reply: BankReply | None = None
    asked_anew = f"~{context.key.ask}" if context.key.ask > 1 else ""
    for closed in closed_by(context):
        key = f"{replace(closed, direction='undo')}{asked_anew}"
        reply = await bank.void(key=key, order=order, closes=str(closed))
        if isinstance(reply, Declined):
            break
    return reply


async def shut_first(bank: Bank, context: StepContext, order: str) -> None:
    """Before a step is asked anew: nothing of what was asked before may take effect any more.

    Raises DeclinedForGood where the bank does not let go of it.
    """
    check_void(await shut(bank, context, order), order)


def check_void(reply: BankReply | None, order: str) -> None:
    """Raises DeclinedForGood for a no."""
    if isinstance(reply, Declined):
        raise DeclinedForGood(f"the bank does not void {order}: {reply.code}")


def void_of_bank(
    store: EventStore, bank: Bank, command: type[Command], about: Callable[[Any], str]
) -> Callable[..., Any]:
    """The activity that has the bank let go of the command; `about` is what it was asked for."""

    async def let_go(asked: Command, context: StepContext) -> None:
        await shut_first(bank, context, about(asked))

    return serve_void(command, let_go, store)


class BankSteps(Generic[StateT]):
    """Serves the commands of an aggregate for which the bank is asked.

    Money moves only where our own rules let it, so they are looked at first. What the bank did all
    the same, and no event of ours tells of, is taken back: the state may have moved on meanwhile.
    """

    def __init__(self, store: EventStore, bank: Bank, aggregate: Aggregate[StateT]) -> None:
        self._store = store
        self._bank = bank
        self._aggregate = aggregate
        self._handler = CommandHandler(store, aggregate)

    async def handle(self, command: Command, context: StepContext) -> Answer:
        """For commands that concern nobody outside."""
        return await self._handler.handle(command, context)

    async def ask(
        self, command: Any, context: StepContext, ask: Callable[[], Awaitable[BankReply]]
    ) -> Answer:
        [identity] = self._aggregate.ids(command)
        if await self._must_ask(command, identity):
            await shut_first(self._bank, context, identity)
            command = replace(command, reply=await ask())
        try:
            answer = await self._handler.handle(command, context)
        except StepClosed:
            await self._let_go(context, identity)
            raise
        except DomainError as broken:
            # Earlier keys of this attempt may be in our books; those of earlier attempts are not.
            await shut_first(self._bank, replace(context, closes=()), identity)
            await self._let_go(context, identity)
            raise ApplicationError(
                str(broken), NOT_DONE, type=type(broken).__name__, non_retryable=True
            ) from broken
        if not answer.outcome:
            await self._let_go(context, identity)
        return answer

    async def _must_ask(self, command: Command, identity: str) -> bool:
        """Not where the answer is known, or the request is wrong: the handler says which."""
        aggregate = self._aggregate
        state = await state_of(
            self._store, aggregate.category, identity, aggregate.initial, aggregate.evolve
        )
        try:
            aggregate.decide(command, {identity: state})
        except OutsideAnswerMissing:
            return True
        except DomainError:
            return False
        return False

    async def _let_go(self, context: StepContext, order: str) -> None:
        key = str(context.key)
        check_void(await self._bank.void(key=f"{key}/late", order=order, closes=key), key)
