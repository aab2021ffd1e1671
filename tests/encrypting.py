"""The test world with payloads that are encrypted at Temporal, under a key ring of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from temporalio.client import Client, WorkflowHistory

from handrail.temporal.client import data_converter
from handrail.temporal.payload_encryption import ENCODING, KEY_ID, PayloadEncryption
from handrail.temporal.payload_keys import KeyRing, begin_ring
from handrail.testing.running_saga import Running
from runtime.app import HANDRAIL
from tests.world import World


def a_ring(folder: Path, name: str = "keys.json") -> Path:
    path = folder / name
    begin_ring(path)
    return path


def encrypting(client: Client, ring: Path) -> Client:
    """The client of another process, whose payloads are encrypted under the ring."""
    config = client.config()
    encryption = PayloadEncryption(KeyRing(ring), client.namespace)
    config["data_converter"] = data_converter(HANDRAIL.codec, encryption)
    return Client(**config)


def beside(world: World, ring: Path) -> World:
    """The same world, with task queues of its own."""
    return replace(world.elsewhere(), client=encrypting(world.client, ring))


def with_ring(world: World, ring: Path) -> World:
    """The same world and task queues, in a process with another ring."""
    return replace(world, client=encrypting(world.client, ring))


def encryption_at(world: World) -> PayloadEncryption:
    found = world.client.data_converter.payload_codec
    assert isinstance(found, PayloadEncryption)
    return found


async def history_of(saga: Running) -> WorkflowHistory:
    return await saga.handle.fetch_history()


def everything_in(history: WorkflowHistory) -> bytes:
    return b"".join(event.SerializeToString() for event in history.events)


def clear_in(history: WorkflowHistory, text: str) -> set[str]:
    """The kinds of events that hold the text in clear."""
    wanted = text.encode()
    return {
        str(one.WhichOneof("attributes"))
        for one in history.events
        if wanted in one.SerializeToString()
    }


def keys_of(history: WorkflowHistory) -> set[str]:
    """The ids of the keys that its payloads are encrypted under."""
    stored = everything_in(history)
    assert ENCODING in stored
    found = set()
    for part in stored.split(KEY_ID.encode())[1:]:
        # A map's entry: the tag of its value, a length, the value.
        found.add(part[2 : 2 + part[1]].decode())
    return found
