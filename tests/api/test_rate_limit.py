"""Each principal makes so many requests a second, and no more."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.http.problems import Problem
from handrail.http.rate_limit import RateLimiter, RateLimits, RatePolicy
from tests.api.callers import Callers, caller, signed_in
from tests.api.conftest import House
from tests.api.shop import problem

WRITES = RatePolicy("write", per_second=2, seconds=5)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def taken(limiter: RateLimiter, name: str, policy: RatePolicy = WRITES) -> bool:
    try:
        limiter.take(policy, name)
    except Problem:
        return False
    return True


def test_a_full_bucket_holds_its_quota() -> None:
    limiter = RateLimiter(clock=Clock())
    assert [taken(limiter, "anna") for _ in range(11)] == [True] * 10 + [False]


def test_the_fields_say_what_is_left() -> None:
    clock = Clock()
    limiter = RateLimiter(clock=clock)
    standing = limiter.take(WRITES, "anna")
    assert standing is not None
    assert standing.headers == {
        "RateLimit": '"write";r=9;t=1',
        "RateLimit-Policy": '"write";q=10;w=5',
    }


def test_an_empty_bucket_says_when_to_come_again() -> None:
    limiter = RateLimiter(clock=Clock())
    for _ in range(10):
        limiter.take(WRITES, "anna")
    with pytest.raises(Problem) as refused:
        limiter.take(WRITES, "anna")
    assert refused.value.slug == "too-many-requests"
    assert refused.value.retry_after == 1
    assert refused.value.headers["RateLimit"] == '"write";r=0;t=1'


def test_the_bucket_of_another_is_not_touched() -> None:
    limiter = RateLimiter(clock=Clock())
    while taken(limiter, "anna"):
        pass
    assert taken(limiter, "ben")
    assert taken(limiter, "anna", RatePolicy("read", per_second=1))


def test_a_refused_request_costs_nothing() -> None:
    clock = Clock()
    limiter = RateLimiter(clock=clock)
    while taken(limiter, "anna"):
        pass
    for _ in range(100):
        assert not taken(limiter, "anna")
    clock.now += 0.5
    assert [taken(limiter, "anna") for _ in range(2)] == [True, False]


def test_a_rate_of_0_is_no_limit() -> None:
    limiter = RateLimiter(clock=Clock())
    assert limiter.take(RatePolicy("read", per_second=0), "anna") is None


def test_the_number_of_buckets_is_bounded() -> None:
    limiter = RateLimiter(most=3, clock=Clock())
    while taken(limiter, "anna"):
        pass
    for name in ("ben", "carl", "dora"):
        taken(limiter, name)
    assert taken(limiter, "anna"), "the longest unused bucket is forgotten"


@given(
    rate=st.floats(min_value=0.1, max_value=1000),
    seconds=st.floats(min_value=0.1, max_value=60),
    waits=st.lists(st.floats(min_value=0, max_value=5), max_size=200),
)
def test_no_span_has_more_requests_than_quota_and_rate_allow(
    rate: float, seconds: float, waits: list[float]
) -> None:
    policy, clock = RatePolicy("write", rate, seconds), Clock()
    limiter = RateLimiter(clock=clock)
    came: list[float] = []
    for wait in waits:
        clock.now += wait
        if taken(limiter, "anna", policy):
            came.append(clock.now)
    for first in range(len(came)):
        span = came[-1] - came[first]
        assert len(came) - first <= policy.quota + span * rate + 1e-3


KNOWN = Callers({"rita": caller("rita", "reader"), "olaf": caller("olaf", "operator")})
SLOW = RatePolicy("read", per_second=0.01, seconds=200)
"""Two requests, and the next one after 100 seconds."""


async def _statuses(api: httpx.AsyncClient, word: str, number: int) -> list[int]:
    return [
        (await api.get("/sagas/none", headers=signed_in(word))).status_code for _ in range(number)
    ]


async def test_a_principal_beyond_its_rate_is_refused_and_others_are_not(house: House) -> None:
    limits = RateLimits(SLOW, RatePolicy("write", 0), RatePolicy("sign-in", 0))
    async with house.api(authentication=KNOWN, bounds={"rates": limits}) as api:
        assert await _statuses(api, "rita", 3) == [404, 404, 429]
        refused = await api.get("/sagas/none", headers=signed_in("rita"))
        problem(refused, 429, "too-many-requests")
        assert refused.headers["RateLimit"] == '"read";r=0;t=100'
        assert int(refused.headers["Retry-After"]) in {99, 100}
        first = await api.get("/sagas/none", headers=signed_in("olaf"))
        assert first.status_code == 404
        assert first.headers["RateLimit"] == '"read";r=1;t=100'
        assert first.headers["RateLimit-Policy"] == '"read";q=2;w=200'
        retry = await api.post("/webhooks/bank/none/retry", headers=signed_in("rita"))
        assert retry.status_code in {403, 404}, "writes have a bucket of their own"


async def test_a_guess_at_credentials_is_slow(house: House) -> None:
    limits = RateLimits(RatePolicy("read", 0), RatePolicy("write", 0), SLOW)
    async with house.api(authentication=KNOWN, bounds={"rates": limits}) as api:
        assert await _statuses(api, "guess", 3) == [401, 401, 429]
        assert await _statuses(api, "rita", 1) == [404], "a known caller is not locked out"


async def test_a_public_route_and_a_development_machine_have_no_limit(house: House) -> None:
    limits = RateLimits(SLOW, SLOW, SLOW)
    async with house.api(authentication=KNOWN, bounds={"rates": limits}) as api:
        assert {(await api.get("/healthz")).status_code for _ in range(5)} == {200}
    async with house.api(bounds={"rates": limits}) as api:
        assert await _statuses(api, "any", 5) == [404] * 5
