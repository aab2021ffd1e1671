"""The report's charts: what they show of their rows, and that they fit into one page of HTML."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, timedelta
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest

from consumers.lake_report import charts

JANUARY = date(2026, 1, 5)
REFUSALS: list[dict[str, Any]] = [
    {"merchant": f"m{number}", "reason": reason, "refusals": number}
    for number in (1, 2, 3)
    for reason in ("stock unavailable", "credit refused")
]
VINTAGES: list[dict[str, Any]] = [
    {"cohort": cohort, "currency": "EUR", "months": months, "percent_unpaid": 1.5, "due": 100}
    for cohort in (date(2026, 1, 1), date(2026, 2, 1))
    for months in (1, 2, 3)
]


def weeks(count: int) -> list[dict[str, Any]]:
    return [
        {
            "week": JANUARY + timedelta(weeks=number),
            "half_within_hours": 50.0,
            "nine_tenths_within_hours": 90.0,
            "delivered": 7,
        }
        for number in range(count)
    ]


def drawn() -> list[str]:
    return [
        charts.refusals(REFUSALS),
        charts.delivery(weeks(9)),
        charts.delivery(weeks(2)),
        charts.vintages(VINTAGES),
    ]


def texts(chart: str, tag: str) -> list[str]:
    return ["".join(one.itertext()) for one in ET.fromstring(chart).iter(tag)]


def label(chart: str) -> list[str]:
    """Without tooltips, which stand inside what they are about."""
    return [one.text or "" for one in ET.fromstring(chart).iter("text")]


def test_each_piece_of_a_bar_says_what_it_counts() -> None:
    tips = texts(charts.refusals(REFUSALS), "title")
    for row in REFUSALS:
        assert f"{row['merchant']}: {row['reason']}, {row['refusals']} times" in tips


def test_a_bar_has_its_total_beside_it() -> None:
    shown = label(charts.refusals(REFUSALS))
    assert {"m1", "m2", "m3", "2", "4", "6"} <= set(shown)


@pytest.mark.quick(1)
@pytest.mark.parametrize("count", [1, 2, 9])
def test_each_week_says_how_long_half_and_nine_tenths_took(count: int) -> None:
    tips = texts(charts.delivery(weeks(count)), "title")
    for row in weeks(count):
        assert f"week of {row['week']}: half within 2.1 days, of 7" in tips
        assert f"week of {row['week']}: nine tenths within 3.8 days, of 7" in tips


def test_a_cohort_has_a_point_for_each_month_and_its_name_at_the_end() -> None:
    chart = charts.vintages(VINTAGES)
    tips = texts(chart, "title")
    assert len(tips) == len(VINTAGES)
    assert "2026-01 EUR, month 2: 1.5 % of 100 EUR due was not paid" in tips
    assert "2026-02" in label(chart)


@pytest.mark.thorough
def test_the_newest_cohort_stands_out() -> None:
    one, two = (date(2026, month, 1) for month in (1, 2))
    chart = charts.vintages([row for row in VINTAGES if row["cohort"] in {one, two}])
    assert "var(--v0)" in chart
    assert "var(--v4)" in chart


@pytest.mark.parametrize("name", ["$x^2$", "_hidden", "<b>&amp;", "拒否", "a\x01b\nc", "x" * 300])
def test_a_name_from_elsewhere_is_shown_as_it_is(name: str) -> None:
    chart = charts.refusals([{"merchant": name, "reason": name, "refusals": 1}])
    whole = re.sub(r"[\x01\n]", "\N{REPLACEMENT CHARACTER}", name)
    short = whole if len(whole) <= 32 else f"{whole[:31]}…"
    assert label(chart).count(short) == 2
    assert f"{whole}: {whole}, 1 times" in texts(chart, "title")


def test_a_row_without_a_merchant_is_named() -> None:
    chart = charts.refusals([{"merchant": None, "reason": "r", "refusals": 1}])
    assert "no merchant" in label(chart)


def test_a_chart_without_any_unpaid_share_has_an_axis_all_the_same() -> None:
    chart = charts.vintages([{**VINTAGES[0], "percent_unpaid": 0.0}])
    assert "0 %" in label(chart)


@pytest.mark.thorough
def test_every_colour_is_one_of_the_page_for_light_and_for_dark() -> None:
    sheet = (files("handrail.lake") / "style.css").read_text()
    light, dark = sheet.split("@media (prefers-color-scheme: dark)")
    for chart in drawn():
        styles = re.findall('style="([^"]*)"', chart)
        assert not [one for one in styles if re.search("#[0-9a-f]{3}|rgb", one)]
        for used in set(re.findall(r"var\((--\w+)\)", " ".join(styles))):
            assert f"{used}:" in light
            assert f"{used}:" in dark or "var(" in light.split(f"{used}:")[1].split(";")[0]


def test_nothing_is_drawn_in_the_colour_that_svg_has_without_one() -> None:
    for chart in drawn():
        for text in ET.fromstring(chart).iter("text"):
            assert "fill: var(--" in text.attrib["style"]


@pytest.mark.thorough
def test_charts_of_one_page_share_no_id_and_refer_to_their_own() -> None:
    page = "".join(charts_of_a_page())
    ids = Counter(re.findall(' id="([^"]*)"', page))
    assert [one for one, count in ids.items() if count > 1] == []
    assert set(re.findall(' href="#([^"]*)"', page)) <= set(ids)
    assert set(re.findall(r"url\(#([^)]*)\)", page)) <= set(ids)


def charts_of_a_page() -> list[str]:
    return [charts.refusals(REFUSALS), charts.delivery(weeks(9)), charts.vintages(VINTAGES)]


@pytest.mark.thorough
def test_a_chart_has_no_style_sheet_script_or_date_of_its_own() -> None:
    for chart in drawn():
        tags = {one.tag for one in ET.fromstring(chart).iter()}
        assert tags <= {"svg", "g", "path", "defs", "use", "text", "title", "clipPath", "rect"}


@pytest.mark.thorough
def test_the_same_rows_make_the_same_chart_whatever_matplotlib_is_configured_to() -> None:
    first = drawn()
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 30, "svg.fonttype": "path"}):
        assert drawn() == first
