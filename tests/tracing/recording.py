"""Spans of this process, kept in memory as they would be exported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider, sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from handrail.tracing.local_trees import LocalTrees
from handrail.tracing.sampling import LinkedSampler


@contextmanager
def recording(sampler: sampling.Sampler = sampling.DEFAULT_ON) -> Iterator[InMemorySpanExporter]:
    """As a process records that has an exporter, as long as the block lasts."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(sampler=LinkedSampler(sampler), shutdown_on_exit=False)
    provider.add_span_processor(LocalTrees(SimpleSpanProcessor(kept)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(trace, "_TRACER_PROVIDER", provider)
        yield kept
