"""The collector's runs are seen while somebody watches."""

from __future__ import annotations

import gc

from relayd.ops.clock import monotonic
from relayd.ops.metrics_gc import GcWatch


def test_runs_are_counted_and_timed() -> None:
    watch = GcWatch()
    watch.stop()  # harmless
    watch.start()
    began = monotonic()
    try:
        before = watch.runs()["2"]
        gc.collect()
        gc.collect(0)
    finally:
        watch.stop()
    assert watch.runs()["2"] >= before + 1 and watch.runs()["0"] >= 1
    assert 0 < watch.worst_seconds() <= watch.seconds() < monotonic() - began
    after = watch.runs()
    gc.collect()
    assert watch.runs() == after
