"""`relayd backup` beside a daemon under load, and `relayd restore` of what it made."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from relayd.cli import commands
from relayd.cli_backup import _bring_up, _told
from relayd.ops.configfile import loads
from relayd.store.backup import DATABASE_NAME
from relayd.store.carry import Carried
from relayd.store.db import open_database
from relayd.store.journal_lane import claim
from tests.control.test_recovery import lines
from tests.fakes.daemon import plain_answer, records
from tests.fakes.process import DaemonProcess
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer, RawUpstream
from tests.fakes.records import call_record
from tests.fakes.stepped import EVENTS, chunk
from tests.http.play import BODY, STREAM, TARGET

CLIENTS = 8
PLANS = """
[providers.openai]
api = "openai"
base_url = "http://127.0.0.1:9/v1"
credential = { env = "NONE" }
[routes."*"]
deployments = [ { provider = "openai" } ]
[plans.default]
markup = "1.25"
"""
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'


async def relayd(*words: str, config: Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "relayd", *words, "-c", str(config),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


async def load(daemon: DaemonProcess, done: set[str], stop: asyncio.Event) -> None:
    """Calls, one after the other; `done` are the ids of those that have ended."""
    raw = request_bytes(TARGET, daemon.key, BODY)
    async with RawClient(daemon.address) as client:
        while not stop.is_set():
            await client.send(raw)
            reply = await client.reply()
            assert reply is not None and reply.status == 200
            done.add(reply.value(b"x-request-id").decode())


def new_config(tmp_path: Path, daemon: DaemonProcess) -> Path:
    text = (daemon.directory / "relayd.toml").read_text()
    path = tmp_path / "new.toml"
    path.write_text(text.replace('path = "store"', f'path = "{tmp_path / "new"}"'))
    return path


class PatientDaemon(DaemonProcess):
    """One whose provider may be silent for as long as the commands take."""

    def _config(self) -> str:
        return super()._config().replace("idle = 5", "idle = 600")


async def test_under_load_and_back(tmp_path: Path) -> None:
    upstream = RawUpstream(plain_answer)
    await upstream.start()
    try:
        async with PatientDaemon(tmp_path / "daemon", upstream.port) as daemon:
            await backup_and_restore(tmp_path, daemon, upstream)
    finally:
        await upstream.stop()


async def backup_and_restore(tmp_path: Path, daemon: DaemonProcess,
                             upstream: RawUpstream) -> None:
    config = daemon.directory / "relayd.toml"
    async with RawClient(daemon.address) as held:
        upstream.answers.append(Answer(EVENTS + chunk(EVENT), after="hold"))
        await held.send(request_bytes(TARGET, daemon.key, STREAM))
        await held.reader.readuntil(b"data: ")
        done, stop = set[str](), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(load(daemon, done, stop))
            await asyncio.sleep(0.5)
            ended = [set(done)]
            for name in ("b1", "b2.tar", "b3"):
                code, out, err = await relayd("backup", "--to", str(tmp_path / name),
                                              "--with-secret", "--json", config=config)
                assert code == 0, err
                ended.append(set(done))
            code, out_keys, err = await relayd(
                "backup", "--keys", str(tmp_path / "keys"), "--json", config=config)
            assert code == 0 and json.loads(out_keys)["keys"] >= 1, err
            stop.set()
    apart = ("--keys", str(tmp_path / "keys"), "--master-key", str(daemon.store / "master.key"))
    told: dict[str, Any] = json.loads(out)
    assert told["secret"] and told["bytes"] > 0 and told["path"] == str(tmp_path / "b3")
    new = new_config(tmp_path, daemon)
    for number, name in enumerate(("b1", "b2.tar", "b3")):
        code, out, err = await relayd("restore", "--from", str(tmp_path / name), "--replace",
                                      "--json", *apart, config=new)
        assert code == 0, err
        assert json.loads(out)["wrong_totals"] == 0
        found = await records(tmp_path / "new")
        ids = [record.id for record in found]
        assert len(ids) == len(set(ids))
        assert len(ended[number]) > 5 and ended[number] <= set(ids)
        interrupted = [record for record in found if record.outcome == "interrupted"]
        assert 1 <= len(interrupted) <= 1 + CLIENTS
        assert (await relayd("ledger", "verify", config=new))[0] == 0
    assert await daemon.end(signal.SIGTERM) == 0


async def test_what_is_refused(tmp_path: Path) -> None:
    upstream = RawUpstream(plain_answer)
    await upstream.start()
    try:
        async with DaemonProcess(tmp_path / "daemon", upstream.port) as daemon:
            config = daemon.directory / "relayd.toml"
            raw = request_bytes(TARGET, daemon.key, BODY)
            assert (await ask(daemon.address, raw)).status == 200
            target = tmp_path / "b"
            assert (await relayd("backup", "--to", str(target), config=config))[0] == 0
            (tmp_path / "link").symlink_to(daemon.store)
            for words, code, said in (
                (("backup", "--to", str(target)), 2, "there already"),
                (("backup", "--to", str(daemon.store / "b")), 2, "inside the store"),
                (("backup", "--to", str(tmp_path / "link" / "b")), 2, "inside the store"),
                (("backup", "--to", str(tmp_path / "no" / "b")), 2, "Make it first"),
                (("backup",), 2, "--keys"),
                (("backup", "--keys", str(daemon.store / "b")), 2, "inside the store"),
                (("backup", "--to", str(tmp_path / "d"), "--keys", str(tmp_path / "d" / "k")), 2,
                 "Make it first"),
                (("restore", "--from", str(target), "--keys", str(tmp_path / "none")), 2,
                 "There is no file"),
                (("restore", "--from", str(target), "--replace"), 1, "Another relayd serves"),
                (("restore", "--from", str(tmp_path / "none")), 2, "There is no"),
            ):
                found, _, err = await relayd(*words, config=config)
                assert (found, said in err) == (code, True), err
            new = new_config(tmp_path, daemon)
            code, _, err = await relayd("backup", "--to", str(tmp_path / "c"), config=new)
            assert code == 1 and "no store" in err
            code, _, err = await relayd("restore", "--from", str(target), config=new)
            assert code == 1 and "'secret'" in err and not list((tmp_path / "new").glob("*.db"))
            (target / DATABASE_NAME).write_bytes(b"SQLite format 3\0" + b"\0" * 4096)
            code, _, err = await relayd("restore", "--from", str(target), config=new)
            assert code == 1 and "damaged" in err and not list((tmp_path / "new").glob("*.db"))
            alone = ("restore", "--from", str(daemon.store / DATABASE_NAME), "--secret",
                     str(daemon.store / "secret"))
            for words, said in (
                ((), "'keys.db' is missing"),
                (("--keys", str(daemon.store / "keys.db")), "master key"),
            ):
                code, _, err = await relayd(*alone, *words, config=new)
                assert code == 1 and said in err and not list((tmp_path / "new").glob("*.db"))
            code, out, err = await relayd(
                *alone, "--keys", str(daemon.store / "keys.db"), "--master-key",
                str(daemon.store / "master.key"), config=new)
            assert code == 0 and "All totals are right." in out, err
    finally:
        await upstream.stop()


async def test_what_the_journal_has_costs_what_the_plans_say(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text('[[price]]\nmodel = "*"\ninput = "1"\noutput = "4"\n')
    config = loads(PLANS, folder=tmp_path, secrets="skip")
    store = tmp_path / "store"
    await (await open_database(store)).close()
    closed, left = call_record(), call_record()
    (lane,) = claim(store)
    (lane.directory / "000000000001.journal").write_bytes(b"".join(lines([closed], [left])))
    lane.release()
    outcome = await _bring_up(store, config)
    assert (outcome.recovered.replayed, outcome.recovered.interrupted) == (1, 1)
    assert {record.id: record.amount_nano for record in await records(store)} == {
        closed.id: 225_000, left.id: 21_250}


def test_the_commands_are_in_the_table() -> None:
    assert {"backup", "restore"} <= {command.name for command in commands()}


def test_what_a_restore_took_over_is_told_and_what_is_to_be_done_again() -> None:
    counts = {"sessions": 2, "consents": 1, "keys": 0}
    good = list(_told(Carried(True, True, counts, {"accounts": 0, "invoices": 3}), True))
    assert good[0].startswith("2 sessions ended") and good[1].startswith("1 consents")
    assert "3 invoices" in good[2] and "given again" in good[3] and len(good) == 4
    parted = " ".join(_told(Carried(True, False, {}, {}), True))
    assert "does not go on" in parted and "by hand" in parted
    unread = " ".join(_told(Carried(False, False, {}, {}), True))
    assert "could not be read" in unread and "by hand" in unread and "given again" in unread
    fresh = " ".join(_told(Carried(False, False, {}, {}), False))
    assert "could not be read" not in fresh and "by hand" in fresh and "given again" in fresh
