"""What may happen next in a schedule: what mostly does, and all that may disturb it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from temporalio.exceptions import ApplicationError

from domain.payments.commands import AuthoriseDownPayment
from handrail.kernel import Attribution
from handrail.sagas.events import SagaResumed
from handrail.sagas.options import Intervention, InterventionKind, Verdict
from handrail.sagas.parking import POSSIBLE, Parked
from handrail.sagas.step_keys import StepKey
from tests.model import books
from tests.model.driving import CHANGES, CutShort, Deed
from tests.model.runtime import (
    Answered,
    Begin,
    CancelledByTemporal,
    Entry,
    Fired,
    Run,
    Scheduled,
    Told,
    anew,
)
from tests.model.state import Execution, State, Zombie
from tests.model.world import World

ZOMBIE_MOVES: Final = 2
ATTEMPTS: Final = 4
RETRIES: Final = 2
BANK: Final = {
    "AuthoriseDownPayment": "hold",
    "CapturePayment": "capture",
    "TransferPayout": "payout",
}

ALL: Final = frozenset(
    {
        "order",
        "again",
        "die",
        "zombie",
        "give up",
        "refuse",
        "cancel",
        "temporal",
        "early",
        "terminate",
        "reset",
    }
)
"""The kinds of disturbances."""


class Retried(Exception):
    """An activity raised what Temporal retries for ever, though the world was well."""


@dataclass(frozen=True)
class Rules:
    """Which disturbances there are."""

    kinds: frozenset[str] = ALL


_KINDS: Final[dict[type[Any], str]] = {Attribution: "c", Intervention: "i", Verdict: "v"}
"""How the id of what is heard begins: laws tell cancellations by it."""


class Moves:
    def __init__(self, world: World, rules: Rules, rebuild: Callable[[Execution], Run]) -> None:
        self._world = world
        self._rules = rules
        self._rebuild = rebuild

    def of(self, state: State, run: Run) -> Iterator[State]:
        """The next states: first the one that needs no disturbance; none where all is over."""
        if run.is_over:
            yield from self._over(state, run)
            return
        if run.main is None:
            yield self._heard(state, "the workflow's code begins", Begin())
            yield from self._from_outside(state, run)
            return
        pending = sorted(run.pending.values(), key=lambda one: (not one.local, one.nth))
        if pending:
            yield from self._asked(state, run, pending[0], is_next=True)
            for other in pending[1:] if self._may("order", state) else ():
                yield from self._asked(state, run, other, is_next=False)
            if state.budget and "early" in self._rules.kinds:
                for one in self._people(state, run):
                    yield replace(one, budget=one.budget - 1)
            # What lands late touches the stores alone: so it lands before what touches them, too.
            yield from self._land(state)
        else:
            yield from self._people(state, run)
        yield from self._from_outside(state, run)

    def _may(self, kind: str, state: State) -> bool:
        return state.budget > 0 and kind in self._rules.kinds

    # Activities.

    def _asked(self, state: State, run: Run, asked: Scheduled, *, is_next: bool) -> Iterator[State]:
        name = _name(asked)
        if not asked.local:
            # What is on a queue was recorded before anybody could take it from there.
            state = replace(state, at=state.at.records())
        if not is_next:
            state = replace(state, budget=state.budget - 1)
        again = asked.nth in state.at.tried
        done, deeds = self._serve(state, asked, name, asked_again=again)
        yield done
        if not is_next:
            return
        for flight in range(len(state.flights)):
            for place in range(1, len(deeds)):
                yield self._crossed(state, asked, name, flight, place)
        if state.budget == 0:
            return
        state = replace(state, budget=state.budget - 1)
        yield from self._cut(state, asked, name, deeds)
        if asked.has_limit:
            yield from self._given_up(state, asked, name, deeds)
            yield from self._no(state, asked, name)

    def _serve(
        self, state: State, asked: Scheduled, what: str, **more: Any
    ) -> tuple[State, tuple[Deed, ...]]:
        world = self._world
        world.put(state.contents, state.ledger)
        value, failure = None, None
        deeds: tuple[Deed, ...] = ()
        try:
            value, deeds = world.run(asked.name, asked.arguments, **more)
        except ApplicationError as no:
            if not no.non_retryable:
                raise Retried(f"{what}: {no!r}") from no
            failure = anew(no)
            what = f"{what}: {no.type}, {no.message}"
        except CutShort:
            raise
        except Exception as raised:
            raise Retried(f"{what}: {raised!r}") from raised
        entry = Answered(asked.nth, value, failure, asked.local)
        heard = self._heard(self._now(state, what), "", entry)
        return heard, deeds or ("append",)

    def _now(self, state: State, what: str, **changes: Any) -> State:
        """The world is as the activities have left it."""
        world = self._world
        return state.after(what, contents=world.store.contents, ledger=world.bank.ledger, **changes)

    def _cut_short(self, state: State, asked: Scheduled, after: int) -> None:
        world = self._world
        world.put(state.contents, state.ledger)
        try:
            world.run(asked.name, asked.arguments, cut_after=after)
        except (CutShort, ApplicationError):
            return

    def _cut(
        self, state: State, asked: Scheduled, name: str, deeds: tuple[Deed, ...]
    ) -> Iterator[State]:
        for place, deed in enumerate(deeds, start=1):
            if deed not in CHANGES:
                continue
            self._cut_short(state, asked, place)
            said = "" if place == len(deeds) else f", {'/'.join(deeds[:place])} alone"
            if "again" in self._rules.kinds:
                what = f"{name}{said}; its answer is lost, so it is tried again"
                tried = replace(state.at, tried=state.at.tried | {asked.nth})
                yield self._now(state, what, at=tried)
            if asked.local and "die" in self._rules.kinds:
                what = f"{name}{said}; the worker dies"
                yield from self._lost(self._now(state, what), what)

    def _lost(self, state: State, what: str) -> Iterator[State]:
        """The task is run again; all of it or, where Temporal heard of the rest, its last part."""
        at = state.at
        seens = {at.recorded, len(at.log)}
        for seen in sorted(seens):
            yield replace(state, at=at.loses_its_task(seen, redelivered=True))
            if any(isinstance(one, Told) for one in at.log[seen:]):
                lost = at.loses_its_task(seen, redelivered=False)
                path = replace(state.path, what=f"{what}; who told it something gives up")
                yield replace(state, at=lost, path=path)

    def _given_up(
        self, state: State, asked: Scheduled, name: str, deeds: tuple[Deed, ...]
    ) -> Iterator[State]:
        if "give up" not in self._rules.kinds:
            return
        failure = ApplicationError("no definite answer", type="OutsideUnavailable")
        entry = Answered(asked.nth, None, failure, asked.local)
        places = [0, *(n for n, deed in enumerate(deeds, start=1) if deed in CHANGES)]
        for place in places:
            self._world.put(state.contents, state.ledger)
            if place:
                self._cut_short(state, asked, place)
            done = "/".join(deeds[:place]) or "nothing"
            what = f"{name} is given up ({done} was done)"
            yield self._heard(self._now(state, what), "", entry)
        what = f"{name} is given up, and is still under way"
        yield self._heard(state.after(what, flights=(*state.flights, asked)), "", entry)

    def _no(self, state: State, asked: Scheduled, name: str) -> Iterator[State]:
        if "refuse" not in self._rules.kinds:
            return
        ours = isinstance(asked.arguments[0], books.Take | books.GiveBack)
        moods: tuple[books.Mood, ...] = ("refuse", "break") if ours else ("refuse",)
        for mood in moods:
            if asked.arguments[1].key.direction == "undo" and ours and mood == "refuse":
                continue
            what = f"{name} ({'no' if mood == 'refuse' else 'a rule is broken'})"
            yield self._serve(state, asked, what, mood=mood)[0]

    # What nobody waits for any more.

    def _land(self, state: State) -> Iterator[State]:
        for place in range(len(state.flights)):
            yield self.lands(state, place)
        for place in range(len(state.zombies)):
            yield from self.goes_on(state, place)

    def lands(self, state: State, place: int) -> State:
        asked = state.flights[place]
        rest = (*state.flights[:place], *state.flights[place + 1 :])
        key: StepKey = asked.arguments[1].key
        shut = _is_shut(state, key)
        self._world.put(state.contents, state.ledger)
        self._interlope(asked)
        landed = self._now(state, f"late: {_name(asked)} lands", flights=rest)
        return _judged(state, landed, key) if shut else landed

    def _interlope(self, asked: Scheduled) -> None:
        with suppress(Exception):  # nobody hears what became of it
            self._world.beside.run(asked.name, asked.arguments)

    def _crossed(self, state: State, asked: Scheduled, name: str, flight: int, place: int) -> State:
        late = state.flights[flight]
        rest = (*state.flights[:flight], *state.flights[flight + 1 :])

        def between(deeds: int) -> None:
            if deeds == place:
                self._interlope(late)

        flown = replace(state, flights=rest)
        what = f"{name}; in the middle of it {_name(late)} lands"
        return self._serve(flown, asked, what, between=between)[0]

    def goes_on(self, state: State, place: int) -> Iterator[State]:
        zombie = state.zombies[place]
        run = self._rebuild(zombie.at)
        asked = next((one for one in run.pending.values() if one.local), None)
        rest = [*state.zombies[:place], *state.zombies[place + 1 :]]
        if asked is None or not zombie.moves or run.is_over:
            return
        key: StepKey = asked.arguments[1].key
        shut = _is_shut(state, key)
        self._world.put(state.contents, state.ledger)
        value, failure = None, None
        try:
            value, _ = self._world.beside.run(asked.name, asked.arguments)
        except ApplicationError as no:
            failure = anew(no)
        except Exception:  # noqa: BLE001  # it would be tried again, by a worker that is nearly dead
            return
        at = zombie.at.hears(Answered(asked.nth, value, failure, local=True))
        zombies = (*rest, Zombie(at, zombie.moves - 1)) if zombie.moves > 1 else tuple(rest)
        moved = self._now(state, f"the forgotten worker: {_name(asked)}", zombies=tuple(zombies))
        yield _judged(state, moved, key) if shut else moved

    # People.

    def _people(self, state: State, run: Run) -> Iterator[State]:
        places = run.saga._parking._places.values()
        waiting = [one for one in places if one.shown and not one.claimed and not one.goes_on]
        for parked in waiting:
            yield from self._interventions(state, parked)
        for awaited in run.saga._answers._places.values():
            if not awaited.claimed and not awaited.is_answered:
                for approved in (True, False):
                    verdict = Verdict(
                        id=f"v{state.sent}",
                        approved=approved,
                        actor="officer",
                        reason="",
                        step=awaited.step,
                    )
                    said = "yes" if approved else "no"
                    yield self._told(state, f"the officer says {said} to {awaited.step}", verdict)
        for timer in sorted(run.timers):
            yield self._heard(state, "the time is over", Fired(timer))

    def _interventions(self, state: State, parked: Parked) -> Iterator[State]:
        tries = _tries(state, parked)
        has_retried = tries >= RETRIES
        for kind in POSSIBLE[parked.role]:
            if (kind == "retry" and has_retried) or (kind == "correct" and tries):
                continue
            for happened in (True, False) if kind == "resolve" else (True,):
                if self._would_lie(state, parked, kind, happened=happened):
                    continue
                instead = None
                if kind == "correct":
                    if not isinstance(parked.command, AuthoriseDownPayment):
                        continue
                    instead = replace(parked.command, card=f"{parked.command.card}'")
                by = Intervention(
                    id=f"i{state.sent}",
                    kind=kind,
                    actor="operator",
                    reason="",
                    step=parked.step,
                    evidence="seen" if kind in {"skip", "resolve"} else "",
                    happened=happened,
                )
                said = f"{kind}{'' if happened else ': it did not happen'}"
                told = self._told(state, f"the operator says {said}, of {parked.step}", by, instead)
                if kind in {"skip", "resolve"} and happened:
                    told = replace(told, by_hand=told.by_hand | {parked.step})
                yield told

    def _would_lie(
        self, state: State, parked: Parked, kind: InterventionKind, *, happened: bool
    ) -> bool:
        """A person who says what is not so is beyond what an engine can mend."""
        if kind != "resolve" or parked.direction == "undo":
            return False
        held = BANK.get(parked.step)
        if held:
            stands = state.ledger.standing(held)  # type: ignore[arg-type]  # one of its kinds
            # What stands as it was asked before a correction is neither: the bank is not as it
            # should be, and a person has to retry.
            as_asked = any(one.key.endswith(f"/{parked.keys[-1]}/do") for one in stands)
            return not as_asked if happened else bool(stands)
        has = books.is_taken(state.contents.streams, parked.command.book)  # type: ignore[attr-defined]  # a Take
        # Done by hand is what the books do not have.
        return has and not happened

    # What comes from outside.

    def _from_outside(self, state: State, run: Run) -> Iterator[State]:
        if state.budget == 0:
            return
        state = replace(state, budget=state.budget - 1)
        kinds, once = self._rules.kinds, state.once
        if "cancel" in kinds and "cancel" not in once:
            wish = Attribution(actor="customer", reason="changed my mind")
            told = self._told(state, "the customer cancels", wish)
            yield replace(told, once=once | {"cancel"})
        if "temporal" in kinds and "temporal" not in once:
            entry = CancelledByTemporal("by Temporal")
            told = self._heard(self._tasked(state), "Temporal cancels the workflow", entry)
            yield replace(told, once=once | {"temporal"})
        if "terminate" in kinds and state.at.attempt < ATTEMPTS:
            yield from self._terminated(state, run)
        yield from self._forgotten(state, run)
        yield from self._reset(state)

    def _told(self, state: State, what: str, said: Any, instead: Any = None) -> State:
        entry = Told(f"{_KINDS[type(said)]}{state.sent}", said, instead)
        return replace(self._heard(self._tasked(state), what, entry), sent=state.sent + 1)

    def _tasked(self, state: State) -> State:
        """What comes from outside comes with a new task: what the worker did before is recorded."""
        return replace(state, at=state.at.records())

    def _heard(self, state: State, what: str, entry: Entry) -> State:
        heard = state.after(what) if what else state
        return replace(heard, at=heard.at.hears(entry))

    def _terminated(self, state: State, run: Run) -> Iterator[State]:
        """While an activity is not begun, cut at each of its deeds, or still under way."""
        yield self.next_attempt(state, "the workflow is terminated")
        if not run.pending or run.is_over:
            return
        asked = min(run.pending.values(), key=lambda one: (not one.local, one.nth))
        name = _name(asked)
        _, deeds = self._serve(state, asked, name)
        for place, deed in enumerate(deeds, start=1):
            if deed in CHANGES:
                self._cut_short(state, asked, place)
                what = f"{name} ({'/'.join(deeds[:place])}); the workflow is terminated"
                yield self.next_attempt(self._now(state, what), "")
        what = f"the workflow is terminated; {name} is still under way"
        yield self.next_attempt(state.after(what, flights=(*state.flights, asked)), "")
        if asked.local and "zombie" in self._rules.kinds:
            what = "the workflow is terminated, and its worker does not know"
            zombies = (*state.zombies, Zombie(state.at, ZOMBIE_MOVES))
            yield self.next_attempt(state.after(what, zombies=zombies), "")

    def next_attempt(self, state: State, what: str) -> State:
        number = state.at.attempt + 1
        run = f"run-{number}"
        at = Execution(number, run, run)
        if what:
            state = state.after(what)
        return replace(state.after(f"attempt {number} is asked for"), at=at)

    def _forgotten(self, state: State, run: Run) -> Iterator[State]:
        """The task is given to another worker, and the first one goes on with it."""
        if "zombie" not in self._rules.kinds or run.is_over:
            return
        if any(one.local for one in run.pending.values()):
            what = "the task is given to another worker, and the first one goes on with it"
            zombies = (*state.zombies, Zombie(state.at, ZOMBIE_MOVES))
            at = state.at.loses_its_task(state.at.recorded, redelivered=True)
            yield state.after(what, zombies=zombies, at=at)

    def _reset(self, state: State) -> Iterator[State]:
        if "reset" not in self._rules.kinds or "reset" in state.once:
            return
        once = state.once | {"reset"}
        for nth, task in enumerate(state.at.tasks, start=1):
            at = replace(state.at.cut(task), run=f"{state.at.run}'", recorded=task)
            yield state.after(f"Temporal resets the workflow to its task {nth}", at=at, once=once)
        at = replace(state.at.cut(0), run=f"{state.at.run}'", recorded=0)
        yield state.after("Temporal resets the workflow to its beginning", at=at, once=once)

    # The end.

    def _over(self, state: State, run: Run) -> Iterator[State]:
        failure = run.failure
        if isinstance(failure, ApplicationError) and state.at.attempt < ATTEMPTS + 2:
            what = f"the workflow fails: {failure.type}, {failure.message}"
            if failure.type != "AttemptClosed":
                state = replace(state, broken=f"a workflow failed for another reason: {failure!r}")
            yield self.next_attempt(state, what)
        elif not state.followed and failure is None:
            yield state.after("what follows the saga begins", followed=state.followed + 1)
        yield from self._land(state)
        if state.budget:
            one = replace(state, budget=state.budget - 1)
            yield from self._reset(one)
            may = "terminate" in self._rules.kinds and state.at.attempt < ATTEMPTS
            if may and not state.followed:
                yield self.next_attempt(one, "the workflow is terminated after its saga's end")


def _tries(state: State, parked: Parked) -> int:
    """How often the operator has tried it again, who then sees that this is of no use."""
    return sum(
        one.kind in {"retry", "correct"}
        and (one.step, one.direction) == (parked.step, parked.direction)
        for one in state.story
        if isinstance(one, SagaResumed)
    )


def _is_shut(state: State, key: StepKey) -> bool:
    """Whether the fence lets nothing in under the key."""
    where = (key.opened_on, key.saga, key.attempt)
    own = state.contents.fence.get((*where, key.asked_step, key.direction))
    if own is not None:
        return True
    return key.direction == "do" and (*where, "journal:over", "do") in state.contents.fence


def _judged(before: State, after: State, key: StepKey) -> State:
    """Nothing lands after its door was shut: no event, and nothing that stands at the bank."""
    stood = {one.key for one in before.ledger.entries if one.standing}
    stands = {one.key for one in after.ledger.entries if one.standing}
    if before.contents.streams == after.contents.streams and stands <= stood:
        return after
    return replace(after, broken=f"{key} took effect after its door was shut")


def _name(asked: Scheduled) -> str:
    key: StepKey = asked.arguments[1].key
    step = key.asked_step.removeprefix("journal:")
    undo = " (undo)" if key.direction == "undo" else ""
    inside = asked.name if key.step.startswith("journal:") else ""
    if inside:
        return f"{inside} {step}"
    return f"{asked.name}{undo}" if asked.name == key.step else f"{asked.name} for {step}{undo}"
