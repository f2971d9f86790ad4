"""Domains of addresses for minutes."""

from __future__ import annotations

import pytest

from relayd.ops.disposable import is_disposable


@pytest.mark.parametrize(("email", "found"), [
    ("a@mailinator.com", True), ("a@MAILINATOR.com", True), ("a@x.mailinator.com", True),
    ("a@mailinator.com.", True), ("a@mymailinator.example", False), ("a@example.org", False),
    ("a@gmail.com", False), ("a@com", False), ("a", False), ("", False)])
def test_known_domains(email: str, found: bool) -> None:
    assert is_disposable(email) is found
