"""Sums by application: parts of a key's sums, and never more than them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relayd.core.attribution import AppKey, Share, attributed, split
from relayd.core.columns import in_parts
from relayd.core.rollup import Sums, rollups
from relayd.core.series import HOUR_MS, Point, lines
from tests.fakes.records import START_MS, call_record

CALLS = st.lists(st.tuples(st.sampled_from(("k1", "k2")), st.sampled_from((None, "a", "b")),
                           st.integers(0, 2)), max_size=30)


def test_only_what_a_key_does_not_say_itself() -> None:
    records = [call_record(key="k1", app="a"), call_record(key="k1", app=None),
               call_record(key="k2", app="own")]
    [(key, sums)] = attributed(records, {"k1"}).items()
    assert key == AppKey(key.hour_ms, "acct_1", "k1", "a", records[0].currency)
    assert sums.calls == 1 and sums.input_tokens == records[0].input_tokens


@given(CALLS)
def test_nothing_is_lost_or_counted_twice(calls: list[tuple[str, str | None, int]]) -> None:
    records = [call_record(key=key, app=app, started_at_ms=START_MS + hour * HOUR_MS,
                           amount_nano=n) for n, (key, app, hour) in enumerate(calls)]
    points = [Point(each.hour_ms, each.key, each.currency, sums)
              for each, sums in rollups(in_parts(records)).items()]
    shares = [Share(each.hour_ms, each.key, each.app, each.currency, sums)
              for each, sums in attributed(records, {"k1"}).items()]
    left, named = split(points, shares)
    assert all(min(point.sums) >= 0 and point.sums.calls for point in left)
    assert {point.name for point in left} <= {"k1", "k2"}
    found = {line.name: line.sums.calls for line in lines([*left, *named])}
    for name in ("a", "b"):
        assert found.get(name, 0) == sum(1 for key, app, _ in calls if (key, app) == ("k1", name))
    assert sum(found.values()) == len(calls)
    whole = lines([point._replace(name="") for point in points])
    assert lines([point._replace(name="") for point in [*left, *named]]) == whole


def test_without_shares_all_is_left() -> None:
    point = Point(0, "k1", "USD", Sums(*range(1, 10)))
    assert split([point], []) == ([point], [])
