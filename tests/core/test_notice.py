"""Notices: their fields in two languages, and when they are open."""

from __future__ import annotations

from relayd.core.mail import MAIL_KINDS
from relayd.core.notice import MAIL_OF, NOTICE_FIELDS, Notice

NOTICE = Notice("n", "service", {"subject_en": "Hello", "subject_zh": "您好", "x": "y"}, 10, 20, 1)


def test_a_field_is_said_in_a_language_or_as_it_is() -> None:
    assert NOTICE.said("subject", "zh") == "您好" and NOTICE.said("x", "zh") == "y"
    assert NOTICE.said("nothing", "en") == ""


def test_it_is_open_from_its_start_to_its_end() -> None:
    assert [NOTICE.open_at(at) for at in (9, 10, 19, 20)] == [False, True, True, False]


def test_every_kind_has_its_mail() -> None:
    assert NOTICE_FIELDS.keys() == MAIL_OF.keys() and set(MAIL_OF.values()) <= MAIL_KINDS.keys()
