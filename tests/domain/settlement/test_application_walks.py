from __future__ import annotations

from typing import Any

from hypothesis import given

from domain.settlement import application
from domain.settlement.application import REQUIRED, Application
from domain.settlement.events import (
    ApplicationSubmitted,
    CheckDiscarded,
    MerchantActivated,
    RegistryChecked,
)
from tests.domain import walks
from tests.domain.walks import walk
from tests.inputs import inputs

patiently = inputs(200)


@patiently
@given(walks.application_commands())
def test_who_is_active_gave_every_document_and_was_checked(commands: list[Any]) -> None:
    checked, active = "", False
    for event, applied in walk(application, Application(), commands):
        match event:
            case RegistryChecked(registration=registration):
                checked = registration
            case ApplicationSubmitted() | CheckDiscarded():
                checked = ""
            case MerchantActivated():
                assert not active
                assert applied.content is not None
                assert checked == applied.content.registration
                assert {one.kind for one in applied.content.documents} >= set(REQUIRED)
                active = True
            case _:
                pass
        assert (applied.status == "active") == active
