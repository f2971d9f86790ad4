"""The table of consents: what is required, what is assumed, what a withdrawal does."""

from __future__ import annotations

from dataclasses import replace

from relayd.core.consent import ITEMS, REQUIRED, Consent, Served, in_force, missing
from relayd.core.document import DOCUMENT_NAMES

AGREED = Consent("acct_1", "marketing", "explicit",
                 Served("privacy", 1, "0" * 64, "en", "console"), 1)


def test_T2_processing_in_china_is_an_item_of_its_own_and_required() -> None:
    assert REQUIRED == ("terms", "privacy", "processing_in_china")
    assert missing(["terms", "privacy"]) == ["processing_in_china"]
    assert missing([*REQUIRED, "marketing"]) == []


def test_U7_both_classes_of_optional_mail_are_off_until_agreed_to() -> None:
    for name in ("product", "marketing", "overseas_routes"):
        assert not in_force(name, None) and not ITEMS[name].required
    assert in_force("marketing", AGREED)
    assert not in_force("marketing", replace(AGREED, act="withdrawn"))


def test_figures_of_use_are_assumed_until_objected_to() -> None:
    assert in_force("improve", None)
    assert not in_force("improve", replace(AGREED, item="improve", act="withdrawn"))


def test_what_is_asked_at_sign_up_and_what_is_found_later() -> None:
    asked = {name for name, item in ITEMS.items() if not item.later and not item.required}
    assert asked == {"overseas_routes", "training_routes", "product", "marketing", "improve"}
    assert {name for name, item in ITEMS.items() if item.later} == {"app_attribution"}
    assert {name for name in ITEMS if in_force(name, None)} == {"improve"}


def test_every_item_has_its_words_in_a_document() -> None:
    assert {item.document for item in ITEMS.values()} <= set(DOCUMENT_NAMES)
