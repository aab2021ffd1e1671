"""Reasons of operators: sealed before they are stored beside what an act changes."""

from __future__ import annotations

from handrail.http.actor_name import ActorName
from handrail.http.dependencies import Services
from handrail.http.schemas import Why
from handrail.kernel import Attribution


async def attribution(
    services: Services, why: Why, actor: ActorName, *, stream: str = ""
) -> Attribution:
    """The actor and the sealed reason of an act on something of this stream, or of none.

    Raises Problem where the caller may not act for the actor that the body names.
    """
    return await services.texts.of_act(why.attribution(actor), stream=stream)
