"""Metrics: what is counted, which labels there can be, how many series, at which cost."""

from __future__ import annotations

import re
import timeit
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from relayd.core.columns import Columns
from relayd.core.errors import ERRORS
from relayd.core.provider import Address, Provider, ProviderApi
from relayd.core.record import CallRecord
from relayd.core.route import Deployment, Route
from relayd.ops import clock
from relayd.ops.metrics import ATTEMPT_RESULTS, BATCH, OUTCOMES, RETRY_KINDS, Gauges, Metrics
from relayd.wire.dialect import ENDPOINTS

SERIES_MAX = 3_500
"""About 4 ms of the loop at a scrape (docs/decisions/0020)."""
ROUTES = [Route(f"model-{n}", (Deployment("openai"),)) for n in range(30)]
RECORD = CallRecord(
    id="01J00000000000000000000000", started_at_ms=1, account="acct", key="key", app="app",
    api="openai", endpoint="/v1/chat/completions", model="gpt-canary", provider="openai",
    provider_model="gpt-canary", stream=True, status=200, outcome="completed", error=None,
    attempts=1, input_tokens=10, output_tokens=20, cache_read_input_tokens=4,
    cache_creation_input_tokens=3, reasoning_output_tokens=5, audio_input_tokens=2,
    audio_output_tokens=1, counted_input_tokens=11, counted_output_tokens=21,
    usage_source="reported", amount_nano=0, currency="USD", first_byte_ms=30.0, duration_ms=700.0)


def provider(name: str, api: ProviderApi = "openai") -> Provider:
    return Provider(name, api, Address("https", "h", 443, ""), ())


def call(**changes: object) -> CallRecord:
    return msgspec.structs.replace(RECORD, **changes)


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample as `name{label="value"}`, zeros included."""
    found = {}
    for one in text_string_to_metric_families(metrics.render().decode()):
        for sample in one.samples:
            inner = ",".join(f'{k}="{v}"' for k, v in sample.labels.items())
            found[f"{sample.name}{{{inner}}}" if inner else sample.name] = sample.value
    return found


def test_a_call_is_counted() -> None:
    metrics = Metrics([provider("openai")])
    metrics.settled(RECORD)
    metrics.settled(RECORD)
    found = samples(metrics)
    call_labels = 'api="openai",endpoint="/v1/chat/completions"'
    assert found[f'relayd_calls_total{{{call_labels},provider="openai",outcome="completed",'
                 'status_class="2xx"}'] == 2
    for kind, count in (("input", 20), ("output", 40)):
        assert found['relayd_tokens_total{api="openai",provider="openai",'
                     f'token_type="{kind}",usage_source="reported"}}'] == count
    for part, count in (("cache_read_input", 8), ("cache_creation_input", 6),
                        ("reasoning_output", 10), ("audio_input", 4), ("audio_output", 2)):
        assert found['relayd_token_parts_total{api="openai",provider="openai",'
                     f'part="{part}"}}'] == count
    for name, bound, total in (("first_byte", "0.04", 0.06), ("duration", "1.28", 1.4)):
        where = f'{call_labels},stream="true"'
        assert found[f"relayd_call_{name}_seconds_sum{{{where}}}"] == pytest.approx(total)
        assert found[f'relayd_call_{name}_seconds_bucket{{{where},le="{bound}"}}'] == 2
        assert found[f"relayd_call_{name}_seconds_count{{{where}}}"] == 2
    assert found['relayd_call_first_byte_seconds_bucket{' + call_labels
                 + ',stream="true",le="0.02"}'] == 0


def test_calls_that_never_had_a_first_byte_or_a_provider() -> None:
    metrics = Metrics([provider("openai")])
    metrics.settled(call(provider=None, status=404, outcome="refused", error="unknown_model",
                         first_byte_ms=None, usage_source="none", input_tokens=0, output_tokens=0))
    metrics.settled(call(status=0, outcome="client_left", duration_ms=None, first_byte_ms=None))
    found = samples(metrics)
    assert found['relayd_calls_total{api="openai",endpoint="/v1/chat/completions",'
                 'provider="none",outcome="refused",status_class="4xx"}'] == 1
    assert found['relayd_calls_total{api="openai",endpoint="/v1/chat/completions",'
                 'provider="openai",outcome="client_left",status_class="none"}'] == 1
    assert found['relayd_call_errors_total{api="openai",error="unknown_model"}'] == 1
    count = {name: value for name, value in found.items() if "first_byte_seconds_count" in name}
    assert list(count.values()) == [0]


def test_the_first_defect_is_seen_by_increase() -> None:
    metrics = Metrics([provider("openai"), provider("vertex", "gemini")])
    for api in ("openai", "gemini"):
        assert samples(metrics)[f'relayd_call_errors_total{{api="{api}",error="internal"}}'] == 0


def test_known_series_start_at_zero() -> None:
    found = samples(Metrics([provider("a", "anthropic"), provider("z", "azure")]))
    assert found['relayd_calls_total{api="anthropic",endpoint="/v1/messages",provider="a",'
                 'outcome="completed",status_class="2xx"}'] == 0
    assert found['relayd_calls_total{api="openai",endpoint="/v1/responses",provider="z",'
                 'outcome="completed",status_class="2xx"}'] == 0
    for result in ATTEMPT_RESULTS:
        assert found[f'relayd_upstream_attempts_total{{provider="a",result="{result}"}}'] == 0


def test_attempts_refusals_and_overhead() -> None:
    metrics = Metrics([provider("p")])
    metrics.attempt("p", "head")
    metrics.attempt("p", "canary")
    metrics.attempt("canary", "upstream_tls")
    metrics.refused_before_key("gemini", "missing_key")
    metrics.refused_before_key("canary", "canary")
    metrics.observe_overhead(0.0002)
    found = samples(metrics)
    assert found['relayd_upstream_attempts_total{provider="p",result="head"}'] == 1
    assert found['relayd_upstream_attempts_total{provider="p",result="other"}'] == 1
    assert found['relayd_upstream_attempts_total{provider="none",result="upstream_tls"}'] == 1
    assert found['relayd_requests_refused_total{api="gemini",error="missing_key"}'] == 1
    assert found['relayd_requests_refused_total{api="other",error="other"}'] == 1
    assert found['relayd_overhead_seconds_bucket{le="0.00025"}'] == 1
    assert found['relayd_overhead_seconds_bucket{le="0.0001"}'] == 0


def test_retries_and_a_replys_times() -> None:
    metrics = Metrics([provider("p")])
    metrics.retried("p", "again")
    metrics.retried("canary", "canary")
    metrics.answered("p", 0.3, 0.02)
    metrics.answered("p", 0.3, None)
    metrics.answered("canary", 0.3, None)
    found = samples(metrics)
    assert found['relayd_retries_total{provider="p",kind="again"}'] == 1
    assert found['relayd_retries_total{provider="p",kind="fallback"}'] == 0
    assert found['relayd_retries_total{provider="none",kind="other"}'] == 1
    assert found['relayd_upstream_first_byte_seconds_count{provider="p"}'] == 2
    assert found['relayd_upstream_first_byte_seconds_bucket{provider="p",le="0.25"}'] == 0
    assert found['relayd_stream_gap_seconds_count{provider="p"}'] == 1
    assert found['relayd_stream_gap_seconds_bucket{provider="p",le="0.025"}'] == 1
    assert "canary" not in metrics.render().decode()


def test_reloads(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics()
    began = samples(metrics)["relayd_config_last_reload_success_timestamp_seconds"]
    assert began > 1.7e9 and samples(metrics)["relayd_config_last_reload_successful"] == 1
    monkeypatch.setattr(clock, "unix_ms", lambda: int(began * 1000) + 60_000)
    metrics.reloaded(False)
    found = samples(metrics)
    assert found["relayd_config_last_reload_successful"] == 0
    assert found["relayd_config_last_reload_success_timestamp_seconds"] == began
    metrics.reloaded(True)
    found = samples(metrics)
    assert found["relayd_config_last_reload_successful"] == 1
    assert found["relayd_config_last_reload_success_timestamp_seconds"] == pytest.approx(
        began + 60)
    assert found['relayd_config_reloads_total{result="done"}'] == 1
    assert found['relayd_config_reloads_total{result="refused"}'] == 1


def test_every_upstream_error_is_an_attempt_result() -> None:
    codes = {code for code in ERRORS if code.startswith("upstream_")}
    assert len(codes) > 5 and codes <= set(ATTEMPT_RESULTS)


def test_gauges_are_read_at_scrape() -> None:
    metrics = Metrics([provider("p")], version="1.2.3")
    assert samples(metrics)["relayd_calls_in_flight"] == 0
    metrics.gauges = Gauges(calls_in_flight=lambda: 3)
    found = samples(metrics)
    assert found["relayd_calls_in_flight"] == 3
    assert any('version="1.2.3"' in name for name in found)


def test_a_provider_that_comes_later() -> None:
    metrics = Metrics([provider("p")])
    metrics.settled(call(provider="q"))
    metrics.know([provider("q")])
    metrics.settled(call(provider="q"))
    calls = {name: value for name, value in samples(metrics).items()
             if name.startswith("relayd_calls_total") and value}
    assert sorted(re.findall('provider="(.)', name)[0] for name in calls) == ["n", "q"]


def test_outsiders_cannot_mint_series() -> None:
    metrics = Metrics([provider("p")])
    for number in range(200):
        metrics.settled(call(
            api=f"canary{number}", endpoint=f"/canary/{number}", provider=f"canary{number}",
            model=f"canary{number}", outcome=f"canary{number}", usage_source=f"canary{number}",
            error=f"canary{number}", status=600 + number * 100, account=f"canary{number}",
            key=f"canary{number}", app=f"canary{number}"))
    text = metrics.render().decode()
    assert "canary" not in text
    assert sum(name.startswith("relayd_calls_total") for name in samples(metrics)) \
        == sum(e.api == "openai" for e in ENDPOINTS) + 1
    assert len(metrics._cells) < 20


NOTES = st.one_of(
    st.builds(lambda name, ms: ("settled", call(provider=name, duration_ms=ms)),
              st.sampled_from(["p", "q", None]), st.none() | st.floats(0, 9e5)),
    st.tuples(st.just("attempt"), st.sampled_from("pq"), st.sampled_from(["head", "canary"])),
    st.tuples(st.just("answered"), st.sampled_from("pq"), st.floats(0, 90),
              st.none() | st.floats(0, 9)),
    st.tuples(st.just("observe_overhead"), st.floats(0, 1)),
    st.just(("know", [provider("q")])), st.just(("render",)))


@settings(deadline=None, max_examples=40)
@given(st.lists(NOTES, max_size=3 * BATCH))
def test_counted_together_or_one_by_one_is_the_same(notes: list[tuple[Any, ...]]) -> None:
    metrics, at_once = Metrics([provider("p")]), Metrics([provider("p")])
    for name, *values in notes:
        getattr(metrics, name)(*values)
        getattr(at_once, name)(*values)
        at_once.fold()
    mine, reference = (
        {name: value for name, value in samples(one).items()
         if not name.startswith(("process_", "relayd_config_last"))}
        for one in (metrics, at_once))
    assert mine == pytest.approx(reference)


def waiting(metrics: Metrics) -> tuple[list[Any], ...]:
    """What is noted and not counted."""
    return metrics._calls, metrics._replies, metrics._tries, metrics._overheads


def test_what_waits_to_be_counted_is_bounded() -> None:
    metrics = Metrics([provider("p")])
    for number in range(1_000):
        metrics.attempt("p", "head")
        metrics.observe_overhead(0.001)
        metrics.answered("p", 0.3, None)
        metrics.settled(RECORD)
        assert {len(each) for each in waiting(metrics)} == {(number + 1) % BATCH}


def test_calls_that_end_together_are_counted_as_others() -> None:
    together, single = Metrics([provider("p")]), Metrics([provider("p")])
    calls = [call(provider="p", status=200 + 100 * (n % 3), duration_ms=float(n), stream=n % 2 > 0)
             for n in range(3 * BATCH // 2)]
    together.settled_all(calls[:BATCH + 9])
    together.settled_all(calls[BATCH + 9:])
    for one in calls:
        single.settled(one)
    # sums of times depend on the order, in their last digit
    told = [[line for line in made.render().splitlines()
             if line.startswith((b"relayd_call", b"relayd_token"))
             and b"_sum" not in line] for made in (together, single)]
    assert told[0] == told[1] and sum(b"_bucket" in line for line in told[0]) > 30


def busy() -> Metrics:
    """Three providers, every endpoint, streamed and not, every usual ending."""
    names: list[ProviderApi] = ["openai", "anthropic", "gemini"]
    metrics = Metrics([provider(name, name) for name in names], ROUTES)
    for endpoint in ENDPOINTS:
        for stream in {False, endpoint.streams != "never"}:
            for outcome, status in (("completed", 200), ("provider_error", 429),
                                    ("provider_error", 500), ("client_left", 200),
                                    ("refused", 400)):
                metrics.settled(call(api=endpoint.api, endpoint=endpoint.path, stream=stream,
                                     provider=endpoint.api, outcome=outcome, status=status))
    for name in names:
        for kind in RETRY_KINDS:
            metrics.retried(name, kind)
        metrics.answered(name, 0.5, 0.02)
    for code in ERRORS:
        metrics.settled(call(error=code))
        metrics.refused_before_key("openai", code)
    for route in ROUTES:
        for outcome in OUTCOMES:
            metrics.posted.posted(Columns([call(
                model=route.pattern, provider_model=route.pattern, outcome=outcome,
                amount_nano=10, audio_input_tokens=0, audio_output_tokens=0)]))
    return metrics


def test_cardinality_budget() -> None:
    assert 500 < len(samples(busy())) < SERIES_MAX


def test_no_label_names_a_client() -> None:
    names = set(re.findall(r'[{,]([a-z_]+)="', busy().render().decode()))
    assert names == {"api", "endpoint", "provider", "outcome", "status_class", "token_type",
                     "usage_source", "part", "stream", "le", "error", "result", "version",
                     "python", "kind", "route", "currency", "model", "gen_ai_operation_name",
                     "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type"}


def test_names_follow_the_conventions() -> None:
    for line in busy().render().decode().splitlines():
        if line.startswith("# TYPE"):
            _, _, name, kind = line.split()
            assert name.startswith(("relayd_", "process_", "gen_ai_")), name
            assert name.endswith("_total") is (kind == "counter"), name
            assert kind != "histogram" or name.endswith("_seconds"), name


def test_settling_is_cheap() -> None:
    metrics = Metrics([provider("openai")])
    best = min(timeit.repeat(lambda: metrics.settled(RECORD), number=2_000, repeat=7)) / 2_000
    assert best < 9e-6  # 0.8 us on an idle machine; 3 is the budget, the rest is for slow ones
