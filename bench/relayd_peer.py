"""relayd as a peer: `relayd serve` with everything on, account and key made by its own shell."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench import payload, process
from bench.process import NotStarted

CREDENTIAL: Final = "BENCH_CREDENTIAL"
COMMAND_SECONDS: Final = 30
EMAIL: Final = "bench@example.org"

CONFIG: Final = """\
[server]
listen = ["127.0.0.1:{port}"]
busy_poll = {busy_poll}
[console]
listen = "127.0.0.1:{console}"
[ops]
listen = "127.0.0.1:{ops}"
[store]
path = "store"
[metering]
mode = "{mode}"
[providers.openai]
api = "openai"
base_url = "{upstream}/v1"
credential = {{ env = "{credential}" }}
connections_max = 16384
{trust}
[providers.anthropic]
api = "anthropic"
base_url = "{upstream}"
credential = {{ env = "{credential}" }}
connections_max = 16384
{trust}
[routes."gpt-*"]
deployments = [ {{ provider = "openai" }} ]
[routes."claude-*"]
deployments = [ {{ provider = "anthropic" }} ]
"""


@dataclass(frozen=True, slots=True)
class Serving:
    """A relay that serves: its pid, its port and a key for it."""

    pid: int
    port: int
    key: str


@contextlib.contextmanager
def serving(
    folder: Path, upstream: str, *, mode: str = "inline", ca_file: Path | None = None,
    program: Sequence[str] = ("relayd",), extra: str = "", busy_poll: bool = False,
) -> Iterator[Serving]:
    """Everything as it is by default but the addresses; raises NotStarted.

    `program` is a module and its first arguments, for one that is watched; `extra` ends the
    configuration.
    """
    folder.mkdir(mode=0o700)
    port = process.free_port()
    config = folder / "relayd.toml"
    config.write_text(CONFIG.format(
        port=port, console=process.free_port(), ops=process.free_port(), mode=mode,
        upstream=upstream, credential=CREDENTIAL, busy_poll=str(busy_poll).lower(),
        trust=f'ca_file = "{ca_file}"' if ca_file else "") + extra)
    _shell(config, "accounts", "create", "--email", EMAIL)
    made = _shell(config, "keys", "create", "--account", EMAIL, "--name", "bench")
    log = folder / "relayd.log"
    command: list[str | Path] = [sys.executable, "-m", *program, "serve", "-c", config]
    with process.running(command, log=log, environ=_environ()) as pid:
        key = str(made["key"])
        process.wait_for(pid, port, payload.chat_requests(key, stream=False)[0], log)
        yield Serving(pid, port, key)


def _environ() -> dict[str, str]:
    return {**os.environ, CREDENTIAL: "upstream-credential"}


def _shell(config: Path, *words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "relayd", *words, "-c", str(config), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS,
                          env=_environ())
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise NotStarted(f"relayd {' '.join(words[:2])}: {said[-1][:200]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
