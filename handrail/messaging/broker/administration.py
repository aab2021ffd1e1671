"""The broker as its administrator reaches it: users' passwords, what there is, what is lacking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast
from urllib.parse import urlsplit

from handrail.messaging.broker.address import tls_of_management, upstream_address
from handrail.messaging.broker.definitions import Access, Objects, found_in
from handrail.messaging.broker.federation_status import Fed
from handrail.messaging.broker.management_api import Management, login_in
from handrail.messaging.broker.settings import BrokerSettings
from handrail.messaging.broker.topology import OPERATOR, Topology
from handrail.refused_settings import variable

FED_WITHIN: Final = 30.0
"""Seconds for federation to get going."""


def has_operator(settings: BrokerSettings) -> bool:
    """Whether the settings have a password for the user of dead messages."""
    return OPERATOR in settings.passwords_at_the_broker


class LacksPasswords(Exception):
    """The settings have none of a user."""


def access_of(settings: BrokerSettings, wanted: Topology) -> Access:
    """What objects at the broker are made with. Raises LacksPasswords."""
    passwords = settings.passwords_at_the_broker
    if missing := [user for user in wanted.users if user not in passwords]:
        said = f"lacks {', '.join(missing)}: user=password, comma-separated"
        raise LacksPasswords(f"{variable('broker_passwords')}: {said}")
    management_url = cast("str", settings.broker_management_url)
    parts = urlsplit(cast("str", settings.broker_url))
    _, _, address = parts.netloc.rpartition("@")
    upstream = upstream_address(parts.scheme, address, settings)
    return Access(passwords, upstream, login_in(management_url))


def management_of(settings: BrokerSettings) -> Management:
    """The management API, as its administrator."""
    url = cast("str", settings.current("broker_management_url"))
    return Management(url, verify=tls_of_management(settings))


async def found_at(management: Management, wanted: Topology) -> Objects:
    """What there is in the virtual hosts of the topology. Raises BrokerSaidNo."""
    return found_in(await management.definitions(), [one.name for one in wanted.hosts])


def said_of(one: Fed) -> str:
    """Why the events of a virtual host do not come, as a sentence."""
    said: Sequence[str] = [f"its link is not running: {one.link}"] if one.link != "running" else []
    if one.missing:
        said = [*said, f"does not come yet: {', '.join(one.missing)}"]
    return f"{one.vhost} ({one.exchange}): {'; '.join(said)}"
