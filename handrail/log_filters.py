"""Filters of the log: what libraries would write of messages, headers and addresses."""

from __future__ import annotations

import logging
import sysconfig
from typing import Final
from urllib.parse import urlsplit, urlunsplit

_OF_PYTHON: Final = sysconfig.get_path("stdlib") + "/"
_INSTALLED: Final = ("/site-packages/", "/dist-packages/")


def no_wire_dumps(record: logging.LogRecord) -> bool:
    """Drops debug lines of libraries: they have frames and headers in them as they are sent, with
    passwords and bodies. What comes by structlog is ours, wherever it is installed.
    """
    if record.levelno >= logging.INFO or isinstance(record.msg, dict):
        return True
    path = record.pathname
    return not (path.startswith(_OF_PYTHON) or any(one in path for one in _INSTALLED))


def no_query(record: logging.LogRecord) -> bool:
    """Takes query and login from the addresses in a line of httpx."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            _bare(str(one)) if hasattr(one, "copy_with") else one for one in record.args
        )
    return True


def _bare(address: str) -> str:
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
