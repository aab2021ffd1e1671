"""The figures of sagas as Prometheus reads them.

They come whole from the read model, so any process may be asked, and a restart changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Final, get_args

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from handrail.projections.saga_figures import BUCKETS, LABELS, Figures, Timed
from handrail.sagas.events import Ending

_COUNTERS: Final = {
    "started": ("handrail_sagas_started", "Sagas that began."),
    "attempts": ("handrail_saga_attempts", "Attempts at a saga beyond its first."),
    "ended": ("handrail_sagas_ended", "Sagas that came to their end."),
    "turned_back": ("handrail_sagas_turned_back", "Sagas that were taken back, by what did it."),
    "steps": ("handrail_saga_steps", "Steps by how they went."),
    "parked": ("handrail_sagas_parked", "Times that a step was parked."),
    "interventions": ("handrail_saga_interventions", "Parked steps that a person let go on."),
}
_GAUGES: Final = {
    "standing": ("handrail_sagas", "Sagas by how they stand."),
    "at_stake": ("handrail_sagas_at_stake_minor_units", "Money in question until they end."),
    "waiting": ("handrail_sagas_parked", "Steps that are parked now."),
    "awaiting": ("handrail_sagas_awaiting", "Sagas in which an answer is awaited now."),
}
_TIMED: Final[dict[Timed, str]] = {
    "decision": "Time from a saga's beginning to its decision.",
    "completion": "Time from a saga's beginning until it was completed.",
    "compensation": "Time from a saga's beginning until all of it was taken back.",
}
_ZERO: Final[Mapping[str, Sequence[tuple[str, ...]]]] = {
    "attempts": [()],
    "ended": [(one,) for one in get_args(Ending)],
    "awaiting": [()],
}
"""A series that begins at zero shows its first increase, too."""


class SagaMetrics(Collector):
    """Empty until `show` was called."""

    def __init__(self) -> None:
        self._figures = Figures({}, {})

    def show(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        for figure, (name, meaning) in _COUNTERS.items():
            yield self._filled(CounterMetricFamily(name, meaning, labels=_labels(figure)), figure)
        for figure, (name, meaning) in _GAUGES.items():
            yield self._filled(GaugeMetricFamily(name, meaning, labels=_labels(figure)), figure)
        yield self._oldest()
        for timed, meaning in _TIMED.items():
            yield self._histogram(timed, meaning)

    def _filled(
        self, family: CounterMetricFamily | GaugeMetricFamily, figure: str
    ) -> CounterMetricFamily | GaugeMetricFamily:
        samples = {
            (kind, *labels): 0 for kind in self._figures.types for labels in _ZERO.get(figure, [])
        }
        samples |= {
            key[1]: total for key, total in self._figures.totals.items() if key[0] == figure
        }
        for labels, total in sorted(samples.items()):
            family.add_metric(labels, total)
        return family

    def _oldest(self) -> GaugeMetricFamily:
        meaning = "How long the saga has been parked that was parked first; 0 where none is."
        family = GaugeMetricFamily("handrail_saga_parked_oldest_seconds", meaning, labels=["type"])
        for kind in self._figures.types:
            since = self._figures.oldest_parked.get(kind)
            age = (datetime.now(UTC) - since).total_seconds() if since else 0.0
            family.add_metric([kind], max(age, 0.0))
        return family

    def _histogram(self, timed: Timed, meaning: str) -> HistogramMetricFamily:
        name = f"handrail_saga_{timed}_seconds"
        family = HistogramMetricFamily(name, meaning, labels=["type"])
        for kind in self._figures.types:
            counts = self._figures.buckets(kind, timed)
            reached = zip(BUCKETS, accumulate(counts), strict=True)
            seconds = self._figures.seconds(kind, timed)
            family.add_metric([kind], [(le, float(count)) for le, count in reached], seconds)
        return family


def _labels(figure: str) -> list[str]:
    return ["type", *LABELS[figure]]
