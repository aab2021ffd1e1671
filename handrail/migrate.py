"""Bring a database to what this code knows: the event store first, then the read models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import OperationalError

from handrail.access.database_roles import PREFIX
from handrail.eventstore.business_tables import roles_of
from handrail.eventstore.identity import NewTimeline, refused_in

if TYPE_CHECKING:
    from handrail.app import App

_log = structlog.get_logger(__name__)


def migrate(
    url: str,
    role: str,
    new_timeline: NewTimeline = "stop",
    *,
    app: App,
    prefix: str = PREFIX,
) -> None:
    """Safe to run again, and by several processes at once. The names of roles begin with `prefix`.

    Raises OtherStore where the server is not the one the store was on, and Dangerous where the role
    of a process may become more than it is.
    """
    # Alembic is slow to import, and most processes do not need it.
    from handrail.migrations import upgrade  # noqa: PLC0415
    from handrail.projections.install import install  # noqa: PLC0415

    roles = roles_of(app.tables, [one.name for one in app.consumers], prefix)
    done = upgrade(url, role, new_timeline=new_timeline, own=app.tables, roles=roles)
    if done:
        _log.info("database roles brought up to date", statements=len(done))
    others = ["relay", "lake", "webhooks", *(one.follower for one in app.consumers)]
    try:
        installed = install(url, role or None, app.read_models, others=others, roles=roles)
    except OperationalError as error:
        raise refused_in(error) or error from None
    for name in installed.being_built:
        _log.warning(
            "a new version is ready to be built", run=f"handrail projections rebuild {name}"
        )
    for name in installed.unknown:
        _log.warning(
            "nobody knows this follower of the feed, and it keeps the outbox from shrinking",
            name=name,
        )
