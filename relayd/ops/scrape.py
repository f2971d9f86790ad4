"""Asks a daemon's ops listener for a page, and reads its metrics.

Law: one request a connection; what is read has a bound, and every wait an end.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from relayd.ops.configfile_address import parse_listen

PAGE_BYTES_MAX: Final = 16 * 1024 * 1024
SCRAPE_SECONDS: Final = 5.0
_SAMPLE: Final = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPE: Final = re.compile(r"\\(.)")


class Sample(NamedTuple):
    """One line of the page."""

    name: str
    labels: dict[str, str]
    value: float


async def fetch(listen: str, path: str, seconds: float = SCRAPE_SECONDS) -> tuple[int, str]:
    """Status and body; OSError where nobody answers (in time), ValueError for another service."""
    async with asyncio.timeout(seconds):
        answer = await _ask(listen, path)
    head, gap, body = answer.partition(b"\r\n\r\n")
    if not gap or not re.match(rb"HTTP/1\.[01] \d{3}", head):
        raise ValueError("not HTTP")
    return int(head[9:12]), body.decode("utf-8", "replace")


async def _ask(listen: str, path: str) -> bytes:
    address = parse_listen(listen)
    if address.kind == "unix":
        reader, writer = await asyncio.open_unix_connection(address.path)
    else:
        reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode("ascii"))
        answer = bytearray()
        while len(answer) < PAGE_BYTES_MAX and (data := await reader.read(65536)):
            answer += data
    finally:
        writer.close()
        with suppress(OSError):  # how the other side takes the end is its affair
            await writer.wait_closed()
    return bytes(answer)


def samples(page: str) -> Iterator[Sample]:
    """The values of a page in Prometheus' text format 0.0.4; comments and other lines are
    left out.
    """
    for line in page.splitlines():
        match = _SAMPLE.fullmatch(line)
        if match is None or line.startswith("#"):
            continue
        labels = {name: _ESCAPE.sub(_escaped, text)
                  for name, text in _LABEL.findall(match[2] or "")}
        try:
            yield Sample(match[1], labels, float(match[3]))
        except ValueError:
            continue


def _escaped(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
