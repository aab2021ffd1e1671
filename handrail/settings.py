"""Every setting of the library: an environment variable each, checked before anything starts."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    create_model,
)
from pydantic_settings import NoDecode

from handrail.access.settings import AccessSettings
from handrail.connection_settings import ConnectionSettings, mistakes, with_certificates
from handrail.console.settings import ConsoleSettings
from handrail.database_settings import DatabaseSettings
from handrail.messaging.broker.settings import BrokerSettings
from handrail.notifications.settings import NotificationSettings
from handrail.refused_settings import BAD_SETTINGS, require, variable
from handrail.release_settings import ReleaseSettings
from handrail.secret_files import (
    FILE,
    BadSecretFile,
    SecretFile,
    given_as_files,
    read_secret,
    secret_of,
    secrets_of,
)
from handrail.setting_types import (
    PREFIX,
    Hosts,
    HttpUrl,
    Origins,
    Port,
    PostgresUrl,
    Seconds,
    Unset,
    listed,
)
from handrail.temporal.settings import TemporalSettings
from handrail.webhook_endpoints.settings import WebhookEndpointSettings

__all__ = ["APP_VARIABLE", "Settings", "SettingsT", "load", "require", "with_contexts"]

APP_VARIABLE: Final = "HANDRAIL_APP"
"""Names the App, and is no setting: it says which settings there are."""


SettingsT = TypeVar("SettingsT", bound="Settings")


class Settings(
    NotificationSettings,
    WebhookEndpointSettings,
    AccessSettings,
    ConsoleSettings,
    DatabaseSettings,
    BrokerSettings,
    TemporalSettings,
    ConnectionSettings,
    ReleaseSettings,
):
    """Those of the library. An app adds its own in a subclass, which it names in its App."""

    personal_fields: Literal["sealed", "clear"] = Field(
        default="sealed",
        description="How personal fields are stored from now on. `clear` is for the time in which "
        "processes run that cannot open sealed ones yet. See `versioning.md`.",
    )
    subject_keys_file: Annotated[
        Path | None, Unset, secret_of("api", "worker", "notifier", "dispatcher")
    ] = Field(
        default=None,
        description="The file with the keys that wrap the keys of subjects, for its owner "
        "alone. Workers, the API and notifiers need it where the App declares personal fields. "
        "Unset: `handrail up` makes `subject-keys` in `HANDRAIL_DATA_DIR`. "
        "See `personal-data.md`.",
    )
    keys_database_url: Annotated[
        PostgresUrl | None, Unset, secret_of("api", "worker", "notifier", "dispatcher", "migrate")
    ] = Field(
        default=None,
        repr=False,
        description="Where the keys of subjects are. Unset: in the database of the events, which "
        "is for development: a dump of it holds the keys too.",
    )
    subject_keys_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=60,
        description="How long a process keeps a subject's key in memory: an erasure is honoured "
        "by all after so many seconds.",
    )
    webhook_tolerance_seconds: Seconds = Field(
        default=300, description="How far a webhook's timestamp may be from now, either way."
    )
    webhook_target_url: Annotated[HttpUrl | None, Unset] = Field(
        default=None,
        description="Where simulators send webhooks: the API's address. Unset: they send none.",
    )
    api_host: str = Field(
        default="127.0.0.1", min_length=1, description="The interface the API listens on."
    )
    api_port: Port = Field(
        default=8080, description="The port the API listens on. 0: one that is free."
    )
    api_hosts: Hosts = Field(
        default=(),
        description="The names under which clients reach the API, comma-separated, without port; "
        "another Host is answered 421. Unset: those of the loopback where it listens there, else "
        "any.",
    )
    api_origins: Origins = Field(
        default=(),
        description="Pages of other sites that may send changes, `https://desk.example`, "
        "comma-separated. Others are answered 403.",
    )
    api_connections: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=900,
        description="How many connections an HTTP server keeps open; those beyond are answered "
        "503. The process needs as many file descriptors, and some more.",
    )
    api_receive_seconds: Annotated[Seconds, Field(le=3600)] = Field(
        default=20,
        description="How long a request may take to arrive, headers and body; then it is "
        "answered 408 and its connection closed.",
    )
    api_keep_alive_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        default=5, description="How many seconds an idle connection is kept for another request."
    )
    api_stalled_seconds: Annotated[Seconds, Field(le=3600)] = Field(
        default=60, description="How long a client may not read its answer before it is cut off."
    )
    event_streams: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=500, description="How many streams of live events an API process keeps open."
    )
    event_streams_per_client: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=100, description="How many of them one client may have, by its address."
    )
    api_reads_per_second: Annotated[float, Field(ge=0, le=1_000_000)] = Field(
        default=200,
        description="How many GET requests a second each principal may make of an API process, on "
        "average over 5 seconds; those beyond are answered 429. 0: any number.",
    )
    api_writes_per_second: Annotated[float, Field(ge=0, le=1_000_000)] = Field(
        default=100, description="The same for requests that may change something."
    )
    api_waiting_requests: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=500,
        description="How many requests an API process lets wait for a decision (`Prefer: wait`); "
        "those beyond are answered 202 at once.",
    )
    as_of_events: Annotated[int, Field(ge=100, le=1_000_000)] = Field(
        default=20_000,
        description="How many events one point-in-time read (`as_of`) folds; a longer history is "
        "answered 503, and the next request goes on from there.",
    )
    api_url: Annotated[HttpUrl | None, Unset] = Field(
        default=None,
        description="Where operators' commands find the API. "
        "Unset: that of the stack that runs on `HANDRAIL_DATA_DIR`.",
    )
    data_dir: Path = Field(
        default=Path("var"),
        description="Where the embedded servers keep their data, and the processes their logs.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least level that is logged."
    )
    log_format: Literal["console", "json"] = Field(
        default="console", description="Logs for people, or one JSON object a line."
    )
    step_placement: Literal["local", "queues"] = Field(
        default="local",
        description="Where steps on our own PostgreSQL run: beside their saga, or each on the "
        "task queue of its context. It is read when a saga starts.",
    )
    first_try_seconds: Annotated[float, Field(ge=0)] = Field(
        default=1,
        description="How long a local step that asks another company is tried beside its saga, "
        "before it is tried on its task queue under the same key. 0: not at all.",
    )
    step_deadline_seconds: Seconds = Field(
        default=30, description="How long a step before the pivot is tried."
    )
    step_patience_seconds: Seconds = Field(
        default=300, description="How long a step after the pivot is tried before the saga parks."
    )
    keys_kept_seconds: Annotated[float, Field(ge=0)] = Field(
        default=82_800,
        description="How long other companies keep an idempotency key, with a margin. What gave "
        "no answer for longer is not asked again: an operator looks it up, and resolves it. "
        "0: for ever.",
    )
    task_queue_prefix: str = Field(
        default="", description="Put before every task queue: tells apart who shares a namespace."
    )
    worker_contexts: Annotated[tuple[str, ...] | None, NoDecode, BeforeValidator(listed)] = Field(
        default=None,
        description="The task queues a worker serves, comma-separated: `sagas` and contexts.",
    )
    projector_poll_ms: Annotated[int, Field(gt=0)] = Field(
        default=25, description="How often an idle projector looks for events."
    )
    lake_dir: Annotated[Path | None, Unset] = Field(
        default=None,
        description="The folder of the data lake. Unset: `lake` in `HANDRAIL_DATA_DIR`.",
    )
    lake_seconds: Seconds = Field(
        default=30, description="How long events are gathered before they go to the lake."
    )
    consumer_patience_seconds: Seconds = Field(
        default=300,
        description="How long an event may take through the broker before its consumer takes it "
        "from the store.",
    )
    metrics_port: Annotated[Port | None, Unset] = Field(
        default=None,
        description="Where a process without an HTTP API serves its metrics. Unset: nowhere.",
    )
    metrics_host: str = Field(
        default="127.0.0.1", min_length=1, description="The interface that metrics are served on."
    )
    shutdown_seconds: Seconds = Field(
        default=10, description="How long a process may take to finish its work when told to end."
    )
    ready_file: Annotated[Path | None, Unset] = Field(
        default=None, description="A file that a process writes when it is ready to serve."
    )

    @property
    def lake_folder(self) -> Path:
        return self.lake_dir or self.data_dir / "lake"

    def current(self, name: str) -> Any:
        """A setting as of now: a secret that was given as a file may have changed since."""
        found = super().current(name)
        return _completed_value(self, name, found) if name in self._files else found

    def known_to(
        self,
        process: str,
        *,
        user: str | None = None,
        login: str | None = None,
        more: Collection[str] = (),
    ) -> Self:
        """What a process receives: of the secrets only its own, as they are declared by
        `handrail.secret_files.secret_of`, and those in `more`.

        `process` is the kind of process, "worker"; `user` who it is at the broker, `login` its role
        at the database.
        """
        model = type(self)
        kept = {name for name, ours in secrets_of(model).items() if process in ours} | set(more)
        dropped = [name for name in secrets_of(model) if name not in kept]
        # A certificate is of no use without its key, and refused.
        alone = [name.replace("_key_file", "_cert_file") for name in dropped]
        changes: dict[str, Any] = {
            name: model.model_fields[name].get_default(call_default_factory=True)
            for name in {*dropped, *alone}
            if name in model.model_fields
        }
        if "broker_url" in kept and user is not None:
            changes["broker_url"] = self.broker_url_of(user)
        if "database_url" in kept and login is not None:
            changes["database_url"] = self.database_url_of(login)
        return self._changed(changes)

    def as_process(self, role: str | None) -> Self:
        """What a process of this role may know of the database. None: nothing."""
        return self._changed(
            {
                "database_url": self.database_url_of(role) if role else None,
                "migration_database_url": None,
                "database_passwords": (),
            }
        )

    def _changed(self, changes: Mapping[str, Any]) -> Self:
        """A copy; what differs is not read from its file again."""
        found = self.model_copy(update=changes)
        found._files = {  # noqa: SLF001  # its own class
            name: file
            for name, file in self._files.items()
            if getattr(found, name) == getattr(self, name)
        }
        return found

    def environment(self) -> dict[str, str]:
        """The variables that give a child process these settings."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        said = {
            variable(name): _as_text(value)
            for name, value in found.items()
            # Secrets in any case: else a child would inherit what it should not know.
            if (value is not None or name in secrets_of(type(self))) and name != "ready_file"
        }
        for name, file in self._files.items():
            said |= {variable(name): "", variable(name) + FILE: str(file.path.absolute())}
        return said


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def with_contexts(settings: type[SettingsT], contexts: Sequence[str]) -> type[SettingsT]:
    """The same settings for an app with these contexts: a worker serves some of them, or all."""

    def are_known(value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(value) - set(contexts)):
            raise ValueError(f"{', '.join(unknown)}: not one of {', '.join(contexts)}")
        if not value:
            raise ValueError(f"must name at least one of {', '.join(contexts)}")
        return value

    some = Annotated[tuple[str, ...], NoDecode, BeforeValidator(listed), AfterValidator(are_known)]
    description = settings.model_fields["worker_contexts"].description
    field = Field(default=tuple(contexts), description=description)
    return create_model(settings.__name__, __base__=settings, worker_contexts=(some, field))


def load(settings: type[SettingsT]) -> SettingsT:
    """The settings of this process, or its end with one line for each that is wrong."""
    _warn_of_unknown(settings, os.environ)
    files, wrong = given_as_files(secrets_of(settings), PREFIX, os.environ)
    values: dict[str, Any] = {}
    for name, path in files.items():
        try:
            values[name] = read_secret(path)
        except BadSecretFile as bad:
            wrong[variable(name) + FILE] = str(bad)
    try:
        loaded = settings(**values)
    except ValidationError as error:
        for problem in error.errors():
            field = str(problem["loc"][0]) if problem["loc"] else ""
            ending = FILE if field in files else ""
            wrong[variable(field) + ending] = problem["msg"].removeprefix("Value error, ")
    else:
        wrong |= {variable(name): said for name, said in mistakes(dict(loaded))}
    for name, said in wrong.items():
        print(f"{name}: {said}", file=sys.stderr)
    if wrong:
        raise SystemExit(BAD_SETTINGS)
    completed = loaded.model_copy(
        update={
            name: _completed_value(loaded, name, getattr(loaded, name)) for name in _URLS_OF_STORE
        }
    )
    completed._files = {  # noqa: SLF001  # the class is of this module
        name: SecretFile(path, settings.model_fields[name], getattr(loaded, name))
        for name, path in files.items()
    }
    return completed


_URLS_OF_STORE: Final = ("database_url", "migration_database_url")


def _completed_value(settings: Settings, name: str, value: Any) -> Any:
    """A URL of PostgreSQL with the files of the settings; anything else as it is."""
    if name not in _URLS_OF_STORE or value is None:
        return value
    return with_certificates(
        value, settings.database_ca_file, settings.database_cert_file, settings.database_key_file
    )


def _warn_of_unknown(settings: type[Settings], environment: Mapping[str, str]) -> None:
    files = [variable(name) + FILE for name in secrets_of(settings) if not name.endswith("_file")]
    known = [*map(variable, settings.model_fields), *files, APP_VARIABLE]
    for name in sorted(set(environment) - set(known)):
        if name.startswith(PREFIX):
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            print(f"{name}: there is no such setting{hint}", file=sys.stderr)
