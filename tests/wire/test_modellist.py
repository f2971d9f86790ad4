"""Model lists satisfy the official SDKs' own parsers, page by page."""

from __future__ import annotations

import json

import pytest
from anthropic.pagination import SyncPage as AnthropicPage
from anthropic.types import ModelInfo
from google.genai import models as genai_models
from google.genai import types as genai_types
from openai.pagination import SyncPage as OpenAIPage
from openai.types import Model

from relayd.core.errors import RelayError
from relayd.core.provider import Api, DataTerms
from relayd.wire.dialect import target_of
from relayd.wire.modellist import PAGE_MAX, model_entry, model_list

NAMES = [f"m-{n}" for n in range(45)]


def test_openais_list_is_read_by_its_sdk() -> None:
    page = OpenAIPage[Model].model_validate_json(model_list("openai", ["gpt-x", "a/b:c"]))
    assert page.object == "list"
    assert [model.id for model in page.data] == ["gpt-x", "a/b:c"]
    assert page.data[0].owned_by == "relayd" and page.data[0].created == 0
    assert len(json.loads(model_list("openai", NAMES, "limit=2"))["data"]) == 45
    assert json.loads(model_list("openai", [])) == {"object": "list", "data": []}


def test_anthropics_list_is_read_by_its_sdk() -> None:
    body = model_list("anthropic", ["claude-x"], "limit=1000")
    page = AnthropicPage[ModelInfo].model_validate_json(body)
    assert [model.id for model in page.data] == ["claude-x"]
    assert page.data[0].type == "model" and page.data[0].created_at.year == 1970
    assert (page.has_more, page.first_id, page.last_id) == (False, "claude-x", "claude-x")


def test_geminis_list_is_read_by_its_sdk() -> None:
    body = json.loads(model_list("gemini", ["gemini-x"], "key=sk-relayd-1"))
    parsed = genai_types.ListModelsResponse._from_response(
        response=genai_models._ListModelsResponse_from_mldev(body), kwargs={})
    assert parsed.models is not None
    [model] = parsed.models
    assert model.name == "models/gemini-x" and model.display_name == "gemini-x"
    assert model.supported_actions is not None and "generateContent" in model.supported_actions
    assert "nextPageToken" not in body


@pytest.mark.parametrize("query, first, last, more", [
    ("", "m-0", "m-19", True),
    ("limit=1000", "m-0", "m-44", False),
    ("limit=999999999", "m-0", "m-44", False),
    ("limit=2", "m-0", "m-1", True),
    ("limit=45", "m-0", "m-44", False),
    ("after_id=m-42", "m-43", "m-44", False),
    ("after_id=m-44", None, None, False),
    ("limit=3&after_id=m-1&beta=true", "m-2", "m-4", True),
    ("before_id=m-2", "m-0", "m-1", False),
    ("before_id=m-10&limit=3", "m-7", "m-9", True),
])
def test_anthropics_pages(query: str, first: str | None, last: str | None, more: bool) -> None:
    page = json.loads(model_list("anthropic", NAMES, query))
    assert (page["first_id"], page["last_id"], page["has_more"]) == (first, last, more)
    if first is not None:
        assert (page["data"][0]["id"], page["data"][-1]["id"]) == (first, last)


def test_all_pages_of_gemini_are_all_models() -> None:
    seen: list[str] = []
    query = "pageSize=20"
    for _ in range(3):
        page = json.loads(model_list("gemini", NAMES, query))
        seen += [model["displayName"] for model in page["models"]]
        query = f"pageSize=20&pageToken={page.get('nextPageToken', '')}"
    assert seen == NAMES and "nextPageToken" not in page


@pytest.mark.parametrize("api, query, param", [
    ("anthropic", "limit=x", "limit"), ("anthropic", "limit=0", "limit"),
    ("anthropic", "limit=-1", "limit"), ("anthropic", "limit=%D9%A3", "limit"),
    ("anthropic", "after_id=nobody", "after_id"), ("anthropic", "before_id=nobody", "before_id"),
    ("gemini", "pageSize=1e3", "pageSize"), ("gemini", "pageToken=nobody", "pageToken"),
    ("gemini", "&".join(["a=1"] * 100), None),
])
def test_a_page_that_cannot_be_is_refused(api: Api, query: str, param: str | None) -> None:
    with pytest.raises(RelayError) as caught:
        model_list(api, NAMES, query)
    assert (caught.value.code, caught.value.param) == ("invalid_field", param)


def test_a_page_is_bounded() -> None:
    names = [str(n) for n in range(PAGE_MAX + 5)]
    assert len(json.loads(model_list("anthropic", names, "limit=5000"))["data"]) == PAGE_MAX


def test_one_model() -> None:
    assert Model.model_validate_json(model_entry("openai", "x")).id == "x"
    assert ModelInfo.model_validate_json(model_entry("anthropic", "x")).id == "x"
    assert json.loads(model_entry("gemini", "x"))["name"] == "models/x"


def test_what_the_relay_adds_to_an_entry() -> None:
    terms = DataTerms(trains="no", retention_days=30, zdr=True, region="EU",
                      policy_url="https://p.example/terms")
    for api in ("openai", "anthropic", "gemini"):
        own = json.loads(model_entry(api, "x", terms))["relayd"]  # type: ignore[arg-type]
        assert own == {"tier": "direct", "trains": "no", "retention_days": 30, "zdr": True,
                       "region": "EU", "policy_url": "https://p.example/terms"}
        listed = json.loads(model_list(api, ["x"], terms_of=lambda _: terms))  # type: ignore
        assert listed.get("data", listed.get("models"))[0]["relayd"] == own


def test_what_gemini_s_models_are_said_to_do_is_served() -> None:
    methods = json.loads(model_entry("gemini", "x"))["supportedGenerationMethods"]
    assert methods == ["generateContent", "streamGenerateContent", "countTokens", "embedContent",
                       "batchEmbedContents"]
    for method in methods:
        assert target_of(f"/v1beta/models/x:{method}", "gemini").endpoint is not None, method
