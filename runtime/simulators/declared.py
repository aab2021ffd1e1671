"""The companies that are simulated: the bank, the carrier, the registry, the message provider."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from handrail.simulators.simulator import Simulator

if TYPE_CHECKING:
    from handrail.simulators.webhook_sender import Target

# A process loads only the company that it simulates.
# ruff: noqa: PLC0415


def _bank(ledger: Path | None, target: Target | None) -> Any:
    from runtime.simulators.bank import create_bank

    return create_bank(ledger, target)


def _carrier(ledger: Path | None, target: Target | None) -> Any:
    from runtime.simulators.carrier import create_carrier

    return create_carrier(ledger, target)


def _registry(ledger: Path | None, _: Target | None) -> Any:
    from runtime.simulators.registry import create_registry

    return create_registry(ledger)


def _provider(ledger: Path | None, _: Target | None) -> Any:
    from runtime.simulators.provider import create_provider

    return create_provider(ledger)


SIMULATORS: Final = (
    Simulator(
        name="bank",
        purpose="Simulate the bank.",
        create=_bank,
        address="bank_url",
        secrets="bank_webhook_secrets",
    ),
    Simulator(
        name="carrier",
        purpose="Simulate the carrier.",
        create=_carrier,
        address="carrier_url",
        secrets="carrier_webhook_secrets",
    ),
    Simulator(
        name="registry",
        purpose="Simulate the registry of businesses.",
        create=_registry,
        address="registry_url",
    ),
    Simulator(
        name="provider",
        purpose="Simulate the provider of push, SMS and e-mail.",
        create=_provider,
        address="provider_url",
        asked_by="notifier",
    ),
)
