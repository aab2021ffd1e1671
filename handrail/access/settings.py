"""Settings of authentication: an environment variable each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from handrail.setting_types import SettingsPart, Unset


class AccessSettings(SettingsPart):
    """How the API knows who calls it."""

    auth: Annotated[Literal["development"] | None, Unset] = Field(
        default=None,
        description="How callers sign in. `development`: not at all; every caller may do "
        "everything, and the API listens on a loopback address only. Unset: the API does not "
        "start; `handrail up` sets `development`.",
    )
