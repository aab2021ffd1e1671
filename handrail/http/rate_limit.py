"""Rate limits: how many requests a second each principal may make, by a token bucket.

The buckets are those of one process: behind a load balancer, a principal may make as many requests
as there are API processes times its rate. The header fields are `RateLimit` and `RateLimit-Policy`
of draft-ietf-httpapi-ratelimit-headers-10.

Source of the algorithm: GCRA, the generic cell rate algorithm of ITU-T I.371, which keeps a single
number for each bucket: the moment at which it is full again.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope, Send

from handrail.access.principal import Principal
from handrail.http.problems import Problem

BUCKETS: Final = 50_000
"""How many are kept; a bucket beyond is forgotten, longest unused first, and is full again."""


@dataclass(frozen=True)
class RatePolicy:
    """`name` is the policy's in the header fields. `seconds` of requests fit into the bucket.

    A rate of 0 is no limit.
    """

    name: str
    per_second: float
    seconds: float = 5.0

    @property
    def quota(self) -> int:
        """Requests that may come at the same moment, at least 1."""
        return max(1, math.floor(self.per_second * self.seconds))

    @property
    def field(self) -> str:
        """The value of `RateLimit-Policy`."""
        return f'"{self.name}";q={self.quota};w={math.ceil(self.quota / self.per_second)}'


@dataclass(frozen=True)
class Standing:
    """What is left of a bucket: requests that may come now, and seconds until there is another."""

    policy: RatePolicy
    remaining: int
    refilled_in: float

    @property
    def field(self) -> str:
        """The value of `RateLimit`."""
        return f'"{self.policy.name}";r={self.remaining};t={math.ceil(self.refilled_in)}'

    @property
    def headers(self) -> dict[str, str]:
        return {"RateLimit": self.field, "RateLimit-Policy": self.policy.field}


class RateLimiter:
    """Token buckets by policy and name. `clock` gives seconds that only grow."""

    def __init__(self, *, most: int = BUCKETS, clock: Callable[[], float] = monotonic) -> None:
        self._most = most
        self._clock = clock
        self._full_at = OrderedDict[tuple[str, str], float]()

    def take(self, policy: RatePolicy, name: str) -> Standing | None:
        """Takes a request out of the bucket of this name; None where the policy has no limit.

        Raises Problem where the bucket is empty.
        """
        if not policy.per_second:
            return None
        now, key, each = self._clock(), (policy.name, name), 1 / policy.per_second
        full_at = max(now, self._full_at.get(key, now)) + each
        room = policy.quota * each - (full_at - now)
        if room < -each * 1e-6:  # what floats lose is no request too many
            raise _too_many(Standing(policy, 0, -room), policy)
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return Standing(policy, math.floor(room / each + 1e-6), each)


def _too_many(standing: Standing, policy: RatePolicy) -> Problem:
    said = f"more than {policy.per_second:g} requests a second of the kind {policy.name}"
    again = max(1, math.ceil(standing.refilled_in))
    return Problem("too-many-requests", said, retry_after=again, headers=standing.headers)


_READING: Final = frozenset({"GET", "HEAD"})
FAILURES: Final = RatePolicy("sign-in", per_second=5, seconds=20)
"""Requests from one address whose credentials prove nothing: a guess is slow."""


class RateLimits:
    """The limits of an API process: `reads` and `writes` of each principal, and `failures` to sign
    in of each address. A principal of a development machine has none.
    """

    def __init__(
        self, reads: RatePolicy, writes: RatePolicy, failures: RatePolicy = FAILURES
    ) -> None:
        self._reads = reads
        self._writes = writes
        self._failures = failures
        self._limiter = RateLimiter()

    def taken(self, principal: Principal, scope: Scope, send: Send) -> Send:
        """Counts a request; what sends its answer adds the header fields.

        Raises Problem where there were too many.
        """
        if principal.kind == "development":
            return send
        policy = self._reads if scope["method"] in _READING else self._writes
        standing = self._limiter.take(policy, f"{principal.kind}:{principal.subject}")
        if standing is None:
            return send
        fields = standing.headers

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(fields)
            await send(message)

        return sent

    def failed(self, scope: Scope) -> None:
        """Counts a request whose credentials prove nothing. Raises Problem where there were too
        many of them from its address.
        """
        self._limiter.take(self._failures, (scope.get("client") or ("", 0))[0])


NO_LIMITS: Final = RateLimits(*(RatePolicy(name, 0) for name in ("read", "write", "sign-in")))
"""For an application without clients that could ask too much."""
