"""The table reader: types, ranges, choices, and unread keys."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest

from relayd.ops.configfile_fault import Findings
from relayd.ops.configfile_section import Section, digits_of, kind_of


def section(**values: object) -> Section:
    return Section(values, ("t",), Findings())


READERS: list[tuple[Callable[[Section], object], object, object]] = [
    # reader, a good value, bad values of another type or range
    (lambda s: s.text("k", "d"), "v", (1, "", " v", "a\nb", [])),
    (lambda s: s.choice("k", ("a", "b"), "a"), "b", ("c", 1, "B")),
    (lambda s: s.boolean("k", False), True, (1, "true")),
    (lambda s: s.integer("k", 1, 1, 9), 9, (0, 10, True, 2.0, "2")),
    (lambda s: s.number("k", 1.0, 0.5, 9), 2.5, (0.4, 9.1, True, "2", float("nan"))),
    (lambda s: s.texts("k", (), lambda t: "" if t == "v" else "is bad"), ["v"], (
        "v", ["w"], [1], {})),
    (lambda s: s.table("k").values, {"a": 1}, ([], "x")),
    (lambda s: [t.values for t in s.tables("k")], [{"a": 1}], ({}, [1])),
]


@pytest.mark.parametrize(("read", "good", "bads"), READERS)
def test_reader(read: Callable[[Section], object], good: object, bads: tuple[object, ...]) -> None:
    absent = section()
    default = read(absent)
    usable = section(k=good)
    value = read(usable)
    assert value == (tuple(good) if isinstance(value, tuple) and isinstance(good, list) else good)
    assert not absent.findings.faults and not usable.findings.faults
    for bad in bads:
        wrong = section(k=bad)
        assert read(wrong) == default or isinstance(bad, list)
        assert len(wrong.findings.faults) == 1, bad
        assert wrong.findings.faults[0].key.startswith("t.k")


def test_whole_numbers_are_numbers() -> None:
    value = section(k=3).number("k", 1.0, 0, 9)
    assert value == 3.0 and isinstance(value, float)


def test_empty_list_where_one_is_needed() -> None:
    wrong = section(k=[])
    assert wrong.texts("k", ("d",), lambda text: "", empty=False) == ("d",)
    assert "empty list" in wrong.findings.faults[0].problem


def test_a_choice_of_another_type_is_told_its_words() -> None:
    wrong = section(k=True)
    assert wrong.choice("k", ("off", "all"), "off") == "off"
    assert [(f.problem, f.remedy) for f in wrong.findings.faults] == [
        ("is true or false", "It takes one of off, all")]


def test_faults_never_repeat_values() -> None:
    wrong = section(k="sk-secret")
    wrong.integer("k", 1, 1, 9)
    wrong.choice("k", ("a",), "a")
    wrong.texts("k", (), lambda text: "is bad")
    assert "sk-secret" not in " ".join(str(fault) for fault in wrong.findings.faults)


def test_done_reports_unread_keys_with_an_offer() -> None:
    wrong = section(listen=1, lisetn=2, url=3)
    wrong.raw("listen")
    wrong.raw("base_url")
    wrong.done({"url": "base_url"})
    assert [(f.key, f.remedy) for f in wrong.findings.faults] == [
        ("t.lisetn", "Did you mean 'listen'?"), ("t.url", "Did you mean 'base_url'?")]


@pytest.mark.parametrize(("value", "words"), [
    (True, "true or false"), (1, "a whole number"), (1.5, "a number"), ("", "a text"),
    ([], "a list"), ({}, "a table"), (datetime.date(2026, 1, 1), "a date or time"),
])
def test_kind_of(value: object, words: str) -> None:
    assert kind_of(value) == words


@pytest.mark.parametrize(("value", "digits"), [
    (12, "12"), ("1.5", "1.5"), (-3, "-3"), (True, ""), (1.5, ""), (None, ""),
    ((1 << 64) - 1, str((1 << 64) - 1)), (1 << 64, ""),
    pytest.param(16 ** 5000, "", id="longer than Python writes"),
])
def test_digits_of(value: object, digits: str) -> None:
    assert digits_of(value) == digits
