"""A plot's table has every step, the newest first, and the same names as its colours."""

from __future__ import annotations

from collections.abc import Iterator

from relayd.console.plot import BANDS_MAX
from relayd.console.plotted import Measure, by_name, plotted, step_label
from relayd.core.series import NO_SUMS, Point, period
from relayd.core.timestamp import HOUR_MS
from tests.fakes.records import START_MS

CALLS = Measure(lambda sums: sums.calls, str, lambda count: f"{count} calls")


def point(at_ms: int, name: str, calls: int) -> Point:
    """So many calls."""
    return Point(at_ms, name, "USD", NO_SUMS._replace(calls=calls))


def test_bands_are_ordered_by_what_is_shown_and_renamed() -> None:
    wanted = period("24h", START_MS)
    points = [point(START_MS, "a", 1), point(START_MS - HOUR_MS, "b", 5), point(START_MS, "", 2),
              point(START_MS, "nothing", 0)]
    bands = by_name(points, wanted, CALLS, {"": "none"}, "others")
    assert [band.name for band in bands] == ["b", "none", "a"]
    shown = plotted("title", wanted, bands, CALLS)
    assert shown.names == ["b", "none", "a"] and len(shown.rows) == 24
    assert shown.rows[0] == ("2026-01-01 00:00", ["0 calls", "2 calls", "1 calls"])
    assert shown.rows[1] == ("2025-12-31 23:00", ["5 calls", "0 calls", "0 calls"])


def test_the_order_of_a_page_goes_before_the_size() -> None:
    points = [point(START_MS, name, calls) for name, calls in (("a", 1), ("b", 2), ("c", 9))]
    bands = by_name(points, period("7d", START_MS), CALLS, {}, "others", ["b", "gone", "a"])
    assert [band.name for band in bands] == ["b", "a", "c"]


def test_what_is_too_much_is_under_others() -> None:
    wanted = period("7d", START_MS)
    points = [point(START_MS, f"model-{n}", n + 1) for n in range(BANDS_MAX + 3)]
    bands = by_name(points, wanted, CALLS, {}, "others")
    assert [band.name for band in bands][-1] == "others" and len(bands) == BANDS_MAX
    assert sum(sum(band.values) for band in bands) == sum(range(1, BANDS_MAX + 4))


class Counted(list[Point]):
    """Points that say how often they were gone through."""

    passes = 0

    def __iter__(self) -> Iterator[Point]:
        self.passes += 1
        return super().__iter__()


def test_points_of_a_thousand_keys_are_gone_through_once() -> None:
    points = Counted(point(START_MS, f"key-{n}", n + 1) for n in range(1000))
    bands = by_name(points, period("7d", START_MS), CALLS, {}, "others")
    assert points.passes == 1 and bands[0].name == "key-999"


def test_labels_of_hours_and_days() -> None:
    assert step_label(START_MS + 14 * HOUR_MS, HOUR_MS) == "14:00"
    assert step_label(START_MS, 24 * HOUR_MS) == "01-01"
