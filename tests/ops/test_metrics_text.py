"""The text format, read back by the client library's own parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from relayd.ops.metrics_text import Histogram, family, histograms, labels, number


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for found in text_string_to_metric_families(text) for sample in found.samples}


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=20),
       st.integers(0, 2 ** 53))
def test_labels_survive(value: str, count: int) -> None:
    text = family("relayd_x_total", "counter", "About it.", [(labels(("a",), (value,)), count)])
    assert parsed(text) == {("relayd_x_total", (("a", value),)): float(count)}


def test_family_without_labels() -> None:
    text = family("relayd_x", "gauge", "About it.", [("", 1.5)])
    assert text == "# HELP relayd_x About it.\n# TYPE relayd_x gauge\nrelayd_x 1.5\n"


@pytest.mark.parametrize(("value", "text"), [(1, "1"), (1.0, "1"), (0.25, "0.25"), (0, "0"),
                                             (10 ** 18, "1" + "0" * 18)])
def test_number(value: float, text: str) -> None:
    assert number(value) == text


def test_labels_must_match_their_names() -> None:
    with pytest.raises(ValueError):
        labels(("a", "b"), ("x",))


@given(st.lists(st.floats(0, 100), max_size=30))
def test_histogram(values: list[float]) -> None:
    histogram = Histogram((0.5, 1.0, 50.0))
    for value in values:
        histogram.observe(value)
    samples = parsed(histograms("relayd_s", "About it.", [('a="x"', histogram)]))
    for bound in (0.5, 1.0, 50.0):
        key = ("relayd_s_bucket", (("a", "x"), ("le", number(bound))))
        assert samples[key] == sum(value <= bound for value in values)
    assert samples["relayd_s_bucket", (("a", "x"), ("le", "+Inf"))] == len(values)
    assert samples["relayd_s_count", (("a", "x"),)] == len(values)
    assert samples["relayd_s_sum", (("a", "x"),)] == pytest.approx(sum(values))


@given(st.lists(st.floats(0, 100) | st.sampled_from([0.5, 1.0, 50.0]), max_size=30))
def test_many_values_are_counted_as_each_of_them(values: list[float]) -> None:
    together, alone = Histogram((0.5, 1.0, 50.0)), Histogram((0.5, 1.0, 50.0))
    together.observe_all(values)
    for value in values:
        alone.observe(value)
    assert together.counts == alone.counts and together.total == pytest.approx(alone.total)


def test_histogram_without_labels() -> None:
    histogram = Histogram((1.0,))
    histogram.observe(1.0)
    samples = parsed(histograms("relayd_s", "About it.", [("", histogram)]))
    assert samples["relayd_s_bucket", (("le", "1"),)] == 1
    assert samples["relayd_s_count", ()] == 1
