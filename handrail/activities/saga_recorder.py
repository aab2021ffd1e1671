"""The saga's own stream: attempts begin here, and what a workflow may not decide is decided.

Every record has a key that is named by what it says, so that a workflow task which is lost and run
again records nothing twice, and nothing in place of something else. What is decided is decided on
the stream as it was read, and appended at that version: a step that ends meanwhile makes it look
again (`docs/decisions/0022-the-stores-decide.md`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from typing import Any, Final, cast

import orjson
from pydantic import TypeAdapter
from temporalio import activity
from temporalio.exceptions import ApplicationError

from handrail.activities.command_handler import IMPOSSIBLE, metadata_of
from handrail.eventstore.codec import Codec
from handrail.eventstore.store import ANY_VERSION, Appended, EventStore, StepClosed, VersionConflict
from handrail.kernel import stream_name
from handrail.sagas.events import (
    CancelRequested,
    CompensationStarted,
    SagaDecided,
    SagaEnded,
    SagaEvent,
    SagaResumed,
    SagaStarted,
    StepAnswered,
)
from handrail.sagas.recovery import (
    Refusal,
    cancellation_in,
    decision_of,
    ended_in,
    is_crossed,
    leftovers_of,
    refusal_in,
    standing_of,
    unended,
    was_asked,
)
from handrail.sagas.step_keys import OVER, Answer, StepContext
from handrail.sagas.stream_answers import Begun, Cancelled, Turned
from handrail.sagas.stream_commands import RequestCancellation, TurnBack

TRIES: Final = 10
"""How often a record is decided anew, because a step told the stream something meanwhile."""

_TURNED: Final = TypeAdapter(Turned)

Story = Sequence[SagaEvent]


def activities(store: EventStore, codec: Codec) -> Sequence[Callable[..., Any]]:
    journal = SagaRecorder(store, codec)
    return [
        journal.begin,
        journal.record,
        journal.record_missing,
        journal.turn_back,
        journal.request_cancellation,
        journal.resume,
        journal.answer,
    ]


class SagaRecorder:
    def __init__(self, store: EventStore, codec: Codec) -> None:
        self._store = store
        self._codec = codec

    @activity.defn(name="BeginSaga")
    async def begin(self, started: SagaStarted, context: StepContext) -> Begun:
        """Begin an attempt, once: it belongs to the workflow run that began it.

        It follows all attempts since the last end: their doors are shut first, and then what they
        left is read. A number that the stream has passed is refused, unless the saga may always
        begin anew.
        """
        # Nearly always nothing was begun before: one round trip, and no look.
        if context.key.attempt == 1 and (begun := await self._begin(0, started, context, ())):
            return begun
        async for version, story in self._load_each_try(context.key.saga):
            mine = next((one for one in _attempts(story) if one.run == started.run), None)
            if mine is not None:
                return _taking_over(mine.attempt, "", story)
            number = _number(started, story)
            if number is None:
                raise _closed(context, "another run")
            if ended := _final_end(started, story):
                return Begun(token="", left=None, ended=ended)
            if stopped := unended(story, number):
                await self._end_attempts(stopped, number, started, story, context)
                version, story = await self._story(context.key.saga)  # noqa: PLW2901  # all they left
                # The last of their steps may have ended the saga, just before its door was shut.
                if ended := _final_end(started, story):
                    return Begun(token="", left=None, ended=ended)
            numbered = replace(started, attempt=number)
            key = replace(context.key, attempt=number)
            if begun := await self._begin(version, numbered, replace(context, key=key), story):
                return begun
        raise _busy(context)

    async def _begin(
        self, version: int, started: SagaStarted, context: StepContext, story: Story
    ) -> Begun | None:
        """None where the stream has moved on, or holds this attempt already."""
        try:
            appended = await self._store.append(
                [(stream_name("saga", context.key.saga), version, [started])],
                context=context,
                answer={"run": started.run},
                metadata=metadata_of(context, self._store.tenant),
            )
        except (VersionConflict, StepClosed):
            return None
        if appended.status == "repeated":
            return None
        return _taking_over(started.attempt, appended.token, story)

    async def _end_attempts(
        self,
        stopped: Sequence[SagaStarted],
        number: int,
        started: SagaStarted,
        story: Story,
        context: StepContext,
    ) -> None:
        """Shut every door of the attempts: those of their steps, and whatever else they may say."""
        for attempt in stopped:
            standing = standing_of(attempt.attempt, story)
            steps = {*attempt.steps, *started.steps}
            key = replace(
                context.key,
                attempt=attempt.attempt,
                opened_on=attempt.opened_on or date.min,
                step=f"journal:superseded:{number}",
                direction="undo",
            )
            keys = sorted({OVER, *(key for step in steps for key in standing.keys_of(step))})
            await self._store.append(
                [],
                context=StepContext(key=key, actor=context.actor, closes=tuple(keys)),
                answer={},
            )

    @activity.defn(name="RecordSaga")
    async def record(self, events: Sequence[SagaEvent], context: StepContext) -> Answer:
        """Append the saga's events, once for each key."""
        return await self._append_events(ANY_VERSION, events, context)

    @activity.defn(name="RecordMissing")
    async def record_missing(self, events: Sequence[SagaEvent], context: StepContext) -> Answer:
        """Append those of the events that the attempt has not told yet of the same step.

        For what a step tells in its own transaction, where a person says that it was done: nobody
        else knows whether it was. Its door is shut, so it says nothing any more.
        """
        async for version, story in self._load_each_try(context.key.saga):
            recorded = {_key_of(event) for event in story if event.attempt == context.key.attempt}
            missing = [event for event in events if _key_of(event) not in recorded]
            try:
                return await self._append_events(version, missing, context)
            except VersionConflict:
                continue
        raise _busy(context)

    @activity.defn(name="TurnBack")
    async def turn_back(self, asked: TurnBack, context: StepContext) -> Turned:
        """Turn an attempt back, unless its pivot took effect; answers how its steps stood then.

        A refusal in the stream is the reason, whatever made the workflow turn back. Raises
        StepClosed, as an ApplicationError, where the attempt is over, another run turned it back,
        or a closed key made the workflow ask and the stream gives no reason.
        """
        attempt = context.key.attempt
        async for version, story in self._load_each_try(context.key.saga):
            over_pivot = asked.over_pivot and not _has_gone_on(asked.pivot, attempt, story)
            if is_crossed(asked.pivot, attempt, story) and not over_pivot:
                return Turned(crossed=True)
            if _has_turned(attempt, story) and (turned := await self._first_turn(asked, context)):
                return turned
            turned = _turned(asked, attempt, story)
            if turned is None:
                raise _closed(context, "what gives no reason to turn back")
            turned = await self._store.personal.seal(turned, context.of_texts)
            try:
                appended = await self._append(
                    version,
                    _turning(asked, turned, attempt, story),
                    replace(context, closes=_keys_of_steps(attempt, story)),
                    {**_plain(turned), "run": asked.run},
                )
            except VersionConflict:
                continue
            return replace(turned, token=appended.token)
        raise _busy(context)

    async def _first_turn(self, asked: TurnBack, context: StepContext) -> Turned | None:
        """What was answered first; an impossible version is never appended at.

        None where the attempt was turned back by code that kept no answer.
        """
        try:
            found = await self._append(IMPOSSIBLE, [], context, {})
        except VersionConflict:
            return None
        first = dict(found.answer or {})
        if first.pop("run") != asked.run:
            raise _closed(context, "another run")
        return replace(_TURNED.validate_python(first), token=found.token)

    @activity.defn(name="RequestCancellation")
    async def request_cancellation(
        self, asked: RequestCancellation, context: StepContext
    ) -> Cancelled:
        """Have a saga cancelled as long as its pivot was not asked, whose door is shut with it: by
        this attempt, or by one that stopped before it and left it that.
        """
        attempt, pivot = context.key.attempt, asked.pivot
        async for version, story in self._load_each_try(context.key.saga):
            if _has_begun(attempt, story) and cancellation_in(attempt, story):
                return Cancelled(accepted=True)
            if message := _too_late(pivot, attempt, story):
                return Cancelled(accepted=False, said=message)
            try:
                await self._append(
                    version, [asked.requested], replace(context, closes=(pivot,)), {}
                )
            except VersionConflict:
                continue
            return Cancelled(accepted=True)
        raise _busy(context)

    @activity.defn(name="ResumeStep")
    async def resume(self, asked: Sequence[Any], context: StepContext) -> Sequence[Any]:
        """Let a parked step go on: by the first intervention that is recorded for it.

        `asked` is SagaResumed and, for a correction, the corrected command; so is the answer.
        Raises NotPossible, as an ApplicationError, where a person says that the step did not
        happen, or is to be done otherwise, and the stream says that it did happen.
        """
        resumed = cast("SagaResumed", asked[0])
        attempt = context.key.attempt
        async for version, story in self._load_each_try(context.key.saga):
            passed = standing_of(attempt, story).passed
            contradicts = _says_not_done(resumed) and resumed.step in passed
            try:
                # What was recorded before it was done stands: nothing is appended at that version.
                expected = IMPOSSIBLE if contradicts else version
                encoded = await self._encoded(asked, context)
                appended = await self._append(expected, [resumed], context, encoded)
            except VersionConflict:
                if contradicts:
                    message = f"our own books say that {resumed.step} happened: retry it"
                    raise ApplicationError(
                        message, type="NotPossible", non_retryable=True
                    ) from None
                continue
            return self._stored(appended.answer)
        raise _busy(context)

    @activity.defn(name="AnswerStep")
    async def answer(self, asked: StepAnswered, context: StepContext) -> StepAnswered:
        """Answer a step that waits for it; the first answer that is recorded stands."""
        encoded = await self._encoded([asked], context)
        appended = await self._append(ANY_VERSION, [asked], context, encoded)
        [stands] = self._stored(appended.answer)
        return cast("StepAnswered", stands)

    async def _story(self, saga: str) -> tuple[int, Story]:
        stream = stream_name("saga", saga)
        loaded = (await self._store.load({stream: 0}))[stream]
        return loaded.version, cast("Story", loaded.events)

    async def _load_each_try(self, saga: str) -> AsyncIterator[tuple[int, Story]]:
        """The stream's version and events, again as long as others were faster."""
        for _ in range(TRIES):
            yield await self._story(saga)

    async def _append_events(
        self, version: int | None, events: Sequence[SagaEvent], context: StepContext
    ) -> Answer:
        appended = await self._append(version, events, context, {})
        return Answer(status="done", outcome="", reason="", token=appended.token)

    async def _append(
        self,
        version: int | None,
        events: Sequence[SagaEvent],
        context: StepContext,
        answer: Mapping[str, Any],
    ) -> Appended:
        try:
            return await self._store.append(
                [(stream_name("saga", context.key.saga), version, events)],
                context=context,
                answer=answer,
                metadata=metadata_of(context, self._store.tenant),
            )
        except StepClosed:
            raise _closed(context, "a later attempt") from None

    async def _encoded(self, messages: Sequence[Any], context: StepContext) -> Mapping[str, Any]:
        sealed = await self._store.personal.seal_all(messages, context.of_texts)
        encoded = self._codec.encode_all(sealed)
        return {"messages": [{**asdict(one), "data": orjson.Fragment(one.data)} for one in encoded]}

    def _stored(self, answer: Mapping[str, Any] | None) -> Sequence[Any]:
        # What was just appended is as it was given, what was repeated as the database has it.
        kept = orjson.loads(orjson.dumps((answer or {})["messages"]))
        return tuple(
            message
            for one in kept
            for message in self._codec.decode_all(one["type"], one["schema"], one["data"])
        )


def _key_of(event: SagaEvent) -> tuple[type[SagaEvent], str]:
    """What is told once: of each step, or of the attempt."""
    return type(event), getattr(event, "step", "")


def _attempts(story: Story) -> Sequence[SagaStarted]:
    return [one for one in story if isinstance(one, SagaStarted)]


def _number(started: SagaStarted, story: Story) -> int | None:
    """Under which number the attempt begins; None where it may not.

    Who begins a saga anew knows of no attempt before, and comes as the first. Any other number that
    the stream has passed is of a workflow that has stopped, and whose beginning lands late.
    """
    last = max((one.attempt for one in _attempts(story)), default=0)
    if started.attempt > last:
        return started.attempt
    has_ended = any(isinstance(one, SagaEnded) and one.attempt == last for one in story)
    is_anew = started.attempt == 1 and started.repeats == "always"
    return last + 1 if has_ended and is_anew else None


def _final_end(started: SagaStarted, story: Story) -> SagaEnded | None:
    """How the saga has ended, where that allows no other attempt."""
    if not (begun := _attempts(story)):
        return None
    ended = ended_in(begun[-1].attempt, story)
    if ended and (ended.ending == "completed" or started.repeats == "never"):
        return ended
    return None


def _taking_over(attempt: int, token: str, story: Story) -> Begun:
    lefts = tuple(leftovers_of(one, story) for one in unended(story, attempt))
    return Begun(token=token, left=lefts[-1] if lefts else None, lefts=lefts, attempt=attempt)


def _has_gone_on(pivot: str, attempt: int, story: Story) -> bool:
    """Whether it is past its pivot by more than that, which a run of it that was reset forgot."""
    [begun] = [one for one in _attempts(story) if one.attempt == attempt]
    later = {*begun.steps[begun.steps.index(pivot) + 1 :]} if pivot in begun.steps else set()
    passed = standing_of(attempt, story).passed
    return ended_in(attempt, story) is not None or not later.isdisjoint(passed)


def _has_turned(attempt: int, story: Story) -> bool:
    decided = decision_of(attempt, story)
    return decided is not None and not decided.approved


def _turned(asked: TurnBack, attempt: int, story: Story) -> Turned | None:
    """How the attempt turns back; None where neither the saga nor its stream has a reason."""
    standing = standing_of(attempt, story)
    unknown = tuple(sorted({*standing.unknown, *(one.step for one in asked.unknown)}))
    failed = {one.step for one in asked.failed} - {*standing.passed, *unknown}
    standing = replace(
        standing,
        unknown=unknown,
        not_done=tuple(sorted({*standing.not_done, *failed} - {*(u.step for u in asked.unknown)})),
    )
    back = Turned(crossed=False, standing=standing)
    if (refusal := refusal_in(attempt, story)) and not asked.over_pivot:
        return _refused(back, refusal)
    if asked.because:
        return replace(back, because=asked.because, reason=asked.reason)
    if wish := cancellation_in(attempt, story):
        return replace(back, because="cancelled", reason=wish.reason)
    decided = decision_of(attempt, story)
    if decided is not None and ended_in(attempt, story) is None:
        return replace(back, because=decided.because, reason=decided.reason)
    return None


def _refused(back: Turned, refusal: Refusal) -> Turned:
    return replace(back, because=refusal.because, reason=refusal.reason, ending="refused")


def _turning(asked: TurnBack, turned: Turned, attempt: int, story: Story) -> Sequence[SagaEvent]:
    saga, because, reason = story[0].saga, turned.because, turned.reason
    wished: Sequence[CancelRequested] = ()
    if asked.cancelled and not cancellation_in(attempt, story):
        wished = [asked.cancelled]
    return [
        *asked.failed,
        *asked.unknown,
        *wished,
        SagaDecided(saga=saga, attempt=attempt, approved=False, because=because, reason=reason),
        CompensationStarted(saga=saga, attempt=attempt, because=because, reason=reason),
    ]


def _keys_of_steps(attempt: int, story: Story) -> tuple[str, ...]:
    """Every forward key of the attempt: of steps that were never asked, too."""
    standing = standing_of(attempt, story)
    [begun] = [one for one in _attempts(story) if one.attempt == attempt]
    return tuple(key for step in begun.steps for key in standing.keys_of(step))


def _plain(turned: Turned) -> dict[str, Any]:
    return cast("dict[str, Any]", _TURNED.dump_python(turned, mode="json"))


def _says_not_done(resumed: SagaResumed) -> bool:
    """That the step did not happen, or is to be done otherwise."""
    denied = resumed.kind == "resolve" and not resumed.happened
    return denied or (resumed.kind == "correct" and resumed.direction == "do")


def _has_begun(attempt: int, story: Story) -> bool:
    """Not where it only reports how the saga has ended."""
    return any(one.attempt == attempt for one in _attempts(story))


def _too_late(pivot: str, attempt: int, story: Story) -> str | None:
    """Why the attempt cannot be cancelled any more; what it follows may have gone too far, too."""
    if not _has_begun(attempt, story) or ended_in(attempt, story):
        return "it has ended"
    if decision_of(attempt, story) or refusal_in(attempt, story):
        return _after(pivot) if is_crossed(pivot, attempt, story) else _BACK
    if was_asked(pivot, attempt, story):
        return _after(pivot)
    lefts = [leftovers_of(one, story) for one in unended(story, attempt)]
    if any(left.turned_back for left in lefts):
        return _BACK
    was_crossed = any(left.approved or pivot in left.done for left in lefts)
    return _after(pivot) if was_crossed else None


_BACK: Final = "it is being taken back already"


def _after(pivot: str) -> str:
    return f"{pivot} was asked already: after that there is no way back"


def _closed(context: StepContext, whose: str) -> ApplicationError:
    message = (
        f"attempt {context.key.attempt} of {context.key.saga} was begun, or passed, by {whose}"
    )
    return ApplicationError(message, type=StepClosed.__name__, non_retryable=True)


def _busy(context: StepContext) -> VersionConflict:
    return VersionConflict(f"{context.key}: others told the stream something {TRIES} times")
