"""Log lines as entries of the systemd journal, by its native protocol: one datagram an entry.

A field of a line becomes RELAYD_NAME, so that `journalctl RELAYD_PROVIDER=openai` finds it;
MESSAGE is the line for people. Source: systemd.io/JOURNAL_NATIVE_PROTOCOL.

Law: never waits. What the journal does not take at once the caller writes elsewhere.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Final

SOCKET_PATH: Final = "/run/systemd/journal/socket"
PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3}
"""syslog's (RFC 5424 section 6.2.1)."""
IDENTIFIER: Final = "relayd"


class Journald:
    """A socket to the journal, made at the first line."""

    def __init__(self, path: str = SOCKET_PATH) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def send(self, line: Mapping[str, object]) -> bool:
        """Sends a line with `level` and `event`; False where it was not taken."""
        try:
            if self._socket is None:
                self._socket = self._connect()
            self._socket.send(entry(line))
        except OSError:
            self.close()
            return False
        return True

    def _connect(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            made.setblocking(False)
            made.connect(self._path)
        except OSError:
            made.close()
            raise
        return made

    def close(self) -> None:
        """Closes the socket; the next line opens one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def entry(line: Mapping[str, object]) -> bytes:
    """The datagram of a line. The journal has its own time."""
    words = {name: _text(value) for name, value in line.items()
             if name != "time" and value is not None}
    message = " ".join([words["event"], *(
        f"{name}={value}" for name, value in words.items() if name not in ("event", "level"))])
    fields = {"MESSAGE": message, "PRIORITY": str(PRIORITIES[words["level"]]),
              "SYSLOG_IDENTIFIER": IDENTIFIER,
              **{f"RELAYD_{name.upper()}": value for name, value in words.items()}}
    return b"".join(_field(name, value.encode()) for name, value in fields.items())


def _field(name: str, value: bytes) -> bytes:
    if b"\n" not in value:
        return b"%b=%b\n" % (name.encode(), value)
    return b"%b\n%b%b\n" % (name.encode(), len(value).to_bytes(8, "little"), value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_text(each)}" for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return " < ".join(map(str, value))
    return str(value)
