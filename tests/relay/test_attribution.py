"""I2e: whose calls get the label that they ask for, and how many labels there are."""

from __future__ import annotations

import msgspec
import pytest

from relayd.core.snapshot import KeyGrant
from relayd.relay import attribution
from relayd.relay.attribution import Applications

GRANT = KeyGrant("key_1", "acct_1", None, None, None, False, attribution=True)
DAY_MS = 86_400_000


def titled(name: str) -> dict[bytes, bytes]:
    return {b"x-title": name.encode()}


def test_a_request_names_its_application() -> None:
    memory = Applications()
    assert memory.named(GRANT, titled("chat"), 5) == msgspec.structs.replace(GRANT, app="chat")
    assert memory.named(GRANT, {}, 5) is GRANT


def test_a_label_of_the_key_stands() -> None:
    own = msgspec.structs.replace(GRANT, app="own")
    assert Applications().named(own, titled("chat"), 5) is own


def test_so_many_labels_a_day_of_each_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribution, "LABELS_MAX", 2)
    memory = Applications()
    found = [memory.named(GRANT, titled(name), 5).app for name in ("a", "b", "c", "b", "d")]
    assert found == ["a", "b", None, "b", None]
    other = msgspec.structs.replace(GRANT, account="acct_2")
    assert memory.named(other, titled("c"), 5).app == "c"
    assert memory.named(GRANT, titled("c"), DAY_MS + 5).app == "c"
