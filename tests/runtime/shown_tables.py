"""Every table that a command prints, with what it might have to say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console

from handrail.access.key_records import KeyRecord
from handrail.cli import (
    blame,
    consumers,
    contract_diff,
    contract_readers,
    deploy_commands,
    events,
    explain,
    figure_tables,
    keys,
    lake_output,
    levels,
    notification_commands,
    projection_commands,
    saga_tables,
    topology_commands,
    webhook_endpoints,
)
from handrail.cli import (
    relay_commands as relay_tables,
)
from handrail.eventstore.subscriptions.lag import Lag
from handrail.eventstore.write_levels import Announced
from handrail.evolution.forms import Form
from handrail.lake.questions import Answer
from handrail.messaging.broker.federation_status import Fed
from handrail.messaging.consumers import progress
from handrail.messaging.contracts.diff import EventDiff, Verdict
from handrail.messaging.contracts.event_readers import EventReaders
from handrail.messaging.contracts.form_readers import FormReader
from handrail.messaging.contracts.schema_changes import SchemaChange
from handrail.messaging.relay.parked_messages import ParkedStream
from handrail.messaging.relay.republishing import ComesAgain
from handrail.notifications import operations
from handrail.processes import relay
from handrail.temporal.deployments import Deployment, State, Version
from handrail.verify.proof import Findings, Proof, show
from runtime.app import HANDRAIL
from runtime.demo import run
from runtime.verify.verification import NAMES

SAGAS, CONSUMERS, READ_MODELS = (
    HANDRAIL.saga_types,
    HANDRAIL.consumers,
    HANDRAIL.read_model_names,
)
NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
IDS = ("ord-1", f"collect-plan-{'0193a7c2-7d0f-7bb1-8a3e-1f2c3d4e5f60'}-12", "m" * 64, "s" * 76)
CAUSE = (
    "no definite answer [/bookings/ord-1: HTTP 503 upstream-connect-error-or-disconnect] after 12"
    " tries of AuthoriseDownPayment; 拒否されました"
)
MONEY = {"amount": 123_456_789_00, "currency": "EUR"}
MANY = 12_345_678


def event(id_: str) -> dict[str, Any]:
    return {
        "id": f"saga-{id_}/12",
        "type": "CompensationStarted",
        "position": MANY,
        "recorded_at": NOW.isoformat(),
        "metadata": {
            "actor": "service:shop-frontend for person:bert",
            "step": "AuthoriseDownPayment",
        },
    }


def blamed() -> dict[str, Any]:
    by = {
        "id": f"saga-{IDS[1]}/12",
        "type": "CompensationStarted",
        "recorded_at": NOW.isoformat(),
        "actor": "person:ann",
        "reason": CAUSE,
    }
    return {
        "fields": [
            {"field": "status", "value": "compensating", "set_by": by},
            {"field": "lines", "value": [MONEY, MONEY], "set_by": None},
        ]
    }


def saga(id_: str) -> dict[str, Any]:
    return {
        "saga": id_,
        "saga_type": "CollectInstalment",
        "status": "compensating",
        "because": "stock_unavailable",
        "step": "AuthoriseDownPayment",
        "attempt": 3,
        "started_at": NOW.isoformat(),
        "parked_since": NOW.isoformat(),
        "at_stake": MONEY,
        "cause": CAUSE,
        "seconds": 4000,
        "said": CAUSE,
        "waiting": [],
        "timeline": [
            {
                "at": NOW.isoformat(),
                "what": "InterventionFinished",
                "step": "AuthoriseDownPayment",
                "direction": "undo",
                "outcome": "compensated",
                "actor": "somebody-with-a-long-login-name@shop.example",
                "cause": CAUSE,
                "reason": "the bank has confirmed it by telephone",
                "evidence": "https://tickets.example/OPS-4711",
                "correction": "",
            }
        ],
    }


def figures(name: str) -> dict[str, Any]:
    took = {"count": MANY, "p50": 0.123, "p95": 86_400.0 * 12}
    counts = ("done", "refused", "failed", "unknown", "compensated", "parked", "parked_now")
    return {
        "saga_type": name,
        "started": MANY,
        "ended": {"completed": MANY, "refused": MANY, "compensated": MANY},
        "parked": MANY,
        "oldest_parked_seconds": 90_000.0,
        "steps": [{"step": "AuthoriseDownPayment", **dict.fromkeys(counts, MANY)}],
        "decision": took,
        "completion": took,
        "compensation": took,
        "turned_back": {"AuthoriseDownPayment": MANY, "ReserveStock": MANY, "HoldCredit": MANY},
        "interventions": {"compensate": MANY, "resolve": MANY},
    }


def standing(name: str) -> progress.Standing:
    return progress.Standing(name, 16, 1_000_000, 16, NOW, [], [], [])


def proof() -> Proof:
    wrong = Findings(12, [f"{id_}: {CAUSE}" for id_ in IDS], 3, [CAUSE])
    return Proof(dict.fromkeys(NAMES, wrong), events=MANY, sagas=MANY)


def an_answer() -> Answer:
    """With more columns than there is room for, as `SELECT * FROM events` has."""
    columns = ["position", "stream", "recorded_on", "percent", *(f"column_{n}" for n in range(9))]
    rows = [
        (
            MANY,
            id_,
            date(2026, 3, 1),
            Decimal("12.5"),
            *([CAUSE] * 4),
            *([None, True, MANY, "x", 1]),
        )
        for id_ in IDS
    ]
    return Answer(columns, rows)


Print = Callable[[Console], Any]


def key(name: str) -> KeyRecord:
    return KeyRecord(
        id="k7d4k2m9qabcd",
        name=name,
        roles=("operator", "approver"),
        tenant="merchant-4711",
        created_at=NOW,
        created_by="handrail",
        expires_at=NOW,
        replaces=None,
        last_used_at=NOW,
        revoked_at=None,
        revoked_by=None,
        revoked_because=None,
        secret_hash=bytes(32),
    )


def a_deployment() -> Deployment:
    def version(build_id: str, state: State, workers: int) -> Version:
        return Version(
            build_id=build_id,
            state=state,
            percent=12.5 if state == "ramping" else 0,
            running=MANY,
            parked=MANY,
            workers=workers,
            created_at=NOW,
        )

    return Deployment(
        name="handrail",
        versions=(
            version("2026.11.30-3f9c2ab7d1e0", "ramping", 12),
            version("1.4.0", "draining", 12),
            version("1.3.9", "draining", 0),
            version("1.3.8", "drained", 0),
        ),
        unversioned_running=MANY,
        unversioned_workers=3,
        changed_by="somebody with handrail deploy",
    )


def show_deployment(to: Console) -> None:
    deploy_commands.table_of(a_deployment()).print(to)
    for line in deploy_commands.remarks(a_deployment()):
        to.print(line, markup=False)


def an_endpoint(id_: str) -> dict[str, Any]:
    return {
        "endpoint": id_,
        "merchant": "m-1",
        "url": "https://hooks.example.org/handrail",
        "state": "active",
        "failing_since": NOW.isoformat(),
        "last_problem": CAUSE,
        "state_because": "registered",
        "waiting": MANY,
        "parked": MANY,
    }


def a_delivery(id_: str) -> dict[str, Any]:
    return {
        "delivery": id_,
        "type": "ordering.OrderConfirmed.v1",
        "stream": IDS[1],
        "version": 12,
        "state": "parked",
        "attempts": MANY,
        "last_attempt_at": NOW.isoformat(),
        "problem": CAUSE,
    }


SHOWN: dict[str, Print] = {
    "handrail.cli.webhook_endpoints.endpoint_table": lambda to: webhook_endpoints.endpoint_table(
        "merchant", [an_endpoint(one) for one in IDS]
    ).print(to),
    "handrail.cli.webhook_endpoints.delivery_table": lambda to: webhook_endpoints.delivery_table(
        [a_delivery(one) for one in IDS]
    ).print(to),
    "handrail.cli.deploy_commands.table_of": show_deployment,
    "handrail.cli.keys.key_table": lambda to: keys.key_table([key(name) for name in IDS]).print(to),
    "handrail.cli.blame.table_of": lambda to: blame.table_of(blamed()).print(to),
    "handrail.cli.events.table_of": lambda to: events.table_of(
        [event(one) for one in IDS[:3]]
    ).print(to),
    "handrail.cli.saga_tables.show_sagas": lambda to: saga_tables.show_sagas(
        to, [saga(one) for one in IDS]
    ),
    "handrail.cli.saga_tables.show_saga": lambda to: saga_tables.show_saga(to, saga(IDS[1])),
    "handrail.cli.saga_tables.show_dry_run": lambda to: saga_tables.show_dry_run(
        to, {"sagas": [saga(one) for one in IDS], "at_stake": [MONEY], "count": MANY}
    ),
    "handrail.cli.saga_tables.show_items": lambda to: saga_tables.show_items(
        to, [{**saga(one), "status": "unreachable"} for one in IDS]
    ),
    "handrail.cli.figure_tables._table": lambda to: figure_tables.show_figures(
        to, [figures(name) for name in SAGAS]
    ),
    "handrail.cli.contract_diff.table_of": lambda to: contract_diff.table_of(
        [
            EventDiff(
                "ApplicationIncomplete",
                "settlement",
                "ApplicationIncomplete.v1",
                "ApplicationIncomplete.v2",
                verdict,
                [SchemaChange(CAUSE, backward=True, forward=False)],
                "lifted from ApplicationIncomplete.v1, and not lowered to it",
                EventReaders(
                    tuple(one.name for one in CONSUMERS), ("merchant_account",), ("instalments",)
                ),
            )
            for verdict in Verdict
        ]
    ).print(to),
    "handrail.cli.contract_readers.table_of_readers": lambda to: contract_readers.table_of_readers(
        [
            contract_readers.FormShown(
                Form("ApplicationIncomplete", version),
                f"settlement.ApplicationIncomplete.v{version}",
                version > 1,
                ["finance/finance.ledger", "commerce/another-team.everything"] if version else [],
                [FormReader(Form("ApplicationIncomplete", version), "old/queue", NOW, NOW)],
            )
            for version in (3, 2, 1, 0)
        ]
    ).print(to),
    "handrail.cli.explain.list_types": lambda to: explain.list_types(to, SAGAS),
    "handrail.cli.explain._table": lambda to: explain.explain_type(
        to, SAGAS["Checkout"], as_mermaid=False
    ),
    "handrail.cli.explain.explain_type": lambda to: [
        explain.explain_type(to, one, as_mermaid=False) for one in SAGAS.values()
    ],
    "handrail.cli.consumers.table_of": lambda to: consumers.table_of(
        CONSUMERS, {one.name: (MANY, MANY) for one in CONSUMERS}
    ).print(to),
    "handrail.messaging.consumers.progress.table_of": lambda to: progress.table_of(
        [standing(one.name) for one in CONSUMERS], CONSUMERS
    ).print(to),
    "handrail.cli.notification_commands.table_of": lambda to: notification_commands.table_of(
        [operations.Standing("transactional", MANY, float(MANY), MANY, MANY)]
    ).print(to),
    "handrail.cli.relay_commands.table_of": lambda to: relay_tables.table_of(
        [Lag("relay", MANY, float(MANY), 0, MANY, 16)]
    ).print(to),
    "handrail.cli.projection_commands.table_of": lambda to: projection_commands.table_of(
        [Lag(name, MANY, float(MANY), 0, MANY) for name in READ_MODELS]
    ).print(to),
    "handrail.processes.relay.table_of_parked": lambda to: relay.table_of_parked(
        [ParkedStream("unknown", f"merchant-{one}", MANY, CAUSE, NOW) for one in IDS[:3]]
    ).print(to),
    "handrail.processes.relay.table_of_repeated": lambda to: relay.table_of_repeated(
        [ComesAgain(one.name, MANY, 1) for one in CONSUMERS]
    ).print(to),
    "handrail.cli.topology_commands.table_of": lambda to: topology_commands.table_of(
        [Fed("notifications", "handrail.parcels", CAUSE, (), MANY, MANY, MANY)]
    ).print(to),
    "handrail.verify.proof.show": lambda to: show(proof(), to),
    "runtime.demo.run.table_of_endings": lambda to: run.table_of_endings([saga(IDS[1])]).print(to),
    "runtime.demo.run.table_of_timeline": lambda to: run.table_of_timeline(saga(IDS[1])).print(to),
    "handrail.cli.levels.table_of_levels": lambda to: levels.table_of_levels(some_levels()).print(
        to
    ),
    "handrail.cli.lake_output.table_of": lambda to: lake_output.table_of(an_answer(), None).print(
        to
    ),
}


def some_levels() -> list[levels.LevelShown]:
    worker = Announced("host-1:4711:8a2f33c1", "worker", {}, "2026.11", NOW)
    return [
        levels.LevelShown(Form("CreditHeld", 2), Form("CreditHeld", 1), None, "", [worker, worker]),
        levels.LevelShown(Form("LimitSet", 3), Form("LimitSet", 3), NOW, str(worker), []),
    ]
