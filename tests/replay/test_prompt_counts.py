"""The own count of every recorded prompt against what its provider reported: the table in docs."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from relayd.relay.prompt_count import count_prompt
from relayd.relay.tokenizer import NAMES, Encodings, encoding_for
from relayd.wire.dialect import BY_OPERATION
from tests.shared import ROOT, known_collection
from tests.wire.test_corpus import CASES, OPERATIONS, expected

UNFORESEEN = re.compile(
    r'"file|input_audio|"document"|web_search|googleSearch|google_search|codeExecution|fileData'
    r'|code_execution|code_interpreter|previous_response|"mcp|computer_|memory_|tool_search'
    r'|search-preview|"conversation"|urlContext|rerank')
"""What no rule can foresee: files, sound, the providers' own tools, text kept at the provider."""

MAKERS = {"gpt": "OpenAI", "o": "OpenAI", "completion": "OpenAI", "embedding": "OpenAI",
          "claude": "Claude", "llama": "Llama", "gemini": "gemini", "deepseek": "deepseek",
          "kimi": "kimi", "qwen": "qwen"}
BEGIN, END = "<!-- prompt errors: checked by tests -->\n", "<!-- end -->"


def maker(family: str) -> str:
    if family == "gpt-oss":
        return family
    return MAKERS.get(family.split("-")[0], family or "unknown")


def shape(body: dict[str, Any], text: str) -> str:
    if body.get("tools") or body.get("functions"):
        return "tools"
    if re.search(r'image_url|"image"|inlineData|input_image', text):
        return "images"
    if re.search(r"json_schema|output_config|responseSchema|responseJsonSchema", text):
        return "answer schema"
    return "text"


def errors(encodings: Encodings) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """(counted, reported) of each prompt, by maker and shape."""
    found: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for case in CASES:
        known = expected(case)
        reported = (known["usage_normalized"] or {}).get("input_tokens")
        body = json.loads((case / "request.json").read_text()).get("body")
        text = json.dumps(body)
        if not reported or not isinstance(body, dict) or UNFORESEEN.search(text):
            continue
        model = encoding_for(known["model_requested"] or known["model_reported"] or "")
        endpoint = BY_OPERATION[OPERATIONS[known["api"]]]
        counted, _ = count_prompt(endpoint, body, model, encodings)
        found[maker(model.family), shape(body, text)].append((counted, reported))
    return found


def table(found: dict[tuple[str, str], list[tuple[int, int]]]) -> str:
    lines = ["| models | prompts with | recorded | off by, median | within 10 % or 5 tokens |",
             "| --- | --- | ---: | ---: | ---: |"]
    for (name, what), pairs in sorted(found.items()):
        if len(pairs) >= 3:
            off = median(abs(counted - reported) / reported for counted, reported in pairs)
            close = sum(abs(counted - reported) <= max(5, reported * 0.1)
                        for counted, reported in pairs)
            lines.append(f"| {name} | {what} | {len(pairs)} | {off:.0%} | "
                         f"{close / len(pairs):.0%} |")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], list[tuple[int, int]]]:
    if not CASES:
        pytest.skip("the shared corpus is not beside the checkout")
    encodings = Encodings()
    encodings.load(NAMES)
    return errors(encodings)


def test_the_errors_in_docs_are_those_found(
    found: dict[tuple[str, str], list[tuple[int, int]]]
) -> None:
    known_collection("corpus", "cases")
    text = Path(ROOT, "docs/counting.md").read_text("utf-8")
    told = text[text.index(BEGIN) + len(BEGIN):text.index(END)]
    assert told == table(found)
    reported = [each for pairs in found.values() for _, each in pairs]
    assert f"(the median of all {len(reported)} has {median(reported):.0f} tokens)" in text


def test_the_prompts_of_openai_are_close(
    found: dict[tuple[str, str], list[tuple[int, int]]]
) -> None:
    known_collection("corpus", "cases")
    pairs = found["OpenAI", "text"]
    assert len(pairs) > 40
    assert sum(counted == reported for counted, reported in pairs) >= 0.9 * len(pairs)
