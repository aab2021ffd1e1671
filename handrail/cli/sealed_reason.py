"""Reasons given at the command line: sealed before a table has them, as the API seals them.

A command whose reason would be stored in clear is not done: see `operator_act.audited`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from handrail.access.database_roles import OPERATOR
from handrail.dev.lock import joined
from handrail.kernel import Attribution
from handrail.load_app import load_settings
from handrail.personal import is_sealed
from handrail.settings import Settings

SEALED_TEXT: Final = "[sealed]"
"""Stands for a text that this process has no keys for."""


async def sealed(by: Attribution, *, stream: str = "") -> Attribution:
    """The actor, and the reason for the subject of the saga that has the id in the name of the
    stream, or else for the day. Where the settings say that texts are stored in clear, it is.
    """
    # Few commands need these, and each loads what it runs.
    from handrail.database_engine import open_engine  # noqa: PLC0415
    from handrail.http.database import Database  # noqa: PLC0415
    from handrail.http.personal_texts import SagaTexts  # noqa: PLC0415
    from handrail.load_app import the_app  # noqa: PLC0415
    from handrail.processes.personal_texts import personal_texts  # noqa: PLC0415

    settings = _settings()
    name, role = "handrail reasons", settings.database_role or ""
    async with (
        personal_texts(settings, declared=False, name=name) as personal,
        open_engine(
            settings.database_url_of(OPERATOR) or "", role=role, size=1, name=name
        ) as engine,
    ):
        texts = SagaTexts(personal, Database(engine), None, the_app().saga_types)
        return await texts.of_act(by, stream=stream)


async def opened(reasons: Sequence[str | None]) -> Sequence[str | None]:
    """As operators read them: those of earlier times are in clear, and stay so."""
    from handrail.processes.personal_texts import personal_texts  # noqa: PLC0415  # as above

    if not any(map(is_sealed, reasons)):
        return reasons
    async with personal_texts(_settings(), declared=False, name="handrail reasons") as personal:
        found = await personal.open(list(reasons))
    return [SEALED_TEXT if is_sealed(one) else one for one in found]


def _settings() -> Settings:
    """With the login of operators; of the owner, where only that one's is known."""
    settings = joined(load_settings())
    if settings.database_url is not None:
        return settings
    return settings.model_copy(
        update={"database_url": settings.owner_url, "database_passwords": (), "database_role": ""}
    )
