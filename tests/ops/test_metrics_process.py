"""Process metrics: what the client library says of the same process, near enough."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from relayd.ops.metrics_process import process_text


def parsed(text: str) -> dict[str, float]:
    return {sample.name: sample.value
            for found in text_string_to_metric_families(text) for sample in found.samples}


def test_same_names_and_near_values() -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    theirs, ours = parsed(generate_latest(registry).decode()), parsed(process_text(1.5))
    assert ours.keys() == theirs.keys()
    assert ours["process_start_time_seconds"] == 1.5
    assert ours["process_max_fds"] == theirs["process_max_fds"]
    for name in ("process_resident_memory_bytes", "process_virtual_memory_bytes"):
        assert abs(ours[name] - theirs[name]) < 0.2 * theirs[name]
    assert abs(ours["process_cpu_seconds_total"] - theirs["process_cpu_seconds_total"]) < 1


def test_open_fds_are_counted() -> None:
    before = parsed(process_text(0))["process_open_fds"]
    descriptor = os.open("/dev/null", os.O_RDONLY)
    try:
        assert parsed(process_text(0))["process_open_fds"] == before + 1
    finally:
        os.close(descriptor)


def test_ten_thousand_of_them_are_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = len(os.listdir("/proc/self/fd"))
    if os.stat("/proc/self/fd").st_size == 0:
        pytest.skip("a kernel below 6.2 does not say how many there are")
    monkeypatch.setattr(os, "listdir", None)
    # other threads of this process open and close some meanwhile
    assert abs(parsed(process_text(0))["process_open_fds"] - listed) <= 5


def test_without_proc(tmp_path: Path) -> None:
    assert parsed(process_text(2, tmp_path)).keys() == {
        "process_cpu_seconds_total", "process_start_time_seconds"}
