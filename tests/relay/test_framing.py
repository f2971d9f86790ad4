"""What llhttp reports of replies: where the one that was asked for ends, and what is behind it."""

import httptools
import pytest

from relayd.relay.framing import Framing

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_interim_answers_are_read_over() -> None:
    framing = Framing()
    framing.parser.feed_data(
        b"HTTP/1.1 100 X\r\n\r\nHTTP/1.1 103 X\r\nContent-Length: 9\r\n\r\n" + OK)
    assert (framing.interim, framing.headers_complete, framing.complete) == (2, True, True)
    assert framing.pieces == [b"ok"] and framing.keep_alive


@pytest.mark.parametrize("raw", [OK + OK, b"HTTP/1.1 104 X\r\nContent-Length: 2\r\n\r\nno"])
def test_what_is_not_of_the_reply_stops_it(raw: bytes) -> None:
    framing = Framing()
    with pytest.raises(httptools.HttpParserError):
        framing.parser.feed_data(raw)
    assert b"no" not in framing.pieces and len(framing.pieces) < 2


def test_the_marks_of_a_read_say_where_chunks_begin_and_end() -> None:
    framing = Framing()
    framing.parser.feed_data(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\n")
    assert framing.marks == [True, False, True]
    framing.close()
    assert framing.parser is None
