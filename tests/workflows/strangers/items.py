"""An item of an expedition: it is taken along, or it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from handrail.kernel import Command, Event
from tests.workflows.strangers.messages import CheckMap, PutBack, PutDown, Take, Taken


@dataclass(frozen=True)
class Item:
    taken: bool = False


def stream_id(message: Any) -> str:
    return f"{message.expedition}:{message.item}"


def decide(command: Command, item: Item) -> Sequence[Event]:
    match command:
        case CheckMap():
            return []
        case Take() if not item.taken:
            return [Taken(expedition=command.expedition, item=command.item)]
        case PutDown() if item.taken:
            return [PutBack(expedition=command.expedition, item=command.item)]
        case _:
            return []


def evolve(_: Item, event: Event) -> Item:
    return Item(taken=isinstance(event, Taken))
