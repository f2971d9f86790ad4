"""Entries of the systemd journal, read as the protocol says, and a journal that is not there."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from relayd.ops.journald import Journald, entry

LINE = {"time": "2026-01-01T00:00:00.000Z", "level": "warning", "event": "store_failed",
        "records": 3, "stream": True, "provider": None, "frames": ["a.py:1 f", "b.py:2 g"],
        "finding": {"key": "x", "line": 4}}


def parsed(datagram: bytes) -> dict[str, str]:
    """The fields of an entry: NAME=value, or NAME, a length of 8 bytes, the value."""
    found = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(rest[:8], "little")
            value, rest = rest[8:8 + size], rest[8 + size + 1:]
        found[name.decode()] = value.decode()
        datagram = rest
    return found


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "socket"))
        made.settimeout(5)
        yield made


def test_an_entry() -> None:
    found = parsed(entry(LINE))
    assert found == {
        "MESSAGE": "store_failed records=3 stream=true frames=a.py:1 f < b.py:2 g "
                   "finding=key: x; line: 4",
        "PRIORITY": "4", "SYSLOG_IDENTIFIER": "relayd", "RELAYD_LEVEL": "warning",
        "RELAYD_EVENT": "store_failed", "RELAYD_RECORDS": "3", "RELAYD_STREAM": "true",
        "RELAYD_FRAMES": "a.py:1 f < b.py:2 g", "RELAYD_FINDING": "key: x; line: 4"}


@pytest.mark.parametrize(("level", "priority"), [
    ("debug", "7"), ("info", "6"), ("warning", "4"), ("error", "3")])
def test_priorities_are_those_of_syslog(level: str, priority: str) -> None:
    assert parsed(entry({"level": level, "event": "x"}))["PRIORITY"] == priority


def test_a_value_with_a_line_end_cannot_make_a_field() -> None:
    found = parsed(entry({"level": "info", "event": "x", "part": "a\nRELAYD_LEVEL=error"}))
    assert found["RELAYD_PART"] == "a\nRELAYD_LEVEL=error" and found["RELAYD_LEVEL"] == "info"
    assert found["MESSAGE"] == "x part=a\nRELAYD_LEVEL=error"


def test_lines_arrive(journal: socket.socket, tmp_path: Path) -> None:
    journald = Journald(str(tmp_path / "socket"))
    assert journald.send(LINE) and journald.send({"level": "info", "event": "stopped"})
    assert parsed(journal.recv(65536))["RELAYD_EVENT"] == "store_failed"
    assert parsed(journal.recv(65536))["RELAYD_EVENT"] == "stopped"
    journald.close()


def test_a_journal_that_is_not_there_or_full(journal: socket.socket, tmp_path: Path) -> None:
    assert not Journald(str(tmp_path / "nowhere")).send(LINE)
    journald = Journald(str(tmp_path / "socket"))
    sent = 0
    while journald.send(LINE):
        sent += 1
        assert sent < 100_000
    assert sent
    journal.setblocking(False)
    with suppress(BlockingIOError):  # it is read again: the next line goes through
        while journal.recv(65536):
            pass
    assert journald.send(LINE)
    journald.close()
