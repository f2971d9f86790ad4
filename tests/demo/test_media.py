"""Tests of the files that are made on the spot."""

from __future__ import annotations

import io
import struct
import wave
import zlib

import pytest

from relayd.demo import media


def _chunks(data: bytes) -> dict[bytes, bytes]:
    found = {}
    at = 8
    while at < len(data):
        size = struct.unpack(">I", data[at:at + 4])[0]
        kind, content = data[at + 4:at + 8], data[at + 8:at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0] == zlib.crc32(
            kind + content)
        found[kind] = content
        at += 12 + size
    return found


@pytest.mark.parametrize(("asked", "given"), [
    ((4, 3), (4, 3)), ((0, -1), (1, 1)), ((9_999, 1), (media.SIDE_MAX, 1))])
def test_png(asked: tuple[int, int], given: tuple[int, int]) -> None:
    data = media.png(*asked)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks = _chunks(data)
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == given
    assert len(zlib.decompress(chunks[b"IDAT"])) == given[1] * (1 + 3 * given[0])


def test_wav() -> None:
    with wave.open(io.BytesIO(media.wav(0.5))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24_000)
        assert file.getnframes() == 12_000
        assert any(file.readframes(100))
    assert media.pcm(99) == media.pcm(media.TONE_SECONDS_MAX)


def test_mp3_is_whole_frames() -> None:
    data = media.mp3(1.0)
    assert len(data) % 417 == 0 and len(data) // 417 == 38
    assert {data[at:at + 4] for at in range(0, len(data), 417)} == {b"\xff\xfb\x90\xc4"}
    assert len(media.mp3(0)) == 417
