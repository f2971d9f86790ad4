"""kill -9 of a real daemon: what was under way is recorded once, as far as it had come."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

from relayd.store import journal_segment
from relayd.store.journal_lane import lane_directory
from tests.fakes.daemon import plain_answer, records
from tests.fakes.process import DaemonProcess
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer, RawUpstream
from tests.fakes.stepped import EVENTS, chunk
from tests.http.play import BODY, STREAM, TARGET

WORDS = 40
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":" word"}}]}\n\n'
STREAMS = 5


async def test_streams_that_were_under_way_are_recorded_once(tmp_path: Path) -> None:
    upstream = RawUpstream(plain_answer)
    await upstream.start()
    try:
        async with DaemonProcess(tmp_path / "daemon", upstream.port) as daemon:
            whole = request_bytes(TARGET, daemon.key, BODY)
            for _ in range(3):
                assert (await ask(daemon.address, whole)).status == 200
            upstream.answers.extend(
                [Answer(EVENTS + chunk(EVENT) * WORDS, after="hold")] * STREAMS)
            raw = request_bytes(TARGET, daemon.key, STREAM)
            clients = [RawClient(daemon.address) for _ in range(STREAMS)]
            async with asyncio.TaskGroup() as group:
                for client in clients:
                    await client.__aenter__()
                    await client.send(raw)
                for client in clients:
                    group.create_task(client.reader.readuntil(EVENT * 2))
            await asyncio.sleep(0.9)  # one mark
            assert await daemon.end(signal.SIGKILL) == -signal.SIGKILL
            for client in clients:
                await client.__aexit__(None, None, None)
            folder = lane_directory(daemon.store, 0)
            assert journal_segment.paths(folder)
            for _ in range(2):  # the second life finds nothing to do
                await daemon.start()
                found = await records(daemon.store)
                assert len(found) == len({record.id for record in found}) == 3 + STREAMS
                assert await daemon.end(signal.SIGTERM) == 0
                assert journal_segment.paths(folder) == []
        interrupted = [record for record in found if record.outcome == "interrupted"]
        assert len(interrupted) == STREAMS
        for record in interrupted:
            assert (record.error, record.status, record.attempts) == ("daemon_died", 200, 1)
            assert record.counted_output_tokens == record.output_tokens == WORDS
            assert record.usage_source in ("counted", "estimated") and record.input_tokens > 0
            assert record.first_byte_ms is not None and record.duration_ms is None
    finally:
        await upstream.stop()


async def test_a_second_daemon_on_the_store_refuses_to_start(tmp_path: Path) -> None:
    upstream = RawUpstream(plain_answer)
    await upstream.start()
    try:
        async with DaemonProcess(tmp_path / "daemon", upstream.port) as daemon:
            done = subprocess.run(
                [sys.executable, "-m", "relayd", "serve", "-c",
                 str(daemon.directory / "relayd.toml")],
                capture_output=True, text=True, timeout=30, check=False,
                env={"UPSTREAM_CREDENTIAL": "x"})
            assert done.returncode == 1
            assert "Another relayd serves this store" in done.stderr
            raw = request_bytes(TARGET, daemon.key, BODY)
            assert (await ask(daemon.address, raw)).status == 200
    finally:
        await upstream.stop()
