"""The texts of mails: every kind in both languages, filled in, with the operator below."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

import relayd
from relayd.control.mail_text import render, texts
from relayd.core.erasure import STAYS
from relayd.core.mail import MAIL_KINDS, needs_consent
from relayd.core.operator import Operator

OPERATOR = Operator(service="Relay", name="Example Ltd", name_zh="示例公司", address="1 Street",
                    contact="hello@example.org", icp="粤ICP备1号", court="c")
UNSUBSCRIBE = "https://relay.example/unsubscribe?token=x"


def named(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_every_kind_has_its_text_in_both_languages() -> None:
    assert texts().keys() == MAIL_KINDS.keys() | {"frame", "words"}
    for name in MAIL_KINDS:
        assert set(texts()[name]) == {"subject", "body"}
        assert all(set(part) == {"en", "zh"} for part in texts()[name].values()), name
    for table in (texts()["frame"], *texts()["words"].values()):
        assert all(set(part) == {"en", "zh"} and all(part.values()) for part in table.values())


def test_all_that_an_erasure_leaves_has_its_words() -> None:
    assert texts()["words"]["kept"].keys() == {part.name for part in STAYS}
    old = "orders (2029-01-31): records of transactions; audit (2029-01-31): records"  # queued
    assert old in render("erasure_done", "en", {
        "kept": old, "certificate": "{}", "link": "l"}, OPERATOR).text


def test_there_is_no_kind_that_nobody_sends() -> None:
    folder = Path(relayd.__file__).parent
    said = "".join(path.read_text("utf-8") for path in folder.glob("*/*.py")
                   if path != folder / "core" / "mail.py")
    assert {name for name in MAIL_KINDS if f'"{name}"' not in said} == set()


@pytest.mark.parametrize("kind", sorted(MAIL_KINDS))
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_text_names_the_fields_of_its_kind_and_all_of_them(kind: str, language: str) -> None:
    table, fields = texts()[kind], MAIL_KINDS[kind].fields
    said = named(table["subject"][language]) | named(table["body"][language])
    assert said - {"service"} == fields


@pytest.mark.parametrize("kind", sorted(MAIL_KINDS))
@pytest.mark.parametrize("language", ["en", "zh"])
def test_C1_every_mail_names_the_operator_in_both_parts(kind: str, language: str) -> None:
    row = MAIL_KINDS[kind]
    link = UNSUBSCRIBE if needs_consent(row.mail_class) else None
    fields = {name: f"value of {name}" for name in row.fields}
    made = render(kind, language, fields, OPERATOR, link)
    name = "示例公司" if language == "zh" else "Example Ltd"
    for part in (made.text, made.html):
        assert name in part and "hello@example.org" in part and "粤ICP备1号" in part
        assert all(f"value of {field}" in part + made.subject for field in row.fields)
        assert "{" not in part
    assert (UNSUBSCRIBE in made.text) == (link is not None)
    # no picture, script or style: opening a mail asks nobody for anything
    assert set(re.findall(r"<(\w+)", made.html)) <= {
        "html", "head", "meta", "title", "body", "p", "a", "hr", "br", "small"}


def test_fields_are_escaped_and_times_and_codes_are_words() -> None:
    made = render("account_suspended", "en", {
        "reason": "abuse", "link": 'https://relay.example/?a=1&b="2"'}, OPERATOR)
    assert "found by rules about numbers of calls" in made.text
    assert '<a href="https://relay.example/?a=1&amp;b=&quot;2&quot;">' in made.html
    made = render("new_sign_in", "zh", {
        "at": "2026-01-31T09:30:15.123Z", "device": "<b>x</b>", "link": "l"}, OPERATOR)
    assert "2026-01-31 09:30 UTC" in made.text and "<b>" not in made.html
    made = render("data_seen", "zh", {
        "at": "", "role": "security/support", "reason": "a ticket", "link": ""}, OPERATOR)
    assert "安全 / 客服" in made.text and "a ticket" in made.text


@pytest.mark.parametrize(("said", "link"), [
    ("See https://relay.example/a.", "https://relay.example/a"),
    ("(https://relay.example/a?b=1), and", "https://relay.example/a?b=1"),
    ("详见 https://relay.example/a。谢谢", "https://relay.example/a"),
    ("（https://relay.example/a）", "https://relay.example/a"),
    ("<https://relay.example/a>", "https://relay.example/a"),
])
def test_a_link_ends_before_the_punctuation_of_its_sentence(said: str, link: str) -> None:
    made = render("service_notice", "zh", {"subject": "s", "text": said}, Operator())
    assert f'<a href="{link}">{link}</a>' in made.html


def test_a_subject_is_one_line() -> None:
    made = render("service_notice", "en", {"subject": "a\r\nBcc: x", "text": "b\n\nc"}, OPERATOR)
    assert made.subject == "a Bcc: x" and "<br>" in made.html


def test_without_an_operator_the_service_is_named() -> None:
    made = render("account_resumed", "en", {"link": ""}, Operator())
    assert "This mail comes from relayd." in made.text and "None" not in made.text
