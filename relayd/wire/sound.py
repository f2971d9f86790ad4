"""How long a sound is, by its bytes as they pass: for speech whose provider reports nothing.

Law: reads heads, never samples, and holds a few bytes. Sources: ISO/IEC 11172-3 2.4.1.3 and
13818-3 (MPEG audio, layer III), 13818-7 6.2 (ADTS), RFC 3533 section 6 and RFC 7845 section 4
(Ogg, Opus), RFC 9639 section 8 (FLAC), Microsoft's RIFF (WAV). What is none of these is taken for
the raw samples of OpenAI's `pcm`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

RAW_BYTES_PER_SECOND: Final = 48_000
"""Of `pcm`: 24 kHz, 16 bits, one channel."""
SLOWEST_BYTES_PER_SECOND: Final = 128
"""Of any sound: what a head says is bounded by it. Minutes of silence have 193 (FLAC) to 1,002."""
TOKENS_PER_SECOND: Final = 20
"""Of sound that a model of OpenAI's speaks."""
OPUS_RATE: Final = 48_000
_HEAD_BYTES: Final = 44
"""So many tell what it is, and of WAV and FLAC how long a second is."""
_FRAME_HEAD: Final = 7
_TAG_HEAD: Final = 10
_TAG_AT_THE_END: Final = 128
_PAGE: Final = b"OggS"
_PAGE_HEAD: Final = 14
_MPEG_1: Final = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG_2: Final = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
"""Kilobits a second, by a frame's four bits less one."""
_RATES: Final = (44_100, 48_000, 32_000)
_HALVED: Final = {3: 0, 2: 1, 0: 2}
"""How often, by a frame's two bits for MPEG 1, 2 and 2.5."""
_AAC_RATES: Final = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000,
                     12_000, 11_025, 8_000, 7_350)


class Frame(NamedTuple):
    """One frame of compressed sound: its bytes, its samples, and how many of them a second has."""

    size: int
    samples: int
    rate: int


def mpeg_frame(data: bytes, at: int) -> Frame | None:
    """The frame of layer III that begins there; None: there is none."""
    if data[at] != 0xFF or data[at + 1] & 0xE6 != 0xE2:
        return None
    version, bits = data[at + 1] >> 3 & 3, data[at + 2]
    if version == 1 or bits >> 4 in (0, 15) or bits >> 2 & 3 == 3:
        return None
    rate = _RATES[bits >> 2 & 3] >> _HALVED[version]
    kilobits = (_MPEG_1 if version == 3 else _MPEG_2)[(bits >> 4) - 1]
    samples = 1152 if version == 3 else 576
    return Frame(samples * 125 * kilobits // rate + (bits >> 1 & 1), samples, rate)


def aac_frame(data: bytes, at: int) -> Frame | None:
    """The frame of ADTS that begins there; None: there is none."""
    if data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
        return None
    index = data[at + 2] >> 2 & 15
    size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    if index >= len(_AAC_RATES) or size < _FRAME_HEAD:
        return None
    return Frame(size, 1024 * ((data[at + 6] & 3) + 1), _AAC_RATES[index])


def tag(data: bytes, at: int) -> Frame | None:
    """The tag (ID3v2, ID3v1) that begins there, as a frame without sound; None: there is none."""
    begins = data[at:at + 3]
    if begins == b"TAG":
        return Frame(_TAG_AT_THE_END, 0, _RATES[0])
    if begins != b"ID3":
        return None
    size = data[at + 6] << 21 | data[at + 7] << 14 | data[at + 8] << 7 | data[at + 9]
    return Frame(_TAG_HEAD + size, 0, _RATES[0])


def _any_frame(data: bytes, at: int) -> Frame | None:
    return mpeg_frame(data, at) or aac_frame(data, at)


class Sound:
    """What has passed of one sound, or of several that follow each other, as servers write them
    that speak sentence by sentence."""

    __slots__ = ("_bytes", "_head", "_begun", "_per_second", "_frame", "_in_pages", "_skip",
                 "_tail", "_before", "_samples", "_rate")

    def __init__(self) -> None:
        self._bytes = 0
        self._head = b""
        self._begun = False
        self._per_second = RAW_BYTES_PER_SECOND
        self._frame: Callable[[bytes, int], Frame | None] | None = None
        self._in_pages = False
        self._skip = 0
        self._tail = b""
        self._before = 0
        """Samples of the sounds of Ogg before this one."""
        self._samples = 0
        self._rate = 0
        """Of samples that are counted; 0: the bytes are what tells."""

    def feed(self, data: bytes) -> None:
        """Takes the next bytes."""
        self._bytes += len(data)
        if not self._begun:
            self._head += data
            if len(self._head) < _HEAD_BYTES:
                return
            data, self._head = self._head, b""
            self._begin(data)
        if self._frame is not None:
            self._frames(data, self._frame)
        elif self._in_pages:
            self._pages(data)

    def seconds(self) -> int:
        """How long it is so far, rounded up, and no longer than its bytes may be."""
        told = (-(-(self._before + self._samples) // self._rate) if self._rate
                else -(-self._bytes // self._per_second))
        return min(told, -(-self._bytes // SLOWEST_BYTES_PER_SECOND))

    def _begin(self, head: bytes) -> None:
        self._begun = True
        if head[:4] == b"RIFF" and head[12:16] == b"fmt ":
            self._per_second = int.from_bytes(head[28:32], "little") or RAW_BYTES_PER_SECOND
        elif head[:4] == b"fLaC":
            self._flac(int.from_bytes(head[18:26], "big"))
        elif head[:4] == _PAGE:
            self._rate, self._in_pages = OPUS_RATE, True
        elif head[:3] == b"ID3":
            self._frame, self._rate = _any_frame, _RATES[0]
        else:
            for frame in (mpeg_frame, aac_frame):
                first = frame(head, 0)
                if first is not None:
                    self._frame, self._rate = frame, first.rate

    def _flac(self, told: int) -> None:
        rate, channels, bits = told >> 44, (told >> 41 & 7) + 1, (told >> 36 & 31) + 1
        self._samples = told & (1 << 36) - 1
        if rate and self._samples:  # of all of it
            self._rate = rate
        elif rate:  # written as it was made; speech is half as long then
            self._per_second = max(rate * channels * bits // 16, 1)

    def _frames(self, data: bytes, frame: Callable[[bytes, int], Frame | None]) -> None:
        at, data = self._skip, self._tail + data
        last = len(data) - _TAG_HEAD
        while at <= last:
            found = frame(data, at) or tag(data, at)
            if found is None:  # no sound
                self._frame = None
                self._tail = b""
                return
            at += found.size
            self._samples += found.samples
            if found.samples:
                self._rate = found.rate
        self._tail = data[at:]
        self._skip = at - len(data) if at > len(data) else 0

    def _pages(self, data: bytes) -> None:
        data = self._tail + data
        begun = 0
        last = len(data) - _PAGE_HEAD + len(_PAGE)
        while (at := data.find(_PAGE, begun, last)) >= 0:
            begun = at + _PAGE_HEAD
            played = int.from_bytes(data[at + 6:begun], "little", signed=True)
            if 0 <= played < self._samples:  # the next one has begun
                self._before += self._samples
            if played >= 0:
                self._samples = played
        self._tail = data[max(begun, len(data) - _PAGE_HEAD + 1):]
