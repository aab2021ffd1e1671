"""The charts of the lake's report: one function for each ready question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from handrail.lake.cells import plain
from handrail.lake.drawing import COLOURS, SHADES, Chart, chart, colour, page_style, short
from handrail.lake.plan import Rows

_MOST_MERCHANTS: Final = 12
_OTHERS: Final = "all others"
_NOT_A_MERCHANT: Final = "no merchant"
_NAME: Final = (64, 14)
"""The room that the name of a curve takes, across and down."""


def refusals(rows: Rows) -> str:
    """A bar for each merchant, in pieces by reason."""
    totals: defaultdict[str, int] = defaultdict(int)
    reasons: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        totals[row["merchant"]] += row["refusals"]
        reasons[row["reason"]] += row["refusals"]
    named = sorted(reasons, key=lambda one: (-reasons[one], one))
    shown = named if len(named) <= COLOURS else [*named[: COLOURS - 1], _OTHERS]
    merchants = sorted(totals, key=lambda one: (-totals[one], one))[:_MOST_MERCHANTS]
    pieces: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        reason = row["reason"] if row["reason"] in shown else _OTHERS
        pieces[row["merchant"], reason] += row["refusals"]

    with page_style():
        drawn = chart("refusals", "Refusals by merchant and reason", 110 + 34 * len(merchants))
        drawn.legend(shown)
        for place, merchant in enumerate(merchants):
            left = 0
            for number, reason in enumerate(shown):
                if count := pieces[merchant, reason]:
                    tooltip = f"{merchant or _NOT_A_MERCHANT}: {reason}, {count} times"
                    _bar(drawn, place, count, number, tooltip, left=left, height=0.66)
                    left += count
            drawn.note(left, place, plain(totals[merchant]))
        _names_of_bars(drawn, [merchant or _NOT_A_MERCHANT for merchant in merchants])
        drawn.scale("x", max(totals.values()), room=1.08, integer=True)
        drawn.axes.set_xlabel("number of refusals", loc="right", style="italic")
        return drawn.svg()


def delivery(rows: Rows) -> str:
    """Half of the parcels, and nine tenths, week by week; all rows have had a delivery."""
    unit, hours = _unit(max(row["nine_tenths_within_hours"] for row in rows))
    enough = len(rows) >= _ENOUGH
    with page_style():
        height = 332 if enough else 110 + 58 * len(rows)
        drawn = chart("delivery", "Time from order to delivery by week", height)
        (_weeks if enough else _few_weeks)(drawn, rows, unit, hours)
        return drawn.svg()


def _weeks(drawn: Chart, rows: Rows, unit: str, hours: float) -> None:
    """Two curves, and what lies between them."""
    weeks = range(len(rows))
    curves = {name: [row[of] / hours for row in rows] for name, of in _SHARES.items()}
    half, nine_tenths = curves.values()
    drawn.axes.fill_between(weeks, half, nine_tenths, color=colour("c0"), alpha=0.09, linewidth=0)
    for number, (name, column) in enumerate(_SHARES.items()):
        variable, values = f"c{number}", curves[name]
        drawn.axes.plot(weeks, values, color=colour(variable), linewidth=2.2)
        for week, (value, row) in enumerate(zip(values, rows, strict=True)):
            drawn.dot(week, value, variable, _tooltip(row, name, column, unit, hours))
        drawn.note(weeks[-1], values[-1], f"{name}: {plain(round(values[-1], 1))}")
    marked = range(0, len(rows), max(1, round(len(rows) / 8)))
    drawn.axes.set_xticks(marked, [_day(rows[number]["week"]) for number in marked])
    drawn.axes.set_xlim(-0.3, weeks[-1] * 1.16)
    drawn.axes.set_xlabel("week of the order", loc="left", style="italic")
    drawn.axes.set_ylabel(unit, loc="top", style="italic")
    drawn.scale("y", max(map(max, curves.values())), room=1.05)


def _few_weeks(drawn: Chart, rows: Rows, unit: str, hours: float) -> None:
    """Two bars for each."""
    drawn.legend(list(_SHARES))
    for place, row in enumerate(rows):
        for number, (name, column) in enumerate(_SHARES.items()):
            value, middle = row[column] / hours, place + (-0.19, 0.19)[number]
            tooltip = _tooltip(row, name, column, unit, hours)
            _bar(drawn, middle, value, number, tooltip, height=0.35)
            drawn.note(value, middle, plain(round(value, 1)))
    _names_of_bars(drawn, [_day(row["week"]) for row in rows])
    longest = max(row[column] / hours for row in rows for column in _SHARES.values())
    drawn.scale("x", longest, room=1.08)
    drawn.axes.set_xlabel(unit, loc="right", style="italic")


def _tooltip(row: Mapping[str, Any], name: str, column: str, unit: str, hours: float) -> str:
    value = plain(round(row[column] / hours, 1))
    return f"week of {row['week']}: {name} within {value} {unit}, of {row['delivered']}"


_SHARES: Final = {"half": "half_within_hours", "nine tenths": "nine_tenths_within_hours"}
_ENOUGH: Final = 4
"""So many weeks make a curve."""


def vintages(rows: Rows) -> str:
    """A curve for each cohort over the months of its life; the newest ones stand out."""
    cohorts: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        cohorts[f"{row['cohort']:%Y-%m} {row['currency']}"].append(row)
    currencies = {row["currency"] for row in rows}
    longest = max(2, *(row["months"] for row in rows))
    ends: list[tuple[float, float, str, int]] = []
    with page_style():
        drawn = chart("vintages", "Unpaid share by cohort and age", 352)
        for number, (name, ages) in enumerate(cohorts.items()):
            newness = len(cohorts) - 1 - number
            shade = min(newness * SHADES // max(len(cohorts), 1), SHADES - 1)
            points = [(age["months"], float(age["percent_unpaid"] or 0)) for age in ages]
            drawn.axes.plot(*zip(*points, strict=True), color=colour(f"v{shade}"), linewidth=2.2)
            for (month, percent), one in zip(points, ages, strict=True):
                tooltip = (
                    f"{name}, month {one['months']}: {one['percent_unpaid']} % of"
                    f" {plain(one['due'])} {one['currency']} due was not paid"
                )
                drawn.dot(month, percent, f"v{shade}", tooltip, 5.6)
            called = name if len(currencies) > 1 else name.split()[0]
            ends.append((*points[-1], called, shade))
        drawn.scale("y", max(float(row["percent_unpaid"] or 0) for row in rows), room=1.05)
        drawn.axes.yaxis.set_major_formatter(lambda value, _: f"{plain(round(value, 6))} %")
        drawn.axes.set_xticks(range(1, longest + 1))
        drawn.axes.set_xlim(0.9, 1 + (longest - 1) * 1.14)
        months = "months since the month in which the plans were opened"
        drawn.axes.set_xlabel(months, loc="left", style="italic")
        _names_apart(drawn, ends)
        return drawn.svg()


def _names_apart(drawn: Chart, ends: Sequence[tuple[float, float, str, int]]) -> None:
    """A name at the end of each curve, where there is room for it."""
    placed: list[tuple[float, float]] = []
    places = drawn.places([(month, percent) for month, percent, _, _ in ends])
    for (x, y), (month, percent, name, shade) in reversed(list(zip(places, ends, strict=True))):
        if all(abs(x - left) > _NAME[0] or abs(y - up) > _NAME[1] for left, up in placed):
            placed.append((x, y))
            strong = shade < _STRONG
            drawn.note(
                month, percent, name, variable=f"v{shade}" if strong else "soft", bold=strong
            )


_STRONG: Final = 3
"""So many shades, from the newest, are strong enough for text."""


def _bar(
    drawn: Chart,
    place: float,
    value: float,
    number: int,
    tooltip: str,
    *,
    height: float,
    left: float = 0,
) -> None:
    [bar] = drawn.axes.barh(
        place,
        value,
        left=left,
        height=height,
        color=colour(f"c{number}"),
        edgecolor=colour("panel"),
        linewidth=1,
    )
    drawn.tip(bar, tooltip)


def _names_of_bars(drawn: Chart, names: Sequence[str]) -> None:
    """From the top down."""
    drawn.axes.set_yticks(range(len(names)), [short(name) for name in names])
    drawn.axes.set_ylim(len(names) - 0.5, -0.5)


def _unit(hours: float) -> tuple[str, float]:
    for unit, length in (("days", 24.0), ("hours", 1.0), ("minutes", 1 / 60)):
        if hours >= 2 * length:
            return unit, length
    return "seconds", 1 / 3600


def _day(day: date) -> str:
    return f"{day.day} {day:%b %y}"
