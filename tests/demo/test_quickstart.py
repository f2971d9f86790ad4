"""Tests of the text that `relayd demo` prints: what it shows is pasted and runs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from relayd.core.route import Routes
from relayd.demo import quickstart
from relayd.demo.app import CREDENTIAL, DemoUpstream
from relayd.demo.quickstart import Demo
from relayd.demo.setup import demo_config

DEMO = Demo("http://127.0.0.1:8080", "http://127.0.0.1:9464", "my data/relayd.toml",
            "sk-relayd-KEY", link="http://127.0.0.1:8081/sign-in/link?token=" + "T" * 43,
            desk="http://127.0.0.1:4322/desk")


def _commands(text: str, program: str) -> list[str]:
    """The indented commands of a program, with their continued lines."""
    found = re.findall(rf"^  {program} (?:.*[^\n]\n)+?(?=\n|  \S)", text, re.MULTILINE)
    return [command.strip() for command in found]


def test_everything_is_there() -> None:
    text = quickstart.quickstart(DEMO)
    for part in ("http://127.0.0.1:8080/v1\n", "sk-relayd-KEY", "OPENAI_BASE_URL=",
                 "ANTHROPIC_BASE_URL=", "GOOGLE_GEMINI_BASE_URL=", "claude -p", "codex exec",
                 "gemini --skip-trust", "relayd usage --calls -c 'my data/relayd.toml'",
                 "relayd accounts sign-in-link demo@example.org -c 'my data/relayd.toml'",
                 "http://127.0.0.1:9464/metrics", "/sign-in/link?token=", "4322/desk"):
        assert part in text
    assert all(len(line) < 100 for line in text.splitlines())


def test_the_key_is_not_in_a_repr() -> None:
    assert "KEY" not in repr(DEMO) and "TTT" not in repr(DEMO)


def test_for_programs() -> None:
    assert DEMO.view(7) == {
        "openai": "http://127.0.0.1:8080/v1", "anthropic": "http://127.0.0.1:8080",
        "gemini": "http://127.0.0.1:8080", "ops": "http://127.0.0.1:9464",
        "console": "http://127.0.0.1:8081",
        "sign_in": "http://127.0.0.1:8081/sign-in/link?token=" + "T" * 43,
        "key": "sk-relayd-KEY", "desk": "http://127.0.0.1:4322/desk",
        "config": "my data/relayd.toml", "pid": 7}


def test_the_models_shown_are_served(tmp_path: Path) -> None:
    routes = Routes.of(demo_config(tmp_path, 1, 2, 3).routes)
    for model in (quickstart.OPENAI_MODEL, quickstart.ANTHROPIC_MODEL, quickstart.GEMINI_MODEL):
        assert model in routes.exact


async def test_the_python_works(upstream: DemoUpstream) -> None:
    text = quickstart.quickstart(DEMO)
    code = text[text.index("from openai"):text.index("Agents,")]
    origin = f"http://127.0.0.1:{upstream.port}"
    bases = {"OPENAI_BASE_URL": f"{origin}/v1", "ANTHROPIC_BASE_URL": origin,
             "GOOGLE_GEMINI_BASE_URL": origin}
    keys = {f"{name}_API_KEY": CREDENTIAL for name in ("OPENAI", "ANTHROPIC", "GEMINI")}
    environment = {**os.environ, **bases, **keys}
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True,
        timeout=60, env=environment)
    assert done.returncode == 0 and done.stdout.count("A relay stands") == 3, done.stderr


def test_gemini_cli_is_told_that_it_has_a_key(tmp_path: Path) -> None:
    """With a base URL and no settings it takes a kind of sign-in that it then refuses."""
    [command] = _commands(quickstart.quickstart(DEMO), "mkdir")
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    subprocess.run(["sh", "-ec", command], check=True, env=environment)
    settings = tmp_path / ".gemini" / "settings.json"
    assert json.loads(settings.read_text("utf-8"))["security"]["auth"] == {
        "selectedType": "gemini-api-key"}
    settings.write_text("{}")
    subprocess.run(["sh", "-ec", command], check=True, env=environment)
    assert settings.read_text() == "{}"  # whoever has settings keeps them


async def test_the_curl_commands_work(upstream: DemoUpstream) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    demo = Demo(f"http://127.0.0.1:{upstream.port}", "http://127.0.0.1:1", "x", CREDENTIAL)
    commands = _commands(quickstart.quickstart(demo), "curl")
    asking = [command for command in commands if "metrics" not in command]
    assert len(asking) == 3
    for command in asking:
        done = await asyncio.to_thread(
            subprocess.run, ["sh", "-c", command], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0 and "relay" in done.stdout, command
