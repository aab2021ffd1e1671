"""A public registry of businesses that speaks HTTP and does as the registration number says.

| registration           | the registry                                                         |
|------------------------|----------------------------------------------------------------------|
| reg_ok                 | finds the business                                                   |
| reg_declined           | declines: `struck_off`                                               |
| reg_declined_N         | declines the first N questions about the merchant, and finds it then |
| reg_slow               | finds it after 1.5 s, and answers then                               |
| reg_late_N             | finds it after N seconds                                             |
| reg_error, reg_error_N | fails (500) on the first try, or the first N tries, of a key         |
| reg_down_N             | fails (503) until N seconds after the first try of a key             |
| reg_broken             | fails (500) always                                                   |
| reg_lost               | finds it, and the answer is lost (504); asked again, it answers      |
| anything else          | declines: `unknown_registration`                                     |

A question changes nothing. `GET /ledger` lists those that were asked, with their answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from handrail.simulators.fault_injection import Behaviour, Declines, behaviour
from handrail.simulators.keyed_requests import Key, open_company
from handrail.simulators.request_journal import Answer, approved, declined, reference_of

Text = Annotated[str, Field(min_length=1)]


class Check(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    merchant: Text
    registration: Text


class RegistryBook:
    def __init__(self) -> None:
        self._checks: list[dict[str, object]] = []
        self._declines = Declines()

    def arrives(self, asked: Check) -> Behaviour:
        return _behaviour_of(asked) or Behaviour()

    def lands(self, key: str, asked: Check) -> Answer:
        answer = self._answer(asked)
        self._checks.append({"key": key, "merchant": asked.merchant, **answer.content})
        return answer

    def ledger(self) -> dict[str, object]:
        return {"checks": self._checks}

    def _answer(self, asked: Check) -> Answer:
        behaviour = _behaviour_of(asked)
        if behaviour is None:
            return declined("unknown_registration")
        if self._declines.declined(behaviour, asked.merchant, "check"):
            return declined("struck_off")
        return approved(reference_of("entry", f"{asked.merchant} {asked.registration}"))


def create_registry(ledger_path: Path | None) -> FastAPI:
    lines: TypeAdapter[tuple[str, Check]] = TypeAdapter(tuple[str, Check])
    app, desk = open_company("Simulated registry", RegistryBook(), lines, ledger_path)

    @app.post("/checks")
    async def check(http: Request, key: Key, asked: Check) -> JSONResponse:
        return await desk.answer(http, key, asked)

    return app


def _behaviour_of(asked: Check) -> Behaviour | None:
    return behaviour(asked.registration, stage="check", stages=("check",))
