"""The tap of an array: what it holds back, and what it says of where the client is."""

from __future__ import annotations

import json
from time import process_time

from hypothesis import given

from relayd.relay.arraytap import ArrayTap
from relayd.wire.anonymous import SHORT_BYTES
from relayd.wire.reply import SHAPES
from relayd.wire.replytext import Findings
from tests.fakes.splits import cut, places

TEXT = json.dumps({"candidates": [{"content": {"parts": [{"text": 'a } \\" b'}]}}]}).encode()
ERROR = b'{ "error" :\n{"code":503, "message": "}"}}'


def made() -> ArrayTap:
    return ArrayTap(SHAPES["stream_generate"], Findings(), 1 << 20)


def test_where_one_more_element_may_stand() -> None:
    tap = made()
    gaps: list[bytes | None] = []
    for piece in (b"[", b'{"a":', b"1}", b"\n,", b" ", b"{}",
                  b',{"b":[', b"{}", b",", b"7]}", b"]"):
        tap.feed(piece)
        gaps.append(tap.gap)
    assert gaps == [b"", None, b",\n", b"", b"", b",\n", None, None, None, b",\n", None]


@given(places)
def test_an_error_is_replaced_however_it_is_cut(where: list[int]) -> None:
    body = b"[%b,\n%b,%b]" % (TEXT, ERROR, TEXT)
    tap, seen = made(), []

    def instead(element: bytes) -> bytes:
        seen.append(element)
        return b"{}"

    assert tap.passes_all
    tap.guard(instead)
    assert not tap.passes_all
    passed = b"".join([*map(tap.feed, cut(body, where)), tap.flush()])
    assert passed == body.replace(ERROR, b"{}") and seen == [ERROR]
    assert tap.finish(True).error == "provider_stream_error"


def test_a_long_element_passes_as_it_comes() -> None:
    tap = made()
    tap.guard(lambda element: None)
    begun = b'[{"candidates":"' + b"x" * SHORT_BYTES
    assert tap.feed(begun) == begun
    assert tap.feed(b'"},{"a') == b'"},' and tap.flush() == b'{"a'


def test_an_array_that_stops_within_a_long_element_has_not_ended() -> None:
    for rest, ended in ((b"", False), (b'"}', True)):
        tap = made()
        tap.feed(b'[{"candidates":"' + b"x" * (1 << 20) + rest)
        assert tap.finish(True).ended is ended


def test_a_long_element_was_not_the_last_where_another_one_came() -> None:
    long = b'{"candidates":"' + b"x" * (1 << 20) + b'"}'
    for rest, ended in ((b"," + TEXT, False), (b"," + TEXT + b"," + long, True)):
        tap = made()
        tap.feed(b"[" + long + rest)
        assert tap.finish(True).ended is ended


def test_half_of_an_error_goes_nowhere() -> None:
    tap = made()
    tap.guard(lambda element: None)
    assert tap.feed(b"[%b,%b" % (TEXT, ERROR[:-9])) == b"[%b," % TEXT and tap.flush() == b""


def test_an_error_in_many_reads_costs_what_its_bytes_do() -> None:
    """By what is searched and copied, as every read of a growing element was once more."""
    tap = made()
    tap.guard(lambda element: b"{}")
    assert tap.feed(b'[{"error":{"message":"') == b"["
    begun = process_time()
    for _ in range(40_000):
        assert tap.feed(b"x" * 20) == b""
    assert process_time() - begun < 2.0
    assert tap.feed(b'"}}]') == b"{}]"


def test_what_is_an_error_inside_another_element_stays() -> None:
    tap = made()
    tap.guard(lambda element: b"{}" if element == b'{"error":1}' else None)
    assert tap.feed(b'[{"a":{"error":1}},{"error":1}]') == b'[{"a":{"error":1}},{}]'


def test_many_errors_in_one_read_cost_what_its_bytes_do() -> None:
    tap = made()
    tap.guard(lambda element: b"{}")
    begun = process_time()
    assert tap.feed(b"[%b]" % b",".join([b'{"error":1}'] * 80_000)).count(b"{}") == 80_000
    assert process_time() - begun < 2.0
