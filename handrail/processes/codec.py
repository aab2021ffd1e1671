"""The codec process: decrypts payloads for the Temporal UI."""

from __future__ import annotations

import asyncio

from handrail.processes.asgi_server import serve
from handrail.processes.server_certificate import certificate_of
from handrail.refused_settings import require
from handrail.settings import Settings
from handrail.temporal.codec_server import CodecServer
from handrail.temporal.connection import encryption_of


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    require(settings, "payload_keys_file", "codec_tokens")
    encryption = encryption_of(settings)
    assert encryption is not None  # the file is set
    server = CodecServer(
        encryption.keys,
        settings.temporal_namespace,
        lambda: dict(one.split("=", 1) for one in settings.current("codec_tokens")),
        settings.codec_origins,
    )
    await serve(
        server.application(),
        settings,
        settings.codec_host,
        settings.codec_port,
        stop,
        certificate=certificate_of(settings),
    )
