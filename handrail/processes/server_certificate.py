"""The certificate of the API's own listener, read again when its file changes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog

from handrail.settings import Settings

_LOOKS_EVERY: Final = 5.0
"""Seconds between two looks at the file of the certificate."""
_log = structlog.get_logger(__name__)


@dataclass
class ServerCertificate:
    """`clients` are the authorities of client certificates; with them, each client shows one."""

    certificate: Path
    key: Path
    clients: Path | None = None
    looks_every: float = _LOOKS_EVERY
    _context: ssl.SSLContext | None = field(default=None, init=False, repr=False)

    def context(self, *_: Any, **__: Callable[..., Any]) -> ssl.SSLContext:
        """What uvicorn listens with."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.load_cert_chain(self.certificate, self.key)
        if self.clients:
            made.load_verify_locations(self.clients)
            made.verify_mode = ssl.CERT_REQUIRED
        self._context = made
        return made

    async def renewed(self) -> None:
        """New connections get what is in the files; a pair that does not fit is passed over."""
        seen = self._look()
        while True:
            await asyncio.sleep(self.looks_every)
            found = self._look()
            if found == seen or self._context is None:
                continue
            try:
                self._context.load_cert_chain(self.certificate, self.key)
            except (OSError, ValueError) as error:
                _log.error("certificate not read: the one from before stays", error=str(error))
            else:
                _log.info("certificate read again", file=str(self.certificate))
            seen = found

    def _look(self) -> tuple[int, ...]:
        try:
            found = [one.stat() for one in (self.certificate, self.key)]
        except OSError:
            return ()
        return tuple(number for one in found for number in (one.st_ino, one.st_mtime_ns))


def certificate_of(settings: Settings) -> ServerCertificate | None:
    """None where the API speaks plain HTTP."""
    certificate, key = settings.api_tls_cert_file, settings.api_tls_key_file
    if not (certificate and key):
        return None
    return ServerCertificate(certificate, key, settings.api_tls_client_ca_file)
