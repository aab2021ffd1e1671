"""The settings of webhook endpoints, and of what sends to them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from handrail.pem_files import AuthoritiesFile
from handrail.setting_types import Seconds, SettingsPart, form, listed
from handrail.webhook_endpoints.addresses import HTTPS


def _ports(value: tuple[int, ...]) -> tuple[int, ...]:
    if not value or not all(1 <= one <= 65_535 for one in value):  # noqa: PLR2004  # a port
        raise ValueError("must be ports such as 443,8443")
    return value


class WebhookEndpointSettings(SettingsPart):
    webhook_endpoint_ports: Annotated[
        tuple[int, ...], NoDecode, BeforeValidator(listed), AfterValidator(_ports), form("list")
    ] = Field(
        default=(HTTPS,),
        description="The ports that webhook endpoints of tenants may have, comma-separated.",
    )
    webhook_endpoints_per_tenant: Annotated[int, Field(ge=1, le=100)] = Field(
        default=10, description="How many webhook endpoints a tenant may have."
    )
    webhook_endpoint_ca_file: AuthoritiesFile = Field(
        default=None,
        description="The authorities that certificates of webhook endpoints are checked against. "
        "Unset: those of the machine.",
    )
    dispatcher_slots: Annotated[int, Field(ge=2, le=1000)] = Field(
        default=64, description="How many webhooks a dispatcher sends at the same time."
    )
    dispatcher_slots_per_endpoint: Annotated[int, Field(ge=1, le=100)] = Field(
        default=4,
        description="How many of them go to one endpoint: those of one stream never at the same "
        "time.",
    )
    dispatcher_connect_seconds: Annotated[Seconds, Field(le=60)] = Field(
        default=5, description="How long a webhook endpoint may take to be connected to."
    )
    dispatcher_timeout_seconds: Annotated[Seconds, Field(le=120)] = Field(
        default=15, description="How long a webhook endpoint may take to answer, in all."
    )
    dispatcher_retry_seconds: Annotated[Seconds, Field(le=3600)] = Field(
        default=5,
        description="How long after its first failure a webhook is sent again; the time doubles "
        "with each one more.",
    )
    dispatcher_longest_retry_seconds: Annotated[Seconds, Field(le=86_400)] = Field(
        default=14_400,
        description="The longest time between two tries; also of what an endpoint asks for in "
        "Retry-After.",
    )
    dispatcher_park_hours: Annotated[float, Field(gt=0, le=720)] = Field(
        default=72, description="How long after its first try a webhook that failed is parked."
    )
    dispatcher_disable_hours: Annotated[float, Field(gt=0, le=720)] = Field(
        default=120,
        description="How long an endpoint may fail, without a success between, before it is "
        "disabled.",
    )
