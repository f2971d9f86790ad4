"""Tests of embeddings, moderation and reranking."""

from __future__ import annotations

import base64
import struct
from typing import Any

import orjson
import pytest

from relayd.demo import openai_scores


@pytest.mark.parametrize(("given", "number", "tokens"), [
    ("one two", 1, 2), (["one", "two three"], 2, 3), ([1, 2, 3], 1, 3), ([[1], [2, 3]], 2, 3),
    ([], 1, 0), (None, 1, 1)])
def test_inputs(given: Any, number: int, tokens: int) -> None:
    reply = orjson.loads(openai_scores.embeddings({"input": given, "dimensions": 4}).body)
    assert [each["index"] for each in reply["data"]] == list(range(number))
    assert reply["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


def test_base64_holds_the_same_floats() -> None:
    body = {"model": "text-embedding-3-small", "input": "hello"}
    plain = orjson.loads(openai_scores.embeddings(body).body)["data"][0]["embedding"]
    packed = orjson.loads(openai_scores.embeddings(
        {**body, "encoding_format": "base64"}).body)["data"][0]["embedding"]
    assert list(struct.unpack("<1536f", base64.b64decode(packed))) == pytest.approx(plain)


def test_large_models_have_more() -> None:
    reply = orjson.loads(openai_scores.embeddings(
        {"model": "text-embedding-3-large", "input": "x"}).body)
    assert len(reply["data"][0]["embedding"]) == 3072


@pytest.mark.parametrize(("given", "flags"), [
    ("calm", [False]), (["calm", "Violence"], [False, True]),
    ([{"type": "text", "text": "violence"}], [True])])
def test_moderations(given: Any, flags: list[bool]) -> None:
    reply = orjson.loads(openai_scores.moderations({"input": given}).body)
    assert [each["flagged"] for each in reply["results"]] == flags
    assert [each["categories"]["violence"] for each in reply["results"]] == flags


def test_rerank() -> None:
    body = {"model": "rerank-v3.5", "query": "fast relay", "return_documents": True,
            "documents": ["blue sky", "a relay", {"text": "a fast relay"}]}
    reply = orjson.loads(openai_scores.rerank(body).body)
    assert [each["index"] for each in reply["results"]] == [2, 1, 0]
    assert reply["results"][0]["document"] == {"text": "a fast relay"}
    assert len(orjson.loads(openai_scores.rerank({**body, "top_n": 1}).body)["results"]) == 1
    assert orjson.loads(openai_scores.rerank({}).body)["results"] == []
