"""The API's login at the broker: both of its addresses, or none."""

from __future__ import annotations

from typing import Any

import pytest

from handrail.messaging.broker.operator_access import of_administrator, of_api
from handrail.settings import Settings

AMQP, HTTP = "amqp://operator:x@rabbit:5672", "http://operator:x@rabbit:15672"


def test_without_an_address_the_api_has_no_login_there() -> None:
    assert of_api(Settings()) is None


def test_with_both_it_has() -> None:
    settings = Settings(broker_operator_url=AMQP, broker_operator_management_url=HTTP)
    access = of_api(settings)
    assert access is not None
    assert (access.url(), access.management_url()) == (AMQP, HTTP)


@pytest.mark.parametrize(
    ("given", "lacks"),
    [
        ({"broker_operator_url": AMQP}, "HANDRAIL_BROKER_OPERATOR_MANAGEMENT_URL"),
        ({"broker_operator_management_url": HTTP}, "HANDRAIL_BROKER_OPERATOR_URL"),
    ],
)
def test_with_one_of_them_the_process_ends_and_names_the_other(
    given: dict[str, Any], lacks: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        of_api(Settings(**given))
    assert lacks in capsys.readouterr().err


def test_the_administrator_s_login_goes_to_the_broker_s_own_address() -> None:
    settings = Settings(
        broker_url="amqp://relay:y@rabbit:5672",
        broker_management_url="http://admin:z@rabbit:15672",
    )
    assert of_administrator(settings).url() == "amqp://admin:z@rabbit:5672"
