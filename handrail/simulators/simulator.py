"""A simulated company, declared once: its command, its process in a stack, and its address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from handrail.refused_settings import require
from handrail.settings import Settings

if TYPE_CHECKING:
    from handrail.simulators.webhook_sender import Target

Create = Callable[[Path | None, "Target | None"], Any]
"""From the file that remembers, and where webhooks go, an ASGI application."""


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """`name` is that of its command and its process, `purpose` the help of the command.

    `address` is the setting with the company's URL: without a value, a stack starts the simulator
    and sets it. `secrets` is the setting with what its webhooks are signed with; empty: it sends
    none. `asked_by` are the processes that need the address. `create` imports what it needs.
    """

    name: str
    purpose: str
    create: Create
    address: str
    secrets: str = ""
    asked_by: Literal["worker", "notifier"] = "worker"

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of the settings that it is declared with."""
        return (self.address, self.secrets) if self.secrets else (self.address,)

    def target(self, settings: Settings) -> Target | None:
        """None where it sends no webhooks. Ends the process where it has nothing to sign with."""
        if not self.secrets or settings.webhook_target_url is None:
            return None
        from handrail.simulators.webhook_sender import Target  # noqa: PLC0415  # it loads httpx

        require(settings, self.secrets)
        newest: str = getattr(settings, self.secrets)[0]
        return Target(f"{settings.webhook_target_url}/webhooks/{self.name}", newest)
