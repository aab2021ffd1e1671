"""The feed delivers every stored event once, and each stream in its order without gaps.

Both halves are needed: that the feed has each stored position once and in ascending order, and that
each stream's versions ascend without gaps along the positions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from handrail.verify.evidence import SagaEvidence
from handrail.verify.violations import Violation


def streams_without_gaps(evidence: SagaEvidence) -> Iterator[Violation]:
    yield from (Violation(text) for text in evidence.out_of_order)
    for stream in evidence.heads.keys() | evidence.versions.keys():
        expected, found = evidence.heads.get(stream, 0), evidence.versions.get(stream, 0)
        if expected != found:
            yield Violation(f"stream {stream}: at version {expected}, but {found} events")


def page_in_order(after: int, fed: Sequence[int], stored: Sequence[int]) -> Iterator[Violation]:
    """`fed` are the positions of one page of the feed, which begins behind `after`; `stored` are
    those of the events behind `after`, up to the last of the page.
    """
    times, before = Counter(fed), after
    for position in fed:
        if position <= before:
            yield Violation(f"event {position}: delivered again, or after event {before}")
        before = max(before, position)
    yield from (Violation(f"event {one}: delivered {n} times") for one, n in times.items() if n > 1)
    known = set(stored)
    yield from (Violation(f"event {one}: never delivered") for one in sorted(known - set(times)))
    yield from (
        Violation(f"event {one}: delivered, not stored")
        for one in sorted(set(times) - known)
        if one > after
    )
