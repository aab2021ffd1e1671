"""Load, decide, append: the one way a command becomes events."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, reduce
from typing import Any, Final, Generic, TypeVar, cast

import structlog
from pydantic import TypeAdapter

from handrail.errors import DomainError
from handrail.eventstore.store import ANY_VERSION, Appended, EventStore, VersionConflict
from handrail.kernel import Command, Event, Refusal, stream_name
from handrail.sagas.events import AnswerAwaited, SagaEvent, StepCompensated, StepDone, StepRefused
from handrail.sagas.step_keys import Answer, StepContext
from handrail.tracing import spans

StateT = TypeVar("StateT")

_log = structlog.get_logger(__name__)

TRIES: Final = 10
"""How often a command is decided anew, because others were faster, before that is reported."""

LONGEST_PAUSE: Final = 0.25  # seconds

IMPOSSIBLE: Final = -1

SNAPSHOT_EVERY: Final = 100  # events of a stream

_SHOWN_EVENTS: Final = 16


class HotStream(Exception):
    """Others kept appending to the same stream: give the activity fewer workers, or retry later."""


@dataclass(frozen=True)
class Aggregate(Generic[StateT]):
    """How one kind of stream is decided and folded.

    A command may concern several streams: `decide` gets their states by id, and `id_of` says to
    which stream an event belongs. `begun_by` are the commands that mostly find no stream yet: for
    them the first try does without a load, and the expected version tells when that was wrong.
    """

    category: str
    initial: StateT
    ids: Callable[[Any], Sequence[str]]
    decide: Callable[[Any, Mapping[str, StateT]], Sequence[Event]]
    evolve: Callable[[StateT, Any], StateT]
    id_of: Callable[[Any], str]
    begun_by: tuple[type[Command], ...] = ()


def single_stream(
    category: str,
    initial: StateT,
    of: Callable[[Any], str],
    decide: Callable[[Any, StateT], Sequence[Event]],
    evolve: Callable[[StateT, Any], StateT],
    *,
    begun_by: tuple[type[Command], ...] = (),
) -> Aggregate[StateT]:
    """An aggregate whose commands concern one stream each; `of` is the id in a command or event."""
    return Aggregate(
        category=category,
        initial=initial,
        ids=lambda command: [of(command)],
        decide=lambda command, states: decide(command, states[of(command)]),
        evolve=evolve,
        id_of=of,
        begun_by=begun_by,
    )


class CommandHandler(Generic[StateT]):
    """Serves the commands of one aggregate, and remembers what it folded.

    A remembered state may be old. The expected version of the append guards it, also where the
    decision was to do nothing; a broken rule appends nothing, so it is only believed of a state
    that was just loaded. In another epoch of the store a version may be of other events: nothing
    is remembered from one to the next.
    """

    def __init__(
        self, store: EventStore, aggregate: Aggregate[StateT], *, remembered: int = 1_000
    ) -> None:
        self._store = store
        self._aggregate = aggregate
        self._state: TypeAdapter[StateT] = TypeAdapter(type(aggregate.initial))
        self._folded: OrderedDict[str, tuple[int, StateT]] = OrderedDict()
        self._epoch = 0
        self._remembered = remembered
        self._turns: defaultdict[str, tuple[asyncio.Lock, set[object]]] = defaultdict(
            lambda: (asyncio.Lock(), set())
        )

    @cached_property
    def _revision(self) -> str:
        """Looked up when a stream is first loaded: it takes some milliseconds. Empty where the code
        cannot be walked through: then no state is kept, and none is used.
        """
        try:
            return self._store.revision_of(self._aggregate.initial, self._aggregate.evolve)
        except Exception as error:  # noqa: BLE001  # objects of the business are asked about themselves
            _log.warning(
                "states are not kept: the fold has no revision",
                category=self._aggregate.category,
                error=f"{type(error).__name__}: {error}",
            )
            return ""

    async def handle(self, command: Command, context: StepContext) -> Answer:
        """Decide the command and store what was decided, once for each `context.key`.

        The saga's own stream is told in the same transaction. Raises DomainError for a broken rule,
        StepClosed for a step that was taken back, HotStream when others were always faster.
        """
        ids = {
            stream_name(self._aggregate.category, one): one for one in self._aggregate.ids(command)
        }
        async with self._turn(sorted(ids)):
            for tries in range(1, TRIES + 1):
                self._forget_unless(getattr(self._store, "epoch", 0))
                guess = tries == 1 and isinstance(command, self._aggregate.begun_by)
                just_loaded = not guess and self._folded.keys().isdisjoint(ids)
                states = await self._states(list(ids), guess=guess)
                try:
                    with spans.span("decide") as span:
                        events = self._aggregate.decide(
                            command, {ids[stream]: state for stream, (_, state) in states.items()}
                        )
                        if span.is_recording():
                            span.set_attributes(_decided(command, tries, events))
                    return await self._append(context, states, events)
                except DomainError:
                    if just_loaded:
                        if answer := await self._answered_before(context):
                            return answer
                        raise
                    self._forget(ids)
                except VersionConflict:
                    self._forget(ids)
                    await asyncio.sleep(_jittered(tries))
        raise HotStream(f"{type(command).__name__} on {', '.join(ids)}, {TRIES} times")

    async def _answered_before(self, context: StepContext) -> Answer | None:
        """What the fence tells whoever asks again: the world may have moved on since then.

        An append that expects an impossible version gets as far as the fence, and never further.
        """
        try:
            passed = await self._store.append([("", IMPOSSIBLE, ())], context=context)
        except VersionConflict:
            return None
        return _answer(passed)

    async def _append(
        self,
        context: StepContext,
        states: Mapping[str, tuple[int, StateT]],
        events: Sequence[Event],
    ) -> Answer:
        # Sealed before they are folded: what is remembered, and snapshots, hold no text in clear.
        epoch = self._epoch  # the one that the states are of
        events = await self._store.sealed(events, context)
        added: dict[str, list[Event]] = {stream: [] for stream in states}
        for event in events:
            added[stream_name(self._aggregate.category, self._aggregate.id_of(event))].append(event)
        recorded, answer = _saga_events_of(context, events)
        saga_events = await self._store.sealed(recorded, context)
        if isinstance(saga_events[0], StepRefused):
            answer["reason"] = saga_events[0].reason
        appends: list[tuple[str, int | None, Sequence[Event]]] = [
            (stream, version, added[stream]) for stream, (version, _) in states.items()
        ]
        if not context.alone:
            appends.append((stream_name("saga", context.key.saga), ANY_VERSION, saga_events))
        appended = await self._store.append(
            appends,
            context=context,
            answer=answer,
            metadata=metadata_of(context, self._store.tenant),
            **({"epoch": epoch} if epoch else {}),
        )
        if epoch == self._epoch:  # it was none, or no other task has come to another one meanwhile
            self._forget_unless(appended.epoch)
        if appended.status == "appended" and appended.epoch == self._epoch:
            for stream, (version, state) in states.items():
                back = appended.read_back.get(stream)
                await self._remember(
                    stream,
                    version,
                    state,
                    back.events if back else added[stream],
                    stored=back.stored if back else len(added[stream]),
                )
        return _answer(appended)

    async def _states(
        self, streams: Sequence[str], *, guess: bool
    ) -> Mapping[str, tuple[int, StateT]]:
        """Each stream's version and state: remembered, or else loaded, all in one round trip."""
        initial = self._aggregate.initial
        missing = {stream: 0 for stream in streams if stream not in self._folded}
        if missing and not guess:
            loaded = await self._store.load(missing, self._revision)
            for stream, found in loaded.items():
                self._forget_unless(found.epoch)
                start = initial
                if found.snapshot is not None:
                    start = self._state.validate_python(found.snapshot)
                folded = reduce(self._aggregate.evolve, found.events, start)
                self._keep(stream, found.version, folded)
        return {stream: self._folded.get(stream, (0, initial)) for stream in streams}

    async def _remember(
        self, stream: str, version: int, state: StateT, events: Sequence[Event], *, stored: int
    ) -> None:
        folded = reduce(self._aggregate.evolve, events, state)
        now = version + stored
        self._keep(stream, now, folded)
        if now // SNAPSHOT_EVERY > version // SNAPSHOT_EVERY and self._revision:
            await self._store.save_snapshot(
                stream, now, self._revision, self._state.dump_json(folded), epoch=self._epoch
            )

    def _forget_unless(self, epoch: int) -> None:
        if epoch != self._epoch:
            self._folded.clear()
            self._epoch = epoch

    def _forget(self, streams: Iterable[str]) -> None:
        for stream in streams:
            self._folded.pop(stream, None)

    def _keep(self, stream: str, version: int, state: StateT) -> None:
        self._folded[stream] = (version, state)
        self._folded.move_to_end(stream)
        if len(self._folded) > self._remembered:
            self._folded.popitem(last=False)

    @asynccontextmanager
    async def _turn(self, streams: Sequence[str]) -> AsyncIterator[None]:
        """One command at a time for each stream, within this process: the database would make them
        wait anyway, and then send all but one back to decide anew.
        """
        me = object()
        async with AsyncExitStack() as stack:
            for stream in streams:
                lock, waiting = self._turns[stream]
                waiting.add(me)
                stack.callback(self._leave, stream, me)
                await stack.enter_async_context(lock)
            yield

    def _leave(self, stream: str, me: object) -> None:
        _, waiting = self._turns[stream]
        waiting.discard(me)
        if not waiting:
            del self._turns[stream]


def _decided(command: Command, tries: int, events: Sequence[Event]) -> Mapping[str, Any]:
    """What a span says of a decision: names of classes, and nothing of what they hold."""
    return {
        "handrail.command": type(command).__name__,
        "handrail.try": tries,
        "handrail.decided": [type(event).__name__ for event in events[:_SHOWN_EVENTS]],
    }


def _answer(appended: Appended) -> Answer:
    given = dict(cast("dict[str, Any]", appended.answer))
    if until := given.pop("until", None):
        given["until"] = datetime.fromisoformat(until)
    return Answer(**given, token=appended.token)


def _saga_events_of(
    context: StepContext, events: Sequence[Event]
) -> tuple[Sequence[SagaEvent], dict[str, str]]:
    """What the saga's stream is told, and what whoever asks again is answered."""
    key = context.key
    outcome = type(events[-1]).__name__ if events else ""
    if key.direction == "undo":
        undone = StepCompensated(saga=key.saga, attempt=key.attempt, step=key.step, outcome=outcome)
        return [undone], {"status": "done", "outcome": outcome, "reason": ""}
    if refusal := next((event for event in events if isinstance(event, Refusal)), None):
        name, reason = type(refusal).__name__, refusal.reason
        refused = StepRefused(
            saga=key.saga, attempt=key.attempt, step=key.step, outcome=name, reason=reason
        )
        return [refused], {"status": "refused", "outcome": name, "reason": reason}
    done = StepDone(saga=key.saga, attempt=key.attempt, step=key.step, outcome=outcome)
    answer = {"status": "done", "outcome": outcome, "reason": ""}
    if awaited := next((one for one in context.once_done if isinstance(one, AnswerAwaited)), None):
        answer["until"] = awaited.until.isoformat()
    return [done, *context.once_done], answer


async def pass_fence(store: EventStore, context: StepContext) -> Answer:
    """Keep that a key was served, once, and shut those that it closes; no book changes."""
    answer = {"status": "done", "outcome": "", "reason": ""}
    return _answer(await store.append([], context=context, answer=answer))


def metadata_of(context: StepContext, tenant: str) -> Mapping[str, Any]:
    """Who, why, and caused by what: stored beside every event. `tenant` is the App's word."""
    key = context.key
    known = {
        "saga": "" if context.alone else key.saga,
        tenant: context.tenant,
        "traceparent": context.traceparent,
    }
    return {
        "actor": context.actor,
        "correlation": key.saga,
        "causation": str(key),
        "attempt": key.attempt,
        "step": key.step,
        "direction": key.direction,
        **{name: value for name, value in known.items() if value},
    }


def _jittered(tries: int) -> float:
    """Seconds to wait: full jitter, so that those who collided do not meet again."""
    return random.uniform(0, min(LONGEST_PAUSE, 0.005 * 2**tries))  # noqa: S311  # no secret
