"""Tests of the lists of models."""

from __future__ import annotations

import pytest

from relayd.core.route import Deployment, Route, Routes
from relayd.demo import failures, models
from relayd.wire.dialect import MODEL_NAME


def test_lists_have_their_shapes() -> None:
    openai = models.listing("openai")
    assert openai["object"] == "list" and {"id", "object", "created", "owned_by"} == set(
        openai["data"][0])
    anthropic = models.listing("anthropic")
    assert anthropic["first_id"] == anthropic["data"][0]["id"]
    assert anthropic["last_id"] == anthropic["data"][-1]["id"]
    assert models.listing("gemini")["models"][0]["name"].startswith("models/")


def test_names_are_names() -> None:
    for names in models.NAMES.values():
        assert len(set(names)) == len(names)
        assert all(MODEL_NAME.fullmatch(name) for name in names)


def test_faults_that_are_listed_are_faults() -> None:
    sound = {name for name in models.DEMO if failures.fault_of(name) == failures.SOUND}
    assert sound == {"demo", "demo-think", "demo-long", "demo-echo"}
    listed = {failures.fault_of(name).status for name in models.DEMO}
    assert listed - {0} == set(failures.STATUSES)


@pytest.mark.parametrize("name", [
    "gpt-99", "o7", "claude-next", "gemini-next", "demo-slow-3", "fake-tool", "whisper-2",
    "text-embedding-ada-002"])
def test_patterns_take_names_to_come(name: str) -> None:
    routes = Routes.of([Route(p, (Deployment("x"),)) for p in models.PATTERNS])
    assert routes.find(name) is not None
    assert routes.find("no-such-model") is None
