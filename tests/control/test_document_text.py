"""The documents' texts: made of the inventory and the configuration, true in both languages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control import inventory
from relayd.control.document_text import CookieWords, Drafts, drafts
from relayd.core.account import LANGUAGES
from relayd.core.document import DOCUMENT_NAMES, blocks
from relayd.core.operator import Hosting, Operator, Processor
from relayd.core.provider import Address, Provider
from relayd.ops.config import Config, PrivacyConfig, RetentionConfig

OPERATOR = Operator(
    service="Relay", name="Example Ltd", name_zh="示例公司", address="1 Street",
    address_zh="一号街", uscc="91440300708461136T", contact="hello@example.org",
    privacy="privacy@example.org", court="a court in Shenzhen", court_zh="深圳法院",
    hosting=Hosting("Cloud", "cn-south", ("ISO/IEC 27001",), "2026-01-31"),
    processors=(Processor("Mail | Co", "mail", ("email", "text"), "Germany", "2026-02-01"),))
CONFIG = Config({}, (), operator=OPERATOR)
COOKIES = {language: [CookieWords("rd_sid", "a purpose", "30 days", "no")]
           for language in LANGUAGES}


def made(config: Config = CONFIG) -> Drafts:
    return drafts(config, COOKIES)


@pytest.mark.parametrize("config", [CONFIG, Config({}, ())])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", DOCUMENT_NAMES)
def test_every_text_is_whole(config: Config, language: str, name: str) -> None:
    text = made(config)[name][language]  # type: ignore[index]
    assert "{" not in text and "None," not in text and text.startswith("# ")
    found = list(blocks(text))
    # every heading and list of the text is one: no blank line was lost around it
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert [block.kind for block in found].count("heading") == len(heads)
    assert not any("- " == span.text[:2] or "## " in span.text for block in found
                   if block.kind == "paragraph" for line in block.lines for span in line)
    assert not any(block.kind == "paragraph" and str(block).count("|") for block in found)
    for block in found:
        if block.kind == "table":
            assert len({len(row) for row in block.rows}) == 1, block.rows[0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_O1_every_category_of_the_inventory_is_in_the_policy(language: str) -> None:
    text = made()["privacy"][language]  # type: ignore[index]
    told = inventory.told(inventory.read(), CONFIG.retention.terms(), language)  # type: ignore
    assert len(told) > 20
    [table] = [block for block in blocks(text) if block.kind == "table"]
    rows = [[cell[0].text for cell in row] for row in table.rows[1:]]
    assert [row[0] for row in rows] == [each.name for each in told]
    assert [row[4] for row in rows] == [each.term for each in told]


def test_O1_a_term_that_is_chosen_is_in_the_policy() -> None:
    config = replace(CONFIG, retention=RetentionConfig(call_records_days=777))
    assert "777 days" in made(config)["privacy"]["en"]
    assert "777 天" in made(config)["privacy"]["zh"]
    assert "777" not in made()["privacy"]["en"]


def test_C1_the_operator_is_in_policy_and_terms() -> None:
    for name in ("privacy", "terms"):
        assert "Example Ltd, 1 Street" in made()[name]["en"]
        assert "示例公司" in made()[name]["zh"] and "一号街" in made()[name]["zh"]
    assert "privacy@example.org" in made()["privacy"]["en"]
    assert "91440300708461136T" in made()["privacy"]["zh"]


def test_L1_the_law_and_the_court_are_in_both() -> None:
    for name in ("privacy", "terms"):
        assert "law of the People's Republic of China" in made()[name]["en"]
        assert "a court in Shenzhen" in made()[name]["en"]
        assert "中华人民共和国法律" in made()[name]["zh"] and "深圳法院" in made()[name]["zh"]


def test_P3_no_end_to_end_encryption_is_claimed() -> None:
    assert "That is not end-to-end encryption" in made()["privacy"]["en"]
    assert "这不是端到端加密" in made()["privacy"]["zh"]


def test_P4_what_goes_to_providers_is_told_as_it_is_configured() -> None:
    plain = replace(CONFIG, privacy=PrivacyConfig(cache_key="absent"))
    assert "keyed hash" not in made(plain)["privacy"]["en"].partition("We do not tell")[2][:900]
    assert "cache of prompts" in made()["privacy"]["en"]
    told = replace(CONFIG, privacy=PrivacyConfig(end_user="account"))
    assert "tell our customers apart" in made(told)["privacy"]["en"]


def test_P4_fields_that_nobody_knows_and_ways_without_tls_are_told() -> None:
    """What the configuration lets out is in the policy, in both languages."""
    usual = made()["privacy"]
    assert "Nothing more is passed on." in usual["en"] and "without TLS" not in usual["en"]
    for privacy in (PrivacyConfig(unknown_fields="pass"),
                    PrivacyConfig(pass_fields={"openai": frozenset({"top_k"})})):
        told = made(replace(CONFIG, privacy=privacy))["privacy"]
        assert "Nothing more" not in told["en"] and "passed on as you wrote them" in told["en"]
        assert "除此之外" not in told["zh"] and "原样转发" in told["zh"]
    for host, clear in (("127.0.0.1", False), ("10.0.0.7", True)):
        near = Provider("near", "openai", Address("http", host, 80, ""), ("c",))
        told = made(replace(CONFIG, providers={"near": near}))["privacy"]
        assert ("without TLS" in told["en"], "不经 TLS" in told["zh"]) == (clear, clear)


def test_P4_flags_of_agents_are_told_where_they_pass() -> None:
    assert "one agent alone" in made()["privacy"]["en"]
    dropped = made(replace(CONFIG, privacy=PrivacyConfig(product_betas="drop")))["privacy"]
    assert "one agent alone" not in dropped["en"] and "试验功能" not in dropped["zh"]


def test_S2_the_register_lists_who_gets_what() -> None:
    assert "| Mail / Co | mail | email, text | Germany | 2026-02-01 |" in (
        made()["subprocessors"]["en"])
    assert "There are none." in made(Config({}, ()))["subprocessors"]["en"]


def test_C2_hosting_is_as_declared() -> None:
    text = made()["hosting"]["en"]
    assert "with Cloud, in cn-south, since 2026-01-31." in text and "- ISO/IEC 27001" in text
    assert "has not declared" in made(Config({}, ()))["hosting"]["en"]


def test_K4_the_cookie_page_lists_the_cookies() -> None:
    assert "| rd_sid | a purpose | 30 days | no |" in made()["cookies"]["en"]


def test_the_same_facts_make_the_same_text() -> None:
    assert made() == made()


def test_a_value_makes_no_markup_of_its_own() -> None:
    sly = replace(CONFIG, operator=replace(OPERATOR, name="X](https://evil.example) | [y"))
    assert "](https://evil" not in made(sly)["terms"]["en"]
