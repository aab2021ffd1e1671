"""The settings of the database: where it is, and as which login a process comes."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import AfterValidator, Field

from handrail.access.database_roles import PREFIX, DatabaseRoles
from handrail.secret_files import secret_of
from handrail.setting_types import Logins, PostgresUrl, SettingsPart, Unset

_OF_STORE: Final = (
    *("api", "worker", "projector", "notifier", "relay", "consumer", "lake", "dispatcher"),
)


def _prefix(value: str) -> str:
    DatabaseRoles(prefix=value)
    return value


class DatabaseSettings(SettingsPart):
    """Part of the library's settings."""

    database_url: Annotated[PostgresUrl | None, Unset, secret_of(*_OF_STORE, "migrate")] = Field(
        default=None,
        repr=False,
        description="Where the events are, with the login of the process that reads this. "
        "Unset: an embedded PostgreSQL in `HANDRAIL_DATA_DIR`. See `database.md`.",
    )
    migration_database_url: Annotated[PostgresUrl | None, Unset, secret_of("migrate")] = Field(
        default=None,
        repr=False,
        description="The same database as its owner, for migrations. Unset: the database URL.",
    )
    database_passwords: Annotated[Logins, secret_of()] = Field(
        default=(),
        repr=False,
        description="The passwords of the processes' logins, `role=password`, comma-separated, "
        "such as `worker=…`. To start everything: it gives each process its own.",
    )
    database_role_prefix: Annotated[str, AfterValidator(_prefix)] = Field(
        default=PREFIX,
        description="What the names of the processes' roles begin with, as in `handrail_worker`. "
        "Several businesses on one server have different ones.",
    )
    database_role: str = Field(
        default="handrail_app",
        description="The role that processes switch to which log in as the owner. One with a "
        "login of its own stays what it is. Empty: none switches.",
    )
    new_timeline: Literal["stop", "adopt"] = Field(
        default="stop",
        description="What processes do where a standby was promoted: wait for an operator, or go "
        "on by themselves, which is for clusters whose standbys miss no commit. See `restore.md`.",
    )
    synchronous_commit: Annotated[
        Literal["local", "on", "remote_write", "remote_apply"] | None, Unset
    ] = Field(
        default=None,
        description="How far a commit must have come before it is one. Unset: as the server says, "
        "but never `off`. See `restore.md`.",
    )

    @property
    def owner_url(self) -> str | None:
        return self.migration_database_url or self.database_url

    def database_url_of(self, role: str) -> str | None:
        """With the login of this role where its password is known, else as it was given."""
        passwords = dict(one.split("=", 1) for one in self.database_passwords)
        if self.database_url is None or role not in passwords:
            return self.database_url
        parts = urlsplit(self.database_url)
        _, _, address = parts.netloc.rpartition("@")
        user = DatabaseRoles(prefix=self.database_role_prefix).name(role)
        login = f"{user}:{quote(passwords[role], safe='')}"
        return urlunsplit(parts._replace(netloc=f"{login}@{address}"))
