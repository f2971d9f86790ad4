"""Every snippet is filled whole; those of the SDKs that are installed here run as they stand."""

from __future__ import annotations

import ast
import asyncio
import os
import sys
from pathlib import Path
from shutil import which

import orjson
import pytest

from relayd.console.snippet import (
    KEY_SHOWN, MODEL_SHOWN, Place, Snippet, filled, models_to_try, read,
)
from relayd.core.provider import Address, Provider
from relayd.core.route import Deployment, Route
from tests.fakes import dialects
from tests.fakes.daemon import Lane

SNIPPETS = read()
MODELS = {"openai": "gpt-4o", "anthropic": "claude-x", "gemini": "gemini-y"}
PLACE = Place("https://relay.example.org", KEY_SHOWN, MODELS)  # type: ignore[arg-type]
RUN = [each for each in SNIPPETS if each.id in (
    "curl", "openai-python", "anthropic-python", "genai-python")]


def by_id(snippet: Snippet) -> str:
    """The name of a case."""
    return snippet.id


def test_ids_are_unique_and_the_first_is_the_plainest() -> None:
    ids = [each.id for each in SNIPPETS]
    assert len(set(ids)) == len(ids) and ids[0] == "curl"
    assert {each.api for each in SNIPPETS} == {"openai", "anthropic", "gemini"}
    assert {each.kind for each in SNIPPETS} == {"sdk", "agent"}


@pytest.mark.parametrize("snippet", SNIPPETS, ids=by_id)
def test_nothing_is_left_to_fill_in(snippet: Snippet) -> None:
    text = filled(snippet, PLACE)
    assert "@ORIGIN@" not in text and "@KEY@" not in text and "@MODEL@" not in text
    assert PLACE.origin in text and KEY_SHOWN in text
    if " import " in text and "from " in text and ";" not in text:
        ast.parse(text)
    if text.startswith("{"):
        orjson.loads(text)


def provider(name: str, api: str) -> Provider:
    """A provider of this API."""
    return Provider(name, api, Address("https", name, 443, ""), ("c",))  # type: ignore[arg-type]


def test_a_model_to_try_is_one_that_is_served() -> None:
    providers = {name: provider(name, name) for name in ("azure", "anthropic", "gemini")}
    routes = (
        Route("claude-*", (Deployment("anthropic"),)),
        Route("zeta", (Deployment("anthropic"), Deployment("azure"))),
        Route("claude-z", (Deployment("anthropic"),)),
    )
    assert models_to_try(routes, providers) == {"openai": "zeta", "anthropic": "claude-z"}
    assert models_to_try(routes[:1], providers) == {}
    bare = Place("http://r", "k", {})
    assert MODEL_SHOWN in filled(SNIPPETS[0], bare)


def test_agents_that_would_ask_for_a_sign_in_are_told_of_the_key() -> None:
    """Codex reads CODEX_API_KEY in `codex exec` alone; Gemini CLI refuses a base URL by itself."""
    texts = {each.id: filled(each, PLACE) for each in SNIPPETS}
    assert 'env_key="OPENAI_API_KEY"' in texts["codex"] and "CODEX_API_KEY" not in texts["codex"]
    assert '"selectedType": "gemini-api-key"' in texts["gemini-cli"]


@pytest.mark.parametrize("snippet", RUN, ids=by_id)
async def test_it_gets_an_answer_as_it_stands(snippet: Snippet, tmp_path: Path) -> None:
    async with Lane(tmp_path / "store", dialects.answer) as lane:
        host, port = lane.address
        place = Place(f"http://{host}:{port}", lane.key, PLACE.models)
        text = filled(snippet, place)
        command = ["sh", "-c", text] if snippet.id == "curl" else [sys.executable, "-c", text]
        if snippet.id == "curl" and which("curl") is None:
            pytest.skip("curl is not installed")
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NO_PROXY": "*"})
        said, errors = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0 and said.strip(), errors.decode()
        [record] = await lane.settled(1)
        assert record.outcome == "completed" and record.stream
