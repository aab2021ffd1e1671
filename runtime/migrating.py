"""Bring a database to what this code knows: the event store first, then the read models."""

from __future__ import annotations


def migrate(url: str, role: str) -> None:
    """Safe to run again, and by several processes at once. An empty role grants nothing."""
    # Alembic is slow to import, and most processes do not need it.
    from eventstore.migrations import upgrade  # noqa: PLC0415
    from projections.install import install  # noqa: PLC0415

    upgrade(url, role)
    install(url, role or None)
