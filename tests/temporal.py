"""Temporal as the shop uses it, for tests: how messages travel, and the workflows' sandbox."""

from typing import Final

from handrail.temporal.client import data_converter, sandbox
from runtime.app import HANDRAIL

DATA_CONVERTER: Final = data_converter(HANDRAIL.codec)
SANDBOX: Final = sandbox(HANDRAIL.packages)
