"""Gauges: every field has its family, and is read when somebody asks."""

from __future__ import annotations

from dataclasses import fields

from prometheus_client.parser import text_string_to_metric_families

from relayd.ops.metrics_gauges import READINGS, Gauges, gauges_text


def test_every_field_has_one_family() -> None:
    assert sorted(each.field for each in READINGS) == sorted(each.name for each in fields(Gauges))
    assert len({each.name for each in READINGS}) == len(READINGS)


def test_names_say_what_they_are() -> None:
    for each in READINGS:
        assert each.name.startswith("relayd_")
        assert each.name.endswith("_total") is (each.kind == "counter"), each.name


def test_values_with_and_without_labels() -> None:
    gauges = Gauges(
        calls_in_flight=lambda: 3, oldest_unflushed_seconds=lambda: 1.5,
        upstream_connections=lambda: {"p": (7, 8)},
        deployments=lambda: {("p", "healthy"): 3, ("p", "down"): 1},
        provider_up=lambda: {"p": True, "q": False})
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for each in text_string_to_metric_families(gauges_text(gauges)) for sample in each.samples}
    assert found["relayd_calls_in_flight",] == 3
    assert found["relayd_oldest_unflushed_seconds",] == 1.5
    assert found["relayd_upstream_connections", "p", "idle"] == 7
    assert found["relayd_upstream_connections", "p", "busy"] == 8
    assert found["relayd_deployments", "p", "healthy"] == 3
    assert found["relayd_deployments", "p", "down"] == 1
    assert found["relayd_provider_up", "p"] == 1 and found["relayd_provider_up", "q"] == 0
    assert found["relayd_journal_bytes",] == 0
