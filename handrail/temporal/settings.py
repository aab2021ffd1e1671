"""The settings of Temporal: where it is."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from handrail.connection_settings import ConnectionSettings
from handrail.setting_types import HostAndPort, HttpUrl, Unset
from handrail.temporal.deployment_settings import DeploymentSettings


class TemporalSettings(DeploymentSettings, ConnectionSettings):
    """Part of the library's settings."""

    temporal_address: Annotated[HostAndPort | None, Unset] = Field(
        default=None,
        description="Where Temporal is. Unset: an embedded development server.",
    )
    temporal_namespace: str = Field(
        default="default", min_length=1, description="The namespace the sagas live in."
    )
    temporal_ui_url: Annotated[HttpUrl | None, Unset] = Field(
        default=None,
        description="Where operators see the Temporal UI; for links only. "
        "Unset: that of the embedded server, when there is one.",
    )
