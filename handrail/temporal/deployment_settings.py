"""The settings of worker versions: the build id of this release, and the deployment's name."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from handrail.setting_types import SettingsPart, Unset, form
from handrail.temporal.deployment_names import valid_build_id, valid_deployment_name

BuildId = Annotated[str, AfterValidator(valid_build_id), form("build id")]
DeploymentName = Annotated[str, AfterValidator(valid_deployment_name)]


class DeploymentSettings(SettingsPart):
    build_id: Annotated[BuildId | None, Unset] = Field(
        default=None,
        description="The build id of this release: its workers are a version of the deployment, "
        "and a saga ends on the version that began it. Unset: workers have no version. "
        "See `deploying.md`.",
    )
    deployment_name: DeploymentName = Field(
        default="handrail",
        description="The worker deployment at Temporal of which the versions are. Workers, and "
        "`handrail deploy`, need the same.",
    )
