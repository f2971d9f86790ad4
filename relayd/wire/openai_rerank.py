"""The fields of POST /v1/rerank, as Cohere, Jina, Voyage and vLLM define it (OpenAI has none)."""

from __future__ import annotations

from typing import Final

from relayd.wire.fields import Table, by_name, number

TABLE: Final = Table({
    "model": None,
    "query": by_name,
    "documents": None,
    "top_n": number,
    "top_k": number,
    "rank_fields": None,
    "return_documents": None,
    "max_chunks_per_doc": number,
    "max_tokens_per_doc": number,
    "truncation": None,
    "truncate_prompt_tokens": number,
})
"""Documents may be objects of the client's own making: their order is kept."""
