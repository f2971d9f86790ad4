"""Images: sizes from the first bytes of each format, tokens as recorded and published."""

from __future__ import annotations

import base64
import struct
import time

import pytest

from relayd.relay.prompt_image import image_tokens, size_of_base64, size_of_url


def png(width: int, height: int) -> bytes:
    head = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
    return head + struct.pack(">II", width, height) + b"\x08\x06" * 9


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(40)


def jpeg(width: int, height: int, before: int = 0, marker: int = 0xC0) -> bytes:
    head = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(10)
    while before > 0:
        size = min(before, 60_000)
        head += b"\xff\xe1" + struct.pack(">H", size + 2) + bytes(size)
        before -= size
    return head + b"\xff\xff" + bytes([marker]) + b"\x00\x11\x08" + struct.pack(
        ">HH", height, width) + bytes(60)


def webp(form: bytes, payload: bytes) -> bytes:
    return b"RIFF\x00\x01\x00\x00WEBP" + form + b"\x00\x01\x00\x00" + payload + bytes(40)


def lossy(width: int, height: int) -> bytes:
    return webp(b"VP8 ", b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width | 0x4000, height))


def lossless(width: int, height: int) -> bytes:
    return webp(b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14))


def extended(width: int, height: int) -> bytes:
    return webp(b"VP8X", bytes(4) + (width - 1).to_bytes(3, "little")
                + (height - 1).to_bytes(3, "little"))


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("image", [png, gif, jpeg, lossy, lossless, extended])
@pytest.mark.parametrize("size", [(1, 1), (640, 480), (3008, 2000)])
def test_sizes_of_every_format(image: object, size: tuple[int, int]) -> None:
    data = encoded(image(*size))  # type: ignore[operator]
    assert size_of_base64(data) == size
    assert size_of_url(f"data:image/any;base64,{data}") == size


def test_a_jpeg_with_metadata_before_its_size() -> None:
    assert size_of_base64(encoded(jpeg(10, 20, before=40_000))) == (10, 20)
    assert size_of_base64(encoded(jpeg(10, 20, marker=0xC2))) == (10, 20)
    # C4 is no frame but a table, and what lies beyond the header limit is not read
    assert size_of_base64(encoded(jpeg(10, 20, marker=0xC4))) is None
    assert size_of_base64(encoded(jpeg(10, 20, before=70_000))) is None


@pytest.mark.parametrize("data", [
    "", "====", "not base64!", encoded(b"%PDF-1.7" + bytes(40)), encoded(png(0, 5)),
    encoded(png(1 << 31, 5)), encoded(png(5, 5)[:12]), encoded(b"RIFF" + bytes(40)),
    encoded(webp(b"VP9 ", b"")), encoded(b"\xff\xd8"), encoded(b"\xff\xd8" + b"\xff" * 90_000),
    5, None,
])
def test_what_is_no_image_has_no_size(data: object) -> None:
    assert size_of_base64(data) is None


@pytest.mark.parametrize("url", [
    "https://example.org/a.png", "data:image/png,plain", "data:", "data:image/png;base64",
    "data:image/png;base64,", None, 5, {"url": "x"},
])
def test_what_is_no_image_url_has_no_size(url: object) -> None:
    assert size_of_url(url) is None


def test_only_the_header_is_decoded() -> None:
    huge = "data:image/png;base64," + encoded(png(64, 64)) + "A" * 20_000_000
    begun = time.process_time()
    for _ in range(100):
        assert size_of_url(huge) == (64, 64)
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize(("family", "size", "detail", "tokens"), [
    ("gpt-4o", (2560, 1669), None, 1105), ("gpt-4o", (3008, 2000), "high", 1105),
    ("gpt-4o", (3008, 2000), "low", 85), ("gpt-4o", (512, 512), "auto", 255),
    ("gpt-4o", None, None, 765), ("gpt-4o", (1, 1 << 20), None, 765),
    ("gpt-4o-mini", (100, 100), None, 8500), ("gpt-5", (256, 256), None, 210),
    ("o", (512, 512), None, 225), ("gpt-4.1-mini", (320, 352), None, 179),
    ("gpt-4.1-nano", (128, 128), None, 40), ("gpt-4.1-nano", (544, 384), None, 502),
    ("gpt-5-nano", (128, 128), None, 24), ("gpt-4.1-mini", (1 << 20, 1), None, 2489),
    ("o-mini", (1800, 2400), None, 2498), ("claude", (750, 1000), None, 1000),
    ("claude", (9000, 9000), None, 1600), ("gemini", (384, 384), None, 258),
    ("claude-4.5", (9000, 9000), None, 1600), ("claude-5", (9000, 9000), None, 4784),
    ("claude-5", (2400, 1200), None, 3840), ("gemini-2", (769, 768), None, 516),
    ("gpt-5.4", (512, 149), None, 96), ("gpt-5.4", (196, 152), None, 42),
    ("gemini-3", (400, 301), None, 1100), ("gemini-3", None, None, 1100),
    ("qwen", (540, 360), None, 247), ("qwen", (9000, 9000), None, 1280),
    ("glm", (597, 566), None, 420),
    ("qwen-3", (1024, 1024), None, 1024), ("qwen-3", (1 << 20, 1), None, 2560),
    ("qwen", (1, 1), None, 1), ("qwen", None, None, 765), ("mistral", None, None, 765),
    ("mistral", (239, 178), None, 70), ("mistral", (3080, 1540), None, 1568),
    ("unknown", (10, 10), None, 255),
])
def test_tokens_of_an_image(
    family: str, size: tuple[int, int] | None, detail: object, tokens: int
) -> None:
    assert image_tokens(family, size, detail) == tokens
