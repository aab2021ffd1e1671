"""The logins of a stack's processes at its own PostgreSQL, with passwords of this run."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, make_url

from handrail.access.database_roles import OPERATOR
from handrail.eventstore.business_tables import roles_of
from handrail.eventstore.grants import set_passwords
from handrail.settings import Settings

if TYPE_CHECKING:
    from handrail.app import App


def of_a_stack(app: App, settings: Settings) -> dict[str, Any]:
    """What is learned from a database that was migrated: the operator's URL for commands, and each
    login's password.
    """
    names = [one.name for one in app.consumers]
    roles = roles_of(app.tables, names, settings.database_role_prefix)
    passwords = {role: secrets.token_urlsafe(24) for role in roles.logins}
    engine = create_engine(make_url(str(settings.owner_url)).set(drivername="postgresql+psycopg"))
    try:
        with engine.begin() as connection:
            set_passwords(connection, roles, passwords)
    finally:
        engine.dispose()
    known = tuple(f"{role}={password}" for role, password in passwords.items())
    knowing = settings.model_copy(update={"database_passwords": known})
    return {
        "database_url": knowing.database_url_of(OPERATOR),
        "database_passwords": known,
    }
