"""The authentication that the settings ask for; a process with wrong ones ends with one line."""

from __future__ import annotations

import ipaddress

from handrail.access.authentication import Authentication, Development
from handrail.access.roles import Access
from handrail.settings import Settings, refuse


def authentication_of(access: Access, settings: Settings) -> Authentication:
    """How callers of the API sign in. Ends the process where the settings do not say, or where what
    they say is not safe on the interface that the API listens on.
    """
    if settings.auth is None:
        refuse("HANDRAIL_AUTH: is needed here; development lets every caller do everything")
    if not is_loopback(settings.api_host):
        refuse(
            "HANDRAIL_AUTH: development lets every caller do everything, and the API would listen"
            f" on {settings.api_host}: set HANDRAIL_API_HOST to 127.0.0.1, or let callers sign in"
        )
    return Development(access)


def is_loopback(host: str) -> bool:
    """Whether only processes of this machine reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
