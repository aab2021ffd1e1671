"""Whether only this machine reaches an interface."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str | None) -> bool:
    """Whether only processes of this machine reach what listens there."""
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"
