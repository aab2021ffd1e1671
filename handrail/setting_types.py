"""The kinds of values that settings take, and what parts of the settings are made from."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Annotated, Any, Final, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from handrail.secret_files import SecretFile, secret_of
from handrail.webhook_signatures import key_of

PREFIX: Final = "HANDRAIL_"


class SettingsPart(BaseSettings):
    """Settings that stand beside what they are for: the settings of an app inherit them."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    _files: dict[str, SecretFile] = PrivateAttr(default_factory=dict)
    """The secrets that were given as files."""

    def current(self, name: str) -> Any:
        """A setting as of now: a secret that was given as a file may have changed since."""
        found = self._files.get(name)
        return getattr(self, name) if found is None else found.current()


def _empty_is_unset(value: Any) -> Any:
    """Compose files pass a variable that nobody set as an empty one."""
    return None if value == "" else value


def _postgres_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"postgresql", "postgres"} or not parts.path.strip("/"):
        raise ValueError("must look like postgresql://user:password@host:5432/database")
    return value


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must look like http://host:8080")
    return value.rstrip("/")


def _amqp_url(value: str) -> str:
    parts = urlsplit(value)
    right = parts.scheme in {"amqp", "amqps"} and parts.hostname and parts.username
    if not right or parts.path.strip("/") or parts.query:
        raise ValueError(
            "must look like amqp://user:password@host:5672, without a virtual host:"
            " each process knows its own"
        )
    return value.rstrip("/")


def _host_and_port(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not (host and colon and port.isdigit()) or "/" in value:
        raise ValueError("must look like host:7233")
    return value


def listed(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _secrets(value: tuple[str, ...]) -> tuple[str, ...]:
    for secret in value:
        key_of(secret)
    return value


def _logins(value: tuple[str, ...]) -> tuple[str, ...]:
    for login in value:
        user, _, password = login.partition("=")
        if not (user and password):
            raise ValueError("must look like user=password,user=password")
    return value


def _hosts(value: tuple[str, ...]) -> tuple[str, ...]:
    for host in value:
        if urlsplit(f"//{host}").hostname != host.lower() and not _is_ipv6(host):
            raise ValueError("must look like api.example,10.0.0.7, without scheme and port")
    return tuple(host.lower() for host in value)


def _is_ipv6(host: str) -> bool:
    try:
        return bool(IPv6Address(host))
    except ValueError:
        return False


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    for origin in value:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or f"{parts.scheme}://{parts.netloc}" != origin:
            raise ValueError("must look like https://desk.example, without a path")
    return value


def form(name: str) -> FieldInfo:
    """What the table of settings calls such a value."""
    return cast("FieldInfo", Field(json_schema_extra={"format": name}))


PostgresUrl = Annotated[str, AfterValidator(_postgres_url), form("PostgreSQL URL")]
HttpUrl = Annotated[str, AfterValidator(_http_url), form("HTTP URL")]
"""A setting that is an http or https address."""
AmqpUrl = Annotated[str, AfterValidator(_amqp_url), form("AMQP URL")]
HostAndPort = Annotated[str, AfterValidator(_host_and_port), form("host:port")]
Unset = BeforeValidator(_empty_is_unset)
"""Beside an optional type: an empty variable is no value."""
Token = Annotated[
    Annotated[str, Field(min_length=1, max_length=8192, pattern=r"^[\x21-\x7e]+$")] | None, Unset
]
"""A setting that is a bearer token, or nothing."""
Port = Annotated[int, Field(ge=0, le=65535, json_schema_extra={"format": "port"})]
Seconds = Annotated[float, Field(gt=0)]
"""A setting in seconds, greater than 0."""
Secrets = Annotated[
    tuple[str, ...],
    NoDecode,
    BeforeValidator(listed),
    AfterValidator(_secrets),
    form("secrets"),
    secret_of("api"),
]
"""A setting that is a comma-separated list of secrets of webhooks, newest first: the API's."""
Hosts = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(listed), AfterValidator(_hosts), form("list")
]
Origins = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(listed), AfterValidator(_origins), form("list")
]
Logins = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(listed), AfterValidator(_logins), form("logins")
]
