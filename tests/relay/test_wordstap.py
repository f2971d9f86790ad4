"""Transcriptions without JSON: their words are counted, and how long they took to say."""

from __future__ import annotations

import pytest
from hypothesis import given

from relayd.core.usage import Beside
from relayd.relay.report import Report
from relayd.relay.wordstap import WordsTap
from relayd.wire.reply_media import BYTES_PER_SECOND
from relayd.wire.replytext import CONTENT, Findings
from tests.fakes.splits import cut, one_by_one, places
from tests.fakes.texts import Texts

SUBRIP = ("1\n00:00:00,000 --> 00:00:02,500\nh\u00e9llo\n\n"
          "2\n00:00:02,500 --> 00:01:01,250\nyou\n\n").encode()
VTT = b"WEBVTT\n\n00:00.000 --> 00:02.500 align:start\none\n\n01:59.000 --> 02:00.000\ntwo\n"


def read(pieces: list[bytes], clean: bool = True) -> tuple[Texts, Report]:
    texts = Texts()
    counted, blind = WordsTap(Findings(texts, True)), WordsTap(Findings(None, True))
    for piece in pieces:
        assert counted.feed(piece) is piece and blind.feed(piece) is piece
    report = counted.finish(clean)
    assert blind.finish(clean) == Report(report.usage, clean, None, covers=True)
    return texts, report


@pytest.mark.parametrize(("body", "seconds"), [
    (SUBRIP, 62), (VTT, 120), (VTT.replace(b"02:00.000", b"10:02:00.000"), 36_120),
    (b"1\n00:00:01,000 --> 00:00:09,000\na\n\n2\n00:00:02,000 --> 00:00:03,000\nb\n", 9),
    (b"x" * (3 * BYTES_PER_SECOND), 3), (b"x" * (3 * BYTES_PER_SECOND + 1), 4), (b"hi\n", 1),
    ("\u4f60\u597d".encode() * 15, 6),
    (b"--> 00:01 and --> 1:2:3.4 are no ends", 3),
])
@given(where=places)
def test_how_long_it_was(body: bytes, seconds: int, where: list[int]) -> None:
    for pieces in ([body], cut(body, where), one_by_one(body)):
        texts, report = read(pieces)
        assert report == Report(Beside(audio_seconds=seconds), True, None, covers=False)
        assert texts.streams == {CONTENT: body.decode()}


def test_nothing_took_no_time() -> None:
    assert read([])[1] == Report(None, True, None, covers=True)


def test_what_broke_off_is_paid_as_far_as_it_came() -> None:
    report = read([SUBRIP[:60]], clean=False)[1]
    assert report == Report(Beside(audio_seconds=3), False, None, covers=False)
