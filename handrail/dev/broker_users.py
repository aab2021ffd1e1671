"""What a stack has to know of messaging: who talks to the broker, and as which user."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from handrail.dev.rabbitmq import EmbeddedRabbitMQ
from handrail.messaging.broker.topology import OPERATOR, RELAY
from handrail.messaging.consumers.consumer import Consumer

PUBLISHING: Final = RELAY


def consuming(consumers: Iterable[Consumer]) -> Mapping[str, str]:
    """The user of each consumer, by its name."""
    return {one.name: one.vhost for one in consumers}


def addresses(server: EmbeddedRabbitMQ, users: Iterable[str]) -> dict[str, Any]:
    """What is learned from an embedded broker, with a password for each of the users."""
    passwords = _passwords(server.data_dir / "passwords.json", users)
    [of_relay] = [one for one in passwords if one.startswith(f"{RELAY}=")]
    scheme, _, address = server.management_url.partition("://")
    address = address.rpartition("@")[2]
    login = f"{RELAY}:{of_relay.partition('=')[2]}"
    looking: dict[str, Any] = {"broker_ui_url": f"{scheme}://{address}"}
    for one in passwords:
        user, _, password = one.partition("=")
        if user == OPERATOR:
            amqp, _, server_address = server.url.partition("://")
            server_address = server_address.rpartition("@")[2]
            looking["broker_operator_url"] = f"{amqp}://{user}:{password}@{server_address}"
            looking["broker_operator_management_url"] = f"{scheme}://{user}:{password}@{address}"
    return {
        **looking,
        "broker_url": server.url,
        "broker_management_url": server.management_url,
        "broker_bindings_url": f"{scheme}://{login}@{address}",
        "broker_passwords": passwords,
    }


def _passwords(file: Path, users: Iterable[str]) -> tuple[str, ...]:
    """Made once, and kept beside the data of the broker that knows them."""
    known: dict[str, str] = orjson.loads(file.read_bytes()) if file.exists() else {}
    if lacking := [user for user in users if user not in known]:
        known |= {user: secrets.token_hex(16) for user in lacking}
        file.touch(mode=0o600)
        file.write_bytes(orjson.dumps(known))
    return tuple(f"{user}={password}" for user, password in known.items())
