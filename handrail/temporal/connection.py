"""Connects to Temporal as the settings say: TLS, a client certificate, an API key, encryption."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.runtime import Runtime
from temporalio.service import RetryConfig, TLSConfig

from handrail.background import background_tasks
from handrail.eventstore.codec import Codec
from handrail.refused_settings import refuse, variable
from handrail.temporal.client import data_converter
from handrail.temporal.settings import TemporalSettings
from handrail.tracing import temporal as traced

if TYPE_CHECKING:
    from handrail.temporal.payload_encryption import PayloadEncryption

_LOOKS_EVERY: Final = 5.0
"""Seconds between two looks at the file of the API key."""


async def connect(
    settings: TemporalSettings, codec: Codec, *, lazy: bool = False, runtime: Runtime | None = None
) -> Client:
    """A client of the server at `temporal_address`.

    `lazy`: it connects when it is first needed, and gives up soon. `runtime` serves the metrics of
    the SDK, where it is given. Ends the process where the file
    of payload keys cannot be used; raises RuntimeError where the server does not answer.
    """
    return await Client.connect(
        cast("str", settings.temporal_address),
        namespace=settings.temporal_namespace,
        data_converter=data_converter(codec, encryption_of(settings)),
        tls=tls_of(settings),
        api_key=settings.temporal_api_key,
        lazy=lazy,
        runtime=runtime,
        interceptors=traced.interceptors(),
        connect_timeout=timedelta(seconds=2) if lazy else timedelta(seconds=10),
        retry_config=RetryConfig(max_elapsed_time_millis=2000) if lazy else None,
    )


def version_of(settings: TemporalSettings) -> WorkerDeploymentVersion | None:
    """The version that workers of this release are; None: they have none."""
    if settings.build_id is None:
        return None
    return WorkerDeploymentVersion(settings.deployment_name, settings.build_id)


def encryption_of(settings: TemporalSettings) -> PayloadEncryption | None:
    """None where no file of payload keys is set: then payloads are sent as they are."""
    if settings.payload_keys_file is None:
        return None
    # They load the package of ciphers, which a process without keys does without.
    from handrail.temporal.payload_encryption import PayloadEncryption  # noqa: PLC0415
    from handrail.temporal.payload_keys import BadKeyRing, KeyRing  # noqa: PLC0415

    try:
        ring = KeyRing(settings.payload_keys_file)
    except BadKeyRing as bad:
        refuse(f"{variable('payload_keys_file')}: {bad}")
    return PayloadEncryption(ring, settings.temporal_namespace)


def tls_of(settings: TemporalSettings) -> TLSConfig | bool:
    """False where the server is spoken to in clear."""
    ca, cert, key = (
        file.read_bytes() if file else None
        for file in (
            settings.temporal_tls_ca_file,
            settings.temporal_tls_cert_file,
            settings.temporal_tls_key_file,
        )
    )
    name = settings.temporal_tls_server_name
    if not (settings.temporal_tls or settings.temporal_api_key or ca or cert or name):
        return False
    return TLSConfig(server_root_ca_cert=ca, domain=name, client_cert=cert, client_private_key=key)


@asynccontextmanager
async def api_key_renewed(client: Client, settings: TemporalSettings) -> AsyncIterator[None]:
    """While the block lasts, the client takes its API key from the file whenever that changes."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(_LOOKS_EVERY)
            key = settings.current("temporal_api_key")
            if key != client.api_key:
                client.api_key = key

    async with background_tasks(renew()):
        yield
