"""Reading a page of metrics, and asking for one over real sockets."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from relayd.ops.listener import OpsListener
from relayd.ops.metrics_text import family, labels
from relayd.ops.scrape import Sample, fetch, samples


class Page:
    def __init__(self, text: str) -> None:
        self._text = text

    def render(self) -> bytes:
        return self._text.encode()


@given(st.lists(st.tuples(st.text(st.characters(codec="ascii", exclude_characters="\r"),
                                  max_size=20), st.integers(0, 10 ** 12)), max_size=5,
                unique_by=lambda pair: pair[0]))
def test_it_reads_what_the_client_library_reads(pairs: list[tuple[str, int]]) -> None:
    page = family("a_total", "counter", "About.",
                  [(labels(("x", "y"), (text, "z")), value) for text, value in pairs])
    page = "\n".join(line for line in page.split("\n") if "\x0b" not in line)
    oracle = [(s.name, s.labels, s.value) for f in text_string_to_metric_families(page)
              for s in f.samples]
    if not any(character < " " for text, _ in pairs for character in text):
        assert [tuple(each) for each in samples(page)] == oracle


def test_other_lines_are_left_out() -> None:
    page = '# HELP a b\n# TYPE a gauge\na 1\n\nnonsense\nb{le="+Inf"} +Inf\nc x\nd{e="\\"\\n"} 2\n'
    assert list(samples(page)) == [
        Sample("a", {}, 1.0), Sample("b", {"le": "+Inf"}, float("inf")),
        Sample("d", {"e": '"\n'}, 2.0)]


@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_a_page_is_fetched(tmp_path: Path, kind: str) -> None:
    listener = OpsListener("127.0.0.1:0" if kind == "tcp" else f"unix:{tmp_path / 'ops'}",
                           Page("a 1\n" * 50_000), lambda: (True, "ok"))
    await listener.start()
    try:
        where = (f"127.0.0.1:{listener.address[1]}" if kind == "tcp"
                 else f"unix:{tmp_path / 'ops'}")
        status, page = await fetch(where, "/metrics")
        assert status == 200 and page == "a 1\n" * 50_000
        assert (await fetch(where, "/nothing"))[0] == 404
    finally:
        await listener.stop()


async def test_nobody_and_somebody_else(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        await fetch("127.0.0.1:1", "/metrics")
    with pytest.raises(OSError):
        await fetch(f"unix:{tmp_path / 'none'}", "/metrics")

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example.org ESMTP\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        with pytest.raises(ValueError):
            await fetch(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", "/metrics")


async def test_silence_ends() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(TimeoutError):
            await fetch(f"127.0.0.1:{silent.getsockname()[1]}", "/metrics", seconds=0.1)
