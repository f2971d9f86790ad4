"""QR codes as SVG."""

from __future__ import annotations

import re
from xml.etree.ElementTree import fromstring

import segno

from relayd.ops import qr

TEXT = "otpauth://totp/relayd:a?secret=JBSWY3DPEHPK3PXP&issuer=relayd"


async def test_it_shows_the_text_and_only_as_modules() -> None:
    svg = await qr.drawn(TEXT)
    root = fromstring(svg)
    side = segno.make(TEXT, error="m").symbol_size(scale=qr.SCALE, border=qr.BORDER)[0]
    assert (root.get("width"), root.get("height")) == (str(side), str(side))
    assert b"JBSWY3DP" not in svg and b"<script" not in svg
    assert re.search(rb'stroke="#000"', svg) and re.search(rb'fill="#fff"', svg)


async def test_another_text_is_another_code() -> None:
    assert await qr.drawn("one") == await qr.drawn("one") != await qr.drawn("two")
