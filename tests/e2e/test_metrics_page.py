"""docs/metrics.md and the code say the same: every family, its type, labels and meaning."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from relayd.ops.metrics_gauges import READINGS, Gauges
from tests.ops.test_metrics import busy

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
_ROW = re.compile(r"\| `([a-z_]+)` \| (counter|gauge|histogram|summary) \| (.*?) \| (.*?) \|"
                  r" `(.+)` \|")
Row = tuple[str, str, tuple[str, ...], str]


def full() -> str:
    """A scrape with a sample of every family."""
    metrics = busy()
    found: dict[str, object] = {}
    for each in READINGS:
        if each.field == "upstream_connections":
            found[each.field] = lambda: {"p": (1, 2)}
        elif len(each.labels) == 1:
            found[each.field] = lambda: {"a": 1}
        elif each.labels:
            found[each.field] = lambda: {("a", "b"): 1}
    metrics.gauges = Gauges(**found)  # type: ignore[arg-type]
    return metrics.render().decode()


def in_code() -> set[Row]:
    rows = set()
    for each in text_string_to_metric_families(full()):
        name = f"{each.name}_total" if each.type == "counter" else each.name
        assert each.samples, name
        names = {label for sample in each.samples for label in sample.labels} - {"le"}
        rows.add((name, each.type, tuple(sorted(names)), each.documentation))
    return rows


def in_page() -> dict[Row, str]:
    rows = {}
    for name, kind, names, about, query in _ROW.findall(PAGE.read_text()):
        found = tuple(sorted(re.findall("`([a-z_]+)`", names)))
        rows[name, kind, found, about] = query
    return rows


def test_every_metric_is_documented_and_nothing_else() -> None:
    assert set(in_page()) == in_code()


def test_every_query_asks_for_its_metric() -> None:
    for (name, *_), query in in_page().items():
        assert name in query, name


def test_every_row_of_the_tables_is_read() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert len(lines) == len(in_page())
