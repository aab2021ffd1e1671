"""Addresses that webhooks may go to: public ones, and in development those of this machine.

A URL is checked when it is registered, and the address behind its name each time a connection is
made: a name may lead somewhere else by then.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

HTTPS: Final = 443
_HOST: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*\.?")
_NOT_PUBLIC: Final = (
    IPv4Network("192.88.99.0/24"),  # the relay of 6to4
    IPv4Network("168.63.129.16/32"),  # what a cloud shows its machines, in public space
)
_WRAPPING: Final = (
    IPv6Network("::/96"),  # IPv4-compatible
    IPv6Network("::ffff:0:0/96"),  # IPv4-mapped
    IPv6Network("::ffff:0:0:0/96"),  # IPv4-translated
    IPv6Network("64:ff9b::/96"),  # NAT64
    IPv6Network("64:ff9b:1::/48"),  # NAT64 of a network of its own
    IPv6Network("2001::/32"),  # Teredo
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("fec0::/10"),  # site-local
)
"""IPv6 addresses that lead to an IPv4 address, whatever it is, or into a site."""


class BadAddress(OSError, ValueError):
    """Nothing is sent there; the sentence says why, and does not repeat the address."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet: not private, loopback, link-local, shared
    (CGNAT), multicast, reserved, and no form that wraps another address.
    """
    found = _parsed(address)
    if found is None or found.is_multicast or not found.is_global:
        return False
    if isinstance(found, IPv4Address):
        return not any(found in one for one in _NOT_PUBLIC)
    return not any(found in one for one in _WRAPPING)


def is_loopback(address: str) -> bool:
    """Whether an IP address is one of this machine."""
    found = _parsed(address)
    return found is not None and found.is_loopback


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    if "%" in address:  # a scope: of this machine's networks alone
        return None
    try:
        return ip_address(address)
    except ValueError:
        return None


@dataclass(frozen=True)
class AddressPolicy:
    """`ports` are those of addresses elsewhere. In `development` this machine may be named too, on
    any port, and by http.
    """

    ports: frozenset[int] = frozenset({HTTPS})
    development: bool = False

    def check_url(self, url: str) -> None:
        """Raises BadAddress."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise BadAddress("must be an address such as https://example.org/events") from None
        if "@" in parts.netloc:
            raise BadAddress("must not hold a user or a password: what is sent is signed")
        if parts.fragment or "#" in url:
            raise BadAddress("must not hold a fragment: it is never sent")
        literal = _parsed(host)
        if literal is None and not _HOST.fullmatch(host):
            raise BadAddress("must name a host, in ASCII")
        here = self.development and (host == "localhost" or is_loopback(host))
        if parts.scheme != "https" and not (here and parts.scheme == "http"):
            raise BadAddress("must begin with https://")
        if not here and (port or HTTPS) not in self.ports:
            raise BadAddress(f"must have the port {self._ports()}")
        if literal is not None and not here and not is_public(host):
            raise BadAddress("must not be a private address")

    def check_address(self, address: str, port: int) -> None:
        """Of a connection that is about to be made. Raises BadAddress."""
        if self.development and is_loopback(address):
            return
        if not is_public(address):
            raise BadAddress("the name leads to an address that is not public")
        if port not in self.ports:
            raise BadAddress(f"the port is not {self._ports()}")

    def _ports(self) -> str:
        return " or ".join(map(str, sorted(self.ports)))


@dataclass(frozen=True)
class EndpointRules:
    """What endpoints a tenant may register: where they are, and how many."""

    addresses: AddressPolicy = AddressPolicy()
    per_tenant: int = 10
