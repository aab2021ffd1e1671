"""One chart for each question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from handrail.lake import drawing
from handrail.lake.drawing import COLOURS, WIDTH, Scale, label, line, plain, steps
from handrail.lake.plan import Rows

_MOST_MERCHANTS: Final = 12
_OTHERS: Final = "all others"
_NAME: Final = (60, 13)
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

    names, top = drawing.legend(shown, 0, 14)
    left = drawing.room_for([one or "no merchant" for one in merchants])
    marks = steps(max(totals.values()), least=1)
    across = Scale(0, marks[-1], left, WIDTH - 46)
    bottom = top + 34 * len(merchants)
    parts = [names]
    for mark in marks:
        parts.append(line(across(mark), top, across(mark), bottom))
        parts.append(label(across(mark), bottom + 18, plain(mark), anchor="middle"))
    for number, merchant in enumerate(merchants):
        y, x = top + 34 * number + 6, left
        parts.append(label(left - 10, y + 15, merchant or "no merchant", anchor="end"))
        for colour, reason in enumerate(shown):
            if count := pieces[merchant, reason]:
                width = across(count) - left
                parts.append(
                    drawing.bar(
                        x,
                        y,
                        width - 1,
                        22,
                        colour=colour,
                        said=f"{merchant}: {reason}, {count} times",
                    )
                )
                x += width
        parts.append(label(x + 6, y + 15, plain(totals[merchant]), "strong"))
    said = "number of refusals"
    parts.append(label(WIDTH - 46, bottom + 38, said, "axis", "end"))
    return drawing.svg(bottom + 46, "Refusals by merchant and reason", *parts)


def delivery(rows: Rows) -> str:
    """Half of the parcels, and nine tenths, week by week; all rows have had a delivery."""
    unit, hours = _unit(max(row["nine_tenths_within_hours"] for row in rows))
    marks = steps(max(row["nine_tenths_within_hours"] for row in rows) / hours)
    draw = _weeks if len(rows) >= _ENOUGH else _few_weeks
    return draw(rows, marks, unit, hours)


def _weeks(rows: Rows, marks: Sequence[float], unit: str, hours: float) -> str:
    """Two curves, and what lies between them."""
    left, right, top, bottom = 56, WIDTH - 132, 26, 280
    up = Scale(0, marks[-1], bottom, top)
    along = Scale(0, len(rows) - 1, left, right)
    parts = []
    for mark in marks:
        parts.append(line(left, up(mark), right, up(mark)))
        parts.append(label(left - 8, up(mark) + 4, plain(mark), anchor="end"))
    parts.append(label(left, bottom + 44, "week of the order", "axis"))
    parts.append(label(left - 8, top - 12, unit, "axis", "end"))
    for number in range(0, len(rows), max(1, round(len(rows) / 8))):
        parts.append(line(along(number), bottom, along(number), bottom + 5, "tick"))
        parts.append(label(along(number), bottom + 20, _day(rows[number]["week"]), anchor="middle"))
    curves = {
        name: [(along(number), up(row[column] / hours)) for number, row in enumerate(rows)]
        for name, column in _SHARES.items()
    }
    parts.insert(0, drawing.band(*curves.values()))
    for colour, (name, column) in enumerate(_SHARES.items()):
        parts.append(drawing.curve(curves[name], f"s{colour}"))
        for (x, y), row in zip(curves[name], rows, strict=True):
            parts.append(drawing.dot(x, y, f"c{colour}", _told(row, name, column, unit, hours)))
        x, y = curves[name][-1]
        value = plain(round(rows[-1][column] / hours, 1))
        parts.append(label(x + 10, y + 4, f"{name}: {value}", "strong"))
    return drawing.svg(bottom + 52, "Time from order to delivery by week", *parts)


def _few_weeks(rows: Rows, marks: Sequence[float], unit: str, hours: float) -> str:
    """Two bars for each."""
    names, top = drawing.legend(list(_SHARES), 0, 14)
    left, bottom = 110, top + 58 * len(rows)
    across = Scale(0, marks[-1], left, WIDTH - 46)
    parts = [names]
    for mark in marks:
        parts.append(line(across(mark), top, across(mark), bottom))
        parts.append(label(across(mark), bottom + 18, plain(mark), anchor="middle"))
    for number, row in enumerate(rows):
        y = top + 58 * number + 7
        parts.append(label(left - 10, y + 26, _day(row["week"]), anchor="end"))
        for colour, (name, column) in enumerate(_SHARES.items()):
            width, said = across(row[column] / hours) - left, _told(row, name, column, unit, hours)
            down = y + 22 * colour
            parts.append(drawing.bar(left, down, width, 20, colour=colour, said=said))
            value = plain(round(row[column] / hours, 1))
            parts.append(label(left + width + 6, down + 14, value, "strong"))
    parts.append(label(WIDTH - 46, bottom + 38, unit, "axis", "end"))
    return drawing.svg(bottom + 46, "Time from order to delivery by week", *parts)


def _told(row: Mapping[str, Any], name: str, column: str, unit: str, hours: float) -> str:
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
    longest = max(row["months"] for row in rows)
    marks = steps(max(float(row["percent_unpaid"] or 0) for row in rows))
    left, right, top, bottom = 56, WIDTH - 118, 16, 300
    up, along = Scale(0, marks[-1], bottom, top), Scale(1, max(longest, 2), left, right)
    parts = []
    for mark in marks:
        parts.append(line(left, up(mark), right, up(mark)))
        parts.append(label(left - 8, up(mark) + 4, f"{plain(mark)} %", anchor="end"))
    for month in range(1, longest + 1):
        parts.append(line(along(month), bottom, along(month), bottom + 5, "tick"))
        parts.append(label(along(month), bottom + 20, str(month), anchor="middle"))
    parts.append(
        label(left, bottom + 44, "months since the month in which the plans were opened", "axis")
    )
    ends: list[tuple[float, float, str, int]] = []
    for number, (name, ages) in enumerate(cohorts.items()):
        newness = len(cohorts) - 1 - number
        shade = min(newness * 8 // max(len(cohorts), 1), 7)
        points = [(along(one["months"]), up(float(one["percent_unpaid"] or 0))) for one in ages]
        parts.append(drawing.curve(points, f"v{shade}"))
        for (x, y), one in zip(points, ages, strict=True):
            said = (
                f"{name}, month {one['months']}: {one['percent_unpaid']} % of"
                f" {plain(one['due'])} {one['currency']} due was not paid"
            )
            parts.append(drawing.dot(x, y, f"v{shade}", said, 2.8))
        called = name if len(currencies) > 1 else name.split()[0]
        ends.append((*points[-1], called, shade))
    parts += _names_apart(ends)
    return drawing.svg(bottom + 52, "Unpaid share by cohort and age", *parts)


def _names_apart(ends: Sequence[tuple[float, float, str, int]]) -> list[str]:
    """A name at the end of each curve, where there is room for it."""
    placed: list[tuple[float, float]] = []
    parts = []
    for x, y, name, shade in reversed(ends):
        if all(abs(x - left) > _NAME[0] or abs(y - up) > _NAME[1] for left, up in placed):
            placed.append((x, y))
            parts.append(label(x + 8, y + 4, name, f"t{shade}"))
    return parts


def _unit(hours: float) -> tuple[str, float]:
    for unit, length in (("days", 24.0), ("hours", 1.0), ("minutes", 1 / 60)):
        if hours >= 2 * length:
            return unit, length
    return "seconds", 1 / 3600


def _day(day: date) -> str:
    return f"{day.day} {day:%b %y}"
