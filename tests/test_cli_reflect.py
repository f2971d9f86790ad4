"""`relayd reflect`: a raw request on stdin, what a provider would receive on stdout."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest

from relayd.cli import main
from relayd.cli_command import DONE, UNUSABLE
from relayd.relay.reflect import MASK
from relayd.store.db import open_database
from tests.fakes.rawclient import request_bytes

CONFIG = """
[store]
path = "store"
[providers.one]
api = "openai"
base_url = "https://api.example.test/v1"
credential = { env = "RELAYD_UNSET" }
[providers.two]
api = "openai"
base_url = "https://two.example.test/v1"
credential = { env = "RELAYD_UNSET" }
[routes.m]
deployments = [{ provider = "one" }, { provider = "two", model = "theirs" }]
"""
BODY = (b'{"model":"m","user":"me","prompt_cache_key":"k",'
        b'"messages":[{"role":"user","content":"hi"}]}')
RAW = request_bytes("/v1/chat/completions", "sk-mine", BODY, fields=(("Cookie", "a=b"),))


class Shell:
    """Runs the command on a configuration in a directory of the test."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch,
                 capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        self.folder = folder
        self._path = folder / "relayd.toml"
        self._path.write_text(CONFIG)
        self._monkeypatch = monkeypatch
        self._capture = capfdbinary

    def __call__(self, raw: bytes, *words: str) -> tuple[int, bytes, bytes]:
        self._monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))
        code = main(["reflect", "-c", str(self._path), *words])
        return code, *self._capture.readouterr()

    def json(self, raw: bytes, *words: str) -> Any:
        return json.loads(self(raw, "--json", *words)[1])


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
          capfdbinary: pytest.CaptureFixture[bytes]) -> Shell:
    monkeypatch.delenv("RELAYD_UNSET", raising=False)
    return Shell(tmp_path, monkeypatch, capfdbinary)


def test_for_people(shell: Shell) -> None:
    code, out, err = shell(RAW)
    assert (code, err) == (DONE, b"")
    assert b"POST /v1/chat/completions HTTP/1.1\r\nHost: api.example.test" in out
    assert MASK.encode() in out and b"sk-mine" not in out and b"a=b" not in out
    lines = [line.split()[:3] for line in out.splitlines() if line.startswith(b"header")]
    assert [b"header", b"cookie", b"dropped"] in lines


def test_for_programs(shell: Shell) -> None:
    found = shell.json(RAW)
    assert set(found) == {"provider", "upstream", "refused", "param", "notes"}
    assert (found["provider"], found["refused"]) == ("one", None)
    body = json.loads(found["upstream"].partition("\r\n\r\n")[2])
    assert body["messages"] == [{"role": "user", "content": "hi"}] and "user" not in body
    assert {"what": "body user", "verdict": "dropped"}.items() <= next(
        note for note in found["notes"] if note["what"] == "body user").items()


def test_another_provider_of_the_route(shell: Shell) -> None:
    found = shell.json(RAW, "--provider", "two")
    assert found["provider"] == "two" and '"model":"theirs"' in found["upstream"]


def test_a_provider_that_is_not_there_is_named(shell: Shell) -> None:
    assert shell(RAW, "--provider", "three") == (
        UNUSABLE, b"", b"relayd: --provider: the configuration has no provider three\n")


def test_a_refusal_has_its_exit_code(shell: Shell) -> None:
    code, out, _ = shell(RAW.replace(b'"model":"m"', b'"model":"x"'))
    assert code == UNUSABLE and out.startswith(b"refused: unknown_model. Nothing would be sent.")
    found = shell.json(b"nonsense")
    assert (found["refused"], found["upstream"]) == ("bad_http", None)


def test_pseudonyms_are_the_store_s(shell: Shell) -> None:
    """Without a store they are made up; with one they are the same each time."""
    assert shell.json(RAW)["upstream"] != shell.json(RAW)["upstream"]
    assert not (shell.folder / "store").exists()

    async def make() -> None:
        await (await open_database(shell.folder / "store")).close()

    asyncio.run(make())
    assert shell.json(RAW)["upstream"] == shell.json(RAW)["upstream"]
