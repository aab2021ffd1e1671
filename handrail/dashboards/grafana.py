"""Grafana dashboards as values: panels with queries of Prometheus, and the JSON that Grafana reads.

`docs/observability.md` says how they are written and shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["timeseries", "stat", "table"]
_COLUMNS: Final = 3
_WIDTH, _HEIGHT = 24 // _COLUMNS, 8
_SCHEMA: Final = 41
"""Of the JSON model of Grafana 12."""
_SOURCE: Final[Mapping[str, str]] = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Query:
    """`expression` is PromQL; `legend` names a series by its labels, `{{type}}`."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """`unit` is Grafana's: `s`, `short`, `reqps`, `bytes`. `says` is what to read from it, and what
    to do.
    """

    title: str
    says: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: Kind = "timeseries"


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """`uid` is its address, and the name of its file."""

    uid: str
    title: str
    panels: Sequence[Panel]

    def queries(self) -> Sequence[str]:
        return [one.expression for panel in self.panels for one in panel.queries]

    def as_json(self) -> Mapping[str, Any]:
        return {
            "uid": self.uid,
            "title": self.title,
            "tags": ["handrail"],
            "schemaVersion": _SCHEMA,
            "version": 1,
            "editable": False,
            "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "utc",
            "templating": {"list": [_DATA_SOURCES]},
            "panels": [_panel(number, panel) for number, panel in enumerate(self.panels)],
        }


_DATA_SOURCES: Final = {
    "name": "datasource",
    "label": "Prometheus",
    "type": "datasource",
    "query": "prometheus",
    "current": {},
    "hide": 0,
}


def _panel(number: int, panel: Panel) -> Mapping[str, Any]:
    row, column = divmod(number, _COLUMNS)
    return {
        "id": number + 1,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": _SOURCE,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}}
        if panel.kind == "timeseries"
        else {},
        "targets": [
            {
                "refId": chr(ord("A") + nth),
                "datasource": _SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend or "__auto",
                "range": True,
            }
            for nth, query in enumerate(panel.queries)
        ],
    }
