"""Kinds of messages and their templates are refused where a message could not be worded."""

from __future__ import annotations

import pytest

from handrail.app import App
from handrail.notifications.kinds import CAMPAIGN, Kind, MessageKinds, Wording
from handrail.wrongly_declared import WronglyDeclared

SHIPPED = Kind(name="shipped", topic="deliveries", channels=frozenset(("push",)))
WORDED = Wording("On its way", "It is on its way.")


def test_a_kind_without_a_template_in_every_language_is_refused() -> None:
    messages = MessageKinds.of([SHIPPED], {"shipped": {"en": WORDED}})
    with pytest.raises(WronglyDeclared, match="kind shipped have no template in de: add one"):
        App(contexts=[], messages=messages)


def test_a_template_without_a_kind_is_refused() -> None:
    messages = MessageKinds.of([], {"shipped": {"en": WORDED, "de": WORDED}})
    with pytest.raises(WronglyDeclared, match="kind shipped, and no such kind: add it"):
        App(contexts=[], messages=messages)


def test_an_app_that_names_no_messages_sends_campaigns() -> None:
    assert App(contexts=[]).messages.kinds == {"campaign": CAMPAIGN}
