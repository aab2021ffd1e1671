"""When a customer may be woken, and whether they want it: pure functions, so any case at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from consumers.notifications.kinds import KINDS, TOPICS
from consumers.notifications.reminders import window
from handrail.notifications.contacts import CHANNELS, RINGS, Channel, Contact, QuietHours
from handrail.notifications.kinds import CAMPAIGN, Kind
from handrail.notifications.send_policy import SendFrom, Withhold, decide, uses

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")
HOURS = st.tuples(st.integers(0, 23), st.sampled_from((0, 15, 30, 59))).map(lambda at: time(*at))
QUIET = (
    st.tuples(HOURS, HOURS).filter(lambda two: two[0] != two[1]).map(lambda two: QuietHours(*two))
)
MOMENTS = st.floats(0, 1200).map(lambda days: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days))
# All hours in which clocks change in these zones, so that they are met often.
CHANGES = st.builds(
    lambda day, hours: datetime.combine(day, time(0), UTC) + timedelta(hours=hours),
    st.sampled_from([date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 4), date(2026, 10, 25)]),
    st.floats(-30, 30),
)
CHOICES = st.dictionaries(
    st.sampled_from(TOPICS), st.dictionaries(st.sampled_from(CHANNELS), st.booleans())
)
CONTACTS = st.builds(
    Contact,
    time_zone=st.sampled_from(ZONES),
    quiet_hours=QUIET | st.none(),
    addresses=st.dictionaries(st.sampled_from(CHANNELS), st.just("to")),
    choices=CHOICES,
)
SLEEPERS = st.builds(lambda contact, quiet: replace(contact, quiet_hours=quiet), CONTACTS, QUIET)
KIND = st.sampled_from([*KINDS.values(), CAMPAIGN])
CHANNEL = st.sampled_from(CHANNELS)


def clocks_change(zone: str, begin: datetime, end: datetime) -> bool:
    zone_ = ZoneInfo(zone)
    return begin.astimezone(zone_).utcoffset() != end.astimezone(zone_).utcoffset()


@given(CONTACTS, MOMENTS | CHANGES)
def test_nobody_is_woken_in_the_quiet_hours(contact: Contact, now: datetime) -> None:
    awake = contact.awake_from(now)
    assert not contact.is_quiet(awake)
    assert now <= awake <= now + timedelta(hours=25)


@pytest.mark.thorough
@given(CONTACTS, MOMENTS | CHANGES)
def test_nobody_waits_who_is_awake(contact: Contact, now: datetime) -> None:
    assume(not contact.is_quiet(now))
    assert contact.awake_from(now) == now


@pytest.mark.thorough
@given(SLEEPERS, MOMENTS, st.integers(1, 86_400_000_000))
def test_a_message_waits_no_longer_than_the_night(
    contact: Contact, now: datetime, microseconds: int
) -> None:
    awake = contact.awake_from(now)
    assume(awake > now and not clocks_change(contact.time_zone, now, awake))
    assert contact.is_quiet(max(now, awake - timedelta(microseconds=microseconds)))


def test_the_night_is_the_customers_own() -> None:
    quiet = QuietHours(time(22), time(8))
    now = datetime(2026, 7, 1, 21, 0, tzinfo=UTC)
    for zone, awake in {
        "Europe/Berlin": datetime(2026, 7, 2, 6, 0, tzinfo=UTC),
        "America/New_York": now,
        "Asia/Tokyo": datetime(2026, 7, 1, 23, 0, tzinfo=UTC),
    }.items():
        assert Contact(time_zone=zone, quiet_hours=quiet).awake_from(now) == awake, zone


@given(KIND, CHANNEL, CONTACTS, MOMENTS | CHANGES)
def test_only_what_answers_the_customer_rings_at_night(
    kind: Kind, channel: Channel, contact: Contact, now: datetime
) -> None:
    match decide(kind, channel, contact, now, None):
        case SendFrom(at=at) if channel in RINGS and not kind.urgent:
            assert not contact.is_quiet(at)
        case SendFrom(at=at):
            assert at == now
        case Withhold():
            pass


@given(KIND, CHANNEL, CONTACTS, MOMENTS)
def test_what_is_turned_off_is_sent_only_where_the_law_wants_it(
    kind: Kind, channel: Channel, contact: Contact, now: datetime
) -> None:
    decided = decide(kind, channel, contact, now, None)
    if contact.chose(kind.topic, channel) is False and isinstance(decided, SendFrom):
        assert channel in kind.always
    if channel not in contact.addresses:
        assert isinstance(decided, Withhold)


@given(CHANNEL, CONTACTS, MOMENTS)
def test_a_campaign_reaches_only_who_asked_for_it(
    channel: Channel, contact: Contact, now: datetime
) -> None:
    decided = decide(CAMPAIGN, channel, contact, now, None)
    if isinstance(decided, SendFrom):
        assert contact.choices["campaigns"][channel]


@given(KIND, CHANNEL, CONTACTS, MOMENTS, st.floats(-100, 100))
def test_what_is_too_old_is_not_sent(
    kind: Kind, channel: Channel, contact: Contact, now: datetime, hours: float
) -> None:
    expires_at = now + timedelta(hours=hours)
    match decide(kind, channel, contact, now, expires_at):
        case SendFrom(at=at):
            assert at < expires_at
        case Withhold():
            pass


def test_a_channel_turned_on_is_used_for_all_kinds_of_its_topic() -> None:
    contact = Contact(choices={"deliveries": {"sms": True, "push": False}})
    for kind in KINDS.values():
        if kind.topic == "deliveries":
            assert uses(kind, "sms", contact)
            assert uses(kind, "push", contact)  # written down, and withheld


@given(CONTACTS, st.dates(date(2025, 1, 1), date(2027, 1, 1)), MOMENTS)
def test_a_reminder_comes_before_the_day_and_by_day(
    contact: Contact, due: date, now: datetime
) -> None:
    found = window(contact, due, now)
    midnight = datetime.combine(due, time(0), ZoneInfo(contact.time_zone))
    if found is None:
        assert contact.awake_from(now) >= midnight or midnight - timedelta(days=4) <= now
        return
    assert now <= found.begin < found.end == midnight
    assert not contact.is_quiet(found.begin)
