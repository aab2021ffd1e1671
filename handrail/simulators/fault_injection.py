"""How a simulator is told to misbehave: by a word inside a request, or for everybody at once.

| word      | the request                                                                        |
|-----------|------------------------------------------------------------------------------------|
| ok        | is served                                                                          |
| declined  | is declined                                                                        |
| declined_N | is declined for the first N keys about the same id; then is served                 |
| slow      | takes 1.5 s to land, and is answered then                                          |
| late_N    | takes N seconds to land, whether or not anybody still waits for the answer         |
| error     | fails (500) when its key is first tried, before anything is done; then is served   |
| error_N   | the same for the first N tries of its key                                          |
| down_N    | fails (503) until N seconds after its key was first tried; then is served          |
| broken    | fails (500) always, before anything is done                                        |
| lost      | lands, and the answer is lost (504); asked again, the stored answer comes          |
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Outcome = Literal["served", "fails", "loses the answer"]


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How a request misbehaves: keys to decline, tries to fail, and seconds."""

    keys_to_decline: float = 0.0
    seconds_to_land: float = 0.0
    tries_to_fail: float = 0.0
    seconds_down: float = 0.0
    answer_lost: bool = False


_PLAIN = {
    "ok": Behaviour(),
    "declined": Behaviour(keys_to_decline=math.inf),
    "undeliverable": Behaviour(keys_to_decline=math.inf),
    "disputed": Behaviour(),  # it is the webhooks that differ
    "slow": Behaviour(seconds_to_land=1.5),
    "error": Behaviour(tries_to_fail=1),
    "broken": Behaviour(tries_to_fail=math.inf),
    "lost": Behaviour(answer_lost=True),
}
_NUMBERED: dict[str, Callable[[float], Behaviour]] = {
    "declined": lambda keys: Behaviour(keys_to_decline=keys),
    "late": lambda seconds: Behaviour(seconds_to_land=seconds),
    "error": lambda tries: Behaviour(tries_to_fail=tries),
    "down": lambda seconds: Behaviour(seconds_down=seconds),
}


def behaviour(token: str, *, stage: str, stages: tuple[str, ...]) -> Behaviour | None:
    """What `x_lost` or `x_capture_error_3` means at this stage, or None for no such token.

    A token names its stage after the first word; if it names none, it means the first stage.
    """
    _, *words = token.split("_")
    meant = words.pop(0) if words and words[0] in stages else stages[0]
    try:
        behaviour = _behaviour_of(words)
    except ValueError:
        return None
    return behaviour if meant == stage or behaviour is None else Behaviour()


def _behaviour_of(words: list[str]) -> Behaviour | None:
    match words:
        case [word]:
            return _PLAIN.get(word)
        case [word, number] if word in _NUMBERED:
            return _NUMBERED[word](float(number))
        case _:
            return None


class Declines:
    """How often each has been told no: a company remembers, and says yes in the end."""

    def __init__(self) -> None:
        self._times: Counter[tuple[str, str]] = Counter()

    def declined(self, behaviour: Behaviour | None, who: str, stage: str) -> bool:
        if behaviour is None or self._times[who, stage] >= behaviour.keys_to_decline:
            return False
        self._times[who, stage] += 1
        return True


class Faults(BaseModel):
    """What everybody suffers, until it is told anew; `{}` is fair weather."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    down_for: float = Field(default=0.0, ge=0, description="seconds of 503 for every request")
    error_rate: float = Field(default=0.0, ge=0, le=1, description="half of them after landing")
    latency_ms: float = Field(default=0.0, ge=0, description="added until a request lands")
    seed: int | None = None


class InjectedFaults:
    def __init__(self) -> None:
        self.turn(Faults())

    def turn(self, faults: Faults) -> None:
        self._faults = faults
        self._dice = random.Random(faults.seed)  # noqa: S311  # chaos, not a secret
        self._down_until = _now() + faults.down_for if faults.down_for else -math.inf

    @property
    def is_down(self) -> bool:
        return _now() < self._down_until

    @property
    def latency_seconds(self) -> float:
        return self._faults.latency_ms / 1000

    def luck(self) -> Outcome:
        if self._dice.random() >= self._faults.error_rate:
            return "served"
        return "fails" if self._dice.getrandbits(1) else "loses the answer"


def _now() -> float:
    return asyncio.get_running_loop().time()
