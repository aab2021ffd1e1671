"""A Temporal development server for tests, on which workflows skip idle time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog
from temporalio.testing import WorkflowEnvironment

from handrail.dev.temporal import FLAGS, search_attributes, server_program

_STARTS: Final = 4
"""The SDK gives a server five seconds to answer, which a busy machine may not keep."""
_log = structlog.get_logger(__name__)


async def time_skipping_server(
    tenant_words: Sequence[str], flags: Sequence[str] = ()
) -> WorkflowEnvironment:
    """A server with the search attributes of Apps that call their tenants so; `flags` are more of
    its options. Raises RuntimeError where it does not start.
    """
    attributes = search_attributes(*tenant_words)

    async def started() -> WorkflowEnvironment:
        return await WorkflowEnvironment.start_time_skipping_v2(
            dev_server_existing_path=server_program(),
            dev_server_extra_args=[*FLAGS, *flags],
            dev_server_log_level="error",
            search_attributes=attributes,
        )

    for start in range(1, _STARTS):
        try:
            return await started()
        except RuntimeError as error:
            _log.warning("Temporal did not start in time", start=start, error=str(error))
    return await started()
