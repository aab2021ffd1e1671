"""After a run by several processes: the files that took longest, each with its share of all.

Seconds of waiting count as those of work; and of tests side by side the first waits for all others.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

import pytest

SHOWN: Final = 8


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if not config.getoption("numprocesses", None):
        return
    seconds: defaultdict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.partition("::")[0]] += report.duration
    total = sum(seconds.values())
    terminalreporter.section(f"slowest files of {total:.0f} s")
    for file, took in sorted(seconds.items(), key=lambda one: -one[1])[:SHOWN]:
        terminalreporter.write_line(f"{took:6.1f} s {took / total:5.1%}  {file}")
