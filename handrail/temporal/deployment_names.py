"""What a worker deployment and its versions may be called: as Temporal and Kubernetes take it."""

from __future__ import annotations

import re
from typing import Final

_BUILD_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,62}")
_DEPLOYMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_/-]{0,127}")


def valid_build_id(value: str) -> str:
    """Raises ValueError for what cannot be the build id of a version."""
    if not _BUILD_ID.fullmatch(value):
        raise ValueError(
            "must look like 1.4.0 or 3f9c2ab: 1 to 63 letters, digits, '.', '_', '+' and '-'"
        )
    return value


def valid_deployment_name(value: str) -> str:
    """Raises ValueError for what cannot be the name of a deployment."""
    if not _DEPLOYMENT.fullmatch(value):
        raise ValueError("must be 1 to 128 letters, digits, '_', '-' and '/', without dots")
    return value
