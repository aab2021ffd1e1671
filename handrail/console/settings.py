"""Settings of the console: an environment variable each."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from handrail.secret_files import secret_of
from handrail.setting_types import Seconds, SettingsPart, Unset

SHORTEST: Final = 32


def _long(value: str | None) -> str | None:
    if value is not None and len(value) < SHORTEST:
        raise ValueError(f"must have at least {SHORTEST} characters, which nobody can guess")
    return value


class ConsoleSettings(SettingsPart):
    """How browsers stay signed in."""

    console_secret: Annotated[str | None, Unset, AfterValidator(_long), secret_of("api")] = Field(
        default=None,
        repr=False,
        description="What the sessions of the console are encrypted with, at least 32 characters; "
        "all API processes need the same. Unset: each process makes its own at its start.",
    )
    console_session_seconds: Annotated[Seconds, Field(ge=60, le=604_800)] = Field(
        default=28_800,
        description="How long a browser stays signed in at the console, at the most; a token that "
        "expires or a key that is revoked ends it before.",
    )
