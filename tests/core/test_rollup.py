"""Rollups add up what the records say, apart by key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relayd.core.columns import in_parts
from relayd.core.rollup import SUM_FIELDS, RollupKey, Sums, hour_of, rollups
from relayd.core.timestamp import HOUR_MS
from tests.fakes.records import START_MS, call_record


def test_one_record_is_its_own_sum() -> None:
    record = call_record(model=None, provider=None, amount_nano=5)
    key = RollupKey(START_MS, "acct_1", "key_1", "", "", "USD")
    assert rollups(in_parts([record])) == {key: Sums(1, 100, 20, 50, 3, 7, 2, 1, 5)}


def test_no_name_and_an_empty_one_count_under_one_key() -> None:
    records = [call_record(model=model, provider=provider, started_at_ms=START_MS)
               for model in (None, "") for provider in (None, "")]
    key = RollupKey(START_MS, "acct_1", "key_1", "", "", "USD")
    assert rollups(in_parts(records)) == {key: Sums(4, 400, 80, 200, 12, 28, 8, 4, 0)}
    assert rollups([]) == {}


def test_the_sums_are_every_field_after_the_count() -> None:
    assert Sums._fields == ("calls", *SUM_FIELDS)


@given(st.lists(st.tuples(st.integers(0, 3 * HOUR_MS), st.sampled_from("ab"),
                          st.integers(0, 2 ** 40))))
def test_every_record_counts_once(calls: list[tuple[int, str, int]]) -> None:
    records = [call_record(started_at_ms=START_MS + offset, account=account, input_tokens=tokens)
               for offset, account, tokens in calls]
    sums = rollups(in_parts(records))
    assert sum(value.calls for value in sums.values()) == len(calls)
    for account in "ab":
        mine = [value for key, value in sums.items() if key.account == account]
        assert sum(value.input_tokens for value in mine) == sum(
            tokens for _, who, tokens in calls if who == account)
    assert all(key.hour_ms % HOUR_MS == 0 for key in sums)


MOMENTS = st.sampled_from([0, 1, HOUR_MS - 1, HOUR_MS, 3 * HOUR_MS])
NAMES = st.sampled_from([None, "", "a", "b"])


@given(st.lists(st.tuples(MOMENTS, NAMES, NAMES, st.sampled_from(["USD", "CNY"])), max_size=8),
       st.integers(1, 8))
def test_sums_are_those_of_the_records_of_each_key(
    calls: list[tuple[int, str | None, str | None, str]], size: int
) -> None:
    records = [call_record(started_at_ms=START_MS + at, model=model, provider=provider,
                           currency=currency, amount_nano=number + 1)
               for number, (at, model, provider, currency) in enumerate(calls)]
    wanted: dict[RollupKey, list[int]] = {}
    for record in records:
        key = RollupKey(
            record.started_at_ms // HOUR_MS * HOUR_MS, record.account, record.key,
            record.model or "", record.provider or "", record.currency)
        sums = wanted.setdefault(key, [0] * len(Sums._fields))
        row = [1, *(getattr(record, name) for name in SUM_FIELDS)]
        wanted[key] = [one + other for one, other in zip(sums, row, strict=True)]
    parts = [part for at in range(0, len(records), size)
             for part in in_parts(records[at:at + size])]
    assert rollups(parts) == {key: Sums(*sums) for key, sums in wanted.items()}


@given(st.integers(0, 2 ** 45))
def test_an_hour_holds_its_times(unix_ms: int) -> None:
    assert hour_of(unix_ms) <= unix_ms < hour_of(unix_ms) + HOUR_MS
