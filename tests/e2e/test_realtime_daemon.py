"""A daemon of its own with realtime sessions: killed and told to stop while they are under way."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

from relayd.core.record import CallRecord
from tests.fakes.daemon import records
from tests.fakes.process import DaemonProcess
from tests.fakes.sockets import Provider, realtime_provider, told

CREATE = '{"type":"response.create"}'


def session(daemon: DaemonProcess) -> connect:
    host, port = daemon.address
    return connect(f"ws://{host}:{port}/v1/realtime?model=test-model", proxy=None,
                   additional_headers={"Authorization": f"Bearer {daemon.key}"})


async def answered(socket: ClientConnection, times: int) -> None:
    for _ in range(times):
        await socket.send(CREATE)
        await told(socket, "response.done")


def only(found: list[CallRecord]) -> CallRecord:
    [record] = found
    return record


async def test_what_a_killed_daemons_session_was_billed_is_recorded_once(tmp_path: Path) -> None:
    async with realtime_provider() as upstream, DaemonProcess(
            tmp_path / "daemon", upstream.address.port) as daemon:
        async with session(daemon) as socket:
            await answered(socket, 3)
            assert await daemon.end(signal.SIGKILL) == -signal.SIGKILL
            await socket.wait_closed()
        assert await _records(daemon) == []
        for _ in range(2):
            await daemon.start()
            record = only(await _records(daemon))
            assert await daemon.end(signal.SIGTERM) == 0
        assert (record.outcome, record.error, record.status) == ("interrupted", "daemon_died", 101)
        assert (record.endpoint, record.usage_source) == ("/v1/realtime", "reported")
        assert (record.input_tokens, record.output_tokens) == (30, 15)
        assert upstream.open_now == 0


async def test_a_stopped_daemon_tells_its_sessions(tmp_path: Path) -> None:
    async with realtime_provider() as upstream, DaemonProcess(
            tmp_path / "daemon", upstream.address.port) as daemon:
        async with session(daemon) as socket:
            await answered(socket, 1)
            stopping = asyncio.create_task(daemon.end(signal.SIGTERM))
            await asyncio.sleep(0.3)
            await answered(socket, 1)
            await told(socket, "error")
            await socket.wait_closed()
            assert socket.close_code == 1012
            assert await stopping == 0
        record = only(await _records(daemon))
        assert (record.outcome, record.error, record.output_tokens) == (
            "interrupted", "draining", 10)
        _nothing_said(daemon, upstream)


async def _records(daemon: DaemonProcess) -> list[CallRecord]:
    return await records(daemon.store)


def _nothing_said(daemon: DaemonProcess, upstream: Provider) -> None:
    """Nothing of the session is in what the daemon wrote to its log."""
    assert [json.loads(str(message)) for message in upstream.heard] == [json.loads(CREATE)] * 2
    for word in ("response.", "Hello", "sess_1", daemon.key):
        assert word not in daemon.log()
