"""The laws of an App's changes as a test of one line.

def test_changes_go_both_ways() -> None:
    changes_go_both_ways(HANDRAIL)
"""

from __future__ import annotations

from handrail.app import App
from handrail.messaging.contracts.change_laws import broken_laws


def changes_go_both_ways(app: App, *, cases: int = 300, seed: int = 0) -> None:
    """Raises AssertionError, which names each change that loses what it does not declare, or that
    an older form cannot be made or read with. `cases` messages are tried on each.
    """
    broken = broken_laws(app.codec, cases=cases, seed=seed)
    assert not broken, "\n".join(broken)
