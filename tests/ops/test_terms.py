"""N1: what is known of well-known hosts, with its source and its day, and of nobody else."""

from __future__ import annotations

import tomllib
from datetime import date
from importlib.resources import files

import pytest

from relayd.core.provider import TRAINS, DataTerms
from relayd.ops.configfile_provider import BASE_URLS
from relayd.ops.terms import FILE_NAME, known, published, terms_of


@pytest.mark.parametrize(("host", "trains"), [
    ("api.openai.com", "no"), ("API.OpenAI.com", "no"), ("eu.api.openai.com", "no"),
    ("mine.openai.azure.com", "no"), ("api.anthropic.com", "no"),
    ("generativelanguage.googleapis.com", "unknown"),
    # one's own network
    ("localhost", "no"), ("127.0.0.1", "no"), ("::1", "no"), ("10.1.2.3", "no"), ("vllm", "no"),
    # others, also such as look alike
    ("api.example.com", "unknown"), ("evil-api.openai.com.example", "unknown"),
    ("xapi.openai.com", "unknown"), ("openai.azure.com", "unknown"), ("8.8.8.8", "unknown"),
    ("api.anthropic.com.evil.example", "unknown"),
])
def test_N1_whether_a_host_trains(host: str, trains: str) -> None:
    assert terms_of(host).trains == trains


def test_nothing_is_said_of_a_host_that_is_not_known() -> None:
    assert terms_of("api.example.com") == DataTerms() and published("api.example.com") is None


def test_N1_every_entry_has_its_source_its_day_and_a_reason_for_not_knowing() -> None:
    for each in known():
        assert each.terms.trains in TRAINS and (each.terms.trains == "unknown") == bool(
            each.depends)
        assert (each.terms.policy_url or "").startswith("https://")
        assert date(2026, 1, 1) < each.stood
    text = (files("relayd.ops") / FILE_NAME).read_text("utf-8")
    names = [each["name"] for each in tomllib.loads(text)["host"]]
    assert len(set(names)) == len(names) == len(known())


def test_every_api_s_own_host_is_in_it() -> None:
    for url in BASE_URLS.values():
        assert published(url.split("/")[2].lower()) is not None
