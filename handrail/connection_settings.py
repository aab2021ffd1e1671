"""The settings of encrypted connections: certificates, API keys, and the keys of payloads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import AfterValidator, Field

from handrail.pem_files import AuthoritiesFile, CertificateFile, KeyFile, pair_mistake, readable
from handrail.secret_files import secret_of
from handrail.setting_types import Logins, Origins, Port, SettingsPart, Unset, form

_OF_STORE: Final = (
    *("api", "worker", "projector", "notifier", "relay", "consumer", "lake", "dispatcher"),
)
_OF_TEMPORAL: Final = ("api", "worker")
_OF_PAYLOADS: Final = ("api", "worker", "codec")
_OF_BROKER: Final = ("relay", "consumer", "topology")
_CERTIFICATE: Final = "_cert_file"


_RingFile = Annotated[
    Annotated[Path, AfterValidator(readable), form("file")] | None,
    Unset,
    secret_of(*_OF_PAYLOADS),
]


class ConnectionSettings(SettingsPart):
    temporal_tls: bool = Field(
        default=False,
        description="Whether Temporal is reached over TLS. An API key, or one of the files below, "
        "switches it on, too.",
    )
    temporal_tls_ca_file: AuthoritiesFile = Field(
        default=None,
        description="The authorities that Temporal's certificate is checked against. "
        "Unset: those of the machine.",
    )
    temporal_tls_cert_file: CertificateFile = Field(
        default=None, description="The certificate that is shown to Temporal (mTLS)."
    )
    temporal_tls_key_file: Annotated[KeyFile, secret_of(*_OF_TEMPORAL)] = Field(
        default=None, description="The key of that certificate."
    )
    temporal_tls_server_name: Annotated[str | None, Unset] = Field(
        default=None,
        description="The name in Temporal's certificate. Unset: the host of its address.",
    )
    temporal_api_key: Annotated[
        Annotated[str, Field(min_length=1, max_length=16_384)] | None,
        Unset,
        secret_of(*_OF_TEMPORAL),
    ] = Field(default=None, repr=False, description="An API key of Temporal, sent over TLS.")
    payload_keys_file: _RingFile = Field(
        default=None,
        description="The keys that payloads at Temporal are encrypted with, as `handrail "
        "payload-keys` writes them; read again when the file changes. Unset: they are not "
        "encrypted. See `secrets.md`.",
    )
    codec_host: str = Field(
        default="127.0.0.1", min_length=1, description="The interface `handrail codec` listens on."
    )
    codec_port: Port = Field(
        default=8084, description="The port `handrail codec` listens on. 0: one that is free."
    )
    codec_tokens: Annotated[Logins, secret_of("codec")] = Field(
        default=(),
        repr=False,
        description="The callers of `handrail codec` with their bearer tokens, `caller=token`, "
        "comma-separated. Its log names the caller.",
    )
    codec_origins: Origins = Field(
        default=(),
        description="The addresses of the Temporal UI from which a browser may ask `handrail "
        "codec`, such as `https://temporal.example`, comma-separated.",
    )
    database_ca_file: AuthoritiesFile = Field(
        default=None,
        description="The authorities that PostgreSQL's certificate is checked against, with the "
        "name of its host (`sslmode=verify-full`). Unset: as the database URL says.",
    )
    database_cert_file: CertificateFile = Field(
        default=None, description="The certificate that is shown to PostgreSQL."
    )
    database_key_file: Annotated[KeyFile, secret_of(*_OF_STORE, "migrate")] = Field(
        default=None, description="The key of that certificate."
    )
    broker_ca_file: AuthoritiesFile = Field(
        default=None,
        description="The authorities that RabbitMQ's certificates are checked against, at an "
        "`amqps` or `https` address. Unset: those of the machine.",
    )
    broker_cert_file: CertificateFile = Field(
        default=None, description="The certificate that is shown to RabbitMQ."
    )
    broker_key_file: Annotated[KeyFile, secret_of(*_OF_BROKER)] = Field(
        default=None, description="The key of that certificate."
    )
    broker_federation_query: str = Field(
        default="",
        max_length=2000,
        pattern=r"^[\x21-\x7e]*$",
        description="What federation puts behind the address of its upstreams, with paths on the "
        "broker's machine: `cacertfile=…&certfile=…&keyfile=…&verify=verify_peer`.",
    )
    api_tls_cert_file: CertificateFile = Field(
        default=None,
        description="The certificate of the API's own listener. Unset: it speaks plain HTTP, "
        "behind a proxy or on this machine.",
    )
    api_tls_key_file: Annotated[KeyFile, secret_of("api", "codec")] = Field(
        default=None, description="The key of that certificate."
    )
    api_tls_client_ca_file: AuthoritiesFile = Field(
        default=None,
        description="The authorities of client certificates. Set: the API's listener demands one.",
    )


def mistakes(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with settings that are right each by itself: which, and why."""
    for name in [one.removesuffix(_CERTIFICATE) for one in settings if one.endswith(_CERTIFICATE)]:
        certificate, key = settings[f"{name}_cert_file"], settings.get(f"{name}_key_file")
        if said := pair_mistake(certificate, key):
            yield f"{name}_key_file" if certificate else f"{name}_cert_file", said
    if settings["api_tls_client_ca_file"] and not settings["api_tls_cert_file"]:
        yield "api_tls_cert_file", "is needed where the API demands certificates of its clients"


def with_certificates(
    url: str, authorities: Path | None, certificate: Path | None, key: Path | None
) -> str:
    """A URL of PostgreSQL with these files, where it does not name others itself."""
    wanted: dict[str, str] = {}
    if authorities:
        wanted |= {"sslmode": "verify-full", "sslrootcert": str(authorities.absolute())}
    if certificate and key:
        wanted |= {"sslcert": str(certificate.absolute()), "sslkey": str(key.absolute())}
    if not wanted:
        return url
    parts = urlsplit(url)
    said = dict(parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit(parts._replace(query=urlencode({**wanted, **said})))
