"""Small real files, made on the spot: a PNG, a WAV, an MP3.

Law: every byte is computed; nothing is read from disk.
"""

from __future__ import annotations

import io
import math
import struct
import wave
import zlib
from typing import Final

SIDE_MAX: Final = 1536
RATE: Final = 24_000
TONE_HZ: Final = 440.0
TONE_SECONDS_MAX: Final = 2.0
MP3_FRAME_SECONDS: Final = 1152 / 44_100

# MPEG-1 Layer III, 128 kbit/s, 44.1 kHz, mono: a header, and side information that says "nothing
# to decode" (ISO/IEC 11172-3): silence. A frame of this kind has 417 bytes.
_MP3_FRAME: Final = b"\xff\xfb\x90\xc4".ljust(417, b"\0")


def png(width: int, height: int) -> bytes:
    """A picture with a gradient from top to bottom."""
    width, height = min(max(width, 1), SIDE_MAX), min(max(height, 1), SIDE_MAX)
    rows = bytearray()
    for row in range(height):
        share = row * 255 // height
        rows += b"\0" + bytes((share, 96, 255 - share)) * width
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head)
            + _chunk(b"IDAT", zlib.compress(bytes(rows), 6)) + _chunk(b"IEND", b""))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pcm(seconds: float) -> bytes:
    """A tone: 16 bits, little-endian, mono, 24 kHz."""
    number = int(RATE * min(seconds, TONE_SECONDS_MAX))
    step = 2 * math.pi * TONE_HZ / RATE
    return struct.pack(f"<{number}h", *(int(8_000 * math.sin(step * i)) for i in range(number)))


def wav(seconds: float) -> bytes:
    """The tone as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm(seconds))
    return buffer.getvalue()


def mp3(seconds: float) -> bytes:
    """Silence as an MP3 file."""
    return _MP3_FRAME * max(1, round(min(seconds, TONE_SECONDS_MAX) / MP3_FRAME_SECONDS))
