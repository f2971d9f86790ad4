"""What an image costs in a prompt: its size from the first bytes of a data URL, by family rules.

Law: no more of an image is decoded than its header, and no address is ever fetched. An image whose
size cannot be known counts as one of `SIZE_DEFAULT`, by OpenAI's rule where the family's is of
equal squares.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Final

SIZE_DEFAULT: Final = (1024, 1024)
"""Width and height, in pixels, of an image that is only referred to."""

HEADER_BYTES_MAX: Final = 64 * 1024
"""How far into a JPEG its size is sought: metadata and thumbnails come before it."""

_SIDE_MAX: Final = 1 << 20
_SHORT_BYTES: Final = 48
_PATCH: Final = 32
_PATCHES_MAX: Final = 1536
_JPEG_SIZE: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE: Final = frozenset({0x01, 0xFF, *range(0xD0, 0xD9)})

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Tiles:
    """`base`, and `tile` for each 512-pixel square after scaling (OpenAI's published rule)."""

    base: int
    tile: int


@dataclass(frozen=True, slots=True)
class Patches:
    """`permille` / 1000 for each 32-pixel square, of which there are at most 1536."""

    permille: int


@dataclass(frozen=True, slots=True)
class Grid:
    """One for each square of `square` pixels, of which there are at most `tokens_max`."""

    square: int
    tokens_max: int


_RULES: Final[dict[str, Tiles | Patches]] = {
    "gpt-4o-mini": Tiles(2833, 5667),
    "gpt-5": Tiles(70, 140),
    "o": Tiles(75, 150),
    "gpt-4.1-mini": Patches(1620),
    "gpt-4.1-nano": Patches(2460),
    "gpt-5-mini": Patches(1200),
    "gpt-5-nano": Patches(1500),
    "gpt-5.4": Patches(1200),
    "o-mini": Patches(1720),
}
_DEFAULT: Final = Tiles(85, 170)
_CLAUDE_USUAL: Final = (1568, 1600)
_CLAUDE_LARGE: Final = (2576, 4784)
# the longer side and the tokens of an image at most; the large ones since Claude 4.7
_GEMINI_3: Final = 1100
# recorded: 1088 and 1102, whatever the size; fewer where the client asks for less resolution
_GRIDS: Final = {"qwen": Grid(28, 1280), "qwen-3": Grid(32, 2560), "glm": Grid(28, 6144)}
# of 28 as recorded: 247 for 540 x 360, 420 for 597 x 566
_MISTRAL: Final = (28, 1540)
# pixels of a square, whose rows end with one more, and of the longer side at most


def image_tokens(family: str, size: Size | None, detail: object = None) -> int:
    """Tokens of an image for a model family; `detail` is OpenAI's field of that name."""
    width, height = size or SIZE_DEFAULT
    if family.startswith("claude"):
        return _claude(width, height, *_CLAUDE_LARGE if family == "claude-5" else _CLAUDE_USUAL)
    if family in ("gemini", "gemini-2"):
        return _gemini(width, height)
    if family == "gemini-3":
        return _GEMINI_3
    if size and family in _GRIDS:
        return _grid(width, height, _GRIDS[family])
    if size and family == "mistral":
        return _rows(width, height, *_MISTRAL)
    rule = _RULES.get(family, _DEFAULT)
    if isinstance(rule, Patches):
        return -(-_patches(width, height) * rule.permille // 1000)
    if detail == "low":
        return rule.base
    return rule.base + rule.tile * _tiles(width, height)


def _tiles(width: int, height: int) -> int:
    """512-pixel squares after fitting in 2048 x 2048, then the shorter side in 768."""
    shrink = min(1.0, 2048 / max(width, height))
    shrink *= min(1.0, 768 / (min(width, height) * shrink))
    return _squares(round(width * shrink), 512) * _squares(round(height * shrink), 512)


def _patches(width: int, height: int) -> int:
    if _squares(width, _PATCH) * _squares(height, _PATCH) <= _PATCHES_MAX:
        return _squares(width, _PATCH) * _squares(height, _PATCH)
    shrink = sqrt(_PATCH * _PATCH * _PATCHES_MAX / (width * height))
    across, down = width * shrink / _PATCH, height * shrink / _PATCH
    shrink *= min(int(across) / across, int(down) / down) or 1.0
    return min(_squares(round(width * shrink), _PATCH) * _squares(round(height * shrink), _PATCH),
               _PATCHES_MAX)


def _squares(side: int, square: int) -> int:
    return max(-(-side // square), 1)


def _claude(width: int, height: int, side_max: int, tokens_max: int) -> int:
    """About a token for 750 pixels after the longer side is scaled down."""
    shrink = min(1.0, side_max / max(width, height))
    return min(round(width * shrink * height * shrink / 750), tokens_max)


def _grid(width: int, height: int, rule: Grid) -> int:
    """Sides are rounded to whole squares, after the area is scaled down."""
    shrink = min(1.0, sqrt(rule.tokens_max / (width * height)) * rule.square)
    across, down = (max(round(side * shrink / rule.square), 1) for side in (width, height))
    return min(across * down, rule.tokens_max)


def _rows(width: int, height: int, square: int, side_max: int) -> int:
    shrink = min(1.0, side_max / max(width, height))
    across, down = (_squares(round(side * shrink), square) for side in (width, height))
    return (across + 1) * down


def _gemini(width: int, height: int) -> int:
    """258 for a small image, else 258 for each tile of 768 pixels."""
    if max(width, height) <= 384:
        return 258
    return 258 * _squares(width, 768) * _squares(height, 768)


def size_of_url(url: object) -> Size | None:
    """The size of the image in a base64 data URL; None for other URLs and unknown formats."""
    if type(url) is not str or not url[:5].lower() == "data:":
        return None
    comma = url.find(",", 0, 256)
    if comma < 0 or not url[:comma].lower().endswith(";base64"):
        return None
    return size_of_base64(url, comma + 1)


def size_of_base64(data: object, start: int = 0) -> Size | None:
    """The size of an image in base64 from `start` on, or None."""
    if type(data) is not str:
        return None
    head = _decoded(data, start, _SHORT_BYTES)
    if head[:2] == b"\xff\xd8":
        size = _jpeg(_decoded(data, start, HEADER_BYTES_MAX))
    else:
        size = next((read(head) for magic, read in _READERS if head.startswith(magic)), None)
    if size is None or not (0 < size[0] <= _SIDE_MAX and 0 < size[1] <= _SIDE_MAX):
        return None
    return size


def _decoded(data: str, start: int, size: int) -> bytes:
    """The first `size` bytes, a multiple of 3; fewer where there are no more."""
    text = data[start:start + size * 4 // 3]
    try:
        return binascii.a2b_base64(text[:len(text) // 4 * 4])
    except ValueError:
        return b""


def _big(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at:at + size], "big")


def _little(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at:at + size], "little")


def _png(head: bytes) -> Size | None:
    """PNG, section 11.2.2: IHDR comes first."""
    return (_big(head, 16, 4), _big(head, 20, 4)) if head[12:16] == b"IHDR" else None


def _gif(head: bytes) -> Size | None:
    """GIF89a, section 18: the logical screen."""
    return _little(head, 6, 2), _little(head, 8, 2)


def _webp(head: bytes) -> Size | None:
    """RFC 9649, sections 2.5 to 2.7: the simple, lossless and extended formats."""
    if head[8:12] != b"WEBP":
        return None
    form = head[12:16]
    if form == b"VP8 ":
        return _little(head, 26, 2) & 0x3FFF, _little(head, 28, 2) & 0x3FFF
    if form == b"VP8L":
        bits = _little(head, 21, 4)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8X":
        return _little(head, 24, 3) + 1, _little(head, 27, 3) + 1
    return None


def _jpeg(data: bytes) -> Size | None:
    """ITU T.81, B.2.2: segments follow each other until a frame header."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _JPEG_SIZE:
            return _big(data, at + 7, 2), _big(data, at + 5, 2)
        if marker in _JPEG_BARE:
            at += 1 if marker == 0xFF else 2
        else:
            at += 2 + max(_big(data, at + 2, 2), 2)
    return None


_READERS: Final[tuple[tuple[bytes, Callable[[bytes], Size | None]], ...]] = (
    (b"\x89PNG\r\n\x1a\n", _png), (b"GIF8", _gif), (b"RIFF", _webp),
)
