"""What may happen next where several workflows are at work: one of them goes on, until it waits for
something; that another one goes on in between is a disturbance, as are the others named here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from temporalio.exceptions import ApplicationError

from tests.model.bank import Kind
from tests.model.driving import CHANGES, CutShort
from tests.model.moves import Retried
from tests.model.plans import people
from tests.model.plans.codes import Codes
from tests.model.plans.contexts import Contexts
from tests.model.plans.process import (
    Begun,
    ChildEnded,
    GoesOn,
    Process,
    Send,
    Sent,
    Signalled,
    Start,
    Started,
)
from tests.model.plans.state import Instance, State, Status, begins
from tests.model.runtime import (
    Answered,
    CancelledByTemporal,
    Fired,
    Scheduled,
    Told,
    anew,
)
from workflows import plan_collection, return_order

ALL: Final = frozenset(
    {
        "switch",
        "time",
        "settle",
        "cancel",
        "temporal",
        "decline",
        "doubt",
        "die",
        "slow",
        "end return",
        "end collector",
    }
)
"""The kinds of disturbances."""
_SEEN: Final = frozenset({"AdjustPlan", "RevertAdjustment", "RefundPayment"})
"""Steps that others notice; it makes no difference what goes on before or after any other."""
_WHOLE: Final = frozenset({"CollectInstalment", "SettleEarly", "WriteOff"})
"""Sagas that go on to their end, or until they wait for a person, at once."""


class Moves:
    def __init__(self, contexts: Contexts, codes: Codes, kinds: frozenset[str]) -> None:
        self._contexts = contexts
        self._codes = codes
        self._kinds = kinds

    def of(self, state: State) -> Iterator[State]:
        """The next states: first one that needs no disturbance; none where all wait for time."""
        ready = self.ready(state)
        if state.active not in ready:
            yield from (replace(state, active=one) for one in ready)
            return
        active = state.active
        yield from self._step(state, active)
        if not state.budget:
            return
        less = replace(state, budget=state.budget - 1)
        yield from self._disturbed(less, active)
        if self._is_seen(state, active):
            if "switch" in self._kinds:
                yield from (replace(less, active=one) for one in ready if one != active)
            yield from self.from_outside(less)

    def ready(self, state: State) -> Sequence[str]:
        """Who can go on without anything else; a person, where a workflow was terminated."""
        running = [id_ for id_ in sorted(state.instances) if state.is_running(id_)]
        found = [id_ for id_ in running if self._is_ready(self._code(state, id_))]
        return found + [f"{people.AGAIN}{id_}" for id_ in people.left(state)]

    def _is_ready(self, code: Process) -> bool:
        return bool(code.pending or code.commands or code.is_over or people.waiting(code))

    def _code(self, state: State, id_: str) -> Process:
        return self._codes.of(state.instances[id_])

    def _is_seen(self, state: State, active: str) -> bool:
        if active.startswith(people.AGAIN) or state.instances[active].begun.type in _WHOLE:
            return True
        code = self._code(state, active)
        asked = _next_of(code)
        if asked is None or asked.name.startswith("Read"):
            return True
        return asked.name in _SEEN or code.begun.type == plan_collection.TYPE

    # One goes on.

    def _step(self, state: State, active: str) -> Iterator[State]:
        if active.startswith(people.AGAIN):
            yield people.begins_again(state, active.removeprefix(people.AGAIN))
        elif state.instances[active].begun.type in _WHOLE:
            yield self._whole(state, active)
            if state.budget and "decline" in self._kinds:
                less = replace(state, budget=state.budget - 1)
                yield self._whole(less, active, frozenset({"charge"}))
        else:
            yield from self._one(state, active)

    def _whole(self, state: State, id_: str, declined: frozenset[Kind] = frozenset()) -> State:
        """To its end, or to where it waits; by then a person is asked once."""
        while state.is_running(id_) and self._is_ready(self._code(state, id_)):
            is_asked = not self._code(state, id_).pending
            state = next(self._one(state, id_, declined))
            if is_asked and people.waiting(self._code(state, id_)):
                break
        return state

    def _one(
        self, state: State, id_: str, declined: frozenset[Kind] = frozenset()
    ) -> Iterator[State]:
        code = self._code(state, id_)
        asked = _next_of(code)
        if (asked is None or not asked.local) and not code.is_over:
            # What is on a queue, or a command, was recorded before anybody could see it.
            state = state.having(state.instances[id_].records())
        if late := [one for one in state.late if one[0] == id_]:
            rest = tuple(one for one in state.late if one[0] != id_)
            answered = replace(state, late=rest).after(f"{id_}: what it read arrives")
            yield answered.heard(id_, late[0][1])
        elif asked is not None and (asked.local or not code.commands):
            yield self._serve(state, id_, asked, declined)
            if asked.name == "RefundPayment" and asked.arguments[0].amount.amount:
                yield self._serve(state, id_, asked, frozenset({"refund"}))
        elif code.commands:
            yield self._commanded(state, id_, code.commands[min(code.commands)])
        elif code.is_over:
            yield self._closes(state, id_, code)
        else:
            yield from people.interventions(state, id_, code)

    def _serve(
        self, state: State, id_: str, asked: Scheduled, declined: frozenset[Kind] = frozenset()
    ) -> State:
        contexts, what = self._contexts, f"{id_}: {_name(asked)}"
        contexts.put(state.contents, state.ledger)
        value, failure = None, None
        try:
            value, _ = contexts.run(asked.name, asked.arguments, declined=declined)
        except ApplicationError as no:
            if not no.non_retryable:
                raise Retried(f"{what}: {no!r}") from no
            failure = anew(no)
            what = f"{what}: {no.type}, {no.message}"
        except Exception as raised:
            raise Retried(f"{what}: {raised!r}") from raised
        if declined:
            what = f"{what} (the bank says no)"
        state = self._now(state, what)
        return state.heard(id_, Answered(asked.nth, value, failure, asked.local))

    def _now(self, state: State, what: str) -> State:
        """The world is as the activities have left it."""
        contexts = self._contexts
        return state.after(what, contents=contexts.store.contents, ledger=contexts.bank.ledger)

    def _commanded(self, state: State, id_: str, asked: Start | Send) -> State:
        if isinstance(asked, Send):
            arrives = state.is_running(asked.id)
            what = f"{id_}: signals {asked.name} to {asked.id}"
            state = state.after(what if arrives else f"{what}, which is not there")
            if arrives:
                state = self.told(state, asked.id, Signalled(asked.name, asked.arguments))
            return state.heard(id_, Sent(asked.nth, arrives))
        known = state.instances.get(asked.id)
        if known is not None and (known.status == "running" or not asked.again):
            state = state.after(f"{id_}: begins {asked.id}, which was begun already")
            return state.heard(id_, Started(asked.nth, began=False))
        state = state.after(f"{id_}: begins {asked.id}")
        state = begins(state, asked.type, asked.id, asked.arguments, parent=id_)
        return state.heard(id_, Started(asked.nth, began=True))

    def told(self, state: State, id_: str, entry: Any) -> State:
        """What comes from outside comes with a new task; but a task that is about to close the
        workflow is not taken then, and runs again.
        """
        instance = state.instances[id_]
        if self._codes.of(instance).is_over:
            return state.having(instance.loses_its_task((state.now, entry)))
        return state.having(instance.records().hears(state.now, entry))

    def _closes(self, state: State, id_: str, code: Process) -> State:
        instance, failure = state.instances[id_].records(), code.failure
        if isinstance(failure, GoesOn):
            state = state.after(f"{id_}: goes on as a new run")
            begun = instance.begun
            return begins(state, begun.type, id_, failure.arguments, first=begun.first)
        status: Status = "completed"
        if isinstance(failure, ApplicationError):
            status = "failed"
            if failure.type != "AttemptClosed":
                state = replace(state, broken=f"a workflow failed: {failure!r}")
        elif failure is not None:
            status = "cancelled"
        state = state.after(f"{id_}: ends, {status}").having(replace(instance, status=status))
        result = code.main.result() if code.main and failure is None else None
        return self._child_ends(state, code.begun, result)

    def _child_ends(self, state: State, begun: Begun, result: Any) -> State:
        if not state.is_running(begun.parent):
            return state
        children = self._code(state, begun.parent).children
        for nth, child in children.items():
            if child.id == begun.id:
                return self.told(state, begun.parent, ChildEnded(nth, result))
        return state

    # Disturbances.

    def _disturbed(self, state: State, active: str) -> Iterator[State]:
        if active not in state.instances:
            return
        instance, code = state.instances[active], self._code(state, active)
        whole = instance.begun.type in _WHOLE
        asked = None if whole else _next_of(code)
        if "die" in self._kinds and not whole:
            yield from self._dies(state, active, asked)
        if asked is not None and asked.name == "ReadPlan" and "slow" in self._kinds:
            yield from self._slow(state, active, asked)
        if asked is not None and asked.name == "RefundPayment" and "doubt" in self._kinds:
            yield from self._in_doubt(state, active, asked)
        if may_be_terminated(instance, self._kinds):
            what = f"{active} is terminated"
            yield terminated(state.after(what), active)
            for cut in self._cut(state, active, asked):
                yield terminated(cut.after(f"{what} then"), active)

    def _cut(self, state: State, active: str, asked: Scheduled | None) -> Iterator[State]:
        """The world, once the activity has done a part of it, or all, and nobody knows."""
        if asked is None:
            return
        contexts = self._contexts
        contexts.put(state.contents, state.ledger)
        try:
            _, deeds = contexts.run(asked.name, asked.arguments)
        except ApplicationError:
            return
        for place, deed in enumerate(deeds, start=1):
            if deed in CHANGES:
                contexts.put(state.contents, state.ledger)
                try:
                    contexts.run(asked.name, asked.arguments, cut_after=place)
                except CutShort:
                    done = "" if place == len(deeds) else f" ({'/'.join(deeds[:place])} alone)"
                    yield self._now(state, f"{active}: {_name(asked)}{done}")

    def _dies(self, state: State, active: str, asked: Scheduled | None) -> Iterator[State]:
        instance = state.instances[active]
        if asked is not None and not asked.local:
            return
        what = f"the worker of {active} dies: its task is run again"
        if instance.recorded < len(instance.log):
            yield state.having(instance.loses_its_task()).without_late(active).after(what)
        for cut in self._cut(state, active, asked):
            yield cut.having(instance.loses_its_task()).after(what)

    def _slow(self, state: State, active: str, asked: Scheduled) -> Iterator[State]:
        """What it reads is on its way, and others go on."""
        if all(id_ != active for id_, _ in state.late):
            read = self._serve(state, active, asked)
            _, entry = read.instances[active].log[-1]
            read = replace(read, instances=state.instances, active="")
            yield replace(read, late=(*state.late, (active, entry)))

    def _in_doubt(self, state: State, active: str, asked: Scheduled) -> Iterator[State]:
        failure = ApplicationError("no definite answer", type="OutsideUnavailable")
        entry = Answered(asked.nth, None, failure, asked.local)
        state = state.having(state.instances[active].records())
        what = f"{active}: {_name(asked)} is given up"
        for done in (state, *self._cut(state, active, asked)):
            yield done.after(what).heard(active, entry)

    # What comes from outside.

    def from_outside(self, state: State) -> Iterator[State]:
        """The budget is spent already."""
        kinds, once = self._kinds, state.once
        free = replace(state, active="")
        if "time" in kinds:
            yield from self.later(free)
        if "settle" in kinds and "settle" not in once:
            yield from self._settled(replace(free, once=once | {"settle"}))
        if not kinds & {"cancel", "temporal", *_TERMINATIONS}:
            return
        for id_ in sorted(state.instances):
            yield from self._stopped(state, id_)

    def _stopped(self, state: State, id_: str) -> Iterator[State]:
        instance = state.instances[id_]
        if instance.status != "running":
            return
        is_return = instance.begun.type == return_order.TYPE
        if is_return and "cancel" in self._kinds and f"cancel {id_}" not in state.once:
            wish = people.CANCELS
            told = self._update(state, id_, f"the customer cancels {id_}", wish)
            if told is not None:
                yield replace(told, once=told.once | {f"cancel {id_}"})
        if is_return and "temporal" in self._kinds and f"temporal {id_}" not in state.once:
            once = state.once | {f"temporal {id_}"}
            asked = state.after(f"Temporal cancels {id_}", once=once)
            yield self.told(asked, id_, CancelledByTemporal("by Temporal"))
        if id_ != state.active and may_be_terminated(instance, self._kinds):
            yield terminated(state.after(f"{id_} is terminated"), id_)

    def later(self, state: State) -> Iterator[State]:
        """The first timer of all fires."""
        timers = [
            (until, id_, nth)
            for id_ in sorted(state.instances)
            if state.is_running(id_)
            for nth, until in self._code(state, id_).timers.items()
        ]
        if timers:
            until, id_, nth = min(timers)
            now = max(state.now, until)
            passed = state.after(f"it is {now:%d %B, %H:%M}", now=now)
            yield self.told(passed, id_, Fired(nth))

    def _settled(self, state: State) -> Iterator[State]:
        collector = people.COLLECTOR
        if not state.is_running(collector):
            if state.plan.due:
                yield people.has_it_collected(state, "the customer asks to pay all")
            return
        told = self._update(state, collector, "the customer pays all that is left", people.PAYS_ALL)
        if told is not None:
            yield told

    def _update(self, state: State, id_: str, what: str, said: Any) -> State | None:
        """None where its validator refuses it, or the workflow is about to end."""
        if self._code(state, id_).is_over:
            return None
        update = Told(f"u{state.sent}", said)
        told = self.told(state.after(what, sent=state.sent + 1), id_, update)
        return None if update.id in self._code(told, id_).rejected else told


_TERMINATIONS: Final = {"end return": return_order.TYPE, "end collector": plan_collection.TYPE}


def may_be_terminated(instance: Instance, kinds: frozenset[str]) -> bool:
    return any(kind in kinds and instance.begun.type == of for kind, of in _TERMINATIONS.items())


def terminated(state: State, id_: str) -> State:
    """Who has to collect what is due again is a person, where no return sees to it."""
    owed = {people.COLLECTS} if id_ == people.COLLECTOR else {id_}
    instance = replace(state.instances[id_].records(), status="terminated")
    return state.having(instance, owed=state.owed | owed, active="").without_late(id_)


def _next_of(code: Process) -> Scheduled | None:
    """Local activities first: until they are answered nothing else is known to Temporal."""
    pending = sorted(code.pending.values(), key=lambda one: (not one.local, one.nth))
    return pending[0] if pending else None


def _name(asked: Scheduled) -> str:
    if asked.name.startswith("Read"):
        return asked.name
    key = asked.arguments[1].key
    step = key.asked_step.removeprefix("journal:")
    undo = " (undo)" if key.direction == "undo" else ""
    return f"{asked.name}{undo}" if asked.name == key.step else f"{asked.name} {step}{undo}"
