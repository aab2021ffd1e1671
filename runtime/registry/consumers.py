"""The consumers of the App, for what does not take them as a parameter yet."""

from __future__ import annotations

from typing import Final

from handrail.app import UnknownConsumer
from runtime.app import HANDRAIL

__all__ = ["CONSUMERS", "UnknownConsumer", "consumer_named"]

CONSUMERS: Final = HANDRAIL.consumers
consumer_named: Final = HANDRAIL.consumer
