"""Providers: the dialect that an api speaks, and no secret in a repr."""

from dataclasses import replace

import pytest

from relayd.core.provider import Address, DataTerms, Provider, together


def provider(api: str) -> Provider:
    address = Address("https", "api.example.org", 443, "/v1")
    return Provider("p", api, address, ("sk-secret",),  # type: ignore[arg-type]
                    proxy="socks5://u:pw@h:1")


def test_azure_speaks_openai() -> None:
    assert provider("azure").dialect == "openai"
    assert [provider(api).dialect for api in ("openai", "anthropic", "gemini")] == [
        "openai", "anthropic", "gemini"]


def test_no_secret_in_a_repr() -> None:
    shown = repr(provider("openai"))
    assert "sk-secret" not in shown and "pw" not in shown


@pytest.mark.parametrize(("api", "host", "keeps"), [
    ("openai", "openai.com", True), ("openai", "api.openai.com", True),
    ("openai", "eu.api.openai.com", True), ("openai", "api.openai.com.example", False),
    ("openai", "notopenai.com", False), ("openai", "api.example.org", False),
    ("azure", "own.openai.azure.com", True), ("azure", "api.example.org", True),
])
def test_who_keeps_answers_unless_told_not_to(api: str, host: str, keeps: bool) -> None:
    where = replace(provider(api), address=Address("https", host, 443, ""))
    assert where.keeps_unless_told is keeps


@pytest.mark.parametrize(("api", "host", "knows"), [
    ("openai", "api.openai.com", True), ("azure", "own.openai.azure.com", True),
    ("openai", "openrouter.ai", True), ("openai", "api.deepseek.com", False),
    ("openai", "127.0.0.1", False),
])
def test_who_knows_the_newer_name_of_an_answers_bound(api: str, host: str, knows: bool) -> None:
    where = replace(provider(api), address=Address("https", host, 443, ""))
    assert where.knows_completion_bound is knows


def test_what_is_not_said_is_neither_good_nor_overseas() -> None:
    assert DataTerms() == DataTerms("unknown", None, None, None, False) == together([])
    where = provider("openai")
    assert not where.overseas and where.terms == DataTerms() and where.stream_usage


EU = DataTerms("no", 30, "EU", "https://p.example", True)


@pytest.mark.parametrize(("others", "whole"), [
    ([], EU), ([EU], EU),
    ([replace(EU, trains="unknown")], replace(EU, trains="unknown")),
    ([replace(EU, trains="unknown"), replace(EU, trains="yes"), EU], replace(EU, trains="yes")),
    ([replace(EU, retention_days=7)], EU),
    ([replace(EU, retention_days=0), replace(EU, retention_days=90)],
     replace(EU, retention_days=90)),
    # not known is worse than any number
    ([replace(EU, retention_days=90), replace(EU, retention_days=None)],
     replace(EU, retention_days=None)),
    ([replace(EU, region="US"), replace(EU, region=None), EU], replace(EU, region="EU, US")),
    ([replace(EU, zdr=False)], replace(EU, zdr=False)),
    # two policies are none that could be shown
    ([replace(EU, policy_url="https://q.example")], replace(EU, policy_url=None)),
    ([replace(EU, policy_url=None)], replace(EU, policy_url=None)),
])
def test_where_a_call_may_go_to_several_the_worst_of_each_holds(
    others: list[DataTerms], whole: DataTerms
) -> None:
    assert together([EU, *others]) == whole
    backwards = together([*reversed(others), EU])
    assert replace(backwards, region=None) == replace(whole, region=None)
