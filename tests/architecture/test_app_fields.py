"""An App whose commands can be corrected is refused where a field of theirs has no bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from handrail import bounds
from handrail.app import App, Context
from handrail.command_fields import why_not_correctable, wrong_value
from handrail.field_policy import FieldPolicy
from handrail.kernel import Command, Money, TenantId
from handrail.wrongly_declared import WronglyDeclared


@dataclass(frozen=True, kw_only=True)
class Paint(Command, context="painting"):
    tenant: TenantId
    colour: str
    price: Money


@dataclass(frozen=True, kw_only=True)
class Correctable(Paint):
    field_policy: ClassVar[FieldPolicy] = FieldPolicy(
        bounds={"colour": bounds.ID}, correctable=frozenset({"colour", "price", "tenant"})
    )


@dataclass(frozen=True, kw_only=True)
class Boundless(Paint):
    field_policy: ClassVar[FieldPolicy] = FieldPolicy(correctable=frozenset({"colour"}))


def declare(command: type[Command]) -> App:
    return App(contexts=[Context(name="painting", commands=(command,))])


def test_a_field_without_a_bound_is_refused_where_something_may_be_corrected() -> None:
    said = "Boundless has a field that its field_policy does not bound: 'colour': name it in"
    with pytest.raises(WronglyDeclared, match=said):
        declare(Boundless)


@pytest.mark.parametrize("command", [Paint, Correctable])
def test_commands_without_corrections_or_with_bounds_are_taken(command: type[Command]) -> None:
    assert declare(command).commands == (command,)


def test_without_a_policy_nothing_may_be_corrected() -> None:
    assert why_not_correctable(Paint, "colour") is not None


def test_a_policy_makes_a_field_correctable_within_its_bound() -> None:
    assert why_not_correctable(Correctable, "colour") is None
    red = Correctable(tenant=TenantId("t-1"), colour="red", price=Money(1, "EUR"))
    assert wrong_value(red, "colour") is None
    wordy = Correctable(tenant=TenantId("t-1"), colour="a" * 65, price=Money(1, "EUR"))
    assert (wrong_value(wordy, "colour") or ((), ""))[0] == ("colour",)


@pytest.mark.parametrize("field", ["price", "tenant"])
def test_no_policy_makes_money_or_a_tenant_correctable(field: str) -> None:
    assert why_not_correctable(Correctable, field) is not None
