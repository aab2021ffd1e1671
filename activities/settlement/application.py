"""Merchants' applications: one stream each. The registry is asked, and its answer is decided on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from activities.settlement.gateway import Registry
from domain.settlement import application
from domain.settlement.commands import (
    ActivateMerchant,
    CheckRegistry,
    CloseApproval,
    DiscardCheck,
    RequestApproval,
    SubmitApplication,
    WithdrawApplication,
)
from handrail.activities.command_activity import serve
from handrail.activities.command_handler import CommandHandler, single_stream
from handrail.eventstore.store import EventStore
from handrail.sagas.step_keys import Answer, StepContext


def activities(store: EventStore, registry: Registry) -> Sequence[Callable[..., Any]]:
    applications = Applications(store, registry)
    return [
        serve(SubmitApplication, applications.handle),
        serve(WithdrawApplication, applications.handle),
        serve(CheckRegistry, applications.check),
        serve(DiscardCheck, applications.handle),
        serve(RequestApproval, applications.handle),
        serve(CloseApproval, applications.handle),
        serve(ActivateMerchant, applications.handle),
    ]


class Applications:
    def __init__(self, store: EventStore, registry: Registry) -> None:
        self._registry = registry
        self._applications = CommandHandler(
            store,
            single_stream(
                application.CATEGORY,
                application.Application(),
                lambda message: message.merchant,
                application.decide,
                application.evolve,
                begun_by=(SubmitApplication,),
            ),
        )
        self.handle = self._applications.handle

    async def check(self, command: CheckRegistry, context: StepContext) -> Answer:
        reply = await self._registry.check(
            key=str(context.key), merchant=command.merchant, registration=command.registration
        )
        return await self._applications.handle(replace(command, reply=reply), context)
