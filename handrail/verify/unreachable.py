"""A store or a company does not answer, so nothing can be proven."""

from __future__ import annotations


class Unreachable(Exception):
    """The message is one line: what does not answer, and what to look at."""
