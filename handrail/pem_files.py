"""Setting types for PEM files: certificates of authorities, a certificate of ours, its key.

Each is opened when the settings are read, so that a wrong file ends the process at its start.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator

from handrail.setting_types import Unset, form

_LARGEST: Final = 1024 * 1024
"""Bytes of a PEM file: more than all authorities of the web take."""


def readable(path: Path, largest: int = _LARGEST) -> Path:
    """Raises ValueError, whose sentence names the file and never its content."""
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > largest:
        raise ValueError(f"{path} is larger than {largest} bytes")
    if not content.strip():
        raise ValueError(f"{path} is empty")
    return path


def _authorities(path: Path) -> Path:
    readable(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (ssl.SSLError, ValueError):
        raise ValueError(f"{path} holds no certificate in PEM") from None
    return path


def _certificate(path: Path) -> Path:
    if "-----BEGIN CERTIFICATE-----" not in readable(path).read_text(errors="replace"):
        raise ValueError(f"{path} holds no certificate in PEM")
    return path


def _key(path: Path) -> Path:
    content = readable(path).read_text(errors="replace")
    if "PRIVATE KEY-----" not in content:
        raise ValueError(f"{path} holds no private key in PEM")
    if "ENCRYPTED" in content:
        raise ValueError(f"{path} holds a key with a passphrase: a process cannot ask for one")
    return path


def pair_mistake(certificate: Path | None, key: Path | None) -> str:
    """What is wrong with a certificate and its key together, or nothing."""
    if (certificate is None) != (key is None):
        return "a certificate and its key are set together, or neither is"
    if certificate and key:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key)
        except (OSError, ValueError):
            return f"{key} is not the key of the certificate in {certificate}"
    return ""


AuthoritiesFile = Annotated[
    Annotated[Path, AfterValidator(_authorities), form("PEM file")] | None, Unset
]
"""A setting that is a file of the certificates that are trusted."""
CertificateFile = Annotated[
    Annotated[Path, AfterValidator(_certificate), form("PEM file")] | None, Unset
]
"""A setting that is a file of this process's certificate, with those between it and a root."""
KeyFile = Annotated[Annotated[Path, AfterValidator(_key), form("PEM file")] | None, Unset]
"""A setting that is a file of the certificate's private key, without a passphrase."""
