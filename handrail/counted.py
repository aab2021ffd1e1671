"""A number and its noun in the singular or plural, as a command prints it."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """`1 saga`, `2 sagas`: for nouns whose plural ends with s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
