"""The chunked coding: read strictly, in any pieces, with nothing read beyond its end."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.wire.chunked import LINE_BYTES_MAX, OVERHEAD_BYTES_MAX, ChunkedReader, is_chunk


def whole(data: bytes) -> tuple[bytes, bytes, bool]:
    reader = ChunkedReader()
    pieces, rest = reader.feed(data)
    return b"".join(pieces), rest, reader.done


@pytest.mark.parametrize(("data", "body"), [
    (b"0\r\n\r\n", b""),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"A\r\n0123456789\r\n1\r\n!\r\n000\r\n\r\n", b"0123456789!"),
    (b"3;name=value\r\nabc\r\n0;x\r\n\r\n", b"abc"),
    (b'3;a;b="c;\\"\xe2 d";e\r\nabc\r\n0;x=""\r\n\r\n', b"abc"),
    (b"3 \t; a\t= b ;c\r\nabc\r\n0 ;x\r\n\r\n", b"abc"),
    (b"1\r\na\r\n0\r\nX-Sum: 1\r\nX-Other:\r\n\r\n", b"a"),
])
def test_accepted(data: bytes, body: bytes) -> None:
    assert whole(data + b"GET / HTTP/1.1\r\n") == (body, b"GET / HTTP/1.1\r\n", True)


@pytest.mark.parametrize("data", [
    b"\r\n", b"-1\r\n", b"+1\r\na", b" 1\r\na", b"1 \r\na", b"0x1\r\na", b"g\r\n", b"1\na\r\n",
    b"1\r\na\n", b"1\r\nab\r\n", b"1\r\na0\r\n\r\n", b"1;a\0b\r\na", b"1;a\nb\r\n",
    b"0\r\n\n", b"0\n\r\n", b"0\r\nno colon\r\n\r\n", b"0\r\n folded: x\r\n\r\n",
    b"0\r\nContent-Length: 5\r\n\r\n", b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"0\r\nHost: evil\r\n\r\n", b"0\r\nGET / HTTP/1.1\r\n\r\n", b"1\r\na\r\r\n",
    b"\xa05\r\n", b"00000000000000001\r\n", b"1;\r\n", b"1;;a\r\n", b"1;=b\r\n", b"1;a=\r\n",
    b"1;a b\r\n", b"1;a=b=c\r\n", b"1;\xe2\x82\xac\r\n", b"1;a \r\n", b'0;a="b\r\nX-A: "\r\n\r\n',
    b'1;a="b\\"\r\n', b"1 a\r\n",
])
def test_refused(data: bytes) -> None:
    with pytest.raises(RelayError) as caught:
        whole(data)
    assert caught.value.code == "bad_http" and caught.value.close


@pytest.mark.parametrize(("data", "code"), [
    (b"100000000\r\n", "body_too_large"),
    (b"FFFFFFFFFFFFFFFF\r\n", "body_too_large"),
    (b"1;" + b"x" * LINE_BYTES_MAX + b"\r\n", "head_too_large"),
    (b"1;xxxxxxxxxxxxxxx\r\na\r\n" * 2000, "head_too_large"),
    (b"0\r\n" + b"X: " + b"y" * OVERHEAD_BYTES_MAX, "head_too_large"),
    (b"0\r\n" + b"X: yyyyyyyyyyyyyyyyy\r\n" * 2000, "head_too_large"),
])
def test_limits(data: bytes, code: str) -> None:
    with pytest.raises(RelayError) as caught:
        whole(data)
    assert caught.value.code == code and caught.value.close


def test_a_chunk_that_is_too_long_is_refused_by_its_size() -> None:
    reader = ChunkedReader(10)
    assert reader.feed(b"6\r\nabcdef\r\n4\r\n") == ([b"abcdef"], b"")
    with pytest.raises(RelayError) as caught:
        reader.feed(b"ghij\r\n1\r\n")
    assert caught.value.code == "body_too_large" and caught.value.close


def test_one_octet_chunks_cost_no_overhead() -> None:
    body, rest, done = whole(b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n")
    assert (len(body), rest, done) == (50_000, b"", True)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.data())
def test_any_pieces_give_the_same(chunks: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\nX-A: b\r\n\r\n"
    raw += b"NEXT"
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)), max_size=10)))
    reader = ChunkedReader()
    got: list[bytes] = []
    behind = b""
    start = 0
    for cut in [*cuts, len(raw)]:
        pieces, rest = reader.feed(raw[start:cut])
        got += pieces
        behind += rest
        start = cut
    assert b"".join(got) == b"".join(chunks)
    assert behind == b"NEXT" and reader.done


FRAMED = st.builds(lambda style, data: style % (len(data), data), st.sampled_from([
    b"%x\r\n%b\r\n", b"%X\r\n%b\r\n", b"0%x\r\n%b\r\n", b"%x;a\r\n%b\r\n", b"%x\n%b\r\n",
    b"%x\r\n%b\n", b"%x \r\n%b\r\n", b"+%x\r\n%b\r\n", b"-%x\r\n%b\r\n", b"%x\r\n%b\r\n0\r\n\r\n",
]), st.binary(max_size=300))


@example(b"-2\r\n")
@example(b"0\r\n\r\n")
@example(b"")
@given(st.one_of(FRAMED, st.binary(), st.text("0123456789abcdefx+-_ \r\n").map(str.encode)))
def test_one_chunk_is_known_by_its_octets(data: bytes) -> None:
    bodies = [data[at:-2] for at in range(len(data) - 2)]
    assert is_chunk(data) == (data in [b"%x\r\n%b\r\n" % (len(b), b) for b in bodies if b])


@given(FRAMED)
def test_one_chunk_is_one_to_who_reads_them_strictly(data: bytes) -> None:
    if is_chunk(data):
        reader = ChunkedReader()
        [body], rest = reader.feed(data)
        assert data == b"%x\r\n%b\r\n" % (len(body), body)
        assert (rest, reader.done) == (b"", False)


@pytest.mark.parametrize("size", [1, 15, 16, 255, 256, 4095, 4096, 65536, 1 << 20])
def test_chunks_of_every_length_of_their_size(size: int) -> None:
    data = b"%x\r\n%b\r\n" % (size, b"x" * size)
    assert is_chunk(data)
    for other in (data[:-1], data + b"\n", data[1:], b"0" + data, data[:-2], data + data):
        assert not is_chunk(other)


def test_blanks_in_a_trailer_take_linear_time() -> None:
    began = time.process_time()
    with pytest.raises(RelayError):
        whole(b"0\r\nX:" + b" " * (OVERHEAD_BYTES_MAX - 100) + b"\1\r\n\r\n")
    assert time.process_time() - began < 0.5  # with a try for each blank it took 2 s
