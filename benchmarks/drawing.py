"""Plots as SVG, the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.chapters import Bars, OverTime

_OURS: Final = "#1f6fb2"
_OTHERS: Final = "#9aa7b4"
_INK: Final = "#24303c"
_FAINT: Final = "#dde3e8"
_LINES: Final = ("#1f6fb2", "#c2571a", "#3f8f4f")
_STYLE: Final[Any] = {
    "svg.hashsalt": "handrail",  # else ids are random
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_WIDTH: Final = 7.2  # inches
_BAR: Final = 0.42  # inches


def draw(plot: Bars | OverTime, figures: Mapping[str, Any]) -> str:
    """Raises KeyError for a figure that was not measured."""
    with mpl.rc_context(_STYLE):
        if isinstance(plot, Bars):
            values = {label: float(figures[name]) for name, label in plot.labels.items()}
            return _svg(_bars(values, plot.unit))
        return _svg(_over_time(figures["over_time"], plot.labels))


def _bars(values: Mapping[str, float], unit: str) -> Figure:
    figure = Figure(figsize=(_WIDTH, 0.5 + _BAR * len(values)), layout="constrained")
    axes = figure.subplots()
    colours = [_OURS if label.startswith("Handrail") else _OTHERS for label in values]
    bars = axes.barh(list(values), list(values.values()), color=colours, height=0.66)
    axes.bar_label(bars, labels=[_short(value) for value in values.values()], padding=4)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.margins(x=0.12)
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([])
    _open(axes, "left")
    return figure


def _over_time(series: Mapping[str, Sequence[float]], labels: Mapping[str, str]) -> Figure:
    figure = Figure(figsize=(_WIDTH, 4.2), layout="constrained")
    memory, done = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    minutes = series["minutes"]
    for colour, (name, label) in zip(_LINES, labels.items(), strict=True):
        memory.plot(minutes, series[f"{name}_mb"], color=colour, linewidth=1.6, label=label)
    memory.legend(loc="lower left", ncols=len(labels), frameon=False)
    memory.set_ylabel("MB")
    done.plot(minutes, series["done_per_s"], color=_LINES[0], linewidth=1.6)
    done.set_ylabel("decisions/s")
    done.set_xlabel("minutes")
    done.set_xlim(0, minutes[-1])
    for axes in (memory, done):
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=_FAINT)
        axes.set_axisbelow(True)
        _open(axes, "left", "bottom")
    return figure


def _open(axes: Axes, *kept: str) -> None:
    for side, spine in axes.spines.items():
        spine.set_visible(side in kept)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _svg(figure: Figure) -> str:
    written = StringIO()
    figure.savefig(written, format="svg", facecolor="white", metadata={"Date": None})
    lines = written.getvalue().splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)
