"""How long a sound is, by its heads. The heads are those that ffmpeg's encoders write."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.demo import media
from relayd.wire.sound import Frame, Sound, aac_frame, mpeg_frame
from tests.fakes.splits import one_by_one

MP3_1 = b"\xff\xfb\x50\xc4"
"""MPEG 1, 64 kbit/s, 44.1 kHz."""
MP3_2 = b"\xff\xf3\xc4\xc4"
"""MPEG 2, 128 kbit/s, 24 kHz: what OpenAI's speech has, 384 bytes and 24 ms."""
MP3_25 = b"\xff\xe3\x40\xc4"
"""MPEG 2.5, 32 kbit/s, 11.025 kHz."""
ADTS = b"\xff\xf1\x58\x40\x16\xff\xfc"
"""24 kHz, 183 bytes."""
PICTURED = b"ID3\x03\x00\x00\x00\x01\x01\x01" + bytes(16_384 + 128 + 1)
"""A tag of more than 16 KiB: seven bits a byte."""
ID3 = b"ID3\x03\x00\x00\x00\x00\x01\x00" + bytes(128)


def mp3(frames: int) -> bytes:
    return (MP3_2 + bytes(380)) * frames


def adts(frames: int) -> bytes:
    return (ADTS + bytes(176)) * frames


def ogg(*granules: int) -> bytes:
    return b"".join(
        struct.pack("<4sBBqIIIB", b"OggS", 0, 0, granule, 1, number, 0, 1) + b"\x40" + bytes(64)
        for number, granule in enumerate(granules))


def flac(samples: int, rate: int = 24_000, channels: int = 1) -> bytes:
    told = rate << 44 | channels - 1 << 41 | 15 << 36 | samples
    return b"fLaC\x00\x00\x00\x22" + bytes(10) + told.to_bytes(8, "big") + bytes(18)


def heard(pieces: list[bytes]) -> int:
    sound = Sound()
    for piece in pieces:
        sound.feed(piece)
    return sound.seconds()


@pytest.mark.parametrize(("body", "seconds"), [
    (mp3(125), 3), (mp3(126), 4), (media.mp3(1.2), 2), (mp3(126) + b"TAG" + bytes(125), 4),
    (ID3 + mp3(125), 3), (PICTURED + mp3(125), 3),
    ((ID3 + mp3(50) + b"TAG" + bytes(125)) * 3, 4), (ID3 + adts(47), 3),
    (adts(47), 3), (adts(46), 2), (adts(0x2F)[:-100], 3),
    (ogg(0, 0, 48_000, 120_000), 3), (ogg(0, -1, 48_000), 1), (ogg(), 0),
    (ogg(0, 48_000, 96_000) + ogg(0, 0, 48_000, 48_000) + ogg(0, 60_000), 5),
    (flac(72_001) + bytes(500), 4), (flac(0) + bytes(24_000 * 3 - 44), 3),
    (flac(0, channels=2) + bytes(48_000 * 3 - 44), 3),
    (media.wav(1.5), 2), (media.pcm(1.5), 2), (bytes(48_000), 1), (bytes(48_001), 2), (b"x", 1),
    (b"", 0), (b"ID3" + bytes(60), 0), (b"\xff\xfb\xff\xff" + bytes(47_996), 1),
], ids=[
    "mp3", "mp3 and more", "mp3 of the demo", "mp3 and its tag", "a tag before it",
    "a tag with a picture", "sentence by sentence", "aac behind a tag", "aac", "shorter aac",
    "aac that was cut", "opus", "opus and a page without an end", "nothing of opus",
    "opus, sentence by sentence", "flac",
    "flac as it is made", "flac of two channels", "wav", "samples", "a second", "more",
    "one byte", "nothing", "a tag alone", "no frame",
])
def test_how_long_it_is(body: bytes, seconds: int) -> None:
    for size in (len(body) or 1, 1000, 383, 17):
        assert heard([body[at:at + size] for at in range(0, len(body), size)]) == seconds
    assert heard(one_by_one(body[:1000]) + [body[1000:]]) == seconds


@pytest.mark.parametrize("head", [
    b"RIFF\0\0\0\0WAVEfmt " + bytes(12) + b"\1\0\0\0" + bytes(12), ogg(2 ** 62),
    flac(2 ** 36 - 1), flac(2 ** 36 - 1, rate=1)], ids=["wav", "opus", "flac", "slow flac"])
def test_a_head_does_not_make_it_longer_than_its_bytes_can_be(head: bytes) -> None:
    assert heard([head, bytes(128 * 60 - len(head))]) == 60


@pytest.mark.parametrize(("head", "frame"), [
    (MP3_1, Frame(208, 1152, 44_100)), (MP3_2, Frame(384, 576, 24_000)),
    (MP3_25, Frame(208, 576, 11_025)), (b"\xff\xfb\x92\x00", Frame(418, 1152, 44_100)),
    (b"\xff\xeb\x54\xc4", None), (b"\xff\xfb\x04\xc4", None), (b"\xff\xfb\xf4\xc4", None),
    (b"\xff\xfb\x5c\xc4", None), (b"\xff\xfd\x54\xc4", None), (b"\x00\xfb\x54\xc4", None),
])
def test_frames_of_mp3(head: bytes, frame: Frame | None) -> None:
    assert mpeg_frame(b"x" + head, 1) == frame


@pytest.mark.parametrize(("head", "frame"), [
    (ADTS, Frame(183, 1024, 24_000)), (b"\xff\xf9\x4c\x80\x20\x1f\xfd", Frame(256, 2048, 48_000)),
    (b"\xff\xf1\x58\x41\x16\xff\xfc", Frame(2231, 1024, 24_000)),
    (b"\xff\xf1\x7c\x40\x16\xff\xfc", None), (b"\xff\xf1\x58\x40\x00\x1f\xfc", None),
    (MP3_2 + bytes(3), None),
])
def test_frames_of_aac(head: bytes, frame: Frame | None) -> None:
    assert aac_frame(b"x" + head, 1) == frame


@given(st.binary(max_size=300), st.sampled_from([b"", b"RIFF", b"fLaC", b"OggS", b"ID3", MP3_2]))
def test_whatever_comes_has_an_end(rest: bytes, start: bytes) -> None:
    assert heard([start + rest]) == heard(one_by_one(start + rest)) >= 0
