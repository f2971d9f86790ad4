"""The log: one JSON object a line on stderr, from a closed list of fields.

Law: nothing that came from outside can get in. A field has a name from FIELDS and a value of that
field's shape; anything else is left out and counted in `bad_fields`. Exceptions are logged by type
and by file, line and function, never by their text. Other libraries' messages are dropped; what
stays is who spoke, where, how loud, and the type of the exception.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final, TextIO, get_args

import orjson

from relayd.core.errors import ERRORS
from relayd.core.provider import Api
from relayd.core.timestamp import rfc3339
from relayd.core.usage import Outcome, UsageSource
from relayd.ops import clock
from relayd.ops.configfile_fault import Fault
from relayd.ops.journald import Journald
from relayd.ops.notice import Pace
from relayd.ops.outlet import put
from relayd.wire.dialect import ENDPOINTS, MODELS_PATHS

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
FRAMES_MAX: Final = 40
CHAIN_MAX: Final = 5

_WORD: Final = re.compile(r"[a-z][a-z0-9_]{0,47}")
_PLACE: Final = re.compile(r"[a-z]{1,16}(?: [a-z]{1,16}){0,2}")
_SHAPES: Final = {
    "word": _WORD,
    "provider": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"),
    "ulid": re.compile(r"[0-9A-HJKMNP-TV-Z]{26}"),
    "version": re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,8}){1,3}[a-z0-9.+-]{0,16}"),
    "listen": re.compile(
        r"unix:/[!-~]{1,106}|systemd|(?:\[[0-9a-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}"),
    "digest": re.compile(r"[0-9a-f]{8,64}"),
}
CODES: Final = frozenset(ERRORS) | {"client_left", "other"}
PATHS: Final = frozenset(endpoint.path for endpoint in ENDPOINTS) | MODELS_PATHS | {"other"}
_VOCABULARIES: Final[Mapping[str, frozenset[str]]] = {
    "code": CODES,
    "api": frozenset(get_args(Api)),
    "endpoint": PATHS,
    "outcome": frozenset(get_args(Outcome)),
    "usage_source": frozenset(get_args(UsageSource)),
}
_NUMBERS: Final = (
    "account_count", "attempts", "audio_input_tokens", "body_bytes", "bytes", "connections",
    "count", "deployments", "drain_seconds", "duration_ms", "errno", "exit_code", "first_byte_ms",
    "files", "flushed", "in_flight", "input_tokens", "interrupted", "keys", "lag_ms", "limit",
    "lost", "output_tokens", "pid", "port", "providers", "records", "refused", "replayed",
    "retry_ms", "routes", "schema", "seconds", "series", "snapshot", "status", "streams",
    "torn_bytes", "total_ms", "unflushed",
)
_WORDS: Final = (
    "encoding", "job", "listener", "mode", "part", "phase", "reason", "result", "signal", "state",
    "task",
)
FIELDS: Final[Mapping[str, str]] = (
    dict.fromkeys(_NUMBERS, "number") | dict.fromkeys(_WORDS, "word")
    | {name: name for name in ("code", "api", "endpoint", "outcome", "usage_source", "provider")}
    | {"request_id": "ulid", "version": "version", "listen": "listen", "sha256": "digest",
       "stream": "flag", "ready": "flag", "tls": "flag", "finding": "fault"}
)
"""Every field that an event may carry, and the shape of its values. Add a row for a new one."""


def usable(name: str, value: object) -> bool:
    """True where the field exists and the value has its shape."""
    kind = FIELDS.get(name)
    if value is None:
        return kind is not None
    if kind == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "flag":
        return isinstance(value, bool)
    if kind == "fault":
        return isinstance(value, Fault)
    if kind is None or not isinstance(value, str):
        return False
    words = _VOCABULARIES.get(kind)
    return value in words if words is not None else bool(_SHAPES[kind].fullmatch(value))


def frames_of(trace: TracebackType | None) -> list[str]:
    """`file:line function` of a traceback, outermost first; no source text, no values."""
    places = []
    for frame, line in traceback.walk_tb(trace):
        code = frame.f_code
        places.append(f"{_short(code.co_filename)}:{line} {code.co_qualname}")
    return places[-FRAMES_MAX:]


def _short(file: str) -> str:
    return "/".join(PurePath(file).parts[-2:])


def exception_fields(error: BaseException) -> dict[str, object]:
    """`exception`: its type, `causes`: the types behind it, `frames`: where it was raised."""
    causes: list[str] = []
    behind = error.__cause__ or error.__context__
    while behind is not None and len(causes) < CHAIN_MAX:
        causes.append(_type_name(behind))
        behind = behind.__cause__ or behind.__context__
    fields: dict[str, object] = {"exception": _type_name(error)}
    if causes:
        fields["causes"] = causes
    return fields | {"frames": frames_of(error.__traceback__)}


def _type_name(error: BaseException) -> str:
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}"


class Logger:
    """Writes events at or above its level. The methods of levels that are off do nothing.

    `event` names what happened, in the words of our own code: `[a-z][a-z0-9_]*`. `lost_lines`
    counts what whoever reads the log did not take; the next line that goes out tells of it.
    """

    def __init__(
        self, level: str = "info", stream: TextIO | None = None,
        now_ms: Callable[[], int] = clock.unix_ms,
    ) -> None:
        self._stream = stream
        self._now_ms = now_ms
        self._threshold = LEVELS["info"]
        self._journald: Journald | None = None
        self._pace = Pace()
        self._untold = 0
        self._torn = False
        self.lost_lines = 0
        self.set_level(level)

    def set_level(self, level: str) -> None:
        """Takes a level of LEVELS; SIGHUP may change it."""
        self._threshold = LEVELS[level]
        self.debug = self._method("debug")
        self.info = self._method("info")
        self.warning = self._method("warning")
        self.error = self._method("error")

    def to_journal(self, journald: Journald | None) -> None:
        """From now on lines go to the systemd journal, and to the stream only where it fails;
        None: to the stream."""
        if self._journald is not None:
            self._journald.close()
        self._journald = journald

    def _method(self, level: str) -> Callable[..., None]:
        if LEVELS[level] < self._threshold:
            return _nothing

        def write(event: str, **fields: object) -> None:
            self._write(level, event, self._checked(fields))

        return write

    def event(self, event: str, /, **fields: object) -> None:
        """The same as `info`."""
        self.info(event, **fields)

    def fault(self, where: str, error: BaseException, /, **fields: object) -> None:
        """An exception, at level error: its type, the types behind it, and its frames.

        `where` names the part of ours that it ended, in plain words: a task, a phase.
        """
        place = where if _PLACE.fullmatch(where) else "unnamed"
        found = exception_fields(error)
        self._write_paced("error", "fault", {"where": place} | self._checked(fields) | found,
                          (place, found["exception"], str(found["frames"])))

    def foreign(self, level: int, source: str, place: str, error: BaseException | None) -> None:
        """What another library wanted to say: who and where, without the words."""
        if level < self._threshold:
            return
        name = max((word for word, value in LEVELS.items() if value <= level),
                   key=LEVELS.__getitem__, default="debug")
        fields: dict[str, object] = {"source": source, "place": place}
        found = exception_fields(error) if error is not None else {}
        self._write_paced(name, "library_message", fields | found,
                          (source, place, found.get("exception")))

    def _write_paced(
        self, level: str, event: str, fields: Mapping[str, object], kind: Hashable
    ) -> None:
        """A defect that every call meets is told once a minute, with the number of times."""
        count = self._pace.due(kind)
        if count:
            self._write(level, event, {**fields, "count": count} if count > 1 else fields)

    @staticmethod
    def _checked(fields: Mapping[str, object]) -> dict[str, object]:
        found = {name: _plain(value) for name, value in fields.items() if usable(name, value)}
        if len(found) < len(fields):
            found["bad_fields"] = len(fields) - len(found)
        return found

    def _write(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        self._put([{"time": rfc3339(self._now_ms()), "level": level,
                    "event": event if _WORD.fullmatch(event) else "unnamed", **fields}])

    def lines(self, lines: Sequence[Mapping[str, object]]) -> None:
        """Writes whole lines at once, at level info: for the access log, which has seen to it
        itself that its fields are in FIELDS and its values closed."""
        if LEVELS["info"] >= self._threshold:
            self._put(lines)

    def _put(self, lines: Sequence[Mapping[str, object]]) -> None:
        """Writes lines, before them how many were lost since the last ones that went out."""
        notice: Mapping[str, object] | None = None
        if self._untold:
            notice = {"time": rfc3339(self._now_ms()), "level": "error",
                      "event": "log_lines_lost", "lost": self._untold}
            lines = [notice, *lines]
        if self._journald is not None:
            journald = self._journald
            lines = [line for line in lines if not journald.send(line)]
        lost = self._put_out(lines) if lines else 0
        if notice is None:
            self._count_lost(lost)
        elif lost and lost == len(lines) and lines[0] is notice:
            self._count_lost(lost - 1)
        else:
            self._untold = 0
            self._count_lost(lost)

    def _count_lost(self, lost: int) -> None:
        self._untold += lost
        self.lost_lines += lost

    def _put_out(self, lines: Sequence[Mapping[str, object]]) -> int:
        """Writes lines to the stream; returns how many it did not take."""
        written = [orjson.dumps(line) + b"\n" for line in lines]
        if self._torn:
            written[0] = b"\n" + written[0]
        loss = put(self._stream or sys.stderr, written)
        self._torn = loss.torn or (self._torn and loss.lines == len(lines))
        return loss.lines


def _nothing(event: str, **fields: object) -> None:
    """The method of a level that is off."""


def _plain(value: object) -> object:
    if isinstance(value, Fault):
        return {"key": value.key, "line": value.line, "problem": value.problem,
                "remedy": value.remedy}
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


class ForeignHandler(logging.Handler):
    """Takes what libraries log through the standard library and drops their words."""

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Never formats the record: its message and arguments may hold anything."""
        error = record.exc_info[1] if record.exc_info else None
        source = record.name if re.fullmatch(r"[A-Za-z0-9_.]{1,64}", record.name) else "unnamed"
        self._logger.foreign(record.levelno, source,
                             f"{_short(record.pathname)}:{record.lineno}", error)


class Capture:
    """Puts the logger where else text of exceptions and libraries would reach stderr."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._handler = ForeignHandler(logger)
        self._before: list[Any] = []

    def start(self) -> None:
        """Takes over the root logger, warnings, and the hooks of uncaught exceptions."""
        root = logging.getLogger()
        self._before = [root.handlers[:], root.level, sys.excepthook, sys.unraisablehook,
                        threading.excepthook]
        root.handlers[:] = [self._handler]
        root.setLevel(logging.WARNING)
        logging.captureWarnings(True)
        sys.excepthook = self._uncaught
        sys.unraisablehook = self._unraisable
        threading.excepthook = self._in_thread

    def stop(self) -> None:
        """Gives everything back."""
        root = logging.getLogger()
        (root.handlers[:], level, sys.excepthook, sys.unraisablehook,
         threading.excepthook) = self._before
        root.setLevel(level)
        logging.captureWarnings(False)

    def of_loop(self, loop: object, context: Mapping[str, Any]) -> None:
        """An exception handler for `loop.set_exception_handler`; its context holds objects whose
        reprs could hold anything, so only the exception is used."""
        error = context.get("exception")
        if isinstance(error, type) and issubclass(error, OSError):
            return  # aiofastnet's word for a client that left in its handshake
        if isinstance(error, BaseException):
            self._logger.fault("event loop", error)
        else:
            self._logger.error("loop_fault")

    def _uncaught(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None,
    ) -> None:
        self._logger.fault("uncaught", error)

    def _unraisable(self, unraisable: Any) -> None:
        if unraisable.exc_value is not None:
            self._logger.fault("unraisable", unraisable.exc_value)

    def _in_thread(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            self._logger.fault("uncaught in thread", args.exc_value)
