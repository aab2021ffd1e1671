"""Matplotlib charts as inline SVG, coloured by the style sheet of the page around them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, Final
from xml.etree import ElementTree as ET

from matplotlib import style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from handrail.lake.cells import plain

WIDTH: Final = 860
"""Of every chart; a unit is a point, and the page scales it."""
COLOURS: Final = 8
"""How many colours the style sheet has for series, `c0` and so on."""
SHADES: Final = 8
"""How many shades it has from the newest cohort, `v0`, to the oldest."""
_LETTER: Final = 7.5
"""About the width of a letter."""
_LONGEST: Final = 32
"""Letters of a name that are shown; its tooltip has all of them."""

_VARIABLES: Final = (
    "ink",
    "soft",
    "panel",
    "grid",
    *(f"c{number}" for number in range(COLOURS)),
    *(f"v{number}" for number in range(SHADES)),
)
_MARKERS: Final = {name: f"#{0xA0_00_01 + index:06x}" for index, name in enumerate(_VARIABLES)}
"""The colour that Matplotlib draws with for each variable of the style sheet, and that is replaced
by the variable afterwards: so one chart is light and dark.
"""
_OF_MARKER: Final = {marker: f"var(--{name})" for name, marker in _MARKERS.items()}
_MARKER: Final = re.compile("|".join(_OF_MARKER))
_SVG: Final = "{http://www.w3.org/2000/svg}"
_LINK: Final = "{http://www.w3.org/1999/xlink}href"
_TIP: Final = "tip"


def colour(variable: str) -> str:
    """What to draw with for a variable of the style sheet. Raises KeyError where it has none."""
    return _MARKERS[variable]


_STYLE: Final[Any] = {
    "svg.hashsalt": "handrail",  # else ids are random
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # names come from elsewhere, and may have a $
    "figure.dpi": 72,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.size": 12,
    "text.color": colour("soft"),
    "axes.edgecolor": colour("soft"),
    "axes.labelcolor": colour("soft"),
    "axes.axisbelow": True,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.spines.bottom": False,
    "xtick.color": colour("soft"),
    "ytick.color": colour("soft"),
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 8,
    "grid.color": colour("grid"),
    "patch.linewidth": 0,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Chart:
    """A figure with one pair of axes, and the tooltips of what is drawn on them."""

    name: str
    """Begins the ids of its elements, so that charts of one page have none in common."""
    title: str
    figure: Figure
    axes: Axes
    _tips: list[str] = field(default_factory=list)

    def tip(self, artist: Artist, text: str) -> None:
        """Shown where the mouse rests on it."""
        artist.set_gid(f"{_TIP}-{len(self._tips)}")
        self._tips.append(printable(text))

    def dot(self, x: float, y: float, variable: str, text: str, size: float = 6.4) -> None:
        [dot] = self.axes.plot(
            [x], [y], "o", markersize=size, color=colour(variable), markeredgewidth=0
        )
        dot.set_clip_on(False)
        self.tip(dot, text)

    def note(
        self, x: float, y: float, text: str, *, variable: str = "ink", bold: bool = True
    ) -> None:
        """Text to the right of a place, for which the axes keep room themselves."""
        self.axes.annotate(
            short(text),
            (x, y),
            (7, 0),
            textcoords="offset points",
            va="center",
            color=colour(variable),
            fontweight="bold" if bold else "normal",
            annotation_clip=False,
        ).set_in_layout(False)

    def legend(self, names: Sequence[str]) -> None:
        """The colours `c0` and so on, with names above the axes."""
        patches = [Patch(facecolor=colour(f"c{number}")) for number in range(len(names))]
        numbers = [str(number) for number in range(len(names))]
        room = 48 + _LETTER * max(len(short(name)) for name in names)
        legend = self.figure.legend(
            patches,
            numbers,
            loc="outside upper left",
            ncols=max(1, min(len(names), int(WIDTH // room))),
            handlelength=1,
        )
        # Afterwards: as a label, a name that begins with "_" would be left out.
        for text, name in zip(legend.get_texts(), names, strict=True):
            text.set_text(short(name))
            self.tip(text, name)

    def scale(self, axis: str, high: float, *, room: float, integer: bool = False) -> None:
        """From 0 to `high`, and `room` times as far, with round steps and lines across."""
        along = self.axes.xaxis if axis == "x" else self.axes.yaxis
        along.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=integer))
        along.set_major_formatter(FuncFormatter(lambda value, _: plain(round(value, 6))))
        self.axes.grid(axis="x" if axis == "x" else "y")
        limits = self.axes.set_xlim if axis == "x" else self.axes.set_ylim
        limits(0, (high or 1) * room)

    def places(self, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        """Where they are on the chart, in its own units, once all else is drawn."""
        self.figure.draw_without_rendering()
        return [(float(x), float(y)) for x, y in self.axes.transData.transform(points)]

    def svg(self) -> str:
        file = StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        self.figure.savefig(file, format="svg", metadata=nothing)
        return _inline(file.getvalue(), self.name, printable(self.title), self._tips)


@contextmanager
def page_style() -> Iterator[None]:
    """Whatever Matplotlib's configuration is on this machine. Charts are made and written in it."""
    with style.context(["default", _STYLE]), warnings.catch_warnings():
        # The text is set by the browser, which has more fonts than Matplotlib measures with.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def chart(name: str, title: str, height: float) -> Chart:
    """`name` begins the ids of its elements; `height` is in points."""
    figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
    return Chart(name, title, figure, figure.subplots())


def printable(text: str) -> str:
    """Without characters that XML forbids or that no font has."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def short(name: str) -> str:
    name = printable(name)
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _inline(written: str, name: str, title: str, tips: Sequence[str]) -> str:
    """The SVG as a part of an HTML page: its ids are its own, its colours are the page's."""
    found = ET.fromstring(written)  # noqa: S314  # Matplotlib wrote it, a moment ago
    for parent in found.iter():
        for child in parent.findall(f"{_SVG}style"):
            parent.remove(child)  # it would apply to the whole page
    for element in found.iter():
        element.tag = element.tag.removeprefix(_SVG)
        if (said := _tip_of(element, tips)) is not None:
            tip = ET.Element("title")
            tip.text = said
            element.insert(0, tip)
        element.attrib = dict(_attribute(*pair, name) for pair in element.attrib.items())
    found.attrib = {"viewBox": found.attrib["viewBox"], "role": "img", "aria-label": title}
    return ET.tostring(found, encoding="unicode")


def _tip_of(element: ET.Element, tips: Sequence[str]) -> str | None:
    kind, _, number = element.attrib.get("id", "").partition("-")
    return tips[int(number)] if kind == _TIP else None


def _attribute(key: str, value: str, name: str) -> tuple[str, str]:
    match key:
        case "id":
            return key, f"{name}-{value}"
        case "clip-path":
            return key, value.replace("url(#", f"url(#{name}-")
        case "style":
            return key, _MARKER.sub(lambda found: _OF_MARKER[found[0]], value)
        case _ if key == _LINK:
            return "href", f"#{name}-{value.removeprefix('#')}"
        case _:
            return key, value
