"""What we encode ourselves is what the client library would have sent."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic

from handrail.messaging.relay.amqp_properties import Persistent

NAMES = st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=40)
TIMES = st.integers(0, 7_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(st.dictionaries(NAMES, st.text(max_size=300)), st.text(min_size=1, max_size=60), TIMES)
def test_properties_are_encoded_as_by_the_library(
    headers: dict[str, str], message_id: str, at: datetime
) -> None:
    theirs = Basic.Properties(
        content_type="application/json",
        headers=dict(headers),
        delivery_mode=2,
        message_id=message_id,
        timestamp=at,
    )

    assert Persistent("application/json", headers, message_id, at).marshal() == theirs.marshal()


def test_an_id_too_long_for_amqp_is_refused() -> None:
    with pytest.raises(ValueError, match="255"):
        Persistent("application/json", {}, "é" * 128, datetime(2026, 1, 1, tzinfo=UTC))
