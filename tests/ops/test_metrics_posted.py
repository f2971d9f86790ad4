"""What is measured of stored calls: drift, amounts, routes, times; and that names are closed."""

from __future__ import annotations

import timeit
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from relayd.core.columns import in_parts
from relayd.core.provider import Address, Provider
from relayd.core.record import CallRecord
from relayd.core.route import Deployment, Route
from relayd.ops.metrics_posted import ALIKE_MAX, TIMED_MODELS_MAX, PostedMetrics
from tests.fakes.records import call_record

ROUTES = (Route("fast", (Deployment("openai", "gpt-4o-mini"),)),
          Route("gpt-*", (Deployment("openai"),)))
CALL = '"chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o-mini"'


def call(**changes: Any) -> CallRecord:
    return call_record(**{
        "audio_input_tokens": 0, "audio_output_tokens": 0, "counted_output_tokens": 10,
        "reasoning_output_tokens": 0, "duration_ms": 512.345, **changes})


def made(routes: tuple[Route, ...] = ROUTES) -> PostedMetrics:
    metrics = PostedMetrics()
    metrics.know([Provider("openai", "openai", Address("https", "h", 443, ""), ())], routes)
    return metrics


def posted(metrics: PostedMetrics, records: Sequence[CallRecord]) -> None:
    for part in in_parts(records):
        metrics.posted(part)


def samples(metrics: PostedMetrics) -> dict[str, float]:
    found = {}
    for one in text_string_to_metric_families(metrics.text()):
        for sample in one.samples:
            inner = ",".join(f'{k}="{v}"' for k, v in sample.labels.items())
            found[f"{sample.name}{{{inner}}}"] = sample.value
    return found


def test_drift() -> None:
    metrics = made()
    posted(metrics, [call(), call(model="gpt-4o-mini"), call(counted_output_tokens=None),
                     call(usage_source="counted"), call(outcome="client_left"),
                     call(audio_output_tokens=1), call(provider_model=None)])
    found = samples(metrics)
    assert found['relayd_drift_calls_total{provider="openai",model="none"}'] == 1
    where = 'provider="openai",model="gpt-4o-mini"'
    assert found[f"relayd_drift_calls_total{{{where}}}"] == 2
    for kind, reported, counted in (("input", 200, 198), ("output", 40, 20)):
        tokens = f'relayd_drift_tokens_total{{{where},token_type="{kind}",usage_source='
        assert found[f'{tokens}"reported"}}'] == reported
        assert found[f'{tokens}"counted"}}'] == counted
        assert found[f'relayd_drift_ratio{{{where},token_type="{kind}"}}'] == pytest.approx(
            reported / counted, abs=1e-4)


def test_hidden_reasoning_is_no_drift() -> None:
    metrics = made()
    posted(metrics, [call(output_tokens=510, reasoning_output_tokens=500)])
    where = 'provider="openai",model="gpt-4o-mini",token_type="output"'
    assert samples(metrics)[f"relayd_drift_ratio{{{where}}}"] == 1


def test_amounts_and_routes() -> None:
    metrics = made()
    posted(metrics, [
        call(model="fast", amount_nano=1_500_000_000), call(model="gpt-9", amount_nano=250),
        call(model="gpt-9", outcome="provider_error", amount_nano=0),
        call(model="unknown", provider=None, provider_model=None, outcome="refused"),
        call(model="fast", amount_nano=7_000_000_000, currency="EUR")])
    found = samples(metrics)
    assert found['relayd_amount_total{provider="openai",currency="USD"}'] == pytest.approx(
        1.50000025)
    assert found['relayd_amount_total{provider="openai",currency="EUR"}'] == 7
    calls = {name: value for name, value in found.items() if "route_calls" in name}
    assert calls == {
        'relayd_route_calls_total{route="fast",outcome="completed"}': 2,
        'relayd_route_calls_total{route="gpt-*",outcome="completed"}': 1,
        'relayd_route_calls_total{route="gpt-*",outcome="provider_error"}': 1,
        'relayd_route_calls_total{route="none",outcome="refused"}': 1}


def test_times_by_model() -> None:
    metrics = made()
    posted(metrics, [call(), call(stream=False), call(outcome="provider_error"),
                     call(first_byte_ms=None)])
    found = samples(metrics)
    name = "{gen_ai_operation_name=" + CALL
    assert found[f"gen_ai_server_request_duration_seconds_count{name}}}"] == 2
    assert found[f'gen_ai_server_request_duration_seconds_bucket{name},le="0.64"}}'] == 2
    assert found[f'gen_ai_server_request_duration_seconds_bucket{name},le="0.32"}}'] == 0
    assert found[f'gen_ai_server_time_to_first_token_seconds_bucket{name},le="0.02"}}'] == 2
    assert found[f"gen_ai_server_time_per_output_token_seconds_count{name}}}"] == 1
    assert found[f'gen_ai_server_time_per_output_token_seconds_bucket{name},le="0.05"}}'] == 1
    for kind, tokens in (("input", 300), ("output", 60)):
        assert found[f'gen_ai_client_token_usage_sum{name},gen_ai_token_type="{kind}"}}'] == tokens
        assert found[f'gen_ai_client_token_usage_count{name},gen_ai_token_type="{kind}"}}'] == 3


def test_names_that_are_not_configured_make_no_series() -> None:
    metrics = made()
    for number in range(ALIKE_MAX + 10):
        posted(metrics, [call(model=f"canary{number}", provider=f"canary{number}"),
                         call(model=f"gpt-canary{number}", provider_model=f"gpt-canary{number}"),
                         call(endpoint=f"/canary{number}")])
    text = metrics.text()
    assert "canary" not in text and len(metrics._alike) <= ALIKE_MAX
    assert 'provider="openai",model="other"' in text and 'route="none"' in text
    assert len(samples(metrics)) < 400


def test_only_so_many_models_are_timed() -> None:
    routes = tuple(Route(f"model-{n}", (Deployment("openai"),)) for n in range(40))
    metrics = made(routes)
    for route in routes:
        posted(metrics, [call(model=route.pattern, provider_model=route.pattern)])
    found = [name for name in samples(metrics) if "request_duration_seconds_count" in name]
    assert len(found) == TIMED_MODELS_MAX + 1
    assert sum("other" in name for name in found) == 1


def test_a_later_configuration() -> None:
    metrics = made()
    posted(metrics, [call(model="late", provider_model="late")])
    metrics.know([Provider("q", "openai", Address("https", "h", 443, ""), ())],
                 (Route("late", (Deployment("openai"), Deployment("q"))),))
    posted(metrics, [call(model="late", provider_model="late"),
                     call(model="late", provider_model="late", provider="q")])
    found = samples(metrics)
    assert found['relayd_drift_calls_total{provider="openai",model="other"}'] == 1
    assert found['relayd_drift_calls_total{provider="openai",model="late"}'] == 1
    assert found['relayd_drift_calls_total{provider="q",model="late"}'] == 1


CALLS = st.fixed_dictionaries({
    "model": st.sampled_from(["fast", "gpt-9", None, "unknown"]),
    "provider": st.sampled_from(["openai", None, "q"]),
    "provider_model": st.sampled_from(["gpt-4o-mini", "gpt-9", None]),
    "outcome": st.sampled_from(["completed", "refused"]), "stream": st.booleans(),
    "usage_source": st.sampled_from(["reported", "counted"]),
    "output_tokens": st.integers(0, 3), "reasoning_output_tokens": st.integers(0, 3),
    "audio_output_tokens": st.integers(0, 1), "counted_output_tokens": st.none() | st.just(2),
    "amount_nano": st.integers(0, 9), "first_byte_ms": st.none() | st.floats(0, 9e4),
    "duration_ms": st.none() | st.floats(0, 9e5)})


@given(st.lists(st.builds(lambda changes: call(**changes), CALLS), max_size=40))
def test_counted_together_or_one_by_one_is_the_same(records: list[CallRecord]) -> None:
    together, alone = made(), made()
    posted(together, records)
    for record in records:
        posted(alone, [record])
    assert samples(together) == pytest.approx(samples(alone))


def test_it_is_cheap() -> None:
    metrics, records = made(), [call() for _ in range(1000)]
    best = min(timeit.repeat(lambda: posted(metrics, records), number=1, repeat=7)) / 1000
    assert best < 4e-6  # 0.5 us on an idle machine
