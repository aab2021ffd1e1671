"""WronglyDeclared: what an App refuses when it is made, and the check that no two have one name."""

from __future__ import annotations

from collections.abc import Iterable


class WronglyDeclared(ValueError):
    """The App holds a declaration that cannot work: change what the sentence names."""


def refuse_two(what: str, names: Iterable[str]) -> None:
    """Raises WronglyDeclared where two of these have one name."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise WronglyDeclared(f"two {what} are named {name}: rename one of them")
        seen.add(name)
