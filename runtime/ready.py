"""What a process says when it serves."""

from __future__ import annotations

import structlog

from runtime.settings import Settings

_log = structlog.get_logger(__name__)


def ready(settings: Settings, address: str = "") -> None:
    """Log one `ready` line, and write the ready file that a supervisor waits for."""
    _log.info("ready", **({"address": address} if address else {}))
    if settings.ready_file:
        partial = settings.ready_file.with_suffix(".partial")
        partial.write_text(address)
        partial.replace(settings.ready_file)  # whoever sees it, sees all of it


def not_ready(settings: Settings) -> None:
    """For a while; `ready` says when it is over."""
    _log.warning("not ready")
    if settings.ready_file:
        settings.ready_file.unlink(missing_ok=True)
