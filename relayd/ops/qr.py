"""QR codes as SVG: an authenticator's secret, the page of a payment."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Final

from relayd.ops.late import Late

if TYPE_CHECKING:
    import segno
else:
    segno = Late("segno")

SCALE: Final = 5
BORDER: Final = 4
"""White modules around it, as ISO/IEC 18004 asks for."""
MEDIA_TYPE: Final = "image/svg+xml"


async def drawn(text: str) -> bytes:
    """The QR code of a text, black on white; on a thread."""
    return await asyncio.to_thread(_drawn, text)


def _drawn(text: str) -> bytes:
    out = io.BytesIO()
    segno.make(text, error="m").save(
        out, kind="svg", scale=SCALE, border=BORDER, dark="#000", light="#fff")
    return out.getvalue()
