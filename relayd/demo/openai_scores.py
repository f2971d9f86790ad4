"""The demo provider's OpenAI dialect, part three: embeddings, moderation, reranking."""

from __future__ import annotations

from typing import Any, Final

from relayd.demo import prose, vectors
from relayd.demo.answer import new_id
from relayd.demo.fields import limit_of, text_of
from relayd.demo.reply import Body, Plain, json_reply

CATEGORIES: Final = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit",
    "illicit/violent", "self-harm", "self-harm/instructions", "self-harm/intent", "sexual",
    "sexual/minors", "violence", "violence/graphic",
)
FLAGGED_WORD: Final = "violence"
MODERATION_MODEL: Final = "omni-moderation-latest"


def embeddings(body: Body) -> Plain:
    """POST /v1/embeddings: texts or tokens, as floats or base64."""
    model = str(body.get("model", ""))
    usual = vectors.OPENAI_LARGE_DIMENSIONS if "large" in model else vectors.OPENAI_DIMENSIONS
    size = limit_of(body, "dimensions") or usual
    inputs = _inputs(body.get("input"))
    found = [vectors.vector(_as_text(each), size) for each in inputs]
    packed = body.get("encoding_format") == "base64"
    tokens = sum(len(each) if isinstance(each, list) else prose.count_all(each) for each in inputs)
    return json_reply({
        "object": "list", "model": model,
        "data": [{"object": "embedding", "index": index,
                  "embedding": vectors.base64_of(values) if packed else values}
                 for index, values in enumerate(found)],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })


def _inputs(given: Any) -> list[Any]:
    """One text, one list of tokens, or a list of either."""
    if isinstance(given, list) and given and not isinstance(given[0], int):
        return given
    return [given]


def _as_text(given: Any) -> str:
    if isinstance(given, list):
        return " ".join(str(token) for token in given if isinstance(token, int))
    return given if isinstance(given, str) else text_of(given)


def moderations(body: Body) -> Plain:
    """POST /v1/moderations: texts, or one message of several parts."""
    given = body.get("input")
    texts = [text_of(given)]
    if isinstance(given, list) and all(isinstance(each, str) for each in given):
        texts = given
    return json_reply({
        "id": new_id("modr-"), "model": str(body.get("model") or MODERATION_MODEL),
        "results": [_verdict(FLAGGED_WORD in text.lower()) for text in texts],
    })


def _verdict(flagged: bool) -> dict[str, Any]:
    return {
        "flagged": flagged,
        "categories": {name: flagged and name == FLAGGED_WORD for name in CATEGORIES},
        "category_scores": {name: 0.91 if flagged and name == FLAGGED_WORD else 0.00002
                            for name in CATEGORIES},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }


def rerank(body: Body) -> Plain:
    """POST /v1/rerank: documents by how many of the query's words they have."""
    given = body.get("documents")
    documents = [each if isinstance(each, str) else text_of(each)
                 for each in (given if isinstance(given, list) else [])]
    query = text_of(body.get("query"))
    scored = [(vectors.likeness(query, text), index) for index, text in enumerate(documents)]
    scored.sort(key=lambda pair: (-pair[0], pair[1]))
    results: list[dict[str, Any]] = []
    for score, index in scored[:limit_of(body, "top_n") or len(scored)]:
        result: dict[str, Any] = {"index": index, "relevance_score": round(score, 6)}
        if body.get("return_documents") is True:
            result["document"] = {"text": documents[index]}
        results.append(result)
    tokens = prose.count_all(query) + sum(prose.count(text) for text in documents)
    return json_reply({
        "id": new_id("rerank-"), "model": str(body.get("model", "")), "results": results,
        "meta": {"billed_units": {"search_units": 1}},
        "usage": {"total_tokens": tokens, "prompt_tokens": tokens},
    })
