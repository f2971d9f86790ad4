"""Spellings of protobuf's JSON form: names, octets and times."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from relayd.wire.protobuf import lower_camel, octets, spelled, utc
from relayd.wire.walk import BodyPolicy, Walk

WALK = Walk(BodyPolicy())


@pytest.mark.parametrize(("name", "written"), [
    ("max_items", "maxItems"), ("maxItems", "maxItems"), ("level", "level"), ("a_b_c", "aBC"),
    ("x_1", "x1"), ("_a", "_a"), ("a_", "a_"), ("a__b", "a__b"), ("A_b", "A_b"), ("", ""),
    ("é_b", "é_b"),
])
def test_names(name: str, written: str) -> None:
    assert lower_camel(name) == written


@pytest.mark.parametrize(("value", "written"), [
    ({"b_c": 1, "a": {"d_e": [{"f_g": None}]}}, {"a": {"dE": [{"fG": None}]}, "bC": 1}),
    ({"a_b": 1, "aB": 2}, {"aB": 2}), ({"aB": 2, "a_b": 1}, {"aB": 2}),
    ([{"a_b": "c_d"}, "e_f", 1], [{"aB": "c_d"}, "e_f", 1]),
    ({"a": 1.0, "b": [0.5, 2.0]}, {"a": 1, "b": [0.5, 2]}),
    ("a_b", "a_b"), (None, None), (3, 3), ({}, {}),
])
def test_structures(value: Any, written: Any) -> None:
    assert json.dumps(spelled(value, WALK)) == json.dumps(written)


def test_what_is_spelled_so_already_is_not_made_again() -> None:
    value = {"aB": 1, "c": {"d": 2}}
    assert spelled(value, WALK) is value


@pytest.mark.parametrize("data", [b"", b"abc", bytes(range(256)), b"\xff\xfe\xfb\xff" * 9])
def test_octets_have_one_spelling(data: bytes) -> None:
    plain, safe = base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()
    assert octets(safe, WALK) == octets(plain, WALK) == plain


@pytest.mark.parametrize("value", [
    "data:image/png;base64,a-b", "a-b+", "a_b/", "skip_thought_signature_validator",
    "context_engineering_is_the_way_to_go", None, 5, ["a-b"],
])
def test_what_is_in_neither_base64_stays(value: object) -> None:
    assert octets(value, WALK) is value


@pytest.mark.parametrize(("value", "written"), [
    ("2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05Z"),
    ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
    ("2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05Z"),
    ("2026-01-02T03:04:05.250000+00:00", "2026-01-02T03:04:05.25Z"),
    ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456789Z"),
    ("2026-01-02T03:04:05-00:00", "2026-01-02T03:04:05Z"),
    ("2026-01-02T03:04:05+01:00", "2026-01-02T03:04:05+01:00"),
    ("2026-01-02", "2026-01-02"), ("", ""), (None, None), (5, 5),
])
def test_times(value: object, written: object) -> None:
    assert utc(value, WALK) == written
