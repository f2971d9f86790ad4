"""Providers' usage exports: every known form, and files that are not understood."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core import bill as module
from relayd.core.bill import BillLine, day_text, read_bill, same_model
from relayd.core.errors import RelayError
from relayd.core.usage import TOKENS_MAX

DAY = 1_767_225_600_000  # 2026-01-01
OPENAI_CSV = (
    "start_time,end_time,start_time_iso,num_model_requests,model,input_tokens,output_tokens,"
    "input_cached_tokens\n"
    "1767225600,1767312000,2026-01-01T00:00:00+00:00,3,gpt-4o-mini-2024-07-18,100,20,40\n"
    "1767229200,1767232800,2026-01-01T01:00:00+00:00,1,gpt-4o-mini-2024-07-18,10,2,\n"
    "1767312000,1767398400,2026-01-02T00:00:00+00:00,,,,,\n")
ANTHROPIC_CSV = (
    "\ufeffusage_date_utc,model_version,api_key,workspace,usage_type,context_window,"
    "usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
    "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,"
    "web_search_count\n"
    "2026-01-01,claude-sonnet-4-5-20250929,k,Default,standard,0-200k,100,10,5,1000,20,0\n")
OPENAI_JSON = orjson.dumps({"object": "page", "data": [{
    "object": "bucket", "start_time": 1767225600, "end_time": 1767312000, "results": [
        {"object": "organization.usage.completions.result", "input_tokens": 110,
         "output_tokens": 22, "input_cached_tokens": 40, "num_model_requests": 4,
         "model": "gpt-4o-mini-2024-07-18"}]}], "has_more": False})
ANTHROPIC_JSON = orjson.dumps([{"data": [{
    "starting_at": "2026-01-01T00:00:00Z", "ending_at": "2026-01-02T00:00:00Z", "results": [
        {"uncached_input_tokens": 100, "cache_read_input_tokens": 1000,
         "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 5},
         "output_tokens": 20, "model": "claude-sonnet-4-5-20250929"}]}], "has_more": False}])
OPENAI_LINE = BillLine(DAY, "gpt-4o-mini-2024-07-18", 4, 110, 22, 40, 0)
ANTHROPIC_LINE = BillLine(DAY, "claude-sonnet-4-5-20250929", None, 1115, 20, 1000, 15)


@pytest.mark.parametrize(("data", "form", "line"), [
    (OPENAI_CSV.encode(), "openai-csv", OPENAI_LINE),
    (OPENAI_CSV.replace(",", "\t").encode(), "openai-csv", OPENAI_LINE),
    (OPENAI_CSV.replace("\n", "\r\n").encode(), "openai-csv", OPENAI_LINE),
    (OPENAI_JSON, "openai-json", OPENAI_LINE),
    (b"\r\n " + OPENAI_JSON, "openai-json", OPENAI_LINE),
    (ANTHROPIC_CSV.encode(), "anthropic-csv", ANTHROPIC_LINE),
    (ANTHROPIC_JSON, "anthropic-json", ANTHROPIC_LINE),
    # a name may hold what some take for the end of a line, quoted or not
    (ANTHROPIC_CSV.replace("Default", "a\u2028b\x85c\x0bd").encode(), "anthropic-csv",
     ANTHROPIC_LINE),
    (ANTHROPIC_CSV.replace("Default", '"a\r\n""b"""').encode(), "anthropic-csv", ANTHROPIC_LINE),
    (OPENAI_CSV.replace("\n", "\r").encode(), "openai-csv", OPENAI_LINE),
    # what holds no use may stand before what does
    (OPENAI_CSV.replace("\n17", "\n1767225600,1767312000,,,,,,\n17", 1).encode(), "openai-csv",
     OPENAI_LINE),
    (OPENAI_JSON.replace(b'"results":[', b'"results":[7,'), "openai-json", OPENAI_LINE),
    # no column but those that must be there
    (b"start_time,model,input_tokens,output_tokens\n1767225600,m,1,2\n", "openai-csv",
     BillLine(DAY, "m", 0, 1, 2, 0, 0)),
    # a model has a line for each key; nobody says how many calls they were
    (ANTHROPIC_CSV.encode() + ANTHROPIC_CSV.encode().partition(b"\n")[2], "anthropic-csv",
     BillLine(DAY, "claude-sonnet-4-5-20250929", None, 2230, 40, 2000, 30)),
    (OPENAI_CSV.replace(",100,", f",{TOKENS_MAX},").replace(",10,2,", ",0,2,").encode(),
     "openai-csv", OPENAI_LINE._replace(input_tokens=TOKENS_MAX)),
])
def test_forms(data: bytes, form: str, line: BillLine) -> None:
    bill = read_bill(data)
    assert (bill.form, bill.api, bill.lines) == (form, form.split("-")[0], (line,))


@pytest.mark.parametrize(("data", "where"), [
    (b"", "columns"), (b"a,b\n1,2\n", "columns"), (b"\xff\xfe", "encoding"), (b"{", "json"),
    (b"{}", "data"), (b"[]", "data"),
    (OPENAI_CSV.replace(",100,", ",-1,").encode(), "line 2"),
    (OPENAI_CSV.replace(",100,", ",1.5,").encode(), "line 2"),
    (OPENAI_CSV.replace(",100,", f",{TOKENS_MAX + 1},").encode(), "line 2"),
    (OPENAI_CSV.replace(",10,2,", ",99999999999999999999,2,").encode(), "line 3"),
    (OPENAI_CSV.replace("1767229200,", "yesterday,").encode(), "line 3"),
    (OPENAI_CSV.replace("1767229200,", "1767229200000,").encode(), "line 3"),
    (ANTHROPIC_CSV.replace("2026-01-01,", "7d,").encode(), "line 2"),
    (OPENAI_JSON.replace(b'"gpt-4o-mini-2024-07-18"', b"null"), "data 0: model"),
    (ANTHROPIC_JSON.replace(b'"claude-sonnet-4-5-20250929"', b"null"), "data 0: model"),
    *((b"start_time,model,num_model_requests,input_tokens,output_tokens\n1767225600,," + counts,
       "line 2: model") for counts in (b"1,0,0\n", b"0,1,0\n", b"0,0,1\n")),
    # more digits than Python reads
    (ANTHROPIC_CSV.replace("2026-01-01,", "9" * 5000 + ",").encode(), "line 2"),
    (OPENAI_JSON.replace(b'"gpt-4o-mini-2024-07-18"', b'"x", "input_tokens": "' + b"9" * 5000
                         + b'"'), "data 0"),
])
def test_what_is_not_understood_is_said_by_its_place(data: bytes, where: str) -> None:
    with pytest.raises(RelayError) as caught:
        read_bill(data)
    assert (caught.value.code, caught.value.param) == ("bill_unreadable", where)


def test_a_file_has_a_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BILL_BYTES_MAX", len(OPENAI_JSON))
    assert read_bill(OPENAI_JSON).lines == (OPENAI_LINE,)
    with pytest.raises(RelayError) as caught:
        read_bill(OPENAI_JSON + b" ")
    assert (caught.value.code, caught.value.param) == ("bill_unreadable", "size")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_is_read_or_refused(data: bytes) -> None:
    try:
        read_bill(data)
    except RelayError as error:
        assert error.code == "bill_unreadable"


@given(st.sampled_from([OPENAI_JSON, ANTHROPIC_JSON, OPENAI_CSV.encode()]),
       st.integers(0, 400), st.binary(max_size=3))
def test_damage_is_refused_or_harmless(data: bytes, at: int, put: bytes) -> None:
    try:
        for line in read_bill(data[:at] + put + data[at + len(put):]).lines:
            assert min(line[3:]) >= 0
    except RelayError as error:
        assert error.code == "bill_unreadable"


@pytest.mark.parametrize(("billed", "sent", "same"), [
    ("gpt-4o-mini-2024-07-18", "gpt-4o-mini", True), ("gpt-4o-mini", "gpt-4o-mini", True),
    ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5", True),
    ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13", True),
    ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06", False),
    ("gpt-4o-mini-2024-07-18", "gpt-4o", False), ("gpt-4o-mini", "gpt-4o", False),
])
def test_dated_snapshots(billed: str, sent: str, same: bool) -> None:
    assert same_model(billed, sent) is same


def test_a_day_is_written_as_a_date() -> None:
    assert day_text(DAY) == "2026-01-01"
    assert day_text(DAY - 1) == "2025-12-31"
