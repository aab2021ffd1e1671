"""The settings of releases that run side by side."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from handrail.setting_types import SettingsPart


class ReleaseSettings(SettingsPart):
    """Which release a process is of, and when what it brings may be written."""

    release: str = Field(
        default="",
        max_length=100,
        description="The release that a process is of, such as a version or a commit: shown where "
        "it holds back a write level, or raised one. Empty: HANDRAIL_BUILD_ID.",
    )
    raise_levels: Literal["itself", "command"] = Field(
        default="itself",
        description="Whether newer forms of events may be written by themselves once all live "
        "processes can read them, or only by `handrail contracts level --to`. See `upgrading.md`.",
    )
    raise_levels_after_seconds: Annotated[float, Field(ge=0, le=604_800)] = Field(
        default=60,
        description="How long all live processes must have been able to read a newer form before "
        "it is written by itself. Until then the release before can be started again.",
    )
