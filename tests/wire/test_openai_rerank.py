"""POST /v1/rerank: the verdict of every field."""

from __future__ import annotations

from tests.wire.asking import dropped, sent


def test_documents_keep_their_order() -> None:
    body = {"documents": [{"z": 1, "a": 2}, "text"], "query": "q", "model": "m", "top_n": 2.0,
            "user": "bob"}
    found = sent("rerank", body)
    assert list(found) == ["model", "query", "documents", "top_n"]
    assert list(found["documents"][0]) == ["z", "a"]
    assert dropped("rerank", body) == ("user",)


def test_how_many_are_wanted_in_voyage_s_word() -> None:
    body = {"top_k": 2.0, "truncation": True, "documents": ["a"], "query": "q", "model": "m"}
    assert sent("rerank", body) == {
        "model": "m", "query": "q", "documents": ["a"], "top_k": 2, "truncation": True}
    assert dropped("rerank", body) == ()
