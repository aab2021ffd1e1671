"""A new intervention in many sagas: its form, and which sagas are meant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import orjson
from pydantic import ConfigDict, Field

from handrail import bounds
from handrail.http.api_examples import NEUTRAL
from handrail.http.idempotency import required_key
from handrail.http.named_models import named
from handrail.http.problems import Problem, at, in_header
from handrail.http.routes.interventions import HowToGoOn
from handrail.http.schemas import Asked, Cause, Id, Name, whole
from handrail.sagas.interventions import InterveneInMany, SagaFilter
from handrail.tenant_word import TENANT_FIELD

IN_MANY: Final = "POST /interventions"


class Filter(Asked):
    """The parked sagas that are meant: all that is given has to hold."""

    saga_type: Name | None = None
    step: Name | None = None
    failure: Cause | None = Field(default=None, description="A text within the cause, in any case.")
    tenant: Annotated[Id | None, TENANT_FIELD] = None
    older_than_seconds: Annotated[int, whole(bounds.SECONDS, strict=False)] | None = Field(
        default=None, description="Parked for at least so long."
    )

    def until(self, now: datetime) -> datetime | None:
        """When a saga was parked at the latest; None: at any time."""
        older = self.older_than_seconds
        return now - timedelta(seconds=older) if older else None

    def to_domain(self) -> SagaFilter:
        return SagaFilter(**self.model_dump(exclude_none=True))


class NewInterventionInMany(HowToGoOn):
    model_config = ConfigDict(json_schema_extra={"examples": [dict(NEUTRAL.retry_many)]})

    filter: Filter = Field(description="At least one of its members is needed.")
    per_second: Annotated[int, whole(bounds.PER_SECOND, strict=False)] = Field(
        default=10, description="How many sagas are told in a second at most."
    )
    dry_run: bool = Field(strict=True, description="Only look which sagas would be told.")

    def check(self) -> None:
        super().check()
        if not self.filter.model_dump(exclude_none=True):
            said = "say which sagas are meant, by at least one member"
            raise Problem("invalid-request", f"#/filter: {said}", [at("#/filter", said)])
        if self.kind == "correct" and self.filter.step is None:
            said = "a correction fits one kind of step: name it"
            raise Problem("invalid-request", f"#/filter/step: {said}", [at("#/filter/step", said)])

    def to_domain(self, id_: str, actor: str) -> InterveneInMany:
        return InterveneInMany(
            intervention=id_,
            which=self.filter.to_domain(),
            kind=self.kind,
            actor=actor,
            reason=self.reason,
            per_second=self.per_second,
            evidence=self.evidence or "",
            happened=self.happened,
            correction=orjson.dumps(self.correction).decode() if self.correction else "",
        )


def as_sent(body: Mapping[str, Any], tenant: str) -> dict[str, Any]:
    """What is stored of a proposal to intervene in many, as the request that is sent for it, where
    the App calls its tenant `tenant`. Raises ValidationError for what is no such body.
    """
    meant = named(NewInterventionInMany, tenant)
    kept = NewInterventionInMany.model_validate(body)
    which = dict(kept.filter.model_dump(exclude_none=True))
    if "tenant" in which:
        which[tenant] = which.pop("tenant")
    sent = {**kept.model_dump(mode="json", exclude_none=True), "filter": which}
    meant.model_validate(sent)
    return sent


def id_of(key: str | None) -> str:
    """The intervention's id, which is its Idempotency-Key; raises Problem where it cannot be."""
    id_ = required_key(key)
    if bounds.ID.wrong_with(id_):
        said = "it is the intervention's id: 1 to 64 letters, digits and _ . -"
        raise Problem(
            "malformed-header", f"Idempotency-Key: {said}", [in_header("Idempotency-Key", said)]
        )
    return id_
