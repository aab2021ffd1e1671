"""Everything on one machine: brought up in order, taken down in reverse, killed on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import structlog

from handrail.dev.confined_postgres import ConfinedPostgres
from handrail.dev.lock import StackLock
from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.rabbitmq import EmbeddedRabbitMQ
from handrail.dev.supervisor import ComponentEnded, FailedToStart, Service, free_port
from handrail.dev.temporal import EmbeddedTemporal
from handrail.migrate import migrate
from handrail.settings import Settings
from handrail.simulators.simulator import Simulator
from handrail.webhook_signatures import new_secret

if TYPE_CHECKING:
    from handrail.app import App

# What knows the events is imported where it is used: every command imports this module.
# ruff: noqa: PLC0415

_log = structlog.get_logger("handrail")

State = Literal["starting", "ready", "stopped"]
Progress = Callable[[str, State], None]
Component = EmbeddedPostgres | EmbeddedTemporal | EmbeddedRabbitMQ | Service

_ADDRESSES = (
    "database_url",
    "migration_database_url",
    "database_passwords",
    "temporal_address",
    "temporal_ui_url",
    "broker_url",
    "broker_management_url",
    "broker_bindings_url",
    "broker_operator_url",
    "broker_operator_management_url",
    "broker_ui_url",
    "broker_passwords",
)
"""Of the servers; those of simulated companies are what the App says."""
_TEMPORAL_PORT, _TEMPORAL_UI_PORT = 7233, 8233


def has_provider(app: App, settings: Settings) -> bool:
    """Whether notifiers can send: the provider's address is set, or the App simulates it."""
    return settings.provider_url is not None or "provider_url" in app.addresses_of("notifier")


class Stack:
    """What the settings give an address for is used; everything else is started.

    Each handle can be killed and started again: `postgres`, `temporal`, `rabbitmq`, `workers`,
    `projectors`, `notifiers`, `relays`, `consumers`, `api`, and `simulators` by their names. The
    first three are None when they are somebody else's; a company that is, or that only notifiers
    would ask where there are none, has no simulator. A broker is only started where it is asked
    for: without one, consumers are fed by the store, and there is no relay.
    """

    def __init__(
        self,
        app: App,
        settings: Settings,
        *,
        data_dir: Path | None = None,
        workers: int = 1,
        projectors: int = 1,
        notifiers: int = 0,
        dispatchers: int = 0,
        consumers: bool = False,
        broker: bool = False,
        api: bool = True,
        simulators: bool = True,
        temporal_ui: bool = True,
        progress: Progress = lambda _component, _state: None,
    ) -> None:
        self.data_dir = (data_dir or settings.data_dir).resolve()
        self.app = app
        # Its workers have no version: none would be promoted, and no saga be begun.
        self.settings = settings.model_copy(update={"data_dir": self.data_dir, "build_id": None})
        if settings.auth is None and settings.auth_issuer is None:
            self._learned(auth="development")
            _log.warning("every caller may do everything, for no HANDRAIL_AUTH is set")
        self.postgres: EmbeddedPostgres | None = None
        self.temporal: EmbeddedTemporal | None = None
        self.rabbitmq: EmbeddedRabbitMQ | None = None
        self.simulators: dict[str, Service] = {}
        self.workers: list[Service] = []
        self.projectors: list[Service] = []
        self.notifiers: list[Service] = []
        self.dispatchers: list[Service] = []
        self.relays: list[Service] = []
        self.consumers: list[Service] = []
        self.api: Service | None = None
        self._wanted = (workers, projectors, api)
        self._notifiers, self._dispatchers = notifiers, dispatchers
        self._consumers, self._broker = consumers, broker
        self._simulated = [
            one
            for one in (app.simulators if simulators else ())
            if getattr(settings, one.address) is None and (notifiers or one.asked_by != "notifier")
        ]
        self._temporal_ui = temporal_ui
        self._progress = progress
        self._lock = StackLock(self.data_dir)
        self._rebuilding: asyncio.Task[None] | None = None

    @property
    def api_url(self) -> str:
        host = self.settings.api_host
        host = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104  # any
        scheme = "https" if self.settings.api_tls_cert_file else "http"
        return f"{scheme}://{host}:{self.settings.api_port}"

    @property
    def console(self) -> str:
        """Where operators look and act, or what is missing for that."""
        if find_spec("jinja2") is None:
            return "not installed; pip install 'handrail[console]'"
        return f"{self.api_url}/console"

    @property
    def sign_in(self) -> str:
        """How callers of the API sign in, for people."""
        ways = {
            "development": "none, every caller may do everything alone (HANDRAIL_AUTH=development)",
            "keys": "API keys: handrail keys create",
        }
        return ways.get(self.settings.auth or "oidc", f"tokens of {self.settings.auth_issuer}")

    @property
    def database_url(self) -> str:
        """As its owner, where the stack has started it."""
        if self.settings.migration_database_url and self.postgres:
            return self.settings.migration_database_url
        return self._known("database_url")

    @property
    def temporal_address(self) -> str:
        return self._known("temporal_address")

    @property
    def temporal_ui_url(self) -> str | None:
        return self.settings.temporal_ui_url

    def address_of(self, company: str) -> str:
        """The URL of a company, simulated or not. `company` is the name of its simulator."""
        [address] = [one.address for one in self.app.simulators if one.name == company]
        return self._known(address)

    async def __aenter__(self) -> Self:
        self._lock.acquire()
        try:
            self._claim_api_port()
            self._make_key_file()
            await _together(self._start_database(), self._start_temporal(), self._start_broker())
            await _together(*self._start_processes())
            self._begin_rebuilding()
            self._lock.describe(
                {"api_url": self.api_url}
                | {
                    name: value
                    for name in (*_ADDRESSES, *(one.address for one in self.app.simulators))
                    if (value := getattr(self.settings, name)) not in {None, ()}
                }
            )
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    def _begin_rebuilding(self) -> None:
        """Builds read models anew that are requested at the API: it lacks the login for that."""
        from handrail.access.database_roles import DatabaseRoles
        from handrail.projections.rebuild_requested import keep_rebuilding

        *_, api = self._wanted
        if api and self.settings.owner_url:
            roles = DatabaseRoles(prefix=self.settings.database_role_prefix)
            role = self.settings.database_role or None
            self._rebuilding = asyncio.create_task(
                keep_rebuilding(self.settings.owner_url, role, self.app.read_models, roles)
            )

    async def watch(self) -> None:
        """Returns never; raises when a part of the stack ends on its own."""
        while True:
            for name, component in self._components():
                if not component.running:
                    raise ComponentEnded(name, component.log_tail())
            await asyncio.sleep(0.2)

    def _known(self, name: str) -> str:
        value = getattr(self.settings, name)
        if value is None:
            raise RuntimeError(f"the stack has no {name}: it was neither given nor started")
        return str(value)

    def _learned(self, **addresses: Any) -> None:
        self.settings = self.settings.model_copy(update=addresses)

    def _claim_api_port(self) -> None:
        asked = self.settings.api_port
        port = free_port(asked)
        if asked not in {0, port}:
            raise FailedToStart("api", f"cannot have port {asked}: set HANDRAIL_API_PORT (0: any)")
        self._learned(api_port=port)

    def _make_key_file(self) -> None:
        """For personal texts, those that people write to sagas included, where there is none."""
        if self.settings.subject_keys_file is None:
            from handrail.subject_keys.key_file import make

            file = self.data_dir / "subject-keys"
            make(file)
            self._learned(subject_keys_file=file)

    async def _start_database(self) -> None:
        if self.settings.database_url is None:
            self.postgres = ConfinedPostgres(self.data_dir / "postgres")
            await self._start("postgres", self.postgres.start)
            self._learned(migration_database_url=self.postgres.url, database_url=self.postgres.url)
        await self._start("migrations", self._migrate)
        if self.postgres:
            from handrail.dev import database_logins

            logins = await asyncio.to_thread(database_logins.of_a_stack, self.app, self.settings)
            self._learned(**logins)

    async def _migrate(self) -> None:
        try:
            await asyncio.to_thread(
                migrate,
                str(self.settings.owner_url),
                self.settings.database_role,
                self.settings.new_timeline,
                app=self.app,
                prefix=self.settings.database_role_prefix,
            )
        except Exception as error:
            raise FailedToStart("migrations", f"failed: {error}") from error

    async def _start_temporal(self) -> None:
        if self.settings.temporal_address is not None:
            return
        self.temporal = EmbeddedTemporal(
            self.data_dir / "temporal",
            namespace=self.settings.temporal_namespace,
            port=free_port(_TEMPORAL_PORT),
            ui_port=free_port(_TEMPORAL_UI_PORT),
            ui=self._temporal_ui,
            tenant=self.app.tenant,
        )
        await self._start("temporal", self.temporal.start)
        self._learned(temporal_address=self.temporal.address)
        if self.settings.temporal_ui_url is None:
            self._learned(temporal_ui_url=self.temporal.ui_url)

    async def _start_broker(self) -> None:
        if self._broker and self.settings.broker_url is None:
            self.rabbitmq = EmbeddedRabbitMQ(self.data_dir / "rabbitmq")
            await self._start("rabbitmq", self.rabbitmq.start)
            from handrail.dev import broker_users
            from handrail.messaging.broker.topology import topology

            users = topology(self.app.routing, self.app.consumers, operator=True).users
            self._learned(**broker_users.addresses(self.rabbitmq, users))
        if self.settings.broker_url and self.settings.broker_management_url:
            from handrail.dev.broker_topology import establish

            await self._start("topology", lambda: establish(self.app, self.settings))

    def _start_processes(self) -> list[Coroutine[Any, Any, None]]:
        self._let_simulators_tell()
        for simulator in self._simulated:
            self.simulators[simulator.name] = self._simulator(simulator)
        workers, projectors, api = self._wanted
        self.workers = [
            self._service(f"worker-{number}", "worker", metrics=number - 1)
            for number in range(1, workers + 1)
        ]
        self.projectors = [
            self._service(f"projector-{number}", "projector", metrics=workers + number - 1)
            for number in range(1, projectors + 1)
        ]
        self.notifiers = [
            self._service(
                f"notifier-{number}", "notifier", metrics=workers + projectors + number - 1
            )
            for number in range(1, self._notifiers + 1)
        ]
        others = workers + projectors + self._notifiers
        self.dispatchers = [
            self._service(f"dispatcher-{number}", "dispatcher", metrics=others + number - 1)
            for number in range(1, self._dispatchers + 1)
        ]
        if self._consumers:
            self._begin_messaging(metrics=others + self._dispatchers)
        self.api = self._service("api", "api") if api else None
        return [self._start(service.name, service.start) for service in self._services()]

    def _begin_messaging(self, metrics: int) -> None:
        from handrail.dev.broker_users import PUBLISHING, consuming

        if self.settings.broker_url:
            self.relays = [self._service("relay-1", "relay", metrics=metrics, user=PUBLISHING)]
        self.consumers = [
            self._service(f"consumer-{name}", "consumer", name, metrics=number, user=user)
            for number, (name, user) in enumerate(
                consuming(self.app.consumers).items(), metrics + 1
            )
        ]

    def _let_simulators_tell(self) -> None:
        """Secrets of this run for what only its own processes sign and verify."""
        telling = [one for one in self._simulated if one.secrets]
        _, _, api = self._wanted
        if api and telling and self.settings.webhook_target_url is None:
            self._learned(webhook_target_url=self.api_url)
        for one in telling:
            known = getattr(self.settings, one.secrets)
            self._learned(**{one.secrets: known or (new_secret(),)})

    def _simulator(self, simulator: Simulator) -> Service:
        name, port = simulator.name, free_port()
        self._learned(**{simulator.address: f"http://127.0.0.1:{port}"})
        ledger = self.data_dir / f"{name}.ledger"
        return self._service(
            name,
            *(name, "--port", str(port), "--ledger", str(ledger)),
            secrets=[simulator.secrets] if simulator.secrets else [],
        )

    def _service(
        self,
        name: str,
        *arguments: str,
        metrics: int | None = None,
        user: str | None = None,
        secrets: Sequence[str] = (),
    ) -> Service:
        """`user` is who it is at the broker, where it has to do with that; `secrets` are those that
        it receives beside the ones declared for its kind. At the database it has a login of its
        own.
        """
        port = self.settings.metrics_port
        port = None if port is None or metrics is None else port + metrics if port else 0
        login = ":".join(arguments[:2])
        settings = self.settings.known_to(
            arguments[0], user=user, login=login, more=secrets
        ).model_copy(update={"metrics_port": port})
        return Service(
            name,
            arguments,
            folder=self.data_dir,
            environment=settings.environment(),
            stop_seconds=settings.shutdown_seconds,
        )

    async def _start(self, name: str, start: Callable[[], Awaitable[object]]) -> None:
        self._progress(name, "starting")
        await start()
        self._progress(name, "ready")

    def _services(self) -> list[Service]:
        messaging = [*self.notifiers, *self.dispatchers, *self.relays, *self.consumers]
        own = [*self.workers, *self.projectors, *messaging, self.api]
        return [service for service in (*self.simulators.values(), *own) if service is not None]

    def _components(self) -> list[tuple[str, Component]]:
        servers: list[tuple[str, Component | None]] = [
            ("postgres", self.postgres),
            ("temporal", self.temporal),
            ("rabbitmq", self.rabbitmq),
        ]
        return [
            *((name, server) for name, server in servers if server is not None),
            *((service.name, service) for service in self._services()),
        ]

    async def _stop(self) -> None:
        """Whoever asks for work goes first, whoever is asked goes last."""
        if self._rebuilding is not None:
            self._rebuilding.cancel()
            await asyncio.wait({self._rebuilding})
        simulators = self.simulators.keys()
        services = [each for each in self._components() if isinstance(each[1], Service)]
        rounds: Sequence[list[tuple[str, Component]]] = (
            [each for each in services if each[0] == "api"],
            [each for each in services if each[0] not in {*simulators, "api"}],
            [each for each in services if each[0] in simulators],
            [each for each in self._components() if each[0] in {"temporal", "rabbitmq"}],
            [each for each in self._components() if each[0] == "postgres"],
        )
        for round_ in rounds:
            await _together(*(self._stop_one(name, component) for name, component in round_))
        self._lock.release()

    async def _stop_one(self, name: str, component: Component) -> None:
        if component.running:
            await component.stop()
            self._progress(name, "stopped")


async def _together(*work: Coroutine[Any, Any, None]) -> None:
    """All at once; the first failure ends the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
