"""The log: what gets in, and above all what does not, on every road to stderr."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import os
import socket
import sys
import threading
import timeit
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.ops.configfile_fault import Fault
from relayd.ops.journald import Journald
from relayd.ops.logging import (
    FIELDS, LEVELS, Capture, ForeignHandler, Logger, exception_fields, usable,
)
from relayd.ops.notice import Pace
from tests.store.test_journal_segment import no_file_above

CANARY = "canary 7c1f my private prompt"


class Lines(io.StringIO):
    """A stream that gives back what was written, line by line."""

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def logger(lines: Lines) -> Logger:
    return Logger("debug", lines, lambda: 1_700_000_000_123)


def test_one_object_a_line(logger: Logger, lines: Lines) -> None:
    logger.event("started", port=8080, version="0.1.0", listen="[::1]:8080", stream=True)
    logger.warning("flushed", seconds=0.5, reason=None)
    assert lines.all() == [
        {"time": "2023-11-14T22:13:20.123Z", "level": "info", "event": "started", "port": 8080,
         "version": "0.1.0", "listen": "[::1]:8080", "stream": True},
        {"time": "2023-11-14T22:13:20.123Z", "level": "warning", "event": "flushed",
         "seconds": 0.5, "reason": None}]


@pytest.mark.parametrize("level", LEVELS)
def test_levels(level: str, lines: Lines) -> None:
    logger = Logger(level, lines)
    for word in LEVELS:
        getattr(logger, word)("x")
    logger.fault("x", ValueError())
    assert [line["level"] for line in lines.all()] == [
        word for word in LEVELS if LEVELS[word] >= LEVELS[level]] + ["error"]


def test_level_can_change(lines: Lines) -> None:
    logger = Logger("error", lines)
    logger.info("a")
    logger.set_level("info")
    logger.info("b")
    assert [line["event"] for line in lines.all()] == ["b"]


def test_whole_lines_at_once(logger: Logger, lines: Lines) -> None:
    line = {"time": "t", "level": "info", "event": "call", "status": 200}
    logger.lines([line, line])
    assert lines.all() == [line, line]
    logger.set_level("warning")
    logger.lines([line])
    assert len(lines.all()) == 2


def test_the_systemd_journal_or_else_the_stream(lines: Lines, tmp_path: Path) -> None:
    logger = Logger("info", lines)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "journal"))
        logger.to_journal(Journald(str(tmp_path / "journal")))
        logger.info("started", port=1)
        assert b"RELAYD_EVENT=started\n" in journal.recv(65536) and not lines.getvalue()
    logger.info("stopped")  # nobody listens any more
    assert [line["event"] for line in lines.all()] == ["stopped"]
    logger.to_journal(None)
    logger.info("again")
    assert len(lines.all()) == 2


def test_a_level_that_is_off_is_cheap(lines: Lines) -> None:
    logger = Logger("info", lines)
    best = min(timeit.repeat(lambda: logger.debug("x", status=200), number=2_000, repeat=7))
    assert best / 2_000 < 2e-6  # 0.1 us on an idle machine
    assert not lines.getvalue()


GOOD: dict[str, object] = {
    "number": 1.5, "word": "store_busy", "flag": True, "code": "missing_key", "api": "gemini",
    "endpoint": "/v1/responses", "outcome": "client_left", "usage_source": "counted",
    "provider": "azure-east.1", "ulid": "01J00000000000000000000000", "version": "0.1.0",
    "listen": "unix:/run/relayd/api.sock", "digest": "ab" * 32, "fault": Fault("a", 1, "b", "c"),
}


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_every_field_takes_its_shape_and_no_text_from_outside(
    name: str, logger: Logger, lines: Lines,
) -> None:
    logger.info("x", **{name: GOOD[FIELDS[name]]})
    assert name in lines.all()[0] and "bad_fields" not in lines.all()[0]
    for bad in (CANARY, CANARY.encode(), [CANARY], {CANARY: 1}, object()):
        logger.info("x", **{name: bad})
        assert lines.all()[-1]["bad_fields"] == 1
    assert "canary" not in lines.getvalue()


@given(st.sampled_from(sorted(FIELDS)), st.text())
def test_a_text_is_usable_only_in_a_fields_shape(name: str, text: str) -> None:
    if usable(name, text):
        assert " " not in text and len(text) <= 128 and text.isascii()


def test_unknown_fields_and_bad_events_are_left_out(logger: Logger, lines: Lines) -> None:
    logger.info("x", prompt="hello", body=1)
    logger.info(CANARY)
    logger.fault(CANARY, ValueError(), prompt=CANARY)
    assert lines.all()[0]["bad_fields"] == 2 and "prompt" not in lines.all()[0]
    assert lines.all()[1]["event"] == "unnamed"
    assert lines.all()[2]["where"] == "unnamed"
    assert "canary" not in lines.getvalue()


def test_configuration_faults_keep_their_texts(logger: Logger, lines: Lines) -> None:
    logger.error("config_refused", finding=Fault("server.listen", 3, "is bad", "Write x"))
    assert lines.all()[0]["finding"] == {
        "key": "server.listen", "line": 3, "problem": "is bad", "remedy": "Write x"}


def fail(secret: str) -> None:
    try:
        raise KeyError(secret)
    except KeyError as error:
        raise ValueError(f"cannot read {secret}") from error


def test_exceptions_by_type_and_place(logger: Logger, lines: Lines) -> None:
    try:
        fail(CANARY)
    except ValueError as error:
        logger.fault("exchange", error, status=500)
    [line] = lines.all()
    assert (line["event"], line["where"], line["status"]) == ("fault", "exchange", 500)
    assert line["exception"] == "builtins.ValueError" and line["causes"] == ["builtins.KeyError"]
    assert [frame.split(" ")[1] for frame in line["frames"]] == [
        "test_exceptions_by_type_and_place", "fail"]
    assert line["frames"][1].startswith("ops/test_logging.py:")
    assert "canary" not in lines.getvalue()


def test_deep_tracebacks_and_chains_are_bounded() -> None:
    def deep(left: int) -> None:
        if left:
            deep(left - 1)
        raise RelayError("internal")

    try:
        deep(200)
    except RelayError as error:
        for _ in range(20):
            outer = ValueError()
            outer.__cause__, error = error, outer  # type: ignore[assignment]
        fields = exception_fields(error)
        assert len(fields["causes"]) == 5  # type: ignore[arg-type]
        frames = exception_fields(RelayError("internal").with_traceback(None))["frames"]
        assert frames == []
    with pytest.raises(RelayError) as caught:
        deep(200)
    assert len(exception_fields(caught.value)["frames"]) == 40  # type: ignore[arg-type]


def test_a_chain_that_goes_in_circles_ends() -> None:
    one, two = ValueError(), KeyError()
    one.__cause__, two.__cause__ = two, one
    assert len(exception_fields(one)["causes"]) == 5  # type: ignore[arg-type]


def test_a_defect_that_every_call_meets_is_told_once_a_minute(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    logger = Logger("info", lines)
    monkeypatch.setattr(logger, "_pace", Pace(lambda: clock[0]))

    def call(number: int) -> None:
        for kind in (ValueError, KeyError):
            try:
                raise kind(CANARY)
            except kind as error:
                logger.fault("exchange", error)
        logger.foreign(logging.ERROR, "aiohttp.server", "web_protocol.py:1", None)

    for number in range(100):
        call(number)
    assert [line.get("exception") for line in lines.all()] == [
        "builtins.ValueError", "builtins.KeyError", None]
    clock[0] = 61.0
    call(0)
    assert [line["count"] for line in lines.all()[3:]] == [100, 100, 100]


def test_a_closed_stream_does_not_stop_the_relay() -> None:
    stream = io.StringIO()
    logger = Logger("info", stream)
    stream.close()
    logger.info("x")
    assert logger.lost_lines == 1


def test_who_reads_again_is_told_how_many_lines_were_lost() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as reader, open(writing, "w", encoding="utf-8") as writer:
        os.set_blocking(reading, False)
        logger = Logger("error", writer, lambda: 1_700_000_000_123)
        for number in range(2000):
            logger.error("x", count=number)
        lost = logger.lost_lines
        kept = [json.loads(line)["count"] for line in reader.read().splitlines()]
        assert lost > 0 and kept == list(range(2000 - lost))
        logger.error("y")
        logger.error("z")
        told, *others = [json.loads(line) for line in reader.read().splitlines()]
        assert told == {"time": "2023-11-14T22:13:20.123Z", "level": "error",
                        "event": "log_lines_lost", "lost": lost}
        assert [line["event"] for line in others] == ["y", "z"] and logger.lost_lines == lost


def test_a_line_that_was_broken_off_spoils_no_other(tmp_path: Path) -> None:
    with open(tmp_path / "log", "w", encoding="utf-8") as file:
        logger = Logger("info", file)
        with no_file_above(100):
            logger.info("x")
            logger.info("torn")
            logger.info("lost")
        logger.lines([{"event": "y"}, {"event": "z"}])
    one, torn, *others = (tmp_path / "log").read_text().splitlines()
    assert '"x"' in one and not torn.endswith("}")
    assert [json.loads(line)["event"] for line in others] == ["log_lines_lost", "y", "z"]
    assert json.loads(others[0])["lost"] == logger.lost_lines == 2


def test_the_systemd_journal_is_told_too(tmp_path: Path) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        logger = Logger("info", full)
        logger.to_journal(Journald(str(tmp_path / "s")))  # nobody is there
        logger.info("lost")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            journal.bind(str(tmp_path / "s"))
            logger.info("x")
            assert b"RELAYD_EVENT=log_lines_lost\nRELAYD_LOST=1\n" in journal.recv(4096)
            assert b"RELAYD_EVENT=x\n" in journal.recv(4096)
            logger.info("y")
            assert b"RELAYD_EVENT=y\n" in journal.recv(4096)
        logger.to_journal(None)


def test_default_stream_is_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Logger().info("hello")
    assert json.loads(capsys.readouterr().err)["event"] == "hello"


def test_other_libraries_lose_their_words(logger: Logger, lines: Lines) -> None:
    theirs = logging.Logger("aiohttp.access")
    theirs.addHandler(ForeignHandler(logger))
    theirs.error("request %s", CANARY)
    try:
        fail(CANARY)
    except ValueError:
        theirs.exception(CANARY)
    odd = logging.Logger(CANARY)
    odd.addHandler(ForeignHandler(logger))
    odd.warning("x %d", CANARY)
    first, second, third = lines.all()
    assert (first["level"], first["source"]) == ("error", "aiohttp.access")
    assert first["place"].startswith("ops/test_logging.py:") and "exception" not in first
    assert second["exception"] == "builtins.ValueError" and len(second["frames"]) == 2
    assert (third["level"], third["source"]) == ("warning", "unnamed")
    assert "canary" not in lines.getvalue()


def test_other_libraries_below_the_level(lines: Lines) -> None:
    ForeignHandler(Logger("error", lines)).handle(
        logging.LogRecord("x", logging.WARNING, "f", 1, "m", (), None))
    assert not lines.getvalue()


@pytest.fixture
def capture(logger: Logger) -> Iterator[Capture]:
    before = (logging.getLogger().handlers[:], sys.excepthook, threading.excepthook)
    capture = Capture(logger)
    capture.start()
    yield capture
    capture.stop()
    assert (logging.getLogger().handlers[:], sys.excepthook, threading.excepthook) == before


def test_every_road_to_stderr(
    capture: Capture, lines: Lines, capsys: pytest.CaptureFixture[str],
) -> None:
    logging.getLogger("asyncio").error("x %s", CANARY)
    try:
        fail(CANARY)
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    thread = threading.Thread(target=fail, args=(CANARY,))
    thread.start()
    thread.join()

    class Bad:
        def __del__(self) -> None:
            fail(CANARY)

    Bad()
    gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(CANARY)
    wheres = [line.get("where") or line["source"] for line in lines.all()]
    assert wheres == ["asyncio", "uncaught", "uncaught in thread", "unraisable", "py.warnings"]
    captured = capsys.readouterr()
    assert "canary" not in lines.getvalue() + captured.err + captured.out


async def test_loop_exceptions(logger: Logger, lines: Lines) -> None:
    handler = Capture(logger).of_loop
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(handler)
    loop.call_soon(fail, CANARY)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    handler(loop, {"message": CANARY})
    handler(loop, {"message": CANARY, "exception": ConnectionResetError})
    first, second = lines.all()
    assert first["where"] == "event loop" and first["exception"] == "builtins.ValueError"
    assert second["event"] == "loop_fault"
    assert "canary" not in lines.getvalue()
