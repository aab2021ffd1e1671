"""What operators see of a saga in Temporal: search attributes, and a timeline in Markdown."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from handrail.sagas.options import RunOptions, SagaIdentity
from handrail.tenant_word import search_attribute

SAGA_TYPE: Final = SearchAttributeKey.for_keyword("SagaType")
SAGA_STATUS: Final = SearchAttributeKey.for_keyword("SagaStatus")
SAGA_STEP: Final = SearchAttributeKey.for_keyword("SagaStep")
FAILURE_CODE: Final = SearchAttributeKey.for_keyword("FailureCode")
PARKED_SINCE: Final = SearchAttributeKey.for_datetime("ParkedSince")


def tenant_key(word: str) -> SearchAttributeKey[str]:
    """The search attribute of the tenant, where the App calls it so."""
    return SearchAttributeKey.for_keyword(search_attribute(word))


def begun_as(saga_type: str, tenant: str, options: RunOptions) -> TypedSearchAttributes:
    """The search attributes of a saga from the moment it is started, before it has run at all."""
    pairs = [
        SearchAttributePair(SAGA_TYPE, saga_type),
        SearchAttributePair(SAGA_STATUS, "running"),
    ]
    if tenant:
        pairs.append(SearchAttributePair(tenant_key(options.tenant_word), tenant))
    return TypedSearchAttributes(pairs)


def failure_code(cause: str) -> str:
    """The kind of a failure, without its words: search attributes are stored in clear."""
    return cause.partition(":")[0][:100]


@dataclass
class Timeline:
    identity: SagaIdentity
    tenant_word: str
    _status: str = "running"
    _rows: list[str] = field(default_factory=list)
    _found: bool = False

    def show(self, status: str, *, step: str, failure: str, parked_since: datetime | None) -> None:
        """Each call is one event of the workflow's history: only for what somebody searches."""
        changes: list[Any] = [
            SAGA_STATUS.value_set(status),
            SAGA_STEP.value_set(step) if step else SAGA_STEP.value_unset(),
            FAILURE_CODE.value_set(failure_code(failure))
            if failure
            else FAILURE_CODE.value_unset(),
            PARKED_SINCE.value_set(parked_since) if parked_since else PARKED_SINCE.value_unset(),
        ]
        if not self._found:
            self._found = True
            changes.append(SAGA_TYPE.value_set(self.identity.saga_type))
            if self.identity.tenant:
                tenant = tenant_key(self.tenant_word)
                changes.append(tenant.value_set(self.identity.tenant))
        workflow.upsert_search_attributes(changes)
        self._status = status
        self._refresh()

    def add(self, started: datetime, step: str, direction: str, what: str) -> None:
        took = round((workflow.now() - started).total_seconds() * 1000)
        name = step if direction == "do" else f"{step} (undo)"
        outcome = what.replace("|", "\\|").replace("\n", " ")
        self._rows.append(f"| {started:%H:%M:%S} | {name} | {outcome} | {took} ms |")
        self._refresh()

    def _refresh(self) -> None:
        """A table, newest last; the last 40 rows, because Temporal keeps 20 KB."""
        head = f"**{self._status}**\n\n| at (UTC) | step | outcome | took |\n|---|---|---|---|\n"
        workflow.set_current_details(head + "\n".join(self._rows[-40:]))
