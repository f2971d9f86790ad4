"""Multipart bodies are read the same however they are cut, and refused where they are unclear."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.wire.multipart_reader import (
    PART_HEAD_BYTES_MAX, PARTS_MAX, PREAMBLE_BYTES_MAX, MultipartReader, PartHead, boundary_of,
)

PART = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'


class Parts:
    """Collects what a reader finds."""

    def __init__(self) -> None:
        self.heads: list[PartHead] = []
        self.bodies: list[bytes] = []
        self.ends = 0

    def part_begin(self, head: PartHead) -> None:
        self.heads.append(head)
        self.bodies.append(b"")

    def part_data(self, data: bytes) -> None:
        assert data
        self.bodies[-1] += data

    def part_end(self) -> None:
        self.ends += 1
        assert self.ends == len(self.heads)


def parse(body: bytes, *, cut: int = 0, boundary: bytes = b"b") -> Parts:
    parts = Parts()
    reader = MultipartReader(boundary)
    step = cut or max(len(body), 1)
    for at in range(0, len(body), step):
        reader.feed(body[at:at + step], parts)
    reader.finish()
    return parts


@pytest.mark.parametrize("content_type, boundary", [
    (b"multipart/form-data; boundary=abc", b"abc"),
    (b'Multipart/Form-Data;boundary="a b"', b"a b"),
    (b"multipart/form-data; charset=utf-8; boundary=----formdata-undici-094613688814",
     b"----formdata-undici-094613688814"),
    (b"multipart/form-data; boundary=" + b"x" * 70, b"x" * 70),
])
def test_the_boundary_is_taken_from_the_content_type(content_type: bytes, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize("content_type", [
    b"", b"application/json", b"multipart/form-data", b"multipart/mixed; boundary=a",
    b"multipart/form-data; boundary=", b'multipart/form-data; boundary=""',
    b"multipart/form-data; boundary=" + b"x" * 71, b'multipart/form-data; boundary="a "',
    b"multipart/form-data; boundary=a; boundary=b", b'multipart/form-data; boundary="a\r\nb"',
    b"multipart/form-data boundary=a",
])
def test_a_content_type_without_a_clear_boundary_gets_415(content_type: bytes) -> None:
    with pytest.raises(RelayError) as caught:
        boundary_of(content_type)
    assert caught.value.code == "unsupported_media_type"


@pytest.mark.parametrize("body, contents", [
    (PART + b"x\r\n--b--\r\n", [b"x"]),
    (PART + b"x\r\n--b--", [b"x"]),
    (PART + b"\r\n--b--\r\n", [b""]),
    (PART[:-2] + b"\r\n--b--\r\n", [b""]),  # the delimiter's CRLF is the empty line's
    (PART[:-2] + b"\r\n--bX\r\n--b--\r\n", [b"--bX"]),
    (PART + b"x\r\n--b \t \r\n" + PART[5:] + b"y\r\n--b--", [b"x", b"y"]),
    (b"\r\n" + PART + b"x\r\n--b--", [b"x"]),
    (b"to be ignored\r\n" + PART + b"x\r\n--b--\r\nalso this\r\n--b\r\n", [b"x"]),
    (PART + b"\r\n\r\n--b--", [b"\r\n"]),
    (PART + b"\r\r\n--b--", [b"\r"]),
    (PART + b"\n--b\n\r\n--b--", [b"\n--b\n"]),
    (PART + b"x\r\n--bb\r\ny\r\n--b--", [b"x\r\n--bb\r\ny"]),
    (PART + b"x\r\n--b-\r\ny\r\n--b--", [b"x\r\n--b-\r\ny"]),
    (PART + b"x\r\n-\r\n--\r\n--b--", [b"x\r\n-\r\n--"]),
    (PART + b"x\r\n--b" + b" " * 70 + b"\r\n\r\n--b--", [b"x\r\n--b" + b" " * 70 + b"\r\n"]),
])
@pytest.mark.parametrize("cut", [0, 1, 2, 3, 7])
def test_contents_are_exact(body: bytes, contents: list[bytes], cut: int) -> None:
    parts = parse(body, cut=cut)
    assert parts.bodies == contents
    assert parts.ends == len(contents)


@pytest.mark.parametrize("body", [
    b"", b"--b", b"--b--", b"\r\n--b--\r\n", PART, PART + b"x", PART + b"x\r\n--b",
    PART + b"x\r\n--b\r\n", PART + b"x\r\n--b-", PART + b"x\n--b--\n", b"--c" + PART[3:] + b"x",
    b"--b\r\n\r\nx\r\n--b--", b"--b\r\nX: y\r\n\r\nx\r\n--b--",
    b'--b\r\nContent-Disposition: attachment; name="a"\r\n\r\nx\r\n--b--',
    b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
    b'--b\r\nContent-Disposition: form-data; name="a"; name="b"\r\n\r\nx\r\n--b--',
    b'--b\r\nContent-Disposition: form-data; name="a\r\n\r\nx\r\n--b--',
    b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--b--',
    b'--b\r\nContent-Disposition: form-data; name="a"\n\r\n\r\nx\r\n--b--',
    b'--b\r\nContent-Disposition: form-data;\r\n name="a"\r\n\r\nx\r\n--b--',
    b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n"
    b"Content-Disposition: form-data; name=\"b\"\r\n\r\nx\r\n--b--",
    PART + b"--b\r\n--b--",
    PART[:-2] + b"Content-Transfer-Encoding: base64\r\n\r\neA==\r\n--b--",
    PART[:-2] + b"X: " + b"y" * PART_HEAD_BYTES_MAX + b"\r\n\r\nx\r\n--b--",
    b"x" * (PREAMBLE_BYTES_MAX + 1) + b"\r\n" + PART + b"x\r\n--b--",
    (PART + b"x\r\n") * (PARTS_MAX + 1) + b"--b--", (PART + b"x\r\n") * 10_000 + b"--b--",
])
@pytest.mark.parametrize("cut", [0, 1000])
def test_what_is_unclear_or_too_much_is_refused(body: bytes, cut: int) -> None:
    with pytest.raises(RelayError) as caught:
        parse(body, cut=cut)
    assert caught.value.code == "invalid_multipart"


def test_as_many_parts_as_the_limit_pass() -> None:
    assert parse((PART + b"x\r\n") * PARTS_MAX + b"--b--").ends == PARTS_MAX


@pytest.mark.parametrize("disposition, name, is_file, extension", [
    (b'form-data; name="a"', "a", False, ""),
    (b"form-data; name=a", "a", False, ""),
    (b'FORM-DATA;NAME="a";FileName="x.WAV"', "a", True, "WAV"),
    (b'form-data; name="a"; filename=""', "a", True, ""),
    (b'form-data; filename="x.tar.gz"; name="a"', "a", True, "gz"),
    (b'form-data; filename="q\\"; name=\\"evil\\".wav"; name="a"', "a", True, "wav"),
    (b'form-data; name="a"; filename="C:\\\\secret\\\\voice.mp3"', "a", True, "mp3"),
    (b"form-data; name=\"a\"; filename*=UTF-8''na%C3%AFve%2Emp3", "a", True, "mp3"),
    (b"form-data; name=\"a\"; filename=\"x.bin\"; filename*=utf-8'en'x.ogg", "a", True, "ogg"),
    ('form-data; name="größe"; filename="ä.flac"'.encode(), "größe", True, "flac"),
    (b'form-data; name="include[]"', "include[]", False, ""),
    (b'form-data; name="a"; filename="x.wav%22%0D%0AX: y"', "a", True, ""),
])
def test_names_and_extensions_are_read_from_the_disposition(
    disposition: bytes, name: str, is_file: bool, extension: str
) -> None:
    head_lines = b"content-disposition:" + disposition + b"\r\nContent-Type: text/x\r\n"
    body = b"--b\r\n" + head_lines + b"\r\n.\r\n--b--"
    [head] = parse(body).heads
    assert (head.name, head.is_file, head.extension) == (name, is_file, extension)
    assert head.content_type == "text/x"


@given(
    contents=st.lists(st.lists(
        st.sampled_from([b"\r", b"\n", b"-", b"--", b"b", b"\r\n--b", b"\r\n--", b" ", b"x"]),
        max_size=12).map(b"".join), min_size=1, max_size=4),
    cuts=st.lists(st.integers(1, 40), max_size=30),
)
def test_any_content_survives_any_cut(contents: list[bytes], cuts: list[int]) -> None:
    boundary = b"bQ7"  # in no content, as a boundary must be
    contents = [c for c in contents]
    body = b"".join(
        b'--bQ7\r\nContent-Disposition: form-data; name="%d"\r\n\r\n%b\r\n' % (n, content)
        for n, content in enumerate(contents)) + b"--bQ7--\r\n"
    parts = Parts()
    reader = MultipartReader(boundary)
    at = 0
    for size in [*cuts, len(body)]:
        reader.feed(body[at:at + size], parts)
        at += size
    reader.finish()
    assert parts.bodies == contents


def test_a_long_false_alarm_takes_linear_time() -> None:
    body = PART + b"\r\n--bX" * 200_000 + b"\r\n--b--"
    assert len(parse(body, cut=65536).bodies[0]) == 1_200_000


def test_blanks_in_the_head_of_a_part_take_linear_time() -> None:
    began = time.process_time()
    head = PART[:-2] + b"X:" + b" " * 1500
    assert parse(head + b"y \r\n\r\nx\r\n--b--").ends == 1
    with pytest.raises(RelayError):
        parse(head + b"\0\r\n\r\nx\r\n--b--")
    assert time.process_time() - began < 1.0  # with tries for each share of them it took 17 s
