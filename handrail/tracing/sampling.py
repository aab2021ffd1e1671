"""Which traces are sampled: as `OTEL_TRACES_SAMPLER` says, and a batch where one of its events is.

Needs the extra `otel`.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace import sampling
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes


class LinkedSampler(sampling.Sampler):
    """The decision of another sampler, but for a span without a parent that has links: it is
    sampled where one of the spans is that it links to.
    """

    def __init__(self, otherwise: sampling.Sampler) -> None:
        self._otherwise = otherwise

    def should_sample(  # noqa: PLR0917  # as OpenTelemetry has it
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> sampling.SamplingResult:
        decides = self._otherwise
        if links and not get_current_span(parent_context).get_span_context().is_valid:
            sampled = any(link.context.trace_flags.sampled for link in links)
            decides = sampling.ALWAYS_ON if sampled else sampling.ALWAYS_OFF
        return decides.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        return f"Linked{{{self._otherwise.get_description()}}}"


def sampler() -> sampling.Sampler:
    """As the environment says, whose variables were checked before."""
    return LinkedSampler(sampling._get_from_env_or_default())  # noqa: SLF001  # it has no public name
