"""Rates, times and states out of two readings."""

from __future__ import annotations

import pytest

from relayd.ops.scrape import samples
from relayd.ops.top import SLOWEST_MAX, quantile, reading, top

INF = float("inf")
PAGE = """\
relayd_ready 1
relayd_calls_total{{api="openai",endpoint="/v1/x",outcome="completed",provider="p"}} {done}
relayd_calls_total{{api="openai",endpoint="/v1/x",outcome="provider_error",provider="p"}} {failed}
relayd_calls_total{{api="openai",endpoint="/v1/x",outcome="refused",provider="none"}} {refused}
relayd_requests_refused_total{{api="openai",error="invalid_key"}} {refused}
relayd_tokens_total{{api="openai",token_type="input"}} {done}0
relayd_tokens_total{{api="openai",token_type="output"}} {done}00
relayd_calls_in_flight 7
process_cpu_seconds_total {cpu}
process_resident_memory_bytes 1048576
relayd_provider_up{{provider="p"}} 1
relayd_provider_up{{provider="q"}} 0
relayd_deployments{{provider="p",state="cooling"}} 2
relayd_deployments{{provider="p",state="healthy"}} 5
relayd_upstream_attempts_total{{provider="p",result="head"}} {done}
relayd_upstream_attempts_total{{provider="p",result="upstream_reset"}} {failed}
relayd_upstream_first_byte_seconds_bucket{{provider="p",le="0.1"}} {done}
relayd_upstream_first_byte_seconds_bucket{{provider="p",le="+Inf"}} {done}
relayd_call_duration_seconds_bucket{{api="openai",endpoint="/v1/x",stream="true",le="1"}} 0
relayd_call_duration_seconds_bucket{{api="openai",endpoint="/v1/x",stream="true",le="2"}} {done}
relayd_call_duration_seconds_bucket{{api="openai",endpoint="/v1/x",stream="true",le="+Inf"}} {done}
"""


def read(**values: float) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return reading(samples(PAGE.format(**values)))


def test_a_picture() -> None:
    view = top(read(done=10, failed=0, refused=0, cpu=1),
               read(done=30, failed=4, refused=2, cpu=2), 2.0)
    assert view.ready and view.in_flight == 7 and view.memory_bytes == 1048576
    assert (view.calls_per_second, view.failed_per_second, view.refused_per_second) == (13, 2, 2)
    assert (view.input_tokens_per_second, view.output_tokens_per_second) == (100, 1000)
    assert view.cpu_percent == 50
    p, q = view.providers
    assert (p.name, p.up, p.attempts_per_second, p.failed_per_second) == ("p", True, 12, 2)
    assert (p.first_byte_p50_ms, p.first_byte_p95_ms, p.ill_deployments) == (50, 95, 2)
    assert (q.up, q.first_byte_p50_ms, q.attempts_per_second) == (False, None, 0)
    (slow,) = view.endpoints
    assert (slow.what, slow.of, slow.per_second) == ("/v1/x", "openai", 10)
    assert (slow.p50_ms, slow.p95_ms) == (1500, 1950)
    assert view.models == []


def test_a_restart_is_no_negative_rate() -> None:
    view = top(read(done=900, failed=90, refused=9, cpu=99),
               read(done=4, failed=0, refused=0, cpu=1), 1.0)
    assert view.calls_per_second == 4 and view.cpu_percent == 100


def test_nothing_happened_and_nothing_known() -> None:
    same = read(done=1, failed=1, refused=1, cpu=1)
    view = top(same, same, 1.0)
    assert view.calls_per_second == 0 and view.endpoints == []
    assert view.providers[0].first_byte_p95_ms is None
    empty = top({}, {}, 0.0)
    assert not empty.ready and empty.providers == []


def test_the_slowest_come_first_and_are_few() -> None:
    page = "".join(
        f'relayd_call_duration_seconds_bucket{{api="a",endpoint="/{n}",le="{n}"}} 1\n'
        f'relayd_call_duration_seconds_bucket{{api="a",endpoint="/{n}",le="+Inf"}} 1\n'
        for n in range(1, 20))
    found = top({}, reading(samples(page)), 1.0).endpoints
    assert [line.what for line in found] == [f"/{n}" for n in range(19, 19 - SLOWEST_MAX, -1)]


@pytest.mark.parametrize("share, buckets, expected", [
    (0.5, {}, None), (0.5, {INF: 0.0}, None), (0.5, {1.0: 10.0, INF: 10.0}, 0.5),
    (0.95, {1.0: 5.0, 2.0: 10.0, INF: 10.0}, 1.9), (0.95, {1.0: 5.0, INF: 10.0}, 1.0),
    (0.5, {1.0: 0.0, 2.0: 0.0, 4.0: 8.0, INF: 8.0}, 3.0),
])
def test_quantiles(share: float, buckets: dict[float, float], expected: float | None) -> None:
    assert quantile(share, buckets) == (None if expected is None else pytest.approx(expected))
