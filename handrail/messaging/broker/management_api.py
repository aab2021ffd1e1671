"""RabbitMQ's management API: what is there, making what is not, and how federation does."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, unquote, urlsplit

import httpx

from handrail.messaging.broker.definitions import Difference, Key, Objects

_SECONDS: Final = 30
_PATHS: Final = {
    "virtual host": "vhosts/{name}",
    "user": "users/{name}",
    "permission": "permissions/{place}/{name}",
    "upstream": "parameters/federation-upstream/{place}/{name}",
    "policy": "policies/{place}/{name}",
    "exchange": "exchanges/{place}/{name}",
    "queue": "queues/{place}/{name}",
}
_MADE_ANEW: Final = {"exchange", "queue"}
"""What RabbitMQ does not change once it is there."""


class BrokerSaidNo(Exception):
    """It did not answer, or not what was hoped for."""


@dataclass(frozen=True)
class Link:
    """How a virtual host is fed."""

    vhost: str
    exchange: str
    upstream: str
    status: str
    """`running`, or why not."""

    @property
    def running(self) -> bool:
        return self.status == "running"


class Management:
    """`url` is http://administrator:password@host:15672; `verify` is what its certificate is
    checked with.
    """

    def __init__(self, url: str, *, verify: ssl.SSLContext | bool = True) -> None:
        parts = urlsplit(url)
        self.user, password = login_in(url)
        _, _, address = parts.netloc.rpartition("@")
        self._address = f"{parts.scheme}://{address}"
        self._http = httpx.AsyncClient(
            base_url=f"{self._address}{parts.path}/api/",
            auth=(self.user, password),
            timeout=_SECONDS,
            trust_env=False,
            verify=verify,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def definitions(self) -> Mapping[str, Any]:
        """All it has. Raises BrokerSaidNo."""
        found: Mapping[str, Any] = await self._get("definitions")
        return found

    async def make(self, key: Key, value: Mapping[str, Any]) -> None:
        """Make it, or change it to this. Raises BrokerSaidNo."""
        match key.kind:
            case "binding":
                source, queue = _quoted(value["source"]), _quoted(value["destination"])
                path = f"bindings/{_quoted(key.place)}/e/{source}/q/{queue}"
                body = {name: value[name] for name in ("routing_key", "arguments")}
                await self._ask("POST", path, body)
            case "user":
                # A list of tags is only understood by newer ones.
                body = {**value, "tags": ",".join(value["tags"])}
                await self._ask("PUT", _path(key), body)
            case _:
                await self._ask("PUT", _path(key), value)

    async def delete(self, key: Key, value: Mapping[str, Any]) -> None:
        """A queue that is not empty stays. Raises BrokerSaidNo."""
        match key.kind:
            case "binding":
                end = value["destination_type"][0]
                where = "/".join(
                    (
                        f"bindings/{_quoted(key.place)}/e/{_quoted(value['source'])}",
                        f"{end}/{_quoted(value['destination'])}",
                    )
                )
                for one in await self._get(where):
                    if all(one[name] == value[name] for name in ("routing_key", "arguments")):
                        await self._ask("DELETE", f"{where}/{_quoted(one['properties_key'])}")
            case "queue":
                await self._ask("DELETE", f"{_path(key)}?if-empty=true")
            case _:
                await self._ask("DELETE", _path(key))

    async def links(self) -> Sequence[Link]:
        """Raises BrokerSaidNo."""
        return [
            Link(
                vhost=one["vhost"],
                exchange=one["exchange"],
                upstream=one["upstream"],
                status=one["status"]
                if not one.get("error")
                else f"{one['status']}: {one['error']}",
            )
            for one in await self._get("federation-links")
            if one["type"] == "exchange"
        ]

    async def keys_between(self, vhost: str, exchange: str) -> Collection[tuple[str, str]]:
        """What the exchange sends where: names of queues or exchanges, and binding keys."""
        where = f"exchanges/{_quoted(vhost)}/{_quoted(exchange)}/bindings/source"
        return {(one["destination"], one["routing_key"]) for one in await self._get(where)}

    async def bindings(self) -> Sequence[Mapping[str, Any]]:
        """Those of all virtual hosts that the user may see. Raises BrokerSaidNo."""
        found: Sequence[Mapping[str, Any]] = await self._get("bindings")
        return found

    async def listed(self, what: str, vhost: str) -> Sequence[Mapping[str, Any]]:
        """The `exchanges`, `queues` or `bindings` of a virtual host. Raises BrokerSaidNo."""
        found: Sequence[Mapping[str, Any]] = await self._get(f"{what}/{_quoted(vhost)}")
        return found

    async def queues(self, vhost: str) -> Mapping[str, int]:
        """How many messages each has, as of some seconds ago."""
        found = await self._get(f"queues/{_quoted(vhost)}")
        return {one["name"]: one.get("messages", 0) for one in found}

    async def _get(self, path: str) -> Any:
        return (await self._ask("GET", path)).json()

    async def _ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, json=body)
        # A server that refuses a certificate says so late, and httpx passes that on as it is.
        except (httpx.TransportError, ssl.SSLError) as error:
            raise BrokerSaidNo(f"{self._address} does not answer: {error!r}") from error
        if answer.is_success:
            return answer
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise BrokerSaidNo(f"{self._address} does not let {self.user} in, or not manage it")
        raise BrokerSaidNo(f"{method} {path}: {answer.status_code} {_reason(answer)}")


async def apply(
    management: Management,
    wanted: Objects,
    found: Objects,
    difference: Difference,
    *,
    prune: bool = False,
) -> Mapping[Key, str]:
    """Make what is missing and change what is different; with `prune` delete what is too much.

    Answers what is left as it was, and why. Raises BrokerSaidNo.
    """
    left: dict[Key, str] = {}
    for key, value in wanted.items():
        if key in difference.different and key.kind in _MADE_ANEW:
            left[key] = (
                f"{difference.different[key]}; RabbitMQ cannot change that of a {key.kind} that is"
                " there: delete it when nobody needs it or what is in it, and apply again"
            )
        elif key in difference.missing or key in difference.different:
            await management.make(key, value)
    for key in reversed(difference.extra if prune else ()):
        try:
            await management.delete(key, found[key])
        except BrokerSaidNo as error:
            left[key] = str(error)
    return left


def login_in(url: str) -> tuple[str, str]:
    """User and password."""
    parts = urlsplit(url)
    return unquote(parts.username or ""), unquote(parts.password or "")


def _path(key: Key) -> str:
    return _PATHS[key.kind].format(place=_quoted(key.place), name=_quoted(key.name))


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _reason(answer: httpx.Response) -> str:
    try:
        body = answer.json()
        return str(body.get("reason") or body)
    except ValueError:
        return answer.text
