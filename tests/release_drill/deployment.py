"""What an operator does between two releases: with the commands of the release that is deployed."""

from __future__ import annotations

from typing import Any

import orjson

from handrail.dev.stack import Stack
from tests.release_drill.releases import Release


class NotDeployed(Exception):
    """A command of the deployment did not do what it says; the message has what it printed."""


async def promote(servers: Stack, release: Release) -> None:
    """New sagas begin at its workers. Raises NotDeployed."""
    await _run(servers, release, "deploy", "promote", release.name, "--within", "120")


async def drain(servers: Stack, release: Release, by: Release) -> None:
    """Wait until no saga is pinned to it any more. Raises NotDeployed."""
    await _run(servers, by, "deploy", "drain", release.name, "--within", "300")


async def apply_topology(servers: Stack, release: Release) -> None:
    """Queues are bound to the newer names, too. Raises NotDeployed."""
    await _run(servers, release, "topology", "apply")


async def levels(servers: Stack, release: Release) -> Any:
    """Which form of each event may be written. Raises NotDeployed."""
    return orjson.loads(
        (await _run(servers, release, "contracts", "level", "--json")).split("\n")[-1]
    )


async def _run(servers: Stack, release: Release, *words: str) -> str:
    settings = {
        **servers.settings.known_to(words[0]).environment(),
        "HANDRAIL_BUILD_ID": release.name,
    }
    ended = await release.run(settings, *words)
    if ended.code:
        raise NotDeployed(
            f"{release.name}: {' '.join(words)} ended with {ended.code}\n"
            f"{ended.printed}{ended.logged}"
        )
    return ended.printed.strip()
