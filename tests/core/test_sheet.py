"""A sheet says every text that is on it, so that a printer knows which characters it needs."""

from __future__ import annotations

from relayd.core.sheet import Sheet, Table


def test_every_text_is_said() -> None:
    sheet = Sheet("zh", "t1", (("f1", "f2"),), (("p1", ("p2",)),),
                  (Table(("h1",), (("c1",),)),), (("s1", "s2"),), ("n1",), "b1")
    assert set(sheet.texts().split()) == {
        "t1", "f1", "f2", "p1", "p2", "h1", "c1", "s1", "s2", "n1", "b1"}
    assert "t1" not in repr(sheet)
