"""A plot is well-formed, shows every value in proportion, and lets no name become markup."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.console.plot import (
    BANDS_MAX, BOTTOM, HEIGHT, TOP, WIDTH, Band, columns, folded, scale,
)


@given(st.integers(0, 1 << 60))
def test_a_scale_holds_the_largest_value_in_few_round_steps(most: int) -> None:
    top, step = scale(most)
    assert most <= top and top % step == 0 and 1 <= top // step <= 4
    assert str(step).rstrip("0") in ("1", "2", "5")
    assert top - step < max(1, most)


@given(st.lists(st.lists(st.integers(0, 1 << 50), min_size=5, max_size=5), max_size=4))
def test_columns_are_in_proportion_and_inside(rows: list[list[int]]) -> None:
    bands = [Band(f"band {n}", values) for n, values in enumerate(rows)]
    svg = ElementTree.fromstring(columns("a plot", list("abcde"), bands, str))
    room = HEIGHT - TOP - BOTTOM
    totals = [sum(row[n] for row in rows) for n in range(5)]
    top, _ = scale(max(totals))
    steps = svg.findall("g")
    assert len(steps) == 5
    for total, step in zip(totals, steps, strict=True):
        bars = [bar for bar in step.findall("rect") if bar.get("class") != "hit"]
        height = sum(float(bar.get("height", 0)) for bar in bars)
        assert height == pytest.approx(total * room / top, abs=0.6 * max(1, len(bars)))
        for bar in bars:
            assert float(bar.get("y", 0)) >= TOP - 0.5
            assert float(bar.get("x", 0)) + float(bar.get("width", 0)) <= WIDTH


def test_nothing_to_show_is_an_empty_plot() -> None:
    svg = ElementTree.fromstring(columns("nothing", [], [], str))
    assert svg.findall("g") == []
    svg = ElementTree.fromstring(columns("nothing", ["a"], [Band("x", [0])], str))
    [step] = svg.findall("g")
    assert [bar.get("class") for bar in step.findall("rect")] == ["hit"]
    assert [mark.text for mark in svg.findall("text")] == ["0", "a"]


def test_long_values_have_room_beside_the_axis() -> None:
    svg = ElementTree.fromstring(columns("cheap", ["a"], [Band("x", [3])],
                                         lambda value: f"0.00000000{value}"))
    marks = [mark for mark in svg.findall("text") if mark.get("text-anchor") == "end"]
    assert [mark.text for mark in marks][-1] == "0.000000003"
    assert all(float(mark.get("x", 0)) > 7 * len(mark.text or "") for mark in marks)


def test_names_are_text() -> None:
    name = '<script>"&'
    svg = ElementTree.fromstring(
        columns(name, [name], [Band(name, [3]), Band("b", [0])], lambda value: f"<{value}>"))
    assert svg.get("aria-label") == name
    assert [title.text for title in svg.iter("title")] == [f"{name}: <3>\n{name}: <3>"]
    assert not list(svg.iter("script"))


def test_what_is_too_much_for_the_colours_is_put_together() -> None:
    bands = [Band(str(n), [n, 1]) for n in range(BANDS_MAX + 2)]
    found = folded(bands, "others")
    assert found[:-1] == bands[:BANDS_MAX - 1]
    assert found[-1] == Band("others", [5 + 6 + 7, 3])
    assert folded(bands[:BANDS_MAX], "others") == bands[:BANDS_MAX]
