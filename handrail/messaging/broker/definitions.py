"""The topology in RabbitMQ's own words, which are also those in which it says what it has.

Both are taken apart into single objects, so that they can be compared one by one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

from handrail.messaging.broker.topology import (
    OPERATOR,
    RELAY,
    Binding,
    Queue,
    Topology,
    Upstream,
    VirtualHost,
)

OURS: Final = "handrail"
"""The tag of the users we make: so one that is no longer in the topology is known to be ours."""

LOOKING: Final = "management"
"""The tag of those who may look by the management API at the virtual hosts that they may enter."""
MONITORING: Final = "monitoring"
"""The tag of those who may see the links of federation, too."""

_HASH: Final = "rabbit_password_hashing_sha256"
_SALT: Final = 4  # bytes, as RabbitMQ wants
_PARTS: Final = {
    "user": "users",
    "virtual host": "vhosts",
    "permission": "permissions",
    "upstream": "parameters",
    "policy": "policies",
    "exchange": "exchanges",
    "queue": "queues",
    "binding": "bindings",
}
_FEDERATION: Final = "federation-upstream"
_MADE_BY_FEDERATION: Final = "federation: "
_HEARTBEAT: Final = 10  # seconds


class Key(NamedTuple):
    """What an object is, and its name; `place` is its virtual host where it has one."""

    kind: str
    place: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.place}/{self.name}" if self.place else f"{self.kind} {self.name}"


Objects = Mapping[Key, Mapping[str, Any]]


@dataclass(frozen=True)
class Access:
    """`upstream` is the broker's address as the broker itself reaches it: amqp://host:port.

    `administrator` manages the topology, and is there before it is, or comes with its import.
    """

    passwords: Mapping[str, str] = field(repr=False)
    upstream: str
    administrator: tuple[str, str] = field(repr=False)


def objects_of(topology: Topology, access: Access) -> Objects:
    """Everything, in an order in which it can be made.

    Raises KeyError for a user without a password.
    """
    found: dict[Key, Mapping[str, Any]] = {}
    for host in topology.hosts:
        found[Key("virtual host", "", host.name)] = {}
    for user in topology.users:
        found[Key("user", "", user)] = {"password": access.passwords[user], "tags": _tags_of(user)}
    for permission in topology.permissions:
        patterns = {
            "configure": permission.configure,
            "write": permission.write,
            "read": permission.read,
        }
        found[Key("permission", permission.vhost, permission.user)] = patterns
    for host in topology.hosts:
        found |= _inside(host, access)
    return found


def _tags_of(user: str) -> list[str]:
    """The relay looks at what queues are bound to, the operator at queues and links."""
    if user == OPERATOR:
        return [OURS, MONITORING]
    return [OURS, LOOKING] if user == RELAY else [OURS]


def _inside(host: VirtualHost, access: Access) -> Objects:
    administrator, _ = access.administrator
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    return {
        Key("permission", host.name, administrator): everything,
        **{
            Key("upstream", host.name, upstream.name): _upstream(upstream, access)
            for upstream in host.upstreams
        },
        **{
            Key("policy", host.name, policy.name): {
                "pattern": policy.pattern,
                "apply-to": policy.to,
                "definition": dict(policy.definition),
                "priority": 0,
            }
            for policy in host.policies
        },
        **{
            Key("exchange", host.name, exchange.name): {
                "type": exchange.kind,
                "durable": True,
                "auto_delete": False,
                "internal": False,
                "arguments": {},
            }
            for exchange in host.exchanges
        },
        **{Key("queue", host.name, queue.name): _queue(queue) for queue in host.queues},
        **{binding_key(host.name, value): value for value in map(_binding, host.bindings)},
    }


def _queue(queue: Queue) -> Mapping[str, Any]:
    arguments: dict[str, Any] = {"x-queue-type": queue.kind}
    if queue.one_consumer_at_a_time:
        arguments["x-single-active-consumer"] = True
    return {"durable": True, "auto_delete": False, "arguments": arguments}


def _binding(binding: Binding) -> Mapping[str, Any]:
    return {
        "source": binding.exchange,
        "destination": binding.queue,
        "destination_type": "queue",
        "routing_key": binding.key,
        "arguments": {},
    }


def _upstream(upstream: Upstream, access: Access) -> Mapping[str, Any]:
    parts = urlsplit(access.upstream)
    login = f"{upstream.user}:{quote(access.passwords[upstream.user], safe='')}"
    _, _, address = parts.netloc.rpartition("@")
    netloc = f"{login}@{address}"
    vhost = quote(upstream.vhost, safe="")
    query = f"heartbeat={_HEARTBEAT}" + (f"&{parts.query}" if parts.query else "")
    return {
        "value": {
            "uri": urlunsplit((parts.scheme, netloc, f"/{vhost}", query, "")),
            # What is fetched counts as fetched once it is confirmed here; else it comes again.
            "ack-mode": "on-confirm",
            "max-hops": 1,
            "reconnect-delay": 1,
            "trust-user-id": False,
            # By default a link that is made again, as with another password, deletes the queue that
            # it fetches from, and all that waits in it.
            "resource-cleanup-mode": "never",
        }
    }


def binding_key(vhost: str, value: Mapping[str, Any]) -> Key:
    name = f"{value['source']} → {value['destination']} ({value['routing_key']})"
    if value["arguments"]:
        name += f" {json.dumps(value['arguments'], sort_keys=True)}"
    return Key("binding", vhost, name)


def document(topology: Topology, access: Access) -> dict[str, Any]:
    """What a broker imports when it begins. It has hashes of passwords, and those of federation in
    the clear: it is a secret.
    """
    name, password = access.administrator
    administrator = _with_hash(name, {"password": password, "tags": ["administrator"]})
    parts: dict[str, list[dict[str, Any]]] = {part: [] for part in _PARTS.values()}
    parts["users"].append(administrator)
    for key, value in objects_of(topology, access).items():
        where = {"vhost": key.place} if key.place else {}
        match key.kind:
            case "user":
                one = _with_hash(key.name, value)
            case "permission":
                one = {"user": key.name, **value}
            case "upstream":
                one = {"component": _FEDERATION, "name": key.name, **value}
            case "binding":
                one = dict(value)
            case _:
                one = {"name": key.name, **value}
        parts[_PARTS[key.kind]].append({**where, **one})
    return parts


def _with_hash(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "password_hash": hashed(value["password"], secrets.token_bytes(_SALT)),
        "hashing_algorithm": _HASH,
        "tags": value["tags"],
    }


def hashed(password: str, salt: bytes) -> str:
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def found_in(document: Mapping[str, Any], hosts: Iterable[str]) -> Objects:
    """What a broker says it has, of these virtual hosts, and users of ours.

    What the broker and federation make for themselves is left out.
    """
    places = set(hosts)
    found: dict[Key, Mapping[str, Any]] = {}
    for kind, part in _PARTS.items():
        for one in document[part]:
            key = _key_of(kind, one)
            if kind == "user" or (key.place or key.name) in places:
                found[key] = one
    return {key: one for key, one in found.items() if not _made_for_itself(key, one)}


def _key_of(kind: str, one: Mapping[str, Any]) -> Key:
    match kind:
        case "binding":
            return binding_key(one["vhost"], one)
        case "permission":
            return Key(kind, one["vhost"], one["user"])
        case "upstream" if one["component"] != _FEDERATION:
            return Key("parameter", one["vhost"], f"{one['component']} {one['name']}")
        case _:
            return Key(kind, one.get("vhost", ""), one["name"])


def _made_for_itself(key: Key, value: Mapping[str, Any]) -> bool:
    match key.kind:
        case "parameter":
            return True
        case "exchange" | "queue":
            names = [key.name]
        case "binding":
            names = [value["source"], value["destination"]]
        case _:
            return False
    return any(not name or name.startswith(("amq.", _MADE_BY_FEDERATION)) for name in names)


def _tags(value: Mapping[str, Any]) -> list[str]:
    """Older brokers say them as one text."""
    tags = value["tags"]
    return [one for one in tags.split(",") if one] if isinstance(tags, str) else list(tags)


@dataclass(frozen=True)
class Difference:
    missing: tuple[Key, ...] = ()
    different: Mapping[Key, str] = field(default_factory=dict)
    """With what is not as it should be."""
    extra: tuple[Key, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.different or self.extra)


def difference(wanted: Objects, found: Objects) -> Difference:
    return Difference(
        missing=tuple(key for key in wanted if key not in found),
        different={
            key: differences
            for key, value in wanted.items()
            if key in found and (differences := _unlike(value, found[key]))
        },
        extra=tuple(key for key in found if key not in wanted and _is_ours(key, found[key])),
    )


def _is_ours(key: Key, value: Mapping[str, Any]) -> bool:
    return key.kind != "user" or OURS in _tags(value)


def _unlike(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Which parts differ, and how; passwords are not shown, nor what contains them."""
    differences = []
    for name, value in wanted.items():
        if name == "password":
            if not _is_password(value, found.get("password_hash", "")):
                differences.append("another password")
        elif (_tags(found) if name == "tags" else found.get(name)) != value:
            secret = name == "value"
            differences.append(
                f"another {name}" if secret else f"{name}: {found.get(name)}, not {value}"
            )
    return "; ".join(differences)


def _is_password(password: str, password_hash: str) -> bool:
    salt = base64.b64decode(password_hash)[:_SALT]
    return hmac.compare_digest(hashed(password, salt), password_hash)
