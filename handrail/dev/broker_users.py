"""What a stack has to know of messaging: who talks to the broker, and as which user."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from handrail.dev.rabbitmq import EmbeddedRabbitMQ
from handrail.messaging.broker.topology import RELAY, topology
from runtime.registry.consumers import CONSUMERS

CONSUMING: Final[Mapping[str, str]] = {one.name: one.vhost for one in CONSUMERS}
"""The user of each consumer."""
PUBLISHING: Final = RELAY


def addresses(server: EmbeddedRabbitMQ) -> dict[str, Any]:
    """What is learned from an embedded broker."""
    return {
        "broker_url": server.url,
        "broker_management_url": server.management_url,
        "broker_passwords": _passwords(server.data_dir / "passwords.json"),
    }


def _passwords(file: Path) -> tuple[str, ...]:
    """Made once, and kept beside the data of the broker that knows them."""
    known: dict[str, str] = orjson.loads(file.read_bytes()) if file.exists() else {}
    if lacking := [user for user in topology().users if user not in known]:
        known |= {user: secrets.token_hex(16) for user in lacking}
        file.touch(mode=0o600)
        file.write_bytes(orjson.dumps(known))
    return tuple(f"{user}={password}" for user, password in known.items())
